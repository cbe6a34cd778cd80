"""Running other programs: in which environment, how shown, and ended when we are."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

Environ = Mapping[str, str]

# What the caller may tell pip and uv: where packages come from and how they are fetched. Anything
# else of theirs (a target folder, a constraint, another interpreter) is meant for other work.
_KEPT = re.compile(
    r"PIP_(CERT|CLIENT_CERT|PROXY|TRUSTED_HOST|INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX"
    r"|TIMEOUT|DEFAULT_TIMEOUT|RETRIES|CACHE_DIR|NO_CACHE_DIR|CONFIG_FILE|KEYRING_PROVIDER"
    r"|USE_FEATURE)"
    r"|UV_(DEFAULT_INDEX|INDEX\w*|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|OFFLINE|CACHE_DIR|NO_CACHE"
    r"|CONFIG_FILE|NATIVE_TLS|SYSTEM_CERTS|INSECURE_HOST|HTTP_\w+|KEYRING_PROVIDER|LINK_MODE"
    r"|CONCURRENT_\w+)"
)
# The caller's own databases have no business here: the demo and the tests make theirs.
_DROPPED = re.compile(
    r"(PIP|UV|VIRTUALENV|TOX|CONDA|PG|PGBOUNCER|POSTGRES|DATABASE|DIRECT|PRISMA|NEON|CASEDEV"
    r"|DJANGO|FLASK)_\w+"
    r"|PPG_(?!POSTGRES_BIN|PGBOUNCER|LOCAL_FETCH)\w+"
    r"|PG[A-Z]+"
    r"|PYTHON(PATH|HOME|USERBASE|SAFEPATH|STARTUP|WARNINGS|OPTIMIZE)"
    r"|VIRTUAL_ENV(_PROMPT)?|__PYVENV_LAUNCHER__"
)


class Stopped(Exception):  # noqa: N818  (it ends the run, and need not be an error of ours)
    """What ends the run; its text says what to do."""


def clean(environ: Environ) -> dict[str, str]:
    """The caller's environment without what would bend pip, uv, Python or libpq."""
    kept = {k: v for k, v in environ.items() if _KEPT.fullmatch(k) or not _DROPPED.fullmatch(k)}
    # Against a pip.conf that says otherwise, and against a question that nobody would see.
    ours = {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_NO_INPUT": "1"}
    return {**kept, **ours, "PYTHONNOUSERSITE": "1"}


def home(environ: Environ) -> str:
    return environ.get("HOME") or os.path.expanduser("~")


def with_cache(environ: Environ, spare: Path) -> dict[str, str]:
    """The same, with `spare` for a cache folder where the user can have none of their own."""
    cache = Path(environ.get("XDG_CACHE_HOME") or Path(home(environ), ".cache"))
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:  # HOME=/nonexistent, or a container's arbitrary user
        usable = False
    else:
        usable = os.access(cache, os.W_OK | os.X_OK)
    return dict(environ) if usable else {**environ, "XDG_CACHE_HOME": str(spare)}


def run(argv: Sequence[str], environ: Environ, folder: Path, *, output: int | None = None) -> int:
    """Run a command in a process group of its own and return its exit status.

    What ends us ends the command: it gets one SIGINT and 30 seconds to clean up, then what is left
    of its group is killed.
    """
    with subprocess.Popen(
        argv, cwd=folder, env=environ, stdout=output, stderr=output, start_new_session=True
    ) as child:
        try:
            return child.wait()
        except BaseException:
            child.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(30)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            raise


def run_quietly(argv: Sequence[str], environ: Environ, folder: Path, advice: str) -> None:
    """Run a command whose output is worth reading only when it fails.

    Raises:
        Stopped: it did; the text has its last lines and `advice`.
    """
    with tempfile.TemporaryFile() as log:
        status = run(argv, environ, folder, output=log.fileno())
        if status:
            log.seek(0)
            lines = log.read().decode(errors="replace").strip().splitlines()
            tail = "\n".join(f"    {line}" for line in lines[-15:])
            command = " ".join(argv[:4])
            raise Stopped(f"{command} ... ended with status {status}:\n{tail}\n{advice}")


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """One line of output: what is being done, then the seconds that it took."""
    print(f"{text:<52}", end="", flush=True)
    start = time.monotonic()
    try:
        yield
    except BaseException:
        print("   failed", flush=True)
        raise
    print(f"{time.monotonic() - start:7.1f} s", flush=True)


@contextlib.contextmanager
def lock(path: Path, waiting_for: str) -> Iterator[None]:
    """Let one run at a time pass; the kernel frees it however the run ends."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another dev.py to finish {waiting_for}", flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
