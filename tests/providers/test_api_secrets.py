"""providers/api.py: no secret in a log, a message, an exception or anything it drags along."""

from __future__ import annotations

import json
import logging
import pickle
import time
import traceback

import flask
import httpx
import pytest

from ppg_integrations.errors import PPGError, ProviderError
from ppg_integrations.providers.api import API, Rules
from ppg_integrations.providers.fields import Conversation, Fields, Origin
from ppg_integrations.providers.http import redaction
from ppg_integrations.secret import Secret
from tests.support.doubles.base import Double
from tests.support.raw_http import RawHTTP, http, saying

RULES = Rules("neon", "Neon", frozenset({423}), "x-request")
PASSWORD = "npg_Pa55w0rd-secret"
URL = f"postgresql://owner:{PASSWORD}@ep-x.us-east-2.aws.neon.tech/neondb?sslmode=require"
SECRETS = {
    "uri": URL,
    "message": f"made {URL} for you",
    "data": {"pass": PASSWORD, "connectionString": URL, "deep": [{"token": PASSWORD}]},
}


class Leaky(Double):
    """An API that repeats secrets wherever it can."""

    def __init__(self):
        super().__init__()

        @self.app.route("/things", methods=["GET", "POST"])
        def things():
            answer = flask.jsonify(SECRETS | {"echo": flask.request.headers["Authorization"]})
            answer.headers["Set-Cookie"] = f"session={PASSWORD}"
            return answer


@pytest.fixture(scope="module")
def running():
    with Leaky() as double:
        yield double


@pytest.fixture
def leaky(running):
    running.requests.clear()
    running.faults.clear()
    return running


def everything(error):
    """Whatever a debugger or an error page could show of an exception, but for the test's frame."""
    assert error.__traceback__.tb_next is not None
    error.__traceback__ = error.__traceback__.tb_next
    lines = traceback.TracebackException.from_exception(error, capture_locals=True).format()
    shown = ["".join(lines)]
    seen = []
    following = [error]
    while following:
        each = following.pop()
        if each is None or each in seen:
            continue
        seen.append(each)
        shown += [repr(each), str(each), repr(each.args), repr(vars(each))]
        following += [each.__cause__, each.__context__]
        frame = each.__traceback__
        while frame is not None:
            if "ppg_integrations" in frame.tb_frame.f_code.co_filename:
                for value in frame.tb_frame.f_locals.values():
                    assert not isinstance(value, (bytes, httpx.Request, httpx.Response)), value
            frame = frame.tb_next
    return "\n".join(shown), seen


FAULTS = [
    {"status": 401, "body": json.dumps(SECRETS)},
    {"status": 500, "body": json.dumps(SECRETS)},
    {"status": 429, "body": json.dumps({"error": SECRETS}), "headers": {"Retry-After": "99"}},
    {"status": 400, "body": f"could not use {URL}, password={PASSWORD}"},
    {"status": 400, "body": json.dumps(SECRETS)[:-9]},
    {"status": 302, "headers": {"Location": f"https://{PASSWORD}@x.example/{PASSWORD}"}},
    {"status": 200, "body": json.dumps(SECRETS)[:-1]},
    {"status": 200, "body": json.dumps([SECRETS])},
    {"cut": "before"},
    {"cut": "body"},
    {"delay": 0.25},
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault)[:30])
@pytest.mark.parametrize("method", ["get", "post"])
def test_no_error_holds_a_secret(leaky, caplog, method, fault):
    caplog.set_level(logging.DEBUG)
    leaky.fail(**fault, times=None)
    told = []
    token = Secret(leaky.token)
    with API(RULES, leaky.url, token, timeout=0.2, progress=told.append) as api:
        with pytest.raises(ProviderError) as caught:
            getattr(api, method)("things")
    text, exceptions = everything(caught.value)
    text += "".join(told) + caplog.text
    assert PASSWORD not in text
    assert leaky.token not in text
    assert all(isinstance(each, PPGError) for each in exceptions)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.nothing_done) == (str(caught.value), caught.value.nothing_done)


def test_a_token_that_is_echoed_is_taken_out(leaky):
    leaky.fail(status=403, body=f"no such token: {leaky.token}; {leaky.token}!")
    with API(RULES, leaky.url, Secret(leaky.token), timeout=5) as api:
        with pytest.raises(ProviderError) as caught:
            api.get("things")
    assert leaky.token not in f"{caught.value} {caught.value.body}"
    assert "***" in caught.value.message


