"""What was only found is nobody's to end: Neon's double, whose API shows the secrets that exist."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ppg_integrations import PostgresURL, envfile
from ppg_integrations.cli import frontend, main
from ppg_integrations.cli.screen import Screen
from ppg_integrations.errors import joined
from ppg_integrations.journal import Journal
from ppg_integrations.pair import ConnectionPair
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.verbs import proof
from tests.support.doubles.accounts import Accounts
from tests.support.doubles.casedev import CasedevDouble
from tests.support.doubles.neon import NeonDouble
from tests.support.scripted import Desk, works

Captured = pytest.CaptureFixture[str]


def ppg(capsys: Captured, *arguments: str, status: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert main(arguments) == status, capsys.readouterr()
    printed = capsys.readouterr()
    return printed.out, printed.err


def unreachable(uri: str, pooled: bool) -> str:
    return re.sub(r":\d+/", ":1/", uri) if pooled else uri


def test_a_found_pair_that_does_not_work_is_no_reason_to_end_it(
    neon: NeonDouble, shop: Path, journal: Journal, capsys: Captured
) -> None:
    neon.rewrite = unreachable
    _, err = ppg(capsys, "create", status=1)
    assert "does not work, and was not written" in err
    for word in ("generated", "revoke", "interrupted", "takes up"):
        assert word not in err
    assert not (shop / ".env").exists()
    assert journal.entries() == ()
    _, err = ppg(capsys, "list")
    assert err == ""
    neon.rewrite = lambda uri, _pooled: uri
    out, err = ppg(capsys, "create")
    assert out.startswith("found     br-")
    assert err == ""
    assert neon.count("DELETE") == 0


def test_what_is_made_beside_a_role_makes_the_role_no_new_one(
    neon: NeonDouble, journal: Journal, capsys: Captured
) -> None:
    neon.rewrite = unreachable
    _, err = ppg(capsys, "create", "--replica", "--create", status=1)
    assert neon.count("POST", "endpoints") == 1
    assert "revoke" not in err
    assert journal.entries() == ()


def test_what_is_made_is_still_kept(neon: NeonDouble, journal: Journal, capsys: Captured) -> None:
    neon.rewrite = unreachable
    _, err = ppg(capsys, "create", "--role", "web", "--create", status=1)
    assert "was generated and kept, and does not work yet" in err
    (entry,) = journal.entries()
    assert entry.generated is not None
    assert f"ppg-connect revoke {entry.generated.id}" in err


def test_a_new_role_is_no_role_to_migrate_with(neon: NeonDouble, capsys: Captured) -> None:
    options = {"verb": "create", "role": "web", "create_missing": True}
    screen = Screen(sys.stdout, sys.stderr)
    settings = {"program": "manage.py ppg_connect", "migrates": "manage.py migrate"}
    frontend.perform(options, screen, environ=os.environ, **settings)
    assert capsys.readouterr().out.endswith("\nNext: manage.py ppg_connect doctor\n")
    options = {"verb": "create", "role": "web"}
    frontend.perform(options, screen, environ=os.environ, **settings)
    assert capsys.readouterr().out.endswith("\nNext: manage.py migrate\n")


def test_the_next_command_names_the_file_where_it_is_not_the_usual_one(
    neon: NeonDouble, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    named = "--env-file '.env of ours'"
    out, _ = ppg(capsys, "create", "--env-file", ".env of ours")
    assert out.endswith(f"\nNext: ppg-connect doctor {named}\n")
    assert ppg(capsys, "create", "--env-file", "./.env")[0].endswith("\nNext: ppg-connect doctor\n")
    options = {"verb": "create", "env_file": ".env of ours"}
    screen = Screen(sys.stdout, sys.stderr)
    settings = {"program": "manage.py ppg_connect", "migrates": "manage.py migrate"}
    frontend.perform(options, screen, environ=os.environ, **settings)
    assert capsys.readouterr().out.endswith(f"\nNext: manage.py ppg_connect doctor {named}\n")
    monkeypatch.setenv("PPG_ENV_FILE", ".env of ours")
    frontend.perform(options, screen, environ=os.environ, **settings)
    assert capsys.readouterr().out.endswith("\nNext: manage.py migrate\n")
    monkeypatch.delenv("PPG_ENV_FILE")
    neon.rewrite = unreachable
    role = ("--role", "web", "--create")
    _, err = ppg(capsys, "create", *role, "--env-file", ".env of ours", status=1)
    assert re.search(rf"give it up instead: ppg-connect revoke \S+ {named}", err)
    _, err = ppg(capsys, "show", "--env-file", ".env of ours")
    assert re.search(
        rf"`ppg-connect create {named}` takes it up, `ppg-connect revoke \S+ {named}`", err
    )


def test_a_refused_login_alone_does_not_mean_that_one_is_gone(
    desk: Desk, journal: Journal, capsys: Captured
) -> None:
    """The provider's list decides: a server may learn of a new login late."""

    def wrong(made: object) -> object:
        assert hasattr(made, "direct")
        return replace(made, direct=made.direct.replace(password="wr0ng"))  # type: ignore[type-var]

    desk.changed = wrong  # type: ignore[assignment]
    ppg(capsys, "create", status=1)
    (entry,) = journal.entries()
    assert entry.generated is not None
    _, err = ppg(capsys, "create", status=1)
    assert "does not exist any more" not in err
    assert f"revoke {entry.generated.id}" in err
    assert [each.key for each in journal.entries()] == [entry.key]
    desk.end(entry.generated.id)
    desk.changed = lambda made: made
    _, err = ppg(capsys, "create")
    assert f"{entry.title}, which an earlier run generated, does not exist any more" in err


