"""A small plan, 50 clients of the pooler and 10 direct ones, under 1 to 500 clients of the site.

Each configuration runs under each server: gunicorn with as many threads as the plan has clients,
and with twice as many; gunicorn's sync workers; uvicorn. The clients come in growing numbers, and
at the end one alone, which meets threads that hold everything and have nothing to do. The view
makes one query. A request that fails is not tried again, and one without an answer has failed, too.
TLS is on.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from . import charts as drawing
from .clients import Found, load
from .servers import Database, database
from .serving import serving
from .sites import ASGI_DJANGO, DJANGO, EXPERT, FLASK, NAIVE, OURS, Configuration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

#: Clients that the pooler takes; its own console is none of them.
CAP: Final = 50
#: Of PostgreSQL: those of the pooler, ten direct ones, and three for a superuser.
POOL, DIRECT, RESERVED = 20, 10, 3
CLIENTS: Final = (1, 10, 50, 100, 200, 500)
#: Asked once more at the end.
AGAIN: Final = 1
SHARES: Final = (0.5, 0.95, 0.99)

#: The set-ups that are drawn too.
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


_WSGI = _some(DJANGO, NAIVE, "native pool", EXPERT)
SETUPS: Final = {
    "fitting": Setup("Django, 50 threads", "gunicorn gthread", 2, CAP // 2, _WSGI),
    "twice": Setup("Django, 100 threads", "gunicorn gthread", 2, CAP, _WSGI),
    "sync": Setup("Django, 4 sync workers", "gunicorn sync", 4, 1, _some(DJANGO, NAIVE, EXPERT)),
    "asgi": Setup(
        "Django, uvicorn",
        "uvicorn",
        2,
        1,
        # With the settings of the README: what they are under ASGI is found out.
        _some(ASGI_DJANGO, NAIVE, "native pool", EXPERT, OURS),
    ),
    "flask": Setup(
        "Flask, 100 threads",
        "gunicorn gthread",
        8,
        CAP // 4,
        _some(FLASK, "Flask-SQLAlchemy", EXPERT),
    ),
}


def measure(*, quick: bool) -> dict[str, Any]:
    """What clients see of each."""
    seconds, counts = (0.4, (1, 100)) if quick else (1.0, CLIENTS)
    result: dict[str, Any] = {}
    made_with: dict[str, Any] = {
        "max_clients": CAP,
        "pool_size": POOL,
        "max_connections": POOL + DIRECT + RESERVED,
        "reserved": RESERVED,
    }
    with database(**made_with) as made:
        for key, setup in SETUPS.items():
            if quick and key not in ("twice", "asgi"):
                continue
            names = [EXPERT, OURS] if quick else [*setup.configurations]
            result[key] = {name: _series(made, setup, name, counts, seconds) for name in names}
    return {"cap": CAP, "setups": result}


def _series(
    made: Database, setup: Setup, name: str, counts: tuple[int, ...], seconds: float
) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        site = setup.configurations[name].site(Path(folder), made.pooled, made.direct)
        with serving(site, setup.server, workers=setup.workers, threads=setup.threads) as served:
            return [
                _point(
                    clients,
                    load(served.port, "/one", clients=clients, seconds=seconds, warm_up=0.3),
                )
                for clients in (*counts, AGAIN)
            ]


def _point(clients: int, found: Found) -> dict[str, Any]:
    return {
        "clients": clients,
        "requests": found.requests,
        "failed": found.failed,
        "latency": {str(share): found.latency(share) for share in SHARES},
        "errors": found.errors,
    }


def _base(series: Mapping[str, list[dict[str, Any]]]) -> float:
    """Seconds: the median latency of one client of the expert's settings."""
    return float(series[EXPERT][0]["latency"]["0.5"])


_HEAD: Final = (
    "{title}: failed requests; then the median and the 99th percentile of the latency of the"
    " others, where the median of {base} with one client is 1"
)


def tables(result: dict[str, Any]) -> str:
    """For each server the share of failed requests, and how much longer they took."""
    lines: list[str] = []
    for key, series in result["setups"].items():
        base = _base(series)
        first = next(iter(series.values()))
        counts = [f"{point['clients']}" for point in first[:-1]] + ["then 1"]
        lines += [
            _HEAD.format(title=SETUPS[key].title, base=EXPERT),
            "",
            "| clients | " + " | ".join(counts) + " |",
            "| --- |" + " --- |" * len(counts),
        ]
        lines += [
            f"| {name} | " + " | ".join(_cell(point, base) for point in points) + " |"
            for name, points in series.items()
        ]
        lines.append("")
    return "\n".join(lines)


def _cell(point: dict[str, Any], base: float) -> str:
    median, most = (point["latency"][share] / base for share in ("0.5", "0.99"))
    if point["failed"] == 1:
        return "all"
    failed = f"**{100 * point['failed']:.1f} %**" if point["failed"] else "0"
    return f"{failed}; {median:.0f}, {most:.0f}"


def charts(result: dict[str, Any]) -> dict[str, Figure]:
    """Failed requests over clients, and the latency of the others, where somebody fails most."""
    made: dict[str, Figure] = {}
    for key in DRAWN:
        series = result["setups"][key]
        title, base = SETUPS[key].title, _base(series)
        made[f"saturation_{key}"] = drawing.lines(
            {
                name: [(point["clients"], 100 * point["failed"]) for point in points[:-1]]
                for name, points in series.items()
            },
            ours=OURS,
            title=f"{title}, a plan of {result['cap']} clients",
            across="clients of the site",
            label="failed requests, per cent",
            log="x",
        )
        made[f"saturation_{key}_latency"] = drawing.lines(
            {
                name: [
                    (point["clients"], point["latency"]["0.99"] / base)
                    for point in points[:-1]
                    if point["failed"] < 1
                ]
                for name, points in series.items()
            },
            ours=OURS,
            title=f"{title}: 99th percentile of the latency",
            across="clients of the site",
            label=f"times the median of {EXPERT} with one client",
            log="xy",
        )
    return made
