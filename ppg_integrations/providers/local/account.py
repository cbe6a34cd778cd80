"""As whom the servers run: ourselves, or an unprivileged account when we are root.

PostgreSQL refuses to run as root. No account is made and no folder of anybody else is touched.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...errors import LocalServerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_UNPRIVILEGED: Final = ("postgres", "nobody")
#: where programs are looked for, whatever the caller's PATH has been cut down to
SYSTEM_PATH: Final = "/usr/bin:/bin:/usr/sbin:/sbin"


@dataclass(frozen=True)
class Account:
    """A user of this machine.

    Attributes:
        dropped: this is not the user we are, who is root.
    """

    name: str
    uid: int
    gid: int
    dropped: bool

    def run(
        self, argv: Sequence[str], *, environ: Mapping[str, str], seconds: float = 30
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program as this account, to its end, from the root folder.

        Raises:
            OSError: it cannot be executed; subprocess.TimeoutExpired: it took too long.
        """
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            cwd="/",  # our own working folder may be closed to the account
            env=dict(environ),
            timeout=seconds,
            umask=0o077,
            check=False,
            user=self.uid if self.dropped else None,
            group=self.gid if self.dropped else None,
            extra_groups=[] if self.dropped else None,
        )

    def can_use(self, folder: Path) -> bool:
        """Can this account reach `folder` and write into it?"""
        if not self.dropped:
            return os.access(folder, os.W_OK | os.X_OK)
        script = 'cd -- "$1" && test -w .'
        answer = self.run(["/bin/sh", "-c", script, "sh", str(folder)], environ=environ(folder))
        return answer.returncode == 0

    def own(self, *paths: Path) -> None:
        """Gives files that we made to this account."""
        if self.dropped:
            for path in paths:
                os.chown(path, self.uid, self.gid, follow_symlinks=False)


def unprivileged() -> dict[int, pwd.struct_passwd]:
    """The accounts of this machine that root may run servers as, by uid, the first one first."""
    found = {}
    for name in _UNPRIVILEGED:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            if entry.pw_uid != 0:
                found[entry.pw_uid] = entry
    return found


def choose(folder: os.stat_result | None = None) -> Account:
    """The account for the servers: us, or if we are root ``postgres``, else ``nobody``.

    Args:
        folder: of servers that are there already: root goes on as its owner, whichever accounts
            have come or gone since.

    Raises:
        LocalServerError: we are root and have neither.
    """
    uid = os.geteuid()
    if uid != 0:
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:  # a container run with --user
            name = str(uid)
        return Account(name, uid, os.getegid(), dropped=False)
    if folder is not None and folder.st_uid != 0:
        return _owner(folder)
    for entry in unprivileged().values():
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, dropped=True)
    raise LocalServerError(
        "PostgreSQL does not run as root, and there is no user postgres or nobody to run it as",
        hint="Run the command as an ordinary user.",
    )


def _owner(folder: os.stat_result) -> Account:
    try:
        entry = pwd.getpwuid(folder.st_uid)
    except KeyError:  # of another container, or deleted since
        return Account(str(folder.st_uid), folder.st_uid, folder.st_gid, dropped=True)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, dropped=True)


def environ(home: Path, *, libraries: Sequence[Path] = ()) -> dict[str, str]:
    """A small environment for a server's programs: none of the caller's PG variables or secrets.

    Args:
        home: a folder the account can read: libpq stops at an unreadable ``~/.postgresql``.
        libraries: folders with shared libraries that the system does not have.
    """
    values = {"PATH": SYSTEM_PATH, "HOME": str(home), "LC_ALL": "C", "TZ": "UTC"}
    if libraries:
        values["LD_LIBRARY_PATH"] = ":".join(map(str, libraries))
    return values
