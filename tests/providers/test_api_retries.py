"""providers/api.py: what is sent again, how often, and when."""

from __future__ import annotations

import socket
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from ppg_integrations.errors import ProviderError, ProviderUnavailableError
from ppg_integrations.providers.api import API, Rules
from ppg_integrations.providers.http import retries, retryafter
from ppg_integrations.secret import Secret
from tests.support.doubles.base import Double
from tests.support.raw_http import RawHTTP, http

RULES = Rules("neon", "Neon", frozenset({423, 429, 503}))
CAREFUL = RULES._replace(retry_always=frozenset({429}))


class Things(Double):
    def __init__(self):
        super().__init__()

        @self.app.route("/things", methods=["GET", "POST", "DELETE"])
        def things():
            return {}


@pytest.fixture(scope="module")
def running():
    with Things() as double:
        yield double


@pytest.fixture
def things(running):
    running.requests.clear()
    running.faults.clear()
    return running


@pytest.fixture
def api(things):
    with API(RULES, things.url, Secret(things.token), timeout=5) as api:
        yield api


@pytest.mark.parametrize("status", [408, 423, 425, 429, 500, 502, 503, 504, 599])
def test_get_is_sent_again(api, things, status):
    things.fail(status=status, times=2)
    assert api.get("things").status == 200
    assert len(things.requests) == 3


@pytest.mark.parametrize("cut", ["before", "body"])
def test_get_is_sent_again_after_a_cut(api, things, cut):
    things.fail(cut=cut, times=2)
    assert api.get("things").status == 200


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 422, 301, 501])
def test_a_decision_is_not_asked_for_again(api, things, status):
    things.fail(status=status, times=None)
    with pytest.raises(ProviderError):
        api.get("things")
    assert len(things.requests) == 1


@pytest.mark.parametrize("method", ["post", "delete"])
@pytest.mark.parametrize("status", [423, 429, 503])
def test_any_method_is_sent_again_where_the_provider_says_so(api, things, method, status):
    things.fail(status=status, times=2)
    getattr(api, method)("things")
    assert len(things.requests) == 3


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 408}, {"cut": "before"}], ids=str)
def test_no_other_post_is(things, fault):
    things.fail(**fault, times=None)
    with API(CAREFUL, things.url, Secret(things.token), timeout=5) as api:
        with pytest.raises(ProviderUnavailableError):
            api.post("things")
    assert len(things.requests) == 1


def test_what_may_last_is_given_up_soon(api, things):
    things.fail(status=500, times=None)
    with pytest.raises(ProviderUnavailableError):
        api.get("things")
    assert len(things.requests) == retries.TRIES


def test_what_the_server_said_is_told_where_the_deadline_cuts_the_next_try():
    def busy_then_silent(server, connection):
        server.head(connection)
        if server.connections > 1:
            connection.recv(1)  # until the client goes
            return
        connection.sendall(http(b'{"message": "busy"}', "423 Locked", "Connection: close"))

    with RawHTTP(busy_then_silent) as server:
        with API(RULES, server.url, None, timeout=1) as api:
            with pytest.raises(ProviderUnavailableError, match="answered 423") as caught:
                api.post("things")
    assert server.connections == 2
    assert not caught.value.nothing_done  # the second one had been sent


def test_what_is_safe_is_tried_until_the_end(things):
    things.fail(status=423, times=None)
    with API(RULES, things.url, Secret(things.token), timeout=1.5) as api:
        with pytest.raises(ProviderUnavailableError, match="423"):
            api.post("things")
    assert len(things.requests) > retries.TRIES


def test_waits_grow_and_are_capped():
    """With the figures of the package: a second user is not met in step, nobody waits for ever."""
    from tenacity import RetryCallState, Retrying, wait_random_exponential

    backoff = wait_random_exponential(multiplier=0.5, max=retries.LONGEST)
    waits = {}
    for attempt in (1, 4, 20):
        state = RetryCallState(Retrying(), None, (), {})
        state.attempt_number = attempt
        waits[attempt] = [backoff(state) for _ in range(300)]
    assert max(waits[1]) <= 0.5 < max(waits[4]) <= 4 < max(waits[20]) <= 8
    assert len(set(waits[1])) > 250


