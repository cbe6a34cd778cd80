"""What a client-side pool and its pre-ping cost behind a transaction pooler, and what they spare.

    python benchmarks/pooling.py [--rounds 20] [--seconds 0.5] [--drivers psycopg,psycopg2,asyncpg]

Four threads (asyncpg: four tasks) go through the embedded PgBouncer: each checks a connection out,
reads one row or writes one and commits, and gives it back. Every round measures each kind of pool
in turn, the next round in the opposite order, and ratios are taken within a round: a machine that
gets slower meanwhile slows all. Nothing waits for a disk (fsync is off) and the network is
loopback, so what is shown is the most that a ping can cost beside a query.
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

from ppg_integrations.current import CurrentPair
from ppg_integrations.endpoint import Endpoint
from ppg_integrations.pair import ConnectionPair, Source
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.sqlalchemy.engines import async_engine, engine

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

    from ppg_integrations.providers.base import Generated

WORKERS = 4
POOLS: dict[str, dict[str, Any]] = {
    "pool": {"pool_pre_ping": False},
    "pool with pre-ping": {"pool_pre_ping": True},
    "no pool": {"poolclass": sqlalchemy.NullPool},
}
FILL = sqlalchemy.text("INSERT INTO counted SELECT id, 0 FROM generate_series(0, :last) id")
READ = sqlalchemy.text("SELECT n FROM counted WHERE id = :id")
WRITE = sqlalchemy.text("UPDATE counted SET n = n + 1 WHERE id = :id")


def endpoint(generated: Generated) -> Endpoint:
    source = Source("provider", "local")
    pair = ConnectionPair(generated.pooled, generated.direct, source, source)
    return Endpoint(CurrentPair(lambda: pair, env_file=None))


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
            made = async_engine(place, driver=driver, options=POOLS[pool])
            await per_second_async(made, write=write, seconds=seconds / 5)
            rate = await per_second_async(made, write=write, seconds=seconds)
            await made.dispose()
            return rate

        return asyncio.run(run())
    made = engine(place, driver=driver, options=POOLS[pool])
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
            place = endpoint(servers.generate("benchmark", database="benchmark"))
            with engine(place, options={}).begin() as connection:
                connection.exec_driver_sql("CREATE TABLE counted (id int PRIMARY KEY, n int)")
                connection.execute(FILL, {"last": WORKERS})
            for driver in asked.drivers.split(","):
                for kind, write in (("reading", False), ("committing", True)):
                    result[f"{driver}, {kind}"] = compared(
                        place, driver, write=write, rounds=asked.rounds, seconds=asked.seconds
                    )
        finally:
            servers.erase()
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
