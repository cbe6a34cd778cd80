"""Requests a second of views that ask the database once and ten times, in each configuration.

All servers of one kind run side by side, and are idle but for the one that is asked. Every round
asks each of them in turn, the next round in the opposite order, and ratios are taken within a
round. PostgreSQL, PgBouncer in transaction mode and the clients share the machine with the site, by
TLS and SCRAM; so what is seen is what requests cost, all of it together. The views do nothing but
ask: a request that does more gains less.

Eight clients ask without a pause, over connections that they keep where the server does. Answers
that are not 200 count as failed.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import charts as drawing
from .clients import load
from .ratios import against, paired, shown
from .servers import database
from .serving import together
from .sites import ASGI_DJANGO, DJANGO, EXPERT, FLASK, NAIVE, OURS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from .ratios import Spread
    from .servers import Database
    from .serving import Served
    from .sites import Configuration

CLIENTS = 8
#: One process: which of several gets how many of the clients is chance, and would be measured.
WORKERS, THREADS = 1, 8
VIEWS = {"one query": "/one", "ten queries": "/ten"}
#: What is served how. Peers that are documented for one server only run under that.
STAGES: dict[str, tuple[str, Mapping[str, Configuration]]] = {
    "Django, gunicorn gthread": ("gunicorn gthread", DJANGO),
    "Django, gunicorn sync": (
        "gunicorn sync",
        {name: made for name, made in DJANGO.items() if not made.only},
    ),
    "Django, uvicorn": ("uvicorn", ASGI_DJANGO),
    "Flask, gunicorn gthread": ("gunicorn gthread", FLASK),
}


def measure(*, quick: bool) -> dict[str, Any]:
    """Each stage: the ratios of each view, and the failures."""
    with database() as made:
        return {
            stage: staged(
                made,
                server,
                {
                    name: each
                    for name, each in configurations.items()
                    if not quick or name in (NAIVE, EXPERT, OURS)
                },
                rounds=1 if quick else 7,
                seconds=0.3 if quick else 0.5,
            )
            for stage, (server, configurations) in STAGES.items()
        }


def staged(
    made: Database,
    server: str,
    configurations: Mapping[str, Configuration],
    *,
    rounds: int,
    seconds: float,
) -> dict[str, Any]:
    """One stage.

    Args:
        seconds: of each measurement.
    """
    errors: dict[str, Counter[str]] = {name: Counter() for name in configurations}
    requests: Counter[str] = Counter()
    found: dict[str, Any] = {}
    with started(made, server, configurations) as running:

        def rate(name: str, path: str) -> float:
            seen = load(
                running[name].port, path, clients=CLIENTS, seconds=seconds, warm_up=seconds / 4
            )
            requests[name] += seen.requests
            errors[name].update(seen.errors)
            # No good answer at all is less than one: ratios need a number.
            return max(seen.rate, 0.5 / seconds)

        for view, path in VIEWS.items():
            measures = {name: partial(rate, name, path) for name in configurations}
            for each in measures.values():
                each()  # its first connections
            rates = paired(measures, rounds)
            found[view] = {"to expert": against(rates, EXPERT), "to naive": against(rates, NAIVE)}
    found["failed"] = {
        name: {"share": round(sum(each.values()) / requests[name], 4), "kinds": dict(each)}
        for name, each in errors.items()
        if each
    }
    return found


@contextmanager
def started(
    made: Database, server: str, configurations: Mapping[str, Configuration]
) -> Iterator[dict[str, Served]]:
    """Each configuration under a server of its own."""
    with ExitStack() as stack:
        sites = {}
        for name, each in configurations.items():
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ppg-site-")))
            kind = each.only[0] if each.only else server
            sites[name] = (each.site(folder, made.pooled, made.direct), kind)
        yield stack.enter_context(together(sites, workers=WORKERS, threads=THREADS))


def tables(result: dict[str, Any]) -> str:
    """A row for each configuration, a table for each stage."""
    parts = []
    for stage in STAGES:
        found = result[stage]
        head = ["configuration"]
        head += [f"{view}, {peer}" for view in VIEWS for peer in ("to naive", "to expert")]
        head.append("failed")
        rows = [head, ["---"] * len(head)]
        for name in found[next(iter(VIEWS))]["to naive"]:
            row = [f"**{name}**" if name == OURS else name]
            row += [
                shown(found[view][peer][name])
                for view in VIEWS
                for peer in ("to naive", "to expert")
            ]
            failed = found["failed"].get(name)
            row.append(f"{failed['share']:.1%}" if failed else "0")
            rows.append(row)
        parts.append(f"{stage}:\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows))
    return "\n".join(parts)


def charts(result: dict[str, Any]) -> dict[str, Figure]:
    """One for each view."""
    groups: dict[str, dict[str, dict[str, Spread]]] = {
        view: {stage: result[stage][view]["to naive"] for stage in STAGES} for view in VIEWS
    }
    return {
        f"throughput-{view.replace(' ', '-')}": drawing.bars(
            group,
            ours=OURS,
            title=f"Requests a second, {view} each, TLS on",
            label="times the naive configuration",
        )
        for view, group in groups.items()
    }
