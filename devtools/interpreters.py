"""The Pythons of this machine, and what uv is told about finding them and the packages."""

from __future__ import annotations

import ast
import contextlib
import os
import subprocess
from pathlib import Path

from . import running
from .running import Environ
from .venv import Checkout, base_python

SUPPORTED = ("3.10", "3.11", "3.12", "3.13")


def _own_folders(environ: Environ) -> list[str]:
    """The running interpreter's folder, then PATH without shims: one may answer for nothing."""
    path = [f for f in environ.get("PATH", "").split(os.pathsep) if f and Path(f).name != "shims"]
    return [str(Path(base_python()).parent), *path]


def folders(environ: Environ) -> list[str]:
    """Where interpreters are looked for, in order."""
    pyenv = Path(environ.get("PYENV_ROOT") or Path(running.home(environ), ".pyenv"))
    found = _own_folders(environ)
    with contextlib.suppress(OSError):
        found += sorted(str(folder) for folder in pyenv.glob("versions/*/bin"))
    return list(dict.fromkeys([*found, "/usr/local/bin", "/usr/bin"]))


def answers(python: Path, version: str) -> bool:
    """Whether `python` starts and is the version that its name says."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        said = subprocess.run(
            [python, "-Ec", code], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return said.stdout.strip() == version


def find(environ: Environ) -> dict[str, str]:
    """Version -> path of each supported interpreter, oldest first."""
    found = {}
    for version in SUPPORTED:
        for folder in folders(environ):
            python = Path(folder, f"python{version}")
            if os.access(python, os.X_OK) and answers(python, version):
                found[version] = str(python)
                break
    return found


def search_path(environ: Environ, found: dict[str, str]) -> str:
    """PATH for tox: the caller's without shims, and at its end what else holds an interpreter."""
    more = [str(Path(python).parent) for python in found.values()]
    return os.pathsep.join(dict.fromkeys([*_own_folders(environ), "/usr/bin", "/bin", *more]))


def uv_settings(checkout: Checkout, environ: Environ) -> dict[str, str]:
    """What pip's configuration says, in the variables of uv, which does not read it."""
    listing = subprocess.run(
        [checkout.python, "-m", "pip", "config", "list"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    pip: dict[str, str] = {}
    for section in ("global.", "install.", ":env:."):  # the later wins
        for line in listing.splitlines():
            key, _, value = line.partition("=")
            if key.startswith(section):
                pip[key.removeprefix(section)] = str(ast.literal_eval(value))
    settings = {"UV_PYTHON_DOWNLOADS": "never"}
    for option, variable, others in (
        ("index-url", "UV_DEFAULT_INDEX", ("UV_INDEX_URL",)),
        ("cert", "SSL_CERT_FILE", ()),
        ("trusted-host", "UV_INSECURE_HOST", ()),
        ("proxy", "ALL_PROXY", ("HTTPS_PROXY", "https_proxy", "all_proxy")),
    ):
        if option in pip and not {variable, *others} & set(environ):
            settings[variable] = " ".join(pip[option].split())
    return settings
