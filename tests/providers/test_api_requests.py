"""providers/api.py: what is sent, and what each answer becomes."""

from __future__ import annotations

import json
import time

import flask
import pytest

from ppg_integrations import __version__
from ppg_integrations.errors import ConfigurationError, ProviderError, ProviderUnavailableError
from ppg_integrations.providers.api import API, Rules
from ppg_integrations.secret import Secret
from tests.support.doubles.base import Double
from tests.support.programs import run_python
from tests.support.raw_http import RawHTTP, http, saying

RULES = Rules("neon", "Neon", frozenset({423, 429, 503}), "x-request")


class Things(Double):
    """An API with one kind of thing; it says what it was asked."""

    path = "/api/v2"

    def __init__(self):
        super().__init__()

        @self.app.route("/api/v2/<path:path>", methods=["GET", "POST", "DELETE"])
        def echo(path):
            if flask.request.method == "DELETE":
                return "", 204
            return {
                "path": path,
                "query": flask.request.query_string.decode(),
                "body": flask.request.get_data(as_text=True),
                "type": flask.request.content_type or "",
            }


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


def refused(api, method="get", *path, **more):
    with pytest.raises(ProviderError) as caught:
        getattr(api, method)(*(path or ("things",)), **more)
    return caught.value


def test_a_request_names_this_package_and_carries_the_token(api, things):
    api.get("things")
    headers = things.requests[0].headers
    assert headers["User-Agent"] == f"ppg-integrations/{__version__}"
    assert headers["Authorization"] == f"Bearer {things.token}"
    assert headers["Accept"] == "application/json"
    assert "Content-Type" not in headers
    assert "Cookie" not in headers


def test_without_a_token_none_is_sent(things):
    with API(RULES, things.url, None, timeout=5) as api:
        error = refused(api)
    assert error.status == 401
    assert "Authorization" not in things.requests[0].headers


def test_a_body_is_json(api):
    answer = api.post("things", json={"name": "ü", "on": True})
    assert answer.fields.text("type") == "application/json"
    assert json.loads(answer.fields.text("body")) == {"name": "ü", "on": True}


def test_a_post_without_a_body_has_none(api, things):
    api.post("things")
    assert things.requests[0].body == b""
    assert "Content-Type" not in things.requests[0].headers


@pytest.mark.parametrize(
    ("segment", "wire"),
    [
        ("a/b", "a%2Fb"),
        ("../../admin", "..%2F..%2Fadmin"),
        ("a b?c#d&e", "a%20b%3Fc%23d%26e"),
        ("%2e%2e", "%252e%252e"),
        ("ü\t", "%C3%BC%09"),
        ("...", "..."),
        ("a;b=c:d@e", "a%3Bb%3Dc%3Ad%40e"),
        ("\\..\\", "%5C..%5C"),
    ],
)
def test_a_segment_of_a_path_stays_one(api, things, segment, wire):
    api.get("things", segment, "roles")
    assert things.requests[0].path == f"/api/v2/things/{wire}/roles"


@pytest.mark.parametrize("segment", ["", ".", "..", "\ud800", "x" * 9000])
def test_a_segment_that_cannot_be_one_is_refused(api, things, segment):
    with pytest.raises(ConfigurationError):
        api.get("things", segment)
    assert things.requests == []


def test_a_query_has_lower_case_booleans_and_encodes(api, things):
    api.get("things", query={"pooled": True, "deep": False, "limit": 5, "name": "a b&c=d+ü"})
    assert things.requests[0].query == (
        "pooled=true&deep=false&limit=5&name=a%20b%26c%3Dd%2B%C3%BC"
    )


@pytest.mark.parametrize("base", ["http://api.example", "https://u:hidden@api.example", "api"])
def test_an_address_that_must_not_have_the_token_is_refused(base):
    with pytest.raises(ConfigurationError, match="the address of Neon's API") as caught:
        API(RULES, base, Secret("t"), timeout=1)
    assert "hidden" not in str(caught.value)


def test_importing_it_imports_no_client():
    code = "import sys, ppg_integrations.providers.api as a; a.Rules; print(*sys.modules)"
    loaded = run_python(code).split()
    assert "ppg_integrations.providers.api" in loaded
    assert not {"httpx", "tenacity"} & set(loaded)


def test_an_answer_without_a_body_has_no_fields(api):
    answer = api.delete("things", "1")
    assert answer.status == 204
    assert answer.fields.maybe_text("anything") == ""


