"""``migrate`` through ours against plain Django on the direct URL: 200 generated migrations.

Both projects have the same migrations: models, columns, indexes, changed columns, and every fifth
one reads and writes rows with the ORM. Plain Django has the direct URL in ``default`` and nothing
of ours; with ours ``default`` is pooled, and ``migrate`` finds its way to the direct endpoint. Each
run is a process of its own on an emptied database, and is timed as a whole, from its start to its
end. Every second round takes them in the opposite order.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ppg_integrations import drivers

from .ratios import against, explained, paired, shown
from .servers import database

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .servers import Database
    from .suite import Result

PLAIN = "Django on the direct URL"
OURS = "ppg-integrations"
GOAL = 1.02
MODELS = 10
_SETTINGS = {
    PLAIN: (
        "import dj_database_url\nDATABASES = {'default': dj_database_url.config('DIRECT_URL')}",
        "",
    ),
    OURS: (
        "from ppg_integrations.django import databases\nDATABASES = databases()",
        '"ppg_integrations.django", ',
    ),
}
_PROJECT = """\
{databases}
SECRET_KEY = "for benchmarks only"
INSTALLED_APPS = [{apps}"shop"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
"""
_MIGRATION = """\
from django.db import migrations, models

def work(apps, schema_editor):
    model = apps.get_model("shop", "Thing{model}")
    model.objects.bulk_create([model(name=str(each)) for each in range(20)])
    model.objects.filter(name="3").update(name="three")

class Migration(migrations.Migration):
    initial = {initial}
    dependencies = {dependencies}
    operations = [{operations}]
"""
_CREATE = (
    'migrations.CreateModel("Thing{model}", '
    '[("id", models.BigAutoField(primary_key=True)), ("name", models.CharField(max_length=50))])'
)
_STEPS = (
    'migrations.AddField("Thing{model}", "size{number}", models.IntegerField(default=0))',
    'migrations.AddIndex("Thing{model}", models.Index(fields=["name"], name="index{number}"))',
    'migrations.AlterField("Thing{model}", "name", models.CharField(max_length={number} + 60))',
    'migrations.AddField("Thing{model}", "text{number}", models.TextField(null=True))',
    "migrations.RunPython(work, migrations.RunPython.noop)",
)


def measure(*, quick: bool) -> Result:
    """See the module."""
    count, rounds = (20, 2) if quick else (200, 20)
    with database() as made, tempfile.TemporaryDirectory(prefix="ppg-bench-") as name:
        folder = Path(name)
        write(folder, count)
        runs = {each: partial(seconds, each, folder, made, count) for each in _SETTINGS}
        for run in runs.values():
            run()  # the first one writes the bytecode
        before = through_pooler(made)
        found = against(paired(runs, rounds), PLAIN)
        pooled = through_pooler(made) - before
    return {
        "rounds": rounds,
        "migrations": count,
        "goal": GOAL,
        "pooled transactions": pooled,
        "ratio": found,
    }


def write(folder: Path, count: int) -> None:
    """The project, with settings for each."""
    for number, (databases, apps) in enumerate(_SETTINGS.values()):
        text = _PROJECT.format(databases=databases, apps=apps)
        folder.joinpath(f"settings{number}.py").write_text(text, encoding="utf-8")
    steps = folder / "shop/migrations"
    steps.mkdir(parents=True)
    for empty in (folder / "shop/__init__.py", steps / "__init__.py"):
        empty.touch()
    for number in range(1, count + 1):
        step = _STEPS[number % len(_STEPS)]
        operations = step.format(model=number % MODELS, number=number)
        if number == 1:
            operations = ", ".join(_CREATE.format(model=model) for model in range(MODELS))
        text = _MIGRATION.format(
            model=number % MODELS,
            initial=number == 1,
            dependencies=[("shop", f"{number - 1:04}_step")] if number > 1 else [],
            operations=operations,
        )
        (steps / f"{number:04}_step.py").write_text(text, encoding="utf-8")


def seconds(each: str, folder: Path, made: Database, count: int) -> float:
    """Of one ``migrate`` on an empty database."""
    with drivers.connect(made.direct) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PPG_")}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    environ |= {
        "DATABASE_URL": made.pooled.reveal(),
        "DIRECT_URL": made.direct.reveal(),
        "DJANGO_SETTINGS_MODULE": f"settings{[*_SETTINGS].index(each)}",
    }
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "django", "migrate", "-v0"],
        env=environ,
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        start_new_session=True,
    )
    took = time.perf_counter() - started
    with drivers.connect(made.direct) as connection:
        (applied,) = connection.fetch("SELECT count(*) FROM django_migrations WHERE app = 'shop'")
    assert applied[0] == count, f"{applied[0]} of {count} migrations"
    return took


def through_pooler(made: Database) -> int:
    """Transactions that the pooler has seen for the database so far."""
    return made.servers.counters(made.pooled.database).pooled_transactions


def tables(result: Result) -> str:
    """One ratio."""
    found = result["ratio"][OURS]
    return "\n".join(
        [
            f"| {result['migrations']} migrations | time | goal |",
            "|---|---|---|",
            f"| {PLAIN} | 1 | |",
            f"| {OURS} | {shown(found)} | {result['goal']:g} |",
            "",
            f"The pooler saw {result['pooled transactions']} of their transactions. "
            + explained(result["rounds"]),
            "",
            "![Migrations](benchmarks/migrations.svg)",
        ]
    )


def charts(result: Result) -> dict[str, Figure]:
    """Two bars."""
    from .charts import bars

    return {
        "migrations": bars(
            {f"{result['migrations']} migrations": result["ratio"]},
            ours=OURS,
            title="migrate: the whole process",
            label="times Django on the direct URL",
        )
    }
