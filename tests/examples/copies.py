"""Copies of the example projects, so that a run leaves nothing in the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Copy:
    """An example in a folder of a test's own, with none of this process's variables."""

    def __init__(self, example, folder, *, warnings=(), **environ):
        ignored = shutil.ignore_patterns(".env", ".ppg", ".venv", "__pycache__", ".pytest_cache")
        self.folder = shutil.copytree(example, folder / example.name, ignore=ignored)
        self.options = [option for each in ("error", *warnings) for option in ("-W", each)]
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            **environ,
        }

    def run(self, *command, status=0):
        done = subprocess.run(
            [sys.executable, *self.options, *command],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr
