"""Rotations that nobody notices: under load from 50 clients, and in processes without requests."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.resilience.loops import LONG, LOOP, looping
from tests.resilience.rotations import BAD, ELSEWHERE, rotated
from tests.resilience.sites import FRAMEWORKS
from tests.resilience.stores import Store
from tests.support.load import written


@pytest.mark.parametrize(
    ("framework", "server", "options"),
    [
        pytest.param("Django", "gunicorn gthread", {}, id="django-gthread"),
        pytest.param("Django", "gunicorn sync", {"conn_max_age": math.inf}, id="django-sync"),
        pytest.param("Django", "uvicorn", {"conn_max_age": 0}, id="django-uvicorn"),
        pytest.param("Django", "gunicorn gthread", {"options": {"pool": True}}, id="django-pool"),
        pytest.param("Flask", "gunicorn gthread", {}, id="flask-gthread"),
    ],
)
def test_a_rotation_under_load_fails_no_request(
    framework: str, server: str, options: dict, store: Store, tmp_path: Path
) -> None:
    site = FRAMEWORKS[framework](tmp_path, store.env_file, **options)
    spoilt = not options
    seen = rotated(store, site, server, seconds=1.0, grace=2.0, pause=0.1, spoilt=spoilt)
    assert seen.failed == [], seen.log
    assert {each.body["role"] for each in seen.answers} == {seen.before, seen.after}
    assert seen.old_for < 1.0
    assert set(seen.sessions) == {seen.after}
    assert written(seen.answers) == {*seen.rows}
    assert seen.twice == 0
    # Each process says it once, whatever comes after it.
    assert seen.log.count(BAD) == seen.log.count(ELSEWHERE) == (2 if spoilt else 0), seen.log


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_processes_without_requests(framework: str, store: Store, tmp_path: Path) -> None:
    """A loop whose connection is never closed, and a transaction that outlives the change."""
    site = FRAMEWORKS[framework]
    worker = site(tmp_path / "worker", store.env_file)
    patient = site(tmp_path / "patient", store.env_file)
    before = store.role
    with (
        looping(framework, worker, LOOP) as loop,
        looping(framework, patient, LONG) as long,
        ThreadPoolExecutor(1) as pool,
    ):
        assert until(lambda: len(loop.said()) > 10 and len(long.said()) == 1), (
            worker.log.read_text()
        )
        rotation = pool.submit(worker.ppg, "rotate", "--grace", "2")
        assert until(lambda: store.role != before)
        stored = time.monotonic()
        assert [each["role"] for each in long.finish()] == [before, before, store.role]
        rotation.result()
        retired = time.monotonic()
        assert until(lambda: loop.said()[-1]["at"] > retired + 0.2)
        said = loop.said()
        assert set(store.sessions()) == {store.role}
    assert [each for each in said if "error" in each] == []
    assert {each["role"] for each in said} == {before, store.role}
    assert max(each["at"] for each in said if each["role"] == before) < stored + 1.5
    assert {each["token"] for each in said} | {"long-1", "long-2"} <= {*store.tokens()}


def until(true: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not (done := true()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return done
