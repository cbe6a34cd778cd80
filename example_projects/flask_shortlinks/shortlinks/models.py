from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Row, String, Text, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from .database import db
from .slugs import MAX_LENGTH, random_slug


class Link(db.Model):
    """A short link to a long address."""

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    slug: Mapped[str] = mapped_column(String(MAX_LENGTH), unique=True)
    target: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Clicks(db.Model):
    """How often a link was followed on one day, in UTC."""

    link_id: Mapped[int] = mapped_column(ForeignKey(Link.id, ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    count: Mapped[int]


def add_link(target: str, slug: str = "") -> Link | None:
    """Stores a link under a random slug, or under the given one; None if that is taken."""
    while True:
        link = db.session.scalar(
            insert(Link)
            .values(target=target, slug=slug or random_slug())
            .on_conflict_do_nothing(index_elements=[Link.slug])
            .returning(Link)
        )
        if link is not None or slug:
            return link


def count_click(link: Link) -> None:
    """One more for today, in one statement: two at once are counted as two."""
    first = insert(Clicks).values(link_id=link.id, day=_today(), count=1)
    db.session.execute(
        first.on_conflict_do_update(
            index_elements=[Clicks.link_id, Clicks.day], set_={"count": Clicks.count + 1}
        )
    )


def latest(limit: int) -> Sequence[Row[tuple[Link, int]]]:
    """The newest links, each with all its clicks."""
    total = func.coalesce(func.sum(Clicks.count), 0)
    links = select(Link, total.label("clicks")).outerjoin(Clicks).group_by(Link.id)
    return db.session.execute(links.order_by(Link.id.desc()).limit(limit)).all()


def clicks_by_day(link: Link, days: int) -> dict[date, int]:
    """The last `days` days, the latest first, with those on which nobody followed the link."""
    today = _today()
    wanted = [today - timedelta(days=number) for number in range(days)]
    found = select(Clicks.day, Clicks.count).where(
        Clicks.link_id == link.id, Clicks.day >= wanted[-1]
    )
    counts = dict(db.session.execute(found).all())
    return {day: counts.get(day, 0) for day in wanted}


def total_clicks(link: Link) -> int:
    total = select(func.coalesce(func.sum(Clicks.count), 0)).where(Clicks.link_id == link.id)
    return db.session.scalars(total).one()


def _today() -> date:
    return datetime.now(timezone.utc).date()
