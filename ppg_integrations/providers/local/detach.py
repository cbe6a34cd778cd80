"""Starts a server that outlives us. Run as a program, with nothing but the standard library.

    python -I -S detach.py UID GID LOG FOLDER PROGRAM [ARGUMENT ...]

Prints the server's process id. A program of its own, because everything below has to happen in the
child: code between fork and exec is not safe in a process with threads, and an ignored SIGINT (a
shell's background job has one) would be inherited, which is how PgBouncer is told to shut down.
UID -1 keeps the user. The second fork leaves the server to init, so that no caller ever has a
zombie of ours to reap.
"""

import os
import signal
import sys


def _become_server(uid: int, gid: int, log: str, folder: str, argv: list[str]) -> None:
    os.setsid()
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.umask(0o077)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    if uid >= 0:
        os.fchown(output, uid, gid)
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    os.chdir(folder)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.execv(argv[0], argv)  # noqa: S606


def _main() -> None:
    uid, gid, log, folder, *argv = sys.argv[1:]
    reader, writer = os.pipe()  # closes on exec, so an empty read says that the server runs
    pid = os.fork()
    if pid == 0:
        try:
            _become_server(int(uid), int(gid), log, folder, argv)
        except OSError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(127)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        failure = pipe.read()
    if failure:
        sys.exit(failure.decode())
    sys.stdout.write(f"{pid}\n")


if __name__ == "__main__":
    _main()
