"""The pairs that providers' APIs gave, kept for the next processes on this machine.

One file for each question (which provider, which database, with which token) in the user's cache
folder, mode 0600. What others could have written, or what cannot be understood, is passed over: the
worst that a broken cache does is one more request.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from . import atomicfile, errors, kept, lock
from .errors import ChoiceError, EnvFileError, PPGError, ProviderError
from .kept import ANSWER, FOLDER, VERSION, load
from .secret import sealed

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from .kept import Kept
    from .urls import PostgresURL

#: Seconds after which an answer that nobody has renewed is removed, secrets and all.
_FORGOTTEN: Final = 30 * 86400.0

_GENERATED: Final = ".generated.json"
_FAILURE: Final = ".failure.json"


class Failure(NamedTuple):
    """Why an API gave no pair, and when; ``clock`` as in :class:`Kept`."""

    error: PPGError
    clock: float


class Slot:
    """The place of one question's answer. Nothing is touched yet.

    Args:
        provider: as in ``PPG_PROVIDER``.
        key: a hash of all that the answer depends on.
        generated: for a credential that was made for this machine, and does not age.

    Raises:
        EnvFileError: there is no folder to keep anything in.
    """

    def __init__(self, provider: str, key: str, *, generated: bool = False) -> None:
        self._provider = provider
        self._base = os.path.join(lock.cache_folder(FOLDER), f"{provider}-{key}")
        self.path = self._base + (_GENERATED if generated else ANSWER)

    def lock(self) -> BaseFileLock:
        """For whoever is going to ask: one process of this user at a time."""
        from filelock import FileLock

        return FileLock(f"{self._base}.lock", mode=0o600)

    def read(self) -> Kept | None:
        """The answer, of whatever age; None where there is none that can be trusted."""
        return kept.read(self.path)

    @sealed
    def write(
        self,
        id: str,  # noqa: A002 - the provider's word for it
        pooled: PostgresURL,
        direct: PostgresURL,
        replica: PostgresURL | None = None,
        *,
        mark: str | None = None,
    ) -> None:
        """Keeps an answer that has just come, in the place of what was there.

        Args:
            mark: what :func:`mark` gave before the API was asked. Where :func:`forget` was called
                since, the answer may be from before the change, and is not kept.

        Raises:
            EnvFileError: it cannot be written.
        """
        document = {
            "version": VERSION,
            "id": id,
            "pooled": pooled.reveal(),
            "direct": direct.reveal(),
            "replica": replica.reveal() if replica else None,
            **_now(),
        }
        _make_way(self.path)
        atomicfile.sweep(self.path)  # of writers that were killed: the caller holds the lock
        atomicfile.write(self.path, json.dumps(document))
        _remove(self._base + _FAILURE)
        _purge(os.path.dirname(self.path))
        if mark is not None and mark != _mark(self.path, self._provider):
            _remove(self.path)

    def check(self) -> None:
        """Raise what :meth:`write` would raise, as far as that can be told.

        Raises:
            EnvFileError: as :meth:`write`.
        """
        _make_way(self.path)
        atomicfile.check(self.path)

    def drop(self) -> None:
        """Forgets the answer."""
        _remove(self.path)

    def failure(self) -> Failure | None:
        """Why the last one who asked got no answer, if that is how it ended."""
        document = load(self._base + _FAILURE)
        try:
            kind = getattr(errors, document["type"])
            error: PPGError = kind.__new__(kind)
            Exception.__init__(error, document["message"])
            error.__dict__.update(document["state"])
            if isinstance(error, ChoiceError):
                error.choices = tuple((one, two) for one, two in error.choices)
            return Failure(error, float(document["clock"]))
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    def note(self, error: PPGError) -> None:
        """Keeps the reason for those who wait for the same answer. It holds no secret."""
        kind = next(kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
        state = {name: value for name, value in vars(error).items() if name != "body"}
        if isinstance(error, ProviderError):
            state["body"] = ""
        document = {"type": kind.__name__, "message": error.message, "state": state, **_now()}
        path = self._base + _FAILURE
        with contextlib.suppress(EnvFileError):  # then each of those asks for itself
            _make_way(path)
            atomicfile.write(path, json.dumps(document, default=str))


def forget(provider: str, *, retired: str = "") -> None:
    """Drops what the API of a provider answered before its connections changed.

    For every verb that made, changed or ended one. A credential that ``PPG_GENERATE`` made for this
    machine exists nowhere else, so it stays until it is the one that was ended.

    Args:
        provider: as in ``PPG_PROVIDER``.
        retired: id of a connection that was ended; empty where none was.
    """
    try:
        folder = lock.cache_folder(FOLDER)
    except EnvFileError:
        return  # nor can anything be kept
    # First the mark: whoever is asking right now must not keep an answer from before.
    marker = os.path.join(folder, f"{provider}.mark")
    _make_way(marker)
    with contextlib.suppress(EnvFileError):  # a full disk keeps no answers either
        atomicfile.write(marker, os.urandom(8).hex())
    for path in _files(folder, f"{provider}-"):
        ended = is_for_machine(path) and retired and (load(path) or {}).get("id") == retired
        if ended or path.endswith((ANSWER, _FAILURE)):
            _remove(path)


def kept_for_machine(provider: str) -> frozenset[str]:
    """Ids of the connections that ``PPG_GENERATE`` made here, and that processes here use."""
    try:
        folder = lock.cache_folder(FOLDER)
    except EnvFileError:
        return frozenset()
    found = (load(path) for path in _files(folder, f"{provider}-") if is_for_machine(path))
    return frozenset(str(each.get("id", "")) for each in found if each) - {""}


def is_for_machine(path: str) -> bool:
    """Whether a file is, or would be, one of a connection that ``PPG_GENERATE`` made."""
    return path.endswith(_GENERATED)


def mark(slot: Slot, provider: str) -> str:
    """Changes with every :func:`forget` of a provider."""
    return _mark(slot.path, provider)


def _mark(path: str, provider: str) -> str:
    try:
        with open(os.path.join(os.path.dirname(path), f"{provider}.mark"), "rb") as stream:
            return stream.read(64).hex()
    except OSError:
        return ""


def _now() -> dict[str, float]:
    return {"fetched_at": time.time(), "clock": time.monotonic()}


def _make_way(path: str) -> None:
    """Removes what must not be written through or over: a link, another user's file."""
    with contextlib.suppress(OSError):
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            os.unlink(path)


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _files(folder: str, prefix: str = "") -> list[str]:
    try:
        return [
            os.path.join(folder, name) for name in os.listdir(folder) if name.startswith(prefix)
        ]
    except OSError:
        return []


def _purge(folder: str) -> None:
    """Secrets of databases that nobody asks for any more do not lie about for ever."""
    for path in _files(folder):
        if path.endswith((ANSWER, _FAILURE)):
            with contextlib.suppress(OSError):
                if time.time() - os.lstat(path).st_mtime > _FORGOTTEN:
                    os.unlink(path)
