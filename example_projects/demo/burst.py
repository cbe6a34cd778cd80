"""Many guests at once, each with a connection of its own."""

from __future__ import annotations

import http.client
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from typing import Final, NamedTuple
from urllib.parse import urlencode

_SECONDS: Final = 30  # the longest that one request may take


class Burst(NamedTuple):
    """What came of it.

    Attributes:
        requests: how many were sent.
        failed: how many got anything but the page, or the redirection, that they should.
        written: how many rows, or counts, the application says that it stored.
    """

    requests: int
    failed: int
    written: int


class Guest(ABC):
    """One client, with a connection and cookies.

    Args:
        address: host and port of the application.
        number: tells it apart from other guests.
    """

    def __init__(self, address: tuple[str, int], number: int) -> None:
        self.number = number
        self.failed = self.written = 0
        self._connection = http.client.HTTPConnection(*address, timeout=_SECONDS)
        self._cookies: SimpleCookie = SimpleCookie()

    @abstractmethod
    def act(self, turn: int) -> bool:
        """Sends one request; says whether its answer was as it should be."""

    def visit(self, requests: int, start: threading.Barrier, over: threading.Event) -> None:
        """Waits for the others, then acts, `requests` times or until it is `over`."""
        start.wait(_SECONDS)
        for turn in range(requests):
            if over.is_set():
                break
            try:
                self.failed += not self.act(turn)
            except (OSError, http.client.HTTPException):
                self.failed += 1
                self._connection.close()  # the next request opens it again
        self._connection.close()

    def wrote(self, done: bool) -> bool:
        """Counts a write that was answered as done; gives that on."""
        self.written += done
        return done

    def ask(self, method: str, path: str, form: Mapping[str, str] | None = None) -> tuple[int, str]:
        """The status of the answer, and its body."""
        headers = {}
        if self._cookies:
            pairs = (f"{name}={cookie.coded_value}" for name, cookie in self._cookies.items())
            headers["Cookie"] = "; ".join(pairs)
        body = None
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(form)
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        page = response.read().decode()
        for cookie in response.headers.get_all("Set-Cookie", []):
            self._cookies.load(cookie)
        return response.status, page


def burst(kind: type[Guest], address: tuple[str, int], *, guests: int, requests: int) -> Burst:
    """All `guests` at once, each with its share of `requests` (a multiple of `guests`)."""
    start, over = threading.Barrier(guests), threading.Event()
    crowd = [kind(address, number) for number in range(1, guests + 1)]
    with ThreadPoolExecutor(guests) as pool:
        try:
            visits = [pool.submit(guest.visit, requests // guests, start, over) for guest in crowd]
            for visit in visits:
                visit.result()
        finally:
            over.set()  # on Ctrl-C the pool would wait for all of it
    return Burst(
        requests, sum(guest.failed for guest in crowd), sum(guest.written for guest in crowd)
    )
