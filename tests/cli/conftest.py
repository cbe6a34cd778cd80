"""A project folder, and a provider that does what a test tells it to."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from ppg_integrations import providers
from ppg_integrations.journal import Journal
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.verbs import grace
from tests.support.doubles.accounts import Accounts
from tests.support.doubles.neon import NeonDouble
from tests.support.scripted import Desk, Scripted, drop


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the machine that runs the tests."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rotation that waits for whom its test knows nothing of fails at once."""

    def wait(seconds: float) -> None:
        pytest.fail(f"it waits for {seconds:g} s")

    monkeypatch.setattr(grace, "time", SimpleNamespace(sleep=wait, monotonic=time.monotonic))


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, which is the current one."""
    folder = tmp_path / "shop"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def journal(shop: Path) -> Journal:
    """The journal of the project's ``.env``."""
    return Journal(shop / ".env")


@pytest.fixture
def neon(
    shop: Path, servers: LocalServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[NeonDouble]:
    """Neon's double, whose token is set."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with Accounts(servers) as accounts, NeonDouble(accounts) as double:
        monkeypatch.setenv("NEON_API_HOST", double.url)
        monkeypatch.setenv("NEON_API_KEY", double.token)
        yield double


@pytest.fixture
def desk(shop: Path, servers: LocalServers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """The provider ``prisma`` is a scripted one, and its token is set."""
    desk = Desk(servers, f"t_{secrets.token_hex(4)}")
    tokens = providers._PROVIDERS["prisma"].tokens  # noqa: SLF001
    row = providers._Row("tests.support.scripted:Scripted", tokens)  # noqa: SLF001
    monkeypatch.setitem(providers._PROVIDERS, "prisma", row)  # noqa: SLF001
    monkeypatch.setattr(Scripted, "desk", desk, raising=False)
    monkeypatch.setenv("PRISMA_SERVICE_TOKEN", "tok")
    yield desk
    if desk.asked:
        drop(desk)
