"""The verbs where a provider shows the secrets of what exists: Neon's double."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ppg_integrations import envfile
from ppg_integrations.cli import main
from ppg_integrations.journal import Journal
from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.neon import NeonProvider
from tests.support.doubles.neon import NeonDouble

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def double(neon: NeonDouble) -> NeonDouble:
    return neon


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


def test_the_branch_that_was_named_stays_the_one_of_the_file(
    double: NeonDouble, shop: Path, capsys: Captured
) -> None:
    assert main(["create", "--branch", "dev", "--create"]) == 0
    first = user(capsys, "show")
    assert envfile.read(shop / ".env")["PPG_BRANCH"] == "dev"
    assert main(["create"]) == 0
    assert user(capsys, "show") == first
    # What auto is now it need not stay: it is kept as it was said.
    subprocess.run(["git", "init", "-q", "-b", "elsewhere"], check=True)
    assert main(["create", "--branch", "auto-or-default", "--allow-tracked"]) == 0
    assert envfile.read(shop / ".env")["PPG_BRANCH"] == "auto-or-default"
    subprocess.run(["git", "symbolic-ref", "HEAD", "refs/heads/dev"], check=True)
    assert main(["create", "--allow-tracked"]) == 0
    assert user(capsys, "show") == first


def test_the_branch_in_use_is_not_deleted_by_any_of_its_names(
    double: NeonDouble, shop: Path, capsys: Captured
) -> None:
    assert main(["create", "--branch", "dev", "--create"]) == 0
    branch, _, role = (
        envfile.read(shop / ".env")["PPG_CONNECTION"].rpartition(":")[0].partition("/")
    )
    for name in ("dev", branch, role, f"{branch}/{role}"):
        capsys.readouterr()
        assert main(["revoke", name]) == 1
        assert "in use" in capsys.readouterr().err
    assert double.count("DELETE") == 0
    assert main(["doctor"]) == 0


def test_a_replica_is_proved_written_and_shown(
    double: NeonDouble, shop: Path, capsys: Captured
) -> None:
    assert main(["create", "--replica"]) == 1
    assert "--create" in capsys.readouterr().err
    assert not (shop / ".env").exists()
    assert main(["create", "--replica", "--create"]) == 0
    capsys.readouterr()
    assert main(["show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    ends = {(shown[part]["host"], shown[part]["port"]) for part in ("pooled", "direct", "replica")}
    assert len(ends) == 3
    assert main(["rotate"]) == 0
    assert main(["doctor"]) == 0


def test_a_replica_that_is_the_primary_is_not_written(
    double: NeonDouble, shop: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["create"]) == 0
    before = (shop / ".env").read_text()
    generate = NeonProvider.generate

    def confused(self: NeonProvider, *arguments: Any) -> Generated:
        found = generate(self, *arguments)
        return replace(found, replica=found.pooled)

    monkeypatch.setattr(NeonProvider, "generate", confused)
    capsys.readouterr()
    assert main(["create", "--replica", "--create"]) == 1
    assert "same server" in capsys.readouterr().err
    assert (shop / ".env").read_text() == before


def test_what_was_cached_before_a_rotation_is_forgotten(
    double: NeonDouble, shop: Path, capsys: Captured
) -> None:
    assert main(["doctor"]) == 0  # by the API, and into the cache
    assert main(["create"]) == 0
    assert main(["rotate"]) == 0
    (shop / ".env").unlink()
    assert main(["doctor"]) == 0  # the old password would be refused


def test_what_the_file_says_of_another_providers_database_is_not_heeded(
    double: NeonDouble, shop: Path, capsys: Captured
) -> None:
    (shop / ".env").write_text(
        "DATABASE_URL=postgres://u:p@pooled.db.prisma.io/postgres\n"
        "PPG_PROJECT=proj_prisma1\nPPG_DATABASE=db_prisma1\n"
    )
    assert main(["create", "--provider", "neon", "--replace"]) == 0
    written = envfile.read(shop / ".env")
    assert written["PPG_PROJECT"] == double.project.id


# -- options and the pair of the file ---------------------------------------------------------

NEON = "postgresql://u:s3cr3t@ep-a-1.us-east-2.aws.neon.tech/neondb?sslmode=require"
PRISMA = "postgres://u:s3cr3t@db.prisma.io/postgres"
VERBS = (["show"], ["doctor"], ["run", "--", "true"])


def with_options(verb: list[str], *options: str) -> list[str]:
    return [verb[0], *options, *verb[1:]]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
@pytest.mark.parametrize("option", ["--project", "--database"])
def test_a_database_whose_secrets_nobody_shows_is_not_the_files(
    verb: list[str],
    option: str,
    shop: Path,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PRISMA_SERVICE_TOKEN", "t0ken")
    (shop / ".env").write_text(f"DATABASE_URL={PRISMA}\n")
    assert main(with_options(verb, option, "other")) == 2
    err = capsys.readouterr().err
    assert f"{option} names a database whose secrets cannot be read" in err
    assert "--env-file" in err


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_a_branch_without_a_provider_to_ask_is_not_the_files(
    verb: list[str], shop: Path, capsys: Captured
) -> None:
    (shop / ".env").write_text(f"DATABASE_URL={NEON}\n")
    assert main(with_options(verb, "--branch", "dev")) == 1
    assert "no provider" in capsys.readouterr().err


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_another_providers_pair_is_not_the_one_that_was_named(
    verb: list[str], shop: Path, capsys: Captured
) -> None:
    (shop / ".env").write_text(f"DATABASE_URL={NEON}\n")
    assert main(with_options(verb, "--provider", "prisma")) == 2
    err = capsys.readouterr().err
    assert "--provider prisma: the pair in use is one of neon (DATABASE_URL in " in err
    assert "s3cr3t" not in err


def test_a_pair_that_may_be_the_named_providers_is_shown(shop: Path, capsys: Captured) -> None:
    # Case.dev's databases are on Neon's hosts.
    (shop / ".env").write_text(f"DATABASE_URL={NEON}\nPPG_PROVIDER=casedev\n")
    for name in ("neon", "casedev"):
        assert main(["show", "--provider", name]) == 0
    (shop / ".env").write_text("DATABASE_URL=postgresql://u@127.0.0.1/d\nPPG_PROVIDER=local\n")
    assert main(["show", "--provider", "local"]) == 0
    assert main(["show", "--provider", "neon"]) == 2


CHILD = """
import json, os
from ppg_integrations import resolve
from ppg_integrations.names import DIRECT, POOLED, REPLICA
pair = resolve()
print(json.dumps([pair.pooled.reveal(), pair.direct.reveal(), pair.replica is None,
                  sorted(n for n in POOLED + DIRECT + REPLICA if os.environ.get(n))]))
"""


def test_what_run_starts_finds_the_pair_that_the_options_name(
    double: NeonDouble,
    shop: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert main(["create", "--branch", "dev", "--create"]) == 0
    dev = envfile.read(shop / ".env")
    assert main(["create", "--branch", "main"]) == 0
    used = envfile.read(shop / ".env")
    envfile.update(shop / ".env", {"DATABASE_REPLICA_URL": used["DATABASE_URL"]})
    monkeypatch.setenv("POSTGRES_URL", used["DATABASE_URL"])
    monkeypatch.setenv("POSTGRES_URL_NON_POOLING", used["DIRECT_URL"])
    child = ["--", sys.executable, "-c", CHILD]
    capfd.readouterr()
    assert main(["run", "--branch", "dev", *child]) == 0
    pooled, direct, alone, found = json.loads(capfd.readouterr().out)
    assert [pooled, direct] == [dev["DATABASE_URL"], dev["DIRECT_URL"]]
    assert alone
    assert found == ["DATABASE_URL", "DIRECT_URL"]
