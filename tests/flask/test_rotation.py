"""A pair that is rotated while apps run: the next connection has it, and nobody else is disturbed."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest
from sqlalchemy import text

from ppg_integrations.errors import PPGWarning
from ppg_integrations.flask import PPG
from tests.flask.conftest import OTHER, POOLED, flask, write_env

USER = "SELECT session_user"
#: Each checkout opens a connection.
KEEPS_NONE = {"SQLALCHEMY_ENGINE_OPTIONS": {"pool_recycle": 0}}


@pytest.fixture
def rotated(servers, generated):
    """Another role of the same database."""
    return servers.generate("rotated", database=generated.pooled.database)


def replace_env(path: Path, pair) -> None:
    """As every writer of ours does: in one step."""
    write_env(path.with_name("new.env"), pair)
    os.replace(path.with_name("new.env"), path)


# ---------------------------------------------------------------- one app


def test_the_next_new_connection_has_the_rotated_pair(make_app, env_file, generated, rotated):
    made = make_app()
    with made.app.app_context():
        with made.db.engine.connect() as before:
            assert before.scalar(text(USER)) == generated.pooled.user
            replace_env(env_file, rotated)
            with made.db.engine.connect() as after:
                assert after.scalar(text(USER)) == rotated.pooled.user
            # What is open goes on until it is recycled.
            assert before.scalar(text(USER)) == generated.pooled.user
        assert made.ppg.pair.pooled == rotated.pooled


def test_a_kept_connection_has_it_when_it_is_recycled(make_app, env_file, rotated):
    made = make_app(KEEPS_NONE)
    made.scalar("SELECT 1")
    replace_env(env_file, rotated)
    assert made.scalar(USER) == rotated.pooled.user


def test_whatever_connects_has_it(make_app, env_file, generated, rotated):
    made = make_app({"PPG_DRIVER": "psycopg2"})
    engines = [
        made.state.create_engine(),
        made.state.create_engine(direct=True),
        made.state.create_engine(driver="psycopg"),
    ]
    asynchronous = [
        made.state.create_async_engine(driver="asyncpg"),
        made.state.create_async_engine(driver="psycopg", direct=True),
    ]

    async def ask(engine):
        async with engine.connect() as connection:
            found = await connection.scalar(text(USER))
        await engine.dispose()
        return found

    for expected in (generated, rotated):
        replace_env(env_file, expected)
        for engine in engines:
            with engine.connect() as connection:
                assert connection.scalar(text(USER)) == expected.pooled.user
            engine.dispose()
        for engine in asynchronous:
            assert asyncio.run(ask(engine)) == expected.pooled.user
        with made.state.connection_pool(min_size=1) as pool, pool.connection() as connection:
            assert connection.execute(USER).fetchone() == (expected.pooled.user,)


def test_a_file_that_turns_bad_changes_nothing_and_says_so_once(make_app, env_file, generated):
    made = make_app(KEEPS_NONE)
    env_file.write_text("DATABASE_URL='postgresql://ada:sesame@db.test:64x/shop'\n")
    with pytest.warns(PPGWarning, match="the last good pair stays in use") as said:
        for _ in range(3):
            assert made.scalar(USER) == generated.pooled.user
    assert len(said) == 1
    assert "sesame" not in str(said[0].message)


def test_another_database_in_the_file_is_not_taken(make_app, env_file, servers, generated):
    made = make_app(KEEPS_NONE)
    env_file.write_text(f"DATABASE_URL='{POOLED}'\n")
    with pytest.warns(PPGWarning, match="leads to another database now"):
        assert made.scalar("SELECT current_database()") == generated.pooled.database


def test_a_uri_of_the_apps_own_is_followed_where_it_leads_to_our_place(
    make_app, env_file, generated, rotated
):
    made = make_app({"SQLALCHEMY_DATABASE_URI": generated.pooled.reveal(), **KEEPS_NONE})
    assert made.scalar(USER) == generated.pooled.user
    replace_env(env_file, rotated)
    assert made.scalar(USER) == rotated.pooled.user


# ---------------------------------------------------------------- several


def test_apps_and_binds_do_not_disturb_each_other(make_app, folder, generated, rotated):
    files = [write_env(folder / f"{name}.env", generated) for name in ("one", "two", "bind")]
    ppg = PPG()
    one = make_app(
        {
            "PPG_ENV_FILE": "one.env",
            "PPG_BINDS": {"facts": {"PPG_ENV_FILE": files[2]}},
            **KEEPS_NONE,
        },
        ppg=ppg,
    )
    two = make_app({"PPG_ENV_FILE": files[1], **KEEPS_NONE}, ppg=ppg)

    def users():
        with one.app.app_context():
            one.db.engines["facts"].dispose()
        return [
            each == rotated.pooled.user
            for each in (one.scalar(USER), two.scalar(USER), one.scalar(USER, "facts"))
        ]

    assert users() == [False, False, False]
    replace_env(files[2], rotated)
    assert users() == [False, False, True]
    replace_env(files[0], rotated)
    assert users() == [True, False, True]
    replace_env(files[0], generated)
    replace_env(files[1], rotated)
    assert users() == [False, True, True]


def test_threads_see_one_pair_or_the_other_and_no_mixture(make_app, env_file, generated, rotated):
    """A user of one with a password of the other would be refused."""
    made = make_app({"SQLALCHEMY_ENGINE_OPTIONS": {"pool_recycle": 0, "pool_size": 4}})
    seen: list[str] = []
    failed: list[BaseException] = []
    stop = threading.Event()

    def work():
        try:
            while not stop.is_set():
                seen.append(made.scalar(USER))
        except BaseException as error:
            failed.append(error)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for turn in range(20):
            replace_env(env_file, rotated if turn % 2 == 0 else generated)
            begun, until = len(seen), time.monotonic() + 20
            while len(seen) < begun + 4 and not failed and time.monotonic() < until:
                stop.wait(0.005)
        stop.set()
        for thread in threads:
            thread.join(20)
    assert not failed
    assert not any(thread.is_alive() for thread in threads)
    assert {*seen} == {generated.pooled.user, rotated.pooled.user}


# ---------------------------------------------------------------- Flask's own command


APP = """
    import os
    import click
    from flask import Flask
    from ppg_integrations.flask import PPG

    app = Flask(__name__)
    ppg = PPG(app)

    @app.cli.command("rotate-and-look")
    @click.argument("url")
    def rotate_and_look(url):
        loaded = os.environ.get("DATABASE_URL", "")
        before = ppg.pair
        with open("new.env", "w") as stream:
            stream.write(f"DATABASE_URL={url}\\n")
        os.replace("new.env", ".env")
        print(before.pooled.user, ppg.pair.pooled.user, before.pooled_source.kind, bool(loaded))
