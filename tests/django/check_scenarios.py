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

from ppg_integrations.django import checks, commands, databases, installed, state  # noqa: E402

BOTH = {
    "DATABASE_URL": "postgres://u:p@pooler.example:6432/app?sslmode=require",
    "DIRECT_URL": "postgres://u:p@server.example:5432/app?sslmode=require",
}


ALL = ["default", "direct"]


def ids(environ=BOTH, *, edit=None, arguments=None, asked=None, **overrides):
    """Ids, levels, messages and hints that the checks give for settings made from ``environ``."""
    state.clear()
    made = databases(False, environ=environ, **(arguments or {}))
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


NEON = "postgres://u:p@ep-a-1{}.us-east-2.aws.neon.tech/app?sslmode=require"
SAME = {"DATABASE_URL": BOTH["DIRECT_URL"], "DIRECT_URL": BOTH["DIRECT_URL"]}

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
    "W006": ids(ASGI_APPLICATION="proj.asgi.application"),
    "W006 off": ids(ASGI_APPLICATION="proj.asgi.application", arguments={"conn_max_age": 0}),
    "W007": ids(arguments={"conn_health_checks": False}),
    "W007 off": ids(arguments={"conn_health_checks": False, "conn_max_age": 0}),
    "W008": ids(edit=option("default", "prepare_threshold", 5)),
    "W008 none": ids(edit=option("default", "prepare_threshold", None)),
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
