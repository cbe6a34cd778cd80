"""Many guests at once: reading the guestbook, and signing it."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple
from urllib.parse import urlencode

_SECONDS: Final = 30  # the longest that one request may take
_PAGES_PER_ENTRY: Final = 4
_TOKEN: Final = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')
_HOUSE: Final = re.compile(r'<option value="(\d+)"')


class Burst(NamedTuple):
    """What came of it.

    Attributes:
        requests: how many were sent.
        failed: how many got anything but the page, or the redirection, that they should.
        signed: how many entries the application says that it stored.
    """

    requests: int
    failed: int
    signed: int


class _Guest:
    """One client, with a connection and a cookie of its own."""

    def __init__(self, address: tuple[str, int], name: str) -> None:
        self._connection = http.client.HTTPConnection(*address, timeout=_SECONDS)
        self._name = name
        self._cookie = self._token = self._house = ""
        self.failed = self.signed = 0

    def visit(self, requests: int, start: threading.Barrier, over: threading.Event) -> None:
        """Opens the form, then reads some pages for each entry that it writes."""
        start.wait(_SECONDS)
        for turn in range(requests):
            if over.is_set():
                break
            act: Callable[[], bool] = self._read
            if not self._token:
                act = self._open_form
            elif turn % (_PAGES_PER_ENTRY + 1) == 1:
                act = self._sign
            try:
                self.failed += not act()
            except (OSError, http.client.HTTPException):
                self.failed += 1
                self._connection.close()  # the next request opens it again
        self._connection.close()

    def _read(self) -> bool:
        status, page = self._ask("GET", "/")
        return status == http.HTTPStatus.OK and "What our guests wrote" in page

    def _open_form(self) -> bool:
        status, page = self._ask("GET", "/sign/")
        token, house = _TOKEN.search(page), _HOUSE.search(page)
        if status != http.HTTPStatus.OK or not token or not house:
            return False
        self._token, self._house = token[1], house[1]
        return True

    def _sign(self) -> bool:
        form = {
            "csrfmiddlewaretoken": self._token,
            "house": self._house,
            "name": self._name,
            "message": "A quiet place, and the heron came back.",
        }
        done = self._ask("POST", "/sign/", urlencode(form))[0] == http.HTTPStatus.FOUND
        self.signed += done
        return done

    def _ask(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        headers = {"Cookie": self._cookie} if self._cookie else {}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        page = response.read().decode()
        for cookie in response.headers.get_all("Set-Cookie", []):
            if cookie.startswith("csrftoken="):
                self._cookie = cookie.partition(";")[0]
        return response.status, page


def burst(address: tuple[str, int], *, guests: int, requests: int) -> Burst:
    """All `guests` at once, each with its share of `requests` (a multiple of `guests`)."""
    start, over = threading.Barrier(guests), threading.Event()
    crowd = [_Guest(address, f"Guest {number}") for number in range(1, guests + 1)]
    with ThreadPoolExecutor(guests) as pool:
        try:
            visits = [pool.submit(guest.visit, requests // guests, start, over) for guest in crowd]
            for visit in visits:
                visit.result()
        finally:
            over.set()  # on Ctrl-C the pool would wait for all of it
    return Burst(
        requests, sum(guest.failed for guest in crowd), sum(guest.signed for guest in crowd)
    )
