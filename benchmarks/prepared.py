"""What prepared statements save, behind a pooler that keeps track of them and without one.

In one process, one client: a unit of work is what a request does, with one query for a row by its
primary key, with ten of them, or with one that is more work to plan than to run (a row and six
others by inner joins). Django's is an ORM query between two requests; SQLAlchemy's a checkout from
the pool, so that the connection rolls back after it, or in autocommit, where it does not. Each
round measures each way in turn, the next round in the opposite order, and ratios are taken within a
round.

Through a pooler it needs one that keeps track (PgBouncer 1.21 or later; ``PPG_PGBOUNCER`` names
one). Where the machine's does not, only the figures on direct are taken; the table says so, and
does not replace that of the page.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .preparing import DEFAULT, PREPARED, TABLE, UNITS, WORKS
from .ratios import explained, shown

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from matplotlib.figure import Figure

    from .suite import Result


def measure(*, quick: bool) -> Result:
    """Runs each family in a process of its own."""
    from ppg_integrations import drivers
    from ppg_integrations.probe import probe

    from .servers import database

    rounds, scale = (2, 0.1) if quick else (15, 1.0)
    found: Result = {"rounds": rounds}
    with database() as made:
        with drivers.connect(made.direct) as connection:
            connection.execute(TABLE)
        urls = {"direct": made.direct.reveal()}
        if probe(made.pooled).prepared:
            urls = {"pooled": made.pooled.reveal(), **urls}
        found["pooler"] = str(made.servers.status().pooler)
        for route, url in urls.items():
            found[route] = {}
            for family, work in WORKS.items():
                found[route][family] = apart(work, url, rounds, scale)
    return found


def apart(work: Callable[..., Any], *arguments: object) -> Any:
    """What `work` gives, in a process of its own, which ends with this call."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_send, args=(there, work, *arguments))
    process.start()
    there.close()
    try:
        with here:
            found = here.recv()
        process.join()
        return found
    finally:
        process.terminate()
        process.join()


def _send(there: Connection, work: Callable[..., Any], *arguments: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the benchmark
    there.send(work(*arguments))


def unfit(result: Result) -> str:
    """Why the page keeps what it has; empty if it does not."""
    if "pooled" in result:
        return ""
    return (
        f"{result['pooler']} keeps no track of prepared statements, and the page's table is through"
        " one that does: name a PgBouncer of 1.21 or later in PPG_PGBOUNCER"
    )


def tables(result: Result) -> str:
    """One a route: throughput, where that of the default is 1."""
    text = ["Throughput, where that of the package's default, which prepares nothing, is 1."]
    titles = {"pooled": f"Through {result['pooler']}", "direct": "Straight to PostgreSQL"}
    if "pooled" not in result:
        text.append(f"{result['pooler']} keeps no track of prepared statements: direct only.")
    for route, title in titles.items():
        if route not in result:
            continue
        lines = [f"| {title} | | {' | '.join(UNITS)} |", "| --- | --- | --- | --- | --- |"]
        for family, found in result[route].items():
            for way in next(iter(found.values())):
                if way != DEFAULT:
                    cells = " | ".join(shown(found[kind][way]) for kind in UNITS)
                    lines.append(f"| {family} | {way} | {cells} |")
        text.append("\n".join(lines))
    return "\n\n".join([*text, explained(result["rounds"])])


def charts(result: Result) -> dict[str, Figure]:
    """The pooled route, where there is one."""
    from .charts import bars

    route = "pooled" if "pooled" in result else "direct"
    groups = {
        f"{family}\n{kind}": found[kind]
        for family, found in result[route].items()
        for kind in UNITS
        if kind != "ten queries"
    }
    title = f"Prepared statements, {route}"
    label = "throughput (the default, which prepares nothing, is 1)"
    return {"prepared": bars(groups, ours=PREPARED, title=title, label=label)}
