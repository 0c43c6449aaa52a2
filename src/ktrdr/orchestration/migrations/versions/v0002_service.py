"""What a server needs: a queue with priorities, the idempotency keys of requests, and API keys."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, the key's uniqueness, and the order of the queue."""
    with op.batch_alter_table("operations") as table:
        table.add_column(sa.Column("priority", sa.Integer, nullable=False, server_default="0"))
        table.add_column(sa.Column("idempotency_key", sa.String(255)))
        table.add_column(sa.Column("request_digest", sa.String(64)))
        table.create_unique_constraint("uq_operations_idempotency_key", ["idempotency_key"])
    for order in (["status", "created_at"], ["created_at"]):  # as lists are sorted
        op.drop_index(f"ix_operations_{'_'.join(order)}", "operations")
        op.create_index(f"ix_operations_{'_'.join([*order, 'operation_id'])}", "operations", [*order, "operation_id"])
    op.create_index("ix_operations_owner_status", "operations", ["owner", "status"])
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("secret_sha256", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("key_id", name="pk_api_keys"),
    )


def downgrade() -> None:
    """Take them away."""
    op.drop_table("api_keys")
    op.drop_index("ix_operations_owner_status", "operations")
    for order in (["status", "created_at"], ["created_at"]):
        op.drop_index(f"ix_operations_{'_'.join([*order, 'operation_id'])}", "operations")
        op.create_index(f"ix_operations_{'_'.join(order)}", "operations", order)
    with op.batch_alter_table("operations") as table:
        table.drop_constraint("uq_operations_idempotency_key", type_="unique")
        for column in ("request_digest", "idempotency_key", "priority"):
            table.drop_column(column)
