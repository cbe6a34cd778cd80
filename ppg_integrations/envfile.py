"""The ``.env`` file: read as python-dotenv reads it, written so that nothing in it is lost."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import warnings
from typing import TYPE_CHECKING, Final, NamedTuple

from . import envtext
from .errors import EnvFileError, PPGWarning
from .secret import masked_by_name, sealed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LIMIT: Final = 1024 * 1024  # bytes; whatever is larger is a mistaken path
_MODE: Final = 0o600
_ATTEMPTS: Final = 5
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Update(NamedTuple):
    """What :func:`update` did."""

    #: names whose value is another than before, in the order given
    changed: tuple[str, ...]
    #: sentences for the user, without secrets
    notes: tuple[str, ...]


class _Changed(Exception):  # noqa: N818 - a signal between two functions of this module
    """Somebody who does not know our lock wrote the file meanwhile."""


class _Loaded(NamedTuple):
    text: str  # without a byte order mark, line endings as they are
    found: os.stat_result | None  # None: no such file


@sealed
def read(path: str | os.PathLike[str], *, quiet: bool = False) -> dict[str, str]:
    """The variables in a ``.env`` file; none if there is no such file.

    Values are literal: ``${NAME}`` is not expanded, so that a password may hold any character and
    what :func:`update` wrote comes back as it was. A line that python-dotenv skips is skipped here
    too, with a :class:`PPGWarning` if it looks like an assignment.

    Args:
        path: the file.
        quiet: without the warning, where another reader gives it.

    Raises:
        EnvFileError: the file cannot be read, is a folder, not UTF-8 or larger than 1 MiB.
    """
    text = _load(path).text.replace("\r\n", "\n").replace("\r", "\n")  # as dotenv opens files
    for line, name in envtext.unread(text):
        if name is not None and not quiet:
            warnings.warn(
                f"{os.fspath(path)}, line {line}: {name} is ignored, because its value cannot be "
                "read (is a quote left open?)",
                PPGWarning,
                stacklevel=3,  # the caller of what is sealed
            )
    return {
        name: masked_by_name(name, value)
        for name, value in envtext.values(text).items()
        if value is not None
    }


@sealed
def check_writable(path: str | os.PathLike[str], *, allow_tracked: bool = False) -> None:
    """Raise what :func:`update` would refuse, before there is anything to write.

    Raises:
        EnvFileError: as :func:`update`; only a full disk shows no earlier than there.
    """
    from . import lock

    _check(path, allow_tracked=allow_tracked)
    with lock.holding(path):
        pass


@sealed
def update(
    path: str | os.PathLike[str], values: Mapping[str, str], *, allow_tracked: bool = False
) -> Update:
    """Set variables in a ``.env`` file and leave everything else in it as it is.

    Every assignment of a name is replaced, so that no old secret stays behind a duplicate; a name
    that is not there comes at the end. A comment behind a replaced value moves to a line of its own
    above it, because docker would read it as part of the value. The file has mode 0600 afterwards;
    the change is one step, which parallel updates and crashes can neither lose nor split.

    Args:
        path: the file; it is made if it is missing, its folder is not.
        values: what readers shall get for each name.
        allow_tracked: write even if git tracks the file, or would.

    Raises:
        TrackedFileError: git tracks the file, or would (an EnvFileError).
        EnvFileError: the file cannot be read, replaced or locked, or a value cannot be written so
            that all readers agree. The old file is intact then.
    """
    from . import atomicfile, lock, spelling

    spelled = {_checked_name(name): spelling.spell(name, value) for name, value in values.items()}
    _check(path, allow_tracked=allow_tracked)
    with lock.holding(path):
        atomicfile.sweep(path)
        for _ in range(_ATTEMPTS):
            with contextlib.suppress(_Changed):
                return _update(path, values, spelled)
    raise EnvFileError(
        f"{os.fspath(path)} was changed by another program each time it was about to be written",
        hint="Close what writes to it, then run this again.",
    )


def _update(
    path: str | os.PathLike[str], values: Mapping[str, str], spelled: Mapping[str, str]
) -> Update:
    from . import atomicfile

    loaded = _load(path)
    text = _rewrite(path, loaded.text, values, spelled)

    def unchanged() -> None:
        # An editor does not know our lock: what it saved since is read again, not overwritten.
        if _stamp(path) != _stamp_of(loaded.found):
            raise _Changed

    atomicfile.write(path, text, mode=_MODE, before_replace=unchanged)
    before = envtext.values(loaded.text)
    changed = tuple(name for name, value in values.items() if before.get(name) != value)
    return Update(changed, tuple(_notes(path, loaded, text, spelled)))


def _check(path: str | os.PathLike[str], *, allow_tracked: bool) -> None:
    from . import atomicfile, gitguard

    atomicfile.check(path)
    gitguard.check(path, allow_tracked=allow_tracked)
    # A quote left open somewhere swallows the next one: try a value that needs quotes.
    sample = dict.fromkeys(("DATABASE_URL", "DIRECT_URL"), "a&b")
    _rewrite(path, _load(path).text, sample, dict.fromkeys(sample, "'a&b'"))


def _rewrite(
    path: str | os.PathLike[str], text: str, values: Mapping[str, str], spelled: Mapping[str, str]
) -> str:
    try:
        return envtext.rewrite(text, values, spelled)
    except envtext.WouldChangeMeaningError as error:
        line = f", line {error.line}" if error.line else ""
        raise EnvFileError(
            f"{os.fspath(path)}{line}: with a variable added the file would read differently",
            hint="Correct it first: is a quote left open?",
        ) from None


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise EnvFileError(f"{name!r} cannot be the name of a variable")
    return name


def _load(path: str | os.PathLike[str]) -> _Loaded:
    shown = os.fspath(path)
    try:
        with open(path, "rb") as stream:
            found = os.fstat(stream.fileno())
            data = stream.read(_LIMIT + 1)
    except FileNotFoundError:
        return _Loaded("", None)
    except IsADirectoryError:
        raise EnvFileError(f"{shown} is a folder", hint="Give the path of the file.") from None
    except OSError as error:
        raise EnvFileError(
            f"{shown} cannot be read: {error.strerror}",
            hint=f"ls -l {shown} shows whose it is.",
        ) from error
    if len(data) > _LIMIT:
        raise EnvFileError(f"{shown} is larger than 1 MiB, which no .env file is")
    try:
        return _Loaded(data.decode("utf-8").lstrip("\ufeff"), found)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
    # Raised out here: the exception above holds the whole file, secrets and all.
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    raise EnvFileError(
        f"{shown}, line {line}: not UTF-8" + (" but UTF-16" if utf16 else ""),
        hint="Save the file as UTF-8." + (" Windows PowerShell's > makes UTF-16." if utf16 else ""),
    )


def _stamp(path: str | os.PathLike[str]) -> tuple[int, ...] | None:
    try:
        return _stamp_of(os.stat(path))
    except FileNotFoundError:
        return None


def _stamp_of(found: os.stat_result | None) -> tuple[int, ...] | None:
    return found and (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _notes(
    path: str | os.PathLike[str], loaded: _Loaded, text: str, spelled: Mapping[str, str]
) -> Iterator[str]:
    from . import spelling

    shown = os.fspath(path)
    mode = stat.S_IMODE(loaded.found.st_mode) if loaded.found else _MODE
    if mode & 0o077:
        yield f"{shown} could be read by others (mode {mode:04o}); its mode is 0600 now"
    if loaded.found and loaded.found.st_nlink > 1:
        yield f"{shown} had another name (a hard link); under that one the old contents remain"
    quoted = [name for name, value in spelled.items() if not spelling.is_bare(value)]
    if quoted:
        yield (
            f"{', '.join(quoted)} had to be quoted for sh; 'docker run --env-file' keeps such "
            "quotes as part of the value (docker compose does not)"
        )
    if envtext.has_export(text):
        yield f"'docker run --env-file' refuses {shown}, because lines in it begin with 'export'"
    if envtext.line_end(text) == "\r\n":
        yield f"{shown} has Windows line endings, which sh reads as part of each value"
