"""The scratch projects that the blocks of a page are run in."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.support.programs import ROOT

_MANAGE = """\
import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.core.management import execute_from_command_line

execute_from_command_line(sys.argv)
"""

_SETTINGS = """\
import os
from pathlib import Path

from ppg_integrations.django import databases

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "of a page's scratch project"
DEBUG = False
ALLOWED_HOSTS = ["*"]
_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "shop",
]
INSTALLED_APPS = ["ppg_integrations.django", *_APPS]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
"""
_DATABASES = 'DATABASES = databases(env_file=BASE_DIR / ".env")\n'
# What a page leaves out by an ellipsis, and an app that a page forgot.
_APPS = """
INSTALLED_APPS = [name for each in INSTALLED_APPS for name in ([each] if each is not ... else _APPS)]
INSTALLED_APPS += [name for name in _APPS if name not in INSTALLED_APPS]
MIDDLEWARE = [each for each in MIDDLEWARE if each is not ...]
"""

_URLS = """\
from django.http import HttpResponse
from django.urls import path
from django.db import connection


def home(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("it works")


urlpatterns = [path("", home)]
"""

_WSGI = """\
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
"""

_MODELS = """\
from django.db import models


class Item(models.Model):
    name = models.CharField(max_length=100)
"""

_MIGRATION = """\
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel(
            name="Item",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False, auto_created=True, verbose_name="ID")),
                ("name", models.CharField(max_length=100)),
            ],
        ),
    ]
"""

_APP = """\
import os

import sqlalchemy as sa
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from ppg_integrations.flask import PPG

db = SQLAlchemy()
migrate = Migrate()
ppg = PPG()


class Item(db.Model):
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(100), nullable=False)


"""
_CREATE_APP = """\
def create_app():
    app = Flask(__name__)
    ppg.init_app(app)
    db.init_app(app)
    migrate.init_app(app, db)
    ppg.init_migrate(migrate)

    @app.get("/")
    def home():
        return str(db.session.scalar(sa.text("SELECT 1")))

    return app


"""
_VERSION = """\
import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade():
    op.create_table(
        "item",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
    )


def downgrade():
    op.drop_table("item")
"""
_OWN_APP = re.compile(r"^(?:def create_app\b|app = )", re.MULTILINE)
_OWN_DATABASES = re.compile(r"^DATABASES\s*=", re.MULTILINE)

KINDS = ("django", "flask", "flask-migrations", "plain", "guestbook", "shortlinks", "checkout")
_IGNORED = shutil.ignore_patterns("versions", "__pycache__")
_LEFT = shutil.ignore_patterns(".env", ".ppg", ".venv", "__pycache__", ".pytest_cache")


class Skeleton:
    """The files of a project, of one of the kinds that the package's docstring lists."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.folder = folder
        self._settings: list[str] = []
        self._app: list[str] = []
        make = {
            "django": self._django,
            "flask": self._flask,
            "flask-migrations": self._flask_migrations,
            "plain": lambda: None,
            "guestbook": lambda: self._copy("django_guestbook"),
            "shortlinks": lambda: self._copy("flask_shortlinks"),
            "checkout": self._checkout,
        }
        make[kind]()

    @property
    def check(self) -> list[str]:
        """The command that shows that its files are right; none where nothing could."""
        if (self.folder / "manage.py").exists():
            return ["python", "manage.py", "check"]
        if self.kind in ("flask", "flask-migrations", "shortlinks"):
            return ["flask", "routes"]
        return []

    def write(self, name: str, text: str) -> None:
        """One more file, or one that the skeleton knows by a short name."""
        if self.kind == "django":
            if name in ("settings.py", "config/settings.py"):
                if _OWN_DATABASES.search(text):
                    self._settings = [each for each in self._settings if not _own(each)]
                self._settings.append(text)
                own = any(map(_own, self._settings))
                name = "config/settings.py"
                text = "\n".join(
                    [_SETTINGS, *([] if own else [_DATABASES]), *self._settings, _APPS]
                )
            elif name in ("urls.py", "wsgi.py", "asgi.py"):
                name = f"config/{name}"
        elif self.kind.startswith("flask") and name == "app.py":
            whole = _OWN_APP.search(text)
            self._app = [text] if whole else [*self._app, text]
            is_whole = any(map(_OWN_APP.search, self._app))
            text = "\n".join([_APP + ("" if is_whole else _CREATE_APP), *self._app])
        self._write(name, text)

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def _django(self) -> None:
        for name, text in {
            "manage.py": _MANAGE,
            "config/__init__.py": "",
            "config/settings.py": _SETTINGS + _DATABASES,
            "config/urls.py": _URLS,
            "config/wsgi.py": _WSGI,
            "config/asgi.py": _WSGI.replace("wsgi", "asgi"),
            "shop/__init__.py": "",
            "shop/models.py": _MODELS,
            "shop/migrations/__init__.py": "",
            "shop/migrations/0001_initial.py": _MIGRATION,
            "pytest.ini": "[pytest]\nDJANGO_SETTINGS_MODULE = config.settings\n",
        }.items():
            self._write(name, text)

    def _flask(self) -> None:
        self._write("app.py", _APP + _CREATE_APP)

    def _flask_migrations(self) -> None:
        self._flask()
        made = ROOT / "example_projects/flask_shortlinks/migrations"
        shutil.copytree(made, self.folder / "migrations", ignore=_IGNORED)
        self._write("migrations/versions/1_items.py", _VERSION)

    def _copy(self, example: str) -> None:
        shutil.copytree(
            ROOT / "example_projects" / example, self.folder, ignore=_LEFT, dirs_exist_ok=True
        )

    def _checkout(self) -> None:
        """Links to what is in the checkout: a block may remove one, and not the checkout."""
        for path in ROOT.iterdir():
            if not path.name.startswith("."):
                (self.folder / path.name).symlink_to(path)


def _own(text: str) -> bool:
    return _OWN_DATABASES.search(text) is not None
