"""What a settings import pays: ours against dj-database-url and django-environ, in new processes.

Three places to look from, each in an interpreter of its own:

``interpreter``
    nothing but Python has been loaded: the import and the call, with all that they load.
``settings``
    Django's ``manage.py`` is about to import the settings: most of what the others load is there
    already, and little is left to compare with.
``setup``
    a small project with four apps of Django's: all that ``django.setup()`` does. Ours has its own
    app beside them.

What is measured is processor time: a settings import waits for nothing, and other work on the
machine does not count. Everything has its bytecode. Every second round takes them in the opposite
order, and ratios are taken within a round.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.doubles.neon import NeonDouble

from .ratios import against, explained, paired, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .suite import Result

URL = "postgresql://app:secret@pooled.db.prisma.io:5432/postgres?sslmode=require"
URLS = {"DATABASE_URL": URL, "DIRECT_URL": URL.replace("pooled.", "")}

PEER = "dj-database-url"
OURS = "ppg-integrations"
CACHED = "ppg-integrations, cached answer of an API"
#: What stands in the settings: an import and a value. Options of a README cost nothing here.
SETTINGS = {
    PEER: ("import dj_database_url", "{'default': dj_database_url.config()}"),
    "dj-database-url, both URLs": (
        "import dj_database_url",
        "{'default': dj_database_url.config(), 'direct': dj_database_url.config('DIRECT_URL')}",
    ),
    "django-environ": ("import environ", "{'default': environ.Env().db()}"),
    OURS: ("from ppg_integrations.django import databases", "databases()"),
    CACHED: ("from ppg_integrations.django import databases", "databases()"),
}

_TIMED = """
import sys, time
{before}
started = time.process_time()
{timed}
print(time.process_time() - started)
heavy = {{"httpx", "psycopg", "dotenv", "filelock", "platformdirs"}} & set(sys.modules) - known
assert not heavy, heavy
"""
_BEFORE = {
    "interpreter": "",
    "settings": "import django.conf, django.core.management",
    "setup": "import os; os.environ['DJANGO_SETTINGS_MODULE'] = {module!r}",
}
_PROJECT = """\
{statement}
DATABASES = {value}
SECRET_KEY = "for benchmarks only"
INSTALLED_APPS = [
    {apps}
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
]
USE_TZ = True
"""
GOALS = {OURS: 1.1, CACHED: 1.5}
_WORDS = """\
Processor time against `dj_database_url.config()`, which is 1. *Import and call* is a new
interpreter that has loaded nothing: what each of them brings with it counts, and the goals are for
this. *Beside Django* is the same where `manage.py` has loaded Django already, so that nothing but
the package's own modules is left: one of dj-database-url's, and about thirty of ours. *All of
`django.setup()`* is what a process notices of that: a small project with four apps, and ours with
its own app beside them."""


def measure(*, quick: bool) -> Result:
    """See the module."""
    rounds = {"interpreter": 3, "settings": 3, "setup": 2}
    if not quick:
        rounds = {"interpreter": 60, "settings": 60, "setup": 30}
    result: Result = {"rounds": rounds, "goals": GOALS}
    with environments() as environs, tempfile.TemporaryDirectory(prefix="ppg-bench-") as name:
        folder = Path(name)
        for number, (statement, value) in enumerate(SETTINGS.values()):
            ours = '"ppg_integrations.django",' if "ppg" in statement else ""
            folder.joinpath(f"settings{number}.py").write_text(
                _PROJECT.format(statement=statement, value=value, apps=ours), encoding="utf-8"
            )
        for place, times in rounds.items():
            runs = programs(place, environs, folder)
            for run in runs.values():
                run()  # the first one writes the bytecode
            result[place] = against(paired(runs, times), PEER)
    return result


@contextmanager
def environments() -> Iterator[dict[str, dict[str, str]]]:
    """Of each one's processes: all have both URLs, but for the one that asks an API's cache."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PPG_")}
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", *URLS):
        plain.pop(name, None)
    with tempfile.TemporaryDirectory(prefix="ppg-bench-") as home, NeonDouble() as api:
        asking = {**plain, **api.environ(PPG_PROVIDER="neon", HOME=home, XDG_CACHE_HOME=home)}
        process("import sys\n" + "; ".join(SETTINGS[CACHED]), asking, home)
        asked = api.count()
        yield {name: {**plain, **URLS} for name in SETTINGS} | {CACHED: asking}
        assert 0 < asked == api.count(), "the answer was not kept"


def programs(
    place: str, environs: Mapping[str, Mapping[str, str]], folder: Path
) -> dict[str, Callable[[], float]]:
    """What gives the seconds of one run, for each of them."""
    found = {}
    for number, (name, (statement, value)) in enumerate(SETTINGS.items()):
        timed = "import django; django.setup()" if place == "setup" else f"{statement}; {value}"
        before = _BEFORE[place].format(module=f"settings{number}") + "\nknown = set(sys.modules)"
        if place == "setup":  # Django loads drivers, and they what they like
            before += " | {'psycopg'}"
        code = _TIMED.format(before=before, timed=timed)
        found[name] = partial(seconds, code, environs[name], folder)
    return found


def seconds(code: str, environ: Mapping[str, str], folder: Path) -> float:
    """Of the processor, inside the interpreter."""
    return float(process(code, environ, str(folder)))


def process(code: str, environ: Mapping[str, str], folder: str) -> str:
    """What a program prints."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env=dict(environ),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,
    ).stdout


def tables(result: Result) -> str:
    """Ratios to dj-database-url."""
    lines = [
        _WORDS,
        "",
        "| settings | import and call | beside Django | all of `django.setup()` | goal |",
        "|---|---|---|---|---|",
    ]
    for name in SETTINGS:
        places = (shown(result[place][name]) for place in ("interpreter", "settings", "setup"))
        goal = f"{GOALS[name]:g}" if name in GOALS else ""
        lines.append(f"| {name} | {' | '.join(places)} | {goal} |")
    lines += ["", explained(result["rounds"]["interpreter"])]
    lines += ["", "![Start-up against dj-database-url](benchmarks/startup.svg)"]
    return "\n".join(lines)


def charts(result: Result) -> dict[str, Figure]:
    """A bar for each, from two of the places."""
    from .charts import bars

    groups = {
        "import and call": result["interpreter"],
        "all of django.setup()": result["setup"],
    }
    return {
        "startup": bars(
            groups,
            ours=OURS,
            title="Start-up: processor time of a settings import",
            label="times dj-database-url's",
        )
    }
