"""Programs run in a clean environment, fail aloud, take turns, and end when `dev.py` does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from devtools import running
from tests.support.program import program

ROOT = Path(__file__).resolve().parents[2]


def test_index_settings_stay_and_what_bends_the_tools_goes() -> None:
    kept = {
        "PIP_INDEX_URL": "a",
        "PIP_CERT": "b",
        "PIP_CONFIG_FILE": "c",
        "UV_DEFAULT_INDEX": "d",
        "UV_INDEX_CORP_PASSWORD": "e",
        "SSL_CERT_FILE": "f",
        "https_proxy": "g",
        "PATH": "h",
        "PYENV_ROOT": "i",
        "PPG_PGBOUNCER": "j",
        "PPG_POSTGRES_BIN": "k",
        "CI": "l",
    }
    dropped = (
        "PYTHONPATH PYTHONHOME VIRTUAL_ENV CONDA_PREFIX PIP_TARGET PIP_PREFIX PIP_CONSTRAINT"
        " UV_PYTHON UV_RESOLUTION TOX_ENV DATABASE_URL DIRECT_URL POSTGRES_URL PGPASSWORD PGHOST"
        " PPG_DIRECT PRISMA_SERVICE_TOKEN NEON_API_KEY CASEDEV_API_KEY DJANGO_SETTINGS_MODULE"
    ).split()
    clean = running.clean({**kept, **dict.fromkeys(dropped, "x")})
    assert kept.items() <= clean.items()
    assert not set(dropped) & set(clean)


def test_a_home_without_room_for_a_cache_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    usable = {"HOME": str(tmp_path / "home")}
    assert running.with_cache(usable, tmp_path / "spare") == usable
    assert (tmp_path / "home" / ".cache").is_dir()
    for unusable in ({"HOME": str(tmp_path / "file")}, {"XDG_CACHE_HOME": "/dev/null/x"}):
        found = running.with_cache(unusable, tmp_path / "spare")
        assert found == {**unusable, "XDG_CACHE_HOME": str(tmp_path / "spare")}


def test_a_failing_program_is_quoted(tmp_path: Path) -> None:
    script = program(tmp_path / "pip", "seq 1 100; echo no such package >&2; exit 3")
    with pytest.raises(running.Stopped) as stop:
        running.run_quietly([str(script)], {"PATH": os.environ["PATH"]}, tmp_path, "Do this.")
    assert "status 3" in str(stop.value)
    assert str(stop.value).endswith("no such package\nDo this.")
    assert len(str(stop.value).splitlines()) < 20


def test_the_second_of_two_runs_waits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order = []
    path = tmp_path / ".boot" / "install.lock"

    def second() -> None:
        with running.lock(path, "installing"):
            order.append("second")

    thread = threading.Thread(target=second)
    with running.lock(path, "installing"):
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert capsys.readouterr().out == "waiting for another dev.py to finish installing\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_ends_us_lets_the_child_clean_up_and_ends_it(tmp_path: Path, number: int) -> None:
    child = """
        import os, pathlib, sys, time
        folder = pathlib.Path(sys.argv[1])
        (folder / "draft").write_text(str(os.getpid()))
        (folder / "draft").rename(folder / "pid")
        try:
            time.sleep(60)
        finally:
            (folder / "cleaned").touch()
    """
    parent = """
        import pathlib, signal, sys
        from devtools import running
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        folder, child = pathlib.Path(sys.argv[1]), sys.argv[2]
        running.run([sys.executable, "-c", child, str(folder)], {"PATH": ""}, folder)
    """
    argv = [sys.executable, "-c", textwrap.dedent(parent), str(tmp_path), textwrap.dedent(child)]
    with subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 30
        while not (tmp_path / "pid").exists() and time.monotonic() < until:
            time.sleep(0.02)
        pid = int((tmp_path / "pid").read_text())
        process.send_signal(number)
        assert process.wait(30) != 0
    assert (tmp_path / "cleaned").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
