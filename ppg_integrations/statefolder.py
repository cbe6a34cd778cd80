"""The user's state folder: what has to outlive a crash, and is nobody else's business."""

from __future__ import annotations

import os
from typing import Final

from . import lock
from .errors import EnvFileError

_NAME: Final = "ppg-integrations"
HINT: Final = "Set XDG_STATE_HOME to a folder that this user may write to."


def path() -> str:
    """Where our folder is, or would be; nothing is touched.

    It is in ``XDG_STATE_HOME`` or in the home. ``sudo`` may keep the user's home, where root's
    files would be found by nobody and shut the user out: root then has its own.
    """
    from platformdirs import user_state_dir

    usual = user_state_dir(_NAME, appauthor=False)
    home = os.path.expanduser("~")
    us = os.geteuid()
    if lock.owner_of_first_existing(usual) == us or (us != 0 and "XDG_STATE_HOME" in os.environ):
        return usual
    own = _home_of(us)
    if not own or lock.owner_of_first_existing(own) != us:
        return usual
    below = os.path.relpath(usual, home)
    if below.startswith(os.pardir):
        below = os.path.join(".local", "state", _NAME)
    return os.path.join(own, below)


def make() -> str:
    """The folder, there and private (mode 0700).

    Raises:
        EnvFileError: it cannot be made, or is not ours.
    """
    folder = path()
    if not lock.make_own(folder, private=True):
        raise EnvFileError(
            f"{folder}, which keeps generated credentials until they are in use, cannot be made or "
            "written to",
            hint=HINT,
        )
    return folder


def _home_of(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:  # a container's number without an account
        return ""
