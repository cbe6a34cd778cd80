"""Locks that last as long as a session of their own, and say when that has ended."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from ppg_integrations import (
    ConnectionPair,
    LockLostError,
    LockNotAvailableError,
    drivers,
    liveness,
)
from ppg_integrations.current import CurrentPair
from ppg_integrations.direct import advisory_key, advisory_lock, direct_session
from ppg_integrations.errors import (
    ConfigurationError,
    MissingDirectURLError,
    PPGError,
)
from ppg_integrations.pair import Source
from tests.support.own_sessions import watched
from tests.support.tcp_proxy import TCPProxy

SOURCE = Source("argument", "pooled")


@pytest.fixture
def pair(generated):
    return ConnectionPair(generated.pooled, generated.direct, SOURCE, SOURCE)


@pytest.fixture(params=["psycopg", "psycopg2"])
def driver(request):
    return request.param


@pytest.fixture
def sessions(servers, generated):
    """What the server has of our sessions: their names, by pid. None is left."""
    with watched(servers, generated.direct.database) as found:
        yield found


def end(servers, sessions):
    with servers.connect() as connection:
        for pid in sessions():
            connection.execute("SELECT pg_terminate_backend(%s)", (pid,))


def test_one_at_a_time(pair, sessions, driver):
    with advisory_lock("nightly", pair=pair, driver=driver) as lock:
        assert lock.held
        [(pid, name)] = sessions().items()
        assert name == "ppg lock nightly"
        with advisory_lock("another", wait=0, pair=pair, driver=driver):
            pass
        other = advisory_lock("nightly", wait=0, pair=pair, driver=driver)
        with pytest.raises(LockNotAvailableError) as caught, other:
            pytest.fail("both have it")
        assert caught.value.message == (
            f"the advisory lock 'nightly' (key {advisory_key('nightly')}) is held by another "
            f"session: {pid} (ppg lock nightly)"
        )
        assert "wait" in caught.value.hint
        assert not other.held
        began = time.monotonic()
        with (
            pytest.raises(LockNotAvailableError, match=r"another session after 0\.3 s"),
            advisory_lock("nightly", wait=0.3, pair=pair, driver=driver),
        ):
            pytest.fail("both have it")
        assert 0.3 <= time.monotonic() - began < 5
        assert lock.held
        with pytest.raises(ConfigurationError, match="entered twice"), lock:
            pass
    assert not lock.held
    with other:  # may be used again
        assert other.held
    assert sessions().keys() <= {pid}


def test_the_hint_ends_the_session_that_has_it(pair, sessions):
    """The role acts as the owner of the database, and logs in as itself."""
    with pytest.raises(LockLostError), advisory_lock("nightly", pair=pair):
        [pid] = sessions()
        with pytest.raises(LockNotAvailableError) as caught:
            advisory_lock("nightly", wait=0, pair=pair).__enter__()
        statements = caught.value.hint.partition("there: ")[2].replace("PID", str(pid))
        with direct_session(autocommit=True, pair=pair) as session, session.cursor() as cursor:
            for statement in filter(None, statements.split(";")):
                cursor.execute(statement)
            assert cursor.fetchone() == (True,)


@pytest.mark.parametrize("wait", [None, 30.0])
def test_who_waits_gets_it_when_the_other_one_is_done(pair, sessions, driver, wait):
    order = []

    def second():
        with advisory_lock("nightly", wait=wait, pair=pair, driver=driver):
            order.append("second")

    thread = threading.Thread(target=second)
    with advisory_lock("nightly", pair=pair):
        thread.start()
        until = time.monotonic() + 10
        while len(sessions()) < 2:
            assert time.monotonic() < until
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_shared_locks_exclude_who_wants_it_alone(pair, sessions, driver):
    def lock(shared):
        return advisory_lock("nightly", wait=0, shared=shared, pair=pair, driver=driver)

    with lock(True), lock(True), pytest.raises(LockNotAvailableError), lock(False):
        pass
    with lock(False), pytest.raises(LockNotAvailableError), lock(True):
        pass


HOLDER = """
import sys
from ppg_integrations.direct import advisory_lock
with advisory_lock("nightly"):
    print("has it", flush=True)
    sys.stdin.read()
