"""What the routes share: the client, the scopes, and a base for request bodies."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Path
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from starlette.requests import HTTPConnection

from ktrdr.api.security import wants
from ktrdr.client import Client
from ktrdr.contracts.keys import Scope

READ, TRAIN, ADMIN = (wants(scope) for scope in Scope)

OperationId = Annotated[str, Path(max_length=100, examples=["train-20261123-142355-k3f9c7"])]
ModelName = Annotated[str, Path(max_length=400, examples=["eurusd_momentum/EURUSD_1h_v3"])]
StrategyName = Annotated[str, Path(max_length=200, examples=["eurusd_momentum"])]
Symbol = Annotated[str, Path(max_length=100, examples=["EURUSD"])]
TimeframeName = Annotated[str, Path(max_length=20, examples=["1h"])]
HostName = Annotated[str, Path(max_length=60, examples=["gpu1"])]

Name = Annotated[str, Field(min_length=1, max_length=200)]
Names = Annotated[list[Name], Field(min_length=1, max_length=1_000)]


def _instant(value: object) -> object:
    """A date or a moment in ISO 8601, UTC where it names no zone. Numbers are refused: 2017 is no second of 1970."""
    if not isinstance(value, str):
        raise ValueError("write it as 2017-01-31 or 2017-01-31T14:00:00Z")
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value[:50]!r} is not a date: write 2017-01-31 or 2017-01-31T14:00:00Z") from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


Instant = Annotated[AwareDatetime, BeforeValidator(_instant)]


class Body(BaseModel):
    """A request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _client(connection: HTTPConnection) -> Client:
    client: Client = connection.app.state.client
    return client


Service = Annotated[Client, Depends(_client)]
