"""What a real Sentry client reports when connections fail, with the variables of each frame in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ppg_integrations.providers.base import Generated
from tests.security.reporting import NEEDLE, PASSWORD
from tests.support.raw_http import RawHTTP, http, saying

ROOT = Path(__file__).resolve().parents[2]

#: How connecting fails, for each driver: a login that is refused, and a port where nobody listens.
CONNECTING = [
    ("django", "wrong"),
    ("flask psycopg", "wrong"),
    ("flask psycopg2", "wrong"),
    ("flask psycopg2", "nobody"),
    ("sqlalchemy psycopg", "wrong"),
    ("sqlalchemy psycopg", "nobody"),
    ("sqlalchemy psycopg2", "wrong"),
    ("sqlalchemy_asyncio psycopg", "wrong"),
    ("sqlalchemy_asyncio asyncpg", "wrong"),
    ("sqlalchemy_asyncio asyncpg", "nobody"),
    ("pool", "wrong"),
    ("pool_asyncio", "nobody"),
    ("verb doctor", "wrong"),
    ("verb show", "wrong"),
    ("verb run -- false", "wrong"),
    ("verb run -- no-such-program", "wrong"),
    ("storing", "nobody"),
    ("verb rotate --provider neon", "nobody"),
]
#: Texts that are no URL, each refused by another function.
TEXTS = {
    "address": f"postgresql://ada:{NEEDLE}@[::1/shop",
    "port": f"postgresql://ada:{NEEDLE}@h:99999/shop",
    "parameter": f"postgresql://ada:{NEEDLE}@h/shop?sslmode={NEEDLE}",
    "blank": f"postgresql://ada:{NEEDLE} b@h/shop",
    "encoding": f"postgresql://ada:%FF{NEEDLE}@h/shop",
    "scheme": f"mysql://ada:{NEEDLE}@h/shop",
    "accelerate": f"prisma+postgres://localhost/?api_key={NEEDLE}",
}
#: What an API answers to a token.
ANSWERS = {
    "500": http(json.dumps({"error": {"message": f"password={NEEDLE}"}}).encode(), "500 No"),
    "200": http(json.dumps({"password": NEEDLE, "data": [{"uri": NEEDLE}]}).encode()),
    "noise": f"{NEEDLE}\r\n\r\n".encode(),
}
TOKENS = {"neon": "NEON_API_KEY", "prisma": "PRISMA_SERVICE_TOKEN", "casedev": "CASEDEV_API_KEY"}
VERBS = ["list", "create --create --project shop", "rotate", "revoke x", "show"]


class Case(NamedTuple):
    title: str
    way: str
    environ: dict[str, str]


def connecting(generated: Generated, port: int) -> Iterator[Case]:
    wrong = generated.pooled.replace(password=PASSWORD), generated.direct.replace(password=PASSWORD)
    nobody = tuple(url.replace(port=port) for url in wrong)
    for way, how in CONNECTING:
        pooled, direct = wrong if how == "wrong" else nobody
        environ = {"DATABASE_URL": pooled.reveal(), "DIRECT_URL": direct.reveal()}
        yield Case(f"{way}, {how}", way, environ)


def reading() -> Iterator[Case]:
    for name, text in TEXTS.items():
        for way in ("resolving", "settings", "verb show"):
            yield Case(f"{way}, {name}", way, {"DATABASE_URL": text})


def asking(servers: dict[str, RawHTTP]) -> Iterator[Case]:
    for answer, server in servers.items():
        for provider, variable in TOKENS.items():
            for verb in VERBS if provider == "neon" or answer == "500" else VERBS[:1]:
                environ = {variable: NEEDLE, "PPG_API_URL": server.url, "PPG_TIMEOUT": "0.2"}
                yield Case(
                    f"{provider} {verb}, {answer}", f"verb {verb} --provider {provider}", environ
                )
    for provider, variable in TOKENS.items():
        yield Case(
            f"{provider}, a token with a blank",
            f"verb list --provider {provider}",
            {variable: f"{NEEDLE} x"},
        )


@pytest.fixture(scope="module")
def reported(servers, tmp_path_factory) -> dict[str, tuple[int, list[str]]]:
    """How many errors each case reported, and the places in which a secret stood."""
    folder = tmp_path_factory.mktemp("work")
    generated = servers.generate("reporter", database="t_reporters")
    running = {name: RawHTTP(saying(answer)) for name, answer in ANSWERS.items()}
    with RawHTTP(saying(b"")) as gone:
        port = gone.port
    try:
        for server in running.values():
            server.__enter__()
        cases = [*connecting(generated, port), *reading(), *asking(running)]
        done = subprocess.run(
            [sys.executable, "-m", "tests.security.reporting"],
            input=json.dumps([(case.way, case.environ) for case in cases]),
            cwd=folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "PYTHONPATH": str(ROOT),
            },
            capture_output=True,
            text=True,
            timeout=100,
        )
    finally:
        for server in running.values():
            server.__exit__()
        servers.drop("t_reporters")
    assert done.returncode == 0, done.stderr[-3000:]
    found = dict(zip((case.title for case in cases), json.loads(done.stdout), strict=True))
    # All loggers were at DEBUG, and wrote to standard error.
    return {**found, "the log": (1, [line for line in done.stderr.splitlines() if NEEDLE in line])}


def test_no_event_holds_a_secret(reported) -> None:
    assert len(reported) > 60
    leaks = {title: places for title, (_, places) in reported.items() if places}
    assert not leaks, json.dumps(leaks, indent=1)


def test_each_failure_was_reported(reported) -> None:
    """Or the test above would prove nothing."""
    assert not [title for title, (errors, _) in reported.items() if not errors]
