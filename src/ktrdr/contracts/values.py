"""The frozen base of every value that crosses a floor, a process or the wire."""

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """Immutable, JSON in and out, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), ser_json_inf_nan="null")
