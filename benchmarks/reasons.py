"""Why requests failed: the most frequent error of each configuration, below its table."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: Of an error that is shown, characters.
_MOST = 110
#: Where the server is says nothing, and is another place each time.
_PLACE = re.compile(r"""(connection failed: )?connection to server at "[^"]*", port \w+ failed: """)
#: Of roles, databases and statements.
_NAME = re.compile(r"""(user|role|database) ("[^"]*"|'[^']*')""")


def commonest(errors: Mapping[str, int]) -> str:
    """The most frequent one, short, without places and names; empty if there is none.

    Args:
        errors: how often each happened.
    """
    if not errors:
        return ""
    text = max(errors, key=lambda error: errors[error])
    text = _NAME.sub(r"\1", _PLACE.sub("", text))
    text = " ".join(text.replace("`", "'").replace("|", "/").split())
    return text if len(text) <= _MOST else f"{text[: _MOST - 1].rstrip()}…"


def said(errors: Mapping[str, Mapping[str, int]]) -> str:
    """A line of Markdown for those that failed; empty if none did.

    Args:
        errors: of each configuration, how often each error happened.
    """
    found: dict[str, list[str]] = {}
    for name, each in errors.items():
        if text := commonest(each):
            found.setdefault(text, []).append(name)
    shown = (f"`{text}` ({', '.join(names)})" for text, names in found.items())
    return f"Most frequent error: {'; '.join(shown)}." if found else ""
