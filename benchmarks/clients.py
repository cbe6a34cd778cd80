"""Load on a web server, from a process of its own that costs a fraction of what the server does.

    found = load(port, "/one", clients=8, seconds=1.0)
    found.rate, found.latency(0.95), found.errors

Each client asks again as soon as it has an answer, over one connection, which it opens anew where
the server has closed it. A request that fails is not tried again. Counted are requests that begin
within the seconds; none is forgotten because it took longer.
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import select
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

#: Seconds after which a request that has no answer has failed.
PATIENCE = 60.0
_ROOT = Path(__file__).resolve().parents[1]
_CHUNK = 65536
#: Ports and the like, which would make a kind of each error.
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class Found:
    """What the clients saw.

    Attributes:
        seconds: in which the requests began.
        answered: how many were answered with status 200 within the seconds.
        requests: how many began, whatever became of them.
        errors: how many failed, by kind: a status with the first line of the body, or what
            happened to the connection.
        latencies: seconds of those that got status 200, sorted.
    """

    seconds: float
    answered: int
    requests: int
    errors: dict[str, int]
    latencies: list[float]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds

    @property
    def failed(self) -> float:
        """The share of requests that failed, 0 to 1."""
        return sum(self.errors.values()) / max(1, self.requests)

    @property
    def mean(self) -> float:
        """Seconds that a good answer took. Clients that never rest get their number by it a second.

        With few and slow answers that is finer than :attr:`rate`, which counts whole ones.
        """
        return sum(self.latencies) / len(self.latencies) if self.latencies else float("nan")

    def latency(self, share: float) -> float:
        """Seconds within which this share of the good answers came; nan without any."""
        if not self.latencies:
            return float("nan")
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


def load(
    port: int,
    path: str,
    *,
    clients: int,
    seconds: float,
    warm_up: float = 0.0,
    patience: float = PATIENCE,
) -> Found:
    """Asks, and gives what came of it.

    Args:
        port: of the server, on the loopback interface.
        clients: how many ask at the same time.
        seconds: that are counted.
        warm_up: seconds before those that are not.
        patience: seconds after which a request has failed.
    """
    argv = [sys.executable, "-m", "benchmarks.clients", str(port), path, str(clients)]
    argv += [str(seconds), str(warm_up), str(patience)]
    done = subprocess.run(
        argv,
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        check=True,
        start_new_session=True,  # Ctrl-C is for the benchmark
    )
    return Found(**json.loads(done.stdout))


class _Client:
    """One connection, and the request that is under way on it."""

    def __init__(self, port: int, request: bytes) -> None:
        self._port = port
        self._request = request
        self._socket: socket.socket | None = None
        self._buffer = b""
        self._is_fresh = True
        self.began = 0.0

    def fileno(self) -> int:
        return self._socket.fileno() if self._socket else -1

    def ask(self) -> None:
        """Sends its request.

        Raises:
            OSError: nobody takes it.
        """
        self._buffer = b""
        self._is_fresh = self._socket is None
        if self._socket is None:
            # Waits for the kernel only, which takes the connection itself.
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(self._request)
        # Several workers of uvicorn share a socket on which asyncio leaves Nagle's algorithm on:
        # the body of an answer waits until its head is acknowledged, 40 ms unless that is at once.
        # The kernel forgets the wish each time.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def hear(self) -> tuple[int, bytes] | None:
        """The status and the body, as soon as all of it has come.

        Raises:
            OSError: it will not come.
        """
        assert self._socket is not None
        data = self._socket.recv(_CHUNK)
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not data and not found:
            raise ConnectionError("closed without an answer")
        if not found:
            return None
        lower = head.lower()
        closes = b"\r\nconnection: close" in lower
        if b"\r\ntransfer-encoding: chunked" in lower:
            if data and not body.endswith(b"0\r\n\r\n"):
                return None
        else:
            _, length, rest = lower.partition(b"\r\ncontent-length:")
            if data and len(body) < int(rest.partition(b"\r\n")[0] if length else sys.maxsize):
                return None
        if closes or not data:
            self.close()
        return int(head[9:12]), body

    def is_stale(self, error: OSError) -> bool:
        """Whether the server hung up a connection that had served: one may ask again."""
        return not self._is_fresh and not self._buffer and isinstance(error, ConnectionError)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class _Run:
    """All clients, in one thread."""

    def __init__(self, clients: list[_Client], start: float, end: float, patience: float) -> None:
        self._clients = clients
        self._start, self._end, self._patience = start, end, patience
        self._poll = select.epoll()
        self._waiting: dict[int, _Client] = {}
        self.answered = self.requests = 0
        self.errors: Counter[str] = Counter()
        self.latencies: list[float] = []

    def run(self) -> None:
        for client in self._clients:
            self._ask(client)
        looked = time.monotonic()
        while self._waiting:
            for number, _ in self._poll.poll(0.1):
                self._hear(number)
            if (now := time.monotonic()) - looked > 0.1:
                looked = now
                for number, client in list(self._waiting.items()):
                    if now - client.began > self._patience:
                        self._forget(number, client)
                        client.close()
                        self._over(client, "no answer")
        self._poll.close()

    def _ask(self, client: _Client) -> None:
        """Goes on with one client, or ends it."""
        client.began = time.monotonic()
        while client.began < self._end:
            if self._send(client):
                return
            client.began = time.monotonic()
        self._forget(client.fileno(), client)
        client.close()

    def _send(self, client: _Client, *, again: bool = False) -> bool:
        before = client.fileno()
        try:
            client.ask()
        except OSError as error:
            if before >= 0:
                self._forget(before, client)
            stale = client.is_stale(error) and not again
            client.close()
            if stale:
                return self._send(client, again=True)
            self._count(client, type(error).__name__)
            time.sleep(0.01)  # nobody listens: this shall not be the benchmark
            return False
        if before < 0:
            self._poll.register(client.fileno(), select.EPOLLIN)
        self._waiting[client.fileno()] = client
        return True

    def _forget(self, number: int, client: _Client) -> None:
        if number >= 0 and client.fileno() == number:
            self._poll.unregister(number)  # one that is closed has left by itself
        self._waiting.pop(number, None)

    def _hear(self, number: int) -> None:
        client = self._waiting[number]
        try:
            found = client.hear()
        except OSError as error:
            self._forget(number, client)
            stale = client.is_stale(error)
            client.close()
            if not (stale and self._send(client, again=True)):
                self._over(client, str(error) or type(error).__name__)
            return
        if found is None:
            return
        status, body = found
        del self._waiting[number]
        first = body.partition(b"\n")[0][:200].decode(errors="replace")
        self._over(client, "" if status == 200 else f"{status} {_DIGITS.sub('N', first)}".strip())

    def _over(self, client: _Client, error: str) -> None:
        self._count(client, error)
        self._ask(client)

    def _count(self, client: _Client, error: str) -> None:
        now = time.monotonic()
        if not error and self._start <= now < self._end:
            self.answered += 1
        if client.began < self._start:
            return
        self.requests += 1
        if error:
            self.errors[error] += 1
        else:
            self.latencies.append(now - client.began)


def main() -> None:
    """In the process of its own: prints the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, kind in (
        *(("port", int), ("path", str), ("clients", int)),
        *(("seconds", float), ("warm_up", float), ("patience", float)),
    ):
        parser.add_argument(name, type=kind)
    asked = parser.parse_args()
    request = f"GET {asked.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n".encode()
    gc.disable()  # there is nothing to collect, and a pause would be the server's
    start = time.monotonic() + asked.warm_up
    run = _Run(
        [_Client(asked.port, request) for _ in range(asked.clients)],
        start,
        start + asked.seconds,
        asked.patience,
    )
    run.run()
    found = {
        "seconds": asked.seconds,
        "answered": run.answered,
        "requests": run.requests,
        "errors": dict(run.errors),
        "latencies": sorted(round(each, 6) for each in run.latencies),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
