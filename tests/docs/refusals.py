"""What makes real servers and drivers say the texts that docs/troubleshooting.md quotes."""

from __future__ import annotations

import select
from collections.abc import Callable
from contextlib import ExitStack

import certifi
import psycopg

from ppg_integrations.providers.local import ports
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.urls import PostgresURL
from tests.support.poolers import pooler


class Place:
    """A database, and ways to be refused there. Closes what a test has opened."""

    def __init__(
        self, servers: LocalServers, pooled: PostgresURL, direct: PostgresURL, stack: ExitStack
    ) -> None:
        self.servers = servers
        self.pooled = pooled
        self.direct = direct
        self.stack = stack
        self.notices: list[str] = []

    def client(
        self, url: PostgresURL | None = None, **keywords: object
    ) -> psycopg.Connection[tuple[object, ...]]:
        arguments = {**(url or self.pooled).libpq(), "prepare_threshold": None, **keywords}
        client = psycopg.connect(**{"autocommit": True, **arguments})
        self.stack.callback(client.close)
        client.add_notice_handler(lambda notice: self.notices.append(notice.message_primary or ""))
        return client

    def through(self, **settings: object) -> PostgresURL:
        """The pooled URL of a pooler with settings of its own."""
        return self.stack.enter_context(pooler(self.servers, **settings)).url(self.pooled)

    def elsewhere(self, done: str, then: str) -> None:
        """`then` by a client that has lost the server connection on which it has `done`."""
        one, other = self.client(), self.client()
        one.execute(done)
        with other.transaction():
            other.execute("SELECT 1")
            one.execute(then)

    def waiting(self, limit: str) -> None:
        one, other = self.client(self.direct, autocommit=False), self.client(self.direct)
        one.execute("LOCK TABLE shop")
        other.execute(limit)
        other.execute("TABLE shop")

    def ended(self) -> None:
        client = self.client(self.direct)
        with self.servers.connect() as admin:
            admin.execute(f"SELECT pg_terminate_backend({client.info.backend_pid}, 5000)")
        client.execute("SELECT 1")

    def idle_in_transaction(self) -> None:
        client = self.client(self.direct)
        client.execute("SET idle_in_transaction_session_timeout = '50ms'")
        client.execute("BEGIN")
        select.select([client.fileno()], [], [], 10)
        client.execute("SELECT 1")

    def as_nobody(self, sql: str) -> None:
        with self.servers.connect(self.direct.dbname) as admin:
            admin.execute("SET ROLE pg_monitor")
            admin.execute(sql)

    def held_open(self) -> None:
        self.client().execute("SELECT 1")
        with self.servers.connect() as admin:
            admin.execute(f'DROP DATABASE "{self.direct.dbname}"')

    def unlocked(self) -> None:
        lock = "SELECT pg_advisory_lock(1)"
        self.elsewhere(lock, "SELECT pg_advisory_unlock(1)")
        raise AssertionError(*self.notices)

    def prepared_twice(self) -> None:
        url = self.through(prepared=False)
        for number in (1, 2):
            self.client(url, prepare_threshold=0).execute(f"SELECT {number}")

    def lost_between(self) -> None:
        """What Django's .iterator() does, with another server connection for each step."""
        url = self.through(server_round_robin=1)
        one, other = self.client(url), self.client(url)
        with one.transaction(), other.transaction():
            one.execute("SELECT 1")
            other.execute("SELECT 1")
        # psycopg's own cursor could not be closed afterwards.
        one.pgconn.exec_(b"DECLARE _django_curs_1 CURSOR WITH HOLD FOR SELECT 1")
        answer = one.pgconn.describe_portal(b"_django_curs_1")
        raise psycopg.Error(answer.error_message.decode())

    def altered(self) -> None:
        client = self.client(self.direct, prepare_threshold=0)
        client.execute("SELECT * FROM shop")
        self.client(self.direct).execute("ALTER TABLE shop ADD COLUMN later int")
        client.execute("SELECT * FROM shop")

    def path_of_nothing(self) -> None:
        with self.client(self.direct) as client:
            client.execute("SET search_path = nothing")
            client.execute("CREATE TABLE other (id int)")


#: By quoted text, what makes a real server or driver say it.
PROVOKED: dict[str, Callable[[Place], object]] = {
    'password authentication failed for user "..."': lambda at: at.client(
        at.direct, password="wrong"
    ),
    "SASL authentication failed": lambda at: at.client(password="wrong"),
    'database "..." does not exist': lambda at: at.client(at.direct, dbname="nothing"),
    "connection refused": lambda at: at.client(port=ports.choose()),
    "failed to resolve host '...'": lambda at: at.client(host="nothing.invalid"),
    'no pg_hba.conf entry for host "...", user "...", database "...", no encryption': (
        lambda at: at.client(at.direct, sslmode="disable")
    ),
    "SSL required": lambda at: at.client(sslmode="disable"),
    "certificate verify failed": lambda at: at.client(
        sslmode="verify-full", sslrootcert=certifi.where()
    ),
    'root certificate file "..." does not exist': lambda at: at.client(
        sslmode="verify-full", sslrootcert="/nothing"
    ),
    "permission denied to create database": lambda at: at.as_nobody("CREATE DATABASE another"),
    "must be owner of table ...": lambda at: at.as_nobody("ALTER TABLE shop ADD COLUMN a int"),
    "terminating connection due to administrator command": Place.ended,
    "terminating connection due to idle-in-transaction timeout": Place.idle_in_transaction,
    "canceling statement due to statement timeout": lambda at: at.waiting(
        "SET statement_timeout = '50ms'"
    ),
    "canceling statement due to lock timeout": lambda at: at.waiting("SET lock_timeout = '50ms'"),
    "cannot execute INSERT in a read-only transaction": lambda at: at.client(
        at.direct, options="-c default_transaction_read_only=on"
    ).execute("INSERT INTO shop VALUES (1)"),
    "cached plan must not change result type": Place.altered,
    'prepared statement "_pg3_0" already exists': Place.prepared_twice,
    'prepared statement "..." does not exist': lambda at: at.elsewhere(
        "PREPARE latest AS SELECT 1", "EXECUTE latest"
    ),
    'cursor "..." does not exist': lambda at: at.elsewhere(
        "DECLARE report CURSOR WITH HOLD FOR SELECT 1", "FETCH report"
    ),
    'portal "_django_curs_..." does not exist': Place.lost_between,
    'relation "..." does not exist': lambda at: at.elsewhere(
        "CREATE TEMPORARY TABLE basket (id int)", "TABLE basket"
    ),
    "no schema has been selected to create in": Place.path_of_nothing,
    'database "..." is being accessed by other users': Place.held_open,
    "you don't own a lock of type ExclusiveLock": Place.unlocked,
    "transaction blocks not allowed in statement pooling mode": lambda at: at.client(
        at.through(mode="statement")
    ).execute("BEGIN"),
    'invalid URI query parameter: "pgbouncer"': lambda at: psycopg.connect(
        "postgresql://h/d?pgbouncer=true"
    ),
    'invalid connection option "pgbouncer"': lambda at: psycopg.connect("host=h pgbouncer=true"),
}
