"""Small programs for tests to find and run."""

from __future__ import annotations

from pathlib import Path


def program(path: Path, text: str) -> Path:
    """A shell script at `path`, made executable; its folder is made too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path
