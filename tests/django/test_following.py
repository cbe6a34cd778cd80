"""A pair that is rotated while Django runs: what connects next has it, in every kind of process."""

from __future__ import annotations

import pytest

from tests.django.rotating import Rotating
from tests.support.doubles.accounts import Accounts
from tests.support.doubles.neon import NeonDouble


@pytest.fixture
def rotating(project, servers):
    return Rotating(project, servers)


def test_requests(rotating):
    """The next one has the new pair; connections are kept before and afterwards."""
    first, second = rotating.users
    assert rotating.script(
        """
        seen = [request(), request()]
        kept = connection.connection
        store("first", more="# a comment\\n")
        seen.append(request())
        assert connection.connection is kept
        # Only the other half is new.
        store("first", ends={"direct": "&application_name=other"})
        seen.append(request())
        assert connection.connection is kept
        assert connections["direct"].settings_dict["OPTIONS"]["application_name"] == "other"
        store("second")
        seen.append(request())
        assert kept.closed
        kept = connection.connection
        seen.append(request())
        assert connection.connection is kept
        assert state.current().pair.pooled.user == seen[-1]
        assert connections["direct"].settings_dict["USER"] == seen[-1]
        result(seen)
        """
    ) == [first, first, first, first, second, second]


def test_a_worker_that_sees_no_request(rotating):
    first, second = rotating.users
    assert rotating.script(
        """
        seen = [ask()]
        store("second")
        seen.append(ask())  # the file is looked at once a second
        with transaction.atomic():
            age()
            seen.append(ask())
            with transaction.atomic():
                age()
                seen.append(ask())
        age()
        seen.append(ask())
        store("first")
        age()
        connection.set_autocommit(False)  # may still replace it
        seen.append(ask())
        store("second")
        age()
        seen.append(ask())
        connection.rollback()
        connection.set_autocommit(True)
        seen.append(ask())
        result(seen)
        """
    ) == [first, first, first, first, second, first, first, second]


def test_a_cursor_that_is_open_keeps_its_connection(rotating):
    first, second = rotating.users
    assert rotating.script(
        """
        cursor = connection.cursor()
        cursor.execute("SELECT generate_series(1, 3)")
        store("second")
        age()
        seen = [ask()]
        assert len(cursor.fetchall()) == 3
        cursor.execute("SELECT session_user")
        seen.append(cursor.fetchone()[0])
        cursor.close()
        age()
        seen.append(ask())
        result(seen)
        """
    ) == [first, first, second]


def test_direct_connections_keep_their_session(rotating):
    """Replaced where Django itself would close them; a session may hold a lock, or a table."""
    first, second = rotating.users
    ports = [rotating.first.pooled.port, rotating.first.direct.port]
    assert rotating.script(
        """
        direct = "direct"
        connections.settings[direct]["CONN_MAX_AGE"] = 60
        hold = "SELECT set_config('app.held', session_user, false)"
        held = "SELECT current_setting('app.held', true)"
        ask(hold, direct)
        store("second")
        age(alias=direct)
        seen = [ask(held, direct)]
        close_old_connections()
        seen.append(ask(alias=direct))
        with direct_connection() as session:
            seen.append(ask(hold))
            store("first")
            age()
            seen.append(ask(held))
            with direct_connection():
                seen.append(ask(held))
        seen += [request(), port()]
        result(seen)
        """
    ) == [first, second, second, second, second, first, ports[0]]


