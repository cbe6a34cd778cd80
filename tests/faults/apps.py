"""What Django and Flask do with each fault: at the settings, in migrations, in a request."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Mapping
from typing import NamedTuple

from ppg_integrations import drivers
from tests.django.project import Project
from tests.faults.stage import Done, Place, Stage, run
from tests.faults.verbs import Outcome, said
from tests.flask import projects as flask_projects


class Row(NamedTuple):
    """A command, and where it meets the fault.

    Attributes:
        name: in the table.
        place: where the fault is; None for both endpoints.
        argv: the command.
        neon: with Neon's API and no ``.env``.
    """

    name: str
    place: Place | None
    argv: tuple[str, ...]
    neon: bool = False


DJANGO, FLASK = "manage.py", "flask"
ROWS = (
    Row("Django's settings, URLs in `.env`", None, (DJANGO, "check")),
    Row("Django's settings, pair by the API", "API", (DJANGO, "check"), neon=True),
    Row("`manage.py migrate`", "direct", (DJANGO, "migrate")),
    Row("a request, Django", "pooled", (DJANGO, "ask")),
    Row("`manage.py ppg_connect doctor`", "pooled", (DJANGO, "ppg_connect", "doctor", "--json")),
    Row("Flask's configuration, URLs in `.env`", None, (FLASK, "routes")),
    Row("Flask's configuration, pair by the API", "API", (FLASK, "routes"), neon=True),
    Row("`flask db upgrade`", "direct", (FLASK, "db", "upgrade")),
    Row("a request, Flask", "pooled", (FLASK, "ask")),
    Row("`flask ppg doctor`", "pooled", (FLASK, "ppg", "doctor", "--json")),
)

#: A statement has no limit of time: only a firewall's silence ends it, by the kernel's keepalives.
ENDLESS = frozenset(
    ("goes silent", row) for row in ROWS if row.argv[-1] in ("migrate", "upgrade", "ask")
)

# A request as a server handles it: what is wrong is status 500, and in the log.
_ASK_DJANGO = """
import sys
from django.core.management.base import BaseCommand
from django.test import Client
class Command(BaseCommand):
    requires_system_checks = []
    def handle(self, **options):
        answer = Client(raise_request_exception=False).get("/")
        if answer.status_code != 200:
            raise SystemExit(f"{answer.exc_info[0].__name__}: {answer.exc_info[1]}")
"""
_URLS = """
from django.db import connection
from django.http import HttpResponse
from django.urls import path
def ask(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return HttpResponse(str(cursor.fetchone()))
urlpatterns = [path("", ask)]
"""
_ASK_FLASK = """
    @app.get("/")
    def ask():
        return str(db.session.execute(db.text("SELECT 1")).scalar())

    @app.cli.command("ask")
    def asking():
        app.config["PROPAGATE_EXCEPTIONS"] = True
        try:
            app.test_client().get("/")
        except Exception as error:
            raise SystemExit(f"{type(error).__name__}: {error}")
"""
#: Migrations that are long enough to be cut in the middle, and say that they have begun.
SLOW_DJANGO = """
import pathlib
from django.db import migrations
def begin(apps, editor):
    pathlib.Path("begun").touch()
class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.RunSQL("CREATE TABLE half (id int)"),
        migrations.RunPython(begin),
        migrations.RunSQL("SELECT pg_sleep(2)"),
    ]
"""
SLOW_FLASK = """
import pathlib
op.execute("CREATE TABLE half_too (id int)")
pathlib.Path("begun").touch()
op.execute("SELECT pg_sleep(2)")
"""


def written(stage: Stage) -> None:
    """A Django project and a Flask project in the stage's folder."""
    django = Project(stage.folder, None)
    django.write("proj/urls.py", _URLS)
    django.write("shop/management/__init__.py", "")
    django.write("shop/management/commands/__init__.py", "")
    django.write("shop/management/commands/ask.py", _ASK_DJANGO)
    write_flask(flask_projects.Folder(stage.folder), _ASK_FLASK)
    stage.environ |= {"DJANGO_SETTINGS_MODULE": "proj.settings", "FLASK_APP": "app"}


