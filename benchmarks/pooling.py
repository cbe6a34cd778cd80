"""What a client-side pool and its tests of idle connections cost behind a transaction pooler.

    python benchmarks/pooling.py [--rounds 20] [--seconds 0.5] [--drivers psycopg,psycopg2,asyncpg]

Four threads (asyncpg: four tasks) go through the embedded PgBouncer: each checks a connection out,
reads one row or writes one and commits, and gives it back. The pool itself, without any test, and
with SQLAlchemy's ping before each use, is compared with this package's, which asks the kernel, and
looks for another pair by one stat of the .env file. Every round measures each kind of pool in turn,
the next round in the opposite order, and ratios are taken within a round: a machine that gets
slower meanwhile slows all. Nothing waits for a disk (fsync is off) and the network is loopback, so
what is shown is the most that a test can cost beside a query.

``µs`` is what it takes longer to take a connection out and to put it back, and nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy
from ratios import spread
from sqlalchemy.ext.asyncio import create_async_engine

from ppg_integrations.current import follow
from ppg_integrations.endpoint import Endpoint
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.sqlalchemy.engines import async_engine, engine
from ppg_integrations.sqlalchemy.options import engine_options, engine_url

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

    from ppg_integrations.providers.base import Generated

WORKERS = 4
POOLS: dict[str, dict[str, Any]] = {
    "pool": {},
    "pool with pre-ping": {"pool_pre_ping": True},
    "ours": {},
    "no pool": {"poolclass": sqlalchemy.NullPool},
}
OURS = "ours"
FILL = sqlalchemy.text("INSERT INTO counted SELECT id, 0 FROM generate_series(0, :last) id")
READ = sqlalchemy.text("SELECT n FROM counted WHERE id = :id")
WRITE = sqlalchemy.text("UPDATE counted SET n = n + 1 WHERE id = :id")


def endpoint(generated: Generated, folder: str) -> Endpoint:
    """One that follows a file, as an app's does."""
    file = Path(folder, ".env")
    file.write_text(
        f"DATABASE_URL={generated.pooled.reveal()}\nDIRECT_URL={generated.direct.reveal()}\n",
        encoding="utf-8",
    )
    return Endpoint(follow(env_file=file, environ={}))


def made_with(place: Endpoint, driver: str, pool: str) -> Any:
    """An engine, with this package's options for the driver and the sizes of the pool."""
    asynchronous = driver == "asyncpg"
    if pool == OURS:
        return (async_engine if asynchronous else engine)(place, driver=driver, options={})
    options = engine_options(place, driver=driver, environ={}, options=POOLS[pool])
    for name in ("plugins", "ppg"):
        del options[name]
    create = create_async_engine if asynchronous else sqlalchemy.create_engine
    return create(engine_url(place, driver), **options)


def per_second(made: Engine, *, write: bool, seconds: float) -> float:
    """Checkouts a second, over all threads."""
    done = [0] * WORKERS
    stop = threading.Event()

    def work(number: int) -> None:
        while not stop.is_set():
            with made.connect() as connection:
                connection.execute(WRITE if write else READ, {"id": number})
                if write:
                    connection.commit()
            done[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(WORKERS)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - start)


async def per_second_async(made: AsyncEngine, *, write: bool, seconds: float) -> float:
    """The same with tasks."""
    done = [0] * WORKERS
    start = time.perf_counter()

    async def work(number: int) -> None:
        while time.perf_counter() - start < seconds:
            async with made.connect() as connection:
                await connection.execute(WRITE if write else READ, {"id": number})
                if write:
                    await connection.commit()
            done[number] += 1

    await asyncio.gather(*map(work, range(WORKERS)))
    return sum(done) / (time.perf_counter() - start)


def measured(place: Endpoint, driver: str, pool: str, *, write: bool, seconds: float) -> float:
    """Checkouts a second with one kind of pool, which is warm unless it keeps nothing."""
    if driver == "asyncpg":

        async def run() -> float:
            made = made_with(place, driver, pool)
            await per_second_async(made, write=write, seconds=seconds / 5)
            rate = await per_second_async(made, write=write, seconds=seconds)
            await made.dispose()
            return rate

        return asyncio.run(run())
    made = made_with(place, driver, pool)
    per_second(made, write=write, seconds=seconds / 5)
    rate = per_second(made, write=write, seconds=seconds)
    made.dispose()
    return rate


def compared(
    place: Endpoint, driver: str, *, write: bool, rounds: int, seconds: float
) -> dict[str, dict[str, float]]:
    """For each kind of pool, its throughput as a share of the plain pool's."""
    ratios: dict[str, list[float]] = {pool: [] for pool in POOLS if pool != "pool"}
    for number in range(rounds):
        rates = {
            pool: measured(place, driver, pool, write=write, seconds=seconds)
            for pool in (POOLS if number % 2 else reversed(POOLS))
        }
        for pool, found in ratios.items():
            found.append(rates[pool] / rates["pool"])
    return {pool: spread(found) for pool, found in ratios.items()}


def longer(place: Endpoint, *, rounds: int, count: int = 2000) -> dict[str, float]:
    """Microseconds by which ours takes longer to take a connection out and to put it back."""

    def once(made: Engine) -> float:
        start = time.thread_time()  # of the processor: it waits for nothing
        for _ in range(count):
            made.raw_connection().close()
        return (time.thread_time() - start) / count * 1e6

    plain, ours = (made_with(place, "psycopg", pool) for pool in ("pool", OURS))
    found = []
    for each in (plain, ours):
        once(each)
    for number in range(rounds):
        if number % 2:
            before, after = once(plain), once(ours)
        else:
            after, before = once(ours), once(plain)
        found.append(after - before)
    for each in (plain, ours):
        each.dispose()
    return spread(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--drivers", default="psycopg,psycopg2,asyncpg")
    asked = parser.parse_args()
    result: dict[str, Any] = {"rounds": asked.rounds, "sqlalchemy": sqlalchemy.__version__}
    with tempfile.TemporaryDirectory(prefix="ppg-benchmark-") as folder:
        Path(folder).chmod(0o711)
        servers = LocalServers(
            Path(folder, "app/.ppg/local"), settings={"fsync": "off", "full_page_writes": "off"}
        )
        try:
            servers.start()
            place = endpoint(servers.generate("benchmark", database="benchmark"), folder)
            with engine(place, options={}).begin() as connection:
                connection.exec_driver_sql("CREATE TABLE counted (id int PRIMARY KEY, n int)")
                connection.execute(FILL, {"last": WORKERS})
            result["µs"] = longer(place, rounds=asked.rounds)
            for driver in asked.drivers.split(","):
                for kind, write in (("reading", False), ("committing", True)):
                    result[f"{driver}, {kind}"] = compared(
                        place, driver, write=write, rounds=asked.rounds, seconds=asked.seconds
                    )
        finally:
            servers.erase()
    print(json.dumps(result, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
