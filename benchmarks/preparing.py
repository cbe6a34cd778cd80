"""What :mod:`benchmarks.prepared` compares: the work of each family, prepared or not."""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from .ratios import against, paired

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Work = Callable[[], object]

ROWS: Final = 200
JOINS: Final = 6
TABLE: Final = f"""
CREATE TABLE node (
    id int PRIMARY KEY, name text NOT NULL, parent_id int NOT NULL REFERENCES node
);
INSERT INTO node SELECT id, 'node ' || id, greatest(1, id / 2) FROM generate_series(1, {ROWS}) id;
ANALYZE node;
"""  # noqa: S608
DEFAULT, BOUND, PREPARED = "default", "server-side binding", "prepared"
#: For the three kinds of work, how many units make one measurement.
UNITS: Final = {"one query": 100, "ten queries": 15, "seven joined rows": 60}
FAMILIES: Final = ("Django", "psycopg", "SQLAlchemy, psycopg", "SQLAlchemy, autocommit", "asyncpg")


def turns() -> Iterator[int]:
    """Primary keys, one after the other."""
    return (number % ROWS + 1 for number in itertools.count())


def per_second(work: Work, units: int) -> float:
    start = time.perf_counter()
    for _ in range(units):
        work()
    return units / (time.perf_counter() - start)


def compared(ways: dict[str, dict[str, Work]], rounds: int, scale: float) -> dict[str, Any]:
    """For each kind of work, each way's throughput against the first one's."""
    found = {}
    first = next(iter(ways))
    for kind, units in UNITS.items():
        for work in ways.values():
            per_second(work[kind], 8)  # what is prepared is prepared by then, what is cached cached
        count = max(2, int(units * scale))
        measures = {name: partial(per_second, work[kind], count) for name, work in ways.items()}
        found[kind] = against(paired(measures, rounds), first)
    return found


def django_works(url: str, rounds: int, scale: float) -> dict[str, Any]:
    """Django's, in a process of its own: it can be configured once."""
    from django.conf import settings

    from ppg_integrations.django import databases

    def pair(alias: str, **arguments: Any) -> dict[str, Any]:
        # Under its own alias: what the app does for those that it does not know is less.
        aliases = (alias, f"{alias}, direct")
        return databases(False, aliases=aliases, pooled=url, direct=url, environ={}, **arguments)

    settings.configure(
        INSTALLED_APPS=["ppg_integrations.django"],
        USE_TZ=True,
        DATABASES={
            **pair(DEFAULT),
            **pair(BOUND, options={"server_side_binding": True}),
            **pair(PREPARED, prepared=True),
        },
    )
    import django

    django.setup()
    from django.db import close_old_connections, connections, models, reset_queries

    class Node(models.Model):  # noqa: DJ008
        id = models.IntegerField(primary_key=True)
        name = models.TextField()
        parent = models.ForeignKey("self", models.DO_NOTHING)

        class Meta:
            app_label = "benchmarks"
            managed = False
            db_table = "node"

    path = "__".join(["parent"] * JOINS)
    turn = turns()

    def requests(alias: str, queries: int, *, joined: bool = False) -> Work:
        found = Node.objects.using(alias)
        if joined:
            found = found.select_related(path)

        def work() -> None:
            reset_queries()
            close_old_connections()
            for _ in range(queries):
                found.get(pk=next(turn))

        return work

    ways = {
        alias: kinds(lambda *args, a=alias, **kw: requests(a, *args, **kw))
        for alias in (DEFAULT, BOUND, PREPARED)
    }
    try:
        return compared(ways, rounds, scale)
    finally:
        connections.close_all()


def kinds(made: Callable[..., Work]) -> dict[str, Work]:
    """The three kinds of work, of what makes one for a number of queries."""
    return dict(zip(UNITS, (made(1), made(10), made(1, joined=True)), strict=True))


def statement(mark: str, *, joined: bool) -> str:
    """The query as a text, with `mark` where the key stands."""
    if not joined:
        return f"SELECT id, name, parent_id FROM node WHERE id = {mark}"  # noqa: S608
    columns = ", ".join(f"n{i}.id, n{i}.name" for i in range(JOINS + 1))
    joins = " ".join(f"JOIN node n{i} ON n{i}.id = n{i - 1}.parent_id" for i in range(1, JOINS + 1))
    return f"SELECT {columns} FROM node n0 {joins} WHERE n0.id = {mark}"  # noqa: S608


