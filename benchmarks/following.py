"""What a Django request pays for a pair that is followed and connections that are looked after.

    python benchmarks/following.py [--rounds 20] [--seconds 0.3]

First the looks by themselves, in microseconds. Then requests that read one row through the embedded
PgBouncer, in one process and one thread: plain Django with its own health check (a round trip in
each request), plain Django without any, and ours, which tests what was idle. Every round measures
each in turn, the next round in the opposite order, and ratios are taken within a round: a machine
that gets slower meanwhile slows all. Nothing waits for a disk (fsync is off), and the network is
loopback: a round trip to another machine costs more than here.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import timeit
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django
from django.conf import settings
from django.core import signals
from django.db import connections
from django.db.utils import ConnectionHandler
from ratios import spread

from ppg_integrations.django import databases, following, state, wrapping
from ppg_integrations.providers.local.servers import LocalServers

if TYPE_CHECKING:
    from ppg_integrations.providers.base import Generated

KINDS: dict[str, dict[str, Any]] = {
    "no health check": {"conn_health_checks": False, "prepared": False},
    "always checked": {"prepared": False},
    "ours": {},
}


def connect(env_file: Path, *, prepared: bool = True, **arguments: Any) -> None:
    """Settings from the file, and one connection that is kept."""
    for wrapper in connections.all(initialized_only=True):
        wrapper.close()
        del connections[wrapper.alias]
    vars(connections).pop("create_connection", None)
    state.clear()
    made = ConnectionHandler(databases(env_file=env_file, conn_max_age=600, **arguments)).settings
    connections.settings.clear()
    connections.settings.update(made)
    if prepared:
        wrapping.install()
    request()


def request() -> None:
    """What a request is to the database."""
    signals.request_started.send(sender=None)
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()
    signals.request_finished.send(sender=None)


def per_second(seconds: float) -> float:
    """Requests."""
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        request()
        done += 1
    return done / (time.perf_counter() - start)


def microseconds(statement: Any, before: Any = None) -> float:
    """Of one call, the best of several: what disturbs only ever adds."""
    found = []
    for _ in range(7):
        timer = timeit.Timer(lambda: (before and before(), statement()))
        number = 20_000
        whole = timer.timeit(number)
        alone = timeit.Timer(lambda: (before and before(), None)).timeit(number)
        found.append((whole - alone) / number * 1e6)
    return round(min(found), 2)


def looks() -> dict[str, float]:
    """The parts of it, each without a server."""
    wrapper: Any = connections["default"]
    followed = following.followed("default")
    assert followed is not None

    def first() -> None:
        wrapper.health_check_done = False

    return {
        "a look at the store, in a request": microseconds(followed.pair),
        "all of the first query of a request": microseconds(
            wrapper.close_if_health_check_failed, first
        ),
        "each later query": microseconds(wrapper.close_if_health_check_failed),
        "each cursor": round(
            microseconds(wrapper.create_cursor)
            - microseconds(lambda: type(wrapper).create_cursor(wrapper)),
            2,
        ),
    }


def compared(env_file: Path, rounds: int, seconds: float) -> dict[str, Any]:
    """Throughput of ours against each of the others."""
    ratios: dict[str, list[float]] = {kind: [] for kind in KINDS if kind != "ours"}
    rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for number in range(rounds):
        for kind in KINDS if number % 2 else reversed(KINDS):
            connect(env_file, **KINDS[kind])
            per_second(seconds / 5)
            rates[kind].append(per_second(seconds))
        for kind, found in ratios.items():
            found.append(rates["ours"][-1] / rates[kind][-1])
    return {
        "requests a second, median": {
            kind: round(statistics.median(found)) for kind, found in rates.items()
        },
        "throughput of ours, as a share of the other's": {
            kind: spread(found) for kind, found in ratios.items()
        },
    }


def store(folder: Path, generated: Generated) -> Path:
    path = folder / ".env"
    path.write_text(
        f"DATABASE_URL='{generated.pooled.reveal()}'\nDIRECT_URL='{generated.direct.reveal()}'\n"
    )
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=0.3)
    asked = parser.parse_args()
    settings.configure(INSTALLED_APPS=[], USE_TZ=True)
    connections.settings.clear()
    django.setup()
    with tempfile.TemporaryDirectory(prefix="ppg-benchmark-") as folder:
        Path(folder).chmod(0o711)
        servers = LocalServers(
            Path(folder, "app/.ppg/local"), settings={"fsync": "off", "full_page_writes": "off"}
        )
        try:
            servers.start()
            env_file = store(Path(folder), servers.generate("benchmark", database="benchmark"))
            connect(env_file)
            result = {
                "django": django.get_version(),
                "microseconds": looks(),
                "rounds": asked.rounds,
                **compared(env_file, asked.rounds, asked.seconds),
            }
            connections.close_all()
        finally:
            servers.erase()
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
