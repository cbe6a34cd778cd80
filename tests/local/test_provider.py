"""Providers by name, and the one called local."""

from __future__ import annotations

import pytest

from ppg_integrations import providers
from ppg_integrations.errors import ConfigurationError, LocalServerError, ProviderError
from ppg_integrations.providers.base import GenerateRequest
from ppg_integrations.providers.local import roles
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
        assert other.notes[0].startswith("The database 'Other' is called other here: ")
        assert generated.notes == ()
        request = GenerateRequest(
            project="p", branch="b", role="r", region="x", project_folder=project / "shop"
        )
        (note,) = provider.generate(request).notes
        assert "--project, --branch, --role, --region changed nothing" in note
        with pytest.raises(LocalServerError, match="keeps the database name postgres"):
            provider.generate(GenerateRequest(database="Postgres", project_folder=project / "shop"))
    finally:
        servers.erase()


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("shop", "shop"),
        ("shop_2", "shop_2"),
        ('we"ird', "we_ird"),
        ("naïve", "na_ve"),
        ("数据", "app"),
        ("2fast", "app_2fast"),
        ("x" * 40, "x" * 40),
        ("x" * 500, "x" * 40),
    ],
)
def test_a_database_name_that_had_to_be_changed_is_told(wanted, name):
    found, notes = roles.database_name(wanted, "project")
    assert found == name
    if wanted == name:
        assert notes == ()
    else:
        (note,) = notes
        assert f"is called {name} here" in note
        assert len(note) < 300


@pytest.mark.parametrize(
    "wanted", ["postgres", "Postgres", "template0", "template1", "pgbouncer", "pg_x", "PG-x"]
)
def test_a_database_name_that_the_server_keeps_is_refused_before_anything(local, project, wanted):
    with pytest.raises(LocalServerError, match="to itself") as caught:
        local.generate(database=wanted)
    assert "--database" in caught.value.hint
    assert list(project.iterdir()) == []


def test_a_project_s_folder_may_have_any_name():
    assert roles.database_name("", "postgres") == ("app", ())
    assert roles.database_name("", "My Shop") == ("my_shop", ())


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
