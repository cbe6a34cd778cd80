"""Run as a program in a project: every scenario of test_checks.py in one process."""

import json
import os
import sys

import django
from django.apps import apps
from django.db import connections
from django.db.utils import ConnectionHandler
from django.test import override_settings

django.setup()

from ppg_integrations import preparing  # noqa: E402
from ppg_integrations.django import checks, commands, databases, installed, state  # noqa: E402
from ppg_integrations.doctor import Diagnosis  # noqa: E402
from ppg_integrations.probe import ProbeResult  # noqa: E402

preparing.check = lambda _driver: None  # psycopg2 may be all there is

BOTH = {
    "DATABASE_URL": "postgres://u:p@pooler.example:6432/app?sslmode=require",
    "DIRECT_URL": "postgres://u:p@server.example:5432/app?sslmode=require",
}


ALL = ["default", "direct"]


def ids(environ=BOTH, *, edit=None, arguments=None, asked=None, archive=None, **overrides):
    """Ids, levels, messages and hints that the checks give for settings made from ``environ``."""
    state.clear()
    made = databases(False, environ=environ, **(arguments or {}))
    if archive is not None:
        made |= databases(False, environ=archive, aliases=("archive", "archive_direct"))
    if edit is not None:
        edit(made)
    connections.settings.clear()
    connections.settings.update(ConnectionHandler(made).settings)
    with override_settings(**overrides):
        return [
            [found.id, type(found).__name__, found.msg, found.hint]
            for found in [
                *checks.check_settings(databases=asked),
                *installed.check_installed(),
                # Django from 6.1 on: every alias for the first, and no call of the second.
                *([] if asked == ALL else checks.check_servers(databases=asked)),
            ]
        ]


def option(alias, name, value):
    return lambda made: made[alias].setdefault("OPTIONS", {}).update({name: value})


def prepared(threshold=5):
    def edit(made):
        wanted = {"server_side_binding": True, "prepare_threshold": threshold}
        made["default"]["OPTIONS"].update(wanted)

    return edit


def doctor(kept, **arguments):
    """What ``doctor`` says of the settings, where the pooler keeps prepared statements, or not."""
    ids(**arguments)
    (entry,) = state.registered()
    pooled = ProbeResult("transaction-pooler", "", prepared=kept)
    diagnosis = Diagnosis(entry.pair, pooled, None, ())
    return [[one.id, one.severity, one.message, one.hint] for one in checks.hazards(diagnosis)]


def entry(alias, name, value):
    return lambda made: made[alias].update({name: value})


def replaced(made):
    made.clear()
    made["default"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}


def shadowed():
    """Another app's `flush` in front of ours."""
    from django.core.management import get_commands

    get_commands()["flush"] = "django.core"
    try:
        return ids()
    finally:
        get_commands()["flush"] = commands.APP


def not_an_app():
    original = apps.is_installed
    apps.is_installed = lambda app: app != commands.APP and original(app)
    try:
        return ids()
    finally:
        apps.is_installed = original


def another_handler():
    """What makes connections goes past this app."""
    original = connections.create_connection
    connections.create_connection = lambda alias: ConnectionHandler.create_connection(
        connections, alias
    )
    for wrapper in connections.all(initialized_only=True):
        del connections[wrapper.alias]
    try:
        return ids()
    finally:
        connections.create_connection = original


def with_app(name):
    original = apps.is_installed
    apps.is_installed = lambda app: app == name or original(app)
    try:
        return ids()
    finally:
        apps.is_installed = original


def served_by_asgi():
    """As in a process that an ASGI server runs, whose settings say another thing."""
    sys.modules["django.core.asgi"] = sys
    try:
        return ids(arguments={"asgi": False})
    finally:
        del sys.modules["django.core.asgi"]


NEON = "postgres://u:p@ep-a-1{}.us-east-2.aws.neon.tech/app?sslmode=require"
SAME = {"DATABASE_URL": BOTH["DIRECT_URL"], "DIRECT_URL": BOTH["DIRECT_URL"]}


def differing(old, new):
    """The same pair, but for something that both URLs have."""
    return {name: url.replace(old, new) for name, url in BOTH.items()}


