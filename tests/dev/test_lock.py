"""What CI installs is what `requirements` pins, and that is what pyproject.toml asks for."""

from __future__ import annotations

import os
import re
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from devtools import lock
from devtools.interpreters import SUPPORTED
from tests.support.program import program

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# Set by tox.ini, and read before anything changes the environment.
CONSTRAINTS = os.environ.get("UV_CONSTRAINT", "").split()
_PIN = re.compile(
    r"^([\w.-]+)==([^\s;]+)(?: ; (.+?))?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n", re.MULTILINE
)


class Pin(NamedTuple):
    name: str
    version: str
    marker: str

    def applies(self, environment: dict[str, str]) -> bool:
        return not self.marker or Marker(self.marker).evaluate(environment)


def pins(*paths: str | Path) -> list[Pin]:
    found = []
    for path in paths:
        text = "".join(
            line for line in (ROOT / path).read_text().splitlines(True) if not line.startswith("#")
        )
        rest = _PIN.sub(
            lambda match: found.append(Pin(*match.group(1, 2), match[3] or "")) or "", text
        )
        assert rest == "", f"{path}: no pin, or one without a hash: {rest[:200]}"
    return found


def machine(python: str, system: str) -> dict[str, str]:
    names = {"linux": ("posix", "Linux"), "darwin": ("posix", "Darwin")}[system]
    return {
        **default_environment(),
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": system,
        "os_name": names[0],
        "platform_system": names[1],
    }


def of_group(name: str) -> list[str]:
    found = []
    for item in PROJECT["dependency-groups"][name]:
        found += [item] if isinstance(item, str) else of_group(item["include-group"])
    return found


def of_project(groups: tuple[str, ...], extras: tuple[str, ...]) -> list[Requirement]:
    project = PROJECT["project"]
    texts = [*project["dependencies"], *PROJECT["build-system"]["requires"]] if extras else []
    for extra in extras:
        texts += project["optional-dependencies"][extra]
    for group in groups:
        texts += of_group(group)
    return [Requirement(text) for text in texts]


def check(
    paths: tuple[str, ...], requirements: list[Requirement], python: str, system: str
) -> None:
    environment = machine(python, system)
    pinned = {
        canonicalize_name(pin.name): pin.version
        for pin in pins(*(f"requirements/{path}" for path in paths))
        if pin.applies(environment)
    }
    for requirement in requirements:
        if requirement.marker is None or requirement.marker.evaluate(environment):
            version = pinned.get(canonicalize_name(requirement.name))
            assert version is not None, f"{requirement} is pinned nowhere: {lock.COMMAND}"
            assert version in requirement.specifier, (
                f"{requirement}, and {version} is pinned: {lock.COMMAND}"
            )


@pytest.mark.parametrize("system", ["linux", "darwin"])
@pytest.mark.parametrize("python", SUPPORTED)
def test_the_pins_answer_pyproject(python: str, system: str) -> None:
    extras = ("django", "flask", "psycopg", "psycopg2", "embedded")
    every = of_project(("audit", "build", "demo", "lint", "test", "test-runner"), extras)
    check(("tested.txt", "django.txt"), every, python, system)
    check(("runner.txt",), of_project(("test-runner",), ()), python, system)
    lowest = [r for r in of_project(("test",), extras) if r.name != "hatchling"]
    check(("lowest.txt",), lowest, python, system)


def test_every_series_of_django_in_tox_ini_is_pinned() -> None:
    text = (ROOT / "tox.ini").read_text()
    series = re.findall(r"(?m)^    (django\d+): *(django\S+)$", text)
    assert len(series) > 2
    for factor, requirement in series:
        (pin,) = pins(f"requirements/{factor}.txt")
        assert pin.version in Requirement(requirement).specifier, lock.COMMAND


def test_there_is_no_file_that_nothing_makes_and_none_names_a_place() -> None:
    made = lock.sources(ROOT / "tox.ini").keys()
    assert {path.name for path in (ROOT / "requirements").iterdir()} == made
    assert set(re.findall(r"requirements/(\S+)", (ROOT / "tox.ini").read_text())) < made
    for name in made:
        text = (ROOT / "requirements" / name).read_text()
        assert not re.search(r"://|^-|/[a-z]+/", text, re.MULTILINE), name


def test_in_an_environment_of_tox_nothing_is_installed_that_is_not_pinned() -> None:
    if not CONSTRAINTS:  # outside tox people install what they like
        return
    environment = {**default_environment()}
    pinned = {
        (canonicalize_name(pin.name), pin.version)
        for pin in pins(*CONSTRAINTS)
        if pin.applies(environment)
    }
    installed = {(canonicalize_name(found.name), found.version) for found in distributions()}
    others = {(name, version) for name, version in installed - pinned if name != "ppg-integrations"}
    assert not others
    assert len(installed) > 30


def test_a_file_is_made_by_uv_without_the_caller_s_constraints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = f'echo "$@" > "{tmp_path}/said"; cat >> "{tmp_path}/said"; echo "$UV_CONSTRAINT" >> "{tmp_path}/said"'
    script = program(tmp_path / "uv", record)
    monkeypatch.setattr(lock, "uv", lambda: str(script))
    monkeypatch.setenv("UV_CONSTRAINT", "mine.txt")
    source = lock.sources(ROOT / "tox.ini")["django60.txt"]
    lock.compile_to(tmp_path / "django60.txt", source, "--upgrade")
    arguments, requirement, constraint = (tmp_path / "said").read_text().splitlines()
    assert {"--upgrade", "--generate-hashes", "--universal", "--python-version=3.12"} <= set(
        arguments.split()
    )
    assert (requirement, constraint) == ("django>=6.0,<6.1", "")


def test_what_uv_cannot_do_is_said_in_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = program(tmp_path / "uv", "cat > /dev/null; echo no such version >&2; exit 1")
    monkeypatch.setattr(lock, "uv", lambda: str(script))
    monkeypatch.setattr(lock, "FOLDER", tmp_path / "requirements")
    assert lock.main([]) == 1
    assert capsys.readouterr().err == "runner.txt cannot be made:\nno such version\n"