def test_two_urls_that_the_provider_swapped_are_put_right(
    desk: Desk, shop: Path, capsys: Captured
) -> None:
    desk.changed = lambda made: replace(made, pooled=made.direct, direct=made.pooled)
    out, err = ppg(capsys, "create")
    assert "swapped; they were put right" in err
    assert re.search(r"direct .*\n.* direct  ", out)
    written = envfile.read(shop / ".env")
    ports = [PostgresURL.parse(written[name]).port for name in ("DATABASE_URL", "DIRECT_URL")]
    status = desk.servers.status()
    assert status.pooler is not None
    assert status.postgres is not None
    assert ports == [status.pooler.port, status.postgres.port]


def test_a_pair_that_is_swapped_whichever_way_round_is_not_written(
    desk: Desk, shop: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a failover, between the look at the pair as it came and the one at it put right."""
    diagnose = proof.doctor.diagnose
    seen: list[ConnectionPair] = []

    def failing_over(pair: ConnectionPair, **options: float) -> proof.doctor.Diagnosis:
        seen.append(pair)
        if len(seen) > 1:
            return diagnose(pair, **options)
        assert pair.direct is not None
        sources = (pair.pooled_source, pair.direct_source)
        return diagnose(ConnectionPair(pair.direct, pair.pooled, *sources), **options)

    monkeypatch.setattr(proof.doctor, "diagnose", failing_over)
    out, _ = ppg(capsys, "create", "--json", status=1)
    error = json.loads(out)["error"]
    assert error["type"] == "SwappedEndpointsError"
    assert "kept, and does not work yet: the two URLs have changed places" in error["message"]
    assert "failover" in error["hint"]
    assert "run create again" in error["hint"]
    assert "Exchange" not in error["hint"]
    assert not (shop / ".env").exists()
    out, _ = ppg(capsys, "create")
    assert "took up" in out


# -- replicas ---------------------------------------------------------------------------------


def test_a_rotation_takes_the_replica_along(neon: NeonDouble, shop: Path, capsys: Captured) -> None:
    ppg(capsys, "create", "--replica", "--create")
    before = envfile.read(shop / ".env")
    ppg(capsys, "rotate")
    after = envfile.read(shop / ".env")
    assert after["REPLICA_URL"] not in ("", before["REPLICA_URL"])
    assert works(PostgresURL.parse(after["REPLICA_URL"]))
    shown = json.loads(ppg(capsys, "show", "--json")[0])
    assert shown["replica"]["source"].startswith("REPLICA_URL in ")


def test_another_pair_leaves_no_replica_of_the_old_one(
    neon: NeonDouble, shop: Path, capsys: Captured
) -> None:
    ppg(capsys, "create", "--replica", "--create")
    kept = envfile.read(shop / ".env")["REPLICA_URL"]
    _, err = ppg(capsys, "create")  # the very same pair: so is its replica
    assert envfile.read(shop / ".env")["REPLICA_URL"] == kept
    assert "REPLICA_URL" not in err
    _, err = ppg(capsys, "create", "--branch", "dev", "--create")
    assert envfile.read(shop / ".env")["REPLICA_URL"] == ""
    assert "REPLICA_URL belonged to the earlier pair and was emptied" in err
    assert "ppg-connect create --replica" in err
    assert "replica" not in json.loads(ppg(capsys, "show", "--json")[0])


def test_a_replica_that_is_refused_is_mended_by_create(
    neon: NeonDouble, shop: Path, capsys: Captured
) -> None:
    ppg(capsys, "create")
    text = (shop / ".env").read_text()
    primary = envfile.read(shop / ".env")["DATABASE_URL"]
    (shop / ".env").write_text(f"{text}DATABASE_REPLICA_URL='{primary}'\n")
    assert "same server" in ppg(capsys, "show", status=1)[1]
    _, err = ppg(capsys, "create")
    assert "DATABASE_REPLICA_URL belonged to the earlier pair" in err
    ppg(capsys, "show")


def test_doctor_tells_that_a_replica_does_not_answer(
    neon: NeonDouble, shop: Path, capsys: Captured
) -> None:
    ppg(capsys, "create", "--replica", "--create")
    ppg(capsys, "doctor")
    values = envfile.read(shop / ".env")
    dead = PostgresURL.parse(values["REPLICA_URL"]).replace(port=1).reveal()
    envfile.update(shop / ".env", {"REPLICA_URL": dead})
    document = json.loads(ppg(capsys, "doctor", "--json", status=1)[0])
    (problem,) = (each for each in document["problems"] if each["id"] == "replica-unreachable")
    assert problem["severity"] == "error"
    assert "REPLICA_URL" in problem["message"]


# -- options that mean nothing ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "words"),
    [
        ("prisma", "create --branch dev"),
        ("prisma", "rotate --role web"),
        ("prisma", "create --replica"),
        ("prisma", "list --branch dev"),
        ("prisma", "revoke --role web con_1"),
        ("prisma", "show --branch dev"),
        ("prisma", "doctor --role web"),
        ("prisma", "create --region eu-west-3"),
        ("casedev", "create --role web"),
        ("casedev", "create --database main"),
        ("casedev", "show --role web"),
        ("local", "create --branch dev"),
        ("local", "create --role dev"),
        ("local", "create --project dev"),
        ("local", "create --region dev --create"),
        ("local", "create --replica"),
    ],
)
def test_an_option_that_the_provider_does_not_have_is_wrong_usage(
    provider: str, words: str, shop: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    with CasedevDouble() as api:  # any server that would tell of a request
        monkeypatch.setenv("PPG_API_URL", api.url)
        for token in ("PRISMA_SERVICE_TOKEN", "CASEDEV_API_KEY"):
            monkeypatch.setenv(token, "t0ken")
        _, err = ppg(capsys, *words.split(), "--provider", provider, status=2)
        assert api.requests == []
    assert re.search(r"--(branch|role|replica|database|project|region) ", err)
    assert not (shop / ".env").exists()
    assert not (shop / ".ppg").exists()


def test_a_variable_is_no_option(
    desk: Desk, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PPG_BRANCH", "PPG_ROLE"):
        monkeypatch.setenv(name, "dev")
    ppg(capsys, "create")


def test_a_grace_where_the_old_secret_ends_at_once_is_wrong_usage(
    neon: NeonDouble, capsys: Captured
) -> None:
    _, err = ppg(capsys, "rotate", "--grace", "5", status=2)
    assert "--grace means nothing" in err
    assert neon.requests == []


def test_what_a_rotation_costs_is_said_where_it_happens(
    neon: NeonDouble, shop: Path, capsys: Captured
) -> None:
    ppg(capsys, "create")
    (shop / ".env").chmod(0o600)
    _, err = ppg(capsys, "rotate", "--database", "none", status=1)
    assert "is cut off" not in err
    out, err = ppg(capsys, "rotate")
    assert "is cut off" in err
    assert out.startswith("rotated   br-")
    assert "\nNext: restart what was started with the old URLs;" in out


def test_case_devs_branch_is_remembered_as_it_was_said(
    shop: Path, servers: LocalServers, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Accounts(servers) as accounts, CasedevDouble(accounts) as double:
        monkeypatch.setenv("CASEDEV_BASE_URL", double.url)
        monkeypatch.setenv("CASEDEV_API_KEY", double.token)
        double.add_branch(double.project, "dev")
        subprocess.run(["git", "init", "-q", "-b", "dev"], check=True)
        (shop / ".gitignore").write_text(".env\n")
        ppg(capsys, "create", "--branch", "dev")
        assert envfile.read(shop / ".env")["PPG_BRANCH"] == "dev"
        ppg(capsys, "create", "--branch", "auto")
        assert envfile.read(shop / ".env")["PPG_BRANCH"] == "auto"
        first = envfile.read(shop / ".env")["DATABASE_URL"]
        subprocess.run(["git", "symbolic-ref", "HEAD", "refs/heads/main"], check=True)
        ppg(capsys, "create")
        assert envfile.read(shop / ".env")["DATABASE_URL"] != first


def test_hints_are_joined_where_a_sentence_ends() -> None:
    assert joined("Do this.", "", "Then that.") == "Do this. Then that."
    assert joined("See https://x.example/a", "Then that.") == "See https://x.example/a\nThen that."
    assert joined("", "That.") == "That."
