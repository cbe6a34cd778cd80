from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ppg_integrations.providers.local.servers import LocalServers
from tests.conftest import UNSAFE_AND_FAST


@pytest.fixture
def project() -> Iterator[Path]:
    """An empty folder that every account of this machine may pass through."""
    with tempfile.TemporaryDirectory(prefix="ppg-tests-") as folder:
        os.chmod(folder, 0o711)
        yield Path(folder)


@pytest.fixture
def local(project: Path) -> Iterator[LocalServers]:
    """Servers of the test's own, not started."""
    servers = LocalServers(project / ".ppg/local", settings=UNSAFE_AND_FAST)
    try:
        yield servers
    finally:
        servers.erase()
        assert [path.name for path in project.iterdir() if path.name == ".ppg"] == []
