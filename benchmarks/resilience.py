"""Rotations and faults of the servers under load: what users notice of them.

    python -m benchmarks.resilience [--seconds 15] [--clients 50] [--json FILE] [--docs FILE]

Real servers on the loopback interface, PgBouncer in transaction mode. Each client asks without a
pause, over one connection, and tries nothing again; every third request writes in a transaction.
Rotations are made by the project's own command while the load goes on. What is counted is seen
from the clients, and proved by the servers: which role answered, whose sessions there are, and that
each acknowledged write is there once.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppg_integrations.providers.local.pgbouncer import Pool
from tests.conftest import UNSAFE_AND_FAST
from tests.resilience import stores
from tests.resilience.faults import FAULTS, RENEWED, felt, plant
from tests.resilience.rotations import rotated
from tests.resilience.sites import FRAMEWORKS, SERVERS, serving
from tests.support.load import Load, written

if TYPE_CHECKING:
    from tests.resilience.faults import Plant

DEFAULT_GRACE = "`rotate` without `--grace`"
#: Seconds after which the old credential ends, where it is not the default that is measured.
GRACE = 5.0
#: Framework, server, what is special in words, settings.
ROTATIONS: list[tuple[str, str, str, dict[str, Any]]] = [
    *((framework, server, "", {}) for framework in FRAMEWORKS for server in SERVERS),
    ("Django", "gunicorn gthread", "`conn_max_age=0`", {"conn_max_age": 0}),
    ("Django", "gunicorn gthread", "`conn_max_age=math.inf`", {"conn_max_age": math.inf}),
    ("Django", "gunicorn gthread", "native pool", {"options": {"pool": True}}),
    ("Django", "uvicorn", "`conn_max_age=0`", {"conn_max_age": 0}),
    ("Django", "uvicorn", "`conn_max_age=60`", {"conn_max_age": 60}),
    ("Django", "uvicorn", "native pool", {"options": {"pool": True}}),
    *((framework, "gunicorn gthread", DEFAULT_GRACE, {}) for framework in FRAMEWORKS),
]
FAULT_SECONDS = 2.0
ROTATION = ["", "server", "requests", "failed", "old one used for", "ended after"]
ROTATION += ["longest request", "connections"]
FAULT = [
    "fault",
    "",
    "lasted",
    "requests",
    "failed",
    "last failure",
    "served again",
    "longest request",
]
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def rotations(seconds: float, clients: int) -> Iterator[dict[str, Any]]:
    """A rotation in each of :data:`ROTATIONS`."""
    with plant(UNSAFE_AND_FAST, Pool()) as made:
        for framework, server, words, options in ROTATIONS:
            with stores.store(made.servers) as store, tempfile.TemporaryDirectory() as folder:
                site = FRAMEWORKS[framework](Path(folder), store.env_file, **options)
                grace = None if words == DEFAULT_GRACE else GRACE
                seen = rotated(store, site, server, seconds=seconds, grace=grace, clients=clients)
            yield {
                "framework": framework,
                "server": server,
                "settings": words,
                "requests": len(seen.answers),
                "failed": len(seen.failed),
                "errors": sorted({answer.error[:200] for answer in seen.failed}),
                "longest": round(max(answer.seconds for answer in seen.answers), 2),
                "old role used for": round(seen.old_for, 2),
                "old role retired after": round(seen.retired - seen.stored, 1),
                "sessions of the old role": seen.sessions.get(seen.before, 0),
                "most connections": seen.connections,
                "writes": len(written(seen.answers)),
                "lost": len(seen.lost),
                "twice": seen.twice,
            }


def faults(clients: int) -> Iterator[dict[str, Any]]:
    """Each fault, under load on each framework."""
    for framework in FRAMEWORKS:
        for name in FAULTS:
            with plant() as made:
                yield {
                    "framework": framework,
                    "fault": name,
                    **_fault(made, framework, name, clients),
                }


def _fault(made: Plant, framework: str, name: str, clients: int) -> dict[str, Any]:
    with stores.store(made.servers) as store, tempfile.TemporaryDirectory() as folder:
        site = FRAMEWORKS[framework](Path(folder), store.env_file, **RENEWED[framework])
        with serving(site, "gunicorn gthread") as served:
            with Load(served.port, clients=clients) as load:
                load.wait(2.0)
                seen = felt(
                    FAULTS[name], made, store, served, load, seconds=FAULT_SECONDS, after=6.0
                )
                before, after = seen.processes
            rows = store.tokens()
    return {
        "lasted": round(seen.ended - seen.began, 2),
        "requests": len(seen.answers),
        "failed": len(seen.failed),
        "errors": sorted({answer.error[:200] for answer in seen.failed}),
        "failed for": round(seen.failed_for, 2),
        "recovered in": round(seen.recovered_in, 2),
        "longest": round(seen.longest, 2),
        "processes": [len(before), len(after)],
        "threads": [sum(before.values()), sum(after.values())],
        "connections": seen.connections,
        "lost": len(written(load.answers) - {*rows}),
        "twice": len(rows) - len({*rows}),
    }


def table(head: list[str], rows: list[list[Any]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def markdown(result: dict[str, Any]) -> str:
    """Both tables."""
    rotated_rows = [
        [
            row["framework"],
            row["server"] + (f", {row['settings']}" if row["settings"] else ""),
            row["requests"],
            row["failed"],
            row["old role used for"],
            row["old role retired after"],
            row["longest"],
            row["most connections"],
        ]
        for row in result["rotations"]
    ]
    fault_rows = [
        [
            row["fault"],
            row["framework"],
            row["lasted"],
            row["requests"],
            row["failed"],
            max(0.0, row["failed for"]) if row["failed"] else "",
            row["recovered in"],
            row["longest"],
        ]
        for row in sorted(result["faults"], key=lambda row: [*FAULTS].index(row["fault"]))
    ]
    return "\n".join((table(ROTATION, rotated_rows), table(FAULT, fault_rows)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--docs", type=Path, help="write the tables there, between two markers")
    asked = parser.parse_args()
    result: dict[str, Any] = {"clients": asked.clients, "seconds": asked.seconds}
    for name, rows in (
        ("rotations", rotations(asked.seconds, asked.clients)),
        ("faults", faults(asked.clients)),
    ):
        result[name] = []
        for row in rows:
            print(json.dumps(row), file=sys.stderr, flush=True)
            result[name].append(row)
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=2) + "\n")
    text = markdown(result)
    if asked.docs:
        head, _, rest = asked.docs.read_text().partition(BEGIN)
        asked.docs.write_text(f"{head}{BEGIN}\n\n{text}\n{END}{rest.partition(END)[2]}")
    print(text)


if __name__ == "__main__":
    main()
