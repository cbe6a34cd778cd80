"""A whole life of a project with odd names: what its verbs print, start, write and log."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ppg_integrations import PostgresURL, envfile
from ppg_integrations.cli import main
from ppg_integrations.providers.local.servers import LocalServers
from tests.conftest import _CACHE, UNSAFE_AND_FAST
from tests.security.test_names import NAMES, STEERING

#: A folder may have any name but for a line feed, which PgBouncer's configuration cannot hold, and
#: ":" and ";", which no path of libraries can.
FOLDER = "it's odd #100% (id) -rf \u00fc[x]"
LABEL = NAMES["closing quote"] + NAMES["substitution"] + NAMES["look-alike"] + NAMES["parent"]
#: No provider is asked for one of this name.
STEERS = NAMES["clipboard"] + NAMES["newline"]
TOKEN = "tok_Zq7w0rdQ9"
#: PostgreSQL writes each statement into its log.
TALKATIVE = {**UNSAFE_AND_FAST, "log_statement": "all", "log_min_duration_statement": "0"}


@dataclass
class Story:
    """What there is to look at when it has been told.

    Attributes:
        said: of each verb, on both streams, and its exit status.
        secrets: every password that there was.
        started: the arguments and the environment of each program.
        logs: of both servers.
        verifiers: what PostgreSQL keeps in the place of passwords.
    """

    folder: Path
    said: list[tuple[str, str, int]] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)
    started: list[tuple[list[str], dict[str, str] | None]] = field(default_factory=list)
    logs: str = ""
    verifiers: list[str] = field(default_factory=list)
    roles: set[str] = field(default_factory=set)

    def verb(self, *arguments: str) -> None:
        streams = io.StringIO()
        with contextlib.redirect_stdout(streams), contextlib.redirect_stderr(streams):
            status = main(arguments)
        self.said.append((arguments[0], streams.getvalue(), status))
        self.learn()

    def learn(self) -> None:
        for name, value in envfile.read(self.folder / ".env").items():
            if name in ("DATABASE_URL", "DIRECT_URL"):
                password = PostgresURL.parse(value).password
                assert password is not None
                self.secrets |= {password.reveal(), value}


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    with (
        tempfile.TemporaryDirectory(prefix="ppg-tests-") as outer,
        pytest.MonkeyPatch.context() as m,
    ):
        os.chmod(outer, 0o711)
        folder = Path(outer) / FOLDER
        folder.mkdir(mode=0o711)
        m.chdir(folder)
        for name in list(os.environ):
            if re.match(r"PPG_(?!POSTGRES_BIN|PGBOUNCER)|PG[A-Z]|DATABASE_|DIRECT_", name):
                m.delenv(name)
        m.setenv("HOME", outer)
        m.setenv("XDG_CACHE_HOME", _CACHE)
        m.setenv("NEON_API_KEY", TOKEN)
        subprocess.run(["git", "init", "-q"], check=True)
        (folder / ".gitignore").write_text(".env\n")
        # A file that came with the project names no program.
        (folder / ".env").write_text("PPG_PGBOUNCER=/bin/false\nPPG_POSTGRES_BIN=/nowhere\n")
        told = Story(folder, secrets={TOKEN})
        servers = LocalServers(folder / ".ppg/local", settings=TALKATIVE)
        popen = subprocess.Popen.__init__

        def record(self: Any, args: Any, *more: Any, **options: Any) -> None:
            told.started.append(([os.fsdecode(each) for each in args], options.get("env")))
            popen(self, args, *more, **options)

        m.setattr(subprocess.Popen, "__init__", record)
        try:
            servers.start()
            told.secrets |= set(servers._store.passwords().values())
            local = ("--provider", "local")
            told.verb("create", *local, "--name", STEERS)
            told.verb("create", *local, "--database", STEERS)
            told.verb("revoke", STEERS, *local)
            told.verb("create", *local, "--name", LABEL, "--database", LABEL)
            told.verb("show")
            told.verb("list", *local)
            told.verb("rotate", *local, "--grace", "0")
            told.verb("doctor")
            told.verb("run", "--", sys.executable, "-c", "import os; os.environ['PGPASSWORD']")
            told.verb("revoke", LABEL, *local)
            told.verb("local", "status")
            with servers.connect() as connection:
                rows = connection.fetch(
                    "SELECT rolname, rolpassword FROM pg_authid WHERE rolname !~ '^pg_'"
                )
            told.roles = {row[0] for row in rows}
            told.verifiers = [row[1] for row in rows if row[1]]
            logs = servers._server_folder()
            told.logs = "".join(
                (logs / name).read_text() for name in ("postgres.log", "pgbouncer.log")
            )
            yield told
        finally:
            servers.erase()


def test_the_verbs_worked(story: Story) -> None:
    failed = [verb for verb, _, status in story.said if status]
    assert failed == ["create", "create", "revoke", "revoke"], story.said
    # The token, three of the servers' own, and of two generations a password and two URLs.
    assert len(story.secrets) == 1 + 3 + 2 * 3
    # Of the servers' own the statistics' is PgBouncer's alone; the database has an owner, a login.
    assert len(story.roles) == 2 + 2, story.roles


def test_nothing_that_a_verb_says_steers_a_terminal_or_holds_a_secret(story: Story) -> None:
    assert len(story.said) == 11
    for verb, said, _ in story.said:
        assert said or verb == "run"
        assert not STEERING.search(said), verb
        assert not [secret for secret in story.secrets if secret in said], verb


def test_the_env_file_holds_only_what_was_meant(story: Story) -> None:
    found = envfile.read(story.folder / ".env")
    assert {"DATABASE_URL", "DIRECT_URL"} <= found.keys()
    assert all(re.fullmatch(r"DATABASE_URL|DIRECT_URL|PPG_[A-Z_]+", name) for name in found), found


def test_no_program_is_told_a_secret_by_its_arguments(story: Story) -> None:
    programs = {Path(arguments[0]).name for arguments, _ in story.started}
    assert "git" in programs
    assert len(story.started) > 5
    for arguments, _ in story.started:
        assert not [each for each in story.secrets if each in " ".join(arguments)], arguments


def test_only_what_is_run_for_the_user_gets_the_environment(story: Story) -> None:
    asked = 0
    for arguments, environ in story.started:
        assert environ is not None, arguments
        theirs = arguments[0] == sys.executable and "PGPASSWORD" in arguments[-1]
        asked += theirs
        shown = "\0".join(environ.values())
        holds = [each for each in story.secrets if each in shown]
        assert bool(holds) is theirs, (arguments, environ.keys())
    assert asked == 1


def test_the_servers_logs_hold_no_password(story: Story) -> None:
    assert "CREATE ROLE" in story.logs  # each statement is there
    assert "PASSWORD 'SCRAM-SHA-256$" in story.logs
    assert not [each for each in story.secrets if each in story.logs]
    assert len(story.verifiers) >= 3
    assert all(each.startswith("SCRAM-SHA-256$4096:") for each in story.verifiers)
