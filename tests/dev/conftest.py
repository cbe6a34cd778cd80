from __future__ import annotations

from pathlib import Path

import pytest

from devtools.venv import Checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout with nothing in it but the files that `devtools` reads."""
    root = tmp_path / "checkout"
    (root / "devtools").mkdir(parents=True)
    for name in ("dev.py", "pyproject.toml", "devtools/venv.py"):
        (root / name).write_text("1")
    return Checkout(root)
