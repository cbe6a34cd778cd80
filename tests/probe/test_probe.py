"""The probe against real servers: each kind, each pooler setting, and everything that is broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import traceback
from contextlib import contextmanager

import pytest

from ppg_integrations import drivers
from ppg_integrations import probe as module
from ppg_integrations.errors import ConnectError
from ppg_integrations.probe import probe
from tests.support.poolers import pooler
from tests.support.tcp_proxy import TCPProxy

TRANSACTION_SETTINGS = [
    pytest.param({}, id="as it comes"),
    pytest.param({"size": 1}, id="pool size 1"),
    pytest.param({"size": 10, "server_round_robin": 1}, id="round robin"),
    pytest.param({"size": 1, "server_round_robin": 1}, id="pool size 1, round robin"),
]


def warm(url, clients=3):
    """Makes the pool open as many backends as `clients`."""
    connections = [drivers.connect(url) for _ in range(clients)]
    for connection in connections:
        connection.begin()
        connection.fetch("SELECT 1")
    for connection in connections:
        connection.rollback()
        connection.close()


@contextmanager
def busy(url, clients=12):
    """So many clients, each with one short transaction after the other."""
    ended = threading.Event()
    failures = []

    def work():
        try:
            with drivers.connect(url) as connection:
                while not ended.is_set():
                    connection.begin()
                    connection.fetch("SELECT pg_sleep(0.002)")
                    connection.rollback()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(0.3)
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join(20)
    assert not failures


def test_the_server_itself(shared):
    result = probe(shared.direct)
    assert result.kind == "direct"
    assert result.error is None
    assert result.server_version.startswith("17.")
    assert result.latency_ms > 0
    assert result.tls.version == "TLSv1.3"
    assert result.vitals.database == shared.direct.dbname
    assert result.vitals.user == shared.direct.user
    assert result.vitals.in_recovery is False
    assert 0 < result.vitals.slots.used < result.vitals.slots.allowed
    assert result.vitals.system


def test_the_servers_own_pooler(shared):
    result = probe(shared.pooled)
    assert result.kind == "transaction-pooler"
    assert result.vitals.database == shared.direct.dbname
    assert result.vitals.system == probe(shared.direct).vitals.system


@pytest.mark.parametrize("settings", TRANSACTION_SETTINGS)
def test_transaction_pooler_cold_and_warm(servers, shared, settings):
    with pooler(servers, **settings) as p:
        url = p.url(shared.pooled)
        assert probe(url).kind == "transaction-pooler", "cold"
        warm(url, clients=min(3, settings.get("size", 3)))
        assert probe(url).kind == "transaction-pooler", "warm"
        assert probe(url, claim="direct").kind == "transaction-pooler", "asked twice"


@pytest.mark.parametrize("size", [3, 10])
def test_transaction_pooler_with_twelve_busy_clients(servers, shared, size):
    with pooler(servers, size=size) as p, busy(p.url(shared.pooled)):
        for _ in range(3):
            assert probe(p.url(shared.pooled)).kind == "transaction-pooler"


def test_transaction_pooler_behind_a_tcp_proxy(shared):
    url = shared.pooled
    with TCPProxy((url.host, url.port), latency=0.02) as proxy:
        result = probe(url.replace(host="127.0.0.1", port=proxy.port))
    assert result.kind == "transaction-pooler"
    assert result.latency_ms >= 20


@pytest.mark.parametrize("settings", [{}, {"server_round_robin": 1}, {"size": 3}], ids=str)
def test_session_pooler_cold_and_warm(servers, shared, settings):
    with pooler(servers, mode="session", **settings) as p:
        url = p.url(shared.pooled)
        assert probe(url).kind == "session-pooler", "cold"
        warm(url)
        assert probe(url, claim="direct").kind == "session-pooler", "warm"


def test_session_pooler_of_size_one_does_not_wait_for_itself(servers, shared):
    with pooler(servers, mode="session", size=1) as p:
        result = probe(p.url(shared.pooled), timeout=3.0)
    assert result.kind == "session-pooler"
    assert result.seconds < 3.0


@pytest.mark.parametrize("claim", ["", "direct"])
def test_statement_pooler(servers, shared, claim):
    with pooler(servers, mode="statement") as p:
        result = probe(p.url(shared.pooled), claim=claim)
    assert result.kind == "statement-pooler"
    assert result.vitals.database == shared.direct.dbname


def test_a_plain_tcp_forwarder_is_as_good_as_direct(shared):
    url = shared.direct
    with TCPProxy((url.host, url.port)) as proxy:
        assert probe(url.replace(host="127.0.0.1", port=proxy.port)).kind == "direct"


def without_tls(url, port):
    return url.replace(host="127.0.0.1", port=port, params={"sslmode": "disable"})


def test_a_proxy_that_keeps_sessions_is_no_pooler(shared):
    """Neon's proxy makes up keys on the direct host too: that alone must never fail a direct URL."""
    url = shared.direct
    with TCPProxy((url.host, url.port), mode="new-key") as proxy:
        for claim in ("", "direct"):
            result = probe(without_tls(url, proxy.port), claim=claim)
            assert result.kind == "proxy"
            assert result.tls is None
            assert result.vitals.system


