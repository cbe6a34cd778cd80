"""Servers that fail under load: the application is well again, by itself, within seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.resilience import stores
from tests.resilience.faults import FAULTS, RENEWED, Felt, Plant, felt, plant
from tests.resilience.sites import FRAMEWORKS, serving
from tests.support.load import Load, written

#: Of a gthread server here: so many requests may be under way when a server dies.
THREADS = 16
#: Seconds of a fault. Slots that somebody else takes are missed only when connections are renewed.
LASTS = {"PgBouncer at max_client_conn": 2.0, "PostgreSQL at max_connections": 2.0}
#: PgBouncer's own words, to those who wait for a login to PostgreSQL that PAUSE has cut short.
CUT_SHORT = "server login has been failing"
HARMLESS = {"PgBouncer paused", "PgBouncer at max_client_conn"}


@pytest.fixture
def own() -> Iterator[Plant]:
    with plant() as made:
        yield made


@pytest.mark.parametrize(
    ("framework", "faults"),
    [
        ("Django", ["PgBouncer paused", "PgBouncer killed", "PostgreSQL restarted"]),
        ("Flask", ["PgBouncer restarted", "PgBouncer at max_client_conn", "PostgreSQL crashed"]),
    ],
)
def test_the_application_recovers_by_itself(
    framework: str, faults: list[str], own: Plant, tmp_path: Path
) -> None:
    with stores.store(own.servers) as store:
        site = FRAMEWORKS[framework](tmp_path, store.env_file, **RENEWED[framework])
        with serving(site, "gunicorn gthread") as served, Load(served.port, pause=0.05) as load:
            assert load.wait(20, lambda: len({each.body.get("pid") for each in load.answers}) == 2)
            load.wait(1.0)
            for name in faults:
                seconds = LASTS.get(name, 0.5)
                seen = felt(FAULTS[name], own, store, served, load, seconds=seconds, after=0.5)
                _is_well_again(name, seen, site.log.read_text())
            with load.resting():
                began = time.monotonic()
                FAULTS["PgBouncer killed"](own, store, 0.0)
            load.wait(1.0)
        died_idle = [each for each in load.answers if each.began > began]
        assert died_idle
        assert [each for each in died_idle if not each.ok] == []
        rows = store.tokens()
        assert store.connections() == 0
    assert written(load.answers) <= {*rows}
    assert len(rows) == len({*rows})


def _is_well_again(name: str, seen: Felt, log: str) -> None:
    before, after = seen.processes
    said = (
        f"{name}: {[(each.began - seen.ended, each.seconds, each.error) for each in seen.failed]}"
    )
    said = f"{said[:3000]}\n{log[-3000:]}"
    if name in HARMLESS:
        assert [each for each in seen.failed if CUT_SHORT not in each.error] == [], said
    if name.startswith("PgBouncer"):
        # What was under way is lost. What comes later waits for a connection.
        assert len(seen.failed) <= THREADS, said
    assert seen.failed_for < 5, said
    assert seen.longest < 15, said
    assert before.keys() == after.keys(), said
    # Each process has its first thread, and one that looks after connections that rest.
    assert sum(after.values()) <= THREADS + 2 * len(after), said
    assert seen.workers(seen.ended) == {pid for pid, threads in after.items() if threads > 1}, said
    assert seen.connections[1] <= THREADS, said
