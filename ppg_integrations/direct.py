"""``LISTEN``, advisory locks and long jobs on the direct endpoint, without a framework.

>>> from ppg_integrations.direct import advisory_lock, direct_session, listen
>>> with advisory_lock("nightly import", wait=0):    # doctest: +SKIP
...     ...

Django has the same three in :mod:`ppg_integrations.django`, for its aliases, and Flask as methods
of ``PPG``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from . import names
from .advisory import AdvisoryLock, advisory_key
from .connect_settings import ConnectSettings
from .current import follow, pair_given
from .endpoint import Endpoint
from .listening import Notification
from .listening import listen as _listen
from .places import Places, env_file_path
from .sessions import EndpointSessions, driver_session

if TYPE_CHECKING:
    from .current import CurrentPair
    from .pair import ConnectionPair

__all__ = [
    "AdvisoryLock",
    "Notification",
    "advisory_key",
    "advisory_lock",
    "direct_session",
    "listen",
]


def listen(
    *channels: str,
    pair: CurrentPair | ConnectionPair | None = None,
    driver: str | None = None,
    timeout: float | None = None,
    stop: Callable[[], bool] | None = None,
    catch_up: Callable[[], object] | None = None,
) -> Iterator[Notification]:
    """:func:`ppg_integrations.listening.listen` on the direct endpoint of a pair.

    Args:
        channels: what to listen to.
        pair: the pair; by default found as :func:`ppg_integrations.resolve` does, and followed.
        driver: ``psycopg`` or ``psycopg2``; the first of the two that is installed by default.
        timeout, stop, catch_up: as there.

    Raises:
        PPGError: as there, and where there is no pair or no driver.
    """
    opener = _opener(pair, driver)
    return _listen(opener, channels, timeout=timeout, stop=stop, catch_up=catch_up)


def advisory_lock(
    name: str | int,
    *,
    wait: float | None = None,
    shared: bool = False,
    pair: CurrentPair | ConnectionPair | None = None,
    driver: str | None = None,
) -> AdvisoryLock:
    """A session-level lock for a ``with`` block, on a direct session of its own.

    Args:
        name, wait, shared: of :class:`.AdvisoryLock`.
        pair, driver: as for :func:`listen`.

    Raises:
        PPGError: an argument cannot be used; entering it raises the rest.
    """
    return AdvisoryLock(_opener(pair, driver), name, wait=wait, shared=shared)


def direct_session(
    *,
    autocommit: bool = False,
    name: str = "",
    pair: CurrentPair | ConnectionPair | None = None,
    driver: str | None = None,
) -> AbstractContextManager[Any]:
    """A connection of the driver to the direct endpoint, for a ``with`` block that is a long job.

    Args:
        autocommit: False makes the block one transaction, which is committed at its end and rolled
            back when it raises.
        name: its ``application_name``, ``ppg session`` by default, unless the URL has one.
        pair, driver: as for :func:`listen`.

    Raises:
        PPGError: there is no pair, no direct URL, or no driver.
    """
    return driver_session(_opener(pair, driver), name, autocommit=autocommit)


def _opener(pair: CurrentPair | ConnectionPair | None, driver: str | None) -> EndpointSessions:
    path = None
    if pair is None:
        pair = follow()
        path = env_file_path(None, os.environ)
    current = pair_given(pair)
    places = Places(os.environ, path, quiet=True)
    if path is not None:
        places.file()
    variables = {each: places.known(each) for each in names.CONNECT}
    settings = ConnectSettings.of(variables, source=places.source)
    return EndpointSessions(Endpoint(current, direct=True, settings=settings), driver=driver)
