"""Connects with whichever driver is installed, within a total time limit.

For this package's own questions to a server (the probe, the embedded provider). Applications keep
their framework's connections.
"""

from __future__ import annotations

import math
import threading
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from . import next_steps
from .connection import Connection
from .encryption import least, secured
from .errors import ConnectError, DriverError
from .failures import address, condense, explain, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

    from .urls import PostgresURL

__all__ = ["Connection", "connect", "driver"]

#: libpq takes anything less for 2
_LEAST_CONNECT_TIMEOUT: Final = 2

#: What passes by itself (:data:`.refusals.TRANSIENT`), and for how many seconds it is waited for:
#: a database that wakes or restarts says so. One that hangs up may be waking, or no database; a
#: full server may have a slot in a moment, and whoever asks is to hear soon that it has none.
PATIENCE: Final = {
    "upstream": math.inf,
    "starting": math.inf,
    "closed": 3.0,
    "too-many-connections": 5.0,
}
#: Seconds: the first wait is up to this long, each later one up to twice the one before ...
_FIRST_PAUSE: Final = 0.25
#: ... and no longer than this.
_LONGEST_PAUSE: Final = 2.0


def driver(among: Iterable[str] = ("psycopg", "psycopg2")) -> ModuleType:
    """The first that can be imported: ``psycopg`` (3), else ``psycopg2``, Django's own order.

    Args:
        among: others, by the names of their modules.

    Raises:
        DriverError: none can be.
    """
    reasons = []
    for name in among:
        try:
            return import_module(name)
        except ImportError as error:  # noqa: PERF203 - psycopg without its libpq raises it too
            reasons.append(f"{name}: {error}".splitlines()[0])
    raise DriverError(
        f"no PostgreSQL driver can be imported ({'; '.join(reasons)})",
        hint='pip install "ppg-integrations[psycopg]"',
    )


#: What to install for each.
_PACKAGES: Final = {
    "psycopg": "ppg-integrations[psycopg]",
    "psycopg2": "ppg-integrations[psycopg2]",
    "asyncpg": "asyncpg",
}


def imported(name: str) -> ModuleType:
    """The driver that somebody has named.

    Args:
        name: ``psycopg``, ``psycopg2`` or ``asyncpg``.

    Raises:
        DriverError: it cannot be imported.
    """
    try:
        return import_module(name)
    except ImportError as error:
        reason = str(error).splitlines()[0]
    raise DriverError(
        f"the driver {name} cannot be imported ({reason})",
        hint=f'pip install "{_PACKAGES[name]}", or name a driver that is installed.',
    )


class _Attempt(threading.Thread):
    """One connect in a thread of its own.

    libpq's time limit is per host and address and leaves out name resolution, so only waiting from
    outside keeps a total. An attempt that is given up ends by libpq's limit and closes what it got.
    """

    def __init__(self, module: ModuleType, url: PostgresURL, options: dict[str, object]) -> None:
        super().__init__(name="ppg-connect", daemon=True)
        self._module = module
        self._url = url
        self._options = options
        self._lock = threading.Lock()
        self._given_up = False
        self.raw: Any = None
        self.text = ""
        self.crash: Exception | None = None

    def run(self) -> None:
        try:
            raw = self._module.connect(**{**self._url.libpq(), **self._options})
        except self._module.Error as error:
            # The text alone: the error's frames hold the password.
            self.text = redact(str(error).strip(), self._url) or type(error).__name__
            return
        except Exception as error:  # noqa: BLE001 - raised again by whoever waits
            self.crash = error.with_traceback(None)
            return
        with self._lock:
            if not self._given_up:
                self.raw = raw
                return
        raw.close()

    def give_up(self) -> None:
        with self._lock:
            self._given_up = True
            if self.raw is not None:
                self.raw.close()
                self.raw = None


