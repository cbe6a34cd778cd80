"""The same views over a network: 2 ms and 20 ms each way between the site and the pooler.

A process in between makes every byte late, and each TCP handshake by a round trip, as a network
does; it also counts how often the site waits for an answer. The clients ask the site on loopback.
Rounds and ratios as in ``throughput``: latencies are those of eight clients that ask without a
pause, and round trips those of one client, one request after the other; the median of some.

Each measurement begins with a warm-up that is longer than a login takes. A configuration rests
while the others are measured, so that a login that is due once a minute would fall into nearly
every window, though that is a second long: the tables are without it, and say what it costs.
"""

from __future__ import annotations

import http.client
import statistics
from collections import Counter
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from . import charts as drawing
from . import reasons
from .clients import load
from .delaying import delaying
from .ratios import against, explained, paired, shown
from .servers import database
from .sites import CHECKED, DJANGO, EXPERT, FLASK, NAIVE, OURS
from .throughput import CLIENTS, VIEWS, named, started, table

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
    "Django": (
        *("dj-database-url", "native pool of 8"),
        *("django-db-connection-pool", "django-db-geventpool"),
    ),
    "Flask": ("Flask-SQLAlchemy",),
}
EXPERTS = (EXPERT, CHECKED, OURS)
#: How many requests are looked at for their round trips.
COUNTED = 5
#: Round trips that a login takes at most, with the query that waits for it. All threads log in at
#: the same time, each in the first request of a client, which begins before what is counted.
LOGIN = 9
#: Seconds after which this package's connections are made anew.
AGE = 60


def measure(*, quick: bool) -> dict[str, Any]:
    """For each delay and framework: ratios of throughput and latencies, and round trips."""
    rounds = 1 if quick else 4
    result: dict[str, Any] = {"rounds": rounds, "networks": {}}
    with database() as made:
        for delay, seconds in [*DELAYS.items()][: 1 if quick else None]:
            for framework, known in (("Django", DJANGO), ("Flask", FLASK)):
                names = (NAIVE, *(() if quick else COMPARED[framework]), *EXPERTS)
                # of a naive request, which takes seven round trips and more, there shall be some
                window = 0.4 if quick else round(0.5 + 15 * seconds, 1)
                with delaying(made.target, seconds) as network:
                    found = measured(
                        made,
                        network,
                        {name: known[name] for name in names},
                        rounds=rounds,
                        seconds=window,
                        warm_up=0.15 + 2 * LOGIN * seconds,
                    )
                one = found["one query"]["round trips"]
                login = one[NAIVE] - one[EXPERT]
                result["networks"][f"{framework}, {delay}"] = {
                    **found,
                    "seconds": window,
                    "login": {"round trips": login, "share": login * 2 * seconds / AGE},
                }
    return result


def measured(
    made: Database,
    network: Network,
    configurations: Mapping[str, Configuration],
    *,
    rounds: int,
    seconds: float,
    warm_up: float,
) -> dict[str, Any]:
    """One framework over one network.

    Args:
        seconds: of each measurement.
        warm_up: seconds before each of them: what is due after a rest is done in them.
    """
    found: dict[str, Any] = {}
    with started(made.through(network.port), SERVER, configurations) as running:
        for served in running.values():  # each thread opens its first connection
            load(served.port, VIEWS["one query"], clients=CLIENTS, seconds=1.0)
        for view, path in VIEWS.items():
            seen: dict[str, list[Found]] = {name: [] for name in configurations}

            def rate(name: str, path: str, seen: dict[str, list[Found]]) -> float:
                port = running[name].port
                found = load(port, path, clients=CLIENTS, seconds=seconds, warm_up=warm_up)
                assert found.latencies, (name, found.errors)
                seen[name].append(found)
                return CLIENTS / found.mean

            measures = {name: partial(rate, name, path, seen) for name in configurations}
            found[view] = {"rate": against(paired(measures, rounds), EXPERT)}
            for title, share in (("p50", 0.5), ("p95", 0.95)):
                late = {name: [one.latency(share) for one in each] for name, each in seen.items()}
                found[view][title] = against(late, EXPERT)
            found[view]["failed"] = {
                name: round(sum(one.failed for one in each) / len(each), 4)
                for name, each in seen.items()
            }
            found[view]["errors"] = {
                name: dict(sum((Counter(one.errors) for one in each), Counter()))
                for name, each in seen.items()
            }
            found[view]["round trips"] = {
                name: trips(network, served, path) for name, served in running.items()
            }
    return found


def trips(network: Network, served: Served, path: str) -> float:
    """How often a request waits for the database, TCP's handshakes included.

    One after the other, with nothing beside them, and the median: one of them may meet a login that
    the others do not. Those that fail are over too soon to count, unless all of them do.
    """
    load(served.port, path, clients=CLIENTS, seconds=0.1)  # no thread has rested
    found: dict[bool, list[int]] = {True: [], False: []}
    with closing(http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)) as asked:
        for _ in range(4 * COUNTED):
            before = network.counts()
            asked.request("GET", path)
            answer = asked.getresponse()
            answer.read()
            seen = network.counts().since(before)
            found[answer.status == 200].append(seen.round_trips + seen.connections)
            if len(found[True]) == COUNTED:
                break
    return statistics.median(found[True] or found[False])


def tables(result: dict[str, Any]) -> str:
    """A table for each framework and delay, the configurations as rows."""
    parts = []
    for title, found in result["networks"].items():
        head = ["configuration"]
        for view in VIEWS:
            head += [f"{view}: round trips", "requests", "p50", "p95"]
        rows = []
        for name in found["one query"]["rate"]:
            row = [named(name)]
            for view in VIEWS:
                row.append(f"{found[view]['round trips'][name]:g}")
                row += [shown(found[view][each][name]) for each in ("rate", "p50", "p95")]
            failed = max(found[view]["failed"][name] for view in VIEWS)
            rows.append([*row, f"{failed:.1%}" if failed else "0"])
        errors = {
            name: sum((Counter(found[view]["errors"][name]) for view in VIEWS), Counter())
            for name in found["one query"]["rate"]
        }
        login = found["login"]
        minute = (
            f"A login takes {login['round trips']:g} round trips: one a minute, which is not in the"
            f" table, is {login['share']:.2%} of what a thread can do in it."
        )
        parts += [
            f"{title} each way, to the expert:",
            table([*head, "failed"], rows),
            f"{explained(result['rounds'], found['seconds'])} {minute}",
            reasons.said(errors),
        ]
    return "\n\n".join(part for part in parts if part)


def charts(result: dict[str, Any]) -> dict[str, Figure]:
    """Latencies of the view with one query."""
    (view, *_) = VIEWS
    groups = {title: found[view]["p50"] for title, found in result["networks"].items()}
    return {
        "delay-latency": drawing.bars(
            groups,
            ours=OURS,
            title=f"Median latency, {view}, by delay of the network each way",
            label="times the expert's",
        )
    }
