"""Files and folders that nobody but their owner can look into, whatever the umask says."""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from .account import Account

#: of a file
MODE: Final = 0o600


def write_private(path: Path, text: str, account: Account | None = None) -> None:
    """Replaces a file in one step, readable by its owner only.

    Args:
        account: who shall own it; ourselves by default.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, MODE)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), MODE)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            if account is not None and account.dropped:
                # by descriptor: the folder may be the account's, which could swap the file
                os.fchown(file.fileno(), account.uid, account.gid)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise


def make_private(folder: Path, account: Account | None = None) -> None:
    """Makes a folder that only its owner can enter; one that is there keeps its contents."""
    folder.mkdir(mode=0o700, parents=False, exist_ok=True)
    shut(folder, 0o700)
    if account is not None:
        account.own(folder)


def shut(folder: Path, mode: int, gid: int = -1) -> None:
    """Sets the mode of a folder that root may be making where another user can write."""
    if os.geteuid() != 0:
        folder.chmod(mode)  # by its name: a umask may have taken away our right to open it
        return
    # Another user could put a link in its place between two calls that take a name.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchown(descriptor, -1, gid)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)
