"""What `load_dotenv` has put into the environment is the file's, and what was there before is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest

from ppg_integrations import loaded

linux = sys.platform == "linux"


def python(code, environ, folder):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **environ},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


LOADS = """
    import json, os, dotenv
    dotenv.load_dotenv(".env")
    from ppg_integrations.loaded import own
    found = own(os.environ, ".env")
    print(json.dumps([found.get("DATABASE_URL"), found.get("HOME_OF"), "PATH" in found]))
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / ".env").write_text("DATABASE_URL=postgresql://file/x\nHOME_OF=file\n")
    return tmp_path


def test_what_was_loaded_is_the_files(folder):
    assert python(LOADS, {}, folder) == [None, None, True]


def test_another_value_is_the_environments(folder):
    given = {"DATABASE_URL": "postgresql://environment/x"}
    assert python(LOADS, given, folder) == ["postgresql://environment/x", None, True]


@pytest.mark.skipif(not linux, reason="only Linux tells with which environment a process began")
def test_the_same_value_in_the_environment_is_the_environments(folder):
    given = {"DATABASE_URL": "postgresql://file/x"}
    assert python(LOADS, given, folder) == ["postgresql://file/x", None, True]


RELOADS = """
    import json, os, subprocess, sys, dotenv
    dotenv.load_dotenv(".env")
    open(".env", "w").write("DATABASE_URL=postgresql://rotated/x\\n")
    child = "import json, os; from ppg_integrations.loaded import own; " \\
        "print(json.dumps([own(os.environ, '.env').get(n) for n in ('DATABASE_URL', 'GIVEN')]))"
    environ = {**os.environ, "WERKZEUG_RUN_MAIN": "true"}
    subprocess.run([sys.executable, "-c", child], env=environ, check=True)
"""


@pytest.mark.skipif(not linux, reason="only Linux tells with which environment a process began")
def test_what_the_reloader_loaded_is_the_files_in_its_child_too(folder):
    assert python(RELOADS, {"GIVEN": "1"}, folder) == [None, "1"]


def test_where_the_system_does_not_tell_an_equal_value_is_the_files(monkeypatch):
    monkeypatch.setattr(loaded, "_first_environ", lambda _process: None)
    environ = {"DATABASE_URL": "same", "DIRECT_URL": "other", "EMPTY": "", "PATH": "/bin"}
    file = {"DATABASE_URL": "same", "DIRECT_URL": "one", "EMPTY": "", "NONE": None}
    found = loaded.without_loaded(environ, file)
    assert found == {"DIRECT_URL": "other", "EMPTY": "", "PATH": "/bin"}


def test_a_file_that_cannot_be_read_changes_nothing(tmp_path):
    environ = {"DATABASE_URL": "x"}
    assert loaded.own(environ, None) is environ
    assert loaded.own(environ, str(tmp_path / "missing")) is environ
    assert loaded.own(environ, str(tmp_path)) is environ
