"""Connections that requests keep: tested when they were idle, and only then."""

from __future__ import annotations

import pytest

from tests.django.rotating import Rotating

HEAD = """
proxy = TCPProxy(("127.0.0.1", PORTS["pooled"])).__enter__()

def size(question):
    before = proxy.passed["client"]
    question()
    return proxy.passed["client"] - before

pings = []

def asked(question=request, old=10):
    '''Whether the server is asked whether the connection is alive, each of three times.'''
    Wrapper = type(connections["default"])
    usable = Wrapper.is_usable
    Wrapper.is_usable = lambda self: pings.append(self) or usable(self)
    try:
        for _ in range(3):  # what the server says late, such as a ticket of TLS, has it asked once
            age(old)
            before = len(pings)
            question()
            if len(pings) == before:
                return False
        return True
    finally:
        Wrapper.is_usable = usable

def heard():
    '''Until the kernel knows that the other end has closed.'''
    deadline = time.monotonic() + 10
    while not liveness.has_news(connection.connection.fileno()):
        assert time.monotonic() < deadline

def done(value):
    connections.close_all()
    proxy.__exit__(None, None, None)
    result(value)
"""


@pytest.fixture
def rotating(project, servers):
    return Rotating(project, servers)


def test_only_what_was_idle_costs_a_round_trip(rotating):
    assert rotating.script(
        """
        seen = {}
        through(proxy)
        request()
        seen["default"] = asked()
        seen["inside a request"] = asked(ask)
        seen["used a moment ago"] = asked(old=0)
        through(proxy, alive_window=60)
        request()
        seen["wide window"] = asked()
        through(proxy, conn_health_checks=False)
        request()
        seen["no health checks"] = asked()
        through(proxy, alive_window=0)
        request()
        seen["no window"] = asked(old=0)
        seen["no window, inside a request"] = asked(ask, old=0)
        done(seen)
        """,
        head=HEAD,
    ) == {
        "default": True,
        "inside a request": True,
        "used a moment ago": False,
        "wide window": False,
        "no health checks": False,
        "no window": True,
        "no window, inside a request": False,
    }


def test_what_died_while_it_was_idle_costs_no_request(rotating):
    first, _ = rotating.users
    assert (
        rotating.script(
            """
        liveness.ANSWER = 0.3
        through(proxy)
        seen = [request()]
        proxy.cut()
        heard()
        seen.append(request())  # used a moment ago, and the kernel knows
        age(10)
        proxy.cut(reset=True)
        seen.append(request())
        # A firewall has forgotten it: nobody hears of that.
        Wrapper = type(connections["default"])
        usable = Wrapper.is_usable
        def thaw(self):
            try:
                return usable(self)
            finally:
                proxy._frozen.clear()
        Wrapper.is_usable = thaw
        proxy.freeze()
        age(10)
        began = time.monotonic()
        seen.append(request())
        Wrapper.is_usable = usable
        assert 0.3 <= time.monotonic() - began < 5
        # A worker that sees no request.
        ask()
        proxy.cut()
        heard()
        age(10)
        seen.append(ask())
        done(seen)
        """,
            head=HEAD,
        )
        == [first] * 5
    )


def test_what_may_be_in_use_is_not_replaced_silently(rotating):
    """Whatever a session held is lost with it, and its user has to hear of that."""
    first, _ = rotating.users
    assert rotating.script(
        """
        through(proxy)
        seen = []
        def interrupted():
            with transaction.atomic():
                ask()
                proxy.cut()
                heard()
                age(10)
                ask()
        seen.append(failure(interrupted) is not None)
        seen.append(request())
        connection.set_autocommit(False)
        ask()
        proxy.cut()
        heard()
        age(10)
        seen.append(failure(ask) is not None)
        seen.append(request())
        proxy.target = ("127.0.0.1", PORTS["direct"])
        through(proxy, half="direct")
        connections.settings["direct"] |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
        ask(alias="direct")
        proxy.cut()
        connection = connections["direct"]
        heard.__globals__["connection"] = connection
        heard()
        age(10, "direct")
        seen.append(failure(lambda: ask(alias="direct")) is not None)
        connection.close()
        ask(alias="direct")
        proxy.cut()
        heard()
        seen.append(request(alias="direct"))  # as Django does
        done(seen)
        """,
        head=HEAD,
    ) == [True, first, True, first, True, first]


def test_a_worker_that_sees_no_request_goes_on_after_a_connection_was_lost(rotating):
    first, _ = rotating.users
    assert rotating.script(
        """
        through(proxy)
        seen = [ask()]
        proxy.cut()
        heard()
        time.sleep(0.1)
        seen.append(ask())  # lost while the worker rested
        wrapper = connections["default"]
        with wrapper.cursor() as cursor:  # lost while it was working
            proxy.cut()
            heard()
            try:
                cursor.execute("SELECT 1")
            except OperationalError:
                seen.append("lost")
        seen.append(ask())
        with connections["direct"].cursor() as cursor:
            cursor.execute("SELECT 1")
        done(seen)
        """,
        head=HEAD,
    ) == [first, first, "lost", first]


def test_the_native_pool_tests_what_was_idle(rotating):
    if not rotating.python(
        "from django.db.backends.postgresql.psycopg_any import is_psycopg3; result(is_psycopg3)"
    ):
        return  # psycopg2 has no pool
    assert (
        rotating.script(
            """
        from ppg_integrations.django import native_pool
        through(proxy, options={"pool": {"min_size": 1, "max_size": 1}})
        request()  # a new connection is tested
        recent = min(size(request) for _ in range(3))
        for each in native_pool._used:
            native_pool._used[each] -= 10
        assert size(request) > recent
        # One that died is caught in the window, too.
        (pooled,) = list(native_pool._used)
        proxy.cut()
        deadline = time.monotonic() + 10
        while not liveness.has_news(pooled.fileno()):
            assert time.monotonic() < deadline
        seen = request()
        connection.close_pool()
        done(seen)
        """,
            head=HEAD,
        )
        == rotating.users[0]
    )
