"""A program that may have to be copied before the servers' account can run it."""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from . import account as accounts

if TYPE_CHECKING:
    from .account import Account


@dataclass(frozen=True)
class Install:
    """Where a program is, and what has to come along when it is copied.

    Attributes:
        program: the executable.
        origin: how it was found, for people.
        trees: folders that a copy needs, next to each other as they are; none: never copied.
        libraries: folders for LD_LIBRARY_PATH.
    """

    program: Path
    origin: str
    trees: tuple[Path, ...] = ()
    libraries: tuple[Path, ...] = ()

    @property
    def bin(self) -> Path:
        return self.program.parent

    def version(self, account: Account) -> str:
        """What ``--version`` says when `account` runs it; empty where it cannot."""
        environ = accounts.environ(Path("/"), libraries=self.libraries)
        try:
            answer = account.run([str(self.program), "--version"], environ=environ)
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return answer.stdout if answer.returncode == 0 else ""


def version_number(text: str) -> str:
    """``17.10`` of ``postgres (PostgreSQL) 17.10 (Debian ...)``."""
    found = re.search(r"\b\d+(\.\d+)+", text)
    return found[0] if found else ""


def usable(install: Install, account: Account, folder: Path) -> tuple[Install, str] | None:
    """`install`, or a copy of it that `account` can run, and its ``--version``.

    A virtual environment below a home of mode 0700 cannot be read by an account root drops to.

    Args:
        folder: where a copy may be made; it has to belong to `account`.

    Returns:
        None where it does not run either way.
    """
    text = install.version(account)
    if text:
        return install, text
    if not account.dropped or not install.trees:
        return None
    copy = _copied(install, account, folder)
    text = copy.version(account)
    return (copy, text) if text else None


def _copied(install: Install, account: Account, folder: Path) -> Install:
    source = f"{install.program}\n{install.program.stat().st_mtime_ns}\n"
    target = folder / f"{install.program.name}-copy"
    mark = target / "source"
    if not mark.is_file() or mark.read_text() != source:
        temporary = folder / f".{target.name}.{secrets.token_hex(4)}"
        try:
            for tree in install.trees:
                shutil.copytree(tree, temporary / tree.name, symlinks=True)
            (temporary / "source").write_text(source)
            temporary.chmod(0o700)
            account.own(temporary, *temporary.rglob("*"))
            shutil.rmtree(target, ignore_errors=True)
            temporary.rename(target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    return replace(
        install,
        program=_moved(install.program, install, target),
        libraries=tuple(_moved(path, install, target) for path in install.libraries),
    )


def _moved(path: Path, install: Install, target: Path) -> Path:
    for tree in install.trees:
        if path.is_relative_to(tree):
            return target / tree.name / path.relative_to(tree)
    return path
