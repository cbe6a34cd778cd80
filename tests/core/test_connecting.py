"""Connecting again where that helps, and not where it does not."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import random
import threading
import time
import traceback
from typing import Any

import psycopg
import psycopg2
import pytest

from ppg_integrations import connecting, contact, refusals
from ppg_integrations.connecting import limit, patiently
from ppg_integrations.providers.base import Generated
from ppg_integrations.refusals import failure_of, passes
from ppg_integrations.urls import PostgresURL
from tests.support.refusing import Refusing

URL = PostgresURL.parse("postgresql://ada:opensesame@db.test/shop")
PRISMA = PostgresURL.parse("postgresql://ada:opensesame@pooled.db.prisma.io/shop")
NEON = PostgresURL.parse("postgresql://ada:opensesame@ep-a-b-1.eu-central-1.aws.neon.tech/shop")


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests have connected to, or have been told of, counts for none of these."""
    monkeypatch.setattr(contact, "_reached", set())
    monkeypatch.setattr(connecting, "_told", {})


class Attempts:
    """Fails with each of `errors` in turn, and then succeeds; the last one for ever if `always`."""

    def __init__(self, *errors: str | Exception, always: bool = False) -> None:
        self._errors = [
            psycopg.OperationalError(each) if isinstance(each, str) else each for each in errors
        ]
        self._always = always
        self.urls: list[PostgresURL] = []
        self.left: list[float] = []
        self.slept: list[float] = []

    def __call__(self, url: PostgresURL, left: float) -> str:
        self.urls.append(url)
        self.left.append(left)
        number = len(self.urls) - 1
        if self._always:
            number = min(number, len(self._errors) - 1)
        if number < len(self._errors):
            raise self._errors[number]
        return "connected"

    def run(self, *urls: PostgresURL, deadline: float = 20.0, **more: Any) -> str:
        """At a place that is the next of `urls` whenever it is asked for, and then stays."""
        places = [*(urls or (URL,))]

        def where() -> tuple[PostgresURL, str]:
            return (places.pop(0) if len(places) > 1 else places[0]), "DATABASE_URL in .env"

        return patiently(
            self,
            where,
            errors=(psycopg.Error, OSError),
            deadline=deadline,
            **{"sleep": self.slept.append, **more},
        )


# ---------------------------------------------------------------- which failures pass

UPSTREAM = "FATAL:  Failed to connect to upstream database. Please contact Prisma support"
PASSING = [
    UPSTREAM,
    UPSTREAM.lower(),
    "Failted to connect to upstream database",
    "ERROR:  Couldn't connect to compute node",
    "FATAL:  server login has been failing, try again later (server_login_retry)",
    "FATAL:  the database system is starting up",
    "FATAL:  the database system is shutting down",
    "FATAL:  the database system is in recovery mode",
    "FATAL:  sorry, too many clients already",
    "FATAL:  remaining connection slots are reserved for non-replication superuser connections",
    "FATAL:  no more connections allowed (max_client_conn)",
    "FATAL:  Too many connections to this endpoint",
    "SSL SYSCALL error: EOF detected",
    "SSL SYSCALL error: Success",
    "SSL connection has been closed unexpectedly",
    "SSL error: unexpected eof while reading",
    "server closed the connection unexpectedly\n\tThis probably means",
    "could not receive data from server: Connection reset by peer",
    "FATAL:  terminating connection due to administrator command",
    "connection terminated unexpectedly: server closed the connection",
]
FINAL = [
    'FATAL:  password authentication failed for user "ada"',
    "FATAL:  SASL authentication failed",
    'FATAL:  role "ada" does not exist',
    'FATAL:  database "shop" does not exist',
    "FATAL:  This IP address 192.0.2.7 is not allowed to connect to this endpoint.",
    "FATAL:  The endpoint is disabled. Enable it using the console",
    "FATAL:  Your account or project has exceeded the compute time quota.",
    "FATAL:  unsupported startup parameter in options: search_path",
    "Endpoint ID is not specified. Either please upgrade",
    "FATAL:  connection is insecure (try using `sslmode=require`)",
    "SSL error: certificate verify failed",
    'could not translate host name "db.test" to address: Name or service not known',
    "connection timeout expired",
    "connection refused",
    "something new",
]


@pytest.mark.parametrize("text", PASSING)
def test_what_passes_is_waited_for(text: str) -> None:
    attempts = Attempts(text, text)
    assert attempts.run() == "connected"
    assert len(attempts.urls) == 3
    assert len(attempts.slept) == 2


@pytest.mark.parametrize("text", FINAL)
def test_what_does_not_pass_fails_at_once(text: str) -> None:
    attempts = Attempts(text)
    with pytest.raises(psycopg.OperationalError):
        attempts.run()
    assert len(attempts.urls) == 1
    assert attempts.slept == []


class _Sqlstate(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__("in the server's own language")
        self.sqlstate = sqlstate


TLS = "[SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred in violation of protocol (_ssl.c:1007)"
SEVERAL = (
    "Multiple exceptions: [Errno 111] Connect call failed ('::1', 1),"
    " [Errno 111] Connect call failed ('127.0.0.1', 1)"
).replace("111", str(errno.ECONNREFUSED))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (_Sqlstate("57P03"), "starting"),
        (_Sqlstate("53300"), "too-many-connections"),
        (_Sqlstate("28P01"), "wrong-password"),
        (_Sqlstate("3D000"), "no-database"),
        (_Sqlstate("57P01"), "closed"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"), "refused"),
        (OSError(SEVERAL), "refused"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "closed"),
        (ConnectionResetError(), "closed"),
        (BrokenPipeError(), "closed"),
        (ConnectionError("unexpected connection_lost() call"), "closed"),
        (OSError(8, TLS), "closed"),
        (
            ConnectionError("PostgreSQL server at 'db.test:1' rejected SSL upgrade"),
            "tls-unsupported",
        ),
        (TimeoutError(), "timeout"),
        (asyncio.TimeoutError(), "timeout"),
        (psycopg.errors.ConnectionTimeout("connection timeout expired"), "timeout"),
        (_Sqlstate("22012"), ""),
        (OSError("something new"), ""),
    ],
    ids=repr,
)
def test_errors_that_say_it_otherwise(error: Exception, code: str) -> None:
    found = failure_of(error)
    assert (found.code if found else "") == code


@pytest.mark.parametrize("text", ["connection refused", "no such file or directory"])
def test_a_refusal_is_a_restart_where_somebody_listened_before(text: str) -> None:
    with pytest.raises(psycopg.OperationalError):
        Attempts(text).run()
    Attempts().run()
    assert Attempts(text).run() == "connected"
    with pytest.raises(psycopg.OperationalError):
        Attempts(text).run(URL.replace(port=6543))


@pytest.mark.parametrize(("url", "waits"), [(PRISMA, True), (NEON, True), (URL, False)])
def test_silence_passes_where_databases_sleep(url: PostgresURL, waits: bool) -> None:
    failure = failure_of(psycopg.OperationalError("connection timeout expired"))
    assert passes(failure, url) is waits


# ---------------------------------------------------------------- how long


