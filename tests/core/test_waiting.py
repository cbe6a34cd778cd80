"""The line of those who wait for a slot, and what is passed on in it."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ppg_integrations import resting, waiting
from ppg_integrations.appeal import Appeal
from ppg_integrations.resting import Resting
from ppg_integrations.waiting import Line, line


class Connection:
    def __init__(self) -> None:
        self.is_open = True

    def close(self) -> None:
        self.is_open = False


class Owner:
    """Something that can be forgotten."""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def soon(seconds: float = 5.0) -> float:
    return time.monotonic() + seconds


def test_who_has_waited_longest_is_served_first() -> None:
    made = Line("db.test", 5432)
    served: list[int] = []

    def wait(number: int) -> None:
        with made.turn() as turn:
            assert made.wait(turn, soon(), time.sleep) is not None
            served.append(number)

    with made.turn() as head:
        assert made.wait(head, soon(), time.sleep) is None  # its turn to ask the server
        threads = [threading.Thread(target=wait, args=(number,)) for number in range(3)]
        for number, thread in enumerate(threads):
            thread.start()
            while len(made._turns) < number + 2:
                time.sleep(0.001)
        for number, thread in enumerate(threads):
            assert made.passed_on(Connection())  # not to the one that asks
            thread.join()
            assert served == [*range(number + 1)]
    assert not made.has_waiting
    assert not made.passed_on(Connection())


def test_the_next_one_is_called_when_the_first_has_left() -> None:
    made = Line("db.test", 5432)
    with made.turn() as head:
        made.wait(head, soon(), time.sleep)
        found = []

        def wait() -> None:
            with made.turn() as turn:
                found.append(made.wait(turn, soon(30), time.sleep))

        thread = threading.Thread(target=wait)
        thread.start()
        while len(made._turns) < 2:
            time.sleep(0.001)
    thread.join(5)
    assert found == [None]


def test_a_connection_that_comes_too_late_goes_to_the_next_or_is_closed() -> None:
    made, late = Line("db.test", 5432), Connection()
    with made.turn() as turn:
        made.wait(turn, soon(), time.sleep)
        made.passed_on(late)
        assert late.is_open
    assert not late.is_open


def test_newcomers_wait_while_the_server_is_full() -> None:
    made = Line("db.test", 5432)
    assert not made.is_busy()
    made.refused()
    assert made.is_busy()
    made.opened()
    assert not made.is_busy()


def test_what_rests_is_taken_over_where_the_server_was_full_of_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, owner = Line("db.test", 5432), Owner()
    known = [made.resting.known(owner, Connection()) for _ in range(4)]
    for each in known:
        made.resting.rest(each)
    assert made.spare() is None  # there are slots
    made.refused()
    assert made.resting.resumed(known[3])
    known[2].given.close()  # by its owner, who was not in need of it
    with made.turn() as turn:
        assert made.wait(turn, soon(), time.sleep) is known[1].given
    assert not made.resting.resumed(known[1])
    assert made.spare() is known[0].given
    assert made.spare() is None

    made.resting.rest(known[0])
    monkeypatch.setattr(waiting, "_CROWDED", -1.0)
    made.refused()
    assert made.spare() is None


def test_what_rests_in_a_pool_is_taken_over_by_nobody_but_the_pool() -> None:
    made, owner = Line("db.test", 5432, pools=True), Owner()
    made.resting.rest(made.resting.known(owner, Connection()))
    made.refused()
    assert made.spare() is None


def test_an_idle_process_that_is_asked_closes_what_rests_but_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resting, "_TICK", 0.01)
    monkeypatch.setattr(resting, "_QUIET", 2)
    owner, asked = Owner(), threading.Semaphore(0)
    made = Resting(lambda: asked.acquire(blocking=False))
    known = [made.known(owner, Connection()) for _ in range(3)]

    def still_open() -> list[bool]:
        return [each.given.is_open for each in known]

    def until(condition: Callable[[], bool]) -> None:
        by = soon()
        while not condition():
            assert time.monotonic() < by
            time.sleep(0.005)

    known[0].given.close()  # which is none to give up
    for each in known:
        made.rest(each)
    assert any(thread.name == "ppg-waiting" for thread in threading.enumerate())
    asked.release()
    until(lambda: still_open() == [False, False, True])
    asked.release()
    until(lambda: made._tidying is None)  # one is no reason to look after it
    assert still_open() == [False, False, True]
    assert not made.resumed(known[1])
    assert made.resumed(known[2])


def test_what_has_no_owner_any_more_is_forgotten() -> None:
    made, owner = Resting(lambda: False), Owner()
    known = made.known(owner, Connection())
    made.rest(known)
    del owner
    assert len(made) == 0


def test_it_is_forgotten_with_an_owner_who_is_in_a_cycle() -> None:
    """As a wrapper and what keeps it up, or a record and its pool."""
    made, owner = Resting(lambda: False), Owner()
    known = made.known(owner, Connection())
    vars(owner).update(itself=owner, known=known)
    made.rest(known)
    del owner, known
    gc.collect()
    assert len(made) == 0


def test_what_rests_while_nobody_looks_after_it_is_looked_after_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Told at the very moment when the thread ends, or when that has failed."""
    made, owner = Resting(lambda: True), Owner()
    began: list[str] = []
    monkeypatch.setattr(resting, "begun", lambda thread: began.append(thread.name))
    monkeypatch.setattr(resting, "_TICK", 0.0)
    made._tidying = threading.current_thread()
    for _ in range(2):
        made.rest(made.known(owner, Connection()))
    assert began == []
    monkeypatch.setattr(resting, "_QUIET", 0)
    made._trim()
    assert began == ["ppg-waiting"]

    monkeypatch.setattr(resting, "_QUIET", 2)
    monkeypatch.setattr(Connection, "close", lambda _: 1 / 0)
    made._tidying = threading.current_thread()
    with pytest.raises(ZeroDivisionError):
        made._trim()
    assert made._tidying is None


