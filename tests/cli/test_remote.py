"""The verbs where a provider shows the secrets of what exists: Neon's double."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ppg_integrations import envfile
from ppg_integrations.cli import main
from ppg_integrations.journal import Journal
from ppg_integrations.providers.local.servers import LocalServers
from tests.support.doubles.accounts import Accounts
from tests.support.doubles.neon import NeonDouble

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def double(
    shop: Path, servers: LocalServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[NeonDouble]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with Accounts(servers) as accounts, NeonDouble(accounts) as double:
        monkeypatch.setenv("NEON_API_HOST", double.url)
        monkeypatch.setenv("NEON_API_KEY", double.token)
        yield double


def user(capsys: Captured, *arguments: str) -> str:
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    url: str = json.loads(capsys.readouterr().out)["direct"]["url"]
    return url.partition("://")[2].partition(":")[0]


def test_a_token_is_enough_to_show_and_to_run(
    double: NeonDouble, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["show"]) == 0
    printed = capfd.readouterr()
    assert "Neon's API" in printed.out
    code = "import os; print(os.environ['PGUSER'])"
    assert main(["run", "--", sys.executable, "-c", code]) == 0
    assert capfd.readouterr().out.strip() in printed.out
    assert main(["doctor"]) == 0
    assert double.count("POST") == 0


def test_options_name_another_branch_than_the_file(
    double: NeonDouble, shop: Path, capsys: Captured
) -> None:
    assert main(["create"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("found     br-")
    assert double.count("POST") == 0
    main_user = user(capsys, "show")
    assert main(["create", "--branch", "dev", "--create"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("generated br-")
    # The owner's role was not made by us, and nobody is advised to end it.
    assert "is still alive.\n" in printed.err
    assert "revoke" not in printed.err
    assert user(capsys, "show") != main_user
    assert user(capsys, "show", "--branch", "main") == main_user
    assert Journal(shop / ".env").entries() == ()


def test_a_rotation_warns_that_it_cuts_off_what_is_connected(
    double: NeonDouble, shop: Path, capsys: Captured
) -> None:
    assert main(["create"]) == 0
    before = envfile.read(shop / ".env")
    capsys.readouterr()
    assert main(["rotate"]) == 0
    assert "is cut off" in capsys.readouterr().err
    after = envfile.read(shop / ".env")
    assert after["DIRECT_URL"] != before["DIRECT_URL"]
    assert after["PPG_CONNECTION"].rpartition(":")[0] == before["PPG_CONNECTION"].rpartition(":")[0]
    assert main(["doctor"]) == 0