def psycopg_works(url: str, rounds: int, scale: float) -> dict[str, Any]:
    import psycopg

    from ppg_integrations import preparing
    from ppg_integrations.urls import PostgresURL

    keywords = PostgresURL.parse(url).libpq()
    turn = turns()

    def made(connection: Any) -> Callable[..., Work]:
        def of(queries: int, *, joined: bool = False) -> Work:
            text = statement("%s", joined=joined)

            def work() -> None:
                for _ in range(queries):
                    connection.execute(text, (next(turn),)).fetchone()

            return work

        return of

    with ExitStack() as stack:
        ways = {}
        for name, prepared in ((DEFAULT, False), (PREPARED, True)):
            arguments = preparing.arguments("psycopg", prepared=prepared)
            connection = psycopg.connect(**keywords, **arguments, autocommit=True)
            stack.enter_context(connection)
            ways[name] = kinds(made(connection))
        return compared(ways, rounds, scale)


def sqlalchemy_works(
    url: str, rounds: int, scale: float, *, autocommit: bool = False
) -> dict[str, Any]:
    from sqlalchemy import text

    from ppg_integrations.sqlalchemy.engines import engine

    turn = turns()
    more = {"isolation_level": "AUTOCOMMIT"} if autocommit else {}

    def made(engine: Any) -> Callable[..., Work]:
        def of(queries: int, *, joined: bool = False) -> Work:
            query = text(statement(":id", joined=joined))

            def work() -> None:
                with engine.connect() as connection:
                    for _ in range(queries):
                        connection.execute(query, {"id": next(turn)}).one()

            return work

        return of

    with ExitStack() as stack:
        ways = {}
        for name, prepared in ((DEFAULT, False), (PREPARED, True)):
            one = engine(endpoint(url, prepared=prepared), driver="psycopg", options=more)
            stack.callback(one.dispose)
            ways[name] = kinds(made(one))
        return compared(ways, rounds, scale)


def asyncpg_works(url: str, rounds: int, scale: float) -> dict[str, Any]:
    from sqlalchemy import text

    from ppg_integrations.sqlalchemy.engines import async_engine

    turn = turns()
    with closing(asyncio.new_event_loop()) as loop:

        def made(engine: Any) -> Callable[..., Work]:
            def of(queries: int, *, joined: bool = False) -> Work:
                query = text(statement(":id", joined=joined))

                async def ask() -> None:
                    async with engine.connect() as connection:
                        for _ in range(queries):
                            (await connection.execute(query, {"id": next(turn)})).one()

                return lambda: loop.run_until_complete(ask())

            return of

        engines = {
            name: async_engine(endpoint(url, prepared=prepared), driver="asyncpg", options={})
            for name, prepared in ((DEFAULT, False), (PREPARED, True))
        }
        try:
            return compared(
                {name: kinds(made(one)) for name, one in engines.items()}, rounds, scale
            )
        finally:
            for one in engines.values():
                loop.run_until_complete(one.dispose())


def endpoint(url: str, *, prepared: bool) -> Any:
    from ppg_integrations.connect_settings import ConnectSettings
    from ppg_integrations.current import CurrentPair
    from ppg_integrations.endpoint import Endpoint
    from ppg_integrations.pair import ConnectionPair, Source
    from ppg_integrations.urls import PostgresURL

    pooled = PostgresURL.parse(url)
    pair = ConnectionPair(pooled, None, Source("argument", "pooled"), None)
    current = CurrentPair(lambda: pair, env_file=None)
    return Endpoint(current, settings=ConnectSettings(prepared=prepared))


def sqlalchemy_autocommit(url: str, rounds: int, scale: float) -> dict[str, Any]:
    return sqlalchemy_works(url, rounds, scale, autocommit=True)


WORKS: Final = dict(
    zip(
        FAMILIES,
        (django_works, psycopg_works, sqlalchemy_works, sqlalchemy_autocommit, asyncpg_works),
        strict=True,
    )
)
