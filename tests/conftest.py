"""Fixtures that every test folder shares. Servers are real ones, started once a worker."""

from __future__ import annotations

import os
import re
import secrets
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest

from ppg_integrations.cli import screen
from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.local.servers import LocalServers

#: Data that outlive no test need not reach the disk. Commits still reach the kernel: tests kill.
UNSAFE_AND_FAST = {"fsync": "off", "full_page_writes": "off"}

_OURS = re.compile(
    r"PPG_|PG[A-Z]|PRISMA_|NEON_|CASEDEV_|(DATABASE|DIRECT|POSTGRES|DATABASE_DIRECT)_(URL|PRISMA)"
    r"|CREATE_DB_WORKER_URL|CLAIM_DB_WORKER_URL"
)
# With these a run chooses which servers it is made on.
_SERVERS = ("PPG_POSTGRES_BIN", "PPG_PGBOUNCER")
# The one thing that tests share with the machine: PgBouncer is not fetched anew for each of them.
_CACHE = str(Path(platformdirs.user_cache_dir("ppg-integrations", appauthor=False)).parent)

# A shell that starts a run in the background has it ignore Ctrl-C, and so do all programs that the
# run starts: tests that send it would wait in vain.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def clean_environ(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """None of our variables but the two above, none of libpq's; HOME is the test's own."""
    for name in list(os.environ):
        if _OURS.match(name) and name not in _SERVERS:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("XDG_CACHE_HOME", _CACHE)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine is no reason to say what is being done, beside what a test expects."""
    monkeypatch.setattr(screen, "PATIENCE", 60.0)


@pytest.fixture(scope="session")
def servers() -> Iterator[LocalServers]:
    """A started PostgreSQL with PgBouncer in front; a machine without either fails here."""
    with tempfile.TemporaryDirectory(prefix="ppg-tests-") as folder:
        # an account that root drops to has to get through
        os.chmod(folder, 0o711)
        local = LocalServers(Path(folder) / "app/.ppg/local", settings=UNSAFE_AND_FAST)
        try:
            status = local.start()
            assert status.running
            assert status.pooler is not None, status.notes
            assert status.tls, status.notes
            yield local
        finally:
            local.erase()


@pytest.fixture
def generated(servers: LocalServers) -> Iterator[Generated]:
    """A fresh role, and a fresh database that it owns; both are dropped afterwards."""
    database = f"t_{secrets.token_hex(4)}"
    try:
        yield servers.generate("tester", database=database)
    finally:
        servers.drop(database)
