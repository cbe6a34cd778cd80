"""Memory that ours adds to a Django process, against dj-database-url in the same project.

Processes of their own, as a server's workers are, each with a project of four apps. Measured is
what a process has for itself (``Private_Clean`` and ``Private_Dirty`` of
``/proc/self/smaps_rollup``): after ``django.setup()``, and after twenty requests that read through
the embedded PgBouncer over a connection that is kept. What the interpreter's allocator holds is
counted in pages, so the median of several processes is taken.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .ratios import paired
from .servers import database

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .servers import Database
    from .suite import Result

PEER = "dj-database-url"
OURS = "ppg-integrations"
GOAL = 1024  # KiB
DATABASES = {
    PEER: "import dj_database_url\nDATABASES = {'default': dj_database_url.config("
    "conn_max_age=60, conn_health_checks=True)}",
    OURS: "from ppg_integrations.django import databases\nDATABASES = databases()",
}
_PROJECT = """\
{databases}
SECRET_KEY = "for benchmarks only"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = [
    {apps}
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
]
ROOT_URLCONF = "views"
USE_TZ = True
"""
_VIEWS = """\
from django.db import connection
from django.http import HttpResponse
from django.urls import path

def one(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM item WHERE id = 1")
        return HttpResponse(cursor.fetchone()[0])

urlpatterns = [path("", one)]
"""
_PROGRAM = """
import gc, os
os.environ["DJANGO_SETTINGS_MODULE"] = {module!r}

def own():
    gc.collect()
    with open("/proc/self/smaps_rollup") as stream:
        rows = [line.split() for line in stream if line.startswith("Private_")]
    return sum(int(row[1]) for row in rows if row[0] in ("Private_Clean:", "Private_Dirty:"))

import django
django.setup()
from django.core import signals
from django.test.client import Client
client = Client()
started = own()
for _ in range(20):
    # The client's own signals leave connections alone; a server's do not.
    signals.request_started.send(sender=None)
    assert client.get("/").content == b"item 1"
    signals.request_finished.send(sender=None)
print(started, own())
"""


def measure(*, quick: bool) -> Result:
    """See the module; all in KiB."""
    rounds = 3 if quick else 25
    with database() as made, tempfile.TemporaryDirectory(prefix="ppg-bench-") as name:
        folder = Path(name)
        folder.joinpath("views.py").write_text(_VIEWS, encoding="utf-8")
        found: dict[str, list[tuple[float, float]]] = {each: [] for each in DATABASES}

        def once(each: str) -> float:
            found[each].append(used(each, made, folder))
            return found[each][-1][0]

        for number, each in enumerate(DATABASES):
            apps = '"ppg_integrations.django",' if each == OURS else ""
            folder.joinpath(f"{module(number)}.py").write_text(
                _PROJECT.format(databases=DATABASES[each], apps=apps), encoding="utf-8"
            )
            used(each, made, folder)  # the first one writes the bytecode
        paired({each: partial(once, each) for each in DATABASES}, rounds)
    return {"rounds": rounds, "goal KiB": GOAL, **summed(found)}


def module(number: int) -> str:
    """Of the settings."""
    return f"settings{number}"


def used(each: str, made: Database, folder: Path) -> tuple[float, float]:
    """KiB after the setup, and after the requests."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PPG_")}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    environ |= {"DATABASE_URL": made.pooled.reveal(), "DIRECT_URL": made.direct.reveal()}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(module=module([*DATABASES].index(each)))],
        env=environ,
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,
    )
    started, ended = map(float, done.stdout.split())
    return started, ended


def summed(found: dict[str, list[tuple[float, float]]]) -> Result:
    """What each needs, and what ours needs more: the difference of the medians, in KiB."""
    result: Result = {}
    for place, word in enumerate(("after setup", "after requests")):
        medians = {
            each: statistics.median(row[place] for row in rows) for each, rows in found.items()
        }
        result[word] = {
            **medians,
            "added": medians[OURS] - medians[PEER],
            "processes": {each: [row[place] for row in rows] for each, rows in found.items()},
        }
    return result


def tables(result: Result) -> str:
    """What ours adds."""
    lines = [
        "| | added to a Django process | of the process | goal |",
        "|---|---|---|---|",
    ]
    for word in ("after setup", "after requests"):
        row = result[word]
        share = row["added"] / row[PEER]
        goal = f"below {result['goal KiB'] / 1024:g} MiB"
        lines.append(f"| {word} | {row['added']:.0f} KiB | {share:.1%} | {goal} |")
    of = f"of the process's own, the medians of {result['rounds']} processes each"
    lines += ["", f"Against the same project with dj-database-url: memory {of}."]
    return "\n".join(lines)


def charts(result: Result) -> dict[str, Figure]:
    """None: two numbers need no picture."""
    del result
    return {}
