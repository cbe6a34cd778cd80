from __future__ import annotations

from collections.abc import Iterator

import pytest

from ppg_integrations.providers.local.servers import LocalServers
from tests.resilience import stores


@pytest.fixture
def store(servers: LocalServers) -> Iterator[stores.Store]:
    with stores.store(servers) as made:
        yield made
