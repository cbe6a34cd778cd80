"""Runs verbs in processes that end, or fail, at a given step. A program for the crash tests.

It reads an order a line, ``{"argv": [...], "step": 7, "how": "kill"}``, and answers each with a
line. With ``"only": "connect"`` nothing but those calls count as steps. Every order is carried out by a fork, so that nothing is imported twice.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from ppg_integrations import ConnectError, PostgresURL, doctor, drivers
from ppg_integrations.cli import main
from ppg_integrations.probe import ProbeResult

# What changes something outside this process, or learns of it.
_CALLS: tuple[tuple[Any, str], ...] = (
    (os, "write"),
    (os, "fsync"),
    (os, "replace"),
    (socket.socket, "send"),
    (socket.socket, "sendall"),
    (socket.socket, "recv"),
    (drivers, "connect"),
)
_WRITES = ("write", "fsync")
_CONNECT = drivers.connect


class Steps:
    """Counts the calls, and does to one of them what it is told."""

    def __init__(self, step: int | None, how: str, only: str = "") -> None:
        self._step, self._how, self._only = step, how, only
        self.names: list[str] = []
        for place, name in _CALLS:
            setattr(place, name, self._counted(name, getattr(place, name)))

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **options: Any) -> Any:
            counts = name in _WRITES if self._how == "full" else name != "write"
            counts = counts and self._only in ("", name)
            # An answer may come in one piece or two.
            counts = counts and (name, name) != ("recv", (self.names or [""])[-1])
            if not counts:
                return real(*args, **options)
            self.names.append(name)
            if len(self.names) == self._step:
                self._strike()
            if self._how == "full" and self._step and len(self.names) > self._step:
                self._strike()  # a disk that is full stays so
            return real(*args, **options)

        return counted

    def _strike(self) -> None:
        if self._how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._how == "int":
            raise KeyboardInterrupt
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _proof(url: PostgresURL, *, claim: str = "", **_: Any) -> ProbeResult:
    """One login in the place of a probe's many, which leave nothing behind either."""
    try:
        _CONNECT(url).close()
    except ConnectError as error:
        return ProbeResult("unreachable", error.message, error)
    return ProbeResult("direct" if claim == "direct" else "transaction-pooler", "")


def carry_out(order: dict[str, Any]) -> dict[str, Any]:
    """One order, by a child."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as report:
        pid = os.fork()
        if pid == 0:
            status = 70
            try:
                os.dup2(out.fileno(), 1)
                os.dup2(out.fileno(), 2)
                sys.stdout = os.fdopen(1, "w", closefd=False)
                sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)  # as it always is
                steps = Steps(order.get("step"), order.get("how", ""), order.get("only", ""))
                status = main(order["argv"])
                json.dump(steps.names, report)
                report.flush()
                sys.stdout.flush()
                sys.stderr.flush()
            except BaseException as error:  # noqa: BLE001 - the child ends here, whatever it was
                import traceback

                traceback.print_exc()
                print(repr(error), flush=True)
            finally:
                os._exit(status)
        _, waited = os.waitpid(pid, 0)
        out.seek(0)
        report.seek(0)
        return {
            "status": os.waitstatus_to_exitcode(waited),
            "said": out.read(),
            "steps": json.loads(report.read() or "[]"),
        }


if __name__ == "__main__":
    # What a verb imports on its way is here before the first fork.
    import filelock  # noqa: F401
    import httpx  # noqa: F401
    import platformdirs  # noqa: F401
    import tenacity  # noqa: F401

    import ppg_integrations.providers.http.exchange
    import ppg_integrations.providers.prisma.provider
    import ppg_integrations.verbs.create
    import ppg_integrations.verbs.revoke
    import ppg_integrations.verbs.rotate
    from ppg_integrations.verbs import grace

    grace._LOOK = 0.05  # so that an application of a test is waited for in no time
    drivers.driver()
    doctor.probe = _proof
    for line in sys.stdin:
        print(json.dumps(carry_out(json.loads(line))), flush=True)
