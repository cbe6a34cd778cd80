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
import shlex
import stat
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ...errors import LocalServerError
from .account import unprivileged
from .private import MODE, make_private, shut, write_private

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .account import Account

_FORMER_PORTS: Final = 50
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
_ELSEWHERE: Final = Path("/var/tmp")  # noqa: S108 - survives a reboot; ownership is checked


@dataclass
class State:
    """What ``state.json`` holds. No secret."""

    postgres_port: int = 0
    pooler_port: int = 0  # kept while there is no pooler
    former_ports: list[int] = field(default_factory=list)  # of either, the latest last
    postgres_version: str = ""
    pooler_version: str = ""
    tls: bool = False
    server_folder: str = ""  # empty in its usual place, so that a project can be moved
    no_pooler: str = ""  # why there is none
    no_tls: str = ""  # the same

    def leave(self, port: int) -> None:
        """Remembers a port that a server has to give up: URLs with it may turn up later."""
        kept = [one for one in self.former_ports if one != port]
        self.former_ports = [*kept, port][-_FORMER_PORTS:]


@contextlib.contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turns what the file system refuses into an error of ours."""
    try:
        yield
    except OSError as error:
        name = error.filename or folder
        raise LocalServerError(
            f"{name}: {error.strerror or error}", hint=_way_out(error, folder)
        ) from error


def _way_out(error: OSError, folder: Path) -> str:
    if error.errno in _FULL:
        return "Free some disk space and start again."
    root = _root(folder)
    if error.errno == errno.EROFS or (error.errno in _CLOSED and not os.path.lexists(root)):
        place = root.parent
        while not os.path.lexists(place):
            place = place.parent
        return f"Make {place} writable, or name another place with --env-file."
    return "Check who owns it: the user who started the servers first has to go on."


def _root(folder: Path) -> Path:
    return folder.parent if folder.parent.name == ".ppg" else folder


def refuse_links(folder: Path) -> None:
    """Refuses a ``.ppg``, or the folder in it, that leads elsewhere.

    A project may be somebody else's, and what the link leads to would get our files and our modes.

    Args:
        folder: as it was given, with no link of it followed.

    Raises:
        LocalServerError: one of the two is a symbolic link.
    """
    for each in dict.fromkeys((_root(folder), folder)):
        if each.is_symlink():
            raise LocalServerError(
                f"{each} is a symbolic link (to {os.readlink(each)}), and the servers' files are "
                "not written through one",
                hint="Remove the link, or name another place with --env-file.",
            )


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
        self._owner: Account | None = None  # of what we write; ourselves by default

    def runner(self) -> os.stat_result | None:
        """The server folder, whose owner is whom root has to run them as; None for nobody yet.

        In a folder of somebody else root must not be talked into becoming a third party.
        """
        if os.geteuid() != 0:
            return None
        with explained(self.folder):
            try:
                found = self.server_folder(self.state()).lstat()
                keeper = self.folder.stat().st_uid
            except (FileNotFoundError, NotADirectoryError):
                return None
        usual = keeper in (0, found.st_uid) or found.st_uid in unprivileged()
        return found if stat.S_ISDIR(found.st_mode) and usual else None

    def prepare(self, account: Account) -> None:
        """Makes the folders; ``.ppg`` ignores itself.

        A dropped account may pass through (mode 0710, its group), and see nothing.

        Raises:
            LocalServerError: they cannot be made, or the servers' folder in them is not the
                account's; nothing was changed then.
        """
        root = _root(self.folder)
        with explained(self.folder):
            folders = tuple(dict.fromkeys((root, self.folder)))
            for folder in folders:
                # Root may be a container's, on a folder that the host's user shared with it.
                if folder.exists() and os.geteuid() not in (0, folder.stat().st_uid):
                    raise LocalServerError(
                        f"{folder} belongs to another user (uid {folder.stat().st_uid})",
                        hint="Run the command as that user.",
                    )
            server = self.server_folder(self.state())
            if os.path.lexists(server):
                _check_owned(server, account)
            for folder in folders:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                if account.dropped and folder.stat().st_uid != account.uid:
                    shut(folder, 0o710, account.gid)
                else:
                    shut(folder, 0o700)
            # What root writes in the servers' account's own folder, that account has to read later.
            own = account.dropped and self.folder.stat().st_uid == account.uid
            self._owner = account if own else None
            ignore = root / ".gitignore"
            if not ignore.exists():
                write_private(ignore, "*\n", self._owner)
            self._make_lock()

    def _make_lock(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(self.lock, flags, MODE)
            try:
                os.fchmod(descriptor, MODE)
                if self._owner is not None:
                    os.fchown(descriptor, self._owner.uid, self._owner.gid)
            finally:
                os.close(descriptor)
        if not stat.S_ISREG(self.lock.lstat().st_mode):
            raise LocalServerError(
                f"{self.lock} is no regular file",
                hint=f"Remove it: rm {shlex.quote(str(self.lock))}",
            )

    def state(self) -> State:
        """What is remembered; nothing yet is a state too.

        Raises:
            LocalServerError: the file is damaged.
        """
        known = {item.name for item in fields(State)}
        return State(**{k: v for k, v in self._read(self._state).items() if k in known})

    def remember(self, state: State) -> None:
        write_private(self._state, json.dumps(asdict(state), indent=2) + "\n", self._owner)

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
            write_private(self._secrets, json.dumps(values, indent=2) + "\n", self._owner)
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
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
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
