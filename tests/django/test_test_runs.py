"""``manage.py test`` and pytest-django: databases made, used and dropped through direct only."""

from __future__ import annotations

import sys

import pytest

TESTS = """
import os
from django.db import connections
from django.test import TestCase, TransactionTestCase
from shop.models import Item

class Route:
    databases = {"default"}

    def test_the_rows_are_on_direct(self):
        Item.objects.create(name="one")
        self.assertEqual(Item.objects.count(), 1)
        info = connections["default"].connection.info
        self.assertEqual(str(info.port), os.environ["EXPECTED_PORT"])
        self.assertTrue(info.dbname.startswith("test_"), info.dbname)

class First(Route, TestCase):
    def test_a_migrate_inside_changes_nothing(self):
        from django.core.management import call_command
        Item.objects.create(name="kept")
        call_command("migrate", "shop", verbosity=0)
        call_command("migrate", "shop", database="direct", verbosity=0)
        self.assertEqual(Item.objects.count(), 1)

class Second(Route, TestCase):
    databases = {"default", "direct"}

    def test_the_direct_alias_is_the_same_database(self):
        names = {connections[alias].settings_dict["NAME"] for alias in ("default", "direct")}
        self.assertEqual(len(names), 1)
        self.assertEqual(Item.objects.using("direct").count(), 0)

class Third(Route, TransactionTestCase):
    pass
"""

MIRROR = {
    "mirror": "",
    "no mirror": 'DATABASES["direct"]["TEST"] = {}\n',
}


@pytest.fixture
def with_tests(project, servers, generated):
    project.write("shop/tests/__init__.py", "")
    project.write("shop/tests/test_route.py", TESTS)
    project.environ["EXPECTED_PORT"] = str(generated.direct.port)
    yield project
    assert test_databases(servers, generated) == []


def test_databases(servers, generated):
    with servers.connect() as connection:
        return connection.fetch(
            "SELECT datname FROM pg_database WHERE datname LIKE %s",
            (f"test_{generated.direct.database}%",),
        )


test_databases.__test__ = False


def pytest_in(project, *args, status=0, **environ):
    return project.run(
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
        "-q",
        "-W",
        "error",
        *args,
        status=status,
        **environ,
    )


@pytest.mark.parametrize("mirror", MIRROR)
def test_manage_py_test(with_tests, pooled_logins, mirror):
    with_tests.settings(MIRROR[mirror])
    done = with_tests.manage("test")
    assert "Ran 5 tests" in done.stderr
    assert "OK" in done.stderr
    assert pooled_logins() == 0


def test_manage_py_test_in_parallel(with_tests, pooled_logins):
    done = with_tests.manage("test", "--parallel", "2")
    assert "Found 5 test(s)." in done.stdout
    assert "OK" in done.stderr
    assert done.stderr.count("Cloning") == 2
    assert pooled_logins() == 0


@pytest.mark.once  # PostgreSQL waits five seconds for the others to go
def test_control_without_our_app_the_run_fails_at_its_ends(with_tests, servers, generated):
    with_tests.settings("INSTALLED_APPS.remove('ppg_integrations.django')")
    done = with_tests.manage(
        "test", "--no-input", status=None, EXPECTED_PORT=str(generated.pooled.port)
    )
    assert done.returncode != 0
    assert "being accessed by other users" in done.stderr
    with servers.connect() as connection:
        for (name,) in test_databases(servers, generated):
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_keepdb_keeps_it(with_tests, servers, generated, pooled_logins):
    try:
        with_tests.manage("test", "--keepdb", "shop.tests.test_route.Third")
        assert test_databases(servers, generated) == [(f"test_{generated.direct.database}",)]
        # Now that it exists, a role that may not create databases will do.
        with servers.connect() as connection:
            connection.execute(f'ALTER ROLE "{generated.direct.database}_owner" NOCREATEDB')
        with_tests.manage("test", "--keepdb", "shop.tests.test_route.Third")
        assert pooled_logins() == 0
    finally:
        with servers.connect() as connection:
            connection.execute(
                f'DROP DATABASE IF EXISTS "test_{generated.direct.database}" WITH (FORCE)'
            )