def test_a_swap_that_is_under_way(rotating):
    """The values of both endpoints follow, those in use and those that come back."""
    first, second = rotating.users
    pooled, direct = rotating.first.pooled.port, rotating.first.direct.port
    assert rotating.script(
        """
        from concurrent.futures import ThreadPoolExecutor
        def here(_=None):
            return [request(), port()]
        seen = [here()]
        with ThreadPoolExecutor(1) as early, ThreadPoolExecutor(1) as late:
            seen += early.map(here, [0])
            with direct_connection():
                seen.append(here())
                store("second", ends={"direct": "&application_name=migrations"})
                seen += early.map(here, [0])  # may be direct, as all that is opened now
                seen.append(here())
                seen += late.map(here, [0])
                options = [connections.settings["default"]["OPTIONS"]]
            seen.append(here())
            options.append({**connections.settings["default"]["OPTIONS"]})
            seen += late.map(here, [0])
            for each in (early, late):
                each.submit(connections.close_all).result()
        # What a test runner or a project has set stays.
        values = connections.settings["default"]
        values |= {"NAME": "test_x", "PASSWORD": "own"}
        values["OPTIONS"]["application_name"] = "mine"
        store("first", sslmode="verify-ca", ends={"pooled": "&application_name=theirs"})
        following.followed("default").pair()
        kept = [values["NAME"], values["PASSWORD"], values["OPTIONS"]["application_name"]]
        changed = [values["USER"], values["OPTIONS"]["sslmode"]]
        result([seen, [each.get("application_name") for each in options], [*changed, *kept]])
        """
    ) == [
        [
            [first, pooled],
            [first, pooled],
            [first, direct],
            [second, direct],
            [second, direct],
            [second, direct],
            [second, pooled],
            [second, pooled],
        ],
        ["migrations", None],
        [first, "verify-ca", "test_x", "own", "mine"],
    ]


def test_the_native_pool(rotating):
    """Under threads that queue for it: all are served, and none by the old role for long."""
    first, second = rotating.users
    if not rotating.python(
        "from django.db.backends.postgresql.psycopg_any import is_psycopg3; result(is_psycopg3)"
    ):
        return  # psycopg2 has no pool
    rotating.settings(
        'DATABASES = databases(options={"pool": {"min_size": 2, "max_size": 3, "timeout": 20}})'
    )
    found = rotating.script(
        """
        over = threading.Event()
        answers, failures = [[] for _ in range(8)], []
        def work(number):
            try:
                while not over.is_set():
                    signals.request_started.send(sender=None)
                    with transaction.atomic():
                        user = ask()
                        ask("SELECT pg_sleep(0.005)")
                    signals.request_finished.send(sender=None)
                    answers[number].append(user)
            except Exception as error:
                failures.append(repr(error))
        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        def wait_for(more):
            before = [len(each) for each in answers]
            deadline = time.monotonic() + 30
            while any(len(each) < n + more for each, n in zip(answers, before)) and not failures:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        wait_for(3)
        store("second")
        wait_for(6)
        over.set()
        for thread in threads:
            thread.join()
        pool = connection.pool
        users = {each.info.user for each in pool._pool}
        last = [each[-1] for each in answers]
        changes = [sum(a != b for a, b in zip(each, each[1:])) for each in answers]
        # The same role, and something else in the URL.
        store("second", ends={"pooled": "&application_name=other"})
        name = request("SELECT current_setting('application_name')")
        connection.close_pool()
        began = [each[0] for each in answers]
        result([failures, sorted({*last}), began, changes, sorted(users), name])
        """
    )
    assert found == [[], [second], [first] * 8, [1] * 8, [second], "other"]


def test_threads_forks_and_async_views(rotating):
    first, second = rotating.users
    rotating.write(
        "proj/urls.py",
        """
        from asgiref.sync import sync_to_async
        from django.db import connection
        from django.http import JsonResponse
        from django.urls import path

        def ask():
            with connection.cursor() as cursor:
                cursor.execute("SELECT session_user")
                return cursor.fetchone()[0]

        async def view(request):
            return JsonResponse([await sync_to_async(ask)()], safe=False)

        urlpatterns = [path("", view)]
        """,
    )
    assert rotating.script(
        """
        import asyncio
        from concurrent.futures import ThreadPoolExecutor
        from django.core.handlers.asgi import ASGIHandler
        from django.test import AsyncRequestFactory

        async def view():
            # As a server does; Django's test client leaves connections alone.
            scope = AsyncRequestFactory()._base_scope(path="/")
            sent, received = [], []
            async def receive():
                if received:
                    await asyncio.sleep(60)  # the client stays
                received.append(True)
                return {"type": "http.request", "body": b""}
            async def send(message):
                sent.append(message.get("body", b""))
            await ASGIHandler()(scope, receive, send)
            return json.loads(b"".join(sent))[0]

        def forked():
            close_old_connections()
            reading, writing = os.pipe()
            child = os.fork()
            if not child:
                for each in connections.all(initialized_only=True):
                    each.connection = None  # the parent's, as any prefork server has to do
                os.write(writing, request().encode())
                os._exit(0)
            os.waitpid(child, 0)
            os.close(writing)
            with open(reading) as answer:
                return answer.read()

        seen = [request(), asyncio.run(view()), forked()]
        with ThreadPoolExecutor(8) as threads:
            barrier = threading.Barrier(8)
            def together(_):
                barrier.wait()
                return request()
            seen += sorted({*threads.map(together, range(8))})
            store("second")
            seen += sorted({*threads.map(together, range(8))})
            for _ in range(8):
                threads.submit(lambda: (barrier.wait(), connections.close_all()))
        seen += [asyncio.run(view()), forked(), request()]
        connections.close_all()
        result(seen)
        """
    ) == [first, first, first, first, second, second, second, second]


