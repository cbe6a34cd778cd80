"""Processes by their id, never trusted to be ours without a look at their command line.

An id in a file may be stale: its process gone, and the number given to another program since.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from ...errors import LocalServerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .account import Account

_PROC: Final = Path("/proc")
_LOG_BYTES: Final = 10 * 1024 * 1024
_POLL: Final = 0.02  # seconds
_MARKS: Final = (
    *("FATAL", "PANIC", "ERROR", "error:", "cannot", "could not"),
    *("No space left", "File too large", "unrecognized", "invalid value"),
)
# the time, process id and so on in front of a log line of either server
_STAMP: Final = re.compile(
    r"^\d{4}-\d\d-\d\d .*?(?=\b(?:LOG|FATAL|PANIC|ERROR|WARNING|DETAIL|HINT)\b)"
)
#: what PostgreSQL adds to the line before
_MORE: Final = ("DETAIL:", "HINT:")


class Program(NamedTuple):
    """What makes a process ours: its program's name, and a path that no other one has.

    The path is among its arguments; a PostgreSQL that somebody started in another way, with
    ``pg_ctl`` say, has it as its working folder.
    """

    name: str
    path: str


def command_line(pid: int) -> list[str]:
    """The arguments of a live process; empty if there is none, or only its zombie."""
    if pid <= 0:
        return []
    if not (_PROC / "self/stat").exists():
        return _command_line_from_ps(pid)
    try:
        # the state follows the program's name, which may itself hold blanks and parentheses
        state = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        if state[0] in "ZX":
            return []
        raw = (_PROC / str(pid) / "cmdline").read_bytes()
    except (OSError, IndexError):
        return []
    return [os.fsdecode(part) for part in raw.rstrip(b"\0").split(b"\0")] if raw else ["?"]


def _command_line_from_ps(pid: int) -> list[str]:
    # macOS: no /proc, and the whole command comes as one text
    answer = subprocess.run(
        ["/bin/ps", "-ww", "-o", "stat=,command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    state, _, command = answer.stdout.strip().partition(" ")
    return [] if state.startswith("Z") or not command else [command.strip()]


def is_running(pid: int, program: Program) -> bool:
    """Is `pid` a live process of `program`?"""
    arguments = command_line(pid)
    if not arguments:
        return False
    if len(arguments) == 1:
        return f"{program.name} " in arguments[0] and arguments[0].endswith(f" {program.path}")
    if Path(arguments[0]).name != program.name:
        return False
    if program.path in arguments:
        return True
    try:
        return str((_PROC / str(pid) / "cwd").readlink()) == program.path
    except OSError:  # no /proc, or a process of another user
        return False


def working_in(folder: Path) -> list[int]:
    """Live processes whose working folder is `folder`; none where the system does not tell."""
    found = []
    for entry in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # gone, or another user's
            if (entry / "cwd").readlink() == folder:
                found.append(int(entry.name))
    return [pid for pid in found if command_line(pid)]


def spawn(
    account: Account,
    argv: Sequence[str],
    *,
    log: Path,
    folder: Path,
    environ: Mapping[str, str],
) -> int:
    """Starts a server in a session of its own and returns its process id.

    Args:
        account: whom it runs as.
        log: gets its output; made with mode 0600 if need be.
        folder: its working folder.

    Raises:
        LocalServerError: it could not be started at all.
    """
    uid, gid = (account.uid, account.gid) if account.dropped else (-1, -1)
    detach = str(Path(__file__).with_name("detach.py"))
    answer = subprocess.run(
        [sys.executable, "-I", "-S", detach, str(uid), str(gid), str(log), str(folder), *argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=dict(environ),
        check=False,
    )
    if answer.returncode:
        reason = answer.stderr.strip().splitlines()[-1:] or [f"status {answer.returncode}"]
        raise LocalServerError(f"{argv[0]} could not be started: {reason[0]}")
    return int(answer.stdout)


def wait_until_gone(pid: int, program: Program, seconds: float) -> bool:
    """Waits for a process to end; False when it is still there after `seconds`."""
    deadline = time.monotonic() + seconds
    while is_running(pid, program):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


def end(pid: int, program: Program, steps: Sequence[tuple[signal.Signals, float]]) -> None:
    """Ends a process by one signal after the other.

    Args:
        steps: signals, each with the seconds that the process gets to heed it.

    Raises:
        LocalServerError: it outlived them all.
    """
    for number, seconds in steps:
        if not is_running(pid, program):
            return
        with contextlib.suppress(ProcessLookupError):
            _kill(pid, number, program)
        if wait_until_gone(pid, program, seconds):
            return
    raise LocalServerError(
        f"{program.name} (process {pid}) does not end", hint=f"Try: kill -9 {pid}"
    )


def _kill(pid: int, number: signal.Signals, program: Program) -> None:
    try:
        os.kill(pid, number)
    except PermissionError as error:
        raise LocalServerError(
            f"{program.name} (process {pid}) belongs to another user",
            hint="Run the command as the user who started it.",
        ) from error


def rotate(logs: Sequence[Path]) -> None:
    """Puts logs aside, all or none of them, when one has grown past 10 MiB."""
    if any(log.exists() and log.stat().st_size > _LOG_BYTES for log in logs):
        for log in logs:
            if log.exists():
                log.replace(log.with_name(f"{log.name}.1"))


def last_lines(log: Path, count: int = 4) -> str:
    """The end of a log, for an error message: the lines that say most, joined with blanks."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 8192))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return tell_tale("\n".join(lines), count)


def tell_tale(text: str, count: int = 4) -> str:
    """The lines of a program's output that give a reason, else its last ones.

    Args:
        count: how many; what PostgreSQL adds to one (DETAIL, HINT) comes with it.
    """
    lines = [_STAMP.sub("", line.strip()) for line in text.splitlines() if line.strip()]
    whole: list[str] = []
    for line in lines:
        if whole and line.startswith(_MORE):
            whole[-1] += f" / {line}"
        else:
            whole.append(line)
    telling = [each for each in whole if any(mark in each for mark in _MARKS)]
    return " / ".join((telling or whole)[-count:])
