"""What is under way at a provider and not in use yet: the memory that outlives a crash.

A provider shows a new credential once. That it will be asked for, and then what it answered, is
written here first, and leaves when it stands where it belongs; whatever fails in between, the next
run finds it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from . import atomicfile, entry, lock, statefolder
from .entry import Entry
from .errors import EnvFileError, URLError
from .secret import sealed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_VERSION: Final = 1
_LIMIT: Final = 1 << 20  # bytes


class DamagedJournalError(EnvFileError):
    """The journal holds something that is no journal, perhaps a credential."""


@dataclass(frozen=True)
class Last:
    """The last thing that was finished, for a run that waited for it. It holds no secret.

    Attributes:
        verb, provider, request: as in :class:`~ppg_integrations.entry.Entry`.
        mark: the value of ``PPG_CONNECTION`` that was written with it.
        key: of its entry, which tells it from an earlier one that was the same otherwise.
    """

    verb: str
    provider: str
    request: Mapping[str, str] = field(hash=False)
    mark: str
    key: str = ""


class Journal:
    """What is under way for one file, in the user's state folder (mode 0600).

    Several things can be: runs that were killed, runs for two providers. None is lost.

    Args:
        path: of the file that the credential is for: a ``.env`` file, or a credential cache. Two
            spellings of one path share a journal. Nothing is touched yet.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        parent, name = os.path.split(os.path.abspath(path))
        self.file = os.path.join(os.path.realpath(parent), name)
        digest = hashlib.sha256(self.file.encode(errors="surrogateescape")).hexdigest()[:32]
        self.path = os.path.join(statefolder.path(), f"{digest}.json")

    def prepare(self) -> None:
        """Make the folder, and find out whether :meth:`record` will be able to write.

        To be called before a provider is asked for anything. A damaged journal is kept aside.

        Raises:
            EnvFileError: the folder cannot be made or written to; names ``XDG_STATE_HOME``.
        """
        statefolder.make()
        with _naming_the_variable():
            atomicfile.check(self.path)
        with lock.holding(self.path):
            self._usable()

    @sealed
    def record(self, one: Entry, *, last: Last | None = None) -> None:
        """Keep an entry; one with the same key is replaced. It is on disk when this returns.

        Args:
            last: what it was, if its connection is in use now.

        Raises:
            EnvFileError: the journal cannot be written; what was there still is.
        """
        statefolder.make()
        with lock.holding(self.path):
            entries, before = self._usable()
            others = [other for other in entries if other.key != one.key]
            self._write([*others, one], last or before)

    @sealed
    def entries(self) -> tuple[Entry, ...]:
        """Everything that is under way, the oldest first.

        Raises:
            EnvFileError: the journal cannot be read.
            DamagedJournalError: an EnvFileError too; the file is left as it is.
        """
        return self._read()[0]

    @sealed
    def last(self) -> Last | None:
        """What was finished last; None if that is not known.

        Raises:
            EnvFileError: as :meth:`entries`.
        """
        return self._read()[1]

    @sealed
    def clear(self, key: str, *, last: Last | None = None) -> None:
        """Forget the entry with this key, because it is in use or gone; unknown ones are no error.

        Args:
            last: what it was, if it is in use now.

        Raises:
            EnvFileError: the journal cannot be read or written.
        """
        if not os.path.lexists(self.path):
            return
        with lock.holding(self.path):
            entries, before = self._read()
            rest = [each for each in entries if each.key != key]
            if len(rest) < len(entries):
                self._write(rest, last or before)

    def damaged(self) -> tuple[str, ...]:
        """Paths of journals of this file that nobody could read, and that were kept aside."""
        folder, name = os.path.split(self.path)
        try:
            found = sorted(os.listdir(folder))
        except OSError:
            return ()
        return tuple(os.path.join(folder, each) for each in found if each.startswith(f"{name}.dam"))

    def _usable(self) -> tuple[tuple[Entry, ...], Last | None]:
        """What it holds; nothing, where it is damaged: a new credential must not be lost too."""
        atomicfile.sweep(self.path)
        try:
            return self._read()
        except DamagedJournalError:
            self._set_aside()
            return (), None

    def _read(self) -> tuple[tuple[Entry, ...], Last | None]:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with open(descriptor, "rb") as stream:
                data = stream.read(_LIMIT + 1)
        except FileNotFoundError:
            return (), None
        except OSError as error:
            raise EnvFileError(
                f"{self.path} cannot be read: {error.strerror}", hint=statefolder.HINT
            ) from error
        try:
            document = json.loads(data)
            if document["version"] != _VERSION:
                reason = f"it has version {document['version']!r:.20}, not {_VERSION}"
            else:
                found = tuple(entry.from_json(item, self.path) for item in document["entries"])
                return found, _last(document["last"])
        except (ValueError, KeyError, TypeError, AttributeError, URLError) as error:
            reason = type(error).__name__
        # Raised out here: some of the exceptions above hold the text they failed on.
        raise DamagedJournalError(
            f"{self.path}, which keeps generated connections that are not in use yet, cannot be "
            f"understood: {reason}",
            hint="It may hold a credential that exists nowhere else. Look into it; when you have "
            f"what you need, remove it: rm {self.path}",
        )

    def _write(self, entries: Sequence[Entry], last: Last | None) -> None:
        document = {
            "version": _VERSION,
            "file": self.file,
            "entries": [each.as_json() for each in entries],
            "last": None if last is None else {**vars(last), "request": dict(last.request)},
        }
        with _naming_the_variable():
            atomicfile.write(self.path, json.dumps(document, indent=2) + "\n")

    def _set_aside(self) -> None:
        aside = f"{self.path}.damaged-{entry.now():%Y%m%dT%H%M%S%f}"
        try:
            os.rename(self.path, aside)
        except OSError as error:
            raise EnvFileError(
                f"{self.path} cannot be written: {error.strerror}", hint=statefolder.HINT
            ) from error


def journals() -> tuple[Journal, ...]:
    """Every journal of this user that holds something; what nobody can read is passed over."""
    try:
        folder = statefolder.path()
        found = sorted(os.listdir(folder))
    except (OSError, EnvFileError):
        return ()
    files = (_file_of(os.path.join(folder, each)) for each in found if each.endswith(".json"))
    return tuple(Journal(file) for file in files if file)


def _file_of(path: str) -> str:
    """What a journal is for; empty where it holds nothing, or cannot be read."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as stream:
            document = json.loads(stream.read(_LIMIT))
        return str(document["file"]) if document["entries"] else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


@contextlib.contextmanager
def _naming_the_variable() -> Iterator[None]:
    """Adds to an error of writing where else the journal could be."""
    try:
        yield
    except EnvFileError as error:
        error.hint = f"{error.hint} {statefolder.HINT}".strip()
        raise


def _last(item: dict[str, Any] | None) -> Last | None:
    if item is None:
        return None
    request, key = dict(item["request"]), item.get("key", "")
    return Last(item["verb"], item["provider"], request, item["mark"], key)
