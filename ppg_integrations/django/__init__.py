"""Django on two URLs: requests through the pooler, migrations straight to the server.

In settings::

    from ppg_integrations.django import databases

    INSTALLED_APPS = ["ppg_integrations.django", ...]  # first, so that its commands win
    DATABASES = databases(env_file=BASE_DIR / ".env")

In a project's own code and commands::

    from ppg_integrations.django import DirectCommand, direct_connection

In its servers and workers, beside all that runs on ``default``::

    from ppg_integrations.django import advisory_lock, direct_session, listen
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .commands import DirectCommand
    from .routing import direct_connection
    from .sessions import advisory_lock, direct_session, listen
    from .settings import databases

__all__ = [
    "DirectCommand",
    "advisory_lock",
    "databases",
    "direct_connection",
    "direct_session",
    "listen",
]


# Looked up on first use: settings import this package before Django can be used, and what they
# need of it (databases) must cost no more than it has to.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name == "databases":
            from .settings import databases

            return databases
        if name == "direct_connection":
            from .routing import direct_connection

            return direct_connection
        if name == "DirectCommand":
            from .commands import DirectCommand

            return DirectCommand
        if name in ("advisory_lock", "direct_session", "listen"):
            from . import sessions

            return getattr(sessions, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
