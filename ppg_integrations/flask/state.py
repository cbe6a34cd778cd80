"""What ``PPG`` knows of one app: ``app.extensions["ppg"]``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from ppg_integrations.errors import ConfigurationError
from ppg_integrations.sqlalchemy.engines import async_engine, engine
from ppg_integrations.sqlalchemy.options import engine_options

from . import context
from .endpoint import AppEndpoint
from .migrate import Migrations
from .sessions import DirectSessions
from .wishes import refuse

if TYPE_CHECKING:
    import psycopg_pool
    import sqlalchemy
    from sqlalchemy.ext.asyncio import AsyncEngine

    from ppg_integrations.current import CurrentPair
    from ppg_integrations.endpoint import Endpoint
    from ppg_integrations.layers import Layered
    from ppg_integrations.pair import ConnectionPair

    from .wishes import Wishes

#: Where apps keep it, in ``app.extensions``.
KEY: Final = "ppg"

_alive: Final[WeakValueDictionary[int, State]] = WeakValueDictionary()
_number: Final = count()

#: Called with each new state, before the app's configuration is set from it. For test fixtures.
on_new: Final[list[Callable[[State], None]]] = []


class State(DirectSessions):
    """The pairs of one app. Its threads may share it.

    Attributes:
        current: the pair of the app itself.
        binds: the pairs of its further databases, by bind key.
        env_file: absolute path of the ``.env`` file; None where none is to be read.
        environ: ``app.config`` over the environment, without what came from the ``.env`` file.
        driver: of SQLAlchemy: ``psycopg``, ``psycopg2`` or ``asyncpg``.
        migrations: tells which threads run a migration.
        manages: bind keys of the Flask-SQLAlchemy engines that get their URL or their options from
            here; None for the default one.
    """

    def __init__(
        self,
        current: CurrentPair,
        binds: Mapping[str, CurrentPair],
        *,
        env_file: str | None,
        environ: Layered,
        wishes: Mapping[str | None, Wishes],
    ) -> None:
        self.current = current
        self.binds = binds
        self.env_file = env_file
        self.environ = environ
        self.driver = wishes[None].driver
        self.migrations = Migrations()
        self.manages: frozenset[str | None] = frozenset()
        self._wishes = wishes
        _alive[next(_number)] = self

    @property
    def pair(self) -> ConnectionPair:
        """The pair of the app as it is now.

        Raises:
            PPGError: there is none, and why.
        """
        return self.current.pair

    def driver_of(self, bind: str | None) -> str:
        """SQLAlchemy's driver for the engines of a bind.

        Raises:
            ConfigurationError: there is no such bind.
        """
        return self._wishes_of(bind).driver

    def endpoint(self, *, direct: bool = False, bind: str | None = None) -> Endpoint:
        """One half of a pair, for something that asks it at each connect.

        Args:
            direct: the direct half. The pooled one leads to the direct one in a thread that runs
                migrations, and everywhere with ``PPG_DIRECT=1``.
            bind: key of another database in ``PPG_BINDS``.

        Raises:
            ConfigurationError: there is no such bind.
        """
        wishes = self._wishes_of(bind)
        current = self.current if bind is None else self.binds[bind]
        if direct or wishes.forced:
            return AppEndpoint(current, direct=True, settings=wishes.connecting)
        return AppEndpoint(current, diverted=self.migrations.active, settings=wishes.connecting)

    def engine_options(
        self,
        *,
        direct: bool = False,
        bind: str | None = None,
        driver: str | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """What ``sqlalchemy.create_engine`` takes besides the URL.

        Args:
            direct, bind: as :meth:`endpoint`.
            driver: ``psycopg``, ``psycopg2`` or ``asyncpg``; the app's own by default.
            options: laid over ours, dictionaries in them too.

        Raises:
            ConfigurationError: an argument cannot be used.
        """
        wishes, endpoint = self._wishes_of(bind), self.endpoint(direct=direct, bind=bind)
        return engine_options(
            endpoint,
            driver=driver or wishes.driver,
            serverless=wishes.serverless,
            environ=self.environ,
            options=wishes.engine_options(endpoint, options),
        )

    def create_engine(
        self,
        *,
        direct: bool = False,
        bind: str | None = None,
        driver: str | None = None,
        **options: Any,
    ) -> sqlalchemy.Engine:
        """A SQLAlchemy engine that follows the pair. The arguments are :meth:`engine_options`'.

        Raises:
            ConfigurationError: an argument cannot be used.
            DriverError: no driver is installed.
        """
        wishes, endpoint = self._wishes_of(bind), self.endpoint(direct=direct, bind=bind)
        return engine(
            endpoint,
            driver=driver or (None if wishes.driver == "asyncpg" else wishes.driver),
            serverless=wishes.serverless,
            environ=self.environ,
            options=wishes.engine_options(endpoint, options),
        )

    def create_async_engine(
        self,
        *,
        direct: bool = False,
        bind: str | None = None,
        driver: str | None = None,
        **options: Any,
    ) -> AsyncEngine:
        """The same for ``asyncio``; the driver is ``psycopg`` or ``asyncpg``."""
        wishes, endpoint = self._wishes_of(bind), self.endpoint(direct=direct, bind=bind)
        return async_engine(
            endpoint,
            driver=driver or (None if wishes.driver == "psycopg2" else wishes.driver),
            serverless=wishes.serverless,
            environ=self.environ,
            options=wishes.engine_options(endpoint, options),
        )

    def connection_pool(
        self, *, direct: bool = False, bind: str | None = None, **options: Any
    ) -> psycopg_pool.ConnectionPool[Any]:
        """A ``psycopg_pool.ConnectionPool`` that follows the pair.

        Args:
            direct, bind: as :meth:`endpoint`.
            options: of ``psycopg_pool.ConnectionPool``.

        Raises:
            DriverError: psycopg_pool is not installed, or too old.
        """
        from ppg_integrations.pools import connection_pool

        endpoint = self.endpoint(direct=direct, bind=bind)
        refuse(endpoint, _fixed(options))
        return connection_pool(endpoint, **options)

    def async_connection_pool(
        self, *, direct: bool = False, bind: str | None = None, **options: Any
    ) -> psycopg_pool.AsyncConnectionPool[Any]:
        """The same for ``asyncio``."""
        from ppg_integrations.pools import async_connection_pool

        endpoint = self.endpoint(direct=direct, bind=bind)
        refuse(endpoint, _fixed(options))
        return async_connection_pool(endpoint, **options)

    def _wishes_of(self, bind: str | None) -> Wishes:
        try:
            return self._wishes[bind]
        except KeyError:
            known = ", ".join(sorted(self.binds)) or "none at all"
            raise ConfigurationError(
                f"bind={bind!r}: PPG_BINDS has {known}",
                hint="Add it there, with the DATABASE_URL and DIRECT_URL of that database.",
            ) from None

    def __repr__(self) -> str:
        return f"<ppg state: {', '.join(['default', *self.binds])}>"


def _fixed(options: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a psycopg_pool connects with; None where that is a function."""
    found = options.get("kwargs")
    return found if isinstance(found, Mapping) else None


def current_state() -> State:
    """That of the app whose context this is.

    Raises:
        ConfigurationError: there is no such context, or ``init_app`` was not called.
    """
    app = context.app()
    state = app.extensions.get(KEY)
    if not isinstance(state, State):
        raise ConfigurationError(
            f"PPG is not initialised in the app {app.name!r}",
            hint="Call ppg.init_app(app) in the app factory, before db.init_app(app).",
        )
    return state


def states() -> list[State]:
    """Those of all apps that are alive, oldest first."""
    return [state for _, state in sorted(_alive.items())]
