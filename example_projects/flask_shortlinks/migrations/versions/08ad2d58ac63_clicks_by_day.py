"""clicks by day

The counter of each link becomes a row for the day on which the link was made: that is all that is
known of those clicks. ``op.get_bind()`` is the connection that the other operations use, so all of
it is one transaction, on the direct endpoint. ``db.session`` would bring a connection of its own,
which cannot see the new table, and would wait for ever for one that is being altered.

Revision ID: 08ad2d58ac63
Revises: 8c33bd40608f
Create Date: 2026-11-22 03:47:49.972424

"""

import sqlalchemy as sa
from alembic import op

# revision identifiers, used by Alembic.
revision = "08ad2d58ac63"
down_revision = "8c33bd40608f"
branch_labels = None
depends_on = None

# As they are at this point: models change, a migration does not.
link = sa.table(
    "link",
    sa.column("id", sa.BigInteger),
    sa.column("clicks", sa.Integer),
    sa.column("created_at", sa.DateTime(timezone=True)),
)
clicks = sa.table(
    "clicks",
    sa.column("link_id", sa.BigInteger),
    sa.column("day", sa.Date),
    sa.column("count", sa.Integer),
)


def upgrade() -> None:
    op.create_table(
        "clicks",
        sa.Column("link_id", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["link_id"], ["link.id"], name=op.f("clicks_link_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("link_id", "day", name=op.f("clicks_pkey")),
    )
    day = sa.cast(sa.func.timezone("UTC", link.c.created_at), sa.Date)
    counted = sa.select(link.c.id, day, link.c.clicks).where(link.c.clicks > 0)
    op.get_bind().execute(clicks.insert().from_select(["link_id", "day", "count"], counted))
    with op.batch_alter_table("link", schema=None) as batch_op:
        batch_op.drop_column("clicks")


def downgrade() -> None:
    with op.batch_alter_table("link", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("clicks", sa.Integer(), server_default=sa.text("0"), nullable=False)
        )
    total = sa.select(sa.func.coalesce(sa.func.sum(clicks.c.count), 0))
    total = total.where(clicks.c.link_id == link.c.id).scalar_subquery()
    op.get_bind().execute(link.update().values(clicks=total))
    op.drop_table("clicks")
