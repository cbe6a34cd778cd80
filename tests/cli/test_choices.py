"""Several things that could be meant: asked about on a terminal, listed elsewhere."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ppg_integrations import envfile
from ppg_integrations.cli import main
from ppg_integrations.providers.local.servers import LocalServers
from tests.support import terminal
from tests.support.doubles.prisma import PrismaDouble

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def double(
    shop: Path, servers: LocalServers, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PrismaDouble]:
    with PrismaDouble(servers) as double:
        double.project("shop", "main", "old")
        double.project("blog\x1b[2J\n", "main")
        monkeypatch.setenv("PRISMA_API_URL", double.url)
        monkeypatch.setenv("PRISMA_SERVICE_TOKEN", double.token)
        yield double


def ids(double: PrismaDouble) -> list[str]:
    return [each.id for each in double.workspace.projects]


def test_elsewhere_they_are_listed_with_the_option_to_add(
    double: PrismaDouble, capsys: Captured
) -> None:
    assert main(["create"]) == 1
    first, second = ids(double)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("error: ")
    assert lines[1] == f"  {first}  shop"
    assert lines[2].startswith(f"  {second}  blog")
    assert "\x1b" not in lines[2]
    assert lines[3:] == [f"  Say which: --project {first}"]
    assert main(["create", "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert list(error) == ["type", "message", "hint"]
    assert error["hint"].splitlines()[0] == f"{first}  shop"
    assert "\x1b" not in error["hint"]
    assert double.count("POST") == 0


def on_a_terminal(answers: bytes, *arguments: str) -> tuple[int, str]:
    return terminal.run([sys.executable, "-m", "ppg_integrations", *arguments], answers=answers)


def test_on_a_terminal_one_is_chosen_by_its_number(double: PrismaDouble, shop: Path) -> None:
    status, shown = on_a_terminal(b"nonsense\n1\n2\n", "create")
    assert status == 0, shown
    first, _ = ids(double)
    assert f"   1  {first}  shop" in shown
    assert "Which one? [1-2]" in shown
    assert "\x1b[2J" not in shown
    written = envfile.read(shop / ".env")
    assert written["PPG_PROJECT"] == first
    assert written["PPG_DATABASE"] == double.workspace.projects[0].databases[1].id
    # What was chosen is remembered: nobody is asked again.
    assert main(["list"]) == 0


def test_no_answer_is_the_error_that_it_is_elsewhere(double: PrismaDouble) -> None:
    status, shown = on_a_terminal(b"\n", "create")
    assert status == 1
    assert "Say which: --project" in shown
    assert double.count("POST") == 0


def test_who_revokes_on_a_terminal_is_asked_and_enter_means_no(
    double: PrismaDouble, shop: Path
) -> None:
    project = double.workspace.projects[0].id
    for _ in range(2):
        assert main(["create", "--project", project, "--database", "main"]) == 0
    old, new = (each.id for each in double.workspace.connections)
    for answer in (b"\n", b"n\n", b"\x04"):
        status, shown = on_a_terminal(answer, "revoke", old)
        assert status == 2, shown
        assert re.search(rf"Revoke {old} \(shop-.*\) for good\? \[y/N\] ", shown)
        assert "nothing was revoked" in shown
    # The one in use is refused before anybody is asked.
    status, shown = on_a_terminal(b"y\n", "revoke", new)
    assert status == 1
    assert "for good" not in shown
    assert [each.id for each in double.workspace.connections] == [old, new]
    assert on_a_terminal(b"y\n", "revoke", old)[0] == 0
    assert [each.id for each in double.workspace.connections] == [new]


def test_who_rotates_in_place_on_a_terminal_is_asked(double: PrismaDouble, shop: Path) -> None:
    project = double.workspace.projects[0].id
    assert main(["create", "--project", project, "--database", "main"]) == 0
    before = (shop / ".env").read_bytes()
    double.requests.clear()
    status, shown = on_a_terminal(b"n\n", "rotate", "--in-place")
    assert status == 2
    assert "is cut off. Go on? [Y/n]" in shown
    assert double.requests == []
    assert (shop / ".env").read_bytes() == before
    status, shown = on_a_terminal(b"\n", "rotate", "--in-place")
    assert status == 0, shown
    assert "rotated" in shown
    assert (shop / ".env").read_bytes() != before
