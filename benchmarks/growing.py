"""What :mod:`.growth` times. Each function makes the things, and gives the work and a clock."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias, cast
from unittest.mock import patch

import flask
from django.conf import settings as django_settings
from django.db import connections as django_connections

from ppg_integrations import envfile, providers
from ppg_integrations.credential_cache import Slot
from ppg_integrations.django import databases, state
from ppg_integrations.entry import Entry
from ppg_integrations.flask import PPG
from ppg_integrations.journal import Journal
from ppg_integrations.providers.base import Generated, Target
from ppg_integrations.providers.local import roles
from ppg_integrations.providers.settings import Settings
from ppg_integrations.urls import PostgresURL
from ppg_integrations.verbs import sessions
from tests.support.doubles.neon import NeonDouble

from .servers import NAME, database

#: What is to be timed, and the clock to do it with.
Work: TypeAlias = tuple[Callable[[], object], Callable[[], float]]
Case: TypeAlias = Callable[[int, Path, ExitStack], Work]

_POOLED = PostgresURL.parse("postgresql://app:secret@pooled.example:6432/shop")
_DIRECT = PostgresURL.parse("postgresql://app:secret@pg.example:5432/shop")
_URLS = {"DATABASE_URL": _POOLED.reveal(), "DIRECT_URL": _DIRECT.reveal()}


def branches(count: int, folder: Path, stack: ExitStack) -> Work:
    del folder
    api = NeonDouble()
    api.page = 200
    for number in range(count):
        api.add_branch(api.project, f"branch-{number}", compute=False)
    return _listed(api, count, stack)


def connections(count: int, folder: Path, stack: ExitStack) -> Work:
    del folder
    api = NeonDouble()
    for number in range(count):
        api.add_role(api.branch, f"role-{number}")
    return _listed(api, count, stack)


def _listed(api: NeonDouble, count: int, stack: ExitStack) -> Work:
    variables = Settings(stack.enter_context(_elsewhere(api)))

    def work() -> None:
        found = providers.load("neon", variables).connections(Target())
        assert len(found) > count

    return work, time.process_time  # the API's client has a thread of its own


@contextmanager
def _elsewhere(api: NeonDouble) -> Iterator[dict[str, str]]:
    """Runs it in a process of its own, whose time is not counted; gives the variables for it."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()

    def serve() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the benchmark
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        here.close()
        with api, suppress(EOFError):
            there.send(api.environ(PPG_TIMEOUT="600"))
            there.recv()

    process = context.Process(target=serve, daemon=True)
    process.start()
    there.close()
    try:
        yield here.recv()
    finally:
        here.close()  # which ends it
        process.join(10)


def sessions_of_a_role(count: int, folder: Path, stack: ExitStack) -> Work:
    del folder, stack
    rows = [(f"worker {number}", "idle", number % 90, False) for number in range(count)]

    class Answers:
        """What PostgreSQL would say."""

        def fetch(self, query: str, *_: object) -> list[tuple[Any, ...]]:
            return rows if "pg_stat_activity" in query else [(True,)]

    # Past its connection: no server has that many.
    return lambda: sessions._read(cast("Any", Answers()), 60.0), time.thread_time  # noqa: SLF001


def logins(count: int, folder: Path, stack: ExitStack) -> Work:
    del folder
    made = stack.enter_context(database())
    admin = stack.enter_context(made.servers.connect())
    admin.execute(
        f"DO $$ BEGIN FOR each IN 1..{count} LOOP EXECUTE "
        f"'CREATE ROLE made_' || each || ' LOGIN IN ROLE {roles.owner_of(NAME)}'; "
        "END LOOP; END $$"
    )

    def work() -> None:
        assert len(roles.logins(admin)) > count

    return work, time.perf_counter


def lines_read(count: int, folder: Path, stack: ExitStack) -> Work:
    del stack
    path = _env_file(folder, count)
    return lambda: envfile.read(path, quiet=True), time.thread_time


def lines_written(count: int, folder: Path, stack: ExitStack) -> Work:
    stack.enter_context(patch.dict(os.environ, {"XDG_CACHE_HOME": str(folder)}))
    path = _env_file(folder, count)
    return lambda: envfile.update(path, _URLS), time.thread_time


