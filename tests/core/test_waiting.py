"""The line of those who wait for a slot, and what is passed on in it."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from ppg_integrations import waiting
from ppg_integrations.appeal import Appeal
from ppg_integrations.waiting import Line, line


class Connection:
    def __init__(self) -> None:
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


class Keeper:
    def __init__(self) -> None:
        self.connection = Connection()

    def give_up(self) -> bool:
        self.connection.close()
        return True


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
        assert not late.is_closed
    assert late.is_closed


def test_newcomers_wait_while_the_server_is_full() -> None:
    made = Line("db.test", 5432)
    assert not made.is_busy()
    made.refused()
    assert made.is_busy()
    made.opened()
    assert not made.is_busy()


def test_one_that_rests_is_closed_for_who_waits_and_no_other() -> None:
    made, one, other = Line("db.test", 5432), Keeper(), Keeper()
    for keeper in (one, other):
        made.rest(made.known(keeper))
    assert made.resumed(made.known(one))
    made.refused()
    assert (one.connection.is_closed, other.connection.is_closed) == (False, True)
    assert not made.resumed(made.known(other))


def test_a_keeper_that_is_no_more_is_forgotten() -> None:
    made, keeper = Line("db.test", 5432), Keeper()
    known = made.known(keeper)
    made.rest(known)
    del keeper
    assert made._resting == {}


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
    made, keeper = line("fork.test", 5432, "default"), Keeper()
    made.rest(made.known(keeper))
    with made.turn():
        made._lock.acquire()
        reader, writer = os.pipe()
        if not (child := os.fork()):
            with os.fdopen(writer, "w") as pipe:
                pipe.write(f"{made.has_waiting} {len(made._resting)} {made._lock.locked()}")
            os._exit(0)
        made._lock.release()
        os.close(writer)
        with os.fdopen(reader) as pipe:
            assert pipe.read() == "False 0 False"
        os.waitpid(child, 0)
