"""One request and its answer over HTTP, within a time limit. The only module that uses httpx."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ...errors import ConfigurationError
from ..apibase import is_loopback
from . import failures, lookup, proxies, trust
from .deadline import Deadline
from .failures import Failure
from .quiet import quiet
from .watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from ...secret import Secret
    from .call import Call

_LIMIT: Final = 10 * 1024 * 1024  # bytes of an answer
_ERROR_LIMIT: Final = 64 * 1024  # of one that is an error: the rest of it is of no use
_CONNECT: Final = 10.0  # seconds for all addresses of a host
_SHORTEST: Final = 0.001  # seconds; with none a socket would not wait at all
# Seconds. Common servers close an idle connection after five, or two: a POST must not meet that.
_KEEPALIVE: Final = 1.5


class ElsewhereError(Exception):
    """A name of this machine led to another one, whose address this is."""


@dataclass(frozen=True)
class Reply:
    """An answer. Names of headers are lower-case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Exchange:
    """A client for one API. Not for several threads at once.

    Args:
        base: the API's base URL.
        token: sent with each request, and to no other host.

    Raises:
        ConfigurationError: no header can carry the token.
    """

    def __init__(self, base: str, token: Secret | None) -> None:
        if token and not all("!" <= character <= "~" for character in token.reveal()):
            raise ConfigurationError("the API token holds what no HTTP header can carry")
        parts = urlsplit(base)
        self.host = parts.hostname or ""
        self._secure = parts.scheme == "https"
        self._base = base
        self._token = token
        self._client: httpx.Client | None = None
        self._watchdog = Watchdog()
        self._proxy: Secret | None = None
        self._addresses = 0

    def send(self, call: Call, seconds: float) -> Reply | Failure:
        """Sends it once.

        Args:
            seconds: for everything: name, connection, request and answer.

        Raises:
            ConfigurationError: a variable for certificates or proxies cannot be used.
        """
        import httpx

        with quiet(), self._watchdog.within(seconds):
            client = self._opened()
            try:
                return self._exchanged(client, call, seconds)
            except lookup.NoAddressError as error:
                failure = failures.of_lookup(error, self._proxy)
            except ElsewhereError as error:
                failure = failures.elsewhere(str(error))
            except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
                failure = failures.of(error, self._proxy)
        if self._watchdog.fired and not failure.late:
            failure = failures.late(sent=failure.sent)
        return failure

    def close(self) -> None:
        """Closes the connections."""
        client, self._client = self._client, None
        with quiet():
            if client is not None:
                client.close()
        self._watchdog.close()

    def _opened(self) -> httpx.Client:
        if self._client is None:
            self._proxy = proxies.url_for(self._base)
            self._client = self._open()
        return self._client

    def _open(self) -> httpx.Client:
        from http.cookiejar import CookieJar, DefaultCookiePolicy

        import httpx

        verify = trust.context() if self._secure else trust.nothing()
        proxy = proxies.proxy(self._proxy) if self._proxy else None
        with contextlib.suppress(ImportError):
            return httpx.Client(
                headers=self._headers(),  # in no variable here: tracebacks show those
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),  # keeps none
                verify=verify,
                proxy=proxy,
                # Read by the two modules above; httpx would also look for what is not for us.
                trust_env=False,
                follow_redirects=False,
                limits=httpx.Limits(keepalive_expiry=_KEEPALIVE),
            )
        raise ConfigurationError(
            "the proxy in HTTPS_PROXY or ALL_PROXY speaks SOCKS, for which a package is missing",
            hint="pip install 'httpx[socks]'",
        )

    def _headers(self) -> dict[str, str]:
        from ... import __version__

        headers = {
            "User-Agent": f"ppg-integrations/{__version__}",
            "Accept": "application/json",
            # A small answer is not worth the risk that it unpacks to gigabytes.
            "Accept-Encoding": "identity",
        }
        if self._token:
            headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return headers

    def _exchanged(self, client: httpx.Client, call: Call, seconds: float) -> Reply | Failure:
        import httpx

        deadline = Deadline(seconds)
        if not self._addresses:
            first = proxies.host(self._proxy) if self._proxy else self.host
            self._addresses = lookup.addresses(first, seconds)
        left = max(_SHORTEST, deadline.rest())  # the lookup may have taken some
        # A connection is tried with each address in turn, and each may take this long.
        connect = min(_CONNECT, left) / max(1, self._addresses)
        with client.stream(
            call.method,
            call.url,
            content=call.body,
            headers={} if call.body is None else {"Content-Type": "application/json"},
            timeout=httpx.Timeout(left, connect=connect),
            extensions={"trace": self._trace},
        ) as response:
            return self._read(response)

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Called by httpx at each step of a request, before the next one.

        Raises:
            ElsewhereError: plain http is about to leave this machine: whoever answers for the name
                ``localhost`` would get the token.
        """
        if not self._secure and event.endswith("connect_tcp.complete"):
            stream = info["return_value"]
            with contextlib.suppress(OSError):  # the other side is gone: nothing reaches it
                address = stream.get_extra_info("server_addr")[0]
                if not is_loopback(address):
                    stream.close()
                    raise ElsewhereError(address)
        self._watchdog.trace(event, info)

    def _read(self, response: httpx.Response) -> Reply | Failure:
        good = response.is_success
        limit = _LIMIT if good else _ERROR_LIMIT
        if response.headers.get("content-encoding", "identity").lower() != "identity" and good:
            return Failure(
                "sent a compressed answer, which was not asked for", sent=True, unavailable=False
            )
        data = bytearray()
        for chunk in response.iter_raw(64 * 1024):
            data += chunk
            if len(data) > limit:
                if good:
                    return Failure(
                        f"sent more than {_LIMIT // 1024**2} MiB", sent=True, unavailable=False
                    )
                break
        if self._watchdog.fired:  # an answer without a length ends where its connection does
            return failures.late(sent=True)
        return Reply(response.status_code, dict(response.headers), bytes(data[:limit]))
