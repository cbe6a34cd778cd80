"""Notifications on a session of their own, over whatever becomes of it."""

from __future__ import annotations

import dataclasses
import gc
import itertools
import logging
import os
import secrets
import threading
import time
import warnings

import pytest

from ppg_integrations import ConnectionPair, drivers, follow, listening
from ppg_integrations.direct import Notification, direct_session, listen
from ppg_integrations.errors import ConfigurationError, MissingDirectURLError, MissingURLError
from ppg_integrations.pair import Source
from ppg_integrations.sessions import Session
from tests.support.own_sessions import watched
from tests.support.tcp_proxy import TCPProxy

SOURCE = Source("argument", "pooled")
#: Seconds after which a test that hears nothing ends.
TIMEOUT = 20.0


@pytest.fixture(scope="module")
def shared(servers):
    """A role and a database for all tests of this module."""
    database = f"t_{secrets.token_hex(4)}"
    try:
        yield servers.generate("tester", database=database)
    finally:
        servers.drop(database)


@pytest.fixture(params=["psycopg", "psycopg2"])
def driver(request):
    return request.param


@pytest.fixture
def sessions(servers, shared):
    """What the server has of listeners: their names, by pid."""
    with watched(servers, shared.direct.database) as found:
        yield found


@pytest.fixture
def kill(servers, sessions):
    """Ends all listeners."""

    def end():
        with servers.connect() as connection:
            for pid in sessions():
                connection.execute("SELECT pg_terminate_backend(%s)", (pid,))

    return end


@pytest.fixture
def send(shared):
    """Sends through the pooler, each in a transaction of its own."""

    def send(*payloads, channel="jobs", url=shared.pooled):
        with drivers.connect(url) as connection:
            for payload in payloads:
                connection.execute("SELECT pg_notify(%s, %s)", (channel, payload))

    return send


def pair_of(generated, **changes):
    return ConnectionPair(generated.pooled, generated.direct.replace(**changes), SOURCE, SOURCE)


def payloads(iteration, number):
    return [next(iteration).payload for _ in range(number)]


def test_what_is_sent_through_the_pooler_arrives(shared, send, sessions, driver):
    def before():
        assert list(sessions().values()) == ['ppg listen jobs, Sp?te "Jobs"; --']
        send("one", "zwei ✓", "")
        send("three", channel='Späte "Jobs"; --')
        send("not for us", channel="other")
        send("four")

    heard = listen(
        "jobs", 'Späte "Jobs"; --', "jobs",
        pair=pair_of(shared), driver=driver, catch_up=before, timeout=TIMEOUT,
    )  # fmt: skip
    assert sessions() == {}  # nothing is opened before it is needed
    first = next(heard)
    assert isinstance(first, Notification)
    assert (first.channel, first.payload) == ("jobs", "one")
    assert first.pid > 0
    assert [each[:2] for each in (next(heard) for _ in range(4))] == [
        ("jobs", "zwei ✓"),
        ("jobs", ""),
        ('Späte "Jobs"; --', "three"),
        ("jobs", "four"),
    ]
    heard.close()


def test_notifications_that_come_with_the_answer_to_a_statement(shared, send, monkeypatch, driver):
    """Those of the check that it is alive, too: psycopg 3 keeps them out of its own iteration."""
    monkeypatch.setattr(listening, "KEEPALIVE", 0.0)
    heard = listen("jobs", pair=pair_of(shared), driver=driver, timeout=TIMEOUT,
                   catch_up=lambda: send(*map(str, range(20))))  # fmt: skip
    assert payloads(heard, 20) == list(map(str, range(20)))
    heard.close()


