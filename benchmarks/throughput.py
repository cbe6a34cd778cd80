"""Requests a second of views that ask the database once and ten times, in each configuration.

All servers of one kind run side by side, and are idle but for the one that is asked. Every round
asks each of them in turn, the next round in the opposite order, and ratios are taken within a
round. PostgreSQL, PgBouncer in transaction mode and the clients share the machine with the site, by
TLS and SCRAM; so what is seen is what requests cost, all of it together. The views do nothing but
ask: a request that does more gains less.

Eight clients ask without a pause, over connections that they keep where the server does. Answers
that are not 200 count as failed, and not as throughput.

One stage is repeated without TLS to the pooler, to see what of it the handshakes were.
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
from . import reasons
from .clients import load
from .ratios import against, explained, paired, shown
from .servers import database
from .serving import together
from .sites import ASGI_DJANGO, DJANGO, EXPERT, FLASK, NAIVE, OURS, README

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
#: The stage and the view that are repeated without TLS, and by whom.
PLAIN, PLAIN_VIEW = "Django, gunicorn gthread", "one query"
FEW = (NAIVE, EXPERT, OURS)


def measure(*, quick: bool) -> dict[str, Any]:
    """Each stage: the ratios of each view, and the failures."""
    rounds, seconds = (1, 0.3) if quick else (7, 0.5)
    found: dict[str, Any] = {}
    with database(client_tls_sslmode="allow") as made:
        for stage, (server, known) in STAGES.items():
            some = {name: known[name] for name in (FEW if quick else known)}
            found[stage] = staged(made, server, some, VIEWS, rounds=rounds, seconds=seconds)
        server, known = STAGES[PLAIN]
        view = {PLAIN_VIEW: VIEWS[PLAIN_VIEW]}
        some = {name: known[name] for name in FEW}
        plain = staged(made.plain(), server, some, view, rounds=rounds, seconds=seconds)
    return {"rounds": rounds, "seconds": seconds, "stages": found, "without TLS": plain}


def staged(
    made: Database,
    server: str,
    configurations: Mapping[str, Configuration],
    views: Mapping[str, str],
    *,
    rounds: int,
    seconds: float,
) -> dict[str, Any]:
    """One stage.

    Args:
        views: names and paths.
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

        for view, path in views.items():
            measures = {name: partial(rate, name, path) for name in configurations}
            for served in running.values():  # the first connections
                load(served.port, path, clients=CLIENTS, seconds=seconds / 2)
            rates = paired(measures, rounds)
            found[view] = {"to expert": against(rates, EXPERT), "to naive": against(rates, NAIVE)}
            (framework,) = {each.framework for each in configurations.values()}
            if README[framework] in rates:
                ours = {name: rates[name] for name in (README[framework], OURS)}
                found[view]["to README"] = against(ours, README[framework])[OURS]
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
    peers = ("to naive", "to expert")
    parts = [explained(result["rounds"], result["seconds"])]
    for stage, found in result["stages"].items():
        head = [f"{view}, {peer}" for view in VIEWS for peer in peers]
        rows = []
        for name in found["one query"]["to naive"]:
            failed = found["failed"].get(name)
            rows.append(
                [
                    named(name),
                    *(shown(found[view][peer][name]) for view in VIEWS for peer in peers),
                    f"{failed['share']:.1%}" if failed else "0",
                ]
            )
        parts += [f"{stage}:", table(["configuration", *head, "failed"], rows)]
        if "to README" in found["one query"]:
            framework = stage.partition(",")[0]
            ratios = (f"{shown(found[view]['to README'])} with {view}" for view in VIEWS)
            parts.append(f"{OURS} to the row {README[framework]}: {', '.join(ratios)}.")
        kinds = {name: each["kinds"] for name, each in found["failed"].items()}
        parts.append(reasons.said(kinds))
    with_tls, without = result["stages"][PLAIN], result["without TLS"]
    rows = [
        [named(name), *(shown(each[PLAIN_VIEW]["to naive"][name]) for each in (with_tls, without))]
        for name in FEW
    ]
    parts += [
        f"{PLAIN}, {PLAIN_VIEW}, to naive, and the same without TLS to the pooler:",
        table(["configuration", "with TLS", "without TLS"], rows),
    ]
    return "\n\n".join(part for part in parts if part)


def named(configuration: str) -> str:
    """In a table: ours stands out."""
    return f"**{configuration}**" if configuration == OURS else configuration


def table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def charts(result: dict[str, Any]) -> dict[str, Figure]:
    """One for each view."""
    groups: dict[str, dict[str, dict[str, Spread]]] = {
        view: {stage: found[view]["to naive"] for stage, found in result["stages"].items()}
        for view in VIEWS
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
