"""What a provider's API answers: any bytes give a result or a ProviderError."""

from __future__ import annotations

import json
from random import Random

from ppg_integrations.errors import ProviderError
from ppg_integrations.providers.api import Answer, Rules
from ppg_integrations.providers.fields import Conversation, Fields, Origin
from ppg_integrations.providers.http.call import call
from ppg_integrations.providers.http.deadline import Deadline
from ppg_integrations.providers.http.exchange import Reply
from ppg_integrations.providers.http.verdict import Judge
from ppg_integrations.secret import Secret
from tests.fuzz.mutation import mutant

TOKEN = Secret("tok_zQ7kX9wv")
RULES = Rules("neon", "Neon", frozenset({423, 429, 503}), "x-request")
PASSWORD = "sk_hUsh4w0rd"
URL = f"postgresql://u:{PASSWORD}@ep-a-1.eu-central-1.aws.neon.tech/d?sslmode=require"
_THING = {
    "id": "br-a-1",
    "name": "main",
    "status": "ready",
    "default": True,
    "created_at": "2026-11-01T10:00:00Z",
}

SEEDS = [
    json.dumps(document)
    for document in (
        {"projects": [_THING], "pagination": {"cursor": "c"}, "uri": URL},
        {
            "data": {
                **_THING,
                "connections": [_THING],
                "endpoints": {"direct": {"host": "h", "port": 5432}},
            }
        },
        {"data": [_THING, _THING], "pagination": {"nextCursor": None, "hasMore": False}},
        {"error": {"code": "not_found", "message": f"no {URL} for {TOKEN.reveal()}"}},
        {"message": "try later", "errors": ["a", {"detail": 1}]},
        {},
    )
] + ["<html>502 Bad Gateway</html>", "", "null", "[1]", '"text"']
TOKENS = [
    *'{ } [ ] : , " "" null true NaN -Infinity 1e999 -0 12345678901234567890123 \\u0000 \\ud800 \\"'.split(),
    *(
        '"id":',
        '"data":',
        '"pagination":{"hasMore":true,"nextCursor":"c"}',
        '{"a":',
        "[[",
        "\\u001b[31m",
    ),
    *(TOKEN.reveal(), URL, '"error":', '"message":'),
]
_HEADERS = ("retry-after", "location", "x-request", "content-type")
_VALUES = (
    "",
    "1",
    "-1",
    "1e9",
    "soon",
    "Wed, 21 Oct 2099 07:28:00 GMT",
    "https://evil.example/",
    "\x1b[2J",
    "é",
)
_STATUS = (200, 201, 204, 301, 400, 401, 403, 404, 409, 422, 423, 429, 500, 503, 599, 999)
_READERS = ("text", "maybe_text", "flag", "maybe_flag", "number", "maybe_number")
_INSIDE = ("at", "maybe_at", "each", "maybe_each")
_MEMBERS = ("id", "name", "data", "status", "pagination", "projects", "connections", "nothing")


def texts(random: Random) -> str:
    return mutant(random, SEEDS, TOKENS)


def check(text: str, *, thorough: bool = False) -> bool:
    """Whether it is taken for an answer; what must not come of it is an AssertionError."""
    body = text.encode(errors="surrogatepass")
    # Status, method and headers follow from the text, so that it alone makes the case again.
    choose = Random(body)
    status = 200 if choose.random() < 0.5 else choose.choice(_STATUS)
    headers = {choose.choice(_HEADERS): choose.choice(_VALUES)}
    request = call(choose.choice(("GET", "POST", "DELETE")), "https://api.example", ("things",), {})
    verdict = Judge(RULES, "api.example", TOKEN, Deadline(1)).judge(
        request, Reply(status, headers, body)
    )
    if verdict.error is not None:
        told(verdict.error, text)
        return False
    assert 200 <= status < 300
    fields = Fields(verdict.data, Origin(Conversation("neon", "Neon"), "GET /things"))
    read(Answer(status, fields).fields, 4, text)
    return True


def read(fields: Fields, depth: int, text: str) -> None:
    """Every reader, of members that may be there, as deep as the documents go."""
    for name in _MEMBERS:
        for reader in (*_READERS, *_INSIDE):
            try:
                found = getattr(fields, reader)(name)
            except ProviderError as error:
                told(error, text)
                continue
            if reader in _INSIDE and depth and found is not None:
                for inner in found if isinstance(found, tuple) else (found,):
                    read(inner, depth - 1, text)


def told(error: ProviderError, text: str) -> None:
    said = f"{error} {error.body} {error.message} {error.hint}"
    assert TOKEN.reveal() not in said, "an error repeats the token"
    if text.count(PASSWORD) == text.count(f"postgresql://u:{PASSWORD}@"):  # where it can be known
        assert PASSWORD not in said, "an error repeats a password"
    assert error.message.isprintable() and error.body.isprintable()
    said.encode()
