"""What went wrong when there was no answer, in words of our own.

The exceptions of httpx are not kept: they hold the request with its token, and their texts may
repeat what the server sent.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..printable import printable
from . import proxies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...secret import Secret
    from .lookup import NoAddressError


@dataclass(frozen=True)
class Failure:
    """An exchange without a usable answer.

    Attributes:
        text: goes on after "Neon's API at HOST ".
        sent: whether the request may have reached the server.
        again: whether another try may help.
        late: whether it ran out of time.
        unavailable: whether things may be better later.
        hint: the next step.
    """

    text: str
    sent: bool
    again: bool = False
    late: bool = False
    unavailable: bool = True
    hint: str = ""


def late(*, sent: bool) -> Failure:
    return Failure("did not answer", sent=sent, again=True, late=True)


def of_lookup(error: NoAddressError, proxy: Secret | None) -> Failure:
    """The host, or that of the proxy in between, has no address."""
    what = f"cannot be reached{_through(proxy)}, whose name" if proxy else "has a name that"
    return Failure(
        f"{what} was not found: {printable(str(error))}",
        sent=False,
        again=not error.final,
        late=error.late,
        hint="" if error.late else "Is this machine online, and is that name right?",
    )


def elsewhere(address: str) -> Failure:
    """A name of this machine, to which plain http is allowed, has an `address` of another one."""
    return Failure(
        f"has the address {printable(address)}, which is not this machine: nothing was sent there",
        sent=False,
        unavailable=False,
        hint="Use https, or 127.0.0.1 instead of the name.",
    )


def of(error: Exception, proxy: Secret | None) -> Failure:
    """What an exception of httpx means.

    Args:
        proxy: URL of the proxy in between, None if there is none.
    """
    import httpx

    causes = tuple(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Failure(
                "has a certificate that could not be verified: "
                + printable(cause.verify_message or "unknown reason"),
                sent=False,
                hint="If a proxy or a private authority signs here, name its certificate with "
                "SSL_CERT_FILE=/path/to/ca.pem. Verification cannot be turned off.",
            )
    through = _through(proxy)
    if isinstance(error, httpx.ProxyError):
        return Failure(
            f"cannot be reached{through}, which answered {printable(str(error), most=60)}",
            sent=False,
            again=True,
            hint="Is HTTPS_PROXY right? NO_PROXY names the hosts that need no proxy.",
        )
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return Failure(
            f"cannot be reached{through}: no connection", sent=False, again=True, late=True
        )
    if isinstance(error, httpx.ConnectError):
        return Failure(
            f"cannot be reached{through}: {_system(causes)}",
            sent=False,
            again=True,
            hint="Is that address right, and does this machine have a way there? PPG_API_URL names "
            "another API, HTTPS_PROXY a proxy.",
        )
    if isinstance(error, httpx.TimeoutException):
        return late(sent=True)
    if isinstance(error, httpx.NetworkError):
        return Failure(f"lost the connection: {_system(causes)}", sent=True, again=True)
    if isinstance(error, httpx.RemoteProtocolError):
        text = str(error).lower()
        if "disconnected" in text or "closed" in text:
            return Failure(
                "cut the connection before its answer was complete", sent=True, again=True
            )
        return Failure("did not answer in HTTP", sent=True, unavailable=False)
    return Failure(f"could not be asked ({type(error).__name__})", sent=True, unavailable=False)


def _through(proxy: Secret | None) -> str:
    return f" through the proxy {proxies.shown(proxy)}" if proxy else ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in seen:
        seen.append(following)
        yield following
        following = following.__cause__ or following.__context__


def _system(causes: tuple[BaseException, ...]) -> str:
    """The operating system's words, or OpenSSL's: what the server sent is in neither."""
    for cause in reversed(causes):
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed ({cause.reason or 'the connection was cut'})"
        if isinstance(cause, OSError) and cause.strerror:
            return printable(cause.strerror)
    return "the connection was cut"
