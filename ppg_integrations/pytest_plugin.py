"""pytest-django on two URLs: its databases are made, used and dropped through the direct one.

Loaded by pytest itself (entry point ``pytest11``) in every project of the environment, so it
imports nothing until a project that called ``databases()`` sets its test databases up.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import Any

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
    """Around pytest-django's session fixture, also where a project overrides it."""
    if fixturedef.argname == "django_db_setup" and _has_pairs():
        from contextlib import ExitStack

        from ppg_integrations.django.testing import tests_on_direct

        stack = ExitStack()
        stack.enter_context(tests_on_direct())
        # Before the fixture's own, and the last one in runs first out: the databases are dropped
        # while the aliases are still on direct.
        fixturedef.addfinalizer(stack.close)
    return (yield)


def _has_pairs() -> bool:
    # `databases()` imports it; without that there is nothing of ours to route.
    state = sys.modules.get("ppg_integrations.django.state")
    return state is not None and bool(state.registered())
