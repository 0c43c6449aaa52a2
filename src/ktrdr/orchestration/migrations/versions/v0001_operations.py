"""The first tables: operations, and the test ranges that models have been judged on."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """Make both tables and their indexes."""
    op.create_table(
        "operations",
        sa.Column("operation_id", sa.String(64), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("owner", sa.String(128), nullable=False),
        sa.Column("strategy_name", sa.String(100), nullable=False),
        sa.Column("request", _JSON, nullable=False),
        sa.Column("execution_mode", sa.String(32), nullable=False),
        sa.Column("execution_reason", sa.Text, nullable=False),
        sa.Column("progress", _JSON),
        sa.Column("result", _JSON),
        sa.Column("error", _JSON),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("started_at", _MOMENT),
        sa.Column("ended_at", _MOMENT),
        sa.PrimaryKeyConstraint("operation_id", name="pk_operations"),
    )
    op.create_index("ix_operations_status_created_at", "operations", ["status", "created_at"])
    op.create_index("ix_operations_created_at", "operations", ["created_at"])
    op.create_table(
        "test_evaluations",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("operation_id", sa.String(64)),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("symbols", _JSON, nullable=False),
        sa.Column("timeframe", sa.String(16), nullable=False),
        sa.Column("range_start", _MOMENT, nullable=False),
        sa.Column("range_end", _MOMENT, nullable=False),
        sa.Column("data_digest", sa.String(128), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_test_evaluations"),
        sa.UniqueConstraint("operation_id", name="uq_test_evaluations_operation_id"),
    )
    op.create_index("ix_test_evaluations_timeframe_range_start", "test_evaluations", ["timeframe", "range_start"])


def downgrade() -> None:
    """Take both tables away."""
    op.drop_table("test_evaluations")
    op.drop_table("operations")
