"""The other direct commands, the chain to other apps' commands, and commands of other packages."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from ppg_integrations.django.commands import DIRECT_COMMANDS, OPTIONAL_COMMANDS

COMMAND = """
from django.core.management.base import BaseCommand
from django.db import connection
class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument("--database", default="default")
    def handle(self, **options):
        connection.ensure_connection()
        self.stdout.write(f"{options['database']} {connection.connection.info.port}")
"""


def app_with_command(project, app, name, text=COMMAND):
    project.app(app)
    project.write(f"{app}/management/__init__.py", "")
    project.write(f"{app}/management/commands/__init__.py", "")
    project.write(f"{app}/management/commands/{name}.py", text)
    project.settings(f"INSTALLED_APPS += ['{app}']\n")


def test_each_direct_command_is_a_module_of_ours():
    folder = Path(sys.modules["ppg_integrations.django.commands"].__file__).parent
    modules = {path.stem for path in (folder / "management/commands").glob("[a-z]*.py")}
    assert modules == {*DIRECT_COMMANDS, "ppg_connect"}


def test_every_other_command_goes_direct(project, pooled_logins, direct_logins):
    """What each prints or does, with and without ``--database direct``; no login at the pooler."""
    project.settings(
        """
        CACHES = {
            "default": {
                "BACKEND": "django.core.cache.backends.db.DatabaseCache",
                "LOCATION": "cache",
            }
        }
        """
    )
    outputs = project.python(
        """
        import io

        def output(*argv, **options):
            out = io.StringIO()
            call_command(*argv, stdout=out, **options)
            return out.getvalue()

        call_command("migrate", verbosity=0)
        found = []
        for database in ({}, {"database": "direct"}):
            call_command("createcachetable", **database)
            texts = {
                "tables": output("inspectdb", "shop_item", "cache", **database),
                "ledger": output("showmigrations", "shop", **database),
                "sql": output("sqlmigrate", "shop", "0001", **database),
                "flush": output("sqlflush", **database),
            }
            with direct_connection():
                Item.objects.create(name="one")
            texts["dump"] = output("dumpdata", "shop", **database)
            open("dump.json", "w").write(texts["dump"])
            call_command("flush", interactive=False, **database)
            with direct_connection():
                texts["flushed"] = Item.objects.count()
            call_command("loaddata", "dump.json", verbosity=0, **database)
            with direct_connection() as connection:
                texts["loaded"] = Item.objects.get().name
                connection.cursor().execute("DROP TABLE cache")
            call_command("flush", interactive=False, **database)
            found.append(texts)
        result(found)
        """
    )
    assert len(outputs) == 2
    for texts in outputs:
        assert "class ShopItem" in texts["tables"]
        assert "class Cache(" in texts["tables"]
        assert "[X] 0001_initial" in texts["ledger"]
        assert "CREATE TABLE" in texts["sql"]
        assert "TRUNCATE" in texts["flush"]
        assert json.loads(texts["dump"])[0]["fields"] == {"name": "one"}
        assert texts["flushed"] == 0
        assert texts["loaded"] == "one"
    assert pooled_logins() == 0
    assert direct_logins() > 15


@pytest.mark.parametrize("database", [(), ("--database", "direct")], ids=["plain", "direct"])
def test_dbshell_is_direct_and_keeps_the_password_out_of_argv(project, pooled_logins, database):
    password = project.generated.direct.password.reveal()
    query = "select inet_server_port() from (select pg_sleep(2)) as slept"
    process = subprocess.Popen(
        [sys.executable, "manage.py", "dbshell", *database, "--", "-At", "-c", query],
        cwd=project.folder,
        env=project.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    seen = []
    while process.poll() is None:
        seen += _argv_of_psql(project.generated.direct.user)
        time.sleep(0.02)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert out.strip() == str(project.generated.direct.port)
    assert any(argv[0].endswith("psql") for argv in seen)
    assert password not in str(seen) + out + err
    assert pooled_logins() == 0


def _argv_of_psql(user):
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            argv = (folder / "cmdline").read_text().rstrip("\0").split("\0")
        except OSError:  # it has ended
            continue
        if user in argv:
            yield argv


DUMP = """
import re, django
django.setup()
from django.core.management import call_command
from django.db import connection

