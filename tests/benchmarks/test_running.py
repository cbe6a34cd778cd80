"""`python -m benchmarks` as a program: what it takes, and what it leaves when it is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import options

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for everything that a benchmark makes; an account that root drops to gets through."""
    with tempfile.TemporaryDirectory(prefix="ppg-b-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def of(place: Path) -> dict[int, str]:
    """Live processes that have to do with a folder, each with its command line."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environ = (entry / "environ").read_bytes().decode(errors="replace")
            cwd = os.readlink(entry / "cwd")
        except OSError:  # it has ended meanwhile, or is somebody else's
            continue
        if line and any(str(place) in each for each in (line, environ, cwd)):
            found[int(entry.name)] = line
    return found


def until(what: str, place: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 90
    while not any(what in line for line in of(place).values()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, of(place)
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("name", "sign", "status"),
    [
        ("throughput", signal.SIGTERM, 128 + signal.SIGTERM),
        ("pooled_asgi", signal.SIGINT, 130),
        ("prepared", signal.SIGHUP, 128 + signal.SIGHUP),
    ],
)
def test_a_signal_ends_everything_that_was_started(name, sign, status, place):
    running = {"throughput": "gunicorn", "pooled_asgi": "uvicorn", "prepared": "spawn_main"}[name]
    out = place / "out"
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks", name, "--quick", "--out", str(out)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(place)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            until(running, place, process)
            assert any("postgres" in line for line in of(place).values())
            os.killpg(process.pid, sign)  # the whole group, as a terminal does
            said, error = process.communicate(timeout=60)
        finally:
            process.kill()

    assert process.returncode == status
    assert "Traceback" not in error
    assert error.strip() == ("stopped" if sign == signal.SIGINT else "")
    assert said.startswith("Quick: ")
    assert not of(place)
    assert [*place.iterdir()] == [out]
    assert not [*out.iterdir()]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        options.parsed([*arguments])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("usage: dev.py bench")
    return said.splitlines()[-1]


def test_a_wrong_place_is_said_before_anything_is_measured(tmp_path, capsys, monkeypatch):
    file = tmp_path / "file"
    file.touch()
    assert str(file) in refused(capsys, "startup", "--out", str(file))
    assert str(file) in refused(capsys, "startup", "--out", str(file / "below"))
    assert "/proc" in refused(
        capsys, "startup", "--out", "/proc/results"
    )  # nobody can, root neither

    monkeypatch.setattr(options, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(options, "PICTURES", tmp_path / "pictures")
    out = ("--docs", "--out", str(tmp_path / "out"))
    assert "page.md" in refused(capsys, "startup", *out)
    (tmp_path / "page.md").write_text("<!-- startup: begin --><!-- startup: end -->")
    assert "no place for memory" in refused(capsys, "startup", "memory", *out)
    assert not (tmp_path / "out").exists()
    options.parsed(["startup", *out])
    assert (tmp_path / "out").is_dir()


def test_quick_runs_have_a_folder_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(options, "ROOT", tmp_path)
    quick, whole = options.parsed(["--quick"]).out, options.parsed([]).out
    assert quick != whole
    assert quick == tmp_path / "benchmarks/results/quick"


@pytest.mark.parametrize("name", options.NAMES)
def test_the_page_has_a_place_for_each(name):
    page = options.PAGE.read_text(encoding="utf-8")
    assert options.replaced(page, name, "the figures") != page
