"""Connections on both drivers, and what they say when they fail."""

from __future__ import annotations

import pickle
import secrets
import sys
import threading
import time
import traceback

import psycopg
import pytest

from ppg_integrations import drivers
from ppg_integrations.errors import ConnectError, DriverError, QueryError
from ppg_integrations.urls import PostgresURL
from tests.support.tcp_proxy import TCPProxy


@pytest.fixture(scope="module")
def shared(servers):
    """A role and a database for all tests of this module."""
    database = f"t_{secrets.token_hex(4)}"
    try:
        yield servers.generate("tester", database=database)
    finally:
        servers.drop(database)


def through(proxy, url):
    return url.replace(host="127.0.0.1", port=proxy.port)


@pytest.fixture(params=["psycopg", "psycopg2"])
def driver(request, monkeypatch):
    if request.param == "psycopg2":
        monkeypatch.setitem(sys.modules, "psycopg", None)
    assert drivers.driver().__name__ == request.param
    return request.param


def watchers():
    return [t for t in threading.enumerate() if isinstance(t, threading.Timer)]


def assert_no_watcher_is_left():
    deadline = time.monotonic() + 2
    while watchers() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert watchers() == []


@pytest.mark.parametrize("half", ["pooled", "direct"])
def test_fetch_and_execute(driver, shared, half):
    with drivers.connect(getattr(shared, half)) as connection:
        assert connection.fetch("SELECT 1, 'ä%'") == [(1, "ä%")]
        assert connection.fetch("SELECT %s::int + 1, '%%'", [41]) == [(42, "%")]
        connection.execute("CREATE TABLE numbers (n int)")
        assert connection.fetch("INSERT INTO numbers SELECT generate_series(1, 3)") == []
        assert connection.fetch("SELECT n FROM numbers ORDER BY n") == [(1,), (2,), (3,)]
        connection.execute("DROP TABLE numbers")
        assert connection.tls is True
    assert connection.closed
    connection.close()


def test_transactions_in_autocommit(driver, shared):
    with drivers.connect(shared.direct) as connection:
        connection.execute("CREATE TABLE t (n int)")
        connection.begin()
        connection.execute("INSERT INTO t VALUES (1)")
        connection.rollback()
        assert connection.fetch("SELECT count(*) FROM t") == [(0,)]
        connection.begin()
        connection.execute("INSERT INTO t VALUES (1)")
        connection.commit()
        connection.begin()
        with pytest.raises(QueryError):
            connection.execute("INSERT INTO t VALUES ('x')")
        connection.rollback()
        assert connection.fetch("SELECT count(*) FROM t") == [(1,)]
        connection.execute("DROP TABLE t")


def test_transactions_of_the_driver(driver, shared):
    with drivers.connect(shared.direct, autocommit=False) as connection:
        connection.begin()
        connection.execute("CREATE TABLE u (n int)")
        connection.rollback()
        assert connection.fetch("SELECT to_regclass('u')") == [(None,)]


def test_statements_that_refuse_a_transaction(driver, servers):
    with servers.connect() as admin:
        admin.execute("CREATE DATABASE outside_of_blocks")
        admin.execute("DROP DATABASE outside_of_blocks")


def test_application_name_and_key(driver, shared):
    ask = "SELECT current_setting('application_name'), pg_backend_pid()"
    with drivers.connect(shared.direct) as connection:
        assert connection.fetch(ask) == [("ppg", connection.key_pid)]
    with drivers.connect(shared.direct, application_name="migrator") as connection:
        assert connection.fetch(ask) == [("migrator", connection.key_pid)]
    named = shared.direct.replace(params={**shared.direct.params, "application_name": "mine"})
    with drivers.connect(named, application_name="migrator") as connection:
        assert connection.fetch(ask) == [("mine", connection.key_pid)]


def test_nothing_is_prepared_on_a_backend_that_others_get(shared):
    with drivers.connect(shared.direct) as connection:
        for _ in range(12):
            connection.fetch("SELECT %s::int", [1])
        assert connection.fetch("SELECT count(*) FROM pg_prepared_statements") == [(0,)]


def test_a_refused_statement(driver, shared):
    secret = "Pw-in-a-statement-77"
    with drivers.connect(shared.direct) as connection:
        with pytest.raises(QueryError) as caught:
            connection.execute(f"ALTER ROLE somebody PASSWORD '{secret}' (")
        assert caught.value.sqlstate == "42601"
        assert "syntax error" in caught.value.message
        assert secret not in str(caught.value) + repr(vars(caught.value))
        assert caught.value.__context__ is None
        assert connection.fetch("SELECT 1") == [(1,)], "it goes on"


def test_a_lost_connection(driver, shared, servers):
    with drivers.connect(shared.direct) as connection, servers.connect() as admin:
        admin.fetch("SELECT pg_terminate_backend(%s)", [connection.key_pid])
        with pytest.raises(ConnectError) as caught:
            connection.fetch("SELECT 1")
        assert caught.value.code == "closed"
        with pytest.raises(ConnectError):
            connection.fetch("SELECT 1")
        with pytest.raises(ConnectError):
            connection.expire_after(1)


