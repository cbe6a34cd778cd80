"""What this package opens itself, and what it hands on, at a host whose certificate is public."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from ppg_integrations import doctor, drivers
from ppg_integrations.cli import arguments, frontend, main
from ppg_integrations.cli.screen import Screen
from ppg_integrations.errors import ConfigurationError, ConnectError
from ppg_integrations.layers import Layered
from ppg_integrations.pair import ConnectionPair
from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.resolve import resolve
from tests.support.provider_host import (
    DIRECT,
    POOLED,
    ProviderHost,
    provider_host,
    resolves_here,
)


@pytest.fixture(scope="module")
def provider(servers: LocalServers) -> Iterator[ProviderHost]:
    with provider_host(servers) as found:
        yield found


@pytest.fixture
def neon(provider: ProviderHost, monkeypatch: pytest.MonkeyPatch) -> ProviderHost:
    monkeypatch.setenv("SSL_CERT_FILE", provider.authority)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    resolves_here(monkeypatch)
    return provider


@pytest.fixture
def pair(neon: ProviderHost, shared: Generated) -> ConnectionPair:
    return resolve(neon.url(shared, POOLED), neon.url(shared, DIRECT), env_file=False, environ={})


@pytest.fixture
def in_environment(pair: ConnectionPair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PPG_ENV_FILE", os.devnull)
    monkeypatch.setenv("DATABASE_URL", pair.pooled.reveal())
    monkeypatch.setenv("DIRECT_URL", pair.require_direct().reveal())


def tls_problems(pair: ConnectionPair) -> list[str]:
    found = doctor.diagnose(pair)
    assert found.pooled.error is None
    return [problem.id for problem in found.problems if "tls" in problem.id]


def test_its_own_connections(
    pair: ConnectionPair, neon: ProviderHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    drivers.connect(pair.pooled).close()
    monkeypatch.setenv("SSL_CERT_FILE", neon.stranger)
    with pytest.raises(ConnectError) as caught:
        drivers.connect(pair.pooled, source="DATABASE_URL in the environment")
    assert caught.value.code == "tls-unverified"
    assert "DATABASE_URL in the environment" in caught.value.message
    assert "PPG_SSLMODE=require" in caught.value.hint
    monkeypatch.setenv("PPG_SSLMODE", "require")
    drivers.connect(pair.pooled).close()
    monkeypatch.delenv("PPG_SSLMODE")
    monkeypatch.setenv("SSL_CERT_FILE", "/gone")
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE in the environment is /gone"):
        drivers.connect(pair.pooled)


def test_a_certificate_for_another_name(neon: ProviderHost, shared: Generated) -> None:
    with pytest.raises(ConnectError, match="does not match host name") as caught:
        drivers.connect(neon.url(shared, "ep-y-2.eu-central-1.aws.neon.tech"))
    assert caught.value.code == "tls-unverified"


def test_the_doctor_judges_what_is_connected_with(
    pair: ConnectionPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pair.pooled.params["sslmode"] == "require"
    assert tls_problems(pair) == []
    monkeypatch.setenv("PPG_SSLMODE", "require")
    assert tls_problems(pair) == ["tls-not-enforced", "tls-not-enforced"]


def test_the_doctor_at_an_impostors(
    pair: ConnectionPair, neon: ProviderHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", neon.stranger)
    found = doctor.diagnose(pair)
    assert {problem.id for problem in found.problems} == {"unreachable"}
    assert all("PPG_SSLMODE=require" in problem.hint for problem in found.problems)


@pytest.mark.usefixtures("in_environment")
def test_a_tool_of_libpqs(
    pair: ConnectionPair,
    neon: ProviderHost,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Any libpq: that of Debian 12 knows no ``sslrootcert=system``."""
    assert main(["run", "--", "sh", "-c", "echo $PGHOST $PGSSLMODE $PGSSLROOTCERT"]) == 0
    assert capfd.readouterr().out == f"{DIRECT} verify-full {neon.authority}\n"
    assert main(["run", "--", "psql", "-Atc", "SELECT 1+1"]) == 0
    assert capfd.readouterr().out == "2\n"
    monkeypatch.setenv("SSL_CERT_FILE", neon.stranger)
    assert main(["run", "--", "psql", "-c", "SELECT 1"]) == 2
    assert "certificate verify failed" in capfd.readouterr().err
    monkeypatch.setenv("PPG_SSLMODE", "require")
    assert main(["run", "--", "psql", "-Atc", "SELECT 1+1"]) == 0
    assert capfd.readouterr().out == "2\n"


@pytest.mark.usefixtures("in_environment")
def test_a_tool_of_libpqs_and_a_file_of_ones_own(
    pair: ConnectionPair,
    neon: ProviderHost,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """libpq by itself asks for no host name there, and for nothing where the file is gone."""
    direct = pair.require_direct().reveal()
    monkeypatch.setenv("DIRECT_URL", f"{direct}&sslrootcert={neon.authority}")
    assert main(["run", "--", "sh", "-c", "echo $PGSSLMODE $PGSSLROOTCERT"]) == 0
    assert capfd.readouterr().out == f"verify-full {neon.authority}\n"
    monkeypatch.setenv("DIRECT_URL", f"{direct}&sslrootcert=/gone.pem")
    for said in ("", "require"):
        monkeypatch.setenv("PPG_SSLMODE", said)
        assert main(["run", "--", "psql", "-c", "SELECT 1"]) == 1
        said = f"sslrootcert in the URL to {DIRECT} is /gone.pem, and there is no such file"
        assert said in " ".join(capfd.readouterr().err.split())


@pytest.mark.usefixtures("in_environment")
def test_show_shows_the_urls_as_they_are_given(
    neon: ProviderHost, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "--json"]) == 0
    out = capsys.readouterr().out
    assert "sslmode=require" in out
    assert "verify-full" not in out


@pytest.mark.parametrize("said", ["", "require"])
def test_a_frameworks_configuration_counts_for_the_verbs(
    said: str, pair: ConnectionPair, capfd: pytest.CaptureFixture[str]
) -> None:
    options = arguments.parser("flask ppg").parse_args(["run", "--", "sh", "-c", "echo $PGSSLMODE"])
    status = frontend.perform(
        vars(options),
        Screen(sys.stdout, sys.stderr),
        program="flask ppg",
        environ=Layered({"PPG_SSLMODE": said}, os.environ),
        known_pair=pair,
    )
    assert status == 0
    assert capfd.readouterr().out == f"{said or 'verify-full'}\n"
