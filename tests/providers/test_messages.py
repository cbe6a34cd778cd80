"""What providers say: fit for a terminal, in the user's own words, and with a next step."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

import ppg_integrations.providers
from ppg_integrations.errors import ChoiceError, PPGError, ProviderError
from ppg_integrations.providers.api import API, Rules
from ppg_integrations.providers.base import Target
from ppg_integrations.providers.http import exchange
from ppg_integrations.providers.printable import printable, word
from ppg_integrations.providers.settings import Settings
from tests.providers.cases import HOSTED, Case, started
from tests.support.doubles.base import Double
from tests.support.raw_http import RawHTTP, http

PROVIDERS = Path(ppg_integrations.providers.__file__).parent
NASTY = "x\n\x1b[31mred\x07"


@pytest.fixture(params=HOSTED)
def hosted(request, servers):
    with started(request.param, servers) as made:
        yield made


# Names that would steer a terminal.


@pytest.mark.parametrize(
    ("text", "shown"),
    [(NASTY, "x red"), ("a  b", "a b"), ("ä", "ä"), ("y" * 400, "y" * 299 + "…"), ("", "")],
)
def test_what_is_shown_is_one_line_without_escapes(text, shown):
    assert printable(text) == shown


def test_a_word_of_a_command_is_quoted():
    assert word("shop") == "shop"
    assert word("it's\na shop") == "'it'\"'\"'s a shop'"


def nasty_names(case: Case) -> None:
    """Gives everything that the double calls by a name that one."""
    double = case.double
    if case.name == "prisma":
        for project in double.workspace.projects:
            project.name = NASTY
            for database in project.databases:
                database.name = NASTY
                double.workspace.add_connection(database, NASTY, works=False)
    elif case.name == "neon":
        double.project.name = double.branch.name = NASTY
        double.add_role(double.branch, NASTY)
    else:
        double.project.name = double.branch.name = NASTY


def everything_said(case: Case) -> Iterator[str]:
    """All that a provider's methods say of what has such names."""
    intents, told = [], []
    keep = intents.append

    def asked(call):
        try:
            return call(case.provider())
        except PPGError as error:
            told.append(error.message + error.hint)
            if isinstance(error, ChoiceError):
                told.extend(name for _, name in error.choices)
        return None

    made = [asked(lambda p: p.generate(case.request(), keep, told.append))]
    made.append(asked(lambda p: p.generate(case.making(), keep, told.append)))
    for target in (Target(project="no"), Target(branch="no"), Target(database="no")):
        asked(lambda p, target=target: p.generate(replace(case.request(), target=target), keep))
    listed = asked(lambda p: p.connections(Target())) or ()
    yield from (each.name for each in listed)
    used = listed[-1].id if listed else ""
    for in_place in (False, True):
        rotated = asked(
            lambda p, in_place=in_place: p.rotate(
                case.request(), keep, in_use=used, in_place=in_place, progress=told.append
            )
        )
        made.append(rotated and rotated.generated)
    told += asked(lambda p: p.revoke(Target(), used)) or ()
    asked(lambda p: p.revoke(Target(), "no"))
    for intent in intents:
        settled = asked(lambda p, intent=intent: p.settle(intent))
        yield from (settled.text,) if settled else ()
    case.second_project()
    asked(lambda p: p.connections(Target()))
    yield from (text for each in made if each for text in (each.name, *each.notes))
    yield from (intent.name for intent in intents)
    yield from told


def test_no_name_can_write_on_the_terminal(hosted):
    nasty_names(hosted)
    said = list(everything_said(hosted))
    assert len(said) > 10
    assert any("red" in text for text in said), "they are shown all the same"
    for text in said:
        assert text.replace("\n", "").isprintable(), text
        assert "x\n" not in text
        assert "[31m" not in text


# The next step.


