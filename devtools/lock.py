"""The versions that CI installs, pinned with their hashes: ``python3 -m devtools.lock``.

Without an option it makes the files in ``requirements`` answer pyproject.toml and tox.ini again and
changes as little as that takes; ``--upgrade`` takes the newest versions there are.
"""

from __future__ import annotations

import argparse
import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from . import running
from .interpreters import SUPPORTED
from .running import Stopped

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "requirements"
COMMAND = "python3 -m devtools.lock"

_EXTRAS = ("django", "flask", "psycopg", "psycopg2", "embedded")
_TESTED = ("audit", "bench", "build", "demo", "docs", "lint", "test", "test-runner")
# For any system and any of our Pythons; where a package comes from is each machine's own affair.
_OPTIONS = (
    "--universal",
    "--generate-hashes",
    "--no-annotate",
    "--no-emit-index-url",
    "--no-emit-find-links",
    f"--custom-compile-command={COMMAND}",
    "--quiet",
)


class Source(NamedTuple):
    """What one file of ``requirements`` is made of."""

    arguments: tuple[str, ...]
    #: requirements that stand in no file, given by the standard input
    text: str = ""
    #: the oldest Python that installs it
    python: str = SUPPORTED[0]


def _of_project(groups: tuple[str, ...], *extras: str) -> tuple[str, ...]:
    named = (
        f"--{kind}={name}" for kind, all_ in (("extra", extras), ("group", groups)) for name in all_
    )
    return ("pyproject.toml", *named)


def sources(tox_ini: Path) -> dict[str, Source]:
    """Name of each file of ``requirements`` to what it is made of."""
    ini = configparser.ConfigParser(interpolation=None)
    ini.read(tox_ini)
    found = {
        # What dev.py installs into .venv, by pip: only tox's own.
        "runner.txt": Source(("--group=test-runner",)),
        # Django's version is what tells the environments apart: those have files of their own.
        "tested.txt": Source((*_of_project(_TESTED, *_EXTRAS), "--no-emit-package=django")),
        "lowest.txt": Source((*_of_project(("test",), *_EXTRAS), "--resolution=lowest-direct")),
        "django.txt": Source(("-", "--no-deps"), "django\n"),
    }
    names = ini["tox"]["env_list"]
    for factor, requirement in re.findall(r"(?m)^(django\d+): *(\S+)$", ini["testenv"]["deps"]):
        oldest = min(int(minor) for minor in re.findall(rf"py3(\d+)-{factor}\b", names))
        found[f"{factor}.txt"] = Source(("-", "--no-deps"), f"{requirement}\n", f"3.{oldest}")
    return found


def uv() -> str:
    """The program, tox's own if there is one.

    Raises:
        Stopped: there is none.
    """
    places = os.pathsep.join(
        (str(Path(sys.executable).parent), str(ROOT / ".venv/bin"), os.environ["PATH"])
    )
    found = shutil.which("uv", path=places)
    if found is None:
        raise Stopped(
            "uv is not installed.\nAny run of  python3 dev.py test  brings it into .venv."
        )
    return found


def compile_to(target: Path, source: Source, *more: str) -> None:
    """Writes one file; what `target` pins already stays as it is where it still fits.

    Raises:
        Stopped: there are no versions that fit together, or no index to ask.
    """
    done = subprocess.run(
        [
            *(uv(), "pip", "compile", *source.arguments, *_OPTIONS, *more),
            *(f"--python-version={source.python}", f"--output-file={target}"),
        ],
        cwd=ROOT,
        env=running.clean(os.environ),
        input=source.text,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Stopped(f"{target.name} cannot be made:\n{done.stderr.strip()}")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--upgrade", action="store_true", help="to the newest versions")
    options = parser.parse_args(arguments)
    try:
        FOLDER.mkdir(exist_ok=True)
        for name, source in sources(ROOT / "tox.ini").items():
            compile_to(FOLDER / name, source, *(["--upgrade"] if options.upgrade else []))
    except Stopped as stop:
        print(stop, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
