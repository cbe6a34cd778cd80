"""Certificates that are demanded, and sockets in a folder: each driver in its own words."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from sqlalchemy.exc import DBAPIError

from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.sqlalchemy.engines import async_engine
from ppg_integrations.urls import PostgresURL
from tests.support.poolers import pooler

from .conftest import connects, endpoint_of, use

DRIVERS = ["psycopg", "psycopg2", "asyncpg"]


@pytest.fixture
def authority(servers: LocalServers) -> str:
    """The certificate that signed those of the servers."""
    path = servers._server_folder() / "tls/ca.pem"
    return str(path)


def verifying(url: PostgresURL, mode: str, authority: str) -> PostgresURL:
    return url.replace(params={"sslmode": mode, "sslrootcert": authority})


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_the_right_authority(mode: str, driver: str, generated: Generated, authority: str) -> None:
    connects(verifying(generated.pooled, mode, authority), driver)


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_wrong_authority(driver: str, generated: Generated, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    with pytest.raises((DBAPIError, OSError), match="certificate"):
        connects(verifying(generated.pooled, "verify-full", str(other)), driver)


def test_the_authorities_of_the_system_do_not_know_it(generated: Generated) -> None:
    url = verifying(generated.pooled, "verify-full", "system")
    with pytest.raises((DBAPIError, OSError), match="certificate"):
        use(async_engine(endpoint_of(url), driver="asyncpg", options={}))


@pytest.fixture
def socket_url(servers: LocalServers, generated: Generated) -> Iterator[PostgresURL]:
    """Through a pooler that listens in a folder."""
    with tempfile.TemporaryDirectory(prefix="ppg-tests-") as folder:
        os.chmod(folder, 0o777)  # the servers may run as another account
        with pooler(servers, unix_socket_dir=folder, client_tls_sslmode="allow") as found:
            yield PostgresURL.build(
                host=folder,
                port=found.port,
                user=generated.pooled.user,
                password=generated.pooled.password,
                database=generated.pooled.database,
            )


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_unix_socket(driver: str, socket_url: PostgresURL) -> None:
    connects(socket_url, driver)
    connects(socket_url.replace(params={"sslmode": "disable"}), driver)
