"""Certificates that are demanded, and sockets in a folder: each driver in its own words."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
import trustme
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from ppg_integrations.connect_settings import ConnectSettings
from ppg_integrations.errors import ConfigurationError
from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.sqlalchemy.engines import async_engine, engine
from ppg_integrations.sqlalchemy.options import engine_url
from ppg_integrations.urls import PostgresURL
from tests.support.poolers import pooler
from tests.support.provider_host import POOLED, ProviderHost, provider_host, resolves_here

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


@pytest.fixture(scope="module")
def provider(servers: LocalServers) -> Iterator[ProviderHost]:
    """A pooler whose certificate is for two host names of Neon."""
    with provider_host(servers) as found:
        yield found


@pytest.fixture
def neon(provider: ProviderHost, monkeypatch: pytest.MonkeyPatch) -> ProviderHost:
    """The same, where its authority is one of the system's."""
    monkeypatch.setenv("SSL_CERT_FILE", provider.authority)
    resolves_here(monkeypatch)
    return provider


@pytest.fixture(scope="module")
def without_tls(servers: LocalServers) -> Iterator[int]:
    with pooler(servers, client_tls_sslmode="disable") as found:
        yield found.port


def to_neon(
    neon: ProviderHost, generated: Generated, driver: str, host: str = POOLED, **params: str
) -> PostgresURL:
    url = neon.url(generated, host, **params)
    if driver == "asyncpg":  # to which the name alone leads
        kept = {name: value for name, value in url.params.items() if name != "hostaddr"}
        url = url.replace(params=kept)
    return url


def opened(url: PostgresURL, driver: str, **arguments: object) -> str:
    make = async_engine if driver == "asyncpg" else engine
    return use(make(endpoint_of(url, **arguments), driver=driver, options={}))


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_providers_host_is_verified(
    driver: str, neon: ProviderHost, generated: Generated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the URL as the console shows it, by the engine and by the URL that the engine shows."""
    url = to_neon(neon, generated, driver)
    assert opened(url, driver) == url.user
    monkeypatch.delenv("SSL_CERT_FILE")  # who takes the URL needs no variable
    shown = endpoint_of(url)
    with monkeypatch.context() as before:
        before.setenv("SSL_CERT_FILE", neon.authority)
        text = engine_url(shown, driver)
    plain = sqlalchemy.create_engine if driver != "asyncpg" else create_async_engine
    assert use(plain(text)) == url.user


@pytest.mark.parametrize("driver", DRIVERS)
def test_another_authority_is_refused(
    driver: str, neon: ProviderHost, generated: Generated, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = to_neon(neon, generated, driver)
    monkeypatch.setenv("SSL_CERT_FILE", neon.stranger)
    refuses(url, driver, "certificate")
    assert opened(url, driver, settings=ConnectSettings(sslmode="require")) == url.user


@pytest.mark.parametrize("driver", DRIVERS)
def test_another_name_is_refused(driver: str, neon: ProviderHost, generated: Generated) -> None:
    """Its certificate is good, and for somebody else: this is what ``verify-ca`` would let in."""
    other = "ep-y-2-pooler.eu-central-1.aws.neon.tech"
    url = to_neon(neon, generated, driver, other)
    refuses(url, driver, "ep-y-2|not valid for|does not match|certificate")
    own = {"sslmode": "verify-ca", "sslrootcert": neon.authority}
    assert opened(to_neon(neon, generated, driver, other, **own), driver) == url.user
    # A file of one's own is no reason to ask for less.
    own["sslmode"] = "require"
    refuses(to_neon(neon, generated, driver, other, **own), driver, "ep-y-2|not valid|match")
    assert opened(to_neon(neon, generated, driver, **own), driver) == url.user


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_file_that_is_gone_is_refused(
    driver: str, neon: ProviderHost, generated: Generated, tmp_path: Path
) -> None:
    gone = str(tmp_path / "gone.pem")
    url = to_neon(neon, generated, driver, sslrootcert=gone)
    for settings in (ConnectSettings(), ConnectSettings(sslmode="require")):
        with pytest.raises(ConfigurationError, match=gone):
            opened(url, driver, settings=settings)


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_private_authority_at_home_does_not_stand_in_the_way(
    driver: str,
    neon: ProviderHost,
    generated: Generated,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """libpq, left to itself, verifies with that file whatever is encrypted."""
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql/root.crt").write_bytes(Path(neon.stranger).read_bytes())
    url = to_neon(neon, generated, driver)
    with monkeypatch.context() as at_home:  # the servers' own fixtures are elsewhere
        at_home.setenv("HOME", str(tmp_path))
        assert opened(url, driver) == url.user


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_server_without_tls_is_refused(
    driver: str, neon: ProviderHost, without_tls: int, generated: Generated
) -> None:
    for sslmode in ("disable", "prefer", "require"):
        url = to_neon(neon, generated, driver, sslmode=sslmode).replace(port=without_tls)
        with pytest.raises((DBAPIError, OSError), match="SSL"):
            opened(url, driver)


def refuses(url: PostgresURL, driver: str, text: str) -> None:
    with pytest.raises((DBAPIError, OSError), match=text) as caught:
        opened(url, driver)
    assert url.password is not None
    assert url.password.reveal() not in str(caught.value)
    for each in (url.host, "is from the argument pooled", "PPG_SSLMODE=require"):
        assert each in str(caught.value)
    assert "sslrootcert=FILE" in str(caught.value)
