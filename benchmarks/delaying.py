"""A network in between: every byte is late, each way. In a process of its own.

    with delaying(made.target, 0.002) as network:
        site = DJANGO["expert"].site(folder, *made.through(network.port))
        network.counts()        # what went over it so far

What `tests/support/tcp_proxy.py` does to bytes, it does to one direction, with two threads for each
connection, which wait in turn: a message that comes while another one waits is late twice. Here one
thread forwards all, each chunk when it is due.

A TCP handshake takes a round trip, too: what the client says first waits that much longer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import selectors
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Counts:
    """What went over a network.

    Attributes:
        connections: that were opened.
        round_trips: how often a client heard something after it had said something. Somebody who
            waits for the answer each time, as database drivers do, has waited so often for a whole
            round trip. A farewell has no answer, and the handshakes of TCP are not among them.
        chunks: that were forwarded, both ways.
    """

    connections: int
    round_trips: int
    chunks: int

    def since(self, before: Counts) -> Counts:
        """What has come to it."""
        return Counts(
            self.connections - before.connections,
            self.round_trips - before.round_trips,
            self.chunks - before.chunks,
        )


@dataclass(frozen=True)
class Network:
    """One that runs."""

    port: int
    _stdin: IO[bytes]
    _stdout: IO[bytes]

    def counts(self) -> Counts:
        """So far."""
        self._stdin.write(b"\n")
        self._stdin.flush()
        return Counts(*json.loads(self._stdout.readline()))


@contextmanager
def delaying(target: tuple[str, int], seconds: float) -> Iterator[Network]:
    """Starts one on the loopback interface, and ends it.

    Args:
        target: host and port behind it.
        seconds: by which each chunk is late, each way.
    """
    argv = [sys.executable, "-m", "benchmarks.delaying", target[0], str(target[1]), str(seconds)]
    with subprocess.Popen(
        argv,
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the benchmark
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Network(int(process.stdout.readline()), process.stdin, process.stdout)
        finally:
            process.stdin.close()  # which ends it
            process.wait(10)


class _Totals:
    connections = 0
    round_trips = 0
    chunks = 0


class _End(asyncio.Protocol):
    """One end of a connection: what it receives leaves at the other end, later."""

    def __init__(self, seconds: float, totals: _Totals) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._totals = totals
        self._due: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport | None = None
        self.other: _End = self
        #: Until when nothing has arrived from this end.
        self.ready = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.other.wake()  # it may have something for this end already

    def data_received(self, data: bytes) -> None:
        self._totals.chunks += 1
        self._heard()
        self._later(data)

    def _heard(self) -> None:
        """For the client's end to count by."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self._later(b"")

    def _later(self, data: bytes) -> None:
        when = max(self._loop.time(), self.ready) + self._seconds
        self._due.append((when, data))
        self.wake()

    def wake(self) -> None:
        """Delivers what is due when it is, as soon as the other end is there."""
        if self._due and self._timer is None and self.other.transport is not None:
            self._timer = self._loop.call_at(self._due[0][0], self._deliver)

    def _deliver(self) -> None:
        self._timer = None
        transport = self.other.transport
        assert transport is not None
        # The loop may be early by the resolution of its clock.
        now = self._loop.time() + 1e-6
        while self._due and self._due[0][0] <= now:
            _, data = self._due.popleft()
            if transport.is_closing():
                continue
            if data:
                transport.write(data)
            else:
                transport.close()
        self.wake()


class _Client(_End):
    """The end that connects."""

    def __init__(self, target: tuple[str, int], seconds: float, totals: _Totals) -> None:
        super().__init__(seconds, totals)
        self._target = target
        self._server = self.other = _Server(self, seconds, totals)
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._totals.connections += 1
        self.ready = self._loop.time() + 2 * self._seconds
        self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            await self._loop.create_connection(lambda: self._server, *self._target)
        except OSError:
            assert self.transport is not None
            self.transport.abort()

    def _heard(self) -> None:
        self._server.is_asked = True


class _Server(_End):
    """The end that is connected to.

    Attributes:
        is_asked: whether its next chunk ends a round trip.
    """

    def __init__(self, client: _Client, seconds: float, totals: _Totals) -> None:
        super().__init__(seconds, totals)
        self.other = client
        self.is_asked = False

    def _heard(self) -> None:
        if self.is_asked:
            self.is_asked = False
            self._totals.round_trips += 1


async def _serve(host: str, port: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    totals = _Totals()
    over = loop.create_future()

    def asked() -> None:
        if not sys.stdin.buffer.readline():
            over.set_result(None)
            loop.remove_reader(sys.stdin)
        else:
            print(json.dumps([totals.connections, totals.round_trips, totals.chunks]), flush=True)

    server = await loop.create_server(
        lambda: _Client((host, port), seconds, totals), "127.0.0.1", 0, backlog=512
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    loop.add_reader(sys.stdin, asked)
    await over


def main() -> None:
    """In the process of its own: prints its port, and its counts for each line that it reads."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("seconds", type=float)
    asked = parser.parse_args()
    # select() waits for microseconds, where epoll rounds up to milliseconds. It takes file numbers
    # below 1024: 500 connections.
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    try:
        loop.run_until_complete(_serve(asked.host, asked.port, asked.seconds))
    finally:
        loop.close()


if __name__ == "__main__":
    main()
