"""Providers by name, and the one called local."""

from __future__ import annotations

import pytest

from ppg_integrations import providers
from ppg_integrations.errors import ConfigurationError, ProviderError
from ppg_integrations.providers.base import GenerateRequest
from ppg_integrations.providers.local.servers import LocalServers
from tests.support.programs import run_python


def test_the_local_provider_generates(project):
    provider = providers.load("local")
    assert provider.name == "local"
    request = GenerateRequest(name="Bob", project_folder=project / "shop")
    steps = []
    servers = LocalServers(project / "shop/.ppg/local")
    try:
        generated = provider.generate(request, steps.append)
        assert steps
        assert generated.name == "Bob"
        assert generated.direct.database == "shop"
        assert generated.pooled.port == servers.status().pooler.port
        assert generated.direct.port == servers.status().postgres.port
        other = provider.generate(
            GenerateRequest(database="Other", project_folder=project / "shop")
        )
        assert other.direct.database == "other"
    finally:
        servers.erase()


@pytest.mark.parametrize("name", ["prisma", "neon", "casedev"])
def test_providers_whose_api_is_not_spoken_yet_say_what_to_do(name):
    with pytest.raises(ProviderError, match=name) as caught:
        providers.load(name)
    assert caught.value.provider == name
    assert "DATABASE_URL" in caught.value.hint
    assert "DIRECT_URL" in caught.value.hint


@pytest.mark.parametrize("name", ["", "oracle", "Local"])
def test_an_unknown_provider_lists_the_known_ones(name):
    with pytest.raises(ConfigurationError) as caught:
        providers.load(name)
    assert all(known in caught.value.hint for known in ("prisma", "neon", "casedev", "local"))


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, None),
        ({"PPG_PROVIDER": "local"}, "local"),
        ({"PPG_PROVIDER": " Neon "}, "neon"),
        ({"PPG_PROVIDER": "local", "NEON_API_KEY": "x"}, "local"),
        ({"PRISMA_SERVICE_TOKEN": "x"}, "prisma"),
        ({"PRISMA_API_TOKEN": "x"}, "prisma"),
        ({"NEON_API_KEY": "x"}, "neon"),
        ({"CASEDEV_API_KEY": "x"}, "casedev"),
        ({"CASEDEV_API_KEY": " "}, None),
        ({"CASEDEV_API_KEY": "x", "NEON_API_KEY": "y"}, None),
    ],
)
def test_detection(environ, name):
    assert providers.detect(environ) == name


def test_a_wrong_ppg_provider_is_named():
    with pytest.raises(ConfigurationError, match="PPG_PROVIDER is 'oracle'"):
        providers.detect({"PPG_PROVIDER": "Oracle"})


def test_the_table_imports_nothing_heavy():
    code = """
import sys
from ppg_integrations import providers
providers.detect({})
heavy = {"dataclasses", "inspect", "pathlib", "httpx", "filelock", "platformdirs", "psycopg"}
print(sorted(heavy & sys.modules.keys()))
"""
    before = run_python("import sys; print(sorted({'inspect', 'pathlib'} & sys.modules.keys()))")
    assert run_python(code) == before