def test_testserver(project, pooled_logins, servers, generated):
    """Its database comes and goes like that of `test`; the server itself is stopped at once."""
    project.write("empty.json", "[]")
    project.write(
        "proj/runner.py",
        """
        from django.core.management.commands import runserver
        from django.db import connection
        def stop(self, **options):
            connection.ensure_connection()
            print("serving on", connection.connection.info.port, connection.connection.info.dbname)
        runserver.Command.inner_run = lambda self, *args, **options: stop(self)
        """,
    )
    project.settings("import proj.runner\n")
    done = project.manage("testserver", "empty.json", "--no-input")
    assert f"serving on {generated.direct.port} test_{generated.direct.database}" in done.stdout
    assert pooled_logins() == 0
    with servers.connect() as connection:  # testserver never drops its database
        connection.execute(f'DROP DATABASE "test_{generated.direct.database}" WITH (FORCE)')


@pytest.mark.parametrize("mirror", MIRROR)
def test_pytest_django(with_tests, pooled_logins, mirror):
    with_tests.settings(MIRROR[mirror])
    with_tests.write(
        "conftest.py",
        """
        def pytest_unconfigure():
            from django.db import connections
            print("PORT", connections.settings["default"]["PORT"])
        """,
    )
    done = pytest_in(with_tests)
    assert "5 passed" in done.stdout
    assert pooled_logins() == 0
    # After the session the alias is as it was.
    assert f"PORT {with_tests.generated.pooled.port}" in done.stdout


def test_pytest_xdist(with_tests, pooled_logins):
    done = pytest_in(with_tests, "-n", "2")
    assert "5 passed" in done.stdout
    assert pooled_logins() == 0


def test_pytest_reuse_db_and_a_fixture_that_the_project_overrides(
    with_tests, servers, generated, pooled_logins
):
    with_tests.write(
        "conftest.py",
        """
        import pytest
        from django.core.management import call_command
        @pytest.fixture(scope="session")
        def django_db_setup(django_db_setup, django_db_blocker):
            with django_db_blocker.unblock():
                call_command("migrate", "shop", verbosity=0)
            yield
        """,
    )
    try:
        assert "5 passed" in pytest_in(with_tests, "--reuse-db").stdout
        assert len(test_databases(servers, generated)) == 1
        assert pooled_logins() == 0
    finally:
        assert "5 passed" in pytest_in(with_tests, "--create-db").stdout


def test_a_database_that_a_fixture_points_elsewhere_is_left_alone(with_tests, generated):
    """Such as a container that a project starts for its tests."""
    with_tests.write(
        "conftest.py",
        """
        import os, pytest
        @pytest.fixture(scope="session")
        def django_db_modify_db_settings():
            from django.db import connections
            for alias in ("default", "direct"):
                connections.settings[alias]["HOST"] = "localhost"
                connections.settings[alias]["PORT"] = int(os.environ["EXPECTED_PORT"])
            connections.settings["direct"]["HOST"] = "production.invalid"
        """,
    )
    assert "2 passed" in pytest_in(with_tests, "-k", "First").stdout


def test_plain_pytest_is_not_touched_by_the_plugin(tmp_path, bare):
    bare.write("test_plain.py", "def test_it(): pass\n")
    bare.environ.pop("DJANGO_SETTINGS_MODULE")
    code = (
        "import sys, pytest\n"
        "status = pytest.main(['-q', '-p', 'no:cacheprovider', 'test_plain.py'])\n"
        "print(sorted(name for name in sys.modules if name.startswith('ppg_integrations')))\n"
        "print('django.conf' in sys.modules and 'configured')\n"
        "sys.exit(status)\n"
    )
    done = bare.run(sys.executable, "-c", code)
    loaded = done.stdout.splitlines()[-2]
    assert "'ppg_integrations.pytest_plugin'" in loaded
    assert "ppg_integrations.django" not in loaded
    assert "ppg_integrations.providers" not in loaded


