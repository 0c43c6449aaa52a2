"""Operations as rows of their table, and back."""

from enum import Enum
from typing import Any

from pydantic import BaseModel
from sqlalchemy import RowMapping

from ktrdr.contracts.operations import Operation, OperationSummary
from ktrdr.orchestration.tables import operations

_STORED = [name for name in Operation.model_fields if name in operations.c]
SUMMARY = [operations.c[name] for name in OperationSummary.model_fields if name in operations.c]
"""The columns that make a summary."""


def columns_of(operation: Operation) -> dict[str, Any]:
    """What the table keeps of an operation."""
    return {name: plain(getattr(operation, name)) for name in _STORED}


def plain(value: object) -> object:
    """A value as its column takes it; numbers of other libraries become Python's."""
    if isinstance(value, Enum):
        return value.value
    return value.model_dump(mode="json", fallback=_number) if isinstance(value, BaseModel) else value


def _number(value: Any) -> object:
    return value.item() if hasattr(value, "item") else str(value)


def operation_of(row: RowMapping) -> Operation:
    """The operation of a whole row."""
    return Operation.model_validate({name: row[name] for name in _STORED})
