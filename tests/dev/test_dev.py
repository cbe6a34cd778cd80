"""dev.py keeps its promises: it finds interpreters, knows a good `.venv`, counts, and cleans up."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "dev.py"


@pytest.fixture
def dev() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dev", SOURCE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty checkout that `dev` believes itself to live in."""
    for name in ("dev.py", "pyproject.toml"):
        (tmp_path / name).write_text("1")
    venv = tmp_path / ".venv"
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.setattr(dev, "VENV", venv)
    monkeypatch.setattr(dev, "BOOT", tmp_path / ".boot")
    monkeypatch.setattr(dev, "STAMP", venv / ".dev-stamp.json")
    return tmp_path


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


# What a person sees first


def test_help_is_short_and_names_both_commands() -> None:
    said = subprocess.run(
        [sys.executable, SOURCE, "--help"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert re.search(r"^ +demo ", said, re.MULTILINE)
    assert re.search(r"^ +test ", said, re.MULTILINE)
    assert len(said.splitlines()) < 20


@pytest.mark.parametrize("arguments", [[], ["bench"], ["demo", "--", "-x"], ["test", "--slow"]])
def test_wrong_usage_is_status_2_and_installs_nothing(arguments: list[str]) -> None:
    said = subprocess.run(
        [sys.executable, SOURCE, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert said.returncode == 2
    assert said.stdout == ""
    assert "usage: dev.py" in said.stderr


@pytest.mark.parametrize("version", [(3, 6, 15), (3, 9, 18)])
def test_an_older_python_is_refused_in_plain_words(
    version: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(SOURCE))
    assert str(stop.value).startswith(
        f"dev.py needs Python 3.10 or later, and this is 3.{version[1]} ("
    )


def test_an_older_python_can_read_the_file_at_all() -> None:
    ast.parse(SOURCE.read_text(), feature_version=(3, 6))


def test_only_the_standard_library_is_imported() -> None:
    imported = set()
    for node in ast.walk(ast.parse(SOURCE.read_text())):
        if isinstance(node, ast.Import):
            imported |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).partition(".")[0])
    assert imported <= sys.stdlib_module_names


# The caller's environment


def test_index_settings_stay_and_what_bends_the_tools_goes(dev: ModuleType) -> None:
    kept = {
        "PIP_INDEX_URL": "a", "PIP_CERT": "b", "PIP_CONFIG_FILE": "c", "UV_DEFAULT_INDEX": "d",
        "UV_INDEX_CORP_PASSWORD": "e", "SSL_CERT_FILE": "f", "https_proxy": "g", "PATH": "h",
        "PYENV_ROOT": "i", "PPG_PGBOUNCER": "j", "PPG_POSTGRES_BIN": "k", "CI": "l",
    }  # fmt: skip
    dropped = (
        "PYTHONPATH PYTHONHOME VIRTUAL_ENV CONDA_PREFIX PIP_TARGET PIP_PREFIX PIP_CONSTRAINT UV_PYTHON"
        " UV_RESOLUTION TOX_ENV DATABASE_URL DIRECT_URL POSTGRES_URL PGPASSWORD PGHOST PPG_DIRECT"
        " PRISMA_SERVICE_TOKEN NEON_API_KEY CASEDEV_API_KEY DJANGO_SETTINGS_MODULE FLASK_APP"
    ).split()
    clean = dev.clean_environ({**kept, **dict.fromkeys(dropped, "x")})
    assert kept.items() <= clean.items()
    assert not set(dropped) & set(clean)


def test_what_pip_is_configured_with_reaches_uv(dev: ModuleType, checkout: Path) -> None:
    listing = "global.index-url='https://a.example/simple'\n:env:.cert='/ca.pem'\ninstall.proxy='http://p:1'"
    program(dev.VENV / "bin" / "python", f"cat <<'END'\n{listing}\nEND")
    assert dev.uv_settings({"PATH": os.environ["PATH"]}) == {
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_DEFAULT_INDEX": "https://a.example/simple",
        "SSL_CERT_FILE": "/ca.pem",
        "ALL_PROXY": "http://p:1",
    }
    own = {"UV_INDEX_URL": "u", "SSL_CERT_FILE": "s", "ALL_PROXY": "p", "PATH": os.environ["PATH"]}
    assert dev.uv_settings(own) == {"UV_PYTHON_DOWNLOADS": "never"}


def test_a_home_without_room_for_a_cache_is_replaced(dev: ModuleType, checkout: Path) -> None:
    (checkout / "file").touch()
    usable = {"HOME": str(checkout / "home")}
    assert dev.with_cache(usable) == usable
    assert (checkout / "home" / ".cache").is_dir()
    for unusable in (
        {"HOME": str(checkout / "file")},
        {"HOME": "x", "XDG_CACHE_HOME": "/dev/null/x"},
    ):
        assert dev.with_cache(unusable) == {
            **unusable,
            "XDG_CACHE_HOME": str(checkout / ".boot" / "cache"),
        }


# .venv


def stamped(dev: ModuleType) -> dict[str, object]:
    program(dev.VENV / "bin" / "python", f"echo {dev.VENV}")
    stamp: dict[str, object] = {
        "identity": dev.identity(),
        "digest": dev.digest(),
        "installed": [["x"]],
    }
    dev.write_stamp(stamp)
    return stamp


def test_a_finished_venv_is_known_again(dev: ModuleType, checkout: Path) -> None:
    stamp = stamped(dev)
    assert dev.read_stamp() == stamp


@pytest.mark.parametrize(
    "damage", ["no stamp", "torn stamp", "other python", "dead python", "moved", "none"]
)
def test_a_venv_that_cannot_be_used_is_not(dev: ModuleType, checkout: Path, damage: str) -> None:
    stamp = stamped(dev)
    if damage == "no stamp":
        dev.STAMP.unlink()
    elif damage == "torn stamp":
        dev.STAMP.write_text('{"identity": ')
    elif damage == "other python":
        dev.write_stamp({**stamp, "identity": {"python": "3.9"}})
    elif damage == "dead python":
        program(dev.VENV / "bin" / "python", "exit 127")
    elif damage == "moved":
        program(dev.VENV / "bin" / "python", "echo /elsewhere/.venv")
    else:
        dev.remove_venv()
    assert dev.read_stamp() == {}


@pytest.mark.parametrize("name", ["pyproject.toml", "dev.py"])
def test_what_is_installed_depends_on_both_files(
    dev: ModuleType, checkout: Path, name: str
) -> None:
    before = dev.digest()
    assert dev.digest() == before
    (checkout / name).write_text("2")
    assert dev.digest() != before


def test_an_installed_set_is_not_installed_again(
    dev: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(dev, "run_quietly", lambda argv, *_: ran.append(argv))
    stamped(dev)
    dev.install(("x",), {})
    assert ran == []
    dev.install(("y",), {})
    assert [argv[-1] for argv in ran] == ["pip>=25.1", "y"]
    dev.install(("y",), {})
    assert len(ran) == 2
    (checkout / "pyproject.toml").write_text("2")
    dev.install(("y",), {})
    assert len(ran) == 4
    assert json.loads(dev.STAMP.read_text())["installed"] == [["y"]]


def test_a_link_is_removed_and_what_it_points_to_is_not(dev: ModuleType, checkout: Path) -> None:
    precious = checkout / "precious"
    precious.mkdir()
    (precious / "pyvenv.cfg").touch()
    dev.VENV.symlink_to(precious)
    dev.remove_venv()
    assert not dev.VENV.is_symlink()
    assert (precious / "pyvenv.cfg").exists()


def test_a_folder_that_is_no_venv_is_left_alone(dev: ModuleType, checkout: Path) -> None:
    dev.VENV.mkdir()
    (dev.VENV / "thesis.txt").touch()
    with pytest.raises(dev.Stop, match="Move it away"):
        dev.remove_venv()
    assert (dev.VENV / "thesis.txt").exists()


def test_without_venv_and_pip_it_says_what_to_install(
    dev: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(dev.Stop, match="apt-get install python3-venv"):
        dev.make_venv({})


def test_a_failing_installer_is_quoted(dev: ModuleType, checkout: Path) -> None:
    script = program(checkout / "pip", "seq 1 100; echo no such package >&2; exit 3")
    with pytest.raises(dev.Stop) as stop:
        dev.run_quietly([str(script)], {"PATH": os.environ["PATH"]}, "Do this.")
    assert "status 3" in str(stop.value)
    assert str(stop.value).endswith("no such package\nDo this.")
    assert len(str(stop.value).splitlines()) < 20


def test_the_second_of_two_runs_waits(
    dev: ModuleType, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order = []

    def second() -> None:
        with dev.lock("install", "installing"):
            order.append("second")

    thread = threading.Thread(target=second)
    with dev.lock("install", "installing"):
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert "waiting for another dev.py" in capsys.readouterr().out


def test_what_ends_dev_ends_its_child(tmp_path: Path) -> None:
    child = tmp_path / "child"
    code = f"""
        import runpy, signal, sys
        dev = runpy.run_path({str(SOURCE)!r})
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        dev["run"]([sys.executable, "-c", '''
        import os, pathlib, time
        draft = pathlib.Path({str(tmp_path / "draft")!r})
        draft.write_text(str(os.getpid()))
        draft.rename({str(child)!r})
        time.sleep(60)
        '''.replace("\\n        ", "\\n").strip()], {{"PATH": ""}})
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stderr=subprocess.DEVNULL
    ) as parent:
        until = time.monotonic() + 30
        while not child.exists() and time.monotonic() < until:
            time.sleep(0.02)
        pid = int(child.read_text())
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(30) == 143
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


# Interpreters


def test_interpreters_come_from_the_running_one_path_and_pyenv_and_never_from_shims(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shims, path, pyenv = (
        tmp_path / ".pyenv" / "shims",
        tmp_path / "bin",
        tmp_path / ".pyenv" / "versions",
    )
    running = program(tmp_path / "own" / "python3.11", "echo 3.11")
    monkeypatch.setattr(dev, "base_python", lambda: str(running))
    program(shims / "python3.12", "echo 3.12")
    program(path / "python3.11", "echo 3.11")
    program(path / "python3.12", "exit 127")
    program(path / "python3.13", "echo 3.13")
    program(pyenv / "3.12.1" / "bin" / "python3.12", "echo 3.12")
    program(pyenv / "3.13.0" / "bin" / "python3.13", "echo 3.13")
    environ = {"PATH": f"{shims}:{path}", "HOME": str(tmp_path)}
    found = dev.interpreters(environ)
    assert found["3.11"] == str(running)
    assert found["3.12"] == str(pyenv / "3.12.1" / "bin" / "python3.12")
    assert found["3.13"] == str(path / "python3.13")
    searched = dev.search_path(environ, found).split(":")
    assert str(shims) not in searched
    assert [f for f in searched if f.startswith(str(tmp_path))] == [
        str(running.parent), str(path), str(pyenv / "3.12.1" / "bin"),
    ]  # fmt: skip


def test_each_environment_gets_its_interpreter_or_none(dev: ModuleType) -> None:
    running = "%d.%d" % sys.version_info[:2]
    names = ["lint", "lowest", "py310-django52", "py311-django52"]
    assert dev.plan(names, {"3.11": "/usr/bin/python3.11"}) == {
        "lint": running, "lowest": "3.11", "py310-django52": None, "py311-django52": "3.11",
    }  # fmt: skip


def test_tox_runs_every_supported_python_and_the_metadata_says_the_same(dev: ModuleType) -> None:
    names = dev.expected()
    tested = {f"3.{name[3:5]}" for name in names if name.startswith("py3")}
    assert tested == set(dev.SUPPORTED)
    classified = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text())
    assert classified == list(dev.SUPPORTED)
    assert {"lint", "lowest", "psycopg2", "packaging"} <= set(names)


# Counting

REPORT = """<?xml version="1.0"?><testsuites><testsuite errors="1" failures="2" skipped="3" tests="10"/></testsuites>"""


def test_counts_come_from_the_report_of_pytest(dev: ModuleType, tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    assert dev.counts(report) is None
    report.write_text("<torn")
    assert dev.counts(report) is None
    report.write_text(REPORT)
    assert dev.counts(report) == {"passed": 4, "failed": 3, "skipped": 3}


def done(*, success: bool, skipped: bool = False) -> dict[str, object]:
    return {"result": {"success": success, "skipped": skipped, "duration": 2.4}}


def test_what_failed_without_a_failing_test_counts_as_one(dev: ModuleType) -> None:
    versions = {
        "lint": "3.11",
        "py311-django52": "3.11",
        "py312-django52": "3.12",
        "py313-django52": None,
    }
    journal = {
        "lint": done(success=False),
        "py311-django52": done(success=True),
        "py312-django52": done(success=True, skipped=True),
    }
    reports = {"py311-django52": {"passed": 7, "failed": 0, "skipped": 0}}
    rows, totals = dev.judge(versions, journal, reports, strict=False)
    assert [row[2] for row in rows] == [
        "FAILED",
        "passed",
        "DID NOT RUN",
        "left out: no such Python here",
    ]
    assert dev.closing(totals) == "7 passed, 2 failed"
    rows, totals = dev.judge(versions, journal, reports, strict=True)
    assert rows[-1][2] == "MISSING: no such Python here"
    assert dev.closing(totals) == "7 passed, 3 failed"


def test_the_closing_line_names_skipped_tests_only_where_there_are_some(dev: ModuleType) -> None:
    assert dev.closing([{"passed": 1, "failed": 0, "skipped": 0}, None]) == "1 passed, 0 failed"
    assert (
        dev.closing([{"passed": 1, "failed": 0, "skipped": 2}]) == "1 passed, 0 failed, 2 skipped"
    )


def test_the_table_lines_up(dev: ModuleType) -> None:
    lines = dev.table([("py311-django52", "3.11", "passed", "312", "41")]).splitlines()
    assert len(lines) == 2
    assert len(set(map(len, lines))) == 1
