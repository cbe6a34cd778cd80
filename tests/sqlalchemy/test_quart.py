"""An asynchronous application: one engine for each process, made when it begins to serve."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from quart import Quart, current_app
from sqlalchemy import text

from ppg_integrations.endpoint import Endpoint
from ppg_integrations.sqlalchemy import create_async_engine


def create_app(endpoint: Endpoint, driver: str) -> Quart:
    app = Quart(__name__)

    @app.before_serving
    async def connect() -> None:
        app.extensions["engine"] = create_async_engine(endpoint.current, driver=driver)

    @app.after_serving
    async def disconnect() -> None:
        await app.extensions["engine"].dispose()

    @app.get("/double/<int:number>")
    async def double(number: int) -> dict[str, int]:
        async with current_app.extensions["engine"].begin() as connection:
            found = await connection.scalar(text("SELECT :n * 2"), {"n": number})
        return {"found": found}

    return app


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_requests_share_one_engine(
    driver: str, endpoint: Endpoint, logins: Callable[[], tuple[int, int]]
) -> None:
    app = create_app(endpoint, driver)

    async def run() -> None:
        async with app.test_app() as running:
            client = running.test_client()
            answers = await asyncio.gather(*(client.get(f"/double/{n}") for n in range(12)))
            assert [(await answer.get_json())["found"] for answer in answers] == [
                2 * n for n in range(12)
            ]
            answer = await client.get("/double/50")
            assert await answer.get_json() == {"found": 100}

    asyncio.run(run())
    pooled, direct = logins()
    assert 1 <= pooled <= 10  # what the pool holds at most
    assert direct == 0