"""


def looked(folder, **more):
    done = flask(folder, APP, "rotate-and-look", ROTATED, **more)
    return done.stdout.split()


ROTATED = POOLED.replace("ada", "bob")


def test_the_file_is_followed_although_flask_has_loaded_it(folder):
    (folder / ".env").write_text(f"DATABASE_URL={POOLED}\n")
    assert looked(folder) == ["ada", "bob", "file", "True"]


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells with which environment a process began"
)
def test_the_same_value_in_the_environment_is_the_environments(folder):
    (folder / ".env").write_text(f"DATABASE_URL={POOLED}\n")
    found = looked(folder, DATABASE_URL=POOLED)
    assert found == ["ada", "ada", "environment", "True"]


RELOADER = f"""
    import dotenv, os, subprocess, sys
    dotenv.load_dotenv(".env")
    open(".env", "w").write("DATABASE_URL={POOLED.replace("ada", "carl")}\\n")
    environ = {{**os.environ, "WERKZEUG_RUN_MAIN": "true"}}
    sys.exit(subprocess.run(sys.argv[1:], env=environ).returncode)
"""


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells with which environment a process began"
)
def test_under_the_reloader_too(folder):
    """Its child inherits what it loaded when it began, and the file may have changed since."""
    (folder / ".env").write_text(f"DATABASE_URL={POOLED}\n")
    found = looked(folder, parent=RELOADER)
    assert found == ["carl", "bob", "file", "True"]
    (folder / ".env").write_text(f"DATABASE_URL={POOLED}\n")
    found = looked(folder, parent=RELOADER, DATABASE_URL=OTHER)
    assert found == ["eve", "eve", "environment", "True"]
