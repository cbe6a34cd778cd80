"""What limits others in time, and what becomes of it in an interpreter that ends."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading

import pytest

from ppg_integrations.timers import Limit, begun

#: At its end the interpreter lets no thread begin since Python 3.12; here in every version.
ENDING = """
import atexit, socket, threading, time
from ppg_integrations import liveness, resting
from ppg_integrations.providers.http import lookup, watchdog

class Ended:
    is_open = True
    def close(self): pass

def late():
    def start(self):
        raise RuntimeError("can't create new thread at interpreter shutdown")
    threading.Thread.start = start
    ours, theirs = socket.socketpair()
    theirs.send(b"Z")
    with liveness.limited(ours.fileno()):
        print(ours.recv(1), flush=True)
    with watchdog.Watchdog().within(5):
        print("asked", flush=True)
    print(lookup.addresses("localhost", 5) >= 1, flush=True)
    rests = resting.Resting(lambda: False)
    for _ in range(2):
        rests.rest(rests.known(Ended, Ended()))
    print(len(rests), flush=True)
    ours.close(), theirs.close()

atexit.register(late)
"""


def test_it_fires_once_and_not_after_its_end() -> None:
    fired = threading.Event()
    first = Limit(0.01, fired.set, name="ppg-first")
    assert (first.name, first.daemon) == ("ppg-first", True)
    assert fired.wait(5)
    first.end()
    fired.clear()
    second = Limit(60, fired.set)
    second.end()
    assert not second.is_alive()
    assert not fired.is_set()


def test_a_thread_begins_once() -> None:
    thread = threading.Thread(target=lambda: None)
    assert begun(thread)
    with pytest.raises(RuntimeError, match="once"):
        begun(thread)
    thread.join()


def test_what_is_limited_goes_on_in_an_interpreter_that_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(ENDING)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert (done.stdout.split(), done.stderr) == (["b'Z'", "asked", "True", "2"], "")
