"""A framework's configuration over the environment: its names win, as a group, and are named."""

from __future__ import annotations

import pytest

from ppg_integrations import resolve
from ppg_integrations.errors import URLError
from ppg_integrations.layers import Layered, changed, kind, place
from ppg_integrations.providers.settings import Settings

URL = "postgresql://app:hunter2@{}.test/shop"


def test_a_name_in_the_configuration_wins_and_its_source_says_so():
    environ = Layered(
        {"DATABASE_URL": URL.format("config")}, {"DIRECT_URL": URL.format("environment")}
    )
    pair = resolve(env_file=False, environ=environ)
    assert str(pair.pooled_source) == "DATABASE_URL in app.config"
    assert str(pair.direct_source) == "DIRECT_URL in the environment"
    assert pair.pooled.host == "config.test"


def test_a_configured_url_hides_every_other_name_of_its_half():
    environ = Layered(
        {"DATABASE_URL_POOLED": URL.format("config"), "DATABASE_DIRECT_URL": URL.format("direct")},
        {"DATABASE_URL": URL.format("environment"), "DIRECT_URL": URL.format("environment")},
    )
    pair = resolve(env_file=False, environ=environ)
    assert (pair.pooled.host, pair.direct.host) == ("config.test", "direct.test")
    assert environ.environ["DATABASE_URL"] == URL.format("environment")


def test_an_error_names_the_configuration():
    with pytest.raises(URLError, match=r"DATABASE_URL in app\.config"):
        resolve(env_file=False, environ=Layered({"DATABASE_URL": "mysql://x"}, {}))


def test_settings_name_it_too():
    settings = Settings(Layered({"PPG_TIMEOUT": "5"}, {"PPG_PROJECT": "shop"}))
    assert settings.find("PPG_TIMEOUT").source == "PPG_TIMEOUT in app.config"
    assert settings.find("PPG_PROJECT").source == "PPG_PROJECT in the environment"
    assert settings.timeout == 5


def test_a_change_keeps_the_layers():
    environ = Layered({"A": "1", "B": "1"}, {"C": "1"})
    found = changed(environ, {"A": "2", "C": "2"})
    assert dict(found) == {"A": "2", "B": "1", "C": "2"}
    assert [kind(found, name) for name in "ABC"] == ["environment", "config", "environment"]
    assert changed({"A": "1"}, {"B": "2"}) == {"A": "1", "B": "2"}
    assert place({"A": "1"}, "A") == "the environment"


def test_nothing_of_it_is_shown():
    environ = Layered({"NEON_API_KEY": "napi_secret"}, {"DATABASE_URL": URL})
    for shown in (repr(environ), str(environ), repr(environ.config), repr(environ.environ)):
        assert "napi_secret" not in shown
        assert "hunter2" not in shown


def test_a_blank_hides_nothing():
    environ = Layered(
        {"DATABASE_URL": " "},
        {"DATABASE_URL": URL.format("pooled"), "DIRECT_URL": URL.format("direct")},
    )
    pair = resolve(env_file=False, environ=environ)
    assert str(pair.pooled_source) == "DATABASE_URL in the environment"
