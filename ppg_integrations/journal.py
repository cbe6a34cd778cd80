"""What a provider generated and ``.env`` does not hold yet: the memory that outlives a crash.

A provider shows a new credential once. It is written here first, and leaves when it stands where it
belongs; whatever fails in between, the next run finds it.
"""

from __future__ import annotations

import json
import os
import stat
import warnings
from dataclasses import dataclass, field
from datetime import datetime, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from . import atomicfile, lock
from .errors import EnvFileError, PPGWarning, URLError
from .urls import PostgresURL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FOLDER: Final = ".ppg"
_VERSION: Final = 1


class DamagedJournalError(EnvFileError):
    """The journal holds something that is no journal, perhaps a credential."""


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


@dataclass(frozen=True)
class Entry:
    """A generated connection that is not in use yet. Its URLs hide their passwords.

    Attributes:
        provider: as in ``PPG_PROVIDER``.
        id, name: what the provider calls the connection.
        pooled, direct: its two URLs.
        env_file: where they shall be written.
        request: what was asked of the provider, by the options' names; only a run that asks for
            nothing else may take the entry up.
        created_at: ISO 8601, UTC.
    """

    provider: str
    id: str
    name: str
    pooled: PostgresURL
    direct: PostgresURL
    env_file: str
    request: Mapping[str, str] = field(default_factory=dict, hash=False)
    created_at: str = field(default_factory=_now)

    def answers(self, request: Mapping[str, str]) -> bool:
        """Whether it is what a run with these options wants."""
        return all(self.request.get(name) == value for name, value in request.items())

    def _as_json(self) -> dict[str, Any]:
        urls = {"pooled": self.pooled.reveal(), "direct": self.direct.reveal()}
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | urls


