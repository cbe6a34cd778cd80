"""Load on a web server: clients that ask again and again, and a record of every answer."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

#: Seconds after which a request counts as hanging: longer than anything that is waited for.
HANG = 40.0
#: Requests of one connection.
KEPT = 20


@dataclass(frozen=True)
class Answer:
    """One request and what became of it.

    Attributes:
        client: who asked, a number.
        method, path: what was asked.
        began, ended: by ``time.monotonic()``.
        status: of HTTP; 0 where no answer came.
        body: the JSON document of the answer.
        error: what went wrong, empty where nothing did.
    """

    client: int
    method: str
    path: str
    began: float
    ended: float
    status: int
    body: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def ok(self) -> bool:
        return self.status == 200 and not self.error

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class Load:
    """Keeps a server busy from the start to the end of a ``with`` block.

    Each client has a thread and one connection, which it keeps open for :data:`KEPT` requests if
    the server does; so all of its processes get their share. A request that fails is not tried
    again: what a user would have seen is what counts. Every third request writes, by POST, and
    carries a token that no other one has.

    Args:
        port: of the server, on the loopback interface.
        clients: how many ask at the same time.
        pause: seconds between an answer and the same client's next request.
        hang: seconds after which a request is given up, and has failed.
    """

    def __init__(
        self, port: int, *, clients: int = 50, pause: float = 0.0, hang: float = HANG
    ) -> None:
        self.port = port
        self.clients = {*range(clients)}
        self.answers: list[Answer] = []
        self._pause = pause
        self._hang = hang
        self._over = threading.Event()
        self._going = threading.Event()
        self._under_way = [threading.Lock() for _ in self.clients]
        self._threads = [
            threading.Thread(target=self._ask, args=(number,), daemon=True)
            for number in range(clients)
        ]

    def __enter__(self) -> Load:
        self._going.set()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(self._hang + 5)
            assert not thread.is_alive()

    @property
    def failed(self) -> list[Answer]:
        """Every request that did not end in an answer with status 200."""
        return [answer for answer in self.answers if not answer.ok]

    def since(self, moment: float) -> list[Answer]:
        """Answers to requests that began at `moment` or later."""
        return [answer for answer in self.answers if answer.began >= moment]

    def wait(self, seconds: float, until: Callable[[], bool] = bool) -> bool:
        """Lets the load go on for so long, or less: until something is true. Gives whether it is.

        Args:
            until: asked ten times a second.
        """
        deadline = time.monotonic() + seconds
        while not (done := until()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return done

    @contextmanager
    def resting(self) -> Iterator[None]:
        """No request is under way within the block; connections stay open."""
        self._going.clear()
        try:
            for each in self._under_way:
                with each:
                    pass  # it has been answered
            yield
        finally:
            self._going.set()

    def _ask(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self._hang)
        for count in itertools.count(number):
            method, path = ("GET", "/read") if count % 3 else ("POST", f"/write/{number}-{count}")
            self._going.wait()
            with self._under_way[number]:
                if self._going.is_set():
                    self.answers.append(answer(connection, number, method, path))
            if self._over.wait(self._pause):
                break
            if count % KEPT == 0:
                connection.close()
        connection.close()


def written(answers: Iterable[Answer]) -> set[str]:
    """The tokens of writes that the server said it had done."""
    return {each.path.rpartition("/")[2] for each in answers if each.ok and each.method == "POST"}


def answer(connection: http.client.HTTPConnection, client: int, method: str, path: str) -> Answer:
    """Asks once; whatever happens is an answer."""
    began = time.monotonic()
    status, body, error = 0, {}, ""
    try:
        connection.request(method, path)
        response = connection.getresponse()
        status, text = response.status, response.read()
        body = json.loads(text)
        error = body.get("error", "")
    except json.JSONDecodeError:
        error = text[:200].decode(errors="replace")
    except (OSError, http.client.HTTPException) as failure:
        error = f"{type(failure).__name__}: {failure}"
        connection.close()
    return Answer(client, method, path, began, time.monotonic(), status, body, error)
