"""Holds on plants, what organizations ask of connections, declared purposes, and the record of plants' events."""

import sqlalchemy as sa
from alembic import op

revision = "0002_holds_and_purposes"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "holds",
        sa.Column("plant", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["plant"], ["plants.id"], name=op.f("fk_holds_plant")),
        sa.PrimaryKeyConstraint("plant", "scope", name=op.f("pk_holds")),
    )
    op.create_table(
        "connection_policies",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("purpose_required", sa.Boolean(), nullable=False),
        sa.Column("longest_purpose", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization"], ["organizations.id"], name=op.f("fk_connection_policies_organization")
        ),
        sa.PrimaryKeyConstraint("organization", name=op.f("pk_connection_policies")),
    )
    op.create_table(
        "purposes",
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("plant", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("starts", sa.Double(), nullable=False),
        sa.Column("ends", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["people.id"], name=op.f("fk_purposes_person")),
        sa.ForeignKeyConstraint(["plant"], ["plants.id"], name=op.f("fk_purposes_plant")),
        sa.PrimaryKeyConstraint("person", "plant", name=op.f("pk_purposes")),
    )
    op.create_index(op.f("ix_purposes_plant"), "purposes", ["plant"], unique=False)
    op.create_table(
        "plant_events",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("plant", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plant_events")),
    )
    op.create_index(op.f("ix_plant_events_plant"), "plant_events", ["plant"], unique=False)
    op.create_index(op.f("ix_plant_events_at"), "plant_events", ["at"], unique=False)
