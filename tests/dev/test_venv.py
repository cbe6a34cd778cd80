"""A good `.venv` is known again; any other one is made anew, and nothing else is touched."""

from __future__ import annotations

import importlib.util
import json
from typing import Any

import pytest

from devtools import running, venv
from devtools.running import Stopped
from devtools.venv import Checkout
from tests.support.program import program


def finished(checkout: Checkout) -> dict[str, Any]:
    """A `.venv` as an earlier run leaves it, and its stamp."""
    program(checkout.venv / "bin" / "python", f"echo {checkout.venv}")
    stamp = {
        "identity": venv.identity(checkout),
        "digest": venv.digest(checkout),
        "installed": [["x"]],
    }
    venv.write_stamp(checkout, stamp)
    return stamp


def test_a_finished_one_is_known_again(checkout: Checkout) -> None:
    assert finished(checkout) == venv.read_stamp(checkout)


@pytest.mark.parametrize(
    "damage", ["no stamp", "torn stamp", "other python", "dead python", "moved", "nothing there"]
)
def test_one_that_cannot_be_used_is_not(checkout: Checkout, damage: str) -> None:
    stamp = finished(checkout)
    python = checkout.venv / "bin" / "python"
    if damage == "no stamp":
        checkout.stamp.unlink()
    elif damage == "torn stamp":
        checkout.stamp.write_text('{"identity": ')
    elif damage == "other python":
        venv.write_stamp(checkout, {**stamp, "identity": {"python": "3.9"}})
    elif damage == "dead python":
        program(python, "exit 127")
    elif damage == "moved":
        program(python, "echo /elsewhere/.venv")
    else:
        python.unlink()
    assert venv.read_stamp(checkout) == {}


@pytest.mark.parametrize(
    "name", ["pyproject.toml", "dev.py", "devtools/venv.py", "requirements/runner.txt"]
)
def test_what_is_installed_depends_on_these_files(checkout: Checkout, name: str) -> None:
    before = venv.digest(checkout)
    assert venv.digest(checkout) == before
    (checkout.root / name).parent.mkdir(exist_ok=True)
    (checkout.root / name).write_text("2")
    assert venv.digest(checkout) != before


def test_what_is_there_is_not_installed_again(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(running, "run_quietly", lambda argv, *_: ran.append(argv))
    finished(checkout)
    venv.install(checkout, ("x",), {})
    assert ran == []
    venv.install(checkout, ("--group", "y"), {})
    assert [argv[-1] for argv in ran] == ["pip>=25.1", "y"]
    venv.install(checkout, ("--group", "y"), {})
    assert len(ran) == 2
    venv.install(checkout, ("-r", "z"), {})
    assert [argv[-1] for argv in ran[2:]] == ["z"]  # pinned, and with any pip
    (checkout.root / "pyproject.toml").write_text("2")
    venv.install(checkout, ("-r", "z"), {})
    assert len(ran) == 4
    assert json.loads(checkout.stamp.read_text())["installed"] == [["-r", "z"]]


def test_a_failed_installation_is_tried_again(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise Stopped("no network")

    stamp = finished(checkout)
    monkeypatch.setattr(running, "run_quietly", fail)
    with pytest.raises(Stopped, match="no network"):
        venv.install(checkout, ("y",), {})
    assert venv.read_stamp(checkout) == stamp


def test_a_link_is_removed_and_what_it_points_to_is_not(checkout: Checkout) -> None:
    precious = checkout.root / "precious"
    precious.mkdir()
    (precious / "pyvenv.cfg").touch()
    checkout.venv.symlink_to(precious)
    venv.remove(checkout)
    assert not checkout.venv.is_symlink()
    assert (precious / "pyvenv.cfg").exists()


def test_a_folder_that_is_none_is_left_alone(checkout: Checkout) -> None:
    checkout.venv.mkdir()
    (checkout.venv / "thesis.txt").touch()
    with pytest.raises(Stopped, match="Move it away"):
        venv.remove(checkout)
    assert (checkout.venv / "thesis.txt").exists()


@pytest.mark.parametrize("half", [["bin"], ["bin", "lib", "lib64"], ["pyvenv.cfg", "bin", "share"]])
def test_what_a_killed_run_left_is_removed(checkout: Checkout, half: list[str]) -> None:
    for name in half:
        (checkout.venv / name).mkdir(parents=True)
    venv.remove(checkout)
    assert not checkout.venv.exists()


def test_without_venv_and_pip_it_says_what_to_install(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(Stopped, match="apt-get install python3-venv"):
        venv.make(checkout, {})