@pytest.mark.parametrize("mode", ["transaction", "session", "statement"])
def test_a_pooler_behind_such_a_proxy_is_found(servers, shared, mode):
    with (
        pooler(servers, mode=mode) as p,
        TCPProxy(("127.0.0.1", p.port), mode="new-key") as proxy,
    ):
        assert probe(without_tls(shared.pooled, proxy.port)).kind == f"{mode}-pooler"


def test_a_failover_between_two_reads_is_asked_again(shared, monkeypatch):
    answers = iter([("transaction-pooler", "moved"), ("direct", "own")] * 2)
    monkeypatch.setattr(module, "_compare", lambda *args: next(answers))
    assert probe(shared.direct, claim="direct").kind == "direct"
    assert probe(shared.direct).kind == "transaction-pooler"


def test_a_second_look_that_fails_takes_nothing_back(shared, monkeypatch):
    looks = []
    real = module._probe

    def look(url, clock, source):
        looks.append(url)
        return real(url if len(looks) == 1 else url.replace(password="another"), clock, source)

    monkeypatch.setattr(module, "_probe", look)
    assert probe(shared.pooled, claim="direct").kind == "transaction-pooler"
    assert len(looks) == 2


def test_a_role_with_one_connection_left(servers, generated):
    role = generated.direct.user
    with servers.connect() as admin:
        admin.execute(f'ALTER ROLE "{role}" CONNECTION LIMIT 1')
        try:
            direct = probe(generated.direct)
            with pooler(servers) as p:
                pooled = probe(p.url(generated.pooled), timeout=4)
        finally:
            admin.execute(f'ALTER ROLE "{role}" CONNECTION LIMIT -1')
    assert direct.kind == "direct", "from the key, which a pooler makes up"
    assert "too many connections for role" in direct.evidence
    assert direct.vitals.slots.as_json() == {"used": 1, "allowed": 1, "limit": "role"}
    assert pooled.kind == "transaction-pooler"


def test_closed_port(shared):
    with TCPProxy() as proxy:
        port = proxy.port
    result = probe(shared.direct.replace(host="127.0.0.1", port=port), source="DIRECT_URL")
    assert result.kind == "unreachable"
    assert result.error.code == "refused"
    assert "DIRECT_URL" in result.error.message
    assert f"127.0.0.1:{port}" in result.error.message
    assert result.error.hint
    assert result.latency_ms is None


@pytest.mark.parametrize("timeout", [0.5, 2.5])
def test_a_port_that_never_answers_ends_at_the_deadline(shared, timeout):
    with TCPProxy(mode="blackhole") as proxy:
        began = time.monotonic()
        result = probe(shared.direct.replace(host="127.0.0.1", port=proxy.port), timeout=timeout)
        spent = time.monotonic() - began
    assert result.error.code == "timeout"
    assert timeout <= spent < timeout + 0.5


def test_a_server_that_hangs_after_the_login_ends_at_the_deadline(shared, monkeypatch):
    url = shared.direct
    with TCPProxy((url.host, url.port)) as proxy:
        monkeypatch.setattr(
            module, "connect", lambda *a, **k: (drivers.connect(*a, **k), proxy.freeze())[0]
        )
        began = time.monotonic()
        result = probe(url.replace(host="127.0.0.1", port=proxy.port), timeout=1.5)
        spent = time.monotonic() - began
    assert result.error.code == "timeout"
    assert 1.0 < spent < 2.5


def test_a_port_that_hangs_up_is_asked_again_and_then_reported(shared, monkeypatch):
    monkeypatch.setattr(module, "_NAP", 0.05)
    monkeypatch.setitem(drivers.PATIENCE, "closed", 0.2)
    with TCPProxy(mode="reset") as proxy:
        result = probe(shared.direct.replace(host="127.0.0.1", port=proxy.port))
        assert proxy.accepted >= 2
    assert result.error.code == "closed"


