"""A connection that cannot be opened at once: what passes is waited for, the rest says what to do."""

from __future__ import annotations

import pytest

from tests.django.rotating import Rotating


@pytest.fixture
def rotating(project, servers):
    return Rotating(project, servers)


def test_what_passes_is_waited_for_and_nothing_else_is(rotating):
    passing, permanent = rotating.script(
        """
        logging.disable()
        target = ("127.0.0.1", PORTS["pooled"])
        passing, permanent = [], []
        for moods in (
            [waking.STARTING, waking.UPSTREAM], [waking.GONE], [waking.NO_TLS], [waking.FULL]
        ):
            with Waking(target, moods) as server:
                through(server)
                passing.append([request(), server.accepted - len(moods)])
                connections.close_all()
        for mood in (waking.WRONG, waking.UNKNOWN):
            with Waking(target, [mood]) as server:
                through(server)
                permanent.append([failure(), server.accepted])
        with TCPProxy(target) as proxy:  # nobody ever listened there
            proxy.refuse()
            through(proxy)
            permanent.append([failure(), 1])
        result([passing, permanent])
        """
    )
    assert passing == [[rotating.users[0], 1]] * 4
    said, attempts = zip(*permanent, strict=True)
    assert attempts == (1, 1, 1)
    assert "password authentication failed" in said[0]
    assert 'database "shop" does not exist' in said[1]
    assert "onnection refused" in said[2]
    for text in said:
        first, second = text.splitlines()[-2:]
        assert first, text
        assert f"is from DATABASE_URL in {rotating.folder}/.env. " in second
        assert len(second.split(". ", 1)[1]) > 20, "the next step"


def test_how_long_is_a_setting(rotating):
    """A total, within which each attempt is limited; 0 makes one attempt."""
    found = rotating.script(
        """
        from ppg_integrations import connecting
        logging.disable()
        Wrapper = type(connection._connections["default"])
        target = ("127.0.0.1", PORTS["pooled"])

        def attempts(deadline, **arguments):
            with Waking(target, [waking.STARTING] * 1000) as server:
                through(server, connect_deadline=deadline, **arguments)
                timeouts = []
                open_ = Wrapper.get_new_connection
                def spy(self, parameters):
                    timeouts.append(parameters["connect_timeout"])
                    return open_(self, parameters)
                Wrapper.get_new_connection = spy
                try:
                    began = time.monotonic()
                    assert "starting up" in failure()
                    return [server.accepted, time.monotonic() - began, timeouts]
                finally:
                    Wrapper.get_new_connection = open_

        result([attempts(0), attempts(0.5), attempts(0.2, options={"connect_timeout": 1})])
        """
    )
    (once, _, own), (several, seconds, limited), (_, _, shorter) = found
    assert once == 1
    assert own == [10]
    assert several > 1
    assert seconds < 2
    assert {*limited} == {2}  # libpq's least
    assert {*shorter} == {1}


def test_a_server_that_was_there_is_waited_for_when_it_refuses(rotating):
    assert (
        rotating.script(
            """
        logging.disable()
        with TCPProxy(("127.0.0.1", PORTS["pooled"])) as proxy:
            through(proxy)
            seen = [request()]
            connections.close_all()
            proxy.refuse()
            back = threading.Timer(0.3, proxy.listen)
            back.start()
            seen.append(request())
            back.join()
            connections.close_all()
        result(seen)
        """
        )
        == [rotating.users[0]] * 2
    )


