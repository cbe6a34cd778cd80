"""Small Django projects in a temporary folder, run by ``manage.py`` in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from ppg_integrations.drivers import connect
from ppg_integrations.providers.base import Generated
from tests.support import commands

ROOT = Path(__file__).resolve().parents[2]

MANAGE = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proj.settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""

SETTINGS = """
import os
from pathlib import Path
from ppg_integrations.django import databases
BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "for tests only"
DEBUG = False
ALLOWED_HOSTS = ["testserver", "127.0.0.1"]
USE_TZ = True
INSTALLED_APPS = [
    "ppg_integrations.django",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "shop",
]
DATABASES = databases()
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "proj.urls"
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "collected"
"""

MODELS = """
from django.db import models
class Item(models.Model):
    name = models.CharField(max_length=50)
"""

INITIAL = """
from django.db import migrations, models
class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel(
            name="Item",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False, auto_created=True, verbose_name="ID")),
                ("name", models.CharField(max_length=50)),
            ],
        ),
    ]
"""


class Project:
    """A Django project with one app, ``shop``, whose model is ``Item(name)``."""

    def __init__(self, folder: Path, generated: Generated | None) -> None:
        self.folder = folder
        self.generated = generated
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
            "DJANGO_SETTINGS_MODULE": "proj.settings",
            "PYTHONUNBUFFERED": "1",
            "LC_ALL": "C.UTF-8",
        }
        if "XDG_CACHE_HOME" in os.environ:  # where the embedded provider keeps its programs
            self.environ["XDG_CACHE_HOME"] = os.environ["XDG_CACHE_HOME"]
        if generated is not None:
            self.environ["DATABASE_URL"] = generated.pooled.reveal()
            self.environ["DIRECT_URL"] = generated.direct.reveal()
        self.write("manage.py", MANAGE)
        self.write("proj/__init__.py", "")
        self.write("proj/settings.py", SETTINGS)
        self.write("proj/urls.py", "urlpatterns = []\n")
        self.app("shop", MODELS, **{"0001_initial": INITIAL})

    def write(self, path: str, text: str) -> Path:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(textwrap.dedent(text).lstrip("\n"))
        return target

    def app(self, name: str, models: str = "", **migrations: str) -> None:
        self.write(f"{name}/__init__.py", "")
        if models:
            self.write(f"{name}/models.py", models)
        if migrations:
            self.write(f"{name}/migrations/__init__.py", "")
        for migration, text in migrations.items():
            self.write(f"{name}/migrations/{migration}.py", text)

    def settings(self, text: str) -> None:
        """More lines at the end of the settings."""
        with (self.folder / "proj/settings.py").open("a") as file:
            file.write(textwrap.dedent(text))

    def run(
        self, *argv: str, status: int | None = 0, timeout: float = 60, **environ: str | None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program in the project; ``status=None`` takes any exit status."""
        return commands.run(
            argv, self.folder, {**self.environ, **environ}, status=status, timeout=timeout
        )

    def manage(
        self, *args: str, status: int | None = 0, timeout: float = 60, **environ: str | None
    ) -> subprocess.CompletedProcess[str]:
        return self.run(
            sys.executable, "manage.py", *args, status=status, timeout=timeout, **environ
        )

    def python(self, code: str, *, timeout: float = 60, **environ: str | None) -> Any:
        """Runs code with Django set up; gives what it passes to ``result()``."""
        head = (
            "import json, sys, django\n"
            "django.setup()\n"
            "from django.db import connection, connections, transaction\n"
            "from django.core.management import call_command\n"
            "from ppg_integrations.django import direct_connection\n"
            "from shop.models import Item\n"
            "def port(using=None):\n"
            "    '''Where a query really goes: the port at the server's end, by PostgreSQL.'''\n"
            "    c = using or connection\n"
            "    c.ensure_connection()\n"
            "    return int(c.connection.info.port)\n"
            "def result(value): print('\\nRESULT ' + json.dumps(value))\n"
        )
        script = self.write("script.py", head)
        with script.open("a") as file:
            file.write(textwrap.dedent(code))
        done = self.run(sys.executable, "script.py", timeout=timeout, **environ)
        lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
        assert lines, f"no result:\n{done.stdout}\n{done.stderr}"
        return json.loads(lines[-1].removeprefix("RESULT "))

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of a statement, on the direct endpoint."""
        assert self.generated is not None
        with connect(self.generated.direct) as connection:
            if statement.lstrip().upper().startswith(("SELECT", "SHOW")):
                return connection.fetch(statement)
            connection.execute(statement)
            return []
