"""Answers to requests of the API that may be sent twice."""

import sqlalchemy as sa
from alembic import op

revision = "0005_kept_answers"
down_revision = "0004_accounts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "kept_answers",
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("expires", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["people.id"], name=op.f("fk_kept_answers_person"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("person", "key", name=op.f("pk_kept_answers")),
    )
    op.create_index(op.f("ix_kept_answers_expires"), "kept_answers", ["expires"], unique=False)
