"""Django under ASGI: connections that are kept, not kept, and pools of several sizes.

uvicorn with two workers, fifty clients, and a pooler that takes as many connections as anybody
wants; a view that makes one query. Each round runs every configuration, the next round in the
opposite order, and ratios are taken within a round. Counted are the connections that the pooler had
at the end of the load, and how many were opened in it: each is a login. TLS is on.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import charts as drawing
from . import ratios
from .clients import Found, load
from .servers import Database, database
from .serving import serving
from .sites import DJANGO, OURS, Configuration

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SERVER = "uvicorn"
WORKERS = 2
CLIENTS = 50
#: Of Django's native pool, in each worker.
SIZES = (2, 4, 8, 16)
BASE = "a connection for each request"
KEPT = "kept for 60 seconds"

_OPTIONS = """
from ppg_integrations.django import databases
INSTALLED_APPS = ["ppg_integrations.django", *INSTALLED_APPS]
DATABASES = databases(env_file=BASE_DIR / ".env", {})
"""


def _configured(arguments: str) -> Configuration:
    return Configuration("Django", _OPTIONS.format(arguments), env_file=True)


#: All but the last two with this package's other settings, so that the pool is the difference.
CONFIGURATIONS: dict[str, Configuration] = {
    BASE: _configured("conn_max_age=0"),
    KEPT: _configured("conn_max_age=60"),
    **{
        f"native pool of {size}": _configured(
            f'options={{"pool": {{"min_size": 0, "max_size": {size}}}}}'
        )
        for size in SIZES
    },
    "native pool of Django's own": DJANGO["native pool"],
    OURS: DJANGO[OURS],
}


def measure(*, quick: bool) -> dict[str, Any]:
    """Throughput, latency, connections and logins of each."""
    rounds, seconds = (1, 0.5) if quick else (7, 1.0)
    names = [BASE, "native pool of 4", OURS] if quick else [*CONFIGURATIONS]
    rates: dict[str, list[float]] = {name: [] for name in names}
    found: dict[str, list[Found]] = {name: [] for name in names}
    kept: dict[str, list[int]] = {name: [] for name in names}
    opened: dict[str, list[float]] = {name: [] for name in names}
    with ExitStack() as stack:
        made = stack.enter_context(database(max_clients=2000))
        for number in range(rounds):
            for name in names if number % 2 == 0 else reversed(names):
                _once(made, name, seconds, found[name], kept[name], opened[name])
                # No good answer at all is less than one: ratios need a number.
                rates[name].append(max(found[name][-1].rate, 0.5 / seconds))
    against = ratios.against(rates, BASE)
    return {
        "clients": CLIENTS,
        "workers": WORKERS,
        "rounds": rounds,
        "seconds": seconds,
        "configurations": {
            name: {
                "throughput": against[name],
                "latency": {
                    str(share): ratios.spread(
                        [
                            each.latency(share) / base.latency(share)
                            for each, base in zip(found[name], found[BASE], strict=True)
                            if each.latencies and base.latencies
                        ]
                    )
                    for share in (0.5, 0.99)
                },
                "failed": max(each.failed for each in found[name]),
                "connections": max(kept[name]),
                "logins": ratios.spread(opened[name]),
            }
            for name in names
        },
    }


def _once(
    made: Database,
    name: str,
    seconds: float,
    found: list[Found],
    kept: list[int],
    opened: list[float],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        site = CONFIGURATIONS[name].site(Path(folder), made.pooled, made.direct)
        with serving(site, SERVER, workers=WORKERS) as served:
            load(served.port, "/one", clients=CLIENTS, seconds=0.5)
            before = made.servers.counters(str(made.pooled.database)).pooled_logins
            found.append(load(served.port, "/one", clients=CLIENTS, seconds=seconds))
            kept.append(made.connections())
            after = made.servers.counters(str(made.pooled.database)).pooled_logins
            opened.append((after - before) / max(1, found[-1].requests))


def tables(result: dict[str, Any]) -> str:
    """One table, in which the first row is what the others are compared with."""
    head = (
        f"uvicorn with {result['workers']} workers, {result['clients']} clients, a view of one"
        " query. Throughput and latency are ratios to the first row. "
        + ratios.explained(result["rounds"], result["seconds"])
    )
    columns = (
        "throughput | median latency | 99th percentile | connections | logins for 100 requests"
    )
    lines = [head, "", f"| | {columns} | failed |", "| --- |" + " --- |" * 6]
    for name, each in result["configurations"].items():
        lines.append(
            f"| {name} | {ratios.shown(each['throughput'])} "
            f"| {ratios.shown(each['latency']['0.5'])} | {ratios.shown(each['latency']['0.99'])} "
            f"| {each['connections']} | {100 * each['logins']['median']:.0f} "
            f"| {100 * each['failed']:.1f} % |"
        )
    return "\n".join(lines)


def charts(result: dict[str, Any]) -> dict[str, Figure]:
    """Throughput of each."""
    found = result["configurations"]
    return {
        "pooled_asgi": drawing.bars(
            {name: {name: each["throughput"]} for name, each in found.items()},
            ours=OURS,
            title="Django under uvicorn, 50 clients",
            label=f"throughput, where {BASE} is 1",
        )
    }
