"""What hosts need: their registry, the sessions of operations, and settings that are changed while a server runs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the tables."""
    with op.batch_alter_table("operations") as table:
        table.add_column(sa.Column("host", sa.String(60)))
        table.add_column(sa.Column("callback_sha256", sa.String(64)))
    op.create_table(
        "hosts",
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("url", sa.String(300), nullable=False),
        sa.Column("price_per_hour", sa.Float),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_hosts"),
    )
    op.create_table(
        "stored_settings",
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("value", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_stored_settings"),
    )


def downgrade() -> None:
    """Take them away."""
    op.drop_table("stored_settings")
    op.drop_table("hosts")
    with op.batch_alter_table("operations") as table:
        table.drop_column("callback_sha256")
        table.drop_column("host")
