"""Programs on a pseudo-terminal, as a person runs them."""

from __future__ import annotations

import os
import pty
from collections.abc import Mapping, Sequence
from pathlib import Path


def run(
    argv: Sequence[str],
    *,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
    answers: bytes = b"",
) -> tuple[int, str]:
    """The exit status, and what was printed.

    Args:
        argv: the program, with its path, and its arguments.
        folder: where it runs; the current one by default.
        environ: its variables; those of this process by default.
        answers: what the person types, before being asked.
    """
    pid, descriptor = pty.fork()
    if pid == 0:
        if folder is not None:
            os.chdir(folder)
        os.execve(argv[0], argv, os.environ if environ is None else environ)
    if answers:
        os.write(descriptor, answers)
    output = b""
    while True:
        try:
            data = os.read(descriptor, 4096)
        except OSError:  # how Linux tells that the other end is closed
            break
        if not data:
            break
        output += data
    os.close(descriptor)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), output.decode()
