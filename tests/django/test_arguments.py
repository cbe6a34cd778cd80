"""Arguments of ``databases()`` that cannot be used, and whose line its warnings name."""

from __future__ import annotations

import math
import warnings

import pytest
from django.core.exceptions import ImproperlyConfigured

from ppg_integrations.django import databases, state
from ppg_integrations.errors import ConfigurationError, PPGWarning

POOLED = "postgres://u:s3cret@pooler.example:6432/app?sslmode=require"
DIRECT = "postgres://u:s3cret@server.example:5432/app?sslmode=require"
NEON = "postgres://u:s3cret@ep-a-1{}.us-east-2.aws.neon.tech/app?sslmode=require"


@pytest.fixture(autouse=True)
def _forget():
    yield
    state.clear()


def make(**arguments):
    return databases(False, environ={"DATABASE_URL": POOLED, "DIRECT_URL": DIRECT}, **arguments)


@pytest.mark.parametrize("name", ["options", "direct_options", "test"])
@pytest.mark.parametrize("value", ["s3cret", "", ["s3cret"], 0, True])
def test_what_must_be_a_dictionary(name, value):
    with pytest.raises(ImproperlyConfigured, match=f"^{name} is a {type(value).__name__}") as said:
        make(**{name: value})
    assert isinstance(said.value.__cause__, ConfigurationError)
    assert f"{name}={{" in said.value.__cause__.hint
    assert "s3cret" not in str(said.value)


@pytest.mark.parametrize("value", ["60", True, -1, math.nan])
def test_a_number_of_seconds(value):
    words = f"the argument conn_max_age is {value!r}, and must be a number of seconds"
    with pytest.raises(ImproperlyConfigured, match=words):
        make(conn_max_age=value)


@pytest.mark.parametrize("name", ["asgi", "serverless", "prepared", "conn_health_checks"])
@pytest.mark.parametrize("value", ["x", "false", "", 1, 0])
def test_what_is_on_or_off(name, value):
    words = f"the argument {name} is {value!r}, and must be True or False"
    with pytest.raises(ImproperlyConfigured, match=words):
        make(**{name: value})


@pytest.mark.parametrize(
    "engine",
    [
        "django.db.backends.sqlite3",
        "django.db.backends.mysql",
        "django.db.backends.oracle",
        "django.contrib.gis.db.backends.spatialite",
        5432,
    ],
)
def test_an_engine_that_is_not_postgresql(engine):
    with pytest.raises(ImproperlyConfigured, match="engine=.*no ENGINE for PostgreSQL") as said:
        make(engine=engine)
    assert "django.db.backends.postgresql" in str(said.value)


@pytest.mark.parametrize(
    "engine",
    [
        "django.db.backends.postgresql",
        "django.contrib.gis.db.backends.postgis",
        "django_tenants.postgresql_backend",
    ],
)
def test_an_engine_that_is(engine):
    assert make(engine=engine)["default"]["ENGINE"] == engine


def test_a_warning_names_the_line_that_called():
    swapped = {"DATABASE_URL": NEON.format(""), "DIRECT_URL": NEON.format("-pooler")}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        databases(False, environ=swapped)
    assert [(one.category, one.filename) for one in said] == [(PPGWarning, __file__)]
