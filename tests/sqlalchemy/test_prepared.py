"""What drivers prepare does not outlive a transaction behind a pooler: nothing may build on it."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable
from contextlib import ExitStack

import asyncpg
import pytest
import sqlalchemy
from sqlalchemy import Column, Enum, Integer, MetaData, Numeric, Table, select, text
from sqlalchemy.dialects.postgresql import ARRAY, INT4RANGE, JSONB
from sqlalchemy.exc import DBAPIError

from ppg_integrations import asyncpg_keywords
from ppg_integrations.drivers import connect
from ppg_integrations.providers.base import Generated
from ppg_integrations.sqlalchemy.engines import async_engine, engine
from ppg_integrations.urls import PostgresURL
from tests.support.poolers import Pooler

from .conftest import endpoint_of

THREADS = 4
COUNT = 500

metadata = MetaData()
counted = Table("counted", metadata, Column("id", Integer, primary_key=True), Column("n", Integer))
mood = Enum("sad", "happy", name="mood")
#: Types that asyncpg knows, or asks the server about.
things = Table(
    "things",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("mood", mood),
    Column("moods", ARRAY(mood)),
    Column("data", JSONB),
    Column("price", Numeric),
    Column("span", INT4RANGE),
)

ADD = text("UPDATE counted SET n = n + :n WHERE id = :id")


@pytest.fixture
def three(forgetful: Pooler, generated: Generated) -> PostgresURL:
    """The URL through the forgetful pooler, which has three servers for it and takes turns."""
    url = forgetful.url(generated.pooled)
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(url, autocommit=False)) for _ in range(3)]
        for connection in connections:
            connection.fetch("SELECT 1")
        for connection in connections:
            connection.commit()
    return url


@pytest.fixture
def tables(generated: Generated) -> None:
    made = engine(endpoint_of(generated.direct), driver="psycopg", options={})
    metadata.create_all(made)
    with made.begin() as connection:
        connection.execute(counted.insert(), [{"id": n, "n": 0} for n in range(THREADS)])
    made.dispose()


def commit(made: sqlalchemy.Engine, times: int) -> list[DBAPIError]:
    """Commits `times` transactions in each of four threads; each fault is one lost transaction."""
    faults: list[DBAPIError] = []

    def work(number: int) -> None:
        done = 0
        while done < times:
            try:
                with made.connect() as connection:
                    # Several on one checkout: giving a connection back rolls back, and then psycopg
                    # forgets what it has prepared.
                    while done < times:
                        done += 1
                        connection.execute(
                            counted.update().where(counted.c.id == number).values(n=counted.c.n + 1)
                        )
                        connection.commit()
                        if done % 20 == 0:
                            break
            except DBAPIError as fault:
                faults.append(fault)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return faults


def total(generated: Generated) -> int:
    made = engine(endpoint_of(generated.direct), driver="psycopg", options={})
    with made.connect() as connection:
        found = connection.scalar(select(sqlalchemy.func.sum(counted.c.n)))
    made.dispose()
    return found


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_four_threads_commit_two_thousand_transactions(
    driver: str, three: PostgresURL, generated: Generated
) -> None:
    made = engine(endpoint_of(three), driver=driver, options={})
    faults = commit(made, COUNT)
    made.dispose()
    assert faults == []
    assert total(generated) == THREADS * COUNT


@pytest.mark.usefixtures("tables")
def test_psycopgs_own_threshold_breaks_that(three: PostgresURL, generated: Generated) -> None:
    made = engine(
        endpoint_of(three),
        driver="psycopg",
        options={"connect_args": {"prepare_threshold": 5}},  # its default
    )
    faults = commit(made, COUNT // 10)
    made.dispose()
    assert faults
    assert all("prepared statement" in str(fault.orig) for fault in faults)
    assert total(generated) < THREADS * COUNT // 10


def ask(three: PostgresURL, driver: str, options: dict[str, object]) -> list[str]:
    """Has ten tasks write and read; the faults."""
    made = async_engine(endpoint_of(three), driver=driver, options=options)
    faults: list[str] = []
    autocommit = options.get("isolation_level") == "AUTOCOMMIT"

    async def work(number: int) -> None:
        for _ in range(4):
            try:
                async with made.connect() as connection:
                    for _ in range(3):
                        await connection.execute(
                            things.insert(),
                            {"mood": "sad", "moods": ["sad", "happy"], "data": {"n": number}},
                        )
                        if not autocommit:
                            await connection.commit()
                        await connection.execute(ADD, [{"id": n, "n": 1} for n in range(THREADS)])
                        rows = await connection.execute(select(things).limit(3))
                        assert rows.all()[0].moods == ["sad", "happy"]
                        if not autocommit:
                            await connection.commit()
            except DBAPIError as fault:
                faults.append(str(fault.orig))

    async def run() -> None:
        await asyncio.gather(*map(work, range(10)))
        await made.dispose()

    asyncio.run(run())
    return faults


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"isolation_level": "AUTOCOMMIT"},
        {"poolclass": sqlalchemy.NullPool},
    ],
    ids=["transactions", "autocommit", "no pool"],
)
@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_ten_tasks_write_and_read(
    driver: str, options: dict[str, object], three: PostgresURL
) -> None:
    assert ask(three, driver, options) == []


@pytest.mark.parametrize("size", [0, 100])
def test_asyncpgs_own_cache_breaks_that(size: int, three: PostgresURL) -> None:
    keywords = asyncpg_keywords.keywords(three)

    async def run() -> list[int]:
        connection = await asyncpg.connect(**keywords, statement_cache_size=size)
        try:
            found = []
            for number in range(6):
                async with connection.transaction():
                    found.append(await connection.fetchval("SELECT $1::int", number))
            return found
        finally:
            await connection.close()

    if size:
        with pytest.raises(asyncpg.PostgresError, match="prepared statement"):
            asyncio.run(run())
    else:
        assert asyncio.run(run()) == list(range(6))


@pytest.mark.parametrize("ours", [True, False])
def test_unique_names_of_statements_break_autocommit(ours: bool, three: PostgresURL) -> None:
    other = {"prepared_statement_name_func": lambda: f"__asyncpg_{uuid.uuid4()}__"}
    made = async_engine(
        endpoint_of(three),
        driver="asyncpg",
        options={} if ours else {"connect_args": other},
    )

    async def run() -> None:
        try:
            async with made.connect() as connection:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                for _ in range(6):
                    await connection.execute(text("SELECT 1"))
        finally:
            await made.dispose()

    if ours:
        asyncio.run(run())
    else:
        with pytest.raises(DBAPIError, match="prepared statement"):
            asyncio.run(run())


@pytest.mark.usefixtures("tables")
def test_asyncpg_reads_a_column_whose_type_has_changed(
    three: PostgresURL, generated: Generated
) -> None:
    """SQLAlchemy's cache of prepared statements has to be off for that."""

    def read(options: dict[str, object], alter: Callable[[], None]) -> list[int]:
        made = async_engine(endpoint_of(three), driver="asyncpg", options=options)

        async def run() -> list[int]:
            try:
                async with made.connect() as connection:
                    before = await connection.scalar(select(counted.c.n).limit(1))
                await asyncio.to_thread(alter)
                async with made.connect() as connection:
                    return [before, await connection.scalar(select(counted.c.n).limit(1))]
            finally:
                await made.dispose()

        return asyncio.run(run())

    def alter(kind: str) -> Callable[[], None]:
        def run() -> None:
            made = engine(endpoint_of(generated.direct), driver="psycopg", options={})
            with made.begin() as connection:
                connection.exec_driver_sql(f"ALTER TABLE counted ALTER n TYPE {kind}")
            made.dispose()

        return run

    with pytest.raises(BufferError):
        read({"connect_args": {"prepared_statement_cache_size": 100}}, alter("bigint"))
    assert read({}, alter("int")) == [0, 0]
