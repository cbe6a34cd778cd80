"""A pair that may be rotated while the process runs: read anew when its store has changed."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Callable, Collection, Mapping
from copy import copy
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from . import names
from .errors import ConfigurationError, PPGError, PPGWarning
from .secret import MaskedMapping

if TYPE_CHECKING:
    from .pair import ConnectionPair
    from .urls import PostgresURL

#: Seconds until a pair that could not be found is looked for again.
_PAUSE: Final = 10.0
#: How often a store that changes while it is being read is read.
_READS: Final = 3

_Stamp = tuple[int, ...]


#: Seconds for which whoever asks in each request may keep the answer. A look at the store is a
#: system call, which a busy process feels.
MOMENT: Final = 0.01
#: All there are, for :func:`_renew_locks`.
_alive: Final[WeakSet[CurrentPair]] = WeakSet()


class CurrentPair:
    """The pair as it is now, for processes that outlive a rotation. Threads may share it.

    While nothing has changed, asking costs one ``stat`` of the store (the ``.env`` file, or the
    cache of an API's answers); nothing, where the pair comes from arguments or the environment. A
    store that turns bad, or leads to another database, is passed over with one warning, and the
    last good pair stays in use.
    """

    def __init__(
        self,
        find: Callable[[], ConnectionPair],
        *,
        env_file: str | None,
        known: ConnectionPair | None = None,
    ) -> None:
        """Looks for the pair; what is wrong with it is raised where it is used.

        Args:
            find: resolves the pair, as :func:`ppg_integrations.resolve` does.
            env_file: the file to watch as long as there is no pair.
            known: what was found before, which is in use until another look finds it changed.
        """
        self._find = find
        self._lock = threading.Lock()
        self._pair: ConnectionPair | None = None
        self._error: PPGError | None = None
        self._target: tuple[str, ...] = ()
        self._store = env_file
        self._stamp: _Stamp | None = None
        self._again = 0.0
        self._override: ConnectionPair | Callable[[], ConnectionPair] | None = None
        _alive.add(self)
        if known is not None:
            self._take(known)
        self._look()

    @property
    def pair(self) -> ConnectionPair:
        """The pair.

        Raises:
            PPGError: there is none, and why.
        """
        if self._override is None:
            return self.found()
        return self._override() if callable(self._override) else self._override

    def found(self) -> ConnectionPair:
        """The pair itself, also while another one is in its place.

        Raises:
            PPGError: there is none, and why.
        """
        if self._has_changed():
            # While what gives the pair is down, the last good one serves: nobody waits for the
            # thread that asks again.
            waits = self._pair is None or not self._again
            if self._lock.acquire(blocking=waits):
                try:
                    if self._has_changed():
                        self._look()
                finally:
                    self._lock.release()
        if self._pair is not None:
            return self._pair
        assert self._error is not None
        # A copy: what is raised keeps the frames, and the error that was being handled, alive.
        raise copy(self._error)

    def is_due(self) -> bool:
        """Whether asking for the pair may read its store, or ask an API: not in an event loop."""
        return self._override is None and self._has_changed()

    @property
    def error(self) -> PPGError | None:
        """Why there is no pair; None if there is one. Nothing is looked for."""
        return None if self._override is not None or self._pair is not None else self._error

    def override(self, pair: ConnectionPair | Callable[[], ConnectionPair] | None) -> None:
        """Sets another pair in the place of the one that is found, for tests.

        Args:
            pair: that one, or what gives it when it is asked for; None ends it.
        """
        self._override = pair

    def _has_changed(self) -> bool:
        if self._again and time.monotonic() >= self._again:
            return True
        return self._store is not None and _stamp(self._store) != self._stamp

    def _look(self) -> None:
        # The stamp is set last: until then other threads wait for this look instead of going on
        # with a pair that may have been retired.
        for _ in range(_READS):
            store, stamp = self._store, _stamp(self._store)
            try:
                found = self._find()
            except PPGError as error:
                self._stamp = stamp
                self._failed(error)
                return
            self._again = 0.0
            if found.store == store and _stamp(store) != stamp:
                continue  # it changed while it was being read
            refused = self._take(found)
            self._stamp = stamp if found.store == store else _stamp(self._store)
            if refused:
                _warn(refused)
            return
        # Somebody writes it all the time: the next question reads it again.
        if self._pair is None:
            self._take(found)

    def _take(self, found: ConnectionPair) -> str:
        """Makes it the pair, or says why not."""
        target = _target(found)
        if self._pair is not None and self._pair.direct is not None and found.direct is None:
            # Half of a file, most likely: whoever writes it is not done, or the disk is full.
            return (
                f"{found.store} has no direct URL any more; the last good pair stays in use: "
                "put it back, or restart the process if it is meant to go"
            )
        if self._pair is not None and not _same_database(self._pair, found, self._target, target):
            return (
                f"{found.store} leads to another database now ({found.pooled.host}, "
                f"{found.pooled.dbname}); this process goes on with the one that it began with: "
                "restart it to change"
            )
        self._pair, self._error, self._target = found, None, target
        self._store = found.store
        return ""

    def _failed(self, error: PPGError) -> None:
        is_news = not self._again
        self._error = error.with_traceback(None)
        self._again = time.monotonic() + _PAUSE
        if self._pair is not None and is_news:
            _warn(f"{error.message}; the last good pair stays in use")


def pair_given(pair: object) -> CurrentPair:
    """What an argument ``pair`` stands for; a plain pair stays what it is.

    Raises:
        ConfigurationError: it is no pair.
    """
    from .pair import ConnectionPair

    if isinstance(pair, CurrentPair):
        return pair
    if isinstance(pair, ConnectionPair):
        return CurrentPair(lambda: pair, env_file=None)
    raise ConfigurationError(  # without the value, which may be a URL
        f"the argument pair is a {type(pair).__name__}, and must be a pair of URLs",
        hint="Such as pair=resolve(POOLED, DIRECT), or follow(); leave it out for the usual one.",
    )


def follow(
    pooled: str | PostgresURL | None = None,
    direct: str | PostgresURL | None = None,
    *,
    replica: str | PostgresURL | None = None,
    env_file: str | os.PathLike[str] | bool | None = None,
    environ: Mapping[str, str] | None = None,
    provider: str | None = None,
    target: Mapping[str, str] | None = None,
    allow_mismatch: Collection[str] = (),
    known: ConnectionPair | None = None,
) -> CurrentPair:
    """:func:`ppg_integrations.resolve`, for a process that outlives the next rotation.

    Variables that something has loaded into the environment from the ``.env`` file are read from
    the file itself, or no rotation would reach them.

    Args:
        pooled, direct, replica, env_file, environ, provider, target, allow_mismatch: as there.
        known: what was found before, which is in use until this finds it changed.

    Returns:
        A pair, read anew when it changes. There may be none yet; its ``error`` says why, and
        using it raises that.
    """
    from . import loaded
    from .places import Places, env_file_path
    from .resolve import look

    environ = os.environ if environ is None else environ
    path = env_file_path(env_file, environ)
    own = loaded.own(environ, path)
    if not isinstance(own, MaskedMapping):  # Layered is one, and knows where each variable is set
        own = MaskedMapping(own)
    if known is not None and own.get(names.RESOLVE) == "fresh":
        # That was fresh, and is in the cache: to watch it is not to ask the API once more.
        own = MaskedMapping({**own, names.RESOLVE: "auto"})
    del environ  # error reporters print the variables of frames

    def find() -> ConnectionPair:
        places = Places(own, path, quiet=True)
        return look(places, pooled, direct, replica, provider, target, allow_mismatch)

    return CurrentPair(find, env_file=path, known=known)


def _renew_locks() -> None:
    """In the child of a fork, where a thread of the parent may have held one, and is no more."""
    for current in list(_alive):
        current._lock = threading.Lock()  # noqa: SLF001 - this module's own


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_locks)


def _stamp(path: str | None) -> _Stamp | None:
    if path is None:
        return None
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev)


def _target(pair: ConnectionPair) -> tuple[str, ...]:
    """Which database the file says it is: hosts that many databases share do not tell."""
    if pair.store is None or pair.store != pair.env_file:
        return ()
    from . import envfile

    try:
        file = envfile.read(pair.store, quiet=True)
    except PPGError:
        return ()
    return tuple(
        file.get(name, "") for name in names.TARGET.values() if name != names.TARGET["role"]
    )


def _same_database(
    before: ConnectionPair, now: ConnectionPair, target: tuple[str, ...], other: tuple[str, ...]
) -> bool:
    if target and other and target != other:
        return False
    if (
        before.direct is not None
        and now.direct is not None
        and not _alike(before.direct, now.direct)
    ):
        return False
    return _alike(before.pooled, now.pooled)


def _alike(one: PostgresURL, other: PostgresURL) -> bool:
    return (one.hosts, one.database or one.dbname) == (other.hosts, other.database or other.dbname)


def _warn(text: str) -> None:
    warnings.warn(text, PPGWarning, stacklevel=4)
