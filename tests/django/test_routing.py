"""The swap itself: in a live process, with threads, nested, in transactions, under ASGI."""

from __future__ import annotations

import pytest


@pytest.fixture
def ports(project):
    return {
        project.generated.pooled.port: "pooled",
        project.generated.direct.port: "direct",
    }


def named(value, ports):
    if isinstance(value, dict):
        return {key: named(item, ports) for key, item in value.items()}
    if isinstance(value, list):
        return [named(item, ports) for item in value]
    return ports.get(value, value)


def test_a_command_in_a_live_process_restores_everything(project, ports):
    found = project.python(
        """
        import copy
        def shown():
            return {key: repr(value) for key, value in connections.settings["default"].items()}
        from django.db.models.signals import post_migrate
        def during(**_):
            ports.append(port())
        post_migrate.connect(during)
        before = shown()
        ports = [port()]
        call_command("migrate", "shop", verbosity=0)
        del ports[2:]  # one for each app
        ports.append(connection.connection)  # nothing is left open
        ports.append(port())
        try:
            call_command("migrate", "no_such_app")
        except Exception as error:
            ports.append(type(error).__name__)
        ports.append(port())
        result([ports, before == shown()])
        """
    )
    assert named(found, ports) == [
        ["pooled", "direct", None, "pooled", "CommandError", "pooled"],
        True,
    ]


def test_other_threads_keep_open_connections_and_open_direct_ones(project, ports):
    """What the docstring of direct_connection() says, and that all of it ends with the block."""
    found = project.python(
        """
        from concurrent.futures import ThreadPoolExecutor
        from django.db import close_old_connections
        def cursors():
            return bool(connections.settings["default"]["DISABLE_SERVER_SIDE_CURSORS"])
        with ThreadPoolExecutor(1) as early, ThreadPoolExecutor(1) as late:
            seen = {"early before": early.submit(port).result()}
            with direct_connection():
                seen["here"] = port()
                seen["early"] = early.submit(port).result()
                seen["late"] = late.submit(port).result()
                seen["cursors off"] = [cursors(), early.submit(cursors).result()]
            seen["here after"] = port()
            seen["cursors off after"] = [cursors(), early.submit(cursors).result()]
            late.submit(close_old_connections).result()  # as at the end of a request
            seen["late after"] = late.submit(port).result()
            seen["early after"] = early.submit(port).result()
            for executor in (early, late):
                executor.submit(connections.close_all).result()
        result(seen)
        """
    )
    assert named(found, ports) == {
        "early before": "pooled",
        "here": "direct",
        "early": "pooled",
        "late": "direct",
        "cursors off": [False, True],
        "here after": "pooled",
        "cursors off after": [True, True],
        "late after": "pooled",
        "early after": "pooled",
    }


def test_nested_and_in_two_threads_the_last_one_out_restores(project, ports):
    found = project.python(
        """
        import threading
        seen = []
        ready, go, inside, leave = [threading.Event() for _ in range(4)]
        def other():
            seen.append(port())
            ready.set()
            go.wait(30)
            with direct_connection("direct"):
                seen.append(port())
                inside.set()
                leave.wait(30)
                seen.append(port())
            seen.append(port())
            connections.close_all()
        thread = threading.Thread(target=other)
        thread.start()
        ready.wait(30)
        with direct_connection():
            with direct_connection("direct") as inner:
                seen.append(port(inner))
            seen.append(port())
            go.set()
            inside.wait(30)
        seen.append(connections.settings["default"]["PORT"])  # the thread is still inside
        leave.set()
        thread.join(30)
        seen.append(port())
        result(seen)
        """
    )
    assert named(found, ports) == [
        "pooled",  # the other thread, before
        "direct",
        "direct",
        "direct",  # the other thread, inside
        "direct",
        "direct",  # the other thread, alone inside
        "pooled",
        "pooled",
    ]