def test_what_is_tried_again(rotating):
    """Connecting, with what Django sends to set the session up; nobody else's statements."""
    assert rotating.script(
        """
        from django.db.backends.base.base import BaseDatabaseWrapper
        from django.db.backends.signals import connection_created
        logging.disable()
        Wrapper = type(connection._connections["default"])
        seen = {}

        # As Sentry does, after everything was set up.
        connect = BaseDatabaseWrapper.connect
        def traced(self):
            seen["traced"] = seen.get("traced", 0) + 1
            return connect(self)
        BaseDatabaseWrapper.connect = traced

        initialise = Wrapper.init_connection_state
        half = []
        def dying(self):
            half.append(self.connection)
            if len(half) == 1:
                raise self.Database.OperationalError("server closed the connection unexpectedly")
            return initialise(self)
        Wrapper.init_connection_state = dying
        request()
        seen["set up again"] = [len(half), half[0].closed is not False and bool(half[0].closed)]
        Wrapper.init_connection_state = initialise
        connections.close_all()

        calls = []
        def receiver(sender, connection, **kwargs):
            calls.append(connection.alias)
            raise connection.Database.OperationalError("the database system is starting up, here")
        connection_created.connect(receiver)
        said = failure()
        connection_created.disconnect(receiver)
        seen["receiver"] = [calls, said]
        connections.close_all()

        # Rotated between the look at the store and the login.
        opens = Wrapper.get_new_connection
        def late(self, parameters):
            Wrapper.get_new_connection = opens
            store("second")
            raise self.Database.OperationalError('password authentication failed for user "x"')
        Wrapper.get_new_connection = late
        seen["rotated meanwhile"] = request()
        BaseDatabaseWrapper.connect = connect
        connections.close_all()
        result(seen)
        """
    ) == {
        "traced": 5,
        "set up again": [2, True],
        "receiver": [["default"], "the database system is starting up, here"],
        "rotated meanwhile": rotating.users[1],
    }


def test_a_native_pool_that_cannot_connect_says_where_it_tried(rotating):
    if not rotating.python(
        "from django.db.backends.postgresql.psycopg_any import is_psycopg3; result(is_psycopg3)"
    ):
        return  # psycopg2 has no pool
    said, attempts = rotating.script(
        """
        logging.disable()
        with Waking(("127.0.0.1", PORTS["pooled"]), [waking.STARTING] * 1000) as server:
            through(server, options={"pool": {"min_size": 0, "max_size": 1, "timeout": 0.3}})
            said, attempts = failure(), server.accepted
            connection.close_pool()
        result([said, attempts])
        """
    )
    assert "couldn't get a connection after 0.30 sec; the logger psycopg.pool has the" in said
    assert f"is from DATABASE_URL in {rotating.folder}/.env." in said
    assert attempts >= 1


def test_no_secret_shows_where_connecting_failed(rotating):
    """In what error reporters make of an exception: frames with their variables, pages, dumps."""
    found = rotating.script(
        """
        import io, sys
        from contextlib import redirect_stdout
        from django.test import RequestFactory
        from django.views.debug import ExceptionReporter
        secret = "open-sesame-open"
        for half in ("pooled", "direct"):
            url = PAIRS["first"][half]
            head, _, tail = url.partition("@")
            PAIRS["first"][half] = f"{head.rpartition(':')[0]}:{secret}@{tail}"
        store("first")
        settle()

        def said(alias):
            try:
                request("SELECT 1", alias)
            except OperationalError as error:
                kind, value, trace = sys.exc_info()
                assert "authentication failed" in str(error)
                reporter = ExceptionReporter(RequestFactory().get("/"), kind, value, trace)
                yield reporter.get_traceback_html()
                yield reporter.get_traceback_text()
                report = traceback.TracebackException(kind, value, trace, capture_locals=True)
                yield "".join(report.format())
                while value is not None:  # as Sentry does, causes and contexts too
                    frames = value.__traceback__
                    while frames is not None:
                        yield repr(frames.tb_frame.f_locals)
                        frames = frames.tb_next
                    yield repr(vars(value))
                    value = value.__cause__ or value.__context__

        from django.conf import settings
        settings.DEBUG = True
        seen = {alias: [secret in text for text in said(alias)] for alias in ("default", "direct")}
        assert len(seen["default"]) > 10
        with redirect_stdout(io.StringIO()) as dump:
            call_command("diffsettings", all=True)
        assert "DATABASES" in dump.getvalue()
        seen["diffsettings"] = [secret in dump.getvalue()]
        seen["settings"] = [secret in repr(connections.settings)]
        result({name: any(shown) for name, shown in seen.items()})
        """
    )
    assert found == {"default": False, "direct": False, "diffsettings": False, "settings": False}
