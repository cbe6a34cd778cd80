"""A small plan, 50 clients of the pooler and 10 direct ones, under 1 to 500 clients of the site.

Each configuration runs under each server: gunicorn with as many threads as the plan has clients,
and with twice as many; uvicorn; Flask with twice as many threads. (gunicorn's sync workers have a
connection each, and stay far below.) The clients come in growing numbers, and at the end one alone,
which meets threads that hold everything and have nothing to do. The view makes one query. A request
that fails is not tried again, and one without an answer has failed, too. TLS is on.

Each round starts every configuration anew, the next round in the opposite order. Latencies are
medians of the rounds, as ratios to the expert's with one client. Of failures the worst round
counts.

One configuration has the two URLs swapped by mistake: nobody notices, until the direct connections
are used up.
"""

from __future__ import annotations

import math
import statistics
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ppg_integrations import drivers

from . import charts as drawing
from . import reasons
from .clients import load
from .ratios import Spread, explained, shown, spread
from .servers import Database, database
from .serving import serving
from .sites import ASGI_DJANGO, DJANGO, EXPERT, FLASK, NAIVE, OURS, Configuration
from .throughput import table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

#: Clients that the pooler takes; its own console is none of them.
CAP: Final = 50
#: Of PostgreSQL: those of the pooler, and ten direct ones.
POOL, DIRECT = 20, 10
CLIENTS: Final = (1, 10, 50, 100, 500)
#: Asked once more at the end.
AGAIN: Final = 1
SHARES: Final = (0.5, 0.99)
#: Of a measurement; twice that with the most clients.
SECONDS: Final = 0.5
SWAPPED: Final = "dj-database-url, URLs swapped"

#: The set-ups that are drawn too, where they are run.
DRAWN = ("twice", "asgi", "flask")


@dataclass(frozen=True)
class Setup:
    """A server, and who runs under it."""

    title: str
    server: str
    workers: int
    threads: int
    configurations: Mapping[str, Configuration]


def _some(configurations: Mapping[str, Configuration], *names: str) -> dict[str, Configuration]:
    return {name: configurations[name] for name in (*names, OURS)}


_README: Final = DJANGO["dj-database-url"]
SETUPS: Final = {
    "fitting": Setup(
        "Django, 50 threads", "gunicorn gthread", 2, CAP // 2, _some(DJANGO, NAIVE, EXPERT)
    ),
    "twice": Setup(
        "Django, 100 threads",
        "gunicorn gthread",
        2,
        CAP,
        {
            SWAPPED: Configuration(_README.framework, _README.settings, swapped=True),
            **_some(
                DJANGO,
                *(NAIVE, "dj-database-url", "native pool", "django-db-connection-pool", EXPERT),
            ),
        },
    ),
    # With the settings of the README: what they are under ASGI is found out.
    "asgi": Setup("Django, uvicorn", "uvicorn", 2, 1, _some(ASGI_DJANGO, NAIVE, EXPERT)),
    "flask": Setup(
        "Flask, 100 threads",
        "gunicorn gthread",
        8,
        CAP // 4,
        _some(FLASK, "Flask-SQLAlchemy", EXPERT),
    ),
}


def measure(*, quick: bool) -> dict[str, Any]:
    """What clients see of each, and in which round."""
    rounds, counts = (1, (1, 100)) if quick else (3, CLIENTS)
    result: dict[str, dict[str, list[Any]]] = {}
    with database(max_clients=CAP, pool_size=POOL, direct=DIRECT) as made:
        for key, setup in SETUPS.items():
            if quick and key not in ("twice", "asgi"):
                continue
            names = [EXPERT, OURS] if quick else [*setup.configurations]
            result[key] = {name: [] for name in names}
            for number in range(rounds):
                for name in names if number % 2 else reversed(names):
                    result[key][name].append(_series(made, setup, name, counts))
    return {"cap": CAP, "direct": DIRECT, "rounds": rounds, "setups": result}


def _series(
    made: Database, setup: Setup, name: str, counts: tuple[int, ...]
) -> list[dict[str, Any]]:
    """One configuration in one round."""
    _fill(made)
    with tempfile.TemporaryDirectory(prefix="ppg-site-") as folder:
        site = setup.configurations[name].site(Path(folder), made.pooled, made.direct)
        with serving(site, setup.server, workers=setup.workers, threads=setup.threads) as served:
            return [_point(served.port, clients) for clients in (*counts, AGAIN)]


