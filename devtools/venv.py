"""The checkout's `.venv`: made once, known again, made anew when it cannot be used."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import running
from .running import Environ, Stopped

_MIRROR = (
    "Is there a network, or a mirror? PIP_INDEX_URL, PIP_PROXY, PIP_CERT and pip.conf are used.\n"
    "To start afresh:  rm -rf .venv .boot"
)
_NO_VENV = "Install venv for it first, on Debian and Ubuntu with:  apt-get install python3-venv"


@dataclass(frozen=True)
class Checkout:
    """A clone of the repository, and the folders made in it that git ignores."""

    root: Path

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def python(self) -> str:
        return str(self.venv / "bin" / "python")

    @property
    def stamp(self) -> Path:
        return self.venv / ".dev-stamp.json"

    @property
    def boot(self) -> Path:
        """For virtualenv where venv does not work, for locks, and for a cache nobody else has."""
        return self.root / ".boot"

    @property
    def tox(self) -> Path:
        return self.root / ".tox"


def base_python() -> str:
    """The interpreter itself, also when a virtual environment of it runs us."""
    if sys.prefix == sys.base_prefix:
        return sys.executable
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    # Python 3.10 has no trustworthy sys._base_executable.
    for found in (Path(sys.base_prefix, "bin", name), Path(getattr(sys, "_base_executable", ""))):
        if found.is_file() and not found.is_relative_to(sys.prefix):
            return str(found)
    return sys.executable


def identity(checkout: Checkout) -> dict[str, str]:
    """What `.venv` was made by and for; another one of these means another `.venv`."""
    python = f"{sys.version} {os.path.realpath(base_python())}"
    return {"python": python, "folder": str(checkout.venv)}


def digest(checkout: Checkout) -> str:
    """Changes whenever what has to be installed may have changed."""
    sources = [checkout.root / "pyproject.toml", checkout.root / "dev.py"]
    sources += sorted((checkout.root / "devtools").glob("*.py"))
    sources += (checkout.root / "requirements").glob("runner.txt")
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()


def read_stamp(checkout: Checkout) -> dict[str, Any]:
    """What a finished run left in `.venv`; empty when that is broken, foreign or half made."""
    try:
        stamp: dict[str, Any] = json.loads(checkout.stamp.read_text())
        answer = subprocess.run(
            [checkout.python, "-c", "import pip, sys; print(sys.prefix)"],
            env=running.clean(os.environ),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}
    known = stamp.get("identity") == identity(checkout)
    return stamp if known and answer.stdout.strip() == str(checkout.venv) else {}


def write_stamp(checkout: Checkout, stamp: dict[str, Any]) -> None:
    draft = checkout.stamp.with_suffix(".new")
    draft.write_text(json.dumps(stamp))
    draft.replace(checkout.stamp)


def remove(checkout: Checkout) -> None:
    """Take away a `.venv` of any kind.

    Raises:
        Stopped: the folder is something else.
    """
    venv = checkout.venv
    if venv.is_symlink() or venv.is_file():
        venv.unlink()
    elif venv.is_dir():
        # A run that was killed early leaves a part of the skeleton, without pyvenv.cfg.
        names = {path.name for path in venv.iterdir()}
        if "pyvenv.cfg" not in names and names - {"bin", "include", "lib", "lib64"}:
            raise Stopped(f"{venv} is no virtual environment.\nMove it away, then try again.")
        shutil.rmtree(venv)


def make(checkout: Checkout, environ: Environ) -> None:
    """Make `.venv` with venv, or with virtualenv where the distribution took ensurepip out.

    Raises:
        Stopped: neither can be had.
    """
    remove(checkout)
    python, root = base_python(), checkout.root
    advice = _NO_VENV
    if importlib.util.find_spec("ensurepip"):
        try:
            running.run_quietly([python, "-m", "venv", str(checkout.venv)], environ, root, "")
        except Stopped as failure:  # an ensurepip without its wheels
            advice = f"{failure}\n{_NO_VENV}"
        else:
            return
        remove(checkout)
    if not importlib.util.find_spec("pip"):
        raise Stopped(f"{python} has neither a working venv nor pip.\n{advice}")
    # Allowed on an externally managed Python too, for nothing of it is touched.
    target = checkout.boot / "virtualenv"
    shutil.rmtree(target, ignore_errors=True)
    pip = [python, "-m", "pip", "install", "--target", str(target), "virtualenv"]
    running.run_quietly(pip, environ, root, advice)
    virtualenv = [python, "-m", "virtualenv", "--no-download", "--python", python]
    environ = {**environ, "PYTHONPATH": str(target)}
    running.run_quietly([*virtualenv, str(checkout.venv)], environ, root, advice)


def install(checkout: Checkout, requirements: tuple[str, ...], environ: Environ) -> None:
    """Have `requirements` in `.venv`; nothing is done where an earlier run put them.

    Args:
        requirements: arguments of ``pip install``.

    Raises:
        Stopped: they cannot be installed; the text has pip's last lines.
    """
    with running.lock(checkout.boot / "install.lock", "installing"):
        stamp = read_stamp(checkout)
        if not stamp:
            with running.step(f"making .venv with Python {sys.version.split()[0]}"):
                make(checkout, environ)
        if stamp.get("digest") != digest(checkout):
            stamp = {"identity": identity(checkout), "digest": digest(checkout), "installed": []}
        if list(requirements) in stamp["installed"]:
            return
        pip = [checkout.python, "-m", "pip", "install", "--disable-pip-version-check", "-q"]
        named = " ".join(word for word in requirements if not word.startswith("-"))
        with running.step(f"installing {named}"):
            if "--group" in requirements:  # which 25.1 is the first to know
                running.run_quietly([*pip, "pip>=25.1"], environ, checkout.root, _MIRROR)
            running.run_quietly([*pip, *requirements], environ, checkout.root, _MIRROR)
        stamp["installed"].append(list(requirements))
        write_stamp(checkout, stamp)
