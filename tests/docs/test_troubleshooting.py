"""The texts that docs/troubleshooting.md quotes are those that are said, so that a search finds them."""

from __future__ import annotations

import ast
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

import ppg_integrations
from ppg_integrations.failures import explain
from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.local.servers import LocalServers
from tests.docs.refusals import PROVOKED, Place
from tests.support.programs import ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"
OURS = "Messages of this package"

#: Texts that providers' own pages and programs have, and nothing here can say or know.
ELSEWHERE = {
    "P1001: Can't reach database server at ...",
    "P5011",
    "P6004",
    "P6008",
    "P6009",
    "The request could not be authorized due to an internal error",
    'Workspace plan limit reached for feature "Project".',
    "prisma init",
    "--db",
    "NOTIFY",
    "manage.py migrate",
}

#: Texts of other packages: where they come from, and the part of them that is not filled in.
FRAMEWORKS = {
    "Can't load plugin: sqlalchemy.dialects:postgres": (
        "sqlalchemy.util.langhelpers",
        "Can't load plugin: ",
    ),
    "Circular dependency in TEST[DEPENDENCIES]": (
        "django.test.utils",
        "Circular dependency in TEST[DEPENDENCIES]",
    ),
    "Database queries to '...' are not allowed in this test.": (
        "django.test.testcases",
        " are not allowed in this test.",
    ),
    "Either 'SQLALCHEMY_DATABASE_URI' or 'SQLALCHEMY_BINDS' must be set.": (
        "flask_sqlalchemy.extension",
        "Either 'SQLALCHEMY_DATABASE_URI' or 'SQLALCHEMY_BINDS' must be set.",
    ),
    "QueuePool limit of size ... overflow ... reached, connection timed out": (
        "sqlalchemy.pool.impl",
        " reached, connection timed out",
    ),
    "couldn't get a connection after ... sec": (
        "psycopg_pool.pool",
        "couldn't get a connection after ",
    ),
}


def headings() -> Iterator[tuple[str, str]]:
    """Each quoted text, and the section that it stands in."""
    section = ""
    for line in PAGE.read_text("utf-8").splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif line.startswith("### "):
            for text in re.findall(r"`([^`]+)`", line):
                yield section, text


QUOTED = list(headings())


def pattern(text: str) -> re.Pattern[str]:
    """What a quoted text stands for; three dots for anything."""
    return re.compile(".*".join(map(re.escape, text.split("..."))), re.IGNORECASE | re.DOTALL)


def literals(files: Iterable[Path]) -> Iterator[str]:
    """Each text in the code; what an f-string fills in is three dots."""
    for path in files:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(
                    part.value if isinstance(part, ast.Constant) else "..." for part in node.values
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield re.sub(r"\{\w+(![rs])?\}", "...", node.value)


@pytest.fixture(scope="module")
def said() -> list[str]:
    return list(literals(Path(ppg_integrations.__file__).parent.rglob("*.py")))


@pytest.mark.parametrize("text", [text for section, text in QUOTED if section == OURS])
def test_our_own_messages_are_in_the_code(text: str, said: list[str]) -> None:
    wanted = pattern(text)
    assert any(wanted.search(each) for each in said)


def test_every_other_text_is_known() -> None:
    unknown = [
        text
        for section, text in QUOTED
        if section != OURS
        and text not in ELSEWHERE
        and text not in FRAMEWORKS
        and text not in PROVOKED
        and explain(text) is None
    ]
    assert unknown == []


def test_nothing_is_listed_that_the_page_does_not_quote() -> None:
    assert {*ELSEWHERE, *FRAMEWORKS, *PROVOKED} <= {text for _, text in QUOTED}


@pytest.mark.parametrize("text", FRAMEWORKS)
def test_other_packages_have_the_texts(text: str) -> None:
    module, constant = FRAMEWORKS[text]
    assert constant in text
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    assert any(constant in each for each in literals([Path(spec.origin)]))


@pytest.fixture(scope="module")
def database(servers: LocalServers) -> Iterator[Generated]:
    name = f"t_{secrets.token_hex(4)}"
    made = servers.generate("tester", database=name)
    try:
        with psycopg.connect(**made.direct.libpq()) as client:
            client.execute("CREATE TABLE shop (id int)")
        yield made
    finally:
        servers.drop(name)


@pytest.fixture
def place(servers: LocalServers, database: Generated) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(servers, database.pooled, database.direct, stack)


@pytest.mark.parametrize(
    "text",
    # PostgreSQL looks for five seconds whether those others go.
    [
        pytest.param(text, marks=pytest.mark.once) if "other users" in text else text
        for text in PROVOKED
    ],
)
def test_real_servers_say_it(place: Place, text: str) -> None:
    with pytest.raises(Exception, match=pattern(text)):
        PROVOKED[text](place)