def test_a_lifetime_ends_whatever_is_going_on(driver, shared):
    with drivers.connect(shared.direct, lifetime=0.4) as connection:
        began = time.monotonic()
        with pytest.raises(ConnectError) as caught:
            connection.fetch("SELECT pg_sleep(20)")
        assert time.monotonic() - began < 2
        assert caught.value.code == "timeout"
    assert_no_watcher_is_left()


def test_a_lifetime_can_be_moved_and_leaves_no_thread(driver, shared):
    with drivers.connect(shared.direct, lifetime=0.2) as connection:
        connection.expire_after(30)
        connection.fetch("SELECT pg_sleep(0.4)")
        assert len(watchers()) == 1
    assert_no_watcher_is_left()


def test_nobody_listens(driver):
    with TCPProxy() as proxy:
        port = proxy.port
    url = PostgresURL.build(host="127.0.0.1", port=port, user="u", password="p-9Xz/w%rd")
    with pytest.raises(ConnectError) as caught:
        drivers.connect(url, source="DATABASE_URL in .env")
    error = caught.value
    assert error.code == "refused"
    assert error.message == (
        f"cannot connect to 127.0.0.1:{port} (DATABASE_URL in .env): Connection refused"
    )
    assert error.hint
    assert pickle.loads(pickle.dumps(error)).code == "refused"


@pytest.mark.parametrize("timeout", [0.3, 1.2])
def test_silence_ends_with_the_timeout(driver, timeout):
    # libpq's own limit is at least 2 s, for each address
    with TCPProxy(mode="blackhole") as proxy:
        url = PostgresURL.build(
            host="127.0.0.1", port=proxy.port, user="u", params={"sslmode": "prefer"}
        )
        began = time.monotonic()
        with pytest.raises(ConnectError) as caught:
            drivers.connect(url, timeout=timeout)
        assert timeout <= time.monotonic() - began < timeout + 0.5
        assert caught.value.code == "timeout"


def test_a_second_host_gets_its_share_of_the_time(driver, shared):
    good = shared.direct
    with TCPProxy(mode="blackhole") as proxy:
        text = good.reveal().replace(
            f"{good.host}:{good.port}", f"127.0.0.1:{proxy.port},{good.host}:{good.port}"
        )
        with drivers.connect(PostgresURL.parse(text), timeout=4) as connection:
            assert connection.fetch("SELECT 1") == [(1,)]


def test_an_attempt_that_was_given_up_closes_what_it_gets(driver, shared, servers):
    url = shared.direct
    with TCPProxy((url.host, url.port), latency=0.25) as proxy, servers.connect() as admin:
        with pytest.raises(ConnectError):
            drivers.connect(
                url.replace(host="127.0.0.1", port=proxy.port),
                timeout=0.5,
                application_name="given-up",
            )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if not [t for t in threading.enumerate() if t.name == "ppg-connect"]:
                break
            time.sleep(0.05)
        left = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = %s AND application_name = 'given-up'"
        )
        while admin.fetch(left, [url.dbname]) != [(0,)] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert admin.fetch(left, [url.dbname]) == [(0,)]


def test_an_unknown_host(driver):
    with pytest.raises(ConnectError) as caught:
        drivers.connect(PostgresURL.build(host="no-such-host.invalid", user="u"), timeout=8)
    assert caught.value.code in ("unknown-host", "timeout")


def test_a_refused_login_keeps_the_secret(driver, shared):
    secret = "a-password/with %-and+ä"
    url = shared.direct.replace(password=secret)
    with pytest.raises(ConnectError) as caught:
        drivers.connect(url)
    assert caught.value.code == "wrong-password"
    assert caught.value.__cause__ is caught.value.__context__ is None
    text = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
    # frames with their variables, as debug pages and error trackers show them
    frame = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    for shown in (text, "".join(frame.format()).replace(repr(secret), "")):
        assert secret not in shown


