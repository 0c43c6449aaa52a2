"""The tables of the operation store, as the code expects them; the migrations make a database look like this."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB

REVISIONS = ("0001", "0002", "0003")
"""Every revision of the tables, oldest first: a database at any other was written by a newer program."""

HEAD = REVISIONS[-1]


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware on the way in, UTC on the way out, also where the database keeps no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The moment in UTC; a naive one is a mistake of the caller."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without its zone cannot be stored")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The moment as stored, marked as UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

operations = Table(
    "operations",
    metadata,
    Column("operation_id", String(64), primary_key=True),
    Column("type", String(32), nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("owner", String(128), nullable=False),
    Column("strategy_name", String(100), nullable=False),
    Column("request", Json, nullable=False),
    Column("execution_mode", String(32), nullable=False),
    Column("execution_reason", Text, nullable=False),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("idempotency_key", String(255)),
    Column("request_digest", String(64)),
    Column("host", String(60)),
    Column("callback_sha256", String(64)),
    Column("progress", Json),
    Column("result", Json),
    Column("error", Json),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    UniqueConstraint("idempotency_key"),
    Index(None, "status", "created_at", "operation_id"),
    Index(None, "owner", "status"),
    Index(None, "created_at", "operation_id"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", String(16), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("scope", String(16), nullable=False),
    Column("secret_sha256", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
)

hosts = Table(
    "hosts",
    metadata,
    Column("name", String(60), primary_key=True),
    Column("url", String(300), nullable=False),
    Column("price_per_hour", Float),
    Column("added_at", UtcDateTime, nullable=False),
)

stored_settings = Table(
    "stored_settings",
    metadata,
    Column("name", String(60), primary_key=True),
    Column("value", Json, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)

evaluated_ranges = Table(
    "test_evaluations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("operation_id", String(64)),
    Column("model", Text, nullable=False),
    Column("symbols", Json, nullable=False),
    Column("timeframe", String(16), nullable=False),
    Column("range_start", UtcDateTime, nullable=False),
    Column("range_end", UtcDateTime, nullable=False),
    Column("data_digest", String(128), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    UniqueConstraint("operation_id"),
    Index(None, "timeframe", "range_start"),
)
