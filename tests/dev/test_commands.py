"""What a person who types `python3 dev.py` sees first."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "dev.py"
OURS = ("benchmarks", "devtools")


def dev(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SOURCE, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_help_is_short_and_names_its_commands() -> None:
    said = dev("--help")
    assert said.returncode == 0
    assert re.search(r"^ +demo ", said.stdout, re.MULTILINE)
    assert re.search(r"^ +test ", said.stdout, re.MULTILINE)
    assert re.search(r"^ +bench ", said.stdout, re.MULTILINE)
    assert len(said.stdout.splitlines()) < 15


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["bake"],
        ["bench", "nothing"],
        ["bench", "--quick", "--docs"],
        ["demo", "--", "-x"],
        ["demo", "--framework", "flask", "--provider", "neon"],
        ["test", "--slow"],
    ],
)
def test_wrong_usage_is_status_2_and_installs_nothing(arguments: list[str]) -> None:
    said = dev(*arguments)
    assert said.returncode == 2
    assert said.stdout == ""
    assert "usage: dev.py" in said.stderr


@pytest.mark.parametrize("version", [(3, 6, 15), (3, 9, 18)])
def test_an_older_python_is_refused_in_plain_words(
    version: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = ".".join(map(str, version))
    monkeypatch.setattr(sys, "version_info", version)
    monkeypatch.setattr(sys, "version", f"{text} (main)")
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(SOURCE))
    assert str(stop.value).startswith("dev.py needs Python 3.10 or later")
    assert f" is {text}." in str(stop.value)


def test_an_older_python_can_read_the_file_at_all() -> None:
    ast.parse(SOURCE.read_text(), feature_version=(3, 6))


def test_only_the_standard_library_is_imported() -> None:
    imported, paths = set(), [SOURCE]
    for path in paths:  # which grows: what dev.py imports of ours, and what that imports
        for node in ast.walk(ast.parse(path.read_text())):
            names = [name.name for name in getattr(node, "names", ())]
            if isinstance(node, ast.Import):
                imported |= {name.partition(".")[0] for name in names}
            elif isinstance(node, ast.ImportFrom):
                package, _, module = str(node.module or "").partition(".")
                if node.level:
                    package, module = path.parent.name, str(node.module or "")
                if package in OURS:
                    more = [
                        ROOT / package / f"{name}.py" for name in ([module] if module else names)
                    ]
                    paths += [path for path in more if path.exists() and path not in paths]
                else:
                    imported.add(package)
    assert imported <= sys.stdlib_module_names
    used = {"dev", "interpreters", "matrix", "options", "running", "venv"}
    assert {path.stem for path in paths} == used
