"""Programs that tests run in a folder, with an environment of their own."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def run(
    argv: Sequence[str],
    folder: Path,
    environ: Mapping[str, str | None],
    *,
    status: int | None = 0,
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Runs a program, without the variables that are None; ``status=None`` takes any exit status."""
    done = subprocess.run(
        argv,
        cwd=folder,
        env={name: value for name, value in environ.items() if value is not None},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    if status is not None and done.returncode != status:
        raise AssertionError(
            f"{argv} exited with {done.returncode}, not {status}:\n{done.stdout}\n{done.stderr}"
        )
    return done
