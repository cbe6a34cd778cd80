from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.local.servers import LocalServers


@pytest.fixture(scope="module")
def shared(servers: LocalServers) -> Iterator[Generated]:
    """A role and a database for all tests of a module: the probe leaves nothing behind in them."""
    database = f"t_{secrets.token_hex(4)}"
    try:
        yield servers.generate("tester", database=database)
    finally:
        servers.drop(database)
