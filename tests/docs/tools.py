"""The programs on a page's PATH."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ppg_integrations.providers.local.postgres_binaries import candidates
from tests.support.programs import ROOT
from tests.support.program import program

HERE = Path(__file__).parent
#: What the zygote runs, or one of the shims in its children.
PYTHON = (
    "alembic django-admin flask gunicorn pip ppg-connect pytest python python3 tox uv uvicorn"
).split()


class Tools:
    """A folder of programs, and the zygote behind them."""

    session = HERE / "session.py"

    def __init__(self, folder: Path, socket: Path) -> None:
        self.folder = folder
        for name in PYTHON:
            client = shlex.join([sys.executable, "-I", "-S", str(HERE / "client.py"), str(socket)])
            program(folder / name, f'exec {client} {name} "$@"')
        self.path = os.pathsep.join(
            [str(folder), str(next(candidates(os.environ)).bin), "/usr/bin", "/bin"]
        )


@contextmanager
def tools() -> Iterator[Tools]:
    """With the zygote running."""
    with tempfile.TemporaryDirectory(prefix="ppg-docs-") as name:
        folder = Path(name)
        socket = folder / "zygote"
        zygote = subprocess.Popen(
            [sys.executable, str(HERE / "zygote.py"), str(socket)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert zygote.stdout is not None
            assert zygote.stdout.readline() == "ready\n"
            yield Tools(folder / "bin", socket)
        finally:
            zygote.terminate()
            zygote.wait()
            zygote.stdout.close()
