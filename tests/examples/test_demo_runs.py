"""The README's first command, from its first step to its last row."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.packaging
def test_the_demo_ends_with_every_row_as_it_should_be() -> None:
    before = set((ROOT / ".ppg").rglob("run-*"))
    done = subprocess.run(
        [sys.executable, str(ROOT / "example_projects" / "demo")],
        capture_output=True,
        text=True,
        timeout=300,
        cwd="/",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") == 6
    assert "✗" not in done.stdout
    assert "finds the swap" in done.stdout
    assert set((ROOT / ".ppg").rglob("run-*")) == before