def test_a_store_that_turns_bad_is_said_once_and_changes_nothing(rotating):
    first, second = rotating.users
    found = rotating.script(
        """
        good = ENV.read_text()
        request()
        seen = []
        for text in (
            good[: len(good) // 2 - 9],  # truncated
            "",
            "garbage",
            good.replace("/t_", "/other_"),
            # Of the same database, and no pooler would take it.
            good.replace("sslmode=", "options=-c%20work_mem%3D4MB&sslmode="),
            None,
        ):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                new = ENV.with_name("new")
                if text is None:
                    ENV.unlink()
                    ENV.mkdir()  # root may read whatever has no mode
                else:
                    new.write_text(text)
                    os.replace(new, ENV)
                moment()
                users = [request() for _ in range(3)]
                connections.close_all()
                users.append(request())
                seen.append([sorted({*users}), [str(each.message) for each in caught]])
                if text is None:
                    ENV.rmdir()
                store("first")
                request()
        store("second")
        result([seen, request()])
        """
    )
    seen, last = found
    assert last == second
    assert [users for users, _ in seen] == [[first]] * 6
    for _, said in seen:
        assert len(said) == 1, said
        assert f"{rotating.folder}/.env" in said[0]
        assert rotating.first.pooled.password.reveal() not in said[0]


def test_what_is_followed(rotating):
    """The file, also where something has loaded it into the environment; not what cannot change."""
    first, second = rotating.users
    assert rotating.script(
        """
        from dotenv import load_dotenv
        seen = {}

        def rotated(**arguments):
            store("first")
            settle(**arguments)
            users = [request()]
            store("second")
            return users + [request()]

        seen["argument"] = rotated(**PAIRS["first"])
        seen["no file"] = rotated(env_file=False, environ={
            "DATABASE_URL": PAIRS["first"]["pooled"], "DIRECT_URL": PAIRS["first"]["direct"]
        })
        store("first")
        load_dotenv(ENV)
        assert "DATABASE_URL" in os.environ
        seen["loaded"] = rotated()
        del os.environ["DATABASE_URL"], os.environ["DIRECT_URL"]

        # Forced, so that `default` is direct.
        forced = {"PPG_DIRECT": "1"}
        seen["forced"] = rotated(environ=forced)
        assert port() == PORTS["direct"]

        # A replica, and a second pair.
        def replica(name):
            url = PAIRS[name]["pooled"].replace("127.0.0.1", "localhost")
            return f"REPLICA_URL='{url}'"
        store("first", more=replica("first"))
        settle()
        assert ask(alias="replica")
        store("second", more=replica("second"))
        seen["replica"] = [request(alias="replica"), connections["replica"].settings_dict["USER"]]
        assert connections["default"].settings_dict["USER"] == seen["replica"][0]

        other = ENV.with_name("other.env")
        store("first")
        other.write_text(ENV.read_text())
        settle()
        handler = ConnectionHandler(databases(env_file=ENV) | databases(
            env_file=other, aliases=("reports", "reports_direct")
        ))
        connections.settings.update(handler.settings)
        seen["other pair"] = [request(), request(alias="reports")]
        store("second")
        seen["other pair"] += [request(), request(alias="reports")]
        del connections.settings["reports"], connections.settings["reports_direct"]

        # What somebody has pointed elsewhere is left alone.
        store("first")
        settle()
        values = connections.settings["default"]
        values["PORT"] = PORTS["direct"]
        request()
        store("second")
        seen["elsewhere"] = [request(), values["USER"], connection.is_usable()]
        store("first")
        settle()
        request()
        kept = connection.connection
        connections.settings["default"]["PORT"] = PORTS["direct"]
        store("second")
        request()
        seen["pointed elsewhere while open"] = connection.connection is kept
        result(seen)
        """,
    ) == {
        "argument": [first, first],
        "no file": [first, first],
        "loaded": [first, second],
        "forced": [first, second],
        "replica": [second, second],
        "other pair": [first, first, second, first],
        "elsewhere": [first, first, True],
        "pointed elsewhere while open": True,
    }


