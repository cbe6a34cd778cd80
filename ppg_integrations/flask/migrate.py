"""``init_migrate``: Flask-Migrate on the direct endpoint, whatever its ``env.py`` looks like.

Nothing is swapped, so nothing has to be put back: while a thread runs Alembic, each connection that
it takes from an engine of the app's pooled endpoint is a direct one, for that use. That holds for
``db.session`` in a data migration and for the engines of all binds as well, and other threads'
requests stay on the pooler.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from ppg_integrations.errors import ConfigurationError

from . import foreign

if TYPE_CHECKING:
    from alembic.config import Config
    from flask.sansio.app import App


class _OfThread(threading.local):
    def __init__(self) -> None:
        self.runs: WeakSet[Config] = WeakSet()


class Migrations:
    """Which threads run Alembic for one app.

    A run is known by its ``alembic.config.Config``: Flask-Migrate makes one for each command and
    shows it to the callbacks of ``Migrate.configure``, in the thread that is about to run it; and
    as long as ``env.py`` runs, it is ``alembic.context.config``. Of the two, the first alone would
    never end, and the second alone does not tell whose run it is.
    """

    def __init__(self) -> None:
        self._of_thread = _OfThread()
        self._of_process: WeakSet[Config] = WeakSet()

    def began(self, config: Config) -> None:
        """Notes that the calling thread is about to do something with Alembic.

        In a command such as ``flask db upgrade`` the threads that a migration starts belong to it,
        too. Elsewhere other threads serve requests.

        Args:
            config: of that run.
        """
        import click

        if click.get_current_context(silent=True) is None:
            self._of_thread.runs.add(config)
        else:
            self._of_process.add(config)

    def active(self) -> bool:
        """Whether the calling thread runs Alembic's environment, online or offline."""
        own, shared = self._of_thread.runs, self._of_process
        if not own and not shared:
            return False
        from alembic import context

        config = getattr(context, "config", None)  # there is no such attribute between two runs
        return config is not None and (config in own or config in shared)


class _Callback:
    """What ``Migrate.configure`` gets: tells the current app's state that a run begins."""

    def __init__(self, migrate: Any) -> None:
        self._callbacks: list[Any] = migrate.configure_callbacks

    def __call__(self, config: Config) -> Config:
        from flask import current_app

        from .state import KEY, current_state

        if self._callbacks[-1] is not self:
            # A later one may hand on another Config. The list is being walked, so this is called
            # again at its end, with what Alembic really gets.
            self._callbacks.append(self)
        if KEY in current_app.extensions:  # apps without PPG may share the Migrate
            current_state().migrations.began(config)
        return config


def init_migrate(migrate: Any) -> None:
    """Makes every run of a ``flask_migrate.Migrate`` use the direct endpoint.

    Args:
        migrate: before or after its ``init_app``; apps may share it. A second call changes nothing.

    Raises:
        ConfigurationError: it is no ``Migrate``.
    """
    if not isinstance(getattr(migrate, "configure_callbacks", None), list):
        raise ConfigurationError(
            f"init_migrate() got a {type(migrate).__name__}, and needs the Migrate object of "
            "Flask-Migrate",
            hint="migrate = Migrate(); migrate.init_app(app, db); ppg.init_migrate(migrate)",
        )
    foreign.prepare()  # now, while nobody connects yet
    if not _has_callback(migrate):
        migrate.configure(_Callback(migrate))


def routed(app: App) -> bool:
    """Whether ``flask db`` of this app goes direct; False without Flask-Migrate, too."""
    extension = app.extensions.get("migrate")
    return extension is not None and _has_callback(extension.migrate)


def _has_callback(migrate: Any) -> bool:
    return any(isinstance(each, _Callback) for each in migrate.configure_callbacks)
