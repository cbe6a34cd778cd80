"""The verbs with Prisma's double: tokens in either place, temporary databases, usage, secrets."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from ppg_integrations import envfile
from ppg_integrations.cli import main
from ppg_integrations.providers.local.servers import LocalServers
from tests.support.doubles.create_db import CreateDbDouble
from tests.support.doubles.prisma import PrismaDouble

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def double(
    shop: Path, servers: LocalServers, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PrismaDouble]:
    with PrismaDouble(servers) as double:
        double.project("shop", "main")
        monkeypatch.setenv("PRISMA_API_URL", double.url)
        yield double


def test_a_token_in_the_file_is_as_good_and_stays(double: PrismaDouble, shop: Path) -> None:
    (shop / ".env").write_text(f"PRISMA_SERVICE_TOKEN={double.token}\nPPG_TIMEOUT=7\n")
    assert main(["create"]) == 0
    written = envfile.read(shop / ".env")
    assert written["PRISMA_SERVICE_TOKEN"] == double.token
    assert written["PPG_PROVIDER"] == "prisma"
    assert written["PPG_PROJECT"].startswith("proj_")
    for verb in ("list", "rotate", "doctor"):
        assert main([verb]) == 0


def test_two_tokens_do_not_say_whom_to_ask(
    double: PrismaDouble, shop: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop / ".env").write_text(f"PRISMA_SERVICE_TOKEN={double.token}\n")
    monkeypatch.setenv("NEON_API_KEY", "napi_s3cret")
    assert main(["create"]) == 1
    err = capsys.readouterr().err
    assert "NEON_API_KEY in the environment" in err
    assert "PPG_PROVIDER" in err
    assert double.requests == []
    assert main(["create", "--provider", "prisma"]) == 0


def test_no_secret_shows_at_any_level(
    double: PrismaDouble,
    shop: Path,
    capsys: Captured,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PRISMA_SERVICE_TOKEN", double.token)
    secrets = {double.token}
    with caplog.at_level(logging.DEBUG):
        for arguments in (
            ["create"],
            ["rotate", "--json"],
            ["list"],
            ["show"],
            ["doctor", "--json"],
        ):
            assert main(arguments) == 0
            written = envfile.read(shop / ".env")
            secrets.add(written["DIRECT_URL"].split(":")[2].partition("@")[0])
        double.fail("POST", "connections", cut="before", work=True)
        assert main(["create"]) == 1
        assert main(["show"]) == 0
        assert main(["create"]) == 0
    printed = capsys.readouterr()
    shown = printed.out + printed.err + caplog.text
    assert len(secrets) == 3
    assert not any(secret in shown for secret in secrets)
    assert main(["create", "--json", "--reveal"]) == 0
    assert ":sk_" in capsys.readouterr().out


def test_doctor_tells_of_the_plan(
    double: PrismaDouble, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRISMA_SERVICE_TOKEN", double.token)
    assert main(["create"]) == 0
    capsys.readouterr()
    assert main(["doctor", "--json"]) == 0
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert any("plan is Free" in each["message"] for each in problems)
    double.fail("GET", times=None, status=500, body="{}")
    monkeypatch.setenv("PPG_TIMEOUT", "0.2")
    assert main(["doctor", "--json"]) == 0
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert [each["severity"] for each in problems if each["id"] == "usage-unknown"] == ["info"]


def test_show_with_a_token_alone_says_that_secrets_cannot_be_read(
    double: PrismaDouble, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRISMA_SERVICE_TOKEN", double.token)
    assert main(["show"]) == 1
    assert "`ppg-connect create`" in capsys.readouterr().err


def test_a_temporary_database_needs_no_account(
    shop: Path, servers: LocalServers, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    with CreateDbDouble(servers) as service:
        monkeypatch.setenv("CREATE_DB_WORKER_URL", service.url)
        assert main(["create", "--temporary", "--json"]) == 0
        connection = json.loads(capsys.readouterr().out)["connection"]
        assert {"id", "name", "claim_url", "expires_at"} == set(connection)
        first = envfile.read(shop / ".env")
        assert first["PPG_CLAIM_URL"] == connection["claim_url"]
        assert main(["show"]) == 0
        assert f"claim url {connection['claim_url']}\n" in capsys.readouterr().out
        assert main(["show", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["claim_url"] == connection["claim_url"]
        # Its claim URL would be lost with it.
        assert main(["create", "--temporary"]) == 1
        err = capsys.readouterr().err
        assert f"holds a temporary database, {connection['id']}" in err
        assert connection["claim_url"] in err
        assert "--replace" in err
        assert envfile.read(shop / ".env") == first
        assert len(service.requests) == 1
        assert main(["create", "--temporary", "--replace"]) == 0
        printed = capsys.readouterr()
        assert f"The temporary database of {connection['id']} is not in use" in printed.err
        assert connection["claim_url"] in printed.err
        assert envfile.read(shop / ".env")["PPG_CLAIM_URL"] != connection["claim_url"]
        assert "claim url " in printed.out
        assert "expires at " in printed.out
        assert main(["create", "--temporary", "--provider", "neon"]) == 2
        assert len(service.requests) == 2


def test_a_claim_url_goes_with_its_database(
    double: PrismaDouble,
    shop: Path,
    servers: LocalServers,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with CreateDbDouble(servers) as service:
        monkeypatch.setenv("CREATE_DB_WORKER_URL", service.url)
        assert main(["create", "--temporary"]) == 0
        claim = envfile.read(shop / ".env")["PPG_CLAIM_URL"]
        monkeypatch.setenv("PRISMA_SERVICE_TOKEN", double.token)
        capsys.readouterr()
        assert main(["create"]) == 0
        assert claim in capsys.readouterr().err
        assert envfile.read(shop / ".env")["PPG_CLAIM_URL"] == ""
        assert main(["show", "--json"]) == 0
        assert "claim_url" not in json.loads(capsys.readouterr().out)
