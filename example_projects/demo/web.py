"""The example served by gunicorn, on a port that nobody else can take."""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Final

from .project import Project, StepError

WORKERS: Final = 2
THREADS: Final = 20  # of each worker
_READY: Final = 30  # seconds
_GRACE: Final = 5  # seconds for requests that are under way when it is stopped


@contextlib.contextmanager
def serving(project: Project, environ: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Runs gunicorn in the project for as long as the block lasts; gives host and port.

    Gunicorn inherits a socket that listens already, so there is no moment in which the port could
    be another program's.

    Args:
        environ: variables on top of the project's own.

    Raises:
        StepError: it does not start, or answers no request within 30 seconds.
    """
    log = project.log("gunicorn")
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener, log.open("w") as output:
        address: tuple[str, int] = listener.getsockname()
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn"),
                *("--bind", f"fd://{listener.fileno()}"),
                *("--workers", str(WORKERS), "--threads", str(THREADS)),
                *("--graceful-timeout", str(_GRACE)),
            ],
            cwd=project.folder,
            env=project.environ(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(listener.fileno(),),
        )
        try:
            if not _answers(server, address):
                raise StepError("gunicorn does not answer", log)
            yield address
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(_GRACE + 5)
            except subprocess.TimeoutExpired:
                server.kill()  # its workers notice that it is gone, and end
                server.wait()


def _answers(server: subprocess.Popen[bytes], address: tuple[str, int]) -> bool:
    """Waits for the first answer, to a request that touches no database."""
    deadline = time.monotonic() + _READY
    while time.monotonic() < deadline and server.poll() is None:
        connection = http.client.HTTPConnection(*address, timeout=_READY)
        try:
            connection.request("GET", "/no-such-page/")
            return connection.getresponse().status == http.HTTPStatus.NOT_FOUND
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
        finally:
            connection.close()
    return False
