"""PgBouncer's clients of a role that has ended are refused at once, on old versions and new ones."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest

from ppg_integrations import drivers
from ppg_integrations.errors import QueryError
from ppg_integrations.providers.local import clients

SECONDS = 2.0


def client(url, **options):
    return psycopg.connect(**url.libpq(), autocommit=True, prepare_threshold=None, **options)


def asked(connection):
    """How long an answer takes, and which it is, in a thread: one that never comes ends the test."""
    seen = []

    def ask():
        began = time.monotonic()
        try:
            connection.execute("SELECT 1")
            seen.append((time.monotonic() - began, None))
        except psycopg.Error as error:
            seen.append((time.monotonic() - began, error))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(SECONDS)
    assert seen, "it waits"
    return seen[0]


def test_who_was_idle_is_refused_at_its_next_question_however_late(servers, generated):
    with client(generated.pooled) as first, client(generated.pooled) as second:
        first.execute("SELECT 1")
        servers.revoke(generated.id)
        for connection in (first, second):
            seconds, error = asked(connection)
            assert isinstance(error, psycopg.OperationalError)
            assert seconds < SECONDS
            assert connection.closed


def test_who_asks_all_the_time_is_refused_too(servers, generated):
    """Some of them ask between the end of their sessions and the first refusal."""
    ended = []

    def hammer():
        connection = client(generated.pooled)
        try:
            while True:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:
            ended.append(time.monotonic())
        finally:
            connection.close()

    threads = [threading.Thread(target=hammer, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    servers.revoke(generated.id)
    retired = time.monotonic()
    for thread in threads:
        thread.join(max(0.1, retired + SECONDS - time.monotonic()))
    assert len(ended) == len(threads)


def test_who_asks_in_another_database_is_refused_too(servers, generated):
    other = generated.pooled.replace(database="postgres")
    with client(generated.pooled) as one, client(other) as two:
        one.execute("SELECT 1")
        two.execute("SELECT 1")
        servers.revoke(generated.id)
        for connection in (one, two):
            assert asked(connection)[1] is not None


def test_clients_of_other_roles_go_on(servers, generated):
    other = servers.generate("other", database=generated.direct.database)
    with client(generated.pooled) as old, client(other.pooled) as new:
        old.execute("SELECT 1")
        new.execute("SELECT 1")
        servers.revoke(generated.id)
        assert asked(new)[1] is None
        assert asked(old)[1] is not None
        assert asked(new)[1] is None


def test_the_patience_of_the_pooler_is_what_it_was(servers, generated):
    def patience():
        with servers._console() as console:
            rows = console.fetch("SHOW CONFIG")
        return next(row[1] for row in rows if row[0] == "query_wait_timeout")

    before = patience()
    with servers._console() as console:
        assert clients._send_away(console)
    assert patience() == before != clients._WAIT


def test_a_pooler_that_gives_no_such_rights_keeps_nobody_from_revoking(servers, generated, monkeypatch):  # fmt: skip
    class Console:
        """Of a pooler that was started by an earlier version."""

        def fetch(self, sql):
            row = ("C", generated.id, generated.pooled.database, "waiting")
            return [row] if sql == "SHOW CLIENTS" else [("query_wait_timeout", "120")]

        def execute(self, _sql):
            raise QueryError("admin access needed", sqlstate="08P01")

    monkeypatch.setattr(clients, "_ask_in_vain", lambda *_: None)
    clients.refuse(Console(), generated.pooled)


def test_nobody_asks_in_vain_where_there_is_no_client(servers, generated, monkeypatch):
    monkeypatch.setattr(clients, "_ask_in_vain", lambda *_: pytest.fail("it asks"))
    assert servers.revoke(generated.id)
    with pytest.raises(Exception, match="password|no such user|authentication"):
        drivers.connect(generated.pooled)
