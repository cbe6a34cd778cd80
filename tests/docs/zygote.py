"""Starts Python programs quickly: a process that has imported what they need, and forks for each.

Run as a script with the path of a socket. Whoever connects sends one JSON document (arguments,
folder, environment) and its three standard streams; the answer is the exit status. Importing Django,
Flask and SQLAlchemy takes ten times as long as what most commands of a page do.
"""

from __future__ import annotations

import array
import atexit
import gc
import importlib
import json
import os
import random
import runpy
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path

import shims  # of this folder: a page's project may have a `tests` of its own

PRELOADED = """
asgiref.sync concurrent.futures django.apps django.core.management.commands.check
django.core.management.commands.migrate django.core.management.commands.runserver
django.core.checks django.db.backends.postgresql.base django.db.migrations.executor
django.db.models django.forms django.template.backends.django django.test.runner django.urls
django.views.generic django.core.serializers.json django.http dj_database_url dotenv flask
flask_migrate flask_sqlalchemy alembic.command alembic.autogenerate httpx platformdirs psycopg
pytest sqlalchemy.dialects.postgresql.psycopg sqlalchemy.orm tenacity trustme asyncio http.client
""".split()
#: Seconds that a program may take.
LIMIT = 60


def serve(path: str) -> None:
    """Answers until its standard input is closed."""
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        print("ready", flush=True)
        while True:
            caller, _ = listener.accept()
            with caller:
                if os.fork() == 0:
                    listener.close()
                    _answer(caller)


def _answer(caller: socket.socket) -> None:
    """Runs one program; never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setpgid(0, 0)
    fds = array.array("i")
    data, ancillary, _, _ = caller.recvmsg(1 << 20, socket.CMSG_LEN(3 * fds.itemsize))
    for _, _, part in ancillary:
        fds.frombytes(part)
    while not data.endswith(b"\n"):
        data += caller.recv(1 << 20)
    request = json.loads(data)
    child = os.fork()
    if child == 0:
        caller.close()
        signal.alarm(LIMIT)
        for target, fd in enumerate(fds):
            os.dup2(fd, target)
            os.close(fd)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environ"])
        random.seed()
        _exit(_program(request["argv"]))
    # A caller that has gone takes its program with it.
    caller.settimeout(0.02)
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            with suppress(OSError):
                caller.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
            os._exit(0)
        try:
            gone = caller.recv(1) == b""
        except TimeoutError:
            continue
        except OSError:
            gone = True
        if gone:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.killpg(0, signal.SIGTERM)
            os.waitpid(child, 0)
            os._exit(0)


def _exit(status: object) -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status if isinstance(status, int) else 1)


def _program(argv: list[str]) -> object:
    """What ``python`` would do; its exit status."""
    for entry in reversed(os.environ.get("PYTHONPATH", "").split(os.pathsep)):
        if entry:
            sys.path.insert(1, entry)
    sys.path = [entry for entry in sys.path[1:] if entry]
    # site-packages is what this one was started with
    try:
        try:
            _python(argv)
        finally:
            with suppress(RuntimeError):
                threading._shutdown()  # as the interpreter does before it ends
            atexit._run_exitfuncs()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _python(argv: list[str]) -> None:
    name, *arguments = argv
    if shims.takes(name, arguments):
        return
    if name not in ("python", "python3"):
        sys.argv = list(argv)
        sys.exit(shims.console_script(name)())
    elif not arguments or arguments[0] == "-":
        sys.path.insert(0, "")
        sys.argv = arguments or [""]
        exec(compile(sys.stdin.read(), "<stdin>", "exec"), {"__name__": "__main__"})
    elif arguments[0] == "-c":
        sys.path.insert(0, "")
        sys.argv = ["-c", *arguments[2:]]
        exec(compile(arguments[1], "<string>", "exec"), {"__name__": "__main__"})
    elif arguments[0] == "-m":
        sys.path.insert(0, str(Path.cwd()))
        sys.argv = ["-m", *arguments[2:]]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    elif arguments[0].startswith("-"):
        os.execv(sys.executable, [sys.executable, *arguments])
    else:
        sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
        sys.argv = list(arguments)
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    serve(sys.argv[1])
