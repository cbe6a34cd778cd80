"""Fixtures: a project on fresh roles of the real servers, and one without any URL."""

from __future__ import annotations

import pytest

from tests.django.project import Project


@pytest.fixture
def project(tmp_path, generated):
    return Project(tmp_path, generated)


@pytest.fixture
def bare(tmp_path):
    """A project that has no URL."""
    return Project(tmp_path, None)


@pytest.fixture
def pooled_logins(servers, generated):
    """Logins at PgBouncer since the start of the test, for the test's own database."""
    database = generated.pooled.database
    before = servers.counters(database)

    def logins():
        return (servers.counters(database) - before).pooled_logins

    return logins


@pytest.fixture
def direct_logins(servers, generated):
    """The same at PostgreSQL, of clients that came without PgBouncer."""
    database = generated.pooled.database
    before = servers.counters(database)

    def logins():
        return (servers.counters(database) - before).direct_logins

    return logins