class Journal:
    """The pending connections of one project, in ``.ppg/pending.json`` (mode 0600).

    Several can be pending: two runs at once, or runs for two providers, lose neither.

    Args:
        project_folder: the folder that has, or gets, the ``.ppg``; nothing is touched yet.
    """

    def __init__(self, project_folder: str | os.PathLike[str]) -> None:
        self._folder = os.path.join(os.fspath(project_folder), FOLDER)
        self.path = os.path.join(self._folder, "pending.json")

    def prepare(self) -> None:
        """Make the folder, and find out whether :meth:`record` will be able to write.

        To be called before a provider is asked for a credential.

        Raises:
            EnvFileError: the folder cannot be made or written to.
            DamagedJournalError: an EnvFileError too; the file is left as it is.
        """
        self._make_folder()
        atomicfile.check(self.path)
        with lock.holding(self.path):
            self._read()

    def record(self, entry: Entry) -> None:
        """Keep an entry; one of the same provider and id is replaced.

        A damaged journal does not stop this, or the new credential would be lost too: the damaged
        file is kept beside, with a :class:`PPGWarning`.

        Raises:
            EnvFileError: the journal cannot be written.
        """
        self._make_folder()
        with lock.holding(self.path):
            atomicfile.sweep(self.path)
            try:
                entries = self._read()
            except DamagedJournalError:
                self._set_aside()
                entries = ()
            key = (entry.provider, entry.id)
            others = [other for other in entries if (other.provider, other.id) != key]
            self._write([*others, entry])

    def pending(
        self,
        provider: str | None = None,
        *,
        env_file: str | None = None,
        request: Mapping[str, str] = MappingProxyType({}),
    ) -> Entry | None:
        """The newest entry, of those that match what is named; None if there is none.

        Raises:
            EnvFileError: the journal cannot be read.
            DamagedJournalError: an EnvFileError too; the file is left as it is.
        """
        for entry in reversed(self._read()):
            if (
                provider in {None, entry.provider}
                and env_file in {None, entry.env_file}
                and entry.answers(request)
            ):
                return entry
        return None

    def clear(self, id: str) -> None:  # noqa: A002 - the provider's word for it
        """Forget the entry with this id, because it is stored or gone; unknown ids are no error.

        Raises:
            EnvFileError: the journal cannot be read or written.
        """
        if not os.path.lexists(self.path):
            return
        with lock.holding(self.path):
            entries = self._read()
            rest = [entry for entry in entries if entry.id != id]
            if len(rest) == len(entries):
                return
            if rest:
                self._write(rest)
            else:
                self._remove()

    def _make_folder(self) -> None:
        project = os.path.dirname(self._folder) or "."
        try:
            try:
                # Nobody else can enter while it is made; a folder that others were let into
                # (the embedded servers' account) keeps what it has.
                os.mkdir(self._folder, 0o700)
                above = os.stat(project)
                if os.geteuid() == 0 and above.st_uid != 0:
                    os.chown(self._folder, above.st_uid, above.st_gid, follow_symlinks=False)
            except FileExistsError:
                pass
            self._check_folder()
            ignore = os.path.join(self._folder, ".gitignore")
            if not os.path.lexists(ignore):
                atomicfile.write(ignore, "*\n")
        except OSError as error:
            raise EnvFileError(
                f"{self._folder} cannot be made: {error.strerror}",
                hint=f"Generated credentials are kept there first: make {project} writable.",
            ) from error

    def _check_folder(self) -> None:
        found = os.lstat(self._folder)
        if not stat.S_ISDIR(found.st_mode):
            kind = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "no folder"
            raise EnvFileError(
                f"{self._folder} is {kind}, and credentials are to be kept in it",
                hint="Move it away; a folder is made in its place.",
            )
        us = os.geteuid()
        if us not in {0, found.st_uid}:
            raise EnvFileError(
                f"{self._folder} belongs to another user (uid {found.st_uid})",
                hint="Run this as that user, or give the folder to yourself (chown).",
            )
        if found.st_mode & 0o022:
            os.chmod(self._folder, stat.S_IMODE(found.st_mode) & ~0o022)

    def _read(self) -> tuple[Entry, ...]:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with open(descriptor, "rb") as stream:
                data = stream.read()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise EnvFileError(f"{self.path} cannot be read: {error.strerror}") from error
        try:
            document = json.loads(data)
            if document["version"] != _VERSION:
                reason = f"it has version {document['version']!r:.20}, not {_VERSION}"
            else:
                return tuple(_entry(item, self.path) for item in document["pending"])
        except (ValueError, KeyError, TypeError, AttributeError, URLError) as error:
            reason = type(error).__name__
        # Raised out here: some of the exceptions above hold the text they failed on.
        raise DamagedJournalError(
            f"{self.path}, which keeps generated connections that are not in use yet, cannot be "
            f"understood: {reason}",
            hint="It may hold a credential that exists nowhere else. Look into it; when you have "
            f"what you need, remove it: rm {self.path}",
        )

    def _write(self, entries: Sequence[Entry]) -> None:
        document = {"version": _VERSION, "pending": [entry._as_json() for entry in entries]}  # noqa: SLF001
        atomicfile.write(self.path, json.dumps(document, indent=2) + "\n")

    def _set_aside(self) -> None:
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S%f")
        aside = f"{self.path}.damaged-{stamp}"
        try:
            os.rename(self.path, aside)
        except OSError as error:
            raise EnvFileError(f"{self.path} cannot be written: {error.strerror}") from error
        warnings.warn(
            f"{self.path} could not be understood and was kept as {aside}", PPGWarning, stacklevel=3
        )

    def _remove(self) -> None:
        try:
            os.unlink(self.path)
            descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                atomicfile.sync_folder(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise EnvFileError(f"{self.path} cannot be removed: {error.strerror}") from error


def _entry(item: dict[str, Any], path: str) -> Entry:
    texts = {name: item[name] for name in Entry.__dataclass_fields__}
    request = texts.pop("request")
    if not all(isinstance(text, str) for text in (*texts.values(), *request, *request.values())):
        raise TypeError
    urls = {n: PostgresURL.parse(texts[n], source=path) for n in ("pooled", "direct")}
    return Entry(**{**texts, **urls, "request": request})
