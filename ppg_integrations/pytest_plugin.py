"""Test databases that are made, used and dropped through the direct URL, in pytest.

With pytest-django they are its own. For Flask there are the fixtures ``ppg_database`` and
``ppg_rollback``. Loaded by pytest itself (entry point ``pytest11``) in every project of the
environment, so it imports nothing until a project that called ``databases()`` sets its test
databases up, or a test asks for a fixture.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ppg_integrations.testdatabase import Databases


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


@pytest.fixture(scope="session")
def ppg_database() -> Iterator[Databases]:
    """Flask: every app of the run has a test database, on the direct endpoint.

    See :func:`ppg_integrations.flask.testing.test_databases`. A project's ``app`` asks for it
    before it makes the app::

        @pytest.fixture(scope="session")
        def app(ppg_database):
            app = create_app()
            with app.app_context():
                flask_migrate.upgrade()  # or db.create_all()
            return app
    """
    from ppg_integrations.flask.testing import test_databases

    with test_databases() as databases:
        yield databases


@pytest.fixture
def ppg_rollback(ppg_database: Databases, app: Any) -> Iterator[None]:  # noqa: ARG001
    """Flask-SQLAlchemy: what the test writes through ``db.session`` is undone at its end.

    See :func:`ppg_integrations.flask.testing.rolled_back`. ``app`` is the project's fixture.
    """
    from ppg_integrations.flask.testing import rolled_back

    with rolled_back(app):
        yield
