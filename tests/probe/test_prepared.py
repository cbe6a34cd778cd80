"""Whether what drivers prepare outlives a transaction, asked of real poolers and servers."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import psycopg2
import pytest

from ppg_integrations import drivers, preparing
from ppg_integrations.cli import main, render
from ppg_integrations.cli.screen import Screen
from ppg_integrations.doctor import Diagnosis
from ppg_integrations.errors import QueryError
from ppg_integrations.pair import ConnectionPair, Source
from ppg_integrations.probe import ProbeResult, probe
from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.urls import PostgresURL
from tests.support.poolers import pooler

PREPARED = "SELECT name FROM pg_prepared_statements"


def keeps(servers: LocalServers) -> bool:
    """Whether the machine's PgBouncer can."""
    found = servers.status().pooler
    assert found is not None
    return tuple(map(int, found.version.split(".")[:2])) >= (1, 21)


def test_a_pooler_as_it_comes(servers: LocalServers, shared: Generated) -> None:
    assert probe(shared.pooled).prepared is keeps(servers)


def test_a_pooler_that_forgets_and_what_is_left_on_its_servers(
    servers: LocalServers, shared: Generated
) -> None:
    with pooler(servers, size=1, prepared=False) as p:
        url = p.url(shared.pooled)
        for _ in range(2):  # the second one meets what the first one left
            assert probe(url).prepared is False
        with drivers.connect(url) as connection:
            assert connection.fetch(PREPARED) == []


@pytest.mark.parametrize(("mode", "kept"), [("session", True), ("statement", None)])
def test_poolers_of_other_kinds(
    mode: str, kept: bool | None, servers: LocalServers, shared: Generated
) -> None:
    with pooler(servers, mode=mode, prepared=False) as p:
        assert probe(p.url(shared.pooled)).prepared is kept


def test_the_server_itself(shared: Generated) -> None:
    assert probe(shared.direct).prepared is True


def test_what_cannot_be_asked(
    servers: LocalServers, shared: Generated, monkeypatch: pytest.MonkeyPatch
) -> None:
    with drivers.connect(shared.direct) as connection:
        with pytest.raises(QueryError, match="syntax"):
            connection.prepare("one", "SELEKT")
        # As through a pooler: the name is the client's own, and gone afterwards.
        assert preparing.are_kept(connection, shared=True) is False
        assert connection.fetch(PREPARED) == []
        monkeypatch.setattr(preparing, "_STATEMENT", "SELEKT")
        assert preparing.are_kept(connection, shared=True) is None
        assert connection.fetch("SELECT 1") == [(1,)]  # no transaction is left open
    monkeypatch.setattr(drivers, "driver", lambda: psycopg2)
    result = probe(shared.pooled)
    assert (result.kind, result.prepared) == ("transaction-pooler", None)


def test_what_doctor_says(
    servers: LocalServers,
    shared: Generated,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIRECT_URL", shared.direct.reveal())
    monkeypatch.setenv("PPG_PREPARED", "1")
    with pooler(servers, prepared=False) as p:
        monkeypatch.setenv("DATABASE_URL", p.url(shared.pooled).reveal())
        assert main(["doctor", "--json"]) == 1
        document = json.loads(capsys.readouterr().out)
        assert document["pooled"]["prepared_statements"] is False
        assert document["direct"]["prepared_statements"] is True
        (problem,) = document["problems"]
        assert (problem["id"], problem["severity"]) == ("prepared-lost", "error")
        assert "PPG_PREPARED" in problem["hint"]
        monkeypatch.delenv("PPG_PREPARED")
        assert main(["doctor"]) == 0
        assert "prepared" not in capsys.readouterr().out


def test_what_the_screen_shows_of_a_pooler_that_keeps_them() -> None:
    url = PostgresURL.parse("postgresql://u@pooler.example/shop")
    for kind in ("transaction-pooler", "direct"):
        for kept in (True, False, None):
            out = StringIO()
            seen = ProbeResult(kind, "", prepared=kept)
            pair = ConnectionPair(url, None, Source("argument", "pooled"), None)
            render.diagnosis(Screen(out, out), Diagnosis(pair, seen, None, ()))
            expected = kind == "transaction-pooler" and kept is True
            assert ("keeps prepared statements" in out.getvalue()) is expected


def test_what_is_said_twice_is_shown_once() -> None:
    url = PostgresURL.parse("postgresql://u@pooler.example/shop")
    pair = ConnectionPair(url, None, Source("argument", "pooled"), None)
    seen = ProbeResult("transaction-pooler", "", prepared=False)
    found = Diagnosis(pair, seen, None, preparing.lost(pair, seen, wanted=True))
    again = found.with_problems(preparing.lost(pair, seen, wanted=True))
    assert [one.id for one in again.problems] == ["prepared-lost"]
