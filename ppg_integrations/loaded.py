"""Which variables of the environment are there because something loaded the ``.env`` file into it.

Flask's own command does, and so does every ``load_dotenv()``. A process that took those for the
environment's would go on with the old pair when the file gets another one, and would tell its user
to unset what nobody has set.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, overload

from .errors import EnvFileError
from .layers import Layered

#: Set by Werkzeug's reloader in the process that serves: https://werkzeug.palletsprojects.com
_RELOADED: Final = "WERKZEUG_RUN_MAIN"


def without_loaded(environ: Mapping[str, str], file: Mapping[str, str | None]) -> Mapping[str, str]:
    """The environment without what came from the file.

    Where the system tells with which environment the process began (Linux), a variable that was
    there is the environment's, whatever the file says. Elsewhere an equal value is the file's.

    Args:
        environ: the environment now.
        file: the variables of the ``.env`` file now.
    """
    same = {name for name, value in file.items() if value and environ.get(name) == value}
    first = _first_environ("self")
    if first is not None:
        same -= first.keys()
        if environ.get(_RELOADED) == "true":
            # What the reloader itself loaded reached this process by inheritance, and the file may
            # have changed since.
            parent = _first_environ(str(os.getppid()))
            if parent is not None:
                same |= (file.keys() & first.keys() & environ.keys()) - parent.keys()
    return {name: value for name, value in environ.items() if name not in same}


@overload
def own(environ: Layered, path: str | None) -> Layered: ...
@overload
def own(environ: Mapping[str, str], path: str | None) -> Mapping[str, str]: ...
def own(environ: Mapping[str, str], path: str | None) -> Mapping[str, str]:
    """:func:`without_loaded` for the ``.env`` file at `path`, if there is one that can be read.

    Of layers, what the upper one has copied from there counts as the file's, too:
    ``app.config["DATABASE_URL"] = os.environ["DATABASE_URL"]``.
    """
    if path is None or not os.path.exists(path):
        return environ
    if isinstance(environ, Layered):
        below = own(environ.environ, path)
        loaded = environ.environ.keys() - below.keys()
        return environ.replace(
            {
                name: value
                for name, value in environ.config.items()
                if name not in loaded or value != environ.environ[name]
            },
            below,
        )
    from . import envfile

    try:
        return without_loaded(environ, envfile.read(path, quiet=True))
    except EnvFileError:  # whoever resolves the pair is told
        return environ


def _first_environ(process: str) -> dict[str, str] | None:
    """The environment that a process was started with; None where the system does not tell.

    https://man7.org/linux/man-pages/man5/proc_pid_environ.5.html
    """
    try:
        with open(f"/proc/{process}/environ", "rb") as stream:
            raw = stream.read()
    except OSError:
        return None
    entries = (os.fsdecode(entry).partition("=") for entry in raw.split(b"\0"))
    return {name: value for name, separator, value in entries if separator}
