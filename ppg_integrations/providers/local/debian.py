"""PgBouncer from the distribution's own package, unpacked into the user's cache folder.

For Debian and what descends from it. Needs neither root nor an installation: apt gets a state and a
cache of its own, the packages are only unpacked, and no service is started.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ... import lock
from ...errors import EnvFileError, LocalServerError
from ...secret import without_secrets
from . import account
from .programs import Install

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base import Progress

_TOOLS: Final = ("apt-get", "apt-cache", "dpkg")
_SECONDS: Final = 180
# The C library must be the system's own: the loader that reads it is not replaced.
_NEVER: Final = frozenset({"libc6", "libgcc-s1", "libcrypt1"})
# Hooks of the machine (an image's cleaner, a desktop's catalogue) are none of our business and fail
# without root; a later configuration file is the one place that can take them out.
_CONFIGURATION: Final = """
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
Dir::State "{folder}/state";
Dir::State::status "/var/lib/dpkg/status";
Dir::State::extended_states "{folder}/state/extended_states";
Dir::Cache "{folder}/cache";
Dir::Log "{folder}/log";
Debug::NoLocking "true";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "15";
Acquire::https::Timeout "15";
APT::Sandbox::User "{user}";
APT::Get::List-Cleanup "false";
"""


def fetch(progress: Progress, *, cache: Path | None = None) -> Install:
    """PgBouncer in the user's cache folder, fetched at the first call.

    Args:
        cache: the folder; ``ppg-integrations`` in the user's cache folder by default.

    Raises:
        LocalServerError: this is no Debian, or it could not be fetched; nothing half-made is left.
    """
    import filelock

    name = f"pgbouncer-{_system()}"
    cache = _private(cache)
    final = cache / name
    if not final.is_dir() or not is_trusted(final):
        for tool in _TOOLS:
            if _tool(tool) is None:
                raise LocalServerError(f"there is no {tool} on this system")
        try:
            with filelock.FileLock(cache / "pgbouncer.lock", timeout=_SECONDS + 30, mode=0o600):
                if os.path.lexists(final) and not is_trusted(final):
                    _discard(final)
                if not final.is_dir():  # another process may have been faster
                    progress("fetching PgBouncer")
                    _fetch(final)
        except filelock.Timeout:
            raise LocalServerError("another process has been fetching it for minutes") from None
        except OSError as error:
            raise LocalServerError(f"{cache}: {error.strerror or error}") from error
    return _install(final)


def _private(cache: Path | None) -> Path:
    """The cache folder, to which nobody else can write: programs in it are run."""
    if cache is None:
        try:
            return Path(lock.cache_folder())
        except EnvFileError as error:
            raise LocalServerError(error.message, hint=error.hint) from None
    if not lock.make_own(cache):
        raise LocalServerError(f"{cache} is not a folder of ours that can be written to")
    return cache


def is_trusted(root: Path) -> bool:
    """Could nobody but us and root have changed anything in `root`?

    Of a file that others may write to nothing is known, whoever owns it: a new mode does not bring
    back what it was.
    """
    for path in (root, *root.rglob("*")):
        found = path.lstat()
        if found.st_uid not in (0, os.geteuid()):
            return False
        if not stat.S_ISLNK(found.st_mode) and found.st_mode & 0o022:
            return False
    return stat.S_ISDIR(root.lstat().st_mode)


def _discard(folder: Path) -> None:
    """Takes a folder away that is not to be trusted, or raises."""
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink()
        return
    aside = Path(tempfile.mkdtemp(prefix=".fetch-", dir=folder.parent))
    try:
        folder.rename(aside / "root")
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _system() -> str:
    """A name for the release and the architecture, since a home folder may be shared."""
    try:
        text = Path("/etc/os-release").read_text(encoding="utf-8")
    except OSError:
        raise LocalServerError("this is no Debian") from None
    values = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', text, re.MULTILINE))
    release = values.get("VERSION_ID") or values.get("VERSION_CODENAME") or "unknown"
    return re.sub(r"[^\w.-]", "_", f"{values.get('ID', 'linux')}-{release}-{os.uname().machine}")


def _tool(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{account.SYSTEM_PATH}")


def _fetch(final: Path) -> None:
    temporary = Path(tempfile.mkdtemp(prefix=".fetch-", dir=final.parent))
    try:
        _unpack(temporary)
        for path in (temporary / "root", *(temporary / "root").rglob("*")):
            if not path.is_symlink():  # made under a umask, which may be 0
                path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o022)
        install = _install(temporary / "root")
        if not install.version(account.Account("", -1, -1, dropped=False)):
            raise LocalServerError("the package was unpacked and does not run")
        (temporary / "root").rename(final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unpack(folder: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    if set('"\\\n') & set(str(folder)):  # apt's configuration has no spelling for them
        raise LocalServerError(f"apt cannot work in {str(folder)!r}, because of that name")
    for name in ("state/lists/partial", "cache/archives/partial", "log", "packages", "root"):
        (folder / name).mkdir(parents=True)
    configuration = folder / "apt.conf"
    # As root apt would fetch as the user _apt, who cannot enter our folders.
    user = "root" if os.geteuid() == 0 else ""
    configuration.write_text(_CONFIGURATION.format(folder=folder, user=user), encoding="utf-8")
    apt = ("-c", str(configuration))
    _run(["apt-get", *apt, "-q", "update"], folder, deadline)
    # apt-get calls it a success when no server could be reached
    if not any((folder / "state/lists").glob("*Packages*")):
        raise LocalServerError("apt-get update got no list of packages; is there a network?")
    relations = "no-recommends no-suggests no-conflicts no-breaks no-replaces no-enhances".split()
    listing = _run(
        ["apt-cache", *apt, "depends", "--recurse", *(f"--{r}" for r in relations), "pgbouncer"],
        folder,
        deadline,
    )
    names = sorted(libraries(listing))
    _run(["apt-get", *apt, "-q", "download", "pgbouncer", *names], folder / "packages", deadline)
    for package in sorted((folder / "packages").glob("*.deb")):
        _run(["dpkg", "-x", str(package), str(folder / "root")], folder, deadline)


def libraries(listing: str) -> set[str]:
    """The shared libraries that PgBouncer needs, of ``apt-cache depends --recurse``."""
    depends: dict[str, list[str]] = {}
    package = ""
    for line in listing.splitlines():
        if line and not line[0].isspace():
            package = line.strip()
        else:
            found = re.fullmatch(r"[ |]*(?:Pre)?Depends: (lib[\w.+-]+)", line)
            if found:
                depends.setdefault(package, []).append(found[1])
    wanted: set[str] = set()
    waiting = ["pgbouncer"]
    while waiting:
        for name in depends.get(waiting.pop(), []):
            if name not in wanted and name not in _NEVER:
                wanted.add(name)
                waiting.append(name)
    return wanted


def _run(argv: Sequence[str], folder: Path, deadline: float) -> str:
    name, *arguments = argv
    environ = {**without_secrets(os.environ), "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        answer = subprocess.run(
            [_tool(name) or name, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            cwd=folder,
            env=environ,
            timeout=max(1.0, deadline - time.monotonic()),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LocalServerError(f"{name} took longer than {_SECONDS} s") from None
    if answer.returncode:
        lines = [line for line in answer.stderr.splitlines() if line.startswith("E:")]
        reason = " / ".join(lines[:2]) or f"exit status {answer.returncode}"
        raise LocalServerError(f"{name}: {reason}")
    return answer.stdout


def _install(root: Path) -> Install:
    programs = [root / "usr/sbin/pgbouncer", root / "usr/bin/pgbouncer"]
    program = next((path for path in programs if path.is_file()), None)
    if program is None:
        raise LocalServerError("its package holds no program")
    folders = sorted({path.parent for path in root.glob("**/lib/**/*.so*")})
    return Install(program, "Debian's package", (root,), tuple(folders))