def test_a_pair_of_the_environment_is_not_followed(rotating):
    first, _ = rotating.users
    environ = {
        "DATABASE_URL": rotating.first.pooled.reveal(),
        "DIRECT_URL": rotating.first.direct.reveal(),
    }
    assert rotating.script(
        "seen = [request()]; store('second'); result([*seen, request()])", **environ
    ) == [first, first]


def test_what_an_api_gave_is_followed_in_its_cache(bare, servers):
    with Accounts(servers) as accounts, NeonDouble(accounts) as neon:
        bare.environ |= {
            "NEON_API_KEY": neon.token,
            "PPG_API_URL": neon.url,
            "PPG_TIMEOUT": "20",
            "XDG_CACHE_HOME": str(bare.folder / "cache"),
        }
        bare.python(
            """
            import os, re
            from pathlib import Path
            from ppg_integrations.django import state

            def ask():
                connections.close_all()
                with connections["direct"].cursor() as cursor:
                    cursor.execute("SELECT session_user")

            ask()
            cache = Path(state.current().pair.store)
            password = state.current().pair.direct.password.reveal()
            with connections["direct"].cursor() as cursor:
                cursor.execute("ALTER ROLE CURRENT_USER PASSWORD 'another'")
            new = cache.with_name("new")
            new.write_text(cache.read_text().replace(password, "another"))
            new.chmod(0o600)
            os.replace(new, cache)
            ask()
            result(True)
            """
        )


def test_what_is_left_as_it_is(rotating):
    """Copies, other engines, aliases without a URL, and a handler that others have replaced."""
    first, _ = rotating.users
    assert rotating.script(
        """
        from django.db import connections as handler
        from ppg_integrations.django import wrapping
        seen = {}
        seen["copy"] = type(connection.copy()).__name__, wrapping.is_prepared(connection.copy())
        create = handler.create_connection
        wrapping.install()
        seen["again"] = handler.create_connection is create
        handler.create_connection = lambda alias: create(alias)
        wrapping.install()
        wrapper = handler.create_connection("default")
        upkeep = wrapper._ppg_upkeep
        wrapping.prepare(wrapper)
        seen["wrapped twice"] = wrapper._ppg_upkeep is upkeep is wrapper.connect.__self__
        wrapper.close()
        handler.create_connection = create
        connections.settings["other"] = ConnectionHandler(
            {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
        ).settings["default"]
        seen["sqlite"] = wrapping.is_prepared(connections["other"])
        # One that was there before this app was ready.
        del handler.create_connection
        del connections["default"]
        assert not wrapping.is_prepared(connections["default"])
        wrapping.install()
        seen["before"] = wrapping.is_prepared(connections["default"])
        connections.close_all()
        store("first", more="")
        ENV.write_text("")
        settle()
        seen["unconfigured"] = wrapping.is_prepared(connections["default"])
        result(seen)
        """
    ) == {
        "copy": ["DatabaseWrapper", False],
        "again": True,
        "wrapped twice": True,
        "sqlite": False,
        "before": True,
        "unconfigured": False,
    }


def test_a_project_that_has_not_installed_the_app_is_told(project):
    project.settings('INSTALLED_APPS.remove("ppg_integrations.django")')
    assert "ppg.W014" in project.manage("check").stderr