class Sink:
    # Counts lines; in the middle it asks PostgreSQL which cursors this session has.
    lines = 0
    cursors = []
    def write(self, text):
        self.lines += text.count(chr(10))
        if self.lines == 1000 and not self.cursors:
            with connection.cursor() as cursor:
                cursor.execute("SELECT statement FROM pg_cursors")
                self.cursors = [statement for (statement,) in cursor.fetchall()]
            if not self.cursors:
                raise SystemExit  # the control has fetched everything by now

def peak():
    # Not getrusage(): its maximum is inherited from whoever started this process.
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\\s+(\\d+)", status.read())[1]) // 1024

sink = Sink()
before = peak()
try:
    call_command("dumpdata", "shop", format="jsonl", stdout=sink)
except SystemExit:
    pass
print(sink.lines, peak() - before, sink.cursors)
"""


@pytest.mark.once
@pytest.mark.parametrize("ours", [True, False], ids=["direct", "control"])
def test_dumpdata_of_many_rows_streams(project, pooled_logins, ours):
    """200,000 rows by a cursor of the server; the control, through the pooler, holds them all."""
    project.manage("migrate", "shop")
    rows = 200_000
    project.sql(
        "INSERT INTO shop_item (name)"
        f" SELECT rpad(i::text, 50, 'x') FROM generate_series(1, {rows}) AS i"
    )
    if not ours:
        project.settings("INSTALLED_APPS.remove('ppg_integrations.django')")
    project.write("dump.py", DUMP)
    done = project.run(sys.executable, "dump.py", timeout=120)
    lines, megabytes, cursors = done.stdout.split(maxsplit=2)
    assert int(lines) == (rows if ours else 1000)
    assert ("DECLARE" in cursors) is ours
    assert (int(megabytes) < 15) is ours, done.stdout
    assert (pooled_logins() == 0) is ours


MIGRATE = """
from django.core.management.commands import migrate
from django.db import connection
class Command(migrate.Command):
    def handle(self, **options):
        connection.ensure_connection()
        self.stdout.write(f"{options['database']} {connection.connection.info.port}")
