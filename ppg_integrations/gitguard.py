"""Would git take this file into its history? Asked before a secret is written into it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from . import atomicfile, lock
from .errors import EnvFileError
from .secret import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TIMEOUT: Final = 10.0  # seconds; a git that hangs (a stale network mount) must not hang us

#: outside any work tree; ignored in one; tracked; not ignored, so that `git add .` would take it;
#: or nobody can tell
State = Literal["outside", "ignored", "tracked", "untracked", "unknown"]


class Standing(NamedTuple):
    """What git thinks of a file, and for ``unknown`` why it could not be asked."""

    state: State
    reason: str = ""


class TrackedFileError(EnvFileError):
    """Git tracks the file, would track it, or may do so: no place for a secret."""


def check(path: str | os.PathLike[str], *, allow_tracked: bool = False) -> None:
    """Refuse a file that git has, or would take with the next ``git add .``.

    Args:
        path: the file, which need not exist.
        allow_tracked: the user said that it may be tracked; nothing is asked then.

    Raises:
        TrackedFileError: with the line for ``.gitignore`` and the flag that overrides.
    """
    if allow_tracked:
        return
    shown = os.fspath(path)
    state, reason = standing(path)
    ignore_line = f"echo {shlex.quote(_pattern(path))} >> {shlex.quote(_gitignore(path))}"
    if state == "tracked":
        raise TrackedFileError(
            f"{shown} is tracked by git: a secret in it would be committed",
            hint=f"Take it out of git: git rm --cached {shlex.quote(shown)} && {ignore_line}\n"
            "Or write to it all the same: --allow-tracked.",
        )
    if state == "untracked":
        raise TrackedFileError(
            f"{shown} is not ignored by git: the next 'git add .' would take its secret along",
            hint=f"Ignore it first: {ignore_line}\n"
            "--gitignore does that for you; --allow-tracked writes it all the same.",
        )
    if state == "unknown":
        raise TrackedFileError(
            f"{shown} lies in a git work tree, and whether git ignores it is unknown: {reason}",
            hint="If you know that it is ignored, or do not mind: --allow-tracked.",
        )


def standing(path: str | os.PathLike[str]) -> Standing:
    """Ask git about a file.

    Every ``.git`` up the tree is asked by name (``--git-dir``) until one is a repository. Git then
    answers root in a user's checkout too: it refuses "dubious ownership" only where it found the
    repository itself, and versions differ in which configuration may lift that.
    """
    parent, name = os.path.split(os.fspath(path))
    start = os.path.realpath(parent or ".")
    for top in folders_up(start):
        git_dir = os.path.join(top, ".git")
        if not os.path.lexists(git_dir):
            continue
        if shutil.which("git") is None:
            return Standing("unknown", "there is no git on PATH")
        found = _ask(git_dir, top, os.path.relpath(os.path.join(start, name), top))
        if found is not None:
            return found
    return Standing("outside")


def ignore(path: str | os.PathLike[str]) -> bool:
    """Add the file's name to the ``.gitignore`` in its folder, unless git ignores it already.

    Returns:
        Whether a line was added.

    Raises:
        TrackedFileError: git tracks the file, which no ``.gitignore`` changes.
        EnvFileError: the ``.gitignore`` cannot be read or written.
    """
    state, _ = standing(path)
    if state in {"outside", "ignored"}:
        return False
    if state == "tracked":
        check(path)
    gitignore, line = _gitignore(path), os.fsencode(_pattern(path))
    with lock.holding(gitignore):
        atomicfile.check(gitignore)
        old, mode = _contents(gitignore)
        if state == "unknown" and line in old.splitlines():
            return False
        end = b"\r\n" if b"\r\n" in old else b"\n"
        gap = end if old and not old.endswith(b"\n") else b""
        atomicfile.write(gitignore, old + gap + line + end, mode=mode)
    return True


def _contents(gitignore: str) -> tuple[bytes, int]:
    try:
        with open(gitignore, "rb") as stream:
            return stream.read(), stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
    except FileNotFoundError:
        return b"", 0o644
    except OSError as error:
        raise EnvFileError(f"{gitignore} cannot be read: {error.strerror}") from error


def _gitignore(path: str | os.PathLike[str]) -> str:
    return os.path.join(os.path.dirname(os.fspath(path)), ".gitignore")


def _pattern(path: str | os.PathLike[str]) -> str:
    """The file's name as a line of ``.gitignore``, which gives ``* ? [ # ! \\`` a meaning."""
    escaped = re.sub(r"([\\*?\[])", r"\\\1", os.path.basename(os.fspath(path)))
    escaped = re.sub(r"^([#!])", r"\\\1", escaped)
    return re.sub(r" (?= *$)", r"\\ ", escaped)


def folders_up(folder: str) -> Iterator[str]:
    """`folder` and every one above it."""
    yield folder
    while (above := os.path.dirname(folder)) != folder:
        folder = above
        yield folder


def _ask(git_dir: str, top: str, name: str) -> Standing | None:
    """What this repository says; None if it is none, and git itself would look further up."""
    base = ["git", "-C", top, "--git-dir", git_dir, "--work-tree", top]
    try:
        tracked = run([*base, "--literal-pathspecs", "ls-files", "--error-unmatch", "--", name])
        if tracked.returncode == 0:
            return Standing("tracked")
        answer = tracked
        if tracked.returncode == 1:
            # It takes no literal pathspecs: "./" keeps a leading ":" from meaning something, and
            # --no-index a "*" from matching a tracked file. The index was asked just before.
            named = os.path.join(".", name)
            answer = run([*base, "check-ignore", "-q", "--no-index", "--", named])
            if answer.returncode in {0, 1}:
                return Standing("ignored" if answer.returncode == 0 else "untracked")
    except subprocess.TimeoutExpired:
        return Standing("unknown", f"git did not answer within {_TIMEOUT:g} s")
    except OSError as error:
        return Standing("unknown", f"git does not start: {error.strerror}")
    # A `.git` file that leads nowhere is a work tree seen from a container: git has it elsewhere.
    if "not a git repository" in answer.stderr and os.path.isdir(git_dir):
        return None
    lines = answer.stderr.strip().splitlines()
    return Standing("unknown", lines[0] if lines else f"git exited with {answer.returncode}")


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs git with a time limit, and with no setting that would make it run another program.

    Raises:
        subprocess.TimeoutExpired: it did not end in time.
        OSError: it does not start.
    """
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=_TIMEOUT,
        check=False,
        env=_environ(os.environ),
    )


def _environ(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without secrets, without what a git hook sets and what runs a program.

    Root may be asking about somebody else's repository, whose own configuration could otherwise
    name a file system monitor or a remote to fetch from.
    """
    kept = {"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH"}
    clean = {
        k: v for k, v in without_secrets(environ).items() if not k.startswith("GIT_") or k in kept
    }
    settings = {"core.fsmonitor": "false", "protocol.allow": "never"}
    for number, (key, value) in enumerate(settings.items()):
        clean[f"GIT_CONFIG_KEY_{number}"] = key
        clean[f"GIT_CONFIG_VALUE_{number}"] = value
    return clean | {
        "GIT_CONFIG_COUNT": str(len(settings)),
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }
