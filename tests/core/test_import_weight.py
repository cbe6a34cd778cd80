"""What a settings import loads: few modules, and nothing that is heavy."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from ppg_integrations import providers
from ppg_integrations.conversions import django as entry_of
from ppg_integrations.urls import PostgresURL
from tests.support.doubles.neon import NeonDouble
from tests.support.programs import run_python

POOLED = "postgresql://app:s3cret@ep-a-1-pooler.eu-central-1.aws.neon.tech/shop?sslmode=require"
URLS = {"DATABASE_URL": POOLED, "DIRECT_URL": POOLED.replace("-pooler", "")}

#: Of the standard library, by what they bring with them or do when they are loaded.
HEAVY = {"asyncio", "dataclasses", "inspect", "json", "logging", "pathlib", "ssl", "subprocess"}
HEAVY |= {"tempfile", "threading", "urllib.parse", "http", "email", "hashlib", "math"}
#: Of others.
HEAVY |= {"django", "dj_database_url", "dotenv", "filelock", "httpx", "platformdirs", "psycopg"}
#: What the API's kept answer takes in addition.
CACHE = {"json", "hashlib"}

_LOADED = """
import sys
before = {*sys.modules}
from ppg_integrations.django import databases
made = databases(False)
after = {*sys.modules} - before
assert made["default"]["HOST"].endswith(".neon.tech"), made
print(*after)
"""


def loaded() -> set[str]:
    # what coverage and editable installs load at start is not counted
    return {*run_python(_LOADED).split()}


@pytest.fixture
def urls(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, url in URLS.items():
        monkeypatch.setenv(name, url)


@pytest.mark.usefixtures("urls")
def test_urls_in_the_environment_load_nothing_heavy() -> None:
    found = loaded()
    assert not HEAVY & found
    ours = {name for name in found if name.startswith("ppg_integrations")}
    assert len(ours) <= 30, sorted(ours)


@pytest.mark.usefixtures("urls")
def test_no_class_on_the_path_is_made_by_running_text() -> None:
    """NamedTuples and dataclasses compile their methods anew in each process."""
    code = textwrap.dedent(
        """
        import builtins, collections, dataclasses, typing
        made = []
        collections.namedtuple = lambda *names, **_: made.append(names)
        dataclasses.dataclass = lambda *names, **_: made.append(names)
        typing.NamedTuple = object
        from ppg_integrations.django import databases
        databases(False)
        print(made)
        print([name for name, module in __import__("sys").modules.items()
               if name.startswith("ppg_integrations")
               and "NamedTuple" in vars(module)])
        """
    )
    assert run_python(code).split("\n")[:2] == ["[]", "[]"]


def test_a_kept_answer_of_an_api_loads_little_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with NeonDouble() as api:
        for name, value in api.environ(PPG_PROVIDER="neon").items():
            monkeypatch.setenv(name, value)
        assert "httpx" in loaded()
        asked = api.count()
        assert not (HEAVY - CACHE) & loaded()
        assert api.count() == asked


@pytest.mark.parametrize("name", providers.NAMES)
def test_what_is_known_without_a_providers_module_is_what_it_says(name: str) -> None:
    known, provider = providers.known(name), type(providers.load(name))
    assert (known is not None) == ("read" in provider.capabilities)
    if known is not None:
        assert known.title == provider.title
        assert known.api_variables == provider.api_variables
        assert [*known.variables.items()] == [*provider.variables.items()]
        assert known.replica == ("replica" in provider.capabilities)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"engine": "django.contrib.gis.db.backends.postgis", "conn_max_age": None},
        {"conn_health_checks": True, "disable_server_side_cursors": True},
        {"ssl_require": True},
        {"test_options": {"NAME": "x"}},
    ],
)
def test_an_entry_is_the_same_whether_dj_database_url_has_been_imported(
    config: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = PostgresURL.parse(POOLED)
    monkeypatch.delitem(sys.modules, "dj_database_url", raising=False)
    without = entry_of(url, dict(config))
    import dj_database_url

    assert "dj_database_url" in sys.modules
    assert entry_of(url, dict(config)) == without
    assert {*dj_database_url.parse("postgresql://u:p@h/d", **config)} <= {*without}  # type: ignore[arg-type]


def test_an_engine_that_is_registered_with_dj_database_url_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import dj_database_url

    theirs = dj_database_url.parse  # where they are registered has moved between its versions
    monkeypatch.setattr(
        dj_database_url,
        "parse",
        lambda url, **config: {**theirs(url, **config), "ENGINE": "shop.engine"},
    )
    assert entry_of(PostgresURL.parse(POOLED), {})["ENGINE"] == "shop.engine"
