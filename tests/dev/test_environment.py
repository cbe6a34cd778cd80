"""An environment of tox.ini holds what its name promises, whatever its installer made of it."""

from __future__ import annotations

import importlib.util
import os
from importlib.metadata import requires, version

from packaging.requirements import Requirement

# Read before a fixture clears the environment. Outside tox people install what they like.
LOWEST = os.environ.get("PPG_TEST_LOWEST", "") == "1"
DRIVER = os.environ.get("PPG_TEST_DRIVER", "")
EXTRAS = ("", "django", "flask", "embedded", DRIVER) if DRIVER else ("",)


def test_versions_are_the_allowed_ones_and_in_lowest_the_lowest() -> None:
    checked = set()
    for text in requires("ppg-integrations") or []:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker and not any(marker.evaluate({"extra": extra}) for extra in EXTRAS):
            continue
        (lowest,) = (s.version for s in requirement.specifier if s.operator == ">=")
        installed = version(requirement.name)
        checked.add(requirement.name)
        assert installed in requirement.specifier, requirement
        assert not LOWEST or installed == lowest or installed.startswith(f"{lowest}."), requirement
    assert {"filelock", "httpx", "platformdirs", "python-dotenv"} <= checked
    assert not DRIVER or {"django", "dj-database-url", "flask", "sqlalchemy", "trustme"} <= checked


def test_the_driver_is_there_and_psycopg2_alone_where_it_is_named() -> None:
    installed = {name for name in ("psycopg", "psycopg2") if importlib.util.find_spec(name)}
    if DRIVER == "psycopg2":
        assert installed == {"psycopg2"}
    else:
        assert "psycopg" in installed