found = {
    "clean": ids(),
    "neon": ids({"DATABASE_URL": NEON.format("-pooler"), "DIRECT_URL": NEON.format("")}),
    "E001": ids({}, asked=["default"]),
    "E001 direct": ids({}, asked=["direct"]),
    "E001 other": ids({}, asked=["other"]),
    "E002": ids(edit=option("default", "options", "-c search_path=a")),
    "E002 neon": ids(edit=option("default", "options", "endpoint=ep-a")),
    "E002 one endpoint": ids(SAME, edit=option("default", "options", "-c search_path=a")),
    "E003": ids(edit=option("default", "assume_role", "owner")),
    "E004": ids(edit=entry("default", "TEST", {"MIRROR": "direct"})),
    "W001": ids(edit=entry("default", "DISABLE_SERVER_SIDE_CURSORS", False)),
    "W002": shadowed(),
    "W003": ids(edit=entry("direct", "HOST", "pooled.db.prisma.io")),
    "W004": ids(
        {**BOTH, "DATABASE_URL": NEON.format("-pooler"), "DIRECT_URL": NEON.format("")},
        edit=entry("default", "HOST", "ep-a-1.us-east-2.aws.neon.tech"),
    ),
    "W004 by databases()": ids(
        {"DATABASE_URL": "postgres://u:p@db.abcd.supabase.co:5432/postgres?sslmode=require"}
    ),
    "W005": ids(arguments={"options": {"pool": True}}),
    "W005 asgi": ids(
        arguments={"options": {"pool": True}}, ASGI_APPLICATION="proj.asgi.application"
    ),
    "W006": ids(ASGI_APPLICATION="proj.asgi.application", arguments={"conn_max_age": 30}),
    "W006 by default": ids(ASGI_APPLICATION="proj.asgi.application"),
    "W006 served": served_by_asgi(),
    "W006 off": ids(ASGI_APPLICATION="proj.asgi.application", arguments={"conn_max_age": 0}),
    "W007": ids(arguments={"conn_health_checks": False}),
    "W007 off": ids(arguments={"conn_health_checks": False, "conn_max_age": 0}),
    "W008": ids(edit=prepared()),
    "W008 none": ids(edit=prepared(threshold=None)),
    "W008 client-side binding": ids(edit=option("default", "prepare_threshold", 5)),
    "W008 asked for": ids(arguments={"prepared": True}),
    "W008 neon": ids(
        {"DATABASE_URL": NEON.format("-pooler"), "DIRECT_URL": NEON.format("")}, edit=prepared()
    ),
    "W008 one endpoint": ids(SAME, edit=prepared()),
    "prepared, kept": doctor(True, arguments={"prepared": True}),
    "prepared, kept, by options": doctor(True, edit=prepared()),
    "prepared, lost": doctor(False, arguments={"prepared": True}),
    "prepared, lost, by options": doctor(False, edit=prepared()),
    "not prepared, lost": doctor(False),
    "prepared, unknown, by options": doctor(None, edit=prepared()),
    **{f"W009 {app}": with_app(app) for app in checks.SESSION_APPS},
    "W010": ids({"DATABASE_URL": NEON.format(""), "DIRECT_URL": NEON.format("-pooler")}),
    "W011": ids(PPG_DIRECT_COMMANDS=["nothing_has_it"]),
    "W012": ids(edit=entry("default", "HOST", "elsewhere.example")),
    "W012 replaced": ids(edit=replaced),
    "W012 replaced socket": ids({**BOTH, "DATABASE_URL": "postgres://u@/app"}, edit=replaced),
    "W013": ids({}),
    "W013 all": ids({}, asked=ALL),
    "W013 no tests": ids({}, asked={}),
    "W014": not_an_app(),
    "W015": another_handler(),
    "W016": ids(archive=BOTH),
    "W016 by default": ids(differing(":6432", ""), archive=differing(":6432", ":5432")),
    "W016 changed": ids(archive=BOTH, edit=entry("archive", "HOST", "archive.example")),
    "W016 no URL": ids({}, archive={}),
    "another database": ids(archive=differing("/app", "/archive")),
    "another user": ids(archive=differing("u:p", "v:p")),
    "another server": ids(archive=differing(".example", ".example.org")),
    "another port": ids(archive=differing(":6432", ":6433")),
    "I001": ids({"DATABASE_URL": BOTH["DATABASE_URL"]}),
    "I002": ids(SAME),
    "I002 local": ids(
        {
            "DATABASE_URL": "postgres://u:p@localhost/app",
            "DIRECT_URL": "postgres://u:p@localhost/app",
        }
    ),
    "forced": ids({**BOTH, "PPG_DIRECT": "1"}, arguments={"direct_options": {"options": "-c a=b"}}),
}
json.dump(found, sys.stdout)
