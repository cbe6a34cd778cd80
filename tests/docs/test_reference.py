"""The generated pages are what the code says, and nothing public is missing."""

from __future__ import annotations

import importlib
import inspect
import json

import pytest

from devtools import docstrings, reference, reference_api, reference_tables, reference_variables
from devtools import reference_verbs as verbs
from ppg_integrations.django.findings import PROBLEMS, TABLE
from ppg_integrations.problems import TABLE as OF_DOCTOR
from tests.docs.scratch import Scratch

API = (reference.FOLDER / "api.md").read_text(encoding="utf-8")


def test_the_pages_are_up_to_date():
    assert reference.stale() == [], "python3 -m devtools.reference writes them"


def test_a_page_that_is_not_up_to_date_is_told(monkeypatch, capsys):
    monkeypatch.setitem(reference.PAGES, "verbs", lambda: "something else")
    assert reference.main(["--check"]) == 1
    assert "verbs.md" in capsys.readouterr().out


@pytest.mark.parametrize("module", reference_api.MODULES)
def test_every_public_name_is_there_and_says_what_it_is(module):
    found = importlib.import_module(module)
    section = API.partition(f"\n## `{module}`\n")[2].partition("\n## ")[0]
    for name in found.__all__:
        is_error = isinstance(getattr(found, name), type) and issubclass(
            getattr(found, name), Exception
        )
        assert (f" `{name}`" if is_error else f"\n### `{name}`\n") in section, name
        thing = getattr(found, name)
        assert inspect.getdoc(thing), name
        for member, value in vars(thing).items() if inspect.isclass(thing) else ():
            if not member.startswith("_") and (callable(value) or isinstance(value, property)):
                assert inspect.getdoc(getattr(thing, member)), f"{name}.{member}"


def test_a_public_name_of_a_module_is_in_all():
    for module in ("ppg_integrations.django", "ppg_integrations.flask"):
        found = importlib.import_module(module)
        source = inspect.getsource(found)
        block = source.partition("if TYPE_CHECKING:")[2].partition("__all__")[0]
        imported = {
            word.strip(" ,\n")
            for line in block.splitlines()
            if " import " in line
            for word in line.partition(" import ")[2].split(",")
        }
        assert imported == {*found.__all__}


def test_the_page_of_the_api_needs_no_sphinx():
    """It is read on repository hosts, too."""
    assert "eval-rst" not in API
    assert ":func:" not in API
    assert "::\n" not in API


def test_how_a_thing_is_called():
    def short(name, *rest, wait=None, **more):
        """One."""

    def long(
        first: int, *, second_of_them: str = "default", third_of_them: str | None = None
    ) -> dict[str, int]:
        """One."""

    assert reference_api.signature(short, "f") == "f(name, *rest, wait=None, **more)"
    assert reference_api.signature(long, "f").split("\n") == [
        "f(",
        "    first: int,",
        "    *,",
        "    second_of_them: str = 'default',",
        "    third_of_them: str | None = None,",
        ") -> dict[str, int]",
    ]
    assert reference_api.signature(long, "f", brief=True) == (
        "f(first, *, second_of_them='default', third_of_them=None)"
    )


def test_an_example_in_a_docstring_is_a_block():
    def documented():
        """Does *it*, see :func:`os.stat`.

        So::

            with documented():

                pass

        And on.

        Args:
            none: of them.
        """

    assert docstrings.prose(documented) == (
        "Does *it*, see `os.stat`.\n\nSo:\n\n"
        "```text\nwith documented():\n\n    pass\n```\n\nAnd on."
    )


def test_every_fixture_is_there():
    plugin = importlib.import_module("ppg_integrations.pytest_plugin")
    fixtures = {
        name
        for name, value in vars(plugin).items()
        if type(value).__name__ == "FixtureFunctionDefinition"
        or hasattr(value, "_pytestfixturefunction")
    }
    assert fixtures
    assert fixtures == {*reference_api.FIXTURES["ppg_integrations.pytest_plugin"]}


def test_a_variable_without_a_row_is_told(monkeypatch):
    monkeypatch.setattr(reference_variables, "mentioned", lambda: [("PPG_NEW", "new.py")])
    with pytest.raises(ValueError, match=r"PPG_NEW \(new.py\)"):
        reference_variables.page()


def test_variables_are_found_where_they_are_read():
    found = dict(reference_variables.mentioned())
    assert {"DATABASE_URL", "PPG_DRIVER", "NEON_API_HOST", "SSL_CERT_FILE", "NO_COLOR"} <= {*found}
    assert not reference_variables.described() - {*found}, "rows of variables that nobody reads"


def test_an_argument_without_a_word_is_told():
    def settings(known=1, unknown=2):
        """One.

        Args:
            known: is.
        """

    with pytest.raises(ValueError, match="says nothing of unknown"):
        reference_tables._arguments(settings)


def test_every_check_and_problem_is_there():
    page = (reference.FOLDER / "checks.md").read_text(encoding="utf-8")
    for name in (*TABLE, *OF_DOCTOR):
        assert f"\n| `{name}` |" in page, name
    assert PROBLEMS.keys() == OF_DOCTOR.keys()
    assert "| `same-endpoint` | `ppg.W109`; `ppg.I109` on this machine |" in page


def keys(document, path=""):
    """Dotted keys of a document, down to where the page says no more."""
    if isinstance(document, list):
        return (
            {f"{path}[]"}
            if not document or not isinstance(document[0], dict)
            else {key for each in document for key in keys(each, f"{path}[]")}
        )
    if isinstance(document, dict) and path.count(".") == 0 and path.split(".")[-1] not in ("tls",):
        return {
            key
            for name, each in document.items()
            for key in keys(each, f"{path}.{name}".strip("."))
        }
    return {path}


def test_the_documents_of_the_verbs_have_the_keys_that_the_page_lists(tmp_path, servers, programs):
    with Scratch("plain", tmp_path, servers, programs) as scratch:
        for verb, wanted in verbs.JSON.items():
            command = {"revoke": "revoke ID", "local stop": "local stop"}.get(verb, verb)
            if verb == "rotate":
                command = "rotate --grace 0"
            if verb == "local stop":
                continue
            scratch.sh(f"ppg-connect {command} --json 2>/dev/null")
            found = keys(json.loads(scratch.printed))
            problems = {each for each in found if each.startswith("problems[]")}
            if verb == "doctor" and problems == {"problems[]"}:
                found = found - problems | {
                    each for each in wanted if each.startswith("problems[]")
                }
            assert found == {*wanted}, verb
        scratch.aside()
