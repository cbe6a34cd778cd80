"""Replacing a file whole: readers and crashes meet the old contents or the new, never a mixture."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from .errors import EnvFileError
from .secret import sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MARK: Final = ".ppg-"  # in the name of each temporary file: a `.env.*` in .gitignore covers it
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_HINTS: Final = {
    errno.ENOSPC: "The disk is full: make room, then run this again. The file is as it was.",
    errno.EDQUOT: "Your disk quota is used up: make room, then run this again.",
    errno.EROFS: "The file system is read-only: name a file elsewhere.",
    errno.EACCES: "Run this as the folder's owner, or name a file elsewhere.",
    errno.EPERM: "Run this as the folder's owner, or name a file elsewhere.",
    errno.EBUSY: "A file that a container mounts by itself cannot be replaced: mount its folder.",
}
# What file systems without a meaning for fsync() on a folder answer (some FUSE, CIFS).
_NO_FOLDER_FSYNC: Final = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}


class _Place(NamedTuple):
    """An open folder and the name of a file in it, so that nobody can swap the folder under us."""

    folder: int
    name: str
    shown: str  # the path as the user gave it


@sealed
def write(
    path: str | os.PathLike[str],
    data: bytes | str,
    *,
    mode: int = 0o600,
    before_replace: Callable[[], None] | None = None,
) -> None:
    """Replace the file at ``path``, or make it, in one step that a crash cannot split.

    The temporary file stands in the same folder, is closed to others from its first byte whatever
    the umask says, and is gone after any failure. Root leaves the file to whoever owned it, and a
    new one to the owner of its folder: ``sudo`` must not take a user's file away.

    Args:
        path: the file; its folder must exist.
        data: the new contents, text as UTF-8.
        mode: permission bits of the new file.
        before_replace: called when all is on disk but the exchange; what it raises stops it.

    Raises:
        EnvFileError: the target is no regular file or somebody else's, or the system refused.
    """
    contents = data.encode() if isinstance(data, str) else data
    with _our_errors(path), _place(path) as place:
        owner = _owner(place)
        temporary = f"{_prefix(place.name)}{os.urandom(8).hex()}"
        descriptor = os.open(temporary, _NEW_FILE, 0o600, dir_fd=place.folder)
        try:
            try:
                if owner is not None:
                    os.fchown(descriptor, *owner)
                os.fchmod(descriptor, mode)
                _write_all(descriptor, contents)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if before_replace is not None:
                before_replace()
            os.replace(temporary, place.name, src_dir_fd=place.folder, dst_dir_fd=place.folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=place.folder)
            raise
        sync_folder(place.folder)


def check(path: str | os.PathLike[str]) -> None:
    """Raise what :func:`write` would raise, as far as that can be told without writing.

    Raises:
        EnvFileError: as :func:`write`; a full disk shows only there.
    """
    with _our_errors(path), _place(path) as place:
        _owner(place)
        folder = os.path.dirname(place.shown) or "."
        if not os.access(folder, os.W_OK | os.X_OK):
            # The system's own word for why: read-only file system, or permissions.
            read_only = os.fstatvfs(place.folder).f_flag & os.ST_RDONLY
            raise OSError(errno.EROFS if read_only else errno.EACCES, "the folder is not writable")


def sweep(path: str | os.PathLike[str]) -> None:
    """Remove the temporary files that writers of ``path`` left when they were killed.

    Only for who holds the lock of that file: a live writer's temporary file goes as well.
    """
    with _our_errors(path), _place(path) as place:
        for name in os.listdir(place.folder):
            if name.startswith(_prefix(place.name)):
                with contextlib.suppress(OSError):  # somebody else's: not ours to remove
                    os.unlink(name, dir_fd=place.folder)


def sync_folder(descriptor: int) -> None:
    """Make the names in an open folder last through a power cut, where the file system can."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_FSYNC:
            raise


def _prefix(name: str) -> str:
    return f"{name[:48]}{_MARK}"  # a name may have 255 bytes, and ours has to fit too


@contextlib.contextmanager
def _place(path: str | os.PathLike[str]) -> Iterator[_Place]:
    shown = os.fspath(path)
    parent, name = os.path.split(shown)
    if name in {"", ".", ".."}:
        raise EnvFileError(f"{shown!r} names no file", hint="Give the path of a file.")
    try:
        folder = os.open(parent or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise EnvFileError(
            f"{shown} cannot be written: there is no folder {parent!r}",
            hint="Make the folder, or correct the path.",
        ) from None
    try:
        yield _Place(folder, name, shown)
    finally:
        os.close(folder)


def _owner(place: _Place) -> tuple[int, int] | None:
    """Whom root has to give the new file to; None where it is ours anyway.

    Raises:
        EnvFileError: what stands there may not be replaced.
    """
    try:
        found = os.stat(place.name, dir_fd=place.folder, follow_symlinks=False)
    except FileNotFoundError:
        found = None
    if found is not None and stat.S_ISLNK(found.st_mode):
        target = os.readlink(place.name, dir_fd=place.folder)
        raise EnvFileError(
            f"{place.shown} is a symbolic link (to {target}); a secret is not written through one",
            hint="Name the file that it points to, or replace the link by a file.",
        )
    if found is not None and not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "no regular file"
        raise EnvFileError(f"{place.shown} is {kind}", hint="Give the path of a file.")
    us = os.geteuid()
    if found is not None and us not in {0, found.st_uid}:
        raise EnvFileError(
            f"{place.shown} belongs to another user (uid {found.st_uid}, and this is uid {us})",
            hint="Run this as that user, or name a file of your own.",
        )
    keeper = found or os.fstat(place.folder)
    if us == 0 and keeper.st_uid != 0:
        return keeper.st_uid, keeper.st_gid
    return None


def _write_all(descriptor: int, contents: bytes) -> None:
    rest = memoryview(contents)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


@contextlib.contextmanager
def _our_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise EnvFileError(
            f"{os.fspath(path)} cannot be written: {reason}",
            hint=_HINTS.get(error.errno or 0, ""),
        ) from error