def write_flask(folder: flask_projects.Folder, more: str = "") -> None:
    """A Flask app that is called ``app``.

    Args:
        more: of its factory.
    """
    text = flask_projects.APP.replace("shop", "app")
    folder.write("app/__init__.py", text.replace("    return app", f"{more}\n    return app"))
    folder.write("app/models.py", flask_projects.MODELS.replace("shop", "app"))


def prepared(stage: Stage) -> None:
    """Flask's folder of migrations."""
    if not (stage.folder / "migrations").exists():
        assert flask(stage, "db", "init").status == 0
        flask_projects.Folder(stage.folder).revision("one", "pass")


def command(stage: Stage, argv: tuple[str, ...], environ: Mapping[str, str] | None = None) -> Done:
    """Runs ``manage.py ...`` or ``flask ...``."""
    program = [sys.executable, DJANGO] if argv[0] == DJANGO else [sys.executable, "-m", "flask"]
    return run([*program, *argv[1:]], stage.folder, environ or stage.environ)


def flask(stage: Stage, *arguments: str) -> Done:
    return command(stage, (FLASK, *arguments))


def outcome(stage: Stage, row: Row, fault: str) -> Outcome:
    """Does it, and puts the stage right again."""
    assert (fault, row) not in ENDLESS
    for place in ("pooled", "direct") if row.place is None else (row.place,):
        stage.spoil(place, fault)
    before = stage.env_file.read_bytes() if stage.env_file.exists() else b""
    if row.neon:
        stage.forget()
    began = time.monotonic()
    done = command(stage, row.argv, stage.hurried(row.place, fault))
    seconds = time.monotonic() - began
    result = Outcome(done.status, _said(done)[0], seconds, _said(done)[1])
    json_only = done._replace(out=done.out if "--json" in row.argv else "{}", err="")
    result.complaints = stage.complaints(json_only, before)
    if before and stage.env_file.read_bytes() != before:
        result.complaints.append(".env was changed")
    return result


def in_the_middle(stage: Stage, framework: str, *, reset: bool) -> Outcome:
    """Migrates, and loses the connection to the direct endpoint meanwhile."""
    (stage.folder / "begun").unlink(missing_ok=True)
    if framework == DJANGO:
        slow = stage.folder / "shop/migrations/0002_slow.py"
        slow.write_text(SLOW_DJANGO)
        argv, table = (DJANGO, "migrate"), "half"
    else:
        folder = flask_projects.Folder(stage.folder)
        slow = stage.folder / "migrations/versions/two.py"
        folder.revision("two", SLOW_FLASK, down="one")
        argv, table = (FLASK, "db", "upgrade"), "half_too"
    cut = threading.Thread(target=_cut, args=(stage, reset))
    cut.start()
    began = time.monotonic()
    done = command(stage, argv)
    result = Outcome(done.status, _said(done)[0], time.monotonic() - began, _said(done)[1])
    cut.join()
    slow.unlink()
    with drivers.connect(stage.urls()[1]) as connection:
        if connection.fetch("SELECT to_regclass(%s)", [table]) != [(None,)]:
            result.complaints.append("half a migration is left")
    if command(stage, argv).status:
        result.complaints.append("the next migration fails")
    result.complaints += stage.complaints(Done(0, "{}", ""), stage.env_file.read_bytes())
    return result


def _cut(stage: Stage, reset: bool) -> None:
    deadline = time.monotonic() + 20
    while not (stage.folder / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    stage.places["direct"].cut(reset=reset)


def _said(done: Done) -> tuple[str, str]:
    """The type of the error and its text, from the last lines of a program's output."""
    if done.out.startswith("{"):
        return said(done)
    if not done.status:
        return "", ""
    names = re.findall(r"^(?:[\w.]+\.)?(\w*(?:Error|Configured)): ", done.err, re.MULTILINE)
    text = done.err[done.err.rfind(names[-1]) :] if names else done.err
    return (names[-1] if names else ""), text
