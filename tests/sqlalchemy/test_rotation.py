"""A pair that changes under an engine: rotated, or there only after the engine was made."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from ppg_integrations.current import CurrentPair, follow
from ppg_integrations.endpoint import Endpoint
from ppg_integrations.errors import MissingURLError
from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.sqlalchemy.engines import async_engine, engine

from .conftest import ASYNC, SYNC, pair_of, who, who_async, write_env


@pytest.mark.parametrize("driver", SYNC)
def test_a_rotated_pair_is_used_by_the_next_checkout(
    driver: str, env_file: Path, generated: Generated, servers: LocalServers
) -> None:
    made = engine(Endpoint(follow(env_file=env_file, environ={})), driver=driver, options={})
    for connection in [made.connect() for _ in range(3)]:
        connection.close()
    with made.connect() as first:
        assert first.scalar(text("SELECT session_user")) == generated.pooled.user
        successor = servers.generate("successor", database=generated.pooled.database)
        write_env(env_file, successor)
        for _ in range(2):
            assert who(made) == successor.pooled.user
        # What is in use goes on.
        assert first.scalar(text("SELECT session_user")) == generated.pooled.user
    assert who(made) == successor.pooled.user
    made.dispose()


@pytest.mark.parametrize("driver", SYNC)
def test_a_store_that_is_written_again_with_the_same_url_disturbs_nobody(
    driver: str, env_file: Path, generated: Generated, logins
) -> None:
    made = engine(Endpoint(follow(env_file=env_file, environ={})), driver=driver, options={})
    for _ in range(3):
        who(made)
        env_file.write_text(f"{env_file.read_text()}# once more\n")
    assert logins() == (1, 0)
    made.dispose()


def test_connections_of_a_role_that_was_dropped_meanwhile_fail_nobody(
    env_file: Path, generated: Generated, servers: LocalServers
) -> None:
    """The pooler would keep who uses them waiting for a server connection, for two minutes."""
    made = engine(Endpoint(follow(env_file=env_file, environ={})), driver="psycopg", options={})
    for connection in [made.connect() for _ in range(5)]:
        assert connection.scalar(text("SELECT 1")) == 1
        connection.close()
    successor = servers.generate("successor", database=generated.pooled.database)
    write_env(env_file, successor)
    servers.revoke(generated.pooled.user)
    began = time.monotonic()
    users = []
    for connection in [made.connect() for _ in range(5)]:
        users.append(connection.scalar(text("SELECT session_user")))
        connection.close()
    assert users == [successor.pooled.user] * 5
    assert time.monotonic() - began < 10
    made.dispose()


@pytest.mark.parametrize("driver", ASYNC)
def test_a_rotated_pair_in_an_event_loop(
    driver: str, env_file: Path, generated: Generated, servers: LocalServers
) -> None:
    made = async_engine(Endpoint(follow(env_file=env_file, environ={})), driver=driver, options={})

    async def run() -> None:
        assert await who_async(made) == generated.pooled.user
        successor = servers.generate("successor", database=generated.pooled.database)
        write_env(env_file, successor)
        assert await who_async(made) == successor.pooled.user
        await made.dispose()

    asyncio.run(run())


def test_a_new_password_of_the_same_role(
    env_file: Path, generated: Generated, servers: LocalServers
) -> None:
    made = engine(
        Endpoint(follow(env_file=env_file, environ={}), direct=True), driver="psycopg", options={}
    )
    assert who(made) == generated.direct.user
    write_env(env_file, servers.renew(generated.direct.user))
    assert who(made) == generated.direct.user
    made.dispose()


def test_a_pair_of_an_api_that_another_process_rotated(
    tmp_path: Path, generated: Generated, servers: LocalServers
) -> None:
    cache = tmp_path / "cache.json"
    cache.write_text("1")
    pairs = [generated]

    def find():
        pair = pair_of(pairs[-1].pooled, pairs[-1].direct)
        return pair.__class__(
            *(str(cache) if name == "store" else getattr(pair, name) for name in pair.__slots__)
        )

    made = engine(Endpoint(CurrentPair(find, env_file=None)), driver="psycopg", options={})
    with made.connect() as first:
        assert first.scalar(text("SELECT session_user")) == generated.pooled.user
        pairs.append(servers.generate("successor", database=generated.pooled.database))
        cache.write_text("a new one")
        assert who(made) == pairs[-1].pooled.user
    made.dispose()


def test_without_a_pair_connecting_says_so_until_there_is_one(
    tmp_path: Path, generated: Generated
) -> None:
    path = tmp_path / ".env"
    made = engine(Endpoint(follow(env_file=path, environ={})), options={})
    assert made.url.host == "unconfigured.invalid"
    for _ in range(2):
        with pytest.raises(MissingURLError):
            made.connect()
    write_env(path, generated)
    assert who(made) == generated.pooled.user
    made.dispose()


@pytest.mark.parametrize("driver", ASYNC)
def test_without_a_pair_in_an_event_loop(driver: str, tmp_path: Path, generated: Generated) -> None:
    path = tmp_path / ".env"
    made = async_engine(Endpoint(follow(env_file=path, environ={})), driver=driver, options={})

    async def run() -> None:
        for _ in range(2):
            with pytest.raises(MissingURLError):
                async with made.connect():
                    pass
        write_env(path, generated)
        assert await who_async(made) == generated.pooled.user
        await made.dispose()

    asyncio.run(run())