@pytest.mark.parametrize("runner", ["manage.py test", "pytest"])
def test_a_role_that_may_not_create_databases(with_tests, servers, generated, runner):
    with servers.connect() as connection:
        connection.execute(f'ALTER ROLE "{generated.direct.database}_owner" NOCREATEDB')
    if runner == "pytest":
        done = pytest_in(with_tests, "-x", status=1)
        text = done.stdout
    else:
        done = with_tests.manage("test", status=1)
        text = done.stderr
        assert "Traceback" not in text
    assert "may not create databases" in text
    assert "PPG_TEST_PROVIDER=local" in text


def test_hosts_where_no_role_may_create_databases_are_not_even_asked(with_tests):
    url = "postgresql://u:p@db.prisma.io:5432/postgres?sslmode=require&connect_timeout=2"
    done = with_tests.manage("test", status=1, DATABASE_URL=url, DIRECT_URL=None)
    assert "no role may create databases on db.prisma.io" in done.stderr
    assert "PPG_TEST_PROVIDER=local" in done.stderr


def test_tests_without_a_database_need_no_url(bare):
    bare.write("shop/tests/__init__.py", "")
    bare.write(
        "shop/tests/test_plain.py",
        """
        from django.test import SimpleTestCase
        class Plain(SimpleTestCase):
            def test_it(self):
                pass
        """,
    )
    assert "OK" in bare.manage("test").stderr
    assert "1 passed" in pytest_in(bare).stdout


def test_tests_with_a_database_and_no_url_say_what_to_set(with_tests):
    done = with_tests.manage("test", status=1, DATABASE_URL=None, DIRECT_URL=None)
    assert "CommandError: no database URL" in done.stderr
    assert "DATABASE_URL" in done.stderr
    done = with_tests.manage(
        "test", status=1, DATABASE_URL="postgresql://u:p@pooler.invalid/app", DIRECT_URL=None
    )
    assert "Set DIRECT_URL" in done.stderr


def test_an_unknown_test_provider(with_tests):
    """In a file that nobody needs for the URLs, too."""
    file = with_tests.write(".env", "PPG_TEST_PROVIDER=elsewhere\n")
    done = with_tests.manage("test", status=1)
    assert f"PPG_TEST_PROVIDER in {file} is 'elsewhere'" in done.stderr


def test_the_embedded_provider_needs_no_url(bare):
    """manage.py test, the same in parallel under pytest, and with --keepdb again.

    The variable stands in the environment first, then in ``.env``, where it is for test runs alone.
    """
    from ppg_integrations.providers.local.servers import LocalServers

    bare.write("shop/tests/__init__.py", "")
    bare.write("shop/tests/test_route.py", TESTS)
    local = {"PPG_TEST_PROVIDER": "local"}
    servers = LocalServers(bare.folder / ".ppg/local")
    try:
        servers.start()
        local["EXPECTED_PORT"] = str(servers.status().postgres.port)
        assert "Ran 5 tests" in bare.manage("test", "--keepdb", **local).stderr
        del local["PPG_TEST_PROVIDER"]
        bare.write(".env", "PPG_TEST_PROVIDER=local\n")
        assert "CommandError: no database URL" in bare.manage("migrate", status=1).stderr
        again = bare.manage("test", "--keepdb", **local).stderr
        assert "Using existing test database" in again
        assert "Ran 5 tests" in again
        assert "5 passed" in pytest_in(bare, "-n", "2", **local).stdout
        with servers.connect() as connection:
            roles = connection.fetch("SELECT rolname FROM pg_roles WHERE rolname LIKE 'tests%'")
            assert roles == [("tests_owner",)]
        assert servers.counters().pooled_logins == 0
    finally:
        servers.erase()
