"""``PPG``: the Flask extension."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from logging import DEBUG, WARNING
from typing import TYPE_CHECKING, Any, Final

from ppg_integrations.errors import ConfigurationError, MissingURLError, PPGError, PPGWarning

from . import application, settings
from .arguments import Arguments
from .masking import mask
from .printable import printable
from .state import KEY, State, current_state, on_new

if TYPE_CHECKING:
    import os

    import psycopg_pool
    import sqlalchemy
    from flask.sansio.app import App
    from sqlalchemy.ext.asyncio import AsyncEngine

    from ppg_integrations.advisory import AdvisoryLock
    from ppg_integrations.endpoint import Endpoint
    from ppg_integrations.listening import Notification
    from ppg_integrations.pair import ConnectionPair
    from ppg_integrations.urls import PostgresURL

#: The line that called PPG(app) or init_app(app), from where the warnings are given.
_STACKLEVEL: Final = 4


class PPG:
    """Gives an app its pair: requests the pooled half, migrations the direct one.

    It keeps the arguments, as defaults for each :meth:`init_app`, and nothing of any app; that is
    in ``app.extensions["ppg"]``, a :class:`.State`, which everything but ``init_app`` is looked up
    in by ``current_app``.
    """

    def __init__(
        self,
        app: App | None = None,
        *,
        pooled: str | PostgresURL | None = None,
        direct: str | PostgresURL | None = None,
        env_file: str | os.PathLike[str] | bool | None = None,
        driver: str | None = None,
        serverless: bool | None = None,
        allow_mismatch: Collection[str] = (),
        binds: Mapping[str, Mapping[str, Any]] | None = None,
        options: Mapping[str, Any] | None = None,
        direct_options: Mapping[str, Any] | None = None,
    ) -> None:
        """Takes what shall win over ``app.config``, in every app that is initialised.

        Args:
            app: one to initialise at once.
            pooled, direct: the URLs.
            env_file: the ``.env`` file, or False for none; ``PPG_ENV_FILE``.
            driver: of SQLAlchemy: ``psycopg``, ``psycopg2`` or ``asyncpg``; ``PPG_DRIVER``. The
                first of them that is installed by default.
            serverless: whether processes may be frozen between requests; ``PPG_SERVERLESS``. Found
                out by default.
            allow_mismatch: ``"user"``, ``"database"``, or both, where the two URLs differ in them
                on purpose; ``PPG_ALLOW_MISMATCH``.
            binds: further databases by bind key, each a mapping with the names of ``app.config``
                (``{"analytics": {"DATABASE_URL": ..., "DIRECT_URL": ...}}``); ``PPG_BINDS``.
            options: engine options of all of our engines, below ``SQLALCHEMY_ENGINE_OPTIONS``.
            direct_options: engine options of the direct ones, over `options`.
        """
        self._arguments = Arguments(
            pooled=pooled,
            direct=direct,
            env_file=env_file,
            driver=driver,
            serverless=serverless,
            allow_mismatch=allow_mismatch,
            binds=binds,
            options=options,
            direct_options=direct_options,
        )
        del pooled, direct, binds  # error reporters print the variables of frames
        if app is not None:
            self._init_app(app)

    def init_app(self, app: App) -> None:
        """Finds the pair of an app, and sets ``SQLALCHEMY_DATABASE_URI`` and its kin.

        Without a pair the app starts all the same, for ``flask ppg create`` and ``flask routes``,
        and its first connection raises what says which variable to set.

        Args:
            app: before ``db.init_app(app)``, which builds the engines.

        Warns:
            PPGWarning: something was put right, or looks wrong and still works.

        Raises:
            ConfigurationError: a URL, key or argument cannot be used, or the order is wrong.
            DriverError: no driver is named, and none is installed.
            ProviderError: the provider's API gives no pair.
        """
        self._init_app(app)

    def _init_app(self, app: App) -> None:
        from .cli import ppg, within_ppg

        try:
            _check_order(app)
            mask(app.config)
            within = within_ppg()
            state = application.state_of(self._arguments, app.config, asks=not within)
            for call in on_new:
                call(state)
            if not within:
                _check_pairs(app, state)
            app.extensions[KEY] = state
            settings.set_from(state, app.config)
            app.cli.add_command(ppg)
        except PPGError as error:
            raise printable(error)  # noqa: B904 - it is the same one, or has it for its cause

    def init_migrate(self, migrate: Any) -> None:
        """Makes ``flask db`` and ``flask_migrate.upgrade()`` run on the direct endpoint.

        Nothing in ``env.py`` has to change for it.

        Args:
            migrate: the ``flask_migrate.Migrate``, before or after its ``init_app``; once, also
                where several apps share it.
        """
        from .migrate import init_migrate

        init_migrate(migrate)

    @property
    def pair(self) -> ConnectionPair:
        """:attr:`.State.pair` of the current app."""
        return current_state().pair

    def endpoint(self, *, direct: bool = False, bind: str | None = None) -> Endpoint:
        """:meth:`.State.endpoint` of the current app."""
        return current_state().endpoint(direct=direct, bind=bind)

    def engine_options(
        self,
        *,
        direct: bool = False,
        bind: str | None = None,
        driver: str | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """:meth:`.State.engine_options` of the current app."""
        return current_state().engine_options(direct=direct, bind=bind, driver=driver, **options)

    def create_engine(
        self,
        *,
        direct: bool = False,
        bind: str | None = None,
        driver: str | None = None,
        **options: Any,
    ) -> sqlalchemy.Engine:
        """:meth:`.State.create_engine` of the current app."""
        return current_state().create_engine(direct=direct, bind=bind, driver=driver, **options)

    def create_async_engine(
        self,
        *,
        direct: bool = False,
        bind: str | None = None,
        driver: str | None = None,
        **options: Any,
    ) -> AsyncEngine:
        """:meth:`.State.create_async_engine` of the current app."""
        return current_state().create_async_engine(
            direct=direct, bind=bind, driver=driver, **options
        )

    def connection_pool(
        self, *, direct: bool = False, bind: str | None = None, **options: Any
    ) -> psycopg_pool.ConnectionPool[Any]:
        """:meth:`.State.connection_pool` of the current app."""
        return current_state().connection_pool(direct=direct, bind=bind, **options)

    def async_connection_pool(
        self, *, direct: bool = False, bind: str | None = None, **options: Any
    ) -> psycopg_pool.AsyncConnectionPool[Any]:
        """:meth:`.State.async_connection_pool` of the current app."""
        return current_state().async_connection_pool(direct=direct, bind=bind, **options)

    def listen(
        self,
        *channels: str,
        bind: str | None = None,
        timeout: float | None = None,
        stop: Callable[[], bool] | None = None,
        catch_up: Callable[[], object] | None = None,
    ) -> Iterator[Notification]:
        """:meth:`.State.listen` of the current app."""
        return current_state().listen(
            *channels, bind=bind, timeout=timeout, stop=stop, catch_up=catch_up
        )

    def advisory_lock(
        self,
        name: str | int,
        *,
        wait: float | None = None,
        shared: bool = False,
        bind: str | None = None,
    ) -> AdvisoryLock:
        """:meth:`.State.advisory_lock` of the current app."""
        return current_state().advisory_lock(name, wait=wait, shared=shared, bind=bind)

    def direct_session(
        self, *, autocommit: bool = False, name: str = "", bind: str | None = None
    ) -> AbstractContextManager[Any]:
        """:meth:`.State.direct_session` of the current app."""
        return current_state().direct_session(autocommit=autocommit, name=name, bind=bind)


def _check_order(app: App) -> None:
    if KEY in app.extensions:
        raise ConfigurationError(
            f"PPG is initialised in the app {app.name!r} already",
            hint="Call init_app once for each app; PPG(app) calls it itself.",
        )
    if "sqlalchemy" in app.extensions:
        raise ConfigurationError(
            "db.init_app(app) came before PPG's, and that is where Flask-SQLAlchemy builds its "
            "engines",
            hint="Swap the two lines: ppg.init_app(app) first, then db.init_app(app).",
        )


def _check_pairs(app: App, state: State) -> None:
    """Warns of pairs that are missing, and raises what is wrong with the others."""
    for current in (state.current, *state.binds.values()):
        error = current.error
        if isinstance(error, MissingURLError):
            # A test's SQLite misses nothing.
            level = DEBUG if settings.is_elsewhere(app.config) else WARNING
            app.logger.log(level, "%s", error)
        elif error is not None:
            raise error
        else:
            for text in current.pair.warnings:
                warnings.warn(text, PPGWarning, stacklevel=_STACKLEVEL)
