"""Python code run in a process of its own, as other commands of a user would be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def start_python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Starts `code` with this tree importable; its output is piped."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def run_python(code: str, *arguments: object) -> str:
    """Runs `code` to its end and returns what it printed; it has to succeed."""
    process = start_python(code, *arguments)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output