def test_neither_driver(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(DriverError) as caught:
        drivers.connect(PostgresURL.build(host="h"))
    assert caught.value.hint == 'pip install "ppg-integrations[psycopg]"'


def test_a_bug_is_not_taken_for_a_refusal(monkeypatch):
    def connect(**keywords):
        raise TypeError("a bug")

    monkeypatch.setattr(psycopg, "connect", connect)
    with pytest.raises(TypeError, match="a bug"):
        drivers.connect(PostgresURL.build(host="h"))


@pytest.mark.parametrize(
    ("hosts", "params", "timeout", "expected"),
    [
        ("h", {}, 10.0, 10),
        ("h", {}, 0.5, 2),
        ("h,i", {}, 10.0, 5),
        ("h", {"connect_timeout": "3"}, 10.0, 3),
        ("h", {"connect_timeout": "30"}, 10.0, 10),
        ("h", {"connect_timeout": "0"}, 10.0, 10),
    ],
)
def test_the_time_for_one_host(hosts, params, timeout, expected, monkeypatch):
    given = {}

    def connect(**keywords):
        given.update(keywords)
        raise psycopg.OperationalError("enough")

    monkeypatch.setattr(psycopg, "connect", connect)
    url = PostgresURL.parse(f"postgresql://u@{hosts}/d").replace(params=params)
    with pytest.raises(ConnectError, match="enough"):
        drivers.connect(url, timeout=timeout)
    assert given["connect_timeout"] == expected


def test_a_server_that_hangs_up_within_tls_is_tried_again(driver, shared):
    """As the proxy before a database that wakes: one answer to SSLRequest, and the end."""
    url = shared.direct
    with TCPProxy((url.host, url.port), reset_after=("server", 1)) as proxy:
        with pytest.raises(ConnectError) as caught:
            drivers.connect(through(proxy, url))
        assert caught.value.code == "closed"
        accepted = proxy.accepted
        assert accepted <= 2  # libpq's own second try, without TLS, or with
        awake = threading.Timer(0.4, lambda: setattr(proxy, "reset_after", None))
        awake.start()
        with drivers.connect(through(proxy, url), waking=True) as connection:
            assert connection.fetch("SELECT 1") == [(1,)]
        awake.join()
        assert proxy.accepted > accepted + 1


@pytest.mark.parametrize(
    "text", ["Couldn't connect to compute node", "the database system is starting up"]
)
def test_a_database_that_does_not_wake_ends_at_the_deadline(driver, text, monkeypatch):
    attempts = []

    def connect(**keywords):
        attempts.append(time.monotonic())
        raise module.OperationalError(f"FATAL:  {text}")

    module = drivers.driver()
    monkeypatch.setattr(module, "connect", connect)
    monkeypatch.setattr(drivers, "_FIRST_PAUSE", 0.05)
    url = PostgresURL.build(host="db.example", user="u")
    began = time.monotonic()
    with pytest.raises(ConnectError) as caught:
        drivers.connect(url, timeout=0.5, waking=True)
    assert time.monotonic() - began < 1
    assert text in caught.value.message
    assert caught.value.__context__ is caught.value.__cause__ is None
    assert len(attempts) > 2
    with pytest.raises(ConnectError):
        drivers.connect(url)
    assert attempts[-1] - attempts[-2] < 1, "once, for those who do not ask for more"


@pytest.mark.parametrize("code", ["closed", "too-many-connections"])
def test_what_may_not_pass_is_waited_for_a_while(code, monkeypatch):
    texts = {"closed": "server closed the connection", "too-many-connections": "too many clients"}
    attempts = []

    def connect(**keywords):
        attempts.append(keywords)
        raise psycopg.OperationalError(texts[code])

    monkeypatch.setattr(psycopg, "connect", connect)
    monkeypatch.setattr(drivers, "_FIRST_PAUSE", 0.05)
    monkeypatch.setitem(drivers.PATIENCE, code, 0.3)
    began = time.monotonic()
    with pytest.raises(ConnectError) as caught:
        drivers.connect(PostgresURL.build(host="db.example", user="u"), waking=True)
    assert 0.3 <= time.monotonic() - began < 1.5
    assert caught.value.code == code
    assert len(attempts) > 1


@pytest.mark.parametrize(
    "text", ["password authentication failed", "Connection refused", "endpoint is disabled"]
)
def test_what_does_not_pass_is_said_at_once(text, monkeypatch):
    attempts = []

    def connect(**keywords):
        attempts.append(keywords)
        raise psycopg.OperationalError(text)

    monkeypatch.setattr(psycopg, "connect", connect)
    with pytest.raises(ConnectError, match=text):
        drivers.connect(PostgresURL.build(host="db.example", user="u"), waking=True)
    assert len(attempts) == 1


def test_the_last_attempts_want_of_time_does_not_hide_the_reason(monkeypatch):
    def connect(**keywords):
        text = "timeout expired" if attempts else "the database system is starting up"
        attempts.append(keywords)
        raise psycopg.OperationalError(text)

    attempts = []
    monkeypatch.setattr(psycopg, "connect", connect)
    monkeypatch.setattr(drivers, "_FIRST_PAUSE", 0.05)
    with pytest.raises(ConnectError) as caught:
        drivers.connect(PostgresURL.build(host="db.example", user="u"), timeout=0.3, waking=True)
    assert len(attempts) > 1
    assert caught.value.code == "starting"


def test_a_lifetime_begins_with_the_call(shared):
    url = shared.direct
    with TCPProxy((url.host, url.port), latency=0.2) as proxy:
        began = time.monotonic()
        with drivers.connect(through(proxy, url), lifetime=1.5) as connection:
            assert time.monotonic() - began > 0.6, "logging in took its time"
            with pytest.raises(ConnectError) as caught:
                connection.fetch("SELECT pg_sleep(20)")
        assert time.monotonic() - began < 1.5 + 0.4
    assert caught.value.code == "timeout"