def test_an_error_carries_what_the_provider_said(api, things):
    body = json.dumps({"request_id": "r", "code": "X", "message": "project not found"})
    things.fail(status=404, body=body, headers={"X-Request": "req-1"})
    error = refused(api, "get", "things", "a/b")
    assert str(error).startswith(
        f"Neon's API at 127.0.0.1:{things.port} answered 404 to GET /things/a%2Fb: "
        "project not found\n"
    )
    assert "PPG_PROJECT" in error.hint
    assert (error.provider, error.status, error.request_id) == ("neon", 404, "req-1")
    assert "project not found" in error.body
    assert not isinstance(error, ProviderUnavailableError)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": {"code": "c", "message": "M", "hint": "H"}}', "M"),
        (b'{"error": {"code": "resource-not-found"}}', "resource-not-found"),
        (b'{"request_id": "r", "code": "", "message": "M"}', "M"),
        (b'{"error": "M"}', "M"),
        (b'{"error": "RATE", "message": "M", "rateLimitInfo": {}}', "M"),
        (b'{"errors": [{"code": 1, "message": "M"}], "success": false}', "M"),
        (b'{"detail": "M"}', "M"),
        (b'{"message": ["M"], "error": null, "code": 7}', "Conflict"),
        (b"M\n", "M"),
        (b"<!doctype html><html><head><TITLE>M | Cloud</TITLE>...", "M | Cloud"),
        (b"<html></html>", "Conflict"),
        (b'{"message": "M', "Conflict"),
        (b"[1]", "Conflict"),
        (b'"M"', '"M"'),
        (b"\xff\xfe\x00", "Conflict"),
        (b"", "Conflict"),
    ],
)
def test_error_bodies_of_every_shape_are_understood(api, things, body, said):
    things.fail(status=409, body=body)
    message = refused(api).message.replace("\ufffd", "").strip()
    assert message.removesuffix(": ").endswith(said) or body == b"\xff\xfe\x00"


def test_what_a_server_says_cannot_reach_a_terminal_as_a_command(api, things):
    hostile = "\x1b[2J\x1b]0;title\x07 \u202eevil\r\n\t\x9b31m \x00 " + "x" * 5000
    things.fail(status=400, body=json.dumps({"message": hostile}), headers={"X-Request": "a\tb"})
    error = refused(api)
    assert error.message.isprintable()
    assert error.body.isprintable()
    assert error.request_id.isprintable()
    assert len(error.message) < 500
    assert len(error.body) <= 2000


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (401, "NEON_API_KEY"),
        (403, "NEON_API_KEY"),
        (404, "PPG_PROJECT"),
        (500, "Try again"),
    ],
)
def test_the_usual_errors_have_a_next_step(api, things, status, hint):
    things.fail(status=status, times=None)
    assert hint in refused(api, "post").hint


def test_the_providers_own_hint_wins(things):
    rules = RULES._replace(hint=lambda status, said: f"own {status} {said}")
    things.fail(status=404, body='{"message": "gone"}')
    with API(rules, things.url, Secret(things.token), timeout=5) as api:
        assert refused(api).hint == "own 404 gone"


def test_a_server_error_names_the_request_for_the_support(api, things):
    things.fail(status=500, times=None, headers={"X-Request": "req-9"})
    assert "(request req-9)" in refused(api, "post").message


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(api, things, status):
    things.fail(status=status, headers={"Location": "https://evil.example/p?token=hidden"})
    error = refused(api)
    assert "evil.example" in error.message
    assert "hidden" not in str(error)
    assert len(things.requests) == 1


@pytest.mark.parametrize("location", ["/elsewhere", "", "http://["])
def test_a_redirect_to_nowhere_is_an_error_too(location):
    with (
        RawHTTP(saying(http(b"", "302 Found", f"Location: {location}"))) as server,
        API(RULES, server.url, None, timeout=5) as api,
    ):
        assert refused(api).status == 302


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"[]",
        b'"text"',
        b"null",
        b"1",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"a": "\xff"}',
        b"<html></html>",
    ],
    ids=lambda body: body[:12].decode("latin-1"),
)
def test_only_objects_of_sound_json_are_answers(api, things, body):
    things.fail(status=200, body=body)
    error = refused(api)
    assert "Neon's answer to GET /things is " in error.message
    assert error.nothing_done
    assert error.status == 200


def test_ten_mebibytes_are_read_and_not_one_byte_more(api, things):
    limit = 10 * 1024 * 1024
    fits = b'{"a": "' + b"x" * (limit - 9) + b'"}'
    things.fail(status=200, body=fits)
    assert len(api.get("things").fields.text("a")) == limit - 9
    things.fail(status=200, body=fits + b" ")
    assert "more than 10 MiB" in refused(api).message


