"""What ``PPG_GENERATE=1`` made for this machine is in use, and known to the verbs as that."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ppg_integrations import errors, resolve
from ppg_integrations.cli import main
from ppg_integrations.credential_cache import Slot
from ppg_integrations.journal import journals
from ppg_integrations.pair import ConnectionPair
from ppg_integrations.providers.local.servers import LocalServers
from tests.support.doubles.prisma import PrismaDouble
from tests.support.scripted import works

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def double(
    shop: Path, servers: LocalServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PrismaDouble]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with PrismaDouble(servers) as double:
        double.project("shop", "main")
        for name, value in (
            ("PRISMA_API_URL", double.url),
            ("PRISMA_SERVICE_TOKEN", double.token),
            ("PPG_GENERATE", "1"),
            ("PPG_TIMEOUT", "5"),
        ):
            monkeypatch.setenv(name, value)
        yield double


def ids(double: PrismaDouble) -> list[str]:
    return [each.id for each in double.workspace.connections]


def pair(**environ: str) -> ConnectionPair:
    """What a process has that starts now; what it is warned of stands in it too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return resolve(environ={**os.environ, **environ})


def ppg(capsys: Captured, *arguments: str, status: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert main(arguments) == status, capsys.readouterr()
    printed = capsys.readouterr()
    return printed.out, printed.err


@pytest.fixture
def made(double: PrismaDouble) -> str:
    """The id of one that was made for this machine."""
    found = pair()
    assert "for this machine" in found.warnings[0]
    assert works(found.pooled)
    (id,) = ids(double)  # noqa: A001
    return id


def test_it_is_marked_and_not_revoked_without_force(
    double: PrismaDouble, made: str, capsys: Captured
) -> None:
    listed = json.loads(ppg(capsys, "list", "--json")[0])["connections"]
    assert [(each["id"], each["in_use"]) for each in listed] == [(made, True)]
    _, err = ppg(capsys, "revoke", made, status=1)
    assert f"{made} is in use: it was made for this machine" in err
    assert ids(double) == [made]
    _, err = ppg(capsys, "revoke", made, "--force")
    assert "make another one" in err
    assert ids(double) == []
    assert works(pair().pooled)
    assert ids(double) not in ([], [made])


def test_fresh_does_not_serve_one_that_was_ended_elsewhere(double: PrismaDouble, made: str) -> None:
    assert works(pair(PPG_RESOLVE="fresh").pooled)
    assert ids(double) == [made]
    double.workspace.remove_connection(double.workspace.connections[0])
    assert not works(pair().pooled)  # nobody asks, and nobody knows
    found = pair(PPG_RESOLVE="fresh")
    assert f"{made}, which was made for this machine, does not exist any more" in found.warnings
    assert works(found.pooled)
    assert len(ids(double)) == 1
    assert works(pair().pooled)


def test_fresh_serves_the_one_it_has_while_the_api_is_down(double: PrismaDouble, made: str) -> None:
    double.fail("GET", times=None, status=500, body="{}")
    found = pair(PPG_RESOLVE="fresh", PPG_TIMEOUT="0.3")
    assert "are used until it answers" in found.warnings[0]
    assert works(found.pooled)


def test_what_was_interrupted_is_told_by_every_verb(
    double: PrismaDouble, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise errors.EnvFileError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Slot, "write", full)
        with pytest.raises(errors.EnvFileError):
            pair()
    (id,) = ids(double)  # noqa: A001
    for verb in ("list", "rotate", "create"):
        _, err = ppg(capsys, verb)
        assert f"note: {id} (" in err
        assert "was generated for a process with PPG_GENERATE=1 that was interrupted" in err
        assert f"`ppg-connect revoke {id}` ends it" in err
    ppg(capsys, "revoke", id)
    assert id not in ids(double)
    assert journals() == ()
    _, err = ppg(capsys, "list")
    assert err == ""


def test_a_request_without_an_answer_is_told_too(double: PrismaDouble, capsys: Captured) -> None:
    double.fail("POST", "connections", cut="before", work=True)
    with pytest.raises(errors.ProviderUnavailableError):
        pair()
    _, err = ppg(capsys, "list")
    assert "A process with PPG_GENERATE=1 asked prisma for the connection shop-" in err
    (journal,) = journals()
    (entry,) = journal.entries()
    journal.record(replace(entry, created_at="2026-01-01T00:00:00+00:00"))
    assert "was revoked" in pair().warnings[0]
    assert len(ids(double)) == 1