def test_time_ends_every_wait() -> None:
    made = Line("db.test", 5432)
    with made.turn(), made.turn() as second:
        began = time.monotonic()
        assert made.wait(second, began + 0.05, time.sleep) is None
        assert time.monotonic() - began < 2


def test_an_appeal_is_heard_once_and_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ppg_integrations.appeal._LOOK", 0.0)
    monkeypatch.setattr("ppg_integrations.appeal._BETWEEN", 0.0)
    mine, theirs, elsewhere = Appeal("a.test", 1), Appeal("a.test", 1), Appeal("b.test", 1)
    assert not theirs.is_heard()
    mine.make()
    assert [each.is_heard() for each in (mine, theirs, theirs, elsewhere)] == [
        *(False, True, False, False)
    ]
    time.sleep(0.02)  # by a file's clock
    mine.make()
    assert theirs.is_heard()


def test_an_old_appeal_and_one_of_another_user_do_not_count(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Appeal("a.test", 1)
    mine.make()
    (file,) = temporary.glob("*/waiting/*")
    assert file.stat().st_mode & 0o777 == 0o600
    us = os.geteuid()
    os.utime(file, (time.time() - 10,) * 2)
    assert not Appeal("a.test", 1).is_heard()
    os.utime(file)
    theirs = Appeal("a.test", 1)
    theirs._file()
    monkeypatch.setattr("os.geteuid", lambda: us + 1)
    assert not theirs.is_heard()


def test_who_waits_long_asks_others(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_PATIENCE", 0.0)
    made = Line("db.test", 5432)
    with made.turn():
        made.refused()
    assert len([*temporary.glob("*/waiting/*")]) == 1


def test_a_child_of_a_fork_begins_anew() -> None:
    made, owner = line("fork.test", 5432, "default"), Owner()
    made.resting.rest(made.resting.known(owner, Connection()))
    with made.turn():
        made._lock.acquire()
        reader, writer = os.pipe()
        if not (child := os.fork()):
            with os.fdopen(writer, "w") as pipe:
                pipe.write(f"{made.has_waiting} {len(made.resting)} {made._lock.locked()}")
            os._exit(0)
        made._lock.release()
        os.close(writer)
        with os.fdopen(reader) as pipe:
            assert pipe.read() == "False 0 False"
        os.waitpid(child, 0)
