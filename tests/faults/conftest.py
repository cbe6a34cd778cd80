"""A stage for all tests of the folder, and ppg-connect in this process."""

from __future__ import annotations

import contextlib
import io
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest import mock

import pytest

from ppg_integrations import drivers, probe
from ppg_integrations.cli import main
from ppg_integrations.providers.local.servers import LocalServers
from tests.faults import verbs
from tests.faults.stage import Done, Stage

#: Seconds for connecting, and for the API's work: enough for a slow machine where nothing is wrong.
LIMITS = (1.5, 1.5)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hangs up is given up soon."""
    monkeypatch.setitem(drivers.PATIENCE, "closed", 0.3)
    monkeypatch.setattr(probe, "_NAP", 0.1)
    monkeypatch.setattr(drivers, "_FIRST_PAUSE", 0.05)


@pytest.fixture(scope="module")
def stage(servers: LocalServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A project with a pair in its ``.env``, which Prisma's API has made."""
    with Stage(servers, tmp_path_factory.mktemp("stage"), limits=LIMITS) as stage:
        verbs.prepared(stage, in_this_process)
        yield stage


@pytest.fixture(scope="module")
def bare(servers: LocalServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A project without a ``.env``, whose pair Neon's API shows."""
    folder = tmp_path_factory.mktemp("bare")
    with Stage(servers, folder, neon=True, limits=LIMITS) as stage:
        yield stage


def in_this_process(arguments: list[str], folder: Path, environ: Mapping[str, str]) -> Done:
    """Runs ``ppg-connect``, which leaves no thread."""
    before = set(threading.enumerate())
    out, err = io.StringIO(), io.StringIO()
    with (
        _in(folder),
        mock.patch.dict(os.environ, environ, clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        status = main(arguments)
    deadline = time.monotonic() + 5
    while (left := _ours(before)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not left, f"{arguments} left {left}"
    return Done(status, out.getvalue(), err.getvalue())


def _ours(before: set[threading.Thread]) -> list[threading.Thread]:
    proxies_and_doubles = ("run", "process_request_thread")
    return [
        thread
        for thread in set(threading.enumerate()) - before
        if not any(f"({name}" in thread.name for name in proxies_and_doubles)
    ]


@contextlib.contextmanager  # contextlib.chdir is there from Python 3.11 on
def _in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