def test_nothing_is_logged_at_debug(leaky, caplog):
    for name in ("", "httpx", "httpcore", "httpcore.http11", "httpcore.connection"):
        caplog.set_level(logging.DEBUG, name)
    with API(RULES, leaky.url, Secret(leaky.token), timeout=5) as api:
        assert api.get("things").fields.text("uri") == URL
        assert api.post("things", json={"password": PASSWORD}).status == 200
    ours = [each for each in caplog.records if each.name.split(".")[0] in ("httpx", "httpcore")]
    assert ours == []
    assert PASSWORD not in caplog.text
    assert leaky.token not in caplog.text


def test_the_users_own_requests_are_logged_as_ever(leaky, caplog):
    caplog.set_level(logging.DEBUG)
    with API(RULES, leaky.url, Secret(leaky.token), timeout=5) as api:
        api.get("things")
    caplog.clear()
    with httpx.Client() as client:
        client.get(f"{leaky.url}/things")
    assert {"httpx", "httpcore.http11", "httpcore.connection"} <= {
        each.name for each in caplog.records
    }


def test_fields_show_no_values():
    fields = Fields(SECRETS, Origin(Conversation("neon", "Neon"), "GET /things"))
    with pytest.raises(ProviderError) as caught:
        fields.at("data").number("pass")
    text, _ = everything(caught.value)
    assert PASSWORD not in text + repr(fields) + str(fields) + f"{fields}"
    assert "data.pass" in caught.value.message
    with pytest.raises(TypeError):
        pickle.dumps(fields)


def test_garbage_on_the_wire_is_not_repeated():
    """h11's own message quotes the line that it could not read."""
    with RawHTTP(saying(f"{PASSWORD}\r\n\r\n".encode())) as server:
        with API(RULES, server.url, None, timeout=5) as api:
            with pytest.raises(ProviderError, match="did not answer in HTTP") as caught:
                api.post("things")
    text, _ = everything(caught.value)
    assert PASSWORD not in text


def test_a_reason_phrase_is_not_repeated():
    with RawHTTP(saying(http(b"", f"400 {PASSWORD}"))) as server:
        with API(RULES, server.url, None, timeout=5) as api:
            with pytest.raises(ProviderError) as caught:
                api.post("things")
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"x {URL} y", "x postgresql://***@ep-x.us-east-2.aws.neon.tech/neondb?sslmode=require y"),
        ("postgres://u:p@a/s@s/w@h/db", "postgres://***@h/db"),
        ("postgres://user:cut-off-pass", "postgres://***"),
        ("prisma+postgres://accelerate.example/?api_key=KEY", "prisma+postgres://***"),
        ("https://u:p@h/x", "https://***@h/x"),
        ("https://h/x?api_key=KEY&b=1", "https://h/x?api_key=***&b=1"),
        ("password=abc host=h", "password=*** host=h"),
        ("password: abc", "password: ***"),
        ('{"password": "a b c", "x": 1', '{"password": ***", "x": 1'),
        (r"{\"pass\":\"abc\",\"x\"", r'{\"pass\":***",\"x\"'),
        ("Authorization: Bearer abc.def", "Authorization: *** ***"),
        ("bearer abc", "bearer ***"),
        ("project not found", "project not found"),
        ("authentication failed during: start", "authentication failed during: start"),
        ("invalid api key", "invalid api key"),
    ],
)
def test_texts_are_redacted(text, shown):
    line = redaction.line(text, None)
    if "\\" in text:
        assert "abc" not in line
    else:
        assert line == shown


def test_bodies_are_redacted_by_the_names_of_their_members():
    data = {
        "id": "keep",
        "url": "gone",
        "claimUrl": "gone",
        "connection_uris": [{"x": "gone"}],
        "connection_parameters": {"password": "gone", "host": "keep", "pooler_host": "keep"},
        "apiKey": "gone",
        "user": {"pass": "gone", "name": "keep"},
        "token": None,
    }
    shown = redaction.body(json.dumps(data).encode(), None)
    assert "gone" not in shown
    assert shown.count("keep") == 4
    assert '"token": null' in shown


def test_deep_and_long_bodies_are_shortened():
    deep = b'{"a":' * 900 + b"1" + b"}" * 900
    assert len(redaction.body(deep, None)) < 500
    assert len(redaction.body(json.dumps({"a": "x" * 10**6}).encode(), None)) <= 2000


@pytest.mark.parametrize("unit", ["://", "a.", "password=", "password ", "\x1b[", "@", "bearer "])
def test_redaction_takes_no_time_over_hostile_texts(unit):
    begun = time.process_time()
    redaction.line(unit * 200_000, Secret("token"))
    redaction.body((unit * 200_000).encode(), Secret("token"))
    assert time.process_time() - begun < 1