def _env_file(folder: Path, count: int) -> Path:
    path = folder / ".env"
    lines = (f'NAME_{number}="value {number}"  # says what\n' for number in range(count))
    path.write_text("".join(lines), encoding="utf-8")
    return path


def entries_read(count: int, folder: Path, stack: ExitStack) -> Work:
    journal = _journal(count, folder, stack)

    def work() -> None:
        assert len(journal.entries()) == count

    return work, time.thread_time


def entry_written(count: int, folder: Path, stack: ExitStack) -> Work:
    journal = _journal(count, folder, stack)
    one = journal.entries()[0]
    return lambda: journal.record(one), time.thread_time


def _journal(count: int, folder: Path, stack: ExitStack) -> Journal:
    places = {"XDG_STATE_HOME": str(folder / "state"), "XDG_CACHE_HOME": str(folder)}
    stack.enter_context(patch.dict(os.environ, places))
    journal = Journal(folder / ".env")
    journal.prepare()
    made = Generated("id", "name", _POOLED, _DIRECT)
    journal._write([Entry("neon", generated=made) for _ in range(count)], None)  # noqa: SLF001
    return journal


def answer_read(count: int, folder: Path, stack: ExitStack) -> Work:
    return _cache(count, folder, stack).read, time.thread_time


def answer_written(count: int, folder: Path, stack: ExitStack) -> Work:
    slot = _cache(count, folder, stack)
    return lambda: slot.write("id", _POOLED, _DIRECT), time.thread_time


def _cache(count: int, folder: Path, stack: ExitStack) -> Slot:
    stack.enter_context(patch.dict(os.environ, {"XDG_CACHE_HOME": str(folder)}))
    slot = Slot("neon", "key")
    slot.write("id", _POOLED, _DIRECT)
    text = Path(slot.path).read_bytes()
    for number in range(count):
        Path(slot.path).with_name(f"neon-{number}.answer.json").write_bytes(text)
    return slot


def aliases_made(count: int, folder: Path, stack: ExitStack) -> Work:
    del folder
    stack.callback(state.clear)
    return lambda: _aliases(count), time.thread_time


def aliases_found(count: int, folder: Path, stack: ExitStack) -> Work:
    """Each once, as the first connections of a process do."""
    del folder
    stack.callback(state.clear)
    if not django_settings.configured:
        django_settings.configure()
    stack.enter_context(patch.dict(vars(django_connections), settings=_aliases(count)))

    def work() -> None:
        for number in range(count):
            assert state.find(f"direct{number}") is not None

    return work, time.thread_time


def _aliases(count: int) -> dict[str, Any]:
    state.clear()
    found: dict[str, Any] = {}
    for number in range(count):
        aliases = (f"pooled{number}", f"direct{number}")
        found |= databases(False, aliases=aliases, pooled=_POOLED, direct=_DIRECT, environ={})
    return found


def binds(count: int, folder: Path, stack: ExitStack) -> Work:
    del stack
    config = {f"bind{number}": dict(_URLS) for number in range(count)}

    def work() -> None:
        app = flask.Flask("shop", root_path=str(folder))
        app.config.update(PPG_BINDS=config, PPG_ENV_FILE=False, **_URLS)
        PPG().init_app(app)
        assert len(app.config["SQLALCHEMY_BINDS"]) >= count

    return work, time.thread_time


#: What they are called, and up to how many things they are done.
CASES: dict[str, tuple[Case, int]] = {
    "`list`: branches": (branches, 10_000),
    "`list`: connections of a branch": (connections, 10_000),
    "`rotate`: sessions of the old role": (sessions_of_a_role, 10_000),
    "embedded server: logins looked up": (logins, 10_000),
    "`.env` file: lines read": (lines_read, 10_000),
    "`.env` file: written": (lines_written, 10_000),
    # It takes no more than 1 MiB, which is some two thousand.
    "journal: entries read": (entries_read, 1_000),
    "journal: one written": (entry_written, 1_000),
    "cache of answers: one read": (answer_read, 10_000),
    "cache of answers: one written": (answer_written, 10_000),
    "`databases()`: aliases made": (aliases_made, 10_000),
    "`databases()`: aliases looked up": (aliases_found, 10_000),
    "`PPG_BINDS`": (binds, 10_000),
}