def _fill(made: Database) -> None:
    """Has the pooler open all of its connections, so that ten are left for everybody else."""
    with ExitStack() as stack:
        for _ in range(POOL):
            connection = stack.enter_context(drivers.connect(made.pooled))
            connection.execute("BEGIN")  # holds one of the pooler's
            # Left in a transaction, it would be closed.
            stack.callback(connection.execute, "ROLLBACK")


def _point(port: int, clients: int) -> dict[str, Any]:
    # Many clients are slow: those that began in the warm-up shall be done within the time.
    seconds = SECONDS if clients < CLIENTS[-1] else 2 * SECONDS
    found = load(port, "/one", clients=clients, seconds=seconds, warm_up=0.2)
    return {
        "clients": clients,
        "requests": found.requests,
        "failed": found.failed,
        "latency": {str(share): found.latency(share) for share in SHARES},
        "errors": found.errors,
    }


def _failed(rounds: Sequence[Any], place: int) -> float:
    """The share of requests that failed in the worst round."""
    return max(float(points[place]["failed"]) for points in rounds)


def _late(series: Mapping[str, list[Any]], name: str, place: int, share: float) -> Spread | None:
    """A latency of a point in each round, where the median of one client of the expert's is 1.

    None if there was no good answer in any of them.
    """
    base = statistics.median(points[0]["latency"]["0.5"] for points in series[EXPERT])
    found = [points[place]["latency"][str(share)] / base for points in series[name]]
    found = [value for value in found if not math.isnan(value)]
    return spread(found) if found else None


def tables(result: dict[str, Any]) -> str:
    """For each server the share of failed requests, and how much longer the others took."""
    parts = [
        explained(result["rounds"], SECONDS)
        + " Of failures the worst round counts. Latencies are those of good answers, where the"
        " median of the expert's with one client is 1."
    ]
    for key, series in result["setups"].items():
        points = next(iter(series.values()))[0]
        counts = [f"{point['clients']}" for point in points[:-1]] + ["then 1"]
        failed = {
            name: [_failed(rounds, place) for place in range(len(points))]
            for name, rounds in series.items()
        }
        rows = [[name, *map(_share, shares)] for name, shares in failed.items()]
        title = SETUPS[key].title
        parts.append(table([f"{title}: failed, with clients", *counts], rows))
        errors = {
            name: sum(
                (Counter(point["errors"]) for points in rounds for point in points), Counter()
            )
            for name, rounds in series.items()
        }
        parts.append(reasons.said(errors))
        rows = [
            [
                f"{name}, {word}",
                *(_latency(series, name, place, share) for place in range(len(points))),
            ]
            for name in series
            for share, word in zip(SHARES, ("median", "99th"), strict=True)
        ]
        parts.append(table([f"{title}: latency, with clients", *counts], rows))
    return "\n\n".join(part for part in parts if part)


def _share(failed: float) -> str:
    if failed == 0:
        return "0"
    return "**all**" if failed == 1 else f"**{max(failed, 0.001):.1%}**"


def _latency(series: Mapping[str, list[Any]], name: str, place: int, share: float) -> str:
    found = _late(series, name, place, share)
    return "no answer" if found is None else shown(found, 0)


def charts(result: dict[str, Any]) -> dict[str, Figure]:
    """Failed requests over clients, and the latency of the others, where somebody fails most."""
    made: dict[str, Figure] = {}
    for key in DRAWN:
        if key not in result["setups"]:
            continue
        series = result["setups"][key]
        title = SETUPS[key].title
        counts = [point["clients"] for point in next(iter(series.values()))[0][:-1]]
        late = {
            name: [
                (clients, found["median"])
                for place, clients in enumerate(counts)
                if (found := _late(series, name, place, 0.99))
            ]
            for name in series
        }
        made[f"saturation_{key}"] = drawing.lines(
            {
                name: [
                    (clients, 100 * _failed(rounds, place)) for place, clients in enumerate(counts)
                ]
                for name, rounds in series.items()
            },
            ours=OURS,
            title=f"{title}, a plan of {result['cap']} clients, the worst round",
            across="clients of the site",
            label="failed requests, per cent",
            log="x",
        )
        made[f"saturation_{key}_latency"] = drawing.lines(
            {name: points for name, points in late.items() if points},
            ours=OURS,
            title=f"{title}: 99th percentile of the latency",
            across="clients of the site",
            label=f"times the median of {EXPERT} with one client",
            log="xy",
        )
    return made
