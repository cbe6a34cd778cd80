"""A rotation in the middle of a load, by the real command, and what it did to the load."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.resilience.sites import Site, serving
from tests.resilience.stores import Store
from tests.support.load import Answer, Load, written

#: Seconds that each worker gets to see a request, and the file.
SOON = 20.0
BAD = "; the last good pair stays in use"
ELSEWHERE = " leads to another database now "


@dataclass(frozen=True)
class Rotation:
    """What was seen.

    Attributes:
        answers: all of them.
        before, after: the roles that the file named.
        stored, retired: when it changed, and when the old one had ended, by ``time.monotonic()``.
        sessions: how many sessions of the database each role has at the end, under load.
        rows: of the table at the end, by token.
        connections: the most that the site had at the pooler at a time.
        log: what the server printed.
    """

    answers: list[Answer]
    before: str
    after: str
    stored: float
    retired: float
    sessions: dict[str, int]
    rows: list[str]
    connections: int
    log: str

    @property
    def failed(self) -> list[Answer]:
        return [answer for answer in self.answers if not answer.ok]

    @property
    def old_for(self) -> float:
        """Seconds after the file's change at which a request was last served by the old role."""
        last = (each.ended for each in self.answers if each.body.get("role") == self.before)
        return max(0.0, max(last) - self.stored)

    @property
    def lost(self) -> set[str]:
        """Writes that were said to be done, and are not."""
        return written(self.answers) - {*self.rows}

    @property
    def twice(self) -> int:
        """How many rows there are too many: of writes that were done again."""
        return len(self.rows) - len({*self.rows})


def rotated(
    store: Store,
    site: Site,
    server: str,
    *,
    seconds: float,
    grace: float | None,
    clients: int = 50,
    pause: float = 0.0,
    spoilt: bool = False,
) -> Rotation:
    """Serves a site, loads it, and rotates in the middle.

    Args:
        seconds: of load before and after the command, together.
        grace: of ``rotate``; None for its default.
        pause: of the load.
        spoilt: the file is bad for a while before that, until each worker has said so.
    """
    before = store.role
    connections = []

    def count() -> bool:
        connections.append(store.connections())
        return False

    wish = [] if grace is None else ["--grace", f"{grace:g}"]
    with (
        serving(site, server) as served,
        Load(served.port, clients=clients, pause=pause) as load,
    ):
        load.wait(seconds / 2, count)
        if spoilt:
            workers = len(served.processes()) - 1
            for said in spoil(store):
                heard = load.wait(
                    SOON if said else 0.2,
                    lambda said=said: bool(said) and site.log.read_text().count(said) == workers,
                )
                assert heard or not said, site.log.read_text()
        site.ppg("rotate", *wish)
        retired = time.monotonic()
        stored = retired - time.time() + store.env_file.stat().st_mtime
        load.wait(seconds / 2, count)
        sessions = store.sessions()
    return Rotation(
        load.answers,
        before,
        store.role,
        stored,
        retired,
        sessions,
        store.tokens(),
        max(connections),
        site.log.read_text(),
    )


def spoil(store: Store) -> Iterator[str]:
    """Makes the file bad in one way after the other, and good again at last.

    Yields:
        What each process says of it then; empty for nothing new.
    """
    good = store.env_file.read_bytes()
    elsewhere = good.replace(b"/" + store.database.encode(), b"/postgres")
    # What is still bad is news to nobody.
    for bad, said in ((b"", BAD), (b"\xff\x00\x1b[31m", ""), (elsewhere, ELSEWHERE), (good, "")):
        replacement = store.env_file.with_suffix(".new")
        replacement.write_bytes(bad)
        replacement.replace(store.env_file)
        yield said
