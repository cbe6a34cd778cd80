"""The same views over a network: 2 ms and 20 ms each way between the site and the pooler.

A process in between makes every byte late, and each TCP handshake by a round trip, as a network
does; it also counts how often the site waits for an answer. The clients ask the site on loopback.
Rounds and ratios as in ``throughput``: latencies are those of eight clients that ask without a
pause, and round trips those of one client, one request after the other.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from . import charts as drawing
from .clients import load
from .delaying import delaying
from .ratios import against, paired, shown
from .servers import database
from .sites import DJANGO, EXPERT, FLASK, NAIVE, OURS
from .throughput import CLIENTS, VIEWS, started

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from .clients import Found
    from .delaying import Network
    from .servers import Database
    from .serving import Served
    from .sites import Configuration

SERVER = "gunicorn gthread"
#: Seconds each way.
DELAYS = {"2 ms": 0.002, "20 ms": 0.020}
COMPARED = {
    "Django": (NAIVE, "dj-database-url", "native pool", "django-db-connection-pool"),
    "Flask": (NAIVE, "Flask-SQLAlchemy"),
}
EXPERTS = (EXPERT, "expert, checked", OURS)


def measure(*, quick: bool) -> dict[str, Any]:
    """For each delay and framework: ratios of throughput and latencies, and round trips."""
    result: dict[str, Any] = {}
    with database() as made:
        for delay, seconds in [*DELAYS.items()][: 1 if quick else None]:
            for framework, known in (("Django", DJANGO), ("Flask", FLASK)):
                names = (*(() if quick else COMPARED[framework]), *EXPERTS)
                with delaying(made.target, seconds) as network:
                    result[f"{framework}, {delay}"] = measured(
                        made,
                        network,
                        {name: known[name] for name in names},
                        rounds=1 if quick else 4,
                        # of a naive request, which takes seven round trips and more, there shall
                        # be some
                        seconds=0.4 if quick else 0.5 + 15 * seconds,
                    )
    return result


def measured(
    made: Database,
    network: Network,
    configurations: Mapping[str, Configuration],
    *,
    rounds: int,
    seconds: float,
) -> dict[str, Any]:
    """One framework over one network.

    Args:
        seconds: of each measurement.
    """
    found: dict[str, Any] = {}
    with started(made.through(network.port), SERVER, configurations) as running:
        for served in running.values():  # each thread opens its first connection
            load(served.port, VIEWS["one query"], clients=CLIENTS, seconds=1.0)
        for view, path in VIEWS.items():
            seen: dict[str, list[Found]] = {name: [] for name in configurations}

            def rate(name: str, path: str, seen: dict[str, list[Found]]) -> float:
                seen[name].append(load(running[name].port, path, clients=CLIENTS, seconds=seconds))
                assert seen[name][-1].latencies, (name, seen[name][-1].errors)
                return CLIENTS / seen[name][-1].mean

            measures = {name: partial(rate, name, path, seen) for name in configurations}
            found[view] = {"rate": against(paired(measures, rounds), EXPERT)}
            for title, share in (("p50", 0.5), ("p95", 0.95)):
                late = {name: [one.latency(share) for one in each] for name, each in seen.items()}
                found[view][title] = against(late, EXPERT)
            found[view]["failed"] = {
                name: round(sum(one.failed for one in each) / len(each), 4)
                for name, each in seen.items()
            }
            found[view]["round trips"] = {
                name: trips(network, served, path) for name, served in running.items()
            }
    return found


def trips(network: Network, served: Served, path: str) -> float:
    """How often one request waits for the database, TCP's handshakes included."""
    before = network.counts()
    seen = load(served.port, path, clients=1, seconds=0.3)
    found = network.counts().since(before)
    return round((found.round_trips + found.connections) / seen.requests, 1)


def tables(result: dict[str, Any]) -> str:
    """A table for each framework and delay, the configurations as rows."""
    parts = []
    for title, found in result.items():
        if title == "on":
            continue
        head = ["configuration"]
        for view in VIEWS:
            head += [f"{view}: round trips", "requests", "p50", "p95"]
        rows = [[*head, "failed"], ["---"] * (len(head) + 1)]
        for name in found[next(iter(VIEWS))]["rate"]:
            row = [f"**{name}**" if name == OURS else name]
            for view in VIEWS:
                row.append(f"{found[view]['round trips'][name]:g}")
                row += [shown(found[view][each][name]) for each in ("rate", "p50", "p95")]
            failed = max(found[view]["failed"][name] for view in VIEWS)
            rows.append([*row, f"{failed:.1%}" if failed else "0"])
        text = "".join(f"| {' | '.join(row)} |\n" for row in rows)
        parts.append(f"{title} each way, to the expert:\n\n{text}")
    return "\n".join(parts)


def charts(result: dict[str, Any]) -> dict[str, Figure]:
    """Latencies of the view with one query."""
    (view, *_) = VIEWS
    groups = {title: found[view]["p50"] for title, found in result.items() if title != "on"}
    return {
        "delay-latency": drawing.bars(
            groups,
            ours=OURS,
            title=f"Median latency, {view}, by delay of the network each way",
            label="times the expert's",
        )
    }