def raised_without_a_hint(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            name = node.func.id
            if name in ("ProviderError", "ProviderUnavailableError", "ChoiceError", "refusal"):
                if not any(keyword.arg == "hint" for keyword in node.keywords):
                    yield f"{path.relative_to(PROVIDERS)}:{node.lineno}"


def test_each_error_of_a_hosted_provider_has_a_hint():
    found = []
    for path in PROVIDERS.rglob("*.py"):
        if "local" not in path.parts:
            found += raised_without_a_hint(path)
    # These two are caught, and get one, where what they are about is known.
    assert {each.partition(":")[0] for each in found} == {"prisma/credentials.py"}
    assert len(found) == 2


def test_no_hint_takes_a_program_for_granted():
    for path in (*PROVIDERS.rglob("*.py"), PROVIDERS.parent / "failures.py"):
        if path.name != "settings.py":
            assert not re.search("ppg.connect|flask ppg|manage.py", path.read_text()), path


def test_the_program_of_the_settings_is_kept():
    settings = Settings({}, {"A": "1"}, program="manage.py ppg_connect")
    assert settings.within(2).program == settings.without("A").program == settings.program
    assert settings.within(2).without("A").timeout == 2
    assert Settings({}).program == "ppg-connect"


def test_hints_name_the_users_own_program(hosted):
    provider = hosted.provider()
    provider.settings.program = "manage.py ppg_connect"
    with pytest.raises(ProviderError) as caught:
        provider.connections(Target(project="Shop Nr. 2"))
    assert "manage.py ppg_connect create" in caught.value.hint
    assert "--project 'Shop Nr. 2'" in caught.value.hint
    assert "--create" in caught.value.hint


@pytest.mark.parametrize(
    "status", [400, 403, 404, 408, 409, 412, 422, 425, 429, 500, 501, 503, 302]
)
def test_each_status_has_a_hint_that_says_once_when_to_come_back(status):
    class Fails(Double):
        pass

    with Fails() as double, API(Rules("neon", "Neon"), double.url, None, timeout=0.3) as api:
        double.fail(status=status, times=None)
        with pytest.raises(ProviderError) as caught:
            api.post("things")
        assert caught.value.hint
        double.faults.clear()
        double.fail(status=status, headers={"Retry-After": "3600"}, times=None)
        with pytest.raises(ProviderError) as caught:
            api.post("things")
        assert "in a minute" not in caught.value.hint


@pytest.mark.parametrize(
    ("answer", "said", "hint"),
    [
        (b"", "cut the connection", "Try again"),
        (http(body=b'{"a": "' + b"x" * 2000 + b'"}'), "sent more than", "provider's API"),
        (http(body=b"<html>"), "no JSON", "provider's API"),
        (http(body=b"{}"), "no text at id", "new enough"),
    ],
    ids=("cut", "large", "page", "field"),
)
def test_each_kind_of_trouble_has_a_hint_with_the_address(monkeypatch, answer, said, hint):
    monkeypatch.setattr(exchange, "_LIMIT", 1000)

    def answers(server, connection):
        server.head(connection)
        connection.sendall(answer)

    with RawHTTP(answers) as server:
        with API(Rules("neon", "Neon"), server.url, None, timeout=2) as api:
            with pytest.raises(ProviderError, match=said) as caught:
                api.post("things").fields.text("id")
        assert hint in caught.value.hint
        assert f":{server.port}" in str(caught.value) or "field" in said or "text" in said


# One deadline for one verb.


def test_all_methods_of_a_provider_share_one_deadline(hosted):
    provider = hosted.provider(PPG_TIMEOUT="0.4")
    hosted.double.fail(delay=0.15, times=None)
    with pytest.raises(ProviderError, match=r"0\.4 s"):
        for _ in range(5):
            provider.connections(Target())
    hosted.double.faults.clear()
    with pytest.raises(ProviderError, match=r"0\.4 s"):
        provider.connections(Target())
    assert hosted.provider(PPG_TIMEOUT="10").connections(Target()) is not None


def test_the_time_runs_from_the_first_question_on(hosted):
    provider = hosted.provider(PPG_TIMEOUT="7")
    assert provider._deadline is None
    provider.connections(Target())
    first = provider.deadline
    assert first.seconds == 7
    assert first.rest() < 7
    provider.connections(Target())
    assert provider.deadline is first


# The parts of a target that mean something.


def test_the_parts_of_a_target_that_mean_nothing_are_no_capabilities(hosted):
    parts = {"databases", "branches", "roles"} & hosted.provider().capabilities
    assert (
        parts
        == {
            "prisma": {"databases"},
            "neon": {"databases", "branches", "roles"},
            "casedev": {"branches"},
        }[hosted.name]
    )
    assert set(asdict(Target())) == {"project", "database", "branch", "role"}
