"""Looks up a host's addresses within a time limit.

The system's resolver has no limit that a program could set, and one without an answer takes half a
minute or more. So it is asked in a thread, which is left to itself when time is up.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading

from ppg_integrations.timers import begun


class NoAddressError(Exception):
    """The name has no address, or the resolver does not say.

    Attributes:
        final: whether the resolver says that there is no such name.
        late: whether it said nothing within the time limit.
    """

    def __init__(self, text: str, *, final: bool = False, late: bool = False) -> None:
        super().__init__(text)
        self.final = final
        self.late = late


def addresses(host: str, seconds: float) -> int:
    """How many addresses `host` has; connecting may try them one after the other.

    Raises:
        NoAddressError: none, or not within `seconds`.
    """
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return 1
    found: list[int] = []
    failures: list[OSError] = []

    def ask() -> None:
        try:
            found.append(len(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)))
        except UnicodeError:
            failures.append(socket.gaierror(socket.EAI_NONAME, "no valid host name"))
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=ask, name="ppg-lookup", daemon=True)
    if begun(thread):
        thread.join(seconds)
    else:
        ask()
    if found:
        return found[0]
    if not failures:
        raise NoAddressError("the name server gave no answer", late=True)
    error = failures[0]
    raise NoAddressError(error.strerror or "no address", final=error.errno == socket.EAI_NONAME)
