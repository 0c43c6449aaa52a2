"""API keys: who may do what on a server."""

from datetime import datetime
from enum import StrEnum

from ktrdr.contracts.values import Value


class Scope(StrEnum):
    """What a key allows; each scope includes those before it."""

    READ = "read"
    TRAIN = "train"
    ADMIN = "admin"

    def allows(self, wanted: "Scope") -> bool:
        order = list(Scope)
        return order.index(self) >= order.index(wanted)


class ApiKey(Value):
    """A key as it is listed: never its secret."""

    key_id: str
    name: str
    scope: Scope
    created_at: datetime
    revoked_at: datetime | None = None
