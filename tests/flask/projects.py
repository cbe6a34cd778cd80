"""Small Flask projects with migrations: one run by ``flask`` in processes of its own, one in this."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path
from types import MappingProxyType
from typing import Any

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from ppg_integrations.drivers import connect
from ppg_integrations.flask import PPG
from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.local.counters import Counters
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.urls import PostgresURL
from tests.support import commands

ROOT = Path(__file__).resolve().parents[2]

APP = """
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from ppg_integrations.flask import PPG

db = SQLAlchemy()
migrate = Migrate()
ppg = PPG()

def create_app(**config):
    from shop import models
    app = Flask(__name__)
    app.config.from_prefixed_env()
    app.config.update(config)
    ppg.init_app(app)
    db.init_app(app)
    migrate.init_app(app, db)
    ppg.init_migrate(migrate)
    return app
"""

MODELS = """
from shop import db

class Item(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(50), nullable=False)
"""

REVISION = """
import sqlalchemy as sa
from alembic import op

revision = {name!r}
down_revision = {down!r}

def upgrade():
{upgrade}

def downgrade():
{downgrade}
"""


class Folder:
    """Files of a project; revisions stand in ``migrations/versions``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, path: str, text: str) -> Path:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(textwrap.dedent(text).lstrip("\n"))
        return target

    def replace(self, path: str, old: str, new: str) -> None:
        """Changes a text that stands in a file exactly once."""
        target = self.folder / path
        text = target.read_text()
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path}"
        target.write_text(text.replace(old, new))

    def revision(
        self, name: str, upgrade: str, downgrade: str = "pass", *, down: str | None = None
    ) -> str:
        """Writes a revision that follows `down`."""
        bodies = {
            "upgrade": textwrap.indent(textwrap.dedent(upgrade).strip(), "    "),
            "downgrade": textwrap.indent(textwrap.dedent(downgrade).strip(), "    "),
        }
        self.write(
            f"migrations/versions/{name}.py", REVISION.format(name=name, down=down, **bodies)
        )
        return name


class Project(Folder):
    """A Flask app ``shop`` with Flask-SQLAlchemy and Flask-Migrate, run by ``flask``."""

    def __init__(self, folder: Path, generated: Generated | None) -> None:
        super().__init__(folder)
        self.generated = generated
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "LC_ALL": "C.UTF-8",
            "FLASK_APP": "shop",
        }
        if "XDG_CACHE_HOME" in os.environ:  # where the embedded provider keeps its programs
            self.environ["XDG_CACHE_HOME"] = os.environ["XDG_CACHE_HOME"]
        if generated is not None:
            self.environ["DATABASE_URL"] = generated.pooled.reveal()
            self.environ["DIRECT_URL"] = generated.direct.reveal()
        self.write("shop/__init__.py", APP)
        self.write("shop/models.py", MODELS)

    def run(
        self, *argv: str, status: int | None = 0, timeout: float = 60, **environ: str | None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program in the project; ``status=None`` takes any exit status."""
        return commands.run(
            argv, self.folder, {**self.environ, **environ}, status=status, timeout=timeout
        )

    def flask(
        self, *args: str, status: int | None = 0, timeout: float = 60, **environ: str | None
    ) -> subprocess.CompletedProcess[str]:
        """The ``flask`` command."""
        return self.run(
            sys.executable, "-m", "flask", *args, status=status, timeout=timeout, **environ
        )

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of a statement, on the direct endpoint."""
        assert self.generated is not None
        return sql(self.generated.direct, statement)


def sql(url: PostgresURL, statement: str) -> list[tuple[Any, ...]]:
    """Rows of a statement."""
    with connect(url) as connection:
        if statement.lstrip().upper().startswith(("SELECT", "SHOW")):
            return connection.fetch(statement)
        connection.execute(statement)
        return []


class Site(Folder):
    """An app in this process, with migrations made by the command; its model is ``Item(name)``.

    With `stats` it has a second database and the model ``Visit(page)`` in it. Use as a context
    manager: what its engines hold at the end is closed.
    """

    def __init__(
        self,
        folder: Path,
        generated: Generated | None,
        servers: LocalServers,
        *,
        stats: Generated | None = None,
        routed: bool = True,
        migrate: Migrate | None = None,
        config: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        super().__init__(folder)
        self.generated, self.stats, self.servers = generated, stats, servers
        self.ppg, self.db = PPG(), SQLAlchemy()
        self.migrate = migrate or Migrate()
        self.app = Flask("shop", root_path=str(folder))
        self.app.config.update({"PPG_ENV_FILE": False, **urls(generated)}, **config)
        if stats is not None:
            self.app.config["PPG_BINDS"] = {"stats": urls(stats)}
        self.item, self.visit = self._models(stats is not None)
        self.ppg.init_app(self.app)
        self.db.init_app(self.app)
        self.migrate.init_app(self.app, self.db, directory=str(folder / "migrations"))
        if routed:
            self.ppg.init_migrate(self.migrate)

    def _models(self, two: bool) -> tuple[type, type | None]:
        db = self.db

        class Item(db.Model):
            id = db.Column(db.Integer, primary_key=True)
            name = db.Column(db.String(50), nullable=False)

        if not two:
            return Item, None

        class Visit(db.Model):
            __bind_key__ = "stats"
            id = db.Column(db.Integer, primary_key=True)
            page = db.Column(db.String(50), nullable=False)

        return Item, Visit

    def init(self, *options: str) -> None:
        """``flask db init``. ``env.py`` sets up no logging: that of this process is pytest's."""
        self.flask("db", "init", *options)
        self.replace("migrations/env.py", "fileConfig(config.config_file_name)\n", "")

    def flask(self, *args: str, status: int = 0) -> str:
        """The ``flask`` command, in this process; gives all its output."""
        done = self.app.test_cli_runner().invoke(args=list(args))
        if done.exit_code != status:
            raise AssertionError(
                f"{args} exited with {done.exit_code}, not {status}:\n{done.output}"
            ) from done.exception
        return done.output

    def logins(self) -> Counters:
        """What the servers have counted until now, of all databases of the app."""
        found = [self.servers.counters(each.pooled.database) for each in self._databases()]
        return Counters(*(sum(numbers) for numbers in zip(*map(astuple, found), strict=True)))

    def _databases(self) -> list[Generated]:
        return [each for each in (self.generated, self.stats) if each is not None]

    def port(self) -> int:
        """Where a request's connection leads."""
        with self.app.app_context(), self.db.engine.connect() as connection:
            return port(connection)

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *_: object) -> None:
        with self.app.app_context():
            for engine in self.db.engines.values():
                engine.dispose()


def port(connection: Any) -> int:
    """The port at the other end of a SQLAlchemy connection, as its driver tells."""
    return int(connection.connection.driver_connection.info.port)


def urls(pair: Generated | None) -> dict[str, str]:
    """The two URLs of a pair, for ``app.config``."""
    if pair is None:
        return {}
    return {"DATABASE_URL": pair.pooled.reveal(), "DIRECT_URL": pair.direct.reveal()}
