"""``migrate``: ordinary data migrations end as they should, and none of it meets the pooler."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.django.cases import CASES, migrations

DATABASE = [(), ("--database", "direct")]
IDS = ["migrate", "migrate --database direct"]


@pytest.fixture
def with_case(project):
    def install(case, extra=""):
        project.app(f"case_{case}", **migrations(case))
        project.settings(f"INSTALLED_APPS += ['case_{case}']\n{extra}")
        return f"case_{case}"

    return install


@pytest.fixture
def lock_timeout(servers, generated):
    """What waits for ever without us waits for a lock; a test should not."""

    def limit(seconds):
        with servers.connect() as connection:
            connection.execute(
                f"ALTER ROLE \"{generated.direct.user}\" SET lock_timeout = '{seconds}s'"
            )

    return limit


@pytest.mark.parametrize("database", DATABASE, ids=IDS)
@pytest.mark.parametrize("case", CASES)
def test_a_data_migration_runs_on_one_connection(
    project, with_case, lock_timeout, pooled_logins, direct_logins, case, database
):
    app = with_case(case)
    lock_timeout(5)
    done = project.manage("migrate", app, *database, status=1 if case == "d" else 0)

    ledger = project.sql(f"SELECT name FROM django_migrations WHERE app = '{app}' ORDER BY name")
    steps = [f"{number:04}_step" for number in range(1, len(CASES[case]) + 1)]
    if case == "d":
        assert "this migration fails" in done.stderr
        assert [name for (name,) in ledger] == steps[:-1]
        assert project.sql(f"SELECT name FROM {app}_thing") == []
    else:
        assert [name for (name,) in ledger] == steps
        sizes = {"c": 1, "e": 2}
        columns = "name, size" if case in sizes else "name"
        expected = ("added", sizes[case]) if case in sizes else ("added",)
        assert project.sql(f"SELECT {columns} FROM {app}_thing") == [expected]
    assert pooled_logins() == 0
    assert direct_logins() > 0


def test_control_without_our_app_migrate_does_go_through_the_pooler(
    project, with_case, pooled_logins
):
    app = with_case("a", "INSTALLED_APPS.remove('ppg_integrations.django')")
    project.manage("migrate", app)
    assert pooled_logins() > 0


def test_control_on_two_plain_aliases_the_same_migration_waits_for_itself(
    project, with_case, lock_timeout
):
    app = with_case("c", "INSTALLED_APPS.remove('ppg_integrations.django')")
    lock_timeout(1)
    project.manage("migrate", app, "0001")
    done = project.manage("migrate", app, "--database", "direct", status=1)
    assert "lock timeout" in done.stderr


def test_migrate_creates_permissions_and_content_types_once(project, pooled_logins):
    project.manage("migrate")
    project.manage("migrate", "--database", "direct")
    assert project.sql("SELECT count(*) FROM auth_permission WHERE codename LIKE '%_item'") == [
        (4,)
    ]
    assert pooled_logins() == 0


def test_checks_during_migrate_look_at_the_pooled_settings(project):
    """The alias is on direct by then, where startup options and server-side cursors are right."""
    project.settings(
        """
        DATABASES = databases(direct_options={"options": "-c statement_timeout=60000"})
        """
    )
    assert project.manage("migrate", "shop").stderr == ""


def test_without_the_direct_alias_nothing_is_guessed(project):
    project.settings('del DATABASES["direct"]')
    done = project.manage("migrate", status=1)
    assert "DATABASES has no alias 'direct'" in done.stderr
    assert "Traceback" not in done.stderr


def test_several_pairs_each_on_its_own_endpoint(project, servers, pooled_logins):
    other = servers.generate("other", database=f"{project.generated.pooled.database}_b")
    try:
        project.settings(
            """
            DATABASES |= databases(
                pooled=os.environ["OTHER_POOLED"],
                direct=os.environ["OTHER_DIRECT"],
                aliases=("stats", "stats_direct"),
            )
            """
        )
        project.environ |= {
            "OTHER_POOLED": other.pooled.reveal(),
            "OTHER_DIRECT": other.direct.reveal(),
        }
        before = servers.counters(other.pooled.database)
        project.manage("migrate", "shop", "--database", "stats_direct")
        after = servers.counters(other.pooled.database) - before
        assert after.pooled_logins == 0
        assert after.direct_logins > 0
        assert pooled_logins() == 0
        assert project.sql("SELECT to_regclass('shop_item')") == [(None,)]
    finally:
        servers.drop(other.pooled.database)


def test_ppg_direct_routes_a_command_that_nobody_wrapped(project, pooled_logins):
    project.app("tools")
    project.write("tools/management/__init__.py", "")
    project.write("tools/management/commands/__init__.py", "")
    project.write(
        "tools/management/commands/ask.py",
        """
        from django.core.management.base import BaseCommand
        from django.db import connection
        class Command(BaseCommand):
            def handle(self, **options):
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
        """,
    )
    project.settings("INSTALLED_APPS += ['tools']")
    project.manage("ask")
    assert pooled_logins() == 1
    project.manage("ask", PPG_DIRECT="1")
    assert pooled_logins() == 1


@pytest.mark.parametrize(
    "command", [("migrate",), ("dbshell",), ("migrate", "--database", "direct")]
)
def test_without_a_certain_direct_url_the_error_names_the_variable(project, command):
    done = project.manage(
        *command,
        status=1,
        DIRECT_URL=None,
        DATABASE_URL="postgresql://u:p@pooler.invalid:6432/app",
    )
    assert "CommandError" in done.stderr
    assert "Set DIRECT_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_one_endpoint_is_said_at_verbosity_2(project):
    url = project.environ["DIRECT_URL"]
    done = project.manage("migrate", "shop", "-v2", DATABASE_URL=url)
    assert "one endpoint, nothing to route" in done.stderr
    done = project.manage("migrate", "shop", DATABASE_URL=url)
    assert done.stderr == ""


def test_a_database_that_settings_pointed_elsewhere_is_left_alone(project, tmp_path):
    """Test settings that replace the entry must never meet the real direct URL."""
    project.settings(
        """
        DATABASES["default"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db"}
        """
    )
    done = project.manage("migrate", "shop", "-v2")
    assert "left alone" in done.stderr
    assert (tmp_path / "db").exists()
    assert project.sql("SELECT to_regclass('shop_item')") == [(None,)]


def test_no_secret_in_the_output_of_a_failing_migrate(project, with_case):
    app = with_case("d")
    done = project.manage("migrate", app, "--traceback", status=1)
    password = project.generated.direct.password.reveal()
    assert "this migration fails" in done.stderr
    assert password not in done.stdout + done.stderr


def test_diffsettings_shows_no_password(project):
    done = project.manage("diffsettings")
    password = project.generated.direct.password.reveal()
    assert "DATABASES" in done.stdout
    assert password not in done.stdout + done.stderr


def test_the_suite_runs_on_the_driver_that_its_environment_names():
    """PPG_TEST_DRIVER is set by the environments of tox; without it either will do."""
    wanted = os.environ.get("PPG_TEST_DRIVER", "")
    code = "from django.db.backends.postgresql.psycopg_any import is_psycopg3; print(is_psycopg3)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    if wanted:
        assert done.stdout.strip() == str(wanted == "psycopg")
    assert wanted in ("", "psycopg", "psycopg2")