@pytest.mark.parametrize("way", ["broken off", "timeout", "stop", "error"])
def test_nothing_is_left_when_it_ends(shared, send, sessions, driver, way):
    """The connection is closed, wherever the iteration ends."""
    threads = threading.active_count()
    ended = threading.Event()
    arguments = {"timeout": TIMEOUT, "catch_up": lambda: send("one", "two")}
    if way == "timeout":
        arguments["timeout"] = 0.5
    elif way == "stop":
        arguments["stop"] = ended.is_set
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        heard = listen("jobs", pair=pair_of(shared), driver=driver, **arguments)
        if way == "error":
            with pytest.raises(ZeroDivisionError):
                for each in heard:
                    1 / (each.payload == "one")
            del each, heard
        elif way == "broken off":
            for _ in heard:
                break
            del heard
        else:
            began = time.monotonic()
            for each in heard:
                ended.set()
            assert time.monotonic() - began < TIMEOUT / 2
        gc.collect()
    assert threading.active_count() <= threads  # those of other tests may end meanwhile
    # The fixture looks at the server's end.


def test_what_catches_up_may_fail(shared, driver):
    heard = listen("jobs", pair=pair_of(shared), driver=driver, catch_up=lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        next(heard)


def test_a_lost_connection_is_replaced_and_that_is_said(
    shared, send, sessions, kill, caplog, driver
):
    begun = []

    def catch_up():
        begun.append(list(sessions()))
        send(str(len(begun)))

    heard = listen("jobs", pair=pair_of(shared), driver=driver, catch_up=catch_up, timeout=TIMEOUT)
    assert payloads(heard, 1) == ["1"]
    kill()
    assert payloads(heard, 1) == ["2"]
    heard.close()
    assert len(begun) == 2
    assert begun[0] != begun[1]
    said = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert said[0].startswith("the listener on jobs has lost its connection, and with it what is")
    assert said[-1].startswith("the listener on jobs listens again after")
    assert shared.direct.password.reveal() not in caplog.text


def test_a_server_that_is_away_for_a_while(shared, send, driver, monkeypatch, caplog):
    """It is waited for, for longer than one connection is."""
    monkeypatch.setenv("PPG_CONNECT_DEADLINE", "0")
    monkeypatch.setattr(listening, "_FIRST_PAUSE", 0.05)
    begun = []
    with TCPProxy((shared.direct.host, shared.direct.port)) as proxy:

        def catch_up():
            begun.append(proxy.accepted)
            send("hello")

        pair = pair_of(shared, port=proxy.port)
        heard = listen("jobs", pair=pair, driver=driver, catch_up=catch_up, timeout=TIMEOUT)
        assert payloads(heard, 1) == ["hello"]
        proxy.refuse()
        proxy.cut()
        timer = threading.Timer(0.6, proxy.listen)
        timer.start()
        assert payloads(heard, 1) == ["hello"]
        timer.join()
        heard.close()
    assert len(begun) == 2


def test_it_ends_in_time_while_the_server_is_away(shared, driver, monkeypatch):
    monkeypatch.setenv("PPG_CONNECT_DEADLINE", "0")
    ended = threading.Event()
    with TCPProxy((shared.direct.host, shared.direct.port)) as proxy:

        def begun():
            proxy.refuse()
            proxy.cut()
            threading.Timer(0.3, ended.set).start()

        heard = listen("jobs", pair=pair_of(shared, port=proxy.port), driver=driver,
                       catch_up=begun, stop=ended.is_set)  # fmt: skip
        began = time.monotonic()
        assert list(heard) == []
        assert time.monotonic() - began < TIMEOUT / 2


def test_a_connection_that_died_without_a_word(shared, send, driver, monkeypatch):
    """As behind a firewall that has forgotten it: the server is asked, and does not answer."""
    monkeypatch.setattr(listening, "KEEPALIVE", 0.2)
    monkeypatch.setattr("ppg_integrations.liveness.ANSWER", 0.5)
    proxies = [TCPProxy((shared.direct.host, shared.direct.port)) for _ in range(2)]
    with proxies[0] as first, proxies[1] as second:
        pairs = [pair_of(shared, port=each.port) for each in proxies]
        frozen = []

        def begun():
            if frozen:
                send("hello")
            else:
                frozen.append(True)
                first.freeze()
                current.override(pairs[1])

        from ppg_integrations.current import CurrentPair

        current = CurrentPair(lambda: pairs[0], env_file=None)
        monkeypatch.setattr(listening, "LOOK", 1000.0)  # it is not the rotation that saves it
        heard = listen("jobs", pair=current, driver=driver, catch_up=begun, timeout=TIMEOUT)
        assert payloads(heard, 1) == ["hello"]
        heard.close()
        assert (first.accepted, second.accepted) == (1, 1)


def test_a_wrong_password_ends_it(shared, send, kill, driver, tmp_path):
    """One that does not pass is raised: at first, and after a loss."""
    wrong = pair_of(shared, password="opensesame")
    errors = (drivers.driver((driver,)).OperationalError,)
    with pytest.raises(errors, match="password authentication failed") as caught:
        next(listen("jobs", pair=wrong, driver=driver))
    assert "opensesame" not in str(caught.value)
    from ppg_integrations.current import CurrentPair

    current = CurrentPair(lambda: pair_of(shared), env_file=None)
    heard = listen("jobs", pair=current, driver=driver, catch_up=lambda: send("1"), timeout=TIMEOUT)
    assert payloads(heard, 1) == ["1"]
    current.override(wrong)
    kill()
    with pytest.raises(errors, match="password authentication failed"):
        next(heard)


@pytest.fixture
def rotated(servers, shared):
    """Another role of the same database."""
    return servers.generate("rotated", database=shared.direct.database)


def store(path, generated):
    """The file, replaced in one step as every writer of ours does."""
    new = path.with_name("new")
    new.write_text(
        f"DATABASE_URL='{generated.pooled.reveal()}'\nDIRECT_URL='{generated.direct.reveal()}'\n"
    )
    os.replace(new, path)


def test_a_rotation_is_followed_and_nothing_is_lost(
    shared, rotated, send, sessions, tmp_path, monkeypatch, caplog, driver
):
    """Each notification arrives once, those that are sent while it goes over too."""
    monkeypatch.setattr(listening, "LOOK", 0.05)
    path = tmp_path / ".env"
    store(path, shared)
    begun, ended, sent = [], threading.Event(), []

    def sends():
        with drivers.connect(shared.pooled) as connection:
            for number in itertools.count():
                connection.execute("SELECT pg_notify('jobs', %s)", (str(number),))
                if ended.wait(0.001):
                    break
        sent.append(number + 1)

    thread = threading.Thread(target=sends)

    def catch_up():
        begun.append(1)
        thread.start()

    heard = listen("jobs", pair=follow(env_file=path, environ={}), driver=driver,
                   catch_up=catch_up, timeout=TIMEOUT)  # fmt: skip
    seen, users = payloads(heard, 1), []
    try:
        for pair in (rotated, shared, rotated):
            before = sessions().keys()
            store(path, pair)
            while sessions().keys() & before:
                seen += payloads(heard, 20)
            users.append(len(sessions()))
            seen += payloads(heard, 20)
    finally:
        ended.set()
        thread.join()
    seen += payloads(heard, sent[0] - len(seen))
    heard.close()
    assert seen == list(map(str, range(sent[0])))
    assert users == [1, 1, 1]
    assert begun == [1]  # there was nothing to catch up with
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


def test_what_both_sessions_hear_comes_once(
    shared, rotated, send, tmp_path, monkeypatch, caplog, driver
):
    """Sent before and after the word that parts the old session from the new one."""
    monkeypatch.setattr(listening, "LOOK", 0.05)
    execute = Session.execute

    def between(session, sql, params=()):
        parts = "pg_notify" in sql
        if parts:
            send("before")
        execute(session, sql, params)
        if parts:
            send("after")

    monkeypatch.setattr(Session, "execute", between)
    path = tmp_path / ".env"
    store(path, shared)
    heard = listen("jobs", pair=follow(env_file=path, environ={}), driver=driver,
                   catch_up=lambda: store(path, rotated), timeout=TIMEOUT)  # fmt: skip
    assert payloads(heard, 2) == ["before", "after"]
    send("last")
    assert payloads(heard, 1) == ["last"]
    heard.close()


def test_a_rotation_that_has_ended_the_old_session(shared, rotated, send, kill, tmp_path, driver):
    """As with a provider that ends the old secret at once."""
    path = tmp_path / ".env"
    store(path, shared)
    heard = listen("jobs", pair=follow(env_file=path, environ={}), driver=driver,
                   catch_up=lambda: send("hello"), timeout=TIMEOUT)  # fmt: skip
    assert payloads(heard, 1) == ["hello"]
    store(path, rotated)
    kill()
    assert payloads(heard, 1) == ["hello"]
    heard.close()


def test_a_rotated_pair_that_cannot_be_used_yet_leaves_the_old_session(
    shared, send, sessions, tmp_path, monkeypatch, caplog, driver
):
    monkeypatch.setattr(listening, "LOOK", 0.05)
    path = tmp_path / ".env"
    store(path, shared)
    heard = listen("jobs", pair=follow(env_file=path, environ={}), driver=driver,
                   catch_up=lambda: send("1"), timeout=TIMEOUT)  # fmt: skip
    assert payloads(heard, 1) == ["1"]
    before = sessions()
    unusable = shared.direct.replace(password="opensesame")
    store(path, dataclasses.replace(shared, direct=unusable))
    deadline = threading.Timer(0.5, send, ("2",))
    deadline.start()
    assert payloads(heard, 1) == ["2"]
    deadline.join()
    assert sessions() == before
    heard.close()
    assert "cannot follow a rotation yet" in caplog.text
    assert "opensesame" not in caplog.text


def test_time_limits_of_the_role_are_none_of_it(servers, shared, send, driver, monkeypatch):
    role = shared.direct.user
    with servers.connect() as connection:
        for name in ("statement_timeout", "idle_session_timeout"):
            connection.execute(f'ALTER ROLE "{role}" SET {name} = 300')
    try:
        begun = []
        heard = listen("jobs", pair=pair_of(shared), driver=driver, timeout=0.8,
                       catch_up=lambda: begun.append(1))  # fmt: skip
        assert list(heard) == []
        assert begun == [1]
    finally:
        with servers.connect() as connection:
            connection.execute(f'ALTER ROLE "{role}" RESET ALL')


@pytest.mark.parametrize("channels", [(), ("",), ("x" * 64,), ("ä" * 32,), ("a\0b",)])
def test_channels_that_no_server_would_take(shared, channels):
    with pytest.raises(ConfigurationError):
        listen(*channels, pair=pair_of(shared))


def test_the_longest_name_and_the_longest_payload(shared, send, driver):
    channel, payload = "x" * 63, "y" * 7999
    heard = listen(channel, pair=pair_of(shared), driver=driver, timeout=TIMEOUT,
                   catch_up=lambda: send(payload, channel=channel))  # fmt: skip
    assert next(heard)[:2] == (channel, payload)
    heard.close()


def test_the_pooled_url_is_never_taken_instead(shared, tmp_path, monkeypatch):
    alone = ConnectionPair(shared.pooled, None, SOURCE, None)
    with pytest.raises(MissingDirectURLError, match="needs the direct URL") as caught:
        next(listen("jobs", pair=alone))
    assert "DIRECT_URL" in caught.value.hint
    with pytest.raises(MissingDirectURLError), direct_session(pair=alone):
        pass
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingURLError):
        next(listen("jobs"))


def test_the_pair_is_found_as_everywhere(shared, send, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store(tmp_path / ".env", shared)
    heard = listen("jobs", catch_up=lambda: send("1"), timeout=TIMEOUT)
    assert payloads(heard, 1) == ["1"]
    heard.close()
