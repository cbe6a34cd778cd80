"""The file that ``--env-file`` names where the environment has URLs too: those win, and it is said.

One rule holds for every file, however it was named: what is set in the environment wins. It is that
of python-dotenv (https://pypi.org/project/python-dotenv), of Flask's and Docker Compose's
``--env-file``, and of all who follow https://12factor.net/config: a platform sets variables, and no
file shall lead its commands to another database. But whoever types a file's name means that file: a
verb that goes elsewhere says so, and how to go there.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from .. import layers, names
from ..errors import ConfigurationError
from ..pair import ConnectionPair

if TYPE_CHECKING:
    from .context import Context

_URLS: Final = (*names.POOLED, *names.DIRECT)


def pair(context: Context, verb: str) -> ConnectionPair:
    """:meth:`.Context.pair`, with a warning where it is not that of the file that was named.

    Args:
        verb: the one that was typed, for the command that takes the file's.

    Raises:
        PPGError: as there; its hint has the warning.
    """
    text = " ".join(filter(None, (hidden(context), remedy(context, verb))))
    try:
        found = context.pair()
    except ConfigurationError as error:
        if text:
            error.also(text)
        raise
    if not text or found.pooled_source.kind in ("api", "provider"):  # by options that name it
        return found
    values = {name: getattr(found, name) for name in ConnectionPair.__slots__}
    return ConnectionPair(**{**values, "warnings": (*found.warnings, text)})


def hidden(context: Context) -> str:
    """That something has URLs in the place of the file that was named; empty where that counts."""
    others = [f"{name} in {layers.place(context.environ, name)}" for name in _others(context)]
    if not others:
        return ""
    listed = " and ".join(filter(None, (", ".join(others[:-1]), others[-1])))
    named = f"{context.env_file}, which --env-file names"
    if not _of_file(context):
        has = "has no URL" if os.path.exists(context.env_file) else "does not exist"
        return f"{named}, {has}: the pair is that of {listed}."
    return f"The pair is not that of {named}: {listed} {'win' if others[1:] else 'wins'}."


def remedy(context: Context, verb: str) -> str:
    """How to take the file's pair all the same; empty where that counts, or where it has none."""
    others = _others(context)
    if not others or not _of_file(context):
        return ""
    if any(layers.kind(context.environ, name) == "config" for name in others):
        context = replace(context, program=layers.PROGRAM)  # which knows of no configuration
    process = layers.process(context.environ)
    unset = "".join(f" -u {name}" for name in _URLS if process.get(name, "").strip())
    command = context.command(verb) + (" -- CMD" if verb == "run" else "")
    return f"To take the file's: `{f'env{unset} ' if unset else ''}{command}`"


def _others(context: Context) -> list[str]:
    """Names of the URLs that count, and not the file's, although that was named."""
    if not context.file_named:
        return []
    own, environ = _of_file(context), context.environ
    return [name for name in _URLS if environ.get(name, "").strip() and environ[name] not in own]


def _of_file(context: Context) -> list[str]:
    values = context.file()
    return [values[name] for name in _URLS if values.get(name, "").strip()]
