"""Where PgBouncer is: named, installed, or fetched privately. No Python package ships it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...errors import LocalServerError
from . import debian
from .account import SYSTEM_PATH
from .programs import Install, usable, version_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..base import Progress
    from .account import Account

VARIABLE: Final = "PPG_PGBOUNCER"
FETCH: Final = "PPG_LOCAL_FETCH"
_HOMEBREW: Final = "/opt/homebrew/bin:/usr/local/bin:/usr/local/sbin"


def find(
    environ: Mapping[str, str], account: Account, folder: Path, progress: Progress
) -> tuple[Install, str] | str:
    """A PgBouncer that `account` can run and what it says of its version.

    Args:
        folder: of the servers; a copy is put there where the account cannot read the original.

    Returns:
        The reason, in words for the user, where there is none.

    Raises:
        LocalServerError: ``PPG_PGBOUNCER`` names something that does not run.
    """
    named = environ.get(VARIABLE, "")
    if named:
        answer = usable(Install(Path(named), f"{VARIABLE}={named}"), account, folder)
        if answer is None:
            raise LocalServerError(
                f"{VARIABLE} is {named}, which {account.name} cannot run",
                hint="Set it to the path of a pgbouncer program, or unset it.",
            )
        return answer
    path = f"{environ.get('PATH', '')}:{SYSTEM_PATH}:{_HOMEBREW}"
    installed = shutil.which("pgbouncer", path=path)
    if installed:
        answer = usable(Install(Path(installed), installed), account, folder)
        if answer is not None:
            return answer
    advice = f"install pgbouncer, or name its path in {VARIABLE}"
    if environ.get(FETCH, "").strip().lower() in ("0", "no", "false", "off"):
        return f"PgBouncer is not installed and {FETCH} forbids to fetch it: {advice}"
    try:
        fetched = debian.fetch(progress)
    except LocalServerError as error:
        return f"PgBouncer is not installed and could not be fetched ({error.message}): {advice}"
    answer = usable(fetched, account, folder)
    return answer or f"the PgBouncer that was fetched does not run here: {advice}"


def number(text: str) -> tuple[int, ...]:
    """``(1, 18, 0)`` of ``PgBouncer 1.18.0``."""
    return tuple(int(part) for part in version_number(text).split(".") if part)
