"""What the embedded servers keep on disk, and with which modes, whatever the umask says.

.ppg/.gitignore           "*": nothing in here is ever committed
.ppg/local/lock           held while servers are started, stopped or changed
.ppg/local/state.json     ports, versions, where the data lies; no secret
.ppg/local/secrets.json   passwords of the management roles
.ppg/local/server/        data, certificates, configuration and logs, owned by the account that
                          runs the servers; elsewhere where that account cannot get at it
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets as randomness
import stat
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ...errors import LocalServerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .account import Account

_PRIVATE: Final = 0o600
_ELSEWHERE: Final = Path("/var/tmp")  # noqa: S108 - survives a reboot; ownership is checked


def write_private(path: Path, text: str, account: Account | None = None) -> None:
    """Replaces a file in one step, readable by its owner only.

    Args:
        account: who shall own it; ourselves by default.
    """
    temporary = path.with_name(f".{path.name}.{randomness.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _PRIVATE)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), _PRIVATE)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if account is not None:
            account.own(temporary)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise


def make_private(folder: Path, account: Account | None = None) -> None:
    """Makes a folder that only its owner can enter; one that is there keeps its contents."""
    folder.mkdir(mode=0o700, parents=False, exist_ok=True)
    folder.chmod(0o700)
    if account is not None:
        account.own(folder)


@dataclass
class State:
    """What ``state.json`` holds. No secret."""

    postgres_port: int = 0
    pooler_port: int = 0
    postgres_version: str = ""
    pooler_version: str = ""
    tls: bool = False
    server_folder: str = ""  # empty in its usual place, so that a project can be moved
    no_pooler: str = ""  # why there is none
    no_tls: str = ""  # the same


@contextlib.contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turns what the file system refuses into an error of ours."""
    try:
        yield
    except OSError as error:
        name = error.filename or folder
        raise LocalServerError(
            f"{name}: {error.strerror or error}",
            hint="Free some disk space and start again."
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            else "Check who owns it: the user who started the servers first has to go on.",
        ) from error


class Store:
    """The files of ``.ppg/local`` that belong to us, not to the servers' account.

    Args:
        folder: ``.ppg/local``; nothing is made before :meth:`prepare`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = folder / "lock"
        self._state = folder / "state.json"
        self._secrets = folder / "secrets.json"

    def prepare(self, account: Account) -> None:
        """Makes the folders; ``.ppg`` ignores itself.

        A dropped account may pass through (mode 0710, its group), and see nothing.

        Raises:
            LocalServerError: they cannot be made.
        """
        root = self.folder.parent if self.folder.parent.name == ".ppg" else self.folder
        with explained(self.folder):
            for folder in dict.fromkeys((root, self.folder)):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                # Root may be a container's, on a folder that the host's user shared with it.
                if os.geteuid() not in (0, folder.stat().st_uid):
                    raise LocalServerError(
                        f"{folder} belongs to another user (uid {folder.stat().st_uid})",
                        hint="Run the command as that user.",
                    )
                if account.dropped:
                    os.chown(folder, -1, account.gid)
                folder.chmod(0o710 if account.dropped else 0o700)
            ignore = root / ".gitignore"
            if not ignore.exists():
                write_private(ignore, "*\n")

    def state(self) -> State:
        """What is remembered; nothing yet is a state too.

        Raises:
            LocalServerError: the file is damaged.
        """
        known = {item.name for item in fields(State)}
        return State(**{k: v for k, v in self._read(self._state).items() if k in known})

    def remember(self, state: State) -> None:
        write_private(self._state, json.dumps(asdict(state), indent=2) + "\n")

    def passwords(self, *, make: bool = False) -> dict[str, str]:
        """Passwords of the management roles, by ``admin``, ``pooler`` and ``stats``.

        Args:
            make: make them if there are none.

        Raises:
            LocalServerError: there are none.
        """
        values = self._read(self._secrets)
        missing = {"admin", "pooler", "stats"} - values.keys()
        if missing and not make:
            raise LocalServerError(
                f"{self._secrets} is gone or damaged, and with it the way into the data",
                hint=f"Bring it back, or move {self.folder} away to start afresh.",
            )
        if missing:
            values = {name: randomness.token_urlsafe(24) for name in sorted(missing)}
            write_private(self._secrets, json.dumps(values, indent=2) + "\n")
        return values

    def server_folder(self, state: State) -> Path:
        """The servers' own folder, wherever it was put."""
        return Path(state.server_folder) if state.server_folder else self.folder / "server"

    def make_server_folder(self, account: Account, state: State) -> Path:
        """The servers' own folder, made and given to `account`.

        Raises:
            LocalServerError: somebody else's folder is in its place.
        """
        folder = self.server_folder(state)
        if not folder.exists():
            state.server_folder = ""
            folder = self.server_folder(state)
            make_private(folder, account)
            if not account.can_use(folder):
                folder.rmdir()
                # A name nobody can foresee, and so nobody can have taken before.
                name = f"ppg-{os.geteuid()}-{randomness.token_hex(8)}"
                folder = _ELSEWHERE / name
                folder.mkdir(mode=0o700)
                account.own(folder)
                state.server_folder = str(folder)
            self.remember(state)
        _check_owned(folder, account)
        if not account.can_use(folder):
            raise LocalServerError(
                f"{account.name} cannot write into {folder}",
                hint="Start the servers as the user who started them first.",
            )
        return folder

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no JSON"
            raise LocalServerError(
                f"{path} cannot be read: {reason}",
                hint=f"Correct it, or move {self.folder} away to start afresh.",
            ) from None
        if not isinstance(values, dict):
            raise LocalServerError(f"{path} is not what this version writes")
        return values


def _check_owned(folder: Path, account: Account) -> None:
    status = folder.lstat()
    expected = account.uid
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != expected:
        raise LocalServerError(
            f"{folder} is not a folder of {account.name}, who runs the servers",
            hint="Start the servers as the user who started them first, or move it away.",
        )
    if status.st_mode & 0o077:
        folder.chmod(0o700)
