"""Fixtures: apps in this process, in an empty working folder, and what reaches the real servers."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text

from ppg_integrations.flask import PPG, foreign
from ppg_integrations.providers.base import Generated

#: A pair of one host that tells its other half, and leads nowhere.
POOLED = "postgresql://ada:sesame@ep-cool-rain-pooler.eu-central-1.aws.neon.tech/shop"
DIRECT = "postgresql://ada:sesame@ep-cool-rain.eu-central-1.aws.neon.tech/shop"
OTHER = "postgresql://eve:secret@ep-dry-sand-pooler.eu-central-1.aws.neon.tech/facts"


class Made(NamedTuple):
    """An app with the extensions that were initialised in it, ours first."""

    app: Flask
    ppg: PPG
    db: SQLAlchemy

    @property
    def state(self) -> Any:
        return self.app.extensions["ppg"]

    def port(self, bind: str | None = None) -> int:
        """Where a query of the session's engine really goes: the port that it reached."""
        with self.app.app_context(), self.db.engines[bind].connect() as connection:
            return int(connection.connection.dbapi_connection.info.port)

    def scalar(self, statement: str, bind: str | None = None) -> Any:
        with self.app.app_context(), self.db.engines[bind].connect() as connection:
            return connection.execute(text(statement)).scalar()


@pytest.fixture(autouse=True)
def unprepared() -> None:
    """What listens to all engines since an earlier test would hide that this one did not ask for it."""
    foreign.withdraw()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, where an app looks for its ``.env``."""
    monkeypatch.chdir(tmp_path)
    for name in ("FLASK_APP", "FLASK_DEBUG", "FLASK_RUN_FROM_CLI", "WERKZEUG_RUN_MAIN"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def make_app() -> Iterator[Callable[..., Made]]:
    """Makes apps; what their engines still hold at the end is closed."""
    all_made: list[Made] = []

    def make(
        config: dict[str, Any] | None = None,
        *,
        name: str = "shop",
        ppg: PPG | None = None,
        db: SQLAlchemy | None = None,
    ) -> Made:
        app = Flask(name)
        app.config.update(config or {})
        made = Made(app, ppg or PPG(), db or SQLAlchemy())
        made.ppg.init_app(app)
        made.db.init_app(app)
        all_made.append(made)
        return made

    yield make
    for made in all_made:
        with made.app.app_context():
            for engine in made.db.engines.values():
                engine.dispose()


@pytest.fixture
def env_file(folder: Path, generated: Generated) -> Path:
    """``.env`` in the working folder, with a fresh pair of the real servers."""
    return write_env(folder / ".env", generated)


@pytest.fixture
def pooled_logins(servers, generated) -> Callable[[], int]:
    """Logins at PgBouncer since the start of the test, for the test's own database."""
    database = generated.pooled.database
    before = servers.counters(database)
    return lambda: (servers.counters(database) - before).pooled_logins


@pytest.fixture
def direct_logins(servers, generated) -> Callable[[], int]:
    """The same at PostgreSQL, of clients that came without PgBouncer."""
    database = generated.pooled.database
    before = servers.counters(database)
    return lambda: (servers.counters(database) - before).direct_logins


def write_env(path: Path, pair: Generated, **more: str) -> Path:
    """A ``.env`` file with the two URLs of a pair."""
    values = {"DATABASE_URL": pair.pooled.reveal(), "DIRECT_URL": pair.direct.reveal(), **more}
    path.write_text("".join(f"{name}='{value}'\n" for name, value in values.items()))
    return path


def flask(
    folder: Path, code: str, *arguments: str, parent: str = "", **environ: str
) -> subprocess.CompletedProcess[str]:
    """Runs the real ``flask`` on an app of that code.

    Args:
        parent: code of a process that starts it, as the reloader is one.
        environ: more variables.
    """
    (folder / "shop.py").write_text(textwrap.dedent(code))
    command = [sys.executable, "-m", "flask", "--app", "shop", *arguments]
    if parent:
        command = [sys.executable, "-c", textwrap.dedent(parent), *command]
    done = subprocess.run(
        command,
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "PYTHONPATH": os.pathsep.join(["", *sys.path]),
            "PYTHONDONTWRITEBYTECODE": "1",
            **environ,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done


def urls(pair: Generated) -> dict[str, str]:
    """The two URLs of a pair, for ``app.config``."""
    return {"DATABASE_URL": pair.pooled.reveal(), "DIRECT_URL": pair.direct.reveal()}