def connect(
    url: PostgresURL,
    *,
    autocommit: bool = True,
    timeout: float = 10.0,
    application_name: str = "ppg",
    lifetime: float | None = None,
    source: str = "",
    waking: bool = False,
) -> Connection:
    """Connects with the best driver there is.

    Args:
        url: where to; encrypted at least as :func:`.secured` wants it.
        timeout: seconds for everything: all hosts, all addresses, name resolution, all attempts.
        application_name: what the server shows; one that is in the URL wins. It stands in a comment
            before each statement too, if there is any: a pooler's console knows no comments.
        lifetime: seconds from now after which the connection is cut, whatever it is doing.
        source: where the URL came from, for the error.
        waking: the database may sleep or restart: what :data:`PATIENCE` has is tried again.

    Raises:
        DriverError: no driver is installed.
        ConnectError: nobody answered, or the login was refused; ``code`` says which.
        ConfigurationError: there is nothing to verify the server's certificate with.
    """
    began = time.monotonic()
    last: ConnectError | None = None

    def attempt() -> Connection:
        nonlocal last
        left = max(0.0, timeout - (time.monotonic() - began))
        try:
            return _connect(url, autocommit, left, application_name, source)
        except ConnectError as error:
            # That there was little time left for the last attempt tells less than the one before.
            last = last if last and error.code == "timeout" else error
        raise last

    connection = _again_and_again(attempt, timeout) if waking else attempt()
    if lifetime is not None:
        connection.expire_after(lifetime - (time.monotonic() - began))
    return connection


def passes(error: ConnectError, spent: float) -> bool:
    """Whether a failure may pass by itself, `spent` seconds after it was first seen."""
    return spent < PATIENCE.get(error.code, 0.0)


def _again_and_again(attempt: Callable[[], Connection], timeout: float) -> Connection:
    from tenacity import RetryCallState, Retrying, stop_before_delay, wait_random_exponential

    def failed(state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        spent = time.monotonic() - state.start_time
        return isinstance(error, ConnectError) and passes(error, spent)

    waits = wait_random_exponential(multiplier=_FIRST_PAUSE, max=_LONGEST_PAUSE)
    stops = stop_before_delay(timeout)
    return Retrying(retry=failed, wait=waits, stop=stops, reraise=True)(attempt)


def _connect(
    url: PostgresURL, autocommit: bool, timeout: float, application_name: str, source: str
) -> Connection:
    module = driver()
    url = secured(url, least())
    options: dict[str, object] = {"connect_timeout": _per_host(url, timeout)}
    if "application_name" not in url.params:
        options["application_name"] = application_name
    if "client_encoding" not in url.params:
        options["client_encoding"] = "UTF8"  # as Django; psycopg gives bytes for SQL_ASCII
    if module.__name__ == "psycopg":
        # A prepared statement outlives its transaction, and a pooler's server belongs to nobody.
        options |= {"autocommit": autocommit, "prepare_threshold": None}
    attempt = _Attempt(module, url, options)
    attempt.start()
    try:
        attempt.join(timeout)
    except BaseException:  # Ctrl-C
        attempt.give_up()
        raise
    if attempt.is_alive():
        attempt.give_up()
    if attempt.crash is not None:
        raise attempt.crash
    if attempt.raw is None:
        raise _refusal(url, attempt.text or f"timeout expired after {timeout:.3g} s", source)
    if module.__name__ == "psycopg2":
        attempt.raw.autocommit = autocommit
    return Connection(attempt.raw, url, module.Error, autocommit=autocommit, label=application_name)


def _per_host(url: PostgresURL, timeout: float) -> int:
    share = max(_LEAST_CONNECT_TIMEOUT, math.ceil(timeout / max(1, len(url.hosts))))
    own = url.params.get("connect_timeout", "")
    return min(share, int(own)) if own.isdecimal() and int(own) > 0 else share


def _refusal(url: PostgresURL, text: str, source: str) -> ConnectError:
    row = explain(text)
    origin = f" ({source})" if source else ""
    return ConnectError(
        f"cannot connect to {address(url)}{origin}: {condense(text)}",
        hint=next_steps.after(row, url) if row else "",
        code=row.code if row else "",
    )
