"""The four settings of opening and keeping connections: arguments, then variables, then defaults."""

from __future__ import annotations

import math

import pytest
from django.core.exceptions import ImproperlyConfigured

from ppg_integrations import names
from ppg_integrations.connect_settings import DEFAULT, ConnectSettings
from ppg_integrations.direct import direct_session
from ppg_integrations.django import databases, state
from ppg_integrations.errors import ConfigurationError
from ppg_integrations.layers import Layered
from ppg_integrations.sqlalchemy import create_engine
from ppg_integrations.verbs import proof
from ppg_integrations.verbs.context import Context

PAIR = {
    "DATABASE_URL": "postgresql://app:secret@pooler.test:6432/shop",
    "DIRECT_URL": "postgresql://app:secret@server.test:5432/shop",
}


@pytest.fixture(autouse=True)
def forgotten():
    yield
    state.clear()


def test_defaults():
    assert ConnectSettings.of({}) == DEFAULT == ConnectSettings(20.0, 5.0, "", prepared=False)
    blank = {"PPG_CONNECT_DEADLINE": " ", "PPG_ALIVE_WINDOW": "", "PPG_SSLMODE": " "}
    blank["PPG_PREPARED"] = " "
    assert ConnectSettings.of(blank) == DEFAULT


def test_variables_and_the_arguments_that_win_over_them():
    environ = {
        "PPG_CONNECT_DEADLINE": "7.5",
        "PPG_ALIVE_WINDOW": " 0 ",
        "PPG_SSLMODE": "verify-full",
    }
    assert ConnectSettings.of(environ) == ConnectSettings(7.5, 0.0, "verify-full")
    given = ConnectSettings.of(environ, connect_deadline=0, alive_window=1, sslmode="require")
    assert given == ConnectSettings(0.0, 1.0, "require")
    assert ConnectSettings.of(environ, sslmode="").sslmode == ""


@pytest.mark.parametrize("name", ["PPG_CONNECT_DEADLINE", "PPG_ALIVE_WINDOW"])
@pytest.mark.parametrize("value", ["soon", "-1", "nan", "inf", "1e999", "5s"])
def test_what_is_no_number_of_seconds(name, value):
    words = f"^{name} in the environment is '{value}', and must be a number of seconds"
    with pytest.raises(ConfigurationError, match=words) as caught:
        ConnectSettings.of({name: value})
    assert f"Such as {name}=" in caught.value.hint
    argument = name.removeprefix("PPG_").lower()
    for wrong in (value, -1, math.nan, math.inf, object(), True):
        with pytest.raises(ConfigurationError, match=f"^the argument {argument} is "):
            ConnectSettings.of({}, **{argument: wrong})


@pytest.mark.parametrize(
    ("value", "found"), [("1", True), ("True", True), ("on", True), ("0", False), ("No", False)]
)
def test_whether_statements_are_prepared(value, found):
    environ = {"PPG_PREPARED": value}
    assert ConnectSettings.of(environ).prepared is found
    assert ConnectSettings.of(environ, prepared=not found).prepared is not found


def test_what_is_neither_on_nor_off():
    for value in ("5", "maybe"):
        words = f"^PPG_PREPARED in the environment is '{value}', and must be 1 or 0"
        with pytest.raises(ConfigurationError, match=words) as caught:
            ConnectSettings.of({"PPG_PREPARED": value})
        assert "prepared=" not in caught.value.hint, "Flask and the command line have none"
    for value in (5, "1", 0):
        words = f"^the argument prepared is {value!r}, and must be True or False"
        with pytest.raises(ConfigurationError, match=words):
            ConnectSettings.of({}, prepared=value)


@pytest.mark.parametrize("name", names.CONNECT)
def test_where_it_stands(name, tmp_path, monkeypatch):
    """The same words of Django, of what has no framework, and of the verbs."""
    path = tmp_path / ".env"
    lines = {**PAIR, name: "garbage"}
    path.write_text("".join(f"{each}={value}\n" for each, value in lines.items()))
    monkeypatch.chdir(tmp_path)
    in_the_file, above = (f"{name} in {place} is 'garbage'" for place in (path, "the environment"))
    calls = (
        lambda: databases(),
        lambda: direct_session(),
        lambda: create_engine(),
        lambda: proof.connect_settings(Context(env_file=path)),
    )
    for call in calls:
        with pytest.raises((ConfigurationError, ImproperlyConfigured)) as caught:
            call()
        assert str(caught.value).startswith(in_the_file)
    monkeypatch.setenv(name, "garbage")
    for call in calls:
        with pytest.raises((ConfigurationError, ImproperlyConfigured)) as caught:
            call()
        assert str(caught.value).startswith(above)
    layered = Layered({name: "garbage"}, {}, "app.config")
    with pytest.raises(ConfigurationError, match=rf"^{name} in app\.config is 'garbage'"):
        ConnectSettings.of(layered)


@pytest.mark.parametrize("value", ["prefer", "disable", "REQUIRE", "verify_full"])
def test_what_is_no_sslmode(value):
    words = f"^PPG_SSLMODE in the environment is '{value}', and must be one of require,"
    with pytest.raises(ConfigurationError, match=words):
        ConnectSettings.of({"PPG_SSLMODE": value})
    for wrong in (value, 0, False):
        with pytest.raises(ConfigurationError, match=f"^the argument sslmode is {wrong!r}"):
            ConnectSettings.of({}, sslmode=wrong)


def settings(**arguments):
    databases(**arguments)
    (entry,) = state.registered()
    return entry.connect_settings


def test_django_has_them_as_arguments_in_the_environment_and_in_the_file(tmp_path):
    environ = {**PAIR, "PPG_ALIVE_WINDOW": "9"}
    found = settings(env_file=False, environ=environ, connect_deadline=3)
    assert found == ConnectSettings(3.0, 9.0, "")
    state.clear()
    lines = {**PAIR, "PPG_CONNECT_DEADLINE": "4", "PPG_ALIVE_WINDOW": "8"}
    path = tmp_path / ".env"
    path.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    found = settings(env_file=path, environ={"PPG_ALIVE_WINDOW": "7"}, sslmode="verify-ca")
    assert found == ConnectSettings(4.0, 7.0, "verify-ca")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"alive_window": -1}, "the argument alive_window is -1"),
        ({"sslmode": "none"}, "the argument sslmode is 'none'"),
        ({"connect_deadline": True}, "the argument connect_deadline is True"),
        ({"environ": {**PAIR, "PPG_CONNECT_DEADLINE": "x"}}, "PPG_CONNECT_DEADLINE in the env"),
        ({"environ": {"PPG_CONNECT_DEADLINE": "x"}}, "PPG_CONNECT_DEADLINE in the env"),
    ],
)
def test_django_refuses_what_it_cannot_use(arguments, words):
    with pytest.raises(ImproperlyConfigured, match=words):
        databases(**{"env_file": False, "environ": PAIR, **arguments})


def test_django_encrypts_at_least_as_told():
    made = databases(env_file=False, environ=PAIR, sslmode="require")
    assert [entry["OPTIONS"]["sslmode"] for entry in made.values()] == ["require"] * 2
