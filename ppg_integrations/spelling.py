"""How a value is written in a ``.env`` file so that everybody who reads it gets the same.

Four readers with four rules: ``sh`` (``. ./.env``), python-dotenv, docker compose, and
``docker run --env-file``, which takes quotes for part of the value (docker/cli, pkg/kvfile). So a
value is written bare where that means the same to all four. No spelling of an ``&`` does: ``sh``
needs quotes around it, and libpq knows no other separator of URL parameters
(conninfo_uri_parse_params). Such a value is quoted for the other three, and the caller is told.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from .errors import EnvFileError

# Nothing here is special to sh in an assignment, but a tilde at the start or after ":" or "=".
_BARE: Final = re.compile(r"(?:[A-Za-z0-9_./:=@%+,?\[\]-]|(?<=[A-Za-z0-9_./@%+,?\[\]-])~)*")


def spell(name: str, value: str) -> str:
    """Return what to write after ``NAME=``.

    Args:
        name: the variable, for the error.
        value: what readers shall get.

    Raises:
        EnvFileError: no spelling exists that sh, python-dotenv and compose read alike; the value
            is not repeated.
    """
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in value):
        raise _refusal(name, "it holds a control character")
    if _BARE.fullmatch(value):
        return value
    if "${" in value:
        # python-dotenv expands this in quotes of either kind, and knows no escape for it.
        raise _refusal(name, "it holds '${'")
    if value.endswith("\\"):
        # python-dotenv before 1.2 takes the backslash for an escape of the closing quote.
        raise _refusal(name, "it ends with a backslash")
    # Within single quotes python-dotenv, alone, reads \\ and \' as one character.
    if "'" not in value and "\\\\" not in value:
        return f"'{value}'"
    if "$" in value or "`" in value:
        raise _refusal(name, "it needs single quotes for its $ or `, and holds ' or \\\\ as well")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def is_bare(spelled: str) -> bool:
    """Whether ``docker run --env-file`` reads this spelling as all others do."""
    return not spelled.startswith(("'", '"'))


def _refusal(name: str, reason: str) -> EnvFileError:
    return EnvFileError(
        f"the value of {name} cannot be written so that sh, python-dotenv and docker read it "
        f"alike: {reason}",
        hint="Percent-encode that part of the URL.",
    )
