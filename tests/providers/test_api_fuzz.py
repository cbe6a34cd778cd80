"""providers/api.py: whatever a server sends, there is an answer or a ProviderError."""

from __future__ import annotations

import json
from unittest import mock

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ppg_integrations.errors import ProviderError
from ppg_integrations.providers.api import API, Rules
from ppg_integrations.providers.http import redaction, retries
from ppg_integrations.providers.http.call import call
from ppg_integrations.providers.http.deadline import Deadline
from ppg_integrations.providers.http.exchange import Reply
from ppg_integrations.providers.http.verdict import Judge
from ppg_integrations.secret import Secret
from tests.support.raw_http import RawHTTP

RULES = Rules("neon", "Neon", frozenset({423, 429, 503}), "x-request")
IMPATIENT = RULES._replace(retry_always=frozenset())
TOKEN = Secret("tok_0123456789")

LINES = st.lists(
    st.sampled_from(
        [
            b"Content-Length: 2",
            b"Content-Length: -1",
            b"Content-Length: 99999999999999999999",
            b"Transfer-Encoding: chunked",
            b"Content-Encoding: gzip",
            b"Content-Type: text/html; charset=\xff",
            b"Location: http://[",
            b"Retry-After: soon",
            b"Set-Cookie: \xff\xfe=; Domain=..",
            b"Connection: close",
            b"Upgrade: h2c",
            b": empty",
            b"\xff: \xff",
        ]
    ),
    max_size=4,
)
STATUS = st.sampled_from([b"200", b"204", b"101", b"100", b"000", b"302", b"404", b"503", b"999"])
BODIES = st.sampled_from([b"{}", b"2\r\n{}\r\n0\r\n\r\n", b"zz\r\n", b"", b"[]"])
ANSWERS = st.binary(max_size=60) | st.builds(
    lambda status, lines, body: b"\r\n".join([b"HTTP/1.1 " + status + b" X", *lines, b"", body]),
    STATUS,
    LINES,
    BODIES | st.binary(max_size=20),
)


@settings(max_examples=150, deadline=None)
@given(ANSWERS)
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n99999999999999999999\r\n")
@example(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 30_000)
def test_any_bytes_on_the_wire(wire):
    server.answer = wire
    with mock.patch.object(retries, "TRIES", 1):
        with API(IMPATIENT, server.url, TOKEN, timeout=2) as api:
            try:
                answer = api.post("things")
            except ProviderError as error:
                assert TOKEN.reveal() not in f"{error} {error.body}"
                assert error.__context__ is None
                assert error.message.isprintable()
            else:
                assert 200 <= answer.status < 300


def answer(raw, connection):
    if raw.head(connection):
        connection.sendall(raw.answer)


server = RawHTTP(answer)


def setup_module():
    server.__enter__()


def teardown_module():
    server.__exit__()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["error", "errors", "message", "code", "detail", "password", "url", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(
    st.integers(100, 999),
    st.sampled_from(["GET", "POST", "DELETE"]),
    st.dictionaries(
        st.sampled_from(["retry-after", "location", "x-request", "content-type"]), st.text()
    ),
    st.binary() | JSON.map(lambda value: json.dumps(value).encode()),
)
def test_any_answer_is_judged(status, method, headers, body):
    request = call(method, "https://api.example", ("things",), {})
    judge = Judge(RULES, "api.example", TOKEN, Deadline(1))
    verdict = judge.judge(request, Reply(status, headers, body))
    if verdict.error is None:
        assert 200 <= status < 300
        assert isinstance(verdict.data, dict)
    else:
        assert verdict.error.message.isprintable()
        assert verdict.error.body.isprintable()
        assert len(verdict.error.message) < 600
        str(verdict.error).encode()


def test_a_token_with_a_terminal_s_sequence_in_it_is_hidden_all_the_same():
    told = TOKEN.reveal()[:5] + "\x1b[31m" + TOKEN.reveal()[5:]
    assert redaction.line(f"no such token: {told}", TOKEN) == "no such token: ***"
