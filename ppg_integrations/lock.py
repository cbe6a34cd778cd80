"""One writer of a file at a time, with nothing left beside the file."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import tempfile
from typing import TYPE_CHECKING

from .errors import EnvFileError
from .names import APPLICATION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def holding(
    path: str | os.PathLike[str],
    *,
    timeout: float = 10.0,
    waiting: Callable[[str], None] | None = None,
    title: str = "",
) -> Iterator[bool]:
    """Hold the lock of the file at ``path``, which need not exist.

    The lock file stands in the user's cache folder, named by a hash of the real path: a project
    folder is no place for litter. The system drops the lock when its holder dies. It binds this
    package's processes of one user; editors, and root beside a user, do not know it.

    Args:
        path: the file; two spellings of one path share a lock.
        timeout: seconds to wait for another process.
        waiting: called with the holder ("process 123 (ppg-connect)") if there is one to wait for.
        title: what an error calls it; the path by default.

    Yields:
        Whether another process had it, and was waited for.

    Raises:
        EnvFileError: another process kept the lock, or no folder for it could be made.
    """
    from filelock import FileLock, Timeout

    lock_file = _lock_file(path)
    holder_file = f"{lock_file}.holder"
    lock = FileLock(lock_file, timeout=timeout, mode=0o600)
    waited = False
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waited = True
            if waiting is not None:
                waiting(_holder(holder_file))
            lock.acquire()
    except Timeout:
        raise EnvFileError(
            f"{title or os.fspath(path)} is locked by {_holder(holder_file)}; waited {timeout:g} s",
            hint="Wait for that process or end it, then run this again.",
        ) from None
    except OSError as error:
        raise EnvFileError(
            f"the lock of {os.fspath(path)} cannot be taken: {error.strerror} ({lock_file})"
        ) from error
    try:
        _announce(holder_file)
        yield waited
    finally:
        lock.release()


def _lock_file(path: str | os.PathLike[str]) -> str:
    parent, name = os.path.split(os.path.abspath(path))
    key = os.path.join(os.path.realpath(parent), name).encode(errors="surrogateescape")
    return os.path.join(_folder(), f"{hashlib.sha256(key).hexdigest()[:32]}.lock")


def _folder() -> str:
    return cache_folder("locks")


def cache_folder(name: str = "") -> str:
    """Our folder in the user's cache folder, or in the temporary folder.

    The latter where the home is missing, cannot be written, or is another user's. Nobody else can
    write to it, and nobody else can look into those below it.

    Args:
        name: of a folder below ours; ours itself by default.

    Raises:
        EnvFileError: there is neither.
    """
    from platformdirs import user_cache_dir

    cache = user_cache_dir(APPLICATION, appauthor=False)
    spare = os.path.join(tempfile.gettempdir(), f"ppg-integrations-{os.geteuid()}")
    # sudo may keep the user's HOME: root's folders in there would shut the user out later.
    ours = owner_of_first_existing(cache) == os.geteuid()
    for base in (cache, spare) if ours else (spare,):
        folder = os.path.join(base, name) if name else base
        if make_own(base) and (not name or make_own(folder, private=True)):
            return folder
    raise EnvFileError(
        f"no folder for lock files: neither {cache} nor {spare} is a writable folder of this user",
        hint="Set XDG_CACHE_HOME or TMPDIR to a folder that this user may write to.",
    )


def owner_of_first_existing(folder: str) -> int:
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    return os.lstat(folder).st_uid


def make_own(folder: str | os.PathLike[str], *, private: bool = False) -> bool:
    """Make a folder that only we can write to; False where that cannot be.

    Whatever the umask says, each level that had to be made has mode 0700: ``os.makedirs`` gives its
    mode to the last one only. One that is there and ours is closed to everybody else's writes.

    Args:
        folder: no link: of that, nothing is known but who made it.
        private: to everybody else's looks, too.
    """
    folder = os.path.abspath(folder)
    missing = []
    while not os.path.lexists(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    try:
        for level in reversed(missing):
            with contextlib.suppress(FileExistsError):  # another process was faster
                os.mkdir(level, 0o700)
                os.chmod(level, 0o700)  # a umask may take away even our own rights
        folder = missing[0] if missing else folder
        found = os.lstat(folder)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            return False
        closed = 0o077 if private else 0o022
        if found.st_mode & closed:
            os.chmod(folder, stat.S_IMODE(found.st_mode) & ~closed)
    except OSError:
        return False
    return os.access(folder, os.R_OK | os.W_OK | os.X_OK)


def _announce(holder_file: str) -> None:
    # Not in the lock file: where flock() is missing filelock keeps its own marker there.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    program = os.path.basename(sys.argv[0]) if sys.argv else ""
    with contextlib.suppress(OSError):  # only a courtesy to whoever waits
        descriptor = os.open(holder_file, flags, 0o600)
        try:
            os.fchmod(descriptor, 0o600)  # a umask may have taken away our own rights
            os.write(descriptor, f"process {os.getpid()} ({program or 'python'})".encode())
        finally:
            os.close(descriptor)


def _holder(holder_file: str) -> str:
    try:
        with open(holder_file, encoding="utf-8", errors="replace") as stream:
            return stream.read(200) or "another process"
    except OSError:
        return "another process"
