"""Who uses a login, as its server shows it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from ppg_integrations import ConnectError, PostgresURL, drivers
from ppg_integrations.errors import QueryError
from ppg_integrations.probe import probe
from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.verbs import sessions
from ppg_integrations.verbs.sessions import Use, use

Connect = Callable[..., "psycopg.Connection[tuple[object, ...]]"]


@pytest.fixture
def app() -> Iterator[Connect]:
    """Connections of an application, as psycopg makes them; closed at the end."""
    made = []

    def connect(url: PostgresURL, **options: object) -> psycopg.Connection[tuple[object, ...]]:
        options = {**url.libpq(), "autocommit": True, "prepare_threshold": None, **options}
        made.append(psycopg.connect(**options))
        return made[-1]

    yield connect
    for each in made:
        each.close()


@pytest.fixture(params=["pooled", "direct"])
def end(request: pytest.FixtureRequest, generated: Generated) -> PostgresURL:
    """A URL of the login, through the pooler and past it."""
    url = getattr(generated, request.param)
    assert isinstance(url, PostgresURL)
    return url


def test_a_login_of_nobody_is_unused(generated: Generated) -> None:
    found = use(generated.direct)
    assert found == Use(role=generated.id)
    assert found.unused


def test_an_open_transaction_is_a_use_however_old(
    generated: Generated, end: PostgresURL, app: Connect
) -> None:
    connection = app(end, application_name="worker")
    connection.execute("BEGIN")
    connection.execute("SELECT 1")
    time.sleep(0.05)
    found = use(generated.direct, quiet=0.01)
    assert (found.sessions, found.applications, found.since) == (1, ("worker",), 0.0)
    assert not found.unused
    assert str(found) == "1 session uses it (worker)"


def test_a_statement_under_way_is_a_use(
    generated: Generated, end: PostgresURL, app: Connect
) -> None:
    connection = app(end)
    connection.pgconn.send_query(b"SELECT pg_sleep(20)")
    deadline = time.monotonic() + 10
    while not (found := use(generated.direct, quiet=0)).sessions:
        assert time.monotonic() < deadline
    assert found.since == 0.0
    connection.cancel_safe()


def test_an_idle_session_is_a_use_for_as_long_as_is_said(
    generated: Generated, end: PostgresURL, app: Connect
) -> None:
    app(end, application_name="gunicorn").execute("SELECT 1")
    found = use(generated.direct)
    assert (found.sessions, found.applications) == (1, ("gunicorn",))
    assert 0 < found.since < 30
    time.sleep(0.05)
    assert use(generated.direct, quiet=0.05).unused


def test_sessions_are_counted_and_named_once(generated: Generated, app: Connect) -> None:
    for name in ("b", "a", "b", ""):
        app(generated.direct, application_name=name).execute("SELECT 1")
    found = use(generated.direct)
    assert (found.sessions, found.applications) == (4, ("a", "b"))
    app(generated.direct, application_name="ppg").execute("SELECT 1")  # our own, lent by a pooler
    found = use(generated.direct)
    assert (found.sessions, found.applications) == (5, ("a", "b"))
    assert str(Use(4, ("a", "b"), 3.2)) == "4 sessions use it (a, b), last 3 s ago"


def test_what_another_login_of_the_database_does_is_none_of_its_uses(
    servers: LocalServers, generated: Generated, app: Connect
) -> None:
    other = servers.generate("other", database=generated.direct.database)
    app(other.direct).execute("SELECT 1")
    assert use(generated.direct).unused
    assert use(other.direct).sessions == 1


def test_a_proof_of_ours_is_no_use_but_what_comes_after_it_is(
    generated: Generated, app: Connect
) -> None:
    """The pooler's session is the same; PgBouncer 1.18 even lends its client our name."""
    assert probe(generated.pooled).kind == "transaction-pooler"
    assert use(generated.direct).unused
    app(generated.pooled).execute("SELECT 1")
    assert use(generated.direct).sessions >= 1


def test_a_proof_does_not_hide_that_the_session_was_there_before(
    generated: Generated, app: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    app(generated.pooled).execute("SELECT 1")
    time.sleep(0.1)
    with drivers.connect(generated.pooled) as ours:
        ours.fetch("SELECT 1")
    monkeypatch.setattr(sessions, "_PROOF", 0.05)
    assert use(generated.direct).sessions == 1


def test_a_login_through_the_pooler_without_a_question_is_no_use(
    generated: Generated, app: Connect
) -> None:
    app(generated.pooled)
    with drivers.connect(generated.direct) as connection:
        connection.execute("SET ROLE NONE")
        sql = "SELECT count(*) FROM pg_stat_activity WHERE usename = session_user"
        assert connection.fetch(sql) == [(2,)]
    assert use(generated.direct).unused


def test_a_login_that_is_refused_has_ended(servers: LocalServers, generated: Generated) -> None:
    assert use(generated.direct.replace(password="another")) == Use(ended=True)
    servers.revoke(generated.id)
    assert use(generated.direct).unused


def test_a_server_that_is_not_reached_leaves_it_open(generated: Generated) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        found = use(generated.direct.replace(port=nobody.getsockname()[1]))
    assert found.passes
    assert not found.unused
    assert "it cannot be told whether it is in use: cannot connect" in str(found)


def test_a_server_that_answers_nothing_is_given_up(generated: Generated) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = generated.direct.replace(port=silent.getsockname()[1])
        began = time.monotonic()
        assert use(url, timeout=0.3).passes
        assert time.monotonic() - began < 2.5


def test_a_server_that_hides_its_sessions_leaves_it_open(
    servers: LocalServers, generated: Generated, app: Connect
) -> None:
    with servers.connect() as admin:
        admin.execute(f'ALTER ROLE "{generated.id}" SET track_activities = off')
    app(generated.direct).execute("SELECT 1")
    found = use(generated.direct)
    assert (found.unused, found.passes) == (False, False)
    assert "hides" in str(found)


@pytest.mark.parametrize(
    ("error", "passes"),
    [(QueryError("no such view", sqlstate="42P01"), False), (ConnectError("lost"), True)],
)
def test_a_server_that_has_no_such_view_leaves_it_open(
    error: Exception, passes: bool, generated: Generated, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(sessions, "_read", refuse)
    found = use(generated.direct)
    assert (found.unused, found.passes) == (False, passes)