"""


def test_a_process_that_is_killed_gives_it_back(pair, sessions, tmp_path, monkeypatch):
    """Two processes and one lock."""
    monkeypatch.setenv("DATABASE_URL", pair.pooled.reveal())
    monkeypatch.setenv("DIRECT_URL", pair.direct.reveal())
    monkeypatch.setenv("PYTHONPATH", ":".join(filter(None, sys.path)))
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout.readline() == "has it\n"
        with pytest.raises(LockNotAvailableError), advisory_lock("nightly", wait=0):
            pass
        holder.kill()
    with advisory_lock("nightly", wait=10):
        pass


def test_a_session_that_was_ended_is_noticed(servers, pair, sessions, driver):
    with pytest.raises(LockLostError, match="'nightly' ended before its block") as caught:
        with advisory_lock("nightly", pair=pair, driver=driver) as lock:
            end(servers, sessions)
            assert not lock.held
            assert not lock.held
            with advisory_lock("nightly", wait=0, pair=pair, driver=driver):
                pass
    assert "was lost" in caught.value.message
    with pytest.raises(LockLostError), advisory_lock("nightly", pair=pair, driver=driver):
        end(servers, sessions)
    with pytest.raises(KeyError), advisory_lock("nightly", pair=pair, driver=driver):
        end(servers, sessions)
        raise KeyError  # what the block raises comes first


def test_a_session_that_died_without_a_word_is_noticed(pair, sessions, driver, monkeypatch):
    monkeypatch.setattr(liveness, "ANSWER", 0.4)
    with TCPProxy((pair.direct.host, pair.direct.port)) as proxy:
        direct = pair.direct.replace(port=proxy.port)
        behind = ConnectionPair(pair.pooled, direct, SOURCE, SOURCE)
        with pytest.raises(LockLostError):
            with advisory_lock("nightly", pair=behind, driver=driver) as lock:
                proxy.freeze()
                assert not lock.held


def test_what_the_block_raises_goes_through_and_releases(pair, sessions, driver):
    with pytest.raises(KeyError), advisory_lock("nightly", pair=pair, driver=driver):
        raise KeyError
    with advisory_lock("nightly", wait=0, pair=pair, driver=driver):
        pass


def test_time_limits_of_the_role_are_none_of_it(servers, pair, generated, sessions, driver):
    with servers.connect() as connection:
        for name in ("statement_timeout", "lock_timeout"):
            connection.execute(f'ALTER ROLE "{generated.direct.user}" SET {name} = 200')
    with advisory_lock("nightly", pair=pair, driver=driver):
        threads = threading.Timer(0.5, lambda: end_lock.set())
        end_lock = threading.Event()
        threads.start()
        waits = threading.Thread(target=lambda: waiting(pair, driver, got))
        got = []
        waits.start()
        assert end_lock.wait(10)
        assert got == []
    waits.join(10)
    threads.join()
    assert got == [True]


def waiting(pair, driver, got):
    with advisory_lock("nightly", pair=pair, driver=driver) as lock:
        got.append(lock.held)


def test_a_transaction_through_the_pooler_takes_the_same_lock(pair, sessions):
    """pg_advisory_xact_lock needs no session: the one that is right in a request."""
    key = advisory_key("nightly")
    with drivers.connect(pair.pooled, autocommit=False) as request:
        assert request.fetch("SELECT pg_try_advisory_xact_lock(%s)", (key,)) == [(True,)]
        with pytest.raises(LockNotAvailableError), advisory_lock("nightly", wait=0, pair=pair):
            pass
        request.commit()
        with advisory_lock("nightly", wait=0, pair=pair):
            assert request.fetch("SELECT pg_try_advisory_xact_lock(%s)", (key,)) == [(False,)]


def test_keys_are_the_same_for_ever():
    assert advisory_key("nightly import") == 9209435173829822710
    assert advisory_key("ü") == advisory_key("\u00fc") != advisory_key("u\u0308")
    assert advisory_key(-(2**63)) == -(2**63)


@pytest.mark.parametrize("name", ["", 2**63, True, 1.5, None, b"nightly"])
def test_names_that_are_none(pair, name):
    with pytest.raises(ConfigurationError, match="signed 64-bit number"):
        advisory_lock(name, pair=pair)


@pytest.mark.parametrize("wait", [-1, float("nan"), float("inf")])
def test_times_that_are_none(pair, wait):
    with pytest.raises(ConfigurationError, match="number of seconds"):
        advisory_lock("nightly", wait=wait, pair=pair)


def test_the_pooled_url_is_never_taken_instead(pair):
    alone = ConnectionPair(pair.pooled, None, SOURCE, None)
    with pytest.raises(MissingDirectURLError), advisory_lock("nightly", pair=alone):
        pass


# ---------------------------------------------------------------- a session for a long job


def test_a_job_is_one_transaction(pair, sessions, driver):
    with direct_session(pair=pair, driver=driver, name="export") as connection:
        assert int(connection.info.port) == pair.direct.port
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE done (n int)")
        cursor.execute("SELECT current_setting('application_name')")
        assert cursor.fetchone() == ("export",)
        cursor.close()
    with pytest.raises(KeyError), direct_session(pair=pair, driver=driver) as connection:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO done VALUES (1)")
        assert list(sessions().values()) == ["ppg session"]
        raise KeyError
    assert connection.closed
    with direct_session(pair=pair, driver=driver, autocommit=True) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM done")
            assert cursor.fetchone() == (0,)
            cursor.execute("VACUUM done")  # in no transaction


def test_what_the_url_says_wins(pair):
    direct = pair.direct.replace(params={**pair.direct.params, "application_name": "shop"})
    named = ConnectionPair(pair.pooled, direct, SOURCE, SOURCE)
    with direct_session(pair=named, name="export") as connection:
        [(name,)] = connection.execute("SHOW application_name").fetchall()
        assert name == "shop"
        assert connection.info.get_parameters()["keepalives_idle"] == "30"


def test_an_error_keeps_no_password(pair, driver):
    wrong = ConnectionPair(pair.pooled, pair.direct.replace(password="opensesame"), SOURCE, SOURCE)
    current = CurrentPair(lambda: wrong, env_file=None)
    for enter in (advisory_lock("x", pair=current), direct_session(pair=current, driver=driver)):
        with pytest.raises(Exception, match="password authentication failed") as caught, enter:
            pass
        assert "opensesame" not in str(caught.value)
        assert not isinstance(caught.value, PPGError)  # the driver's own, as everywhere