def test_inside_a_transaction_nothing_changes(project, ports):
    project.manage("migrate", "shop")
    found = project.python(
        """
        import io, warnings
        err = io.StringIO()
        with transaction.atomic():
            Item.objects.create(name="kept")
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                with direct_connection():
                    inside = port()
            call_command("migrate", "shop", verbosity=2, stdout=io.StringIO(), stderr=err)
        result([
            inside,
            [str(one.message) for one in said],
            said[0].filename == __file__,
            err.getvalue(),
            Item.objects.count(),
        ])
        """
    )
    inside, (said,), here, error, count = named(found, ports)
    assert inside == "pooled"
    assert "before transaction.atomic()" in said
    assert here
    assert "stays on its connection" in error
    assert count == 1


def test_a_transaction_in_another_thread_is_not_lost_either(project, ports):
    """One thread is on direct already; this one has something open, and keeps it."""
    project.manage("migrate", "shop")
    found = project.python(
        """
        import threading, warnings
        warnings.simplefilter("ignore")
        inside, leave = threading.Event(), threading.Event()
        def other():
            with direct_connection():
                inside.set()
                leave.wait(30)
        thread = threading.Thread(target=other)
        with transaction.atomic():
            Item.objects.create(name="kept")
            thread.start()
            inside.wait(30)
            with direct_connection():
                seen = port()
            leave.set()
            thread.join()
        result([seen, Item.objects.count(), port()])
        """
    )
    assert named(found, ports) == ["pooled", 1, "pooled"]


def test_what_somebody_changed_meanwhile_stays(project, ports):
    """A test runner's NAME, a rotation's PASSWORD."""
    found = project.python(
        """
        settings = connections.settings["default"]
        with direct_connection():
            settings["NAME"] = "test_x"
            settings["PASSWORD"] = "rotated"
        kept = [settings["NAME"], settings["PASSWORD"], settings["PORT"]]
        with direct_connection():
            inside = [settings["NAME"], settings["PORT"]]
        result([kept, inside])
        """
    )
    pooled, direct = ports
    assert found == [["test_x", "rotated", pooled], ["test_x", direct]]


def test_edits_of_the_direct_alias_are_what_counts(project, servers, pooled_logins):
    """A migration role of its own, given in settings after databases() was called."""
    other = servers.generate("owner", database=project.generated.direct.database)
    project.settings(
        f"""
        DATABASES["direct"]["USER"] = {other.direct.user!r}
        DATABASES["direct"]["PASSWORD"] = {other.direct.password.reveal()!r}
        """
    )
    found = project.python(
        """
        def user():
            with connection.cursor() as cursor:
                cursor.execute("SELECT session_user")
                return cursor.fetchone()[0]
        with direct_connection():
            inside = user()
        result([inside, user()])
        """
    )
    assert found == [other.direct.user, project.generated.pooled.user]


def test_an_alias_that_is_not_ours_is_left_alone(project):
    project.settings(
        'DATABASES["other"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}'
    )
    found = project.python(
        """
        from django.db.utils import ConnectionDoesNotExist
        with direct_connection("other") as other:
            vendor = other.vendor
        try:
            with direct_connection("typo"):
                pass
        except ConnectionDoesNotExist as error:
            result([vendor, str(error)])
        """
    )
    assert found == ["sqlite", "The connection 'typo' doesn't exist."]


def test_an_exception_restores_too(project, ports):
    found = project.python(
        """
        try:
            with direct_connection():
                raise RuntimeError(str(port()))
        except RuntimeError as error:
            result([int(str(error)), port()])
        """
    )
    assert named(found, ports) == ["direct", "pooled"]


def test_async_views_and_commands_beside_them(project, ports):
    project.write(
        "proj/urls.py",
        """
        from django.http import JsonResponse
        from django.urls import path
        from shop.models import Item
        from django.db import connection
        from asgiref.sync import sync_to_async
        def here():
            connection.ensure_connection()
            return connection.connection.info.port
        async def view(request):
            item = await Item.objects.acreate(name="async")
            return JsonResponse({"count": await Item.objects.acount(), "port": await sync_to_async(here)()})
        urlpatterns = [path("", view)]
        """,
    )
    found = project.python(
        """
        import asyncio
        from asgiref.sync import sync_to_async
        from django.test import AsyncClient
        async def main():
            await sync_to_async(call_command)("migrate", "shop", verbosity=0)
            client = AsyncClient()
            one = (await client.get("/")).json()
            await sync_to_async(call_command)("migrate", "shop", verbosity=0)
            two = (await client.get("/")).json()
            return [one, two]
        result(asyncio.run(main()))
        """
    )
    assert named(found, ports) == [
        {"count": 1, "port": "pooled"},
        {"count": 2, "port": "pooled"},
    ]


def test_forked_workers_start_on_pooled_even_during_a_command(project, ports):
    """A fork inside the block inherits it; one outside, from a parent that used it, does not."""
    found = project.python(
        """
        import os, threading
        def in_child():
            reading, writing = os.pipe()
            pid = os.fork()
            if pid == 0:
                connections["default"].connection = None  # the parent's socket
                with direct_connection():
                    inside = port()
                os.write(writing, f"{inside} {port()}".encode())
                os._exit(0)
            os.close(writing)
            text = os.read(reading, 100).decode()
            os.waitpid(pid, 0)
            return [int(word) for word in text.split()]
        with direct_connection():
            port()
        port()
        outside = in_child()
        # Another thread holds the lock at the moment of the fork; the child must not wait for it.
        from ppg_integrations.django import swapping
        held, done = threading.Event(), threading.Event()
        def hold():
            with swapping.lock:
                held.set()
                done.wait(30)
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(30)
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        locked = in_child()
        done.set()
        thread.join()
        result([outside, locked])
        """
    )
    assert named(found, ports) == [["direct", "pooled"], ["direct", "pooled"]]


def test_the_native_pool_is_closed_and_comes_back(project, ports):
    """Pools are kept on the class by alias, with the parameters they were made with."""
    if project.python(
        "from django.db.backends.postgresql.psycopg_any import is_psycopg3; result(is_psycopg3)"
    ):
        project.settings('DATABASES = databases(options={"pool": {"min_size": 1, "max_size": 2}})')
        found = project.python(
            """
            from concurrent.futures import ThreadPoolExecutor
            seen = [port()]
            connection.close()
            with ThreadPoolExecutor(1) as early, ThreadPoolExecutor(1) as late:
                seen.append(early.submit(port).result())
                with direct_connection():
                    seen += [port(), early.submit(port).result(), late.submit(port).result()]
                # As at the end of a request: connections of both sorts go where they came from.
                for executor in (early, late):
                    executor.submit(connections.close_all).result()
                    seen.append(executor.submit(port).result())
                    executor.submit(connections.close_all).result()
            seen.append(port())
            connections.close_all()
            connection.close_pool()
            result(seen)
            """
        )
        assert named(found, ports) == [
            "pooled",
            "pooled",
            "direct",
            "pooled",
            "direct",
            "pooled",
            "pooled",
            "pooled",
        ]
    else:
        project.settings('DATABASES = databases(options={"pool": True})')
        done = project.manage("migrate", "shop", status=1)
        assert "psycopg" in done.stderr


def test_a_rotation_in_place_reaches_every_thread(project, ports):
    """Django reads the dictionary at each connect, so no ENGINE of ours is needed for this."""
    found = project.python(
        """
        good = connections.settings["default"]["PASSWORD"]
        connections.settings["default"]["PASSWORD"] = "wrong"
        try:
            port()
        except Exception as error:
            first = type(error).__name__
        connections.settings["default"]["PASSWORD"] = good
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(1) as other:
            result([first, port(), other.submit(port).result()])
            other.submit(connections.close_all).result()
        """
    )
    assert named(found, ports) == ["OperationalError", "pooled", "pooled"]
