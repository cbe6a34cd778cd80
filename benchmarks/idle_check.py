"""What testing an idle connection costs a request: never, always, and as this package does it.

*Never* trusts the connection, and a request that meets a dead one fails. *Always* is Django's
``CONN_HEALTH_CHECKS`` and SQLAlchemy's ``pool_pre_ping``: a round trip before the first query of
each request. *Ours* asks the server only after some seconds without use, and the kernel before
that; it also looks, by one stat of the ``.env`` file, for a pair that a rotation has changed.

One process for each, with one connection that is kept, through the embedded PgBouncer with TLS: a
request takes it, reads one row and gives it back. Once on the loopback interface, where a test is
as cheap as it can be, and once with a network of 2 ms each way. Requests a second, as a share of
*never* in the same round; every second round takes them in the opposite order.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from .delaying import delaying
from .ratios import against, explained, paired, shown
from .servers import database

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .delaying import Network
    from .servers import Database
    from .suite import Result

NEVER, ALWAYS, OURS = "never", "always", "ppg-integrations"
#: Seconds that a network takes, each way.
NETWORKS = {"loopback": 0.0, "2 ms each way": 0.002}

_LOOP = """
import sys, time
for line in sys.stdin:
    seconds, done, started = float(line), 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        request()
        done += 1
    print(done / (time.perf_counter() - started), flush=True)
"""
_DJANGO = """
import django
from django.conf import settings
{before}
settings.configure(INSTALLED_APPS=[{apps}], DATABASES={databases})
django.setup()
from django.core import signals
from django.db import connection

def request():
    signals.request_started.send(sender=None)
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM item WHERE id = 1")
        cursor.fetchone()
    signals.request_finished.send(sender=None)
"""
_PEER = "{{'default': dj_database_url.config(conn_max_age=600, conn_health_checks={checks})}}"
_SQLALCHEMY = """
import os
import sqlalchemy
{engine}
query = sqlalchemy.text("SELECT name FROM item WHERE id = 1")

def request():
    with made.connect() as connection:
        connection.execute(query).fetchone()
"""
_CREATED = """
url = sqlalchemy.make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+psycopg")
made = sqlalchemy.create_engine(url, pool_pre_ping={checks},
                                connect_args={{"prepare_threshold": None}})
"""
_OURS = """
from ppg_integrations.current import follow
from ppg_integrations.endpoint import Endpoint
from ppg_integrations.sqlalchemy.engines import engine
made = engine(Endpoint(follow(env_file=".env")), options={})
"""
PROGRAMS = {
    "Django": {
        NEVER: _DJANGO.format(
            before="import dj_database_url", apps="", databases=_PEER.format(checks=False)
        ),
        ALWAYS: _DJANGO.format(
            before="import dj_database_url", apps="", databases=_PEER.format(checks=True)
        ),
        OURS: _DJANGO.format(
            before="from ppg_integrations.django import databases",
            apps='"ppg_integrations.django"',
            databases='databases(".env", conn_max_age=600)',
        ),
    },
    "SQLAlchemy": {
        NEVER: _SQLALCHEMY.format(engine=_CREATED.format(checks=False)),
        ALWAYS: _SQLALCHEMY.format(engine=_CREATED.format(checks=True)),
        OURS: _SQLALCHEMY.format(engine=_OURS),
    },
}


def measure(*, quick: bool) -> Result:
    """See the module."""
    rounds, seconds = (2, 0.2) if quick else (20, 0.4)
    result: Result = {
        "rounds": rounds,
        "seconds": seconds,
        "share of never": {},
        "round trips": {},
    }
    with database() as made:
        for network, late in NETWORKS.items():
            with ExitStack() as stack:
                place, between = made, None
                if late:
                    between = stack.enter_context(delaying(made.target, late))
                    place = made.through(between.port)
                for framework, programs in PROGRAMS.items():
                    with running(programs, place) as rates:
                        for rate in rates.values():
                            rate(seconds)
                        found = paired(
                            {kind: partial(rate, seconds) for kind, rate in rates.items()}, rounds
                        )
                        if between is not None:
                            result["round trips"][framework] = {
                                kind: trips(between, rate) for kind, rate in rates.items()
                            }
                    result["share of never"][f"{framework}, {network}"] = against(found, NEVER)
    return result


@contextmanager
def running(
    programs: dict[str, str], made: Database
) -> Iterator[dict[str, Callable[[float], float]]]:
    """A process for each, and how to have it work for some seconds: it gives requests a second."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PPG_")}
    urls = {"DATABASE_URL": made.pooled.reveal(), "DIRECT_URL": made.direct.reveal()}
    for name in urls:
        plain.pop(name, None)
    with tempfile.TemporaryDirectory(prefix="ppg-bench-") as name, ExitStack() as stack:
        Path(name, ".env").write_text(
            "".join(f"{each}='{url}'\n" for each, url in urls.items()), encoding="utf-8"
        )
        rates = {}
        for kind, program in programs.items():
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", program + _LOOP],
                    env=plain if kind == OURS else {**plain, **urls},
                    cwd=name,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    start_new_session=True,  # Ctrl-C is for the benchmark
                )
            )
            assert process.stdin is not None
            assert process.stdout is not None
            stack.callback(process.stdin.close)  # which ends it
            rates[kind] = partial(rate, process.stdin, process.stdout)
        yield rates


def rate(asked: IO[str], answers: IO[str], seconds: float) -> float:
    """Requests a second that a process makes while the others wait."""
    asked.write(f"{seconds}\n")
    asked.flush()
    return float(answers.readline())


def trips(between: Network, work: Callable[[float], float]) -> float:
    """Round trips that a request takes, counted by the network; for about a second."""
    before = between.counts().round_trips
    done = work(1.0)
    return round((between.counts().round_trips - before) / done, 1)


def tables(result: Result) -> str:
    """Throughput, and what that is of a request."""
    lines = [
        "Requests that read one row: throughput, as a share of that without any test.",
        "",
        f"| | {ALWAYS} | {OURS} |",
        "|---|---|---|",
    ]
    for place, found in result["share of never"].items():
        lines.append(f"| {place} | {shown(found[ALWAYS])} | {shown(found[OURS])} |")
    lines += [
        "",
        f"| round trips of a request | {NEVER} | {ALWAYS} | {OURS} |",
        "|---|---|---|---|",
    ]
    for framework, found in result["round trips"].items():
        counts = (f"{found[kind]:g}" for kind in (NEVER, ALWAYS, OURS))
        lines.append(f"| {framework} | {' | '.join(counts)} |")
    lines += [
        "",
        "SQLAlchemy's own two beside the query are `BEGIN` and `ROLLBACK`. "
        + explained(result["rounds"], result["seconds"]),
    ]
    lines += ["", "![What a test of idle connections leaves](benchmarks/idle_check.svg)"]
    return "\n".join(lines)


def charts(result: Result) -> dict[str, Figure]:
    """A group for each place."""
    from .charts import bars

    return {
        "idle_check": bars(
            result["share of never"],
            ours=OURS,
            title="Testing idle connections: throughput that is left",
            label="share of the throughput without any test",
        )
    }
