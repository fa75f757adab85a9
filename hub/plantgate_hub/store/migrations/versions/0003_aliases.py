"""Alias prefixes of people."""

import sqlalchemy as sa
from alembic import op

revision = "0003_aliases"
down_revision = "0002_holds_and_purposes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "aliases",
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("subnet", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["people.id"], name=op.f("fk_aliases_person")),
        sa.ForeignKeyConstraint(["subnet"], ["subnets.id"], name=op.f("fk_aliases_subnet")),
        sa.PrimaryKeyConstraint("person", "subnet", "address", name=op.f("pk_aliases")),
    )
    op.create_index(op.f("ix_aliases_subnet"), "aliases", ["subnet"], unique=False)