def test_a_compressed_answer_is_refused(api, things):
    assert api.get("things")
    assert things.requests[0].headers["Accept-Encoding"] == "identity"
    things.fail(status=200, body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    assert "compressed" in refused(api).message


@pytest.mark.parametrize(
    ("fault", "nothing_done"),
    [
        ({"status": 400}, True),
        ({"status": 401}, True),
        ({"status": 409}, True),
        ({"status": 302}, True),
        ({"status": 408}, False),
        ({"status": 500}, False),
        ({"status": 502, "body": "<html>"}, False),
        ({"status": 201, "body": "{"}, False),
        ({"cut": "before"}, False),
        ({"cut": "body"}, False),
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["post", "delete"])
def test_an_error_says_whether_something_may_have_been_done(
    api, things, method, fault, nothing_done
):
    things.fail(**fault)
    assert refused(api, method).nothing_done is nothing_done
    assert len(things.requests) == 1


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 423}, {"status": 429}], ids=str)
def test_what_the_provider_calls_safe_has_done_nothing(things, fault):
    things.fail(**fault, times=None, headers={"Retry-After": "60"})
    with API(RULES, things.url, Secret(things.token), timeout=2) as api:
        error = refused(api, "post")
    assert error.nothing_done
    assert isinstance(error, ProviderUnavailableError)


def test_what_fails_after_something_was_made_says_so(api, things):
    """The intent of a request that worked must not be dropped because the next one did not."""
    before = api.get("things").fields
    api.post("things")
    things.fail(status=404)
    assert not refused(api).nothing_done
    for fields in (before, api.get("things").fields):
        with pytest.raises(ProviderError) as caught:
            fields.text("missing")
        assert not caught.value.nothing_done


def test_nothing_is_shared_by_two_conversations(api, things):
    api.post("things")
    with API(RULES, things.url, Secret(things.token), timeout=5) as other:
        things.fail(status=404)
        assert refused(other).nothing_done


@pytest.mark.parametrize("token", ["a b", "a\nb", "ü", "a\x7f"])
def test_a_token_that_no_header_can_carry_is_refused_unseen(token):
    with pytest.raises(ConfigurationError) as caught:
        API(RULES, "http://127.0.0.1:1", Secret(token), timeout=1)
    assert token not in str(caught.value)
    assert caught.value.__context__ is None


def test_an_error_that_comes_before_the_body_was_taken_is_understood():
    def impatient(server, connection):
        server.head(connection)
        connection.sendall(http(b'{"message": "too big"}', "413 Content Too Large"))
        while connection.recv(65536):
            pass

    with RawHTTP(impatient) as server, API(RULES, server.url, None, timeout=5) as api:
        assert refused(api, "post", "things", json={"a": "x" * 200_000}).status == 413


def test_waiting_asks_until_there_is_something(api, things):
    told = []
    api._progress = told.append
    answers = iter([None, None, "ready"])
    found = api.until(lambda: next(answers), what="waiting for the branch", every=0.01)
    assert found == "ready"
    assert told == ["waiting for the branch"]


def test_waiting_ends_at_the_deadline(things):
    with API(RULES, things.url, Secret(things.token), timeout=0.3) as api:
        begun = time.monotonic()
        with pytest.raises(ProviderUnavailableError) as caught:
            api.until(lambda: None, what="waiting for the branch", every=0.05)
        assert time.monotonic() - begun < 1.5
    error = caught.value
    assert error.message == "Neon: waiting for the branch took longer than 0.3 s"
    assert "PPG_TIMEOUT=" in error.hint
    assert "again" in error.hint
    assert error.nothing_done


def test_what_is_waited_for_was_made(things):
    with API(RULES, things.url, Secret(things.token), timeout=0.3) as api:
        api.post("things")
        with pytest.raises(ProviderUnavailableError) as caught:
            api.until(lambda: None, what="x", every=0.05)
    assert not caught.value.nothing_done


def test_a_request_that_meets_the_deadline_inside_waiting_is_the_same_error(things):
    things.fail(times=None, delay=0.15)
    with API(RULES, things.url, Secret(things.token), timeout=0.4) as api:
        with pytest.raises(ProviderUnavailableError, match="^Neon: the branch took") as caught:
            api.until(lambda: api.get("x") and None, what="the branch", every=0.01)
    assert caught.value.__context__ is None


def test_waiting_lets_other_errors_through(api, things):
    things.fail(status=404)
    with pytest.raises(ProviderError, match="404"):
        api.until(lambda: api.get("x"), what="x", every=0.01)
