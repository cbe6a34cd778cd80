"""More connections wanted than the pooler has slots: engines pass on those that they have."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from ppg_integrations.connect_settings import ConnectSettings
from ppg_integrations.endpoint import Endpoint
from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.sqlalchemy.engines import async_engine, engine
from tests.support.poolers import pooler

from .conftest import ASYNC, SYNC, endpoint_of


@pytest.fixture
def crowded(
    servers: LocalServers, generated: Generated, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> Iterator[Endpoint]:
    """Through a pooler that takes two clients."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pooler(servers, max_client_conn=2) as made:
        settings = ConnectSettings(connect_deadline=8)
        yield endpoint_of(made.url(generated.pooled), settings=settings)


@pytest.mark.parametrize("driver", SYNC)
def test_threads_pass_connections_on(crowded: Endpoint, driver: str) -> None:
    made = engine(crowded, driver=driver, options={"pool_size": 10})
    answers, failures = [], []

    def work() -> None:
        try:
            for _ in range(8):
                with made.connect() as connection:
                    answers.append(connection.scalar(text("SELECT 1 FROM pg_sleep(0.002)")))
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing may fail
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made.dispose()
    assert failures == []
    assert len(answers) == 64


@pytest.mark.parametrize("driver", ASYNC)
def test_tasks_pass_connections_on(crowded: Endpoint, driver: str) -> None:
    async def run() -> list[int]:
        made = async_engine(crowded, driver=driver, options={"pool_size": 10})

        async def work() -> int:
            for _ in range(5):
                async with made.connect() as connection:
                    await connection.scalar(text("SELECT 1 FROM pg_sleep(0.002)"))
            return 5

        try:
            return await asyncio.gather(*(work() for _ in range(8)))
        finally:
            await made.dispose()

    assert asyncio.run(run()) == [5] * 8