def test_retry_after_is_waited_for(api, things):
    things.fail(status=429, headers={"Retry-After": "1"})
    told = []
    api._progress = told.append
    api.post("things")
    first, second = things.requests
    assert 1.0 <= second.at - first.at < 3
    assert "429" in told[0]
    assert "\n" not in told[0]
    assert "again in 1.0 s" in told[0]


def test_retry_after_may_be_a_date(things):
    soon = datetime.now(timezone.utc) + timedelta(seconds=60)
    things.fail(status=503, headers={"Retry-After": format_datetime(soon, usegmt=True)})
    with API(RULES, things.url, Secret(things.token), timeout=5) as api:
        with pytest.raises(ProviderUnavailableError, match=r"It asks to come back in (59|60) s"):
            api.get("things")


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_retry_after_beyond_the_deadline_fails_at_once(api, things, method):
    things.fail(status=429, headers={"Retry-After": "3600"}, times=None)
    begun = time.monotonic()
    with pytest.raises(ProviderUnavailableError) as caught:
        getattr(api, method)("things")
    assert time.monotonic() - begun < 2
    when = datetime.now(timezone.utc) + timedelta(hours=1)
    assert "come back in 3600 s" in caught.value.hint
    assert f"{when:%Y-%m-%d %H}" in caught.value.hint
    assert "minute" not in caught.value.hint
    assert len(things.requests) == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        (" 7 ", 7),
        ("99999999999999999999999999", 10**8),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Thu, 01 Jan 1970 00:00:00 -0000", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 10**8),
        ("-1", None),
        ("1.5", None),
        ("", None),
        ("soon", None),
        ("٣", None),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ("Fri, 99 Foo 2020", None),
    ],
)
def test_retry_after_of_every_spelling(value, seconds):
    assert retryafter.seconds(value) == seconds
    if seconds is not None:
        advice = retryafter.advice(seconds)
        assert ("for years" if seconds == 10**8 else f"come back in {seconds} s") in advice


@pytest.mark.parametrize("value", ["99999999999", "Fri, 31 Dec 2099 23:59:59 GMT"])
def test_a_retry_after_of_years_names_no_day_that_nobody_named(api, things, value):
    things.fail(status=429, headers={"Retry-After": value}, times=None)
    with pytest.raises(ProviderUnavailableError, match="not to come back for years"):
        api.get("things")


def test_a_refused_connection_was_never_used():
    with RawHTTP(lambda *_: None) as server:
        url = server.url
    with API(RULES, url, None, timeout=5) as api:
        with pytest.raises(ProviderUnavailableError, match="refused") as caught:
            api.post("things")
    assert caught.value.nothing_done
    assert url.removeprefix("http://") in caught.value.message
    assert "PPG_API_URL" in caught.value.hint


def test_a_post_that_found_no_connection_is_sent_again():
    """Nobody listens at first: what was never sent may be sent again, whatever it is."""
    with RawHTTP(lambda *_: None) as before:
        port = before.port
    started = []

    def start(_text=""):
        server = RawHTTP(lambda server, c: server.head(c) and c.sendall(http()), port=port)
        started.append(server.__enter__())

    real = retries.time.sleep

    def sleep(seconds):
        if not started:
            start()
        real(seconds)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(retries, "time", type("", (), {"sleep": staticmethod(sleep)}))
        with API(RULES, f"http://127.0.0.1:{port}", None, timeout=5) as api:
            try:
                assert api.post("things").status == 200
            finally:
                started[0].__exit__()
    assert len(started[0].heads) == 1


@pytest.mark.parametrize(
    ("code", "tries"), [(socket.EAI_NONAME, 1), (socket.EAI_AGAIN, retries.TRIES)]
)
def test_a_name_without_an_address_says_so(monkeypatch, code, tries):
    asked = []

    def resolve(*args, **_more):
        asked.append(args)
        raise socket.gaierror(code, "the resolver's words")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with API(RULES, "https://api.example.test", None, timeout=5) as api:
        with pytest.raises(ProviderUnavailableError, match="not found: the resolver") as caught:
            api.post("things")
    assert caught.value.nothing_done
    assert "online" in caught.value.hint
    assert len(asked) == tries
