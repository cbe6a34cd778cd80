"""The doctor on live servers whose host names say nothing."""

from __future__ import annotations

import json
import threading
import time
from contextlib import ExitStack

import pytest

from ppg_integrations import doctor, drivers
from ppg_integrations import probe as module
from ppg_integrations.resolve import resolve
from tests.support.poolers import pooler
from tests.support.tcp_proxy import TCPProxy


def pair(pooled, direct):
    return resolve(pooled, direct, env_file=False, environ={})


def ids(diagnosis):
    return [one.id for one in diagnosis.problems]


def test_a_pair_as_it_should_be(shared):
    said = []
    diagnosis = doctor.diagnose(pair(shared.pooled, shared.direct), progress=said.append)
    assert diagnosis.problems == ()
    assert diagnosis.failed is False
    assert diagnosis.pooled.kind == "transaction-pooler"
    assert diagnosis.direct.kind == "direct"
    assert said == ["probing both endpoints"]
    document = json.dumps(diagnosis.as_json())
    assert shared.direct.password.reveal() not in document + repr(diagnosis)


def test_a_swapped_pair(shared):
    diagnosis = doctor.diagnose(pair(shared.direct, shared.pooled))
    assert ids(diagnosis) == ["swapped"]
    assert diagnosis.failed
    message = diagnosis.problems[0].message
    assert f"127.0.0.1:{shared.direct.port}" in message
    assert f"127.0.0.1:{shared.pooled.port}" in message


def test_without_a_pooler(shared):
    diagnosis = doctor.diagnose(pair(shared.direct, shared.direct))
    assert [(one.id, one.severity) for one in diagnosis.problems] == [("same-endpoint", "info")]
    assert diagnosis.direct is diagnosis.pooled, "asked once"


def test_pooled_twice(shared):
    assert ids(doctor.diagnose(pair(shared.pooled, shared.pooled))) == ["direct-is-pooler"]


def test_no_direct_url(shared):
    diagnosis = doctor.diagnose(pair(shared.pooled, None))
    assert ids(diagnosis) == ["no-direct-url"]
    assert diagnosis.direct is None


def test_a_session_pooler_on_either_side(servers, shared):
    with pooler(servers, mode="session") as p:
        url = p.url(shared.pooled)
        assert ids(doctor.diagnose(pair(shared.pooled, url))) == ["direct-is-session-pooler"]
        assert ids(doctor.diagnose(pair(url, shared.direct))) == ["pooled-is-session-pooler"]


def test_a_database_that_is_not_there_is_no_timeout_of_the_pooler(shared):
    urls = [url.replace(database="nowhere") for url in (shared.pooled, shared.direct)]
    diagnosis = doctor.diagnose(pair(*urls), timeout=2)
    assert ids(diagnosis) == ["unreachable", "unreachable"]
    assert diagnosis.direct.error.code == "no-database"
    for problem in diagnosis.problems:
        assert "after the last slash" in problem.hint
    assert "the pooler cannot log in to the server, which has no database 'nowhere'" in (
        diagnosis.problems[0].message
    )


def test_startup_options_are_named(shared):
    url = shared.pooled.replace(params={**shared.pooled.params, "options": "-csearch_path=public"})
    diagnosis = doctor.diagnose(pair(url, shared.direct))
    assert ids(diagnosis) == ["unreachable", "startup-parameters"]
    assert diagnosis.pooled.error.code == "startup-parameter"


def test_one_role_with_few_connections(servers, shared):
    role = shared.direct.user
    with ExitStack() as held, servers.connect() as admin:
        # Nearer to this limit than the server is to its own, whatever other tests left open there.
        for _ in range(6):
            held.enter_context(drivers.connect(shared.direct))
        admin.execute(f'ALTER ROLE "{role}" CONNECTION LIMIT 12')
        try:
            diagnosis = doctor.diagnose(pair(shared.pooled, shared.direct))
        finally:
            admin.execute(f'ALTER ROLE "{role}" CONNECTION LIMIT -1')
    assert diagnosis.direct.vitals.slots.limit == "role"
    assert diagnosis.direct.vitals.slots.allowed == 12


def test_a_database_that_slept_is_no_error(shared, monkeypatch):
    url = shared.pooled
    monkeypatch.setattr(module, "_NAP", 0.1)
    with TCPProxy((url.host, url.port), reset_after=("server", 1)) as proxy:
        awake = threading.Timer(0.3, lambda: setattr(proxy, "reset_after", None))
        awake.start()
        sleepy = url.replace(host="127.0.0.1", port=proxy.port)
        diagnosis = doctor.diagnose(pair(sleepy, shared.direct))
        awake.join()
    assert [(one.id, one.severity) for one in diagnosis.problems] == [("woke-up", "info")]
    assert not diagnosis.failed
    assert diagnosis.pooled.kind == "transaction-pooler"
    assert "the argument pooled" in diagnosis.problems[0].message
    assert "PPG_CONNECT_DEADLINE" in diagnosis.problems[0].hint


def test_a_dead_half_does_not_hold_up_the_other(shared):
    with TCPProxy(mode="blackhole") as proxy:
        dead = shared.direct.replace(host="127.0.0.1", port=proxy.port)
        began = time.monotonic()
        diagnosis = doctor.diagnose(pair(shared.pooled, dead), timeout=1.5)
        assert time.monotonic() - began < 2.5
    assert diagnosis.pooled.kind == "transaction-pooler"
    assert ids(diagnosis) == ["unreachable"]
    assert diagnosis.failed
    assert "the argument direct" in diagnosis.problems[0].message


@pytest.mark.parametrize("attempt", range(3))
def test_no_thread_is_left(shared, attempt):
    before = {thread for thread in threading.enumerate()}
    doctor.diagnose(pair(shared.pooled, shared.direct))
    deadline = time.monotonic() + 3
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert set(threading.enumerate()) <= before