@pytest.mark.parametrize("text", [UPSTREAM, "FATAL:  sorry, too many clients already"])
def test_all_attempts_end_within_the_deadline(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    attempts = Attempts(text, always=True)

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        attempts.slept.append(seconds)

    def attempt(url: PostgresURL, left: float) -> str:
        nonlocal now
        now += 0.4
        return attempts(url, left)

    with pytest.raises(psycopg.OperationalError):
        patiently(
            attempt,
            lambda: (URL, ""),
            errors=(psycopg.Error,),
            deadline=20.0,
            sleep=sleep,
        )
    assert 1019.9 < now <= 1020.4  # however the waits fall out
    assert attempts.left[0] == 20.0
    assert attempts.left == sorted(attempts.left, reverse=True)
    assert all(0 < left <= 20 for left in attempts.left)
    assert 8 <= len(attempts.urls) <= 60
    assert max(attempts.slept) <= 2.0


@pytest.mark.parametrize("url", [PRISMA, NEON])
def test_a_pooler_that_is_silent_as_long_as_an_attempt_takes_gets_two(
    url: PostgresURL, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    taken = []

    def attempt(url: PostgresURL, left: float) -> str:
        nonlocal now
        taken.append(limit(10, left, url))
        now += taken[-1]
        raise psycopg.errors.ConnectionTimeout("connection timeout expired")

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    with pytest.raises(psycopg.errors.ConnectionTimeout):
        patiently(attempt, lambda: (url, ""), errors=(psycopg.Error,), deadline=20.0, sleep=sleep)
    assert taken == [10, pytest.approx(10, abs=0.11)]
    assert now <= 1020.0


@pytest.mark.parametrize("took", [0.0, 0.3, 2.4])
def test_a_wait_that_would_pass_the_deadline_is_shorter(
    took: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here each wait would: 3 seconds are fewer than the least of the waits after the second."""
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(random, "uniform", lambda _low, _high: 2.0)
    began = []

    def attempt(url: PostgresURL, left: float) -> str:
        nonlocal now
        began.append(now - 1000)
        now += took
        raise psycopg.OperationalError(UPSTREAM)

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    with pytest.raises(psycopg.OperationalError):
        patiently(attempt, lambda: (URL, ""), errors=(psycopg.Error,), deadline=3.0, sleep=sleep)
    assert began[-1] == pytest.approx({0.0: 3.0, 0.3: 2.7, 2.4: 2.4}[took])


def test_a_server_without_a_slot_is_asked_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda _low, high: high)
    first = {}
    for text in (UPSTREAM, "sorry, too many clients already"):
        attempts = Attempts(text, text, text)
        attempts.run()
        first[text] = attempts.slept
    assert first[UPSTREAM] == [0.1, 0.1, 0.2]
    assert first["sorry, too many clients already"] == [0.5, 0.5, 1.0]


def test_without_a_deadline_there_is_one_attempt() -> None:
    attempts = Attempts(UPSTREAM)
    with pytest.raises(psycopg.OperationalError):
        attempts.run(deadline=0)
    assert attempts.left == [0.0]


def test_an_attempt_that_comes_too_late_has_the_least_time_and_not_all_of_it() -> None:
    attempts = Attempts()
    attempts.run(deadline=1e-9)
    assert 0 < attempts.left[0] < 1e-6


@pytest.mark.parametrize(
    ("given", "left", "whole", "expected"),
    [
        (10, 20.0, False, 10),
        (10, 7.5, False, 7.5),
        (10, 0.3, False, 2),
        (3, 20.0, False, 3),
        ("3", 20.0, False, 3),
        (0, 20.0, False, 20),
        (None, 20.0, False, 20),
        (-1, 0.0, False, 0),
        (10, 0.0, False, 10),
        (0.5, 20.0, True, 0.5),
    ],
)
def test_one_attempt_takes_no_longer_than_is_left(
    given: object, left: float, whole: bool, expected: float
) -> None:
    assert limit(given, left, URL, whole=whole) == expected


def test_several_hosts_share_what_is_left() -> None:
    several = PostgresURL.parse("postgresql://ada@one.test,two.test,three.test/shop")
    assert limit(10, 12.0, several) == 4
    assert limit(10, 12.0, several, whole=True) == 10


# ---------------------------------------------------------------- where


@pytest.mark.parametrize("text", ["password authentication failed for user", "no such user: ada"])
def test_a_pair_that_has_moved_is_tried_at_once(text: str) -> None:
    moved = URL.replace(user="eve")
    attempts = Attempts(text)
    assert attempts.run(URL, moved) == "connected"
    assert attempts.urls == [URL, moved]
    assert attempts.slept == []


def test_it_is_tried_once() -> None:
    attempts = Attempts("password authentication failed", always=True)
    with pytest.raises(psycopg.OperationalError):
        attempts.run(*(URL.replace(user=f"ada{number}") for number in range(9)))
    assert len(attempts.urls) == 2


def test_the_place_is_asked_for_before_each_attempt() -> None:
    attempts = Attempts(UPSTREAM, UPSTREAM)
    places = [URL.replace(port=port) for port in (1, 2, 3)]
    attempts.run(*places)
    assert attempts.urls == places


def test_other_errors_go_through() -> None:
    class OtherError(Exception):
        pass

    for fault in (OtherError(), KeyboardInterrupt()):
        with pytest.raises(type(fault)):
            Attempts(UPSTREAM, fault).run()


# ---------------------------------------------------------------- what is said


def test_the_error_says_where_from_and_what_to_do() -> None:
    attempts = Attempts('FATAL:  password authentication failed for user "ada"')
    with pytest.raises(psycopg.OperationalError) as caught:
        attempts.run()
    first, second = str(caught.value).splitlines()
    assert first == 'FATAL:  password authentication failed for user "ada"'
    assert second.startswith("db.test:5432 is from DATABASE_URL in .env. ")
    assert "`create`" in second


def test_so_does_what_is_logged_of_an_error_without_a_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert Attempts(ConnectionResetError()).run() == "connected"
    assert caplog.messages[0].startswith("db.test:5432 is not ready (ConnectionResetError); trying")


def test_the_error_that_another_one_wraps_loses_its_frames(generated: Generated) -> None:
    """SQLAlchemy's for those of asyncpg."""

    class Wrapping(psycopg.OperationalError):
        orig: BaseException

    def wrapped(url: PostgresURL, _left: float) -> Any:
        try:
            psycopg.connect(**url.libpq())
        except psycopg.Error as error:
            fault = Wrapping(*error.args)
            fault.orig = error
            raise fault from error

    wrong = generated.pooled.replace(password="wrong-horse-battery")
    with pytest.raises(Wrapping) as caught:
        patiently(wrapped, lambda: (wrong, ""), errors=(psycopg.Error,), deadline=9.0)
    inner = caught.value.orig
    assert inner.__traceback__ is inner.__cause__ is inner.__context__ is None


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('192.0.2.1', 5432)"),
        OSError(SEVERAL),
        TimeoutError(),
    ],
    ids=repr,
)
def test_so_do_those_of_the_system(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        Attempts(error).run()
    assert caught.value is error
    assert "db.test:5432 is from DATABASE_URL in .env. " in str(error)


def test_a_secret_in_the_text_of_a_driver_is_masked() -> None:
    with pytest.raises(psycopg.OperationalError) as caught:
        Attempts('invalid value in "host=db.test password=opensesame"').run()
    assert "opensesame" not in str(caught.value)


def test_it_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    def run() -> None:
        Attempts(f"{UPSTREAM} opensesame", UPSTREAM, UPSTREAM).run()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert caplog.messages[0].startswith("db.test:5432 is not ready (FATAL: Failed to connect")
    assert caplog.messages[0].endswith("trying again for 20 s")
    assert "opensesame" not in caplog.text


# ---------------------------------------------------------------- real drivers


def reported(fault: BaseException | None) -> str:
    """All that an error reporter would show, with the variables of every frame."""
    shown = []
    while fault is not None:
        shown += traceback.format_exception(type(fault), fault, fault.__traceback__)
        for frame, _ in traceback.walk_tb(fault.__traceback__):
            if frame.f_globals["__name__"] != __name__:
                shown += (f"{name} = {value!r}" for name, value in dict(frame.f_locals).items())
        fault = fault.__cause__ or fault.__context__
    return "\n".join(shown)


def opened(driver: Any, url: PostgresURL, deadline: float = 10.0) -> Any:
    def connect(url: PostgresURL, left: float) -> Any:
        return driver.connect(**url.libpq(), connect_timeout=int(limit(10, left, url)))

    return patiently(
        connect, lambda: (url, "DATABASE_URL"), errors=(driver.Error,), deadline=deadline
    )


@pytest.mark.parametrize("driver", [psycopg, psycopg2], ids=lambda each: each.__name__)
@pytest.mark.parametrize(
    "step",
    [("57P03", "the database system is starting up"), ("53300", "sorry, too many"), "hang-up"],
    ids=str,
)
def test_a_server_that_is_not_ready_yet(
    driver: Any, step: tuple[str, str] | str, caplog: pytest.LogCaptureFixture
) -> None:
    """psycopg knows no SQLSTATE here; the text of the last step is none that a server would send."""
    last = ("28P01", 'password authentication failed for user "ada"')
    if step == ("53300", "sorry, too many"):
        step = ("53300", "sorry, too many clients already")
    with Refusing([step, step, last]) as server:
        url = PostgresURL.parse(f"postgresql://ada:opensesame@127.0.0.1:{server.port}/shop")
        with pytest.raises(driver.Error, match="password authentication") as caught:
            opened(driver, url)
        assert server.accepted == 3
    assert len(caplog.records) == 1
    shown = reported(caught.value)
    assert "first" in shown or "error = " in shown
    assert "opensesame" not in shown + caplog.text


@pytest.mark.parametrize("driver", [psycopg, psycopg2], ids=lambda each: each.__name__)
def test_no_frame_of_the_driver_is_kept(driver: Any, generated: Generated) -> None:
    wrong = generated.pooled.replace(password="wrong-horse-battery")
    with pytest.raises(driver.Error) as caught:
        opened(driver, wrong)
    names = {
        frame.f_globals["__name__"].partition(".")[0]
        for frame, _ in traceback.walk_tb(caught.value.__traceback__)
    }
    assert names == {"ppg_integrations", __name__.partition(".")[0]}
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert "wrong-horse-battery" not in reported(caught.value)


def test_no_thread_and_no_connection_is_left() -> None:
    before = threading.active_count()
    with Refusing(["hang-up"]) as server:
        url = PostgresURL.parse(f"postgresql://ada:opensesame@127.0.0.1:{server.port}/shop")
        with pytest.raises(psycopg.Error):
            opened(psycopg, url, deadline=0.5)
        assert server.accepted > 1
    gc.collect()
    assert threading.active_count() == before


def test_a_silent_server_takes_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "_SLEEPERS", {"local"})
    with Refusing(["silence"]) as server:
        url = PostgresURL.parse(f"postgresql://ada@127.0.0.1:{server.port}/shop")
        began = time.monotonic()
        with pytest.raises(psycopg.OperationalError):
            opened(psycopg, url, deadline=1.0)
        assert time.monotonic() - began < 3.5  # libpq takes two seconds at least
    assert server.accepted == 1
