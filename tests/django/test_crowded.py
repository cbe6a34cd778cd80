"""More threads than the pooler has slots: nobody fails, and whoever needs none gives his own up."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from tests.django.project import Project
from tests.support.poolers import pooler

HEAD = """
import threading, time
from django.core import signals
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper
from ppg_integrations import waiting

asked, opened, seen = [], [], []
own = DatabaseWrapper.get_new_connection
def counting(self, parameters):
    asked.append(threading.get_ident())
    connection = own(self, parameters)
    opened.append(threading.get_ident())
    return connection
DatabaseWrapper.get_new_connection = counting

def request(seconds=0.0):
    signals.request_started.send(sender=None)
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        seen.append(cursor.fetchone()[0])
    time.sleep(seconds)
    signals.request_finished.send(sender=None)

class Idle(threading.Thread):
    '''Serves one request, and keeps its connection.'''
    def __init__(self):
        super().__init__()
        self.served, self.over = threading.Event(), threading.Event()
        self.start()
        assert self.served.wait(20)
    def run(self):
        request()
        self.served.set()
        self.over.wait(60)
        request()
        connections.close_all()
"""


@pytest.fixture
def crowded(project, servers, tmp_path):
    """The project, behind a pooler that takes two clients."""
    with pooler(servers, max_client_conn=2) as made:
        project.environ["DATABASE_URL"] = made.url(project.generated.pooled).reveal()
        project.environ["TMPDIR"] = str(tmp_path)
        project.environ["PPG_CONNECT_DEADLINE"] = "10"
        yield project


def run(project: Project, code: str, **environ: str) -> object:
    return project.python(HEAD + textwrap.dedent(code), **environ)


@pytest.mark.parametrize("age", [60, pytest.param(0, marks=pytest.mark.once)])
def test_threads_pass_connections_on(crowded, age):
    crowded.settings(f"DATABASES = databases(conn_max_age={age})")
    served, logins = run(
        crowded,
        """
        import logging
        logging.disable()
        def work():
            for _ in range(10):
                request(0.002)
            connections.close_all()
        threads = [threading.Thread(target=work) for _ in range(10)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        result([len(seen), len(opened)])
        """,
    )
    assert served == 100
    assert logins < 60  # of connections that are passed on, none is opened anew


def test_threads_that_have_nothing_to_do_lend_theirs(crowded):
    """Once the server was full, nobody asks it for what another thread has."""
    found = run(
        crowded,
        """
        threads = [Idle() for _ in range(6)]  # one after the other, and each rests
        before = [len(asked), len(opened)]
        for thread in threads: thread.over.set()
        for thread in threads: thread.join()
        result([len(seen), *before])
        """,
    )
    assert found == [12, 3, 2]


def test_a_connection_that_was_taken_over_is_its_owners_no_more(crowded):
    found = run(
        crowded,
        """
        wrappers = []
        class Owner(Idle):
            def run(self):
                request()
                wrappers.append(connections["default"])
                self.served.set()
                self.over.wait(60)
        threads = [Owner(), Owner()]
        request()
        result([each.connection is None for each in wrappers])
        for thread in threads: thread.over.set()
        for thread in threads: thread.join()
        connections.close_all()
        wrappers[0].inc_thread_sharing()
        wrappers[0].close()
        """,
    )
    assert found == [False, True]


def test_its_owner_leaves_it_alone_from_the_first_moment(crowded):
    found = run(
        crowded,
        """
        wrapper, states = connections["default"], []
        for use in wrapper.close, wrapper.ensure_connection, wrapper.cursor:
            request()
            raw = wrapper.connection
            (line,) = waiting._lines.values()
            taken = line.resting.take()
            use()
            states.append([taken.connection is raw, wrapper.connection is raw, bool(raw.closed)])
            connections.close_all()
            raw.close()
        result(states)
        """,
    )
    assert found == [[True, False, False]] * 3


@pytest.mark.once
def test_its_owner_waits_until_it_has_left(crowded):
    """Else what takes it away from him could meet the one that he has got meanwhile."""
    found = run(
        crowded,
        """
        request()
        wrapper = connections["default"]
        raw = wrapper.connection
        (line,) = waiting._lines.values()
        taken = line.resting.take()
        done = []
        def use():
            wrapper.ensure_connection()
            done.append(wrapper.connection is not raw)
        wrapper.inc_thread_sharing()
        with line.resting.leaving:
            thread = threading.Thread(target=use)
            thread.start()
            thread.join(0.2)
            before = list(done)
        thread.join()
        taken.leave()
        result([before, done, wrapper.connection is None])
        connections.close_all()
        raw.close()
        """,
    )
    assert found == [[], [True], False]


def test_what_somebody_may_go_on_with_rests_for_nobody(crowded):
    """With a cursor that is open, by another thread that shares the wrapper, in a transaction."""
    found = run(
        crowded,
        """
        (lines, states) = waiting._lines, []
        def state():
            signals.request_finished.send(sender=None)
            (line,) = lines.values()
            states.append(len(line.resting))
            signals.request_started.send(sender=None)
        wrapper = connections["default"]
        wrapper.ensure_connection()
        state()
        cursor = wrapper.cursor()
        state()
        cursor.close()
        state()
        wrapper.inc_thread_sharing()
        state()
        wrapper.dec_thread_sharing()
        (line,) = lines.values()
        line.is_wanted = lambda: True
        line.is_calm = lambda: False
        raw = wrapper.connection
        with wrapper.cursor() as cursor:
            cursor.execute("BEGIN")
        signals.request_finished.send(sender=None)
        states.append(bool(raw.closed))
        signals.request_started.send(sender=None)
        with wrapper.cursor() as cursor:
            cursor.execute("ROLLBACK")
        signals.request_finished.send(sender=None)
        states.append(bool(raw.closed))
        result(states)
        connections.close_all()
        """,
    )
    assert found == [1, 0, 1, 0, False, True]


@pytest.mark.once
def test_the_class_is_told_that_the_connection_has_gone(crowded):
    """An ENGINE may note in the wrapper what its connection is set to: django-tenants does."""
    found = run(
        crowded,
        """
        closed = []
        own_close = DatabaseWrapper.close
        def closing(self):
            closed.append(self.connection is None)
            own_close(self)
        DatabaseWrapper.close = closing
        request()
        (line,) = waiting._lines.values()
        taken = line.resting.take()
        connections["default"].ensure_connection()
        result(closed)
        connections.close_all()
        taken.close()
        """,
    )
    assert found == [True]


@pytest.mark.once
def test_one_that_was_taken_and_not_used_is_not_kept(crowded):
    found = run(
        crowded,
        """
        from django.core.exceptions import ImproperlyConfigured
        idle = Idle()
        (line,) = waiting._lines.values()
        line.refused()
        (raw,) = [each.given.connection for each in line.resting._given.values()]
        wrapper = connections["default"]
        def wrong(self):
            raise ImproperlyConfigured
        own_parameters = DatabaseWrapper.get_connection_params
        DatabaseWrapper.get_connection_params = wrong
        try:
            wrapper.ensure_connection()
        except ImproperlyConfigured:
            result(bool(raw.closed))
        DatabaseWrapper.get_connection_params = own_parameters
        idle.over.set()
        idle.join()
        """,
    )
    assert found is True


@pytest.mark.once
def test_a_thread_that_ends_leaves_no_connection(crowded):
    found = run(
        crowded,
        """
        import gc, warnings, weakref
        warnings.simplefilter("ignore")  # psycopg tells of connections that nobody has closed
        left = []
        def work():
            request()
            left.append(weakref.ref(connections["default"].connection))
        for _ in range(3):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        del thread
        gc.collect()
        (line,) = waiting._lines.values()
        result([len(line.resting), [each() is None for each in left]])
        """,
    )
    assert found == [0, [True, True, True]]


def test_what_is_no_good_is_not_taken_over(crowded):
    """Closed, idle for longer than ``PPG_ALIVE_WINDOW``, or with a transaction left in it."""
    found = run(
        crowded,
        """
        raw, counts = [], []
        class Leaving(Idle):
            def run(self):
                request()
                raw.append(connections["default"].connection)
                self.served.set()
                self.over.wait(60)
        for harm in (
            lambda idle: idle.close(),
            lambda idle: time.sleep(0.3),
            lambda idle: idle.cursor().execute("BEGIN"),
        ):
            threads = [Leaving(), Leaving()]
            for idle in raw:
                harm(idle)
            opened.clear()
            request()
            counts.append(len(opened))
            for thread in threads: thread.over.set()
            for thread in threads: thread.join()
            connections.close_all()
            for idle in raw: idle.close()
            raw.clear()
        result(counts)
        """,
        PPG_ALIVE_WINDOW="0.2",
    )
    assert found == [1, 1, 1]


@pytest.mark.once
def test_a_process_that_has_nothing_to_do_gives_one_up(crowded):
    script = crowded.write(
        "other.py",
        "import django\ndjango.setup()\n"
        + HEAD
        + textwrap.dedent(
            """
            idle = [Idle(), Idle()]
            print("kept", flush=True)
            input()
            for thread in idle: thread.over.set()
            for thread in idle: thread.join()
            print(len(seen), flush=True)
            """
        ),
    )
    with subprocess.Popen(
        [sys.executable, str(script)],
        cwd=crowded.folder,
        env=crowded.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "kept\n"
        assert run(crowded, "request(); connections.close_all(); result(len(seen))") == 1
        said, _ = other.communicate("\n", timeout=30)
    assert said == "4\n"


@pytest.mark.once
def test_a_request_of_another_process_gives_one_up(crowded):
    """A process of one thread: nobody but its requests looks after its connection."""
    script = crowded.write(
        "other.py",
        "import django\ndjango.setup()\n"
        + HEAD
        + textwrap.dedent(
            """
            import sys
            request()
            print("kept", flush=True)
            stop = threading.Event()
            threading.Thread(target=lambda: (input(), stop.set())).start()
            while not stop.wait(0.02):
                request()
            connections.close_all()
            """
        ),
    )
    others = [
        subprocess.Popen(
            [sys.executable, str(script)],
            cwd=crowded.folder,
            env=crowded.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        assert [each.stdout.readline() for each in others] == ["kept\n"] * 2
        assert run(crowded, "request(); connections.close_all(); result(len(seen))") == 1
    finally:
        for each in others:
            each.communicate("\n", timeout=30)
    assert [each.returncode for each in others] == [0, 0]


def test_what_a_thread_has_left_in_a_connection_is_passed_to_nobody(crowded):
    """A transaction begun behind Django's back; and one that is direct has a session of its own."""
    found = run(
        crowded,
        """
        from ppg_integrations.django import wrapping
        wrapper = connections["default"]
        wrapper.ensure_connection()
        sharing = wrapper._ppg_upkeep._sharing
        may = [sharing._may_leave()]
        with wrapper.cursor() as cursor:
            cursor.execute("BEGIN")
            may.append(sharing._may_leave())
            cursor.execute("ROLLBACK")
        with transaction.atomic():
            may.append(sharing._may_leave())
        wrapper.errors_occurred = True
        may.append(sharing._may_leave())
        wrapper.errors_occurred = False
        connections["direct"].ensure_connection()
        may.append(connections["direct"]._ppg_upkeep._sharing._line is None)
        connections.close_all()
        result(may)
        """,
    )
    assert found == [True, False, False, False, True]
