"""Listeners, locks and long jobs in a server: on direct, and ``default`` stays where it is."""

from __future__ import annotations

import textwrap

import pytest

from tests.django.rotating import Rotating

HEAD = """
from django.db import close_old_connections, transaction
from ppg_integrations import listening
from ppg_integrations.django import advisory_lock, direct_session, listen
from ppg_integrations.errors import LockLostError, LockNotAvailableError

def send(payload, channel="jobs"):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [channel, payload])

def ours():
    '''The server's ports that our sessions use at the moment, and what they call themselves.'''
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid, application_name FROM pg_stat_activity"
                       " WHERE application_name LIKE 'ppg %%' AND datname = current_database()")
        return dict(cursor.fetchall())

def end():
    with direct_session(name="killer") as session, session.cursor() as cursor:
        cursor.execute("SET ROLE NONE")  # it acts as the owner of the database
        for pid in ours():
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
"""


def python(project, code):
    return project.python(HEAD + textwrap.dedent(code))


def test_beside_requests_that_stay_on_the_pooler(project, generated):
    """Inside of a transaction too: nothing is switched."""
    seen = python(
        project,
        """
        seen = []
        with transaction.atomic(), advisory_lock("nightly", wait=0) as lock:
            seen += [port(), lock.held]
            try:
                with advisory_lock("nightly", wait=0, alias="direct"):
                    seen.append("twice")
            except LockNotAvailableError as error:
                seen.append("ppg lock nightly" in str(error))
            with direct_session() as session:
                seen += [int(session.info.port), session is connections["direct"].connection]
            with connections["direct"].cursor() as cursor:
                cursor.execute("SELECT 1")
            seen += [int(connections["direct"].connection.info.port), port()]
        def both():
            assert list(ours().values()) == ["ppg listen jobs"]
            with transaction.atomic():
                send("one")
                send("two", "others")
            send("three")
        heard = listen("jobs", catch_up=both, timeout=20)
        seen += [next(heard).payload, next(heard).payload]
        end()
        heard.close()
        try:
            with advisory_lock("nightly", wait=0):
                end()
        except LockLostError:
            seen.append("lost")
        seen.append(port())
        result([seen, list(connections), [c.alias for c in connections.all(True)]])
        """,
    )
    pooled, direct = generated.pooled.port, generated.direct.port
    assert seen == [
        [pooled, True, True, direct, False, direct, pooled, "one", "three", "lost", pooled],
        ["default", "direct"],
        ["default", "direct"],
    ]


def test_a_listener_follows_a_rotation_and_a_loss(project, servers):
    rotating = Rotating(project, servers)
    first, second = rotating.users
    assert rotating.script(
        head=HEAD,
        code="""
        listening.LOOK = 0.05
        begun = []
        def catch_up():
            begun.append(1)
            send(f"begun {len(begun)}")
        heard = listen("jobs", catch_up=catch_up, timeout=30)
        seen = [next(heard).payload]
        def users():
            with connections["default"].cursor() as cursor:
                cursor.execute("SELECT usename FROM pg_stat_activity"
                               " WHERE application_name LIKE 'ppg listen%%'"
                               " AND datname = current_database()")
                return [name for name, in cursor.fetchall()]
        seen += users()
        store("second")
        before, after = ours().keys(), []
        while ours().keys() & before or not after:
            send("while it goes over")
            after.append(next(heard).payload)
        seen += users() + sorted({*after})
        end()
        send("lost")
        seen.append(next(heard).payload)
        while seen[-1] == "while it goes over":
            seen[-1] = next(heard).payload
        heard.close()
        result(seen)
        """,
    ) == ["begun 1", first, second, "while it goes over", "begun 2"]


def test_a_server_is_told_what_is_missing(project, generated):
    """Never the pooled endpoint instead."""
    project.environ["DIRECT_URL"] = ""
    assert (
        python(
            project,
            """
        seen = []
        for enter in (lambda: next(listen("jobs")), lambda: advisory_lock("x").__enter__(),
                      lambda: direct_session().__enter__()):
            try:
                enter()
            except Exception as error:
                seen.append([type(error).__name__, "DIRECT_URL" in str(error)])
        result(seen)
        """,
        )
        == [["MissingDirectURLError", True]] * 3
    )


def test_an_alias_that_is_none(project):
    seen = python(
        project,
        """
        seen = []
        for alias in ("nope", None, ["default"]):
            for enter in (lambda: next(listen("jobs", alias=alias)),
                          lambda: advisory_lock("x", alias=alias).__enter__(),
                          lambda: direct_session(alias=alias).__enter__()):
                try:
                    enter()
                except Exception as error:
                    seen.append([type(error).__name__, error.message, error.hint])
        result(seen)
        """,
    )
    assert len(seen) == 9
    for number, (kind, message, hint) in enumerate(seen):
        alias = ("nope", None, ["default"])[number // 3]
        assert kind == "ConfigurationError"
        assert message == f"DATABASES has no alias {alias!r}"
        assert hint == "It has 'default', 'direct'."


def test_a_test_run_has_its_own_database(project, generated):
    project.write(
        "shop/tests.py",
        """
        from django.db import connection
        from django.test import TransactionTestCase
        from ppg_integrations.django import advisory_lock, direct_session, listen

        class Test(TransactionTestCase):
            databases = ["default", "direct"]

            def test(self):
                with direct_session() as session:
                    with session.cursor() as cursor:
                        cursor.execute("SELECT current_database()::text")
                        name = cursor.fetchone()[0]
                        cursor.close()
                assert name == connection.settings_dict["NAME"], name
                assert name.startswith("test_")
                def send():
                    with connection.cursor() as cursor:
                        cursor.execute("SELECT pg_notify('jobs', 'one')")
                heard = listen("jobs", catch_up=send, timeout=20)
                assert next(heard).payload == "one"
                heard.close()
                with advisory_lock("x", wait=0):
                    pass
        """,
    )
    done = project.manage("test", "shop", PYTHONWARNINGS="error::ResourceWarning")
    assert "Ran 1 test" in done.stderr


@pytest.mark.parametrize("kind", ["sqlite", "unconfigured"])
def test_an_alias_that_cannot_be_used(project, kind):
    if kind == "sqlite":
        project.settings('DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3"}}\n')
        expected = ["ConfigurationError", True]
    else:
        project.environ["DATABASE_URL"] = project.environ["DIRECT_URL"] = ""
        expected = ["MissingURLError", True]
    assert (
        python(
            project,
            """
        try:
            next(listen("jobs"))
        except Exception as error:
            result([type(error).__name__, "SQLite" in str(error) or "DATABASE_URL" in str(error)])
        """,
        )
        == expected
    )