def test_a_database_that_wakes_is_waited_for(shared, monkeypatch):
    real = drivers.connect
    refusals = ["upstream", "starting"]

    def connect(*args, **kwargs):
        if refusals:
            raise ConnectError("not yet", code=refusals.pop())
        return real(*args, **kwargs)

    monkeypatch.setattr(module, "_NAP", 0.05)
    monkeypatch.setattr(module, "connect", connect)
    result = probe(shared.direct)
    assert result.kind == "direct"
    assert result.woke.code == "starting", "the first one counts"
    assert 0.1 <= result.waited < result.seconds
    assert (probe(shared.direct).woke, probe(shared.direct).waited) == (None, 0.0)
    refusals += ["upstream"] * 1000
    began = time.monotonic()
    result = probe(shared.direct, timeout=0.5)
    assert (result.error.code, result.woke) == ("upstream", None)
    assert 0.4 < time.monotonic() - began < 1.0


@pytest.mark.parametrize("half", ["pooled", "direct"])
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"password": "wr0ng-Pass/w%rd-9913"}, "wrong-password"),
        ({"user": "nobody_of_that_name"}, "wrong-password"),
        ({"database": "no_such_database"}, "no-database"),
        ({"params": {"sslmode": "disable"}}, "tls-required"),
    ],
    ids=["password", "user", "database", "sslmode"],
)
def test_refused_logins_say_why_and_keep_the_secret(shared, half, change, code):
    url = getattr(shared, half).replace(**change)
    waits = half == "pooled" and "database" in change  # until PgBouncer's auth_query gives up
    result = probe(url, source="DATABASE_URL", timeout=2.0 if waits else 10.0)
    assert result.kind == "unreachable"
    if waits:
        code = result.error.code if result.error.code == "upstream" else "timeout"
    if half == "pooled" and "user" in change:
        code = "no-role"  # PostgreSQL does not let on, PgBouncer says it
    assert result.error.code == code, result.error.message
    secret = url.password.reveal()
    shown = [
        str(result), repr(result), str(result.error), repr(result.error), repr(result.error.args),
        "".join(traceback.format_exception(result.error)), repr(vars(result.error)),
    ]  # fmt: skip
    assert not [text for text in shown if secret in text]
    assert result.error.__cause__ is None
    assert result.error.__context__ is None


def test_nothing_is_left_behind(servers, generated):
    name = generated.direct.dbname
    with pooler(servers, size=5) as p, servers.connect() as admin:
        url = p.url(generated.pooled)

        def rows():
            return admin.fetch(
                "SELECT application_name, state, pid FROM pg_stat_activity"
                " WHERE datname = %s AND usename <> 'ppg_pooler'",
                [name],
            )

        probe(generated.direct)
        deadline = time.monotonic() + 5
        while rows() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert rows() == []

        # a pooler keeps its backends: as many as before, none of them in a transaction or lost
        warm(url, clients=3)
        before = {pid for _, _, pid in rows()}
        assert len(before) == 3
        for _ in range(4):
            assert probe(url).kind == "transaction-pooler"
        time.sleep(0.2)
        assert {pid for _, _, pid in rows()} == before
        assert {state for _, state, _ in rows()} == {"idle"}
        with drivers.connect(url) as one:
            assert one.fetch("SHOW statement_timeout") == [("0",)]
            assert one.fetch("SELECT count(*) FROM pg_prepared_statements") == [(0,)]


WITHOUT_PSYCOPG = """
import json, os, sys
sys.modules["psycopg"] = None
from ppg_integrations.drivers import driver
from ppg_integrations.probe import probe
from ppg_integrations.urls import PostgresURL
assert driver().__name__ == "psycopg2"
kinds = {}
for name, text in json.load(sys.stdin).items():
    result = probe(PostgresURL.parse(text), timeout=8)
    kinds[name] = result.error.code if result.error else result.kind
print(json.dumps(kinds))
"""


def test_the_same_on_psycopg2(servers, shared):
    with (
        pooler(servers, mode="session") as session,
        pooler(servers, mode="statement") as statement,
        pooler(servers, size=1) as one,
    ):
        urls = {
            "direct": shared.direct,
            "transaction-pooler": one.url(shared.pooled),
            "session-pooler": session.url(shared.pooled),
            "statement-pooler": statement.url(shared.pooled),
            "wrong-password": shared.direct.replace(password="another"),
        }
        given = json.dumps({name: url.reveal() for name, url in urls.items()})
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_PSYCOPG],
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {name: name for name in urls}