"""


def test_an_app_after_us_is_chained_to(project, pooled_logins):
    app_with_command(project, "other", "migrate", MIGRATE)
    done = project.manage("migrate", "--database", "direct")
    assert done.stdout.strip() == f"default {project.generated.direct.port}"
    assert pooled_logins() == 0


def test_an_app_before_us_wins_and_a_check_says_so(project, pooled_logins):
    app_with_command(project, "other", "migrate", MIGRATE)
    project.settings("INSTALLED_APPS.insert(0, INSTALLED_APPS.pop())")
    done = project.manage("migrate")
    assert done.stdout.strip() == f"default {project.generated.pooled.port}"
    assert "ppg.W002" in done.stderr
    assert "'migrate' of other" in done.stderr


def test_an_app_before_us_that_chains_as_we_do_is_no_finding(project, pooled_logins):
    app_with_command(
        project,
        "other",
        "migrate",
        """
        from ppg_integrations.django.commands import direct_command
        Command = direct_command(__name__)
        """,
    )
    project.settings("INSTALLED_APPS.insert(0, INSTALLED_APPS.pop())")
    done = project.manage("migrate", "shop")
    assert "ppg.W002" not in done.stderr
    assert pooled_logins() == 0


def test_the_setting_names_more_commands(project, pooled_logins):
    app_with_command(project, "other", "vacuum")
    project.settings("PPG_DIRECT_COMMANDS = ['vacuum', 'no_such_command']")
    direct = f"default {project.generated.direct.port}"
    assert project.manage("vacuum", "--database", "direct").stdout.strip() == direct
    out = project.python(
        """
        import io
        out = io.StringIO()
        call_command("vacuum", stdout=out)
        call_command("vacuum", stdout=out)
        result(out.getvalue().split("\\n")[:2])
        """
    )
    assert out == [direct, direct]
    assert pooled_logins() == 0
    done = project.manage("check")
    assert "ppg.W011" in done.stderr
    assert "'no_such_command'" in done.stderr
    # `manage.py help` lists every command under its app.
    assert "[other]\n    vacuum" in project.manage("help").stdout


def test_the_mixin_for_a_projects_own_command(project, pooled_logins):
    """Without a --database option every pair is direct."""
    app_with_command(
        project,
        "other",
        "reindex",
        """
        from django.core.management.base import BaseCommand
        from django.db import connection
        from ppg_integrations.django import DirectCommand
        class Command(DirectCommand, BaseCommand):
            def handle(self, **options):
                connection.ensure_connection()
                self.stdout.write(str(connection.connection.info.port))
        """,
    )
    done = project.manage("reindex")
    assert done.stdout.strip() == str(project.generated.direct.port)
    assert pooled_logins() == 0


def test_the_mixin_with_several_databases(project, pooled_logins):
    app_with_command(
        project,
        "other",
        "reindex",
        """
        from django.core.management.base import BaseCommand
        from django.db import connection
        from ppg_integrations.django import DirectCommand
        class Command(DirectCommand, BaseCommand):
            def add_arguments(self, parser):
                parser.add_argument("--database", action="append")
            def handle(self, **options):
                connection.ensure_connection()
                self.stdout.write(f"{options['database']} {connection.connection.info.port}")
        """,
    )
    direct = project.generated.direct.port
    argv = ("reindex", "--database", "direct", "--database", "elsewhere")
    assert project.manage(*argv).stdout.strip() == f"['default', 'elsewhere'] {direct}"
    assert project.manage("reindex").stdout.strip() == f"None {direct}"
    assert pooled_logins() == 0


TENANTS = """
DATABASES = databases(engine="django_tenants.postgresql_backend")
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
SHARED_APPS = [
    "ppg_integrations.django",
    "django_tenants",
    "django.contrib.contenttypes",
    "customers",
]
TENANT_APPS = ["shop"]
INSTALLED_APPS = [*SHARED_APPS, *TENANT_APPS]
TENANT_MODEL = "customers.Client"
TENANT_DOMAIN_MODEL = "customers.Domain"
"""

CUSTOMERS = """
from django.db import models
from django_tenants.models import DomainMixin, TenantMixin
class Client(TenantMixin):
    name = models.CharField(max_length=50)
    auto_create_schema = True
class Domain(DomainMixin):
    pass
"""


def test_django_tenants(project, pooled_logins):
    """Its ``migrate`` is another class than Django's, and ``migrate_schemas`` a name of its own."""
    project.app("customers", CUSTOMERS)
    project.settings(TENANTS)
    project.manage("makemigrations", "customers")
    already = pooled_logins()  # makemigrations is no direct command

    project.manage("migrate")
    assert project.sql("SELECT to_regclass('public.customers_client')::text") == [
        ("customers_client",)
    ]
    project.python(
        """
        from customers.models import Client
        with direct_connection():
            Client.objects.create(schema_name="one", name="One")
        result(None)
        """
    )
    project.manage("migrate_schemas", "--schema", "one")
    project.manage("migrate_schemas", "--database", "direct")
    project.manage("migrate", "--database", "direct")
    assert project.sql("SELECT count(*) FROM one.shop_item") == [(0,)]
    assert pooled_logins() == already
    assert "ppg.W009" in project.manage("check").stderr


def test_the_optional_commands_exist_in_their_packages():
    for app, command in OPTIONAL_COMMANDS:
        (folder,) = find_spec(app).submodule_search_locations
        assert (Path(folder) / f"management/commands/{command}.py").exists(), (app, command)
