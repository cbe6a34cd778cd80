"""An environment of tox.ini holds what its name promises, whatever its installer made of it."""

from __future__ import annotations

import importlib.util
import os
from importlib.metadata import requires, version

from packaging.requirements import Requirement

# Read before a fixture clears the environment.
LOWEST = os.environ.get("PPG_TEST_LOWEST", "") == "1"
DRIVER = os.environ.get("PPG_TEST_DRIVER", "psycopg")
EXTRAS = ("", "django", "flask", "local", DRIVER)


def test_versions_are_the_allowed_ones_and_in_lowest_the_lowest() -> None:
    checked = []
    for text in requires("ppg-integrations") or []:
        requirement = Requirement(text)
        if requirement.marker and not any(
            requirement.marker.evaluate({"extra": e}) for e in EXTRAS
        ):
            continue
        if requirement.name == "psycopg" and DRIVER == "psycopg2":
            continue
        (lowest,) = (s.version for s in requirement.specifier if s.operator == ">=")
        installed = version(requirement.name)
        checked.append(requirement.name)
        assert installed in requirement.specifier, requirement
        assert not LOWEST or installed == lowest or installed.startswith(f"{lowest}."), requirement
    assert {"django", "flask", "httpx", "dj-database-url", "sqlalchemy", "trustme"} <= set(checked)


def test_the_driver_is_the_one_named_and_the_only_one() -> None:
    other = {"psycopg": "psycopg2", "psycopg2": "psycopg"}[DRIVER]
    assert importlib.util.find_spec(DRIVER)
    assert not importlib.util.find_spec(other)
