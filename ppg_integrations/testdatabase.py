"""Databases that live as long as a run of tests: made, and dropped, on the direct endpoint.

Through a pooler a test database cannot be dropped: the pooler keeps a server connection to it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from . import drivers, hosts, names
from .errors import ConfigurationError, ConnectError, EnvFileError
from .pair import ConnectionPair, Source

if TYPE_CHECKING:
    from typing_extensions import Self

    from .connection import Connection
    from .current import CurrentPair
    from .providers.settings import Settings
    from .urls import PostgresURL

PREFIX: Final = "test_"
#: The beginning of the comment on a database that a later run may replace.
MARK: Final = "test database of ppg_integrations, replaced by the next run"
#: Answers, for a name: may the role of the session create databases, and is there one of the name?
MAY_CREATE: Final = (
    "SELECT rolcreatedb OR rolsuper, EXISTS ("
    "SELECT FROM pg_catalog.pg_database WHERE datname = %s"
    ") FROM pg_catalog.pg_roles WHERE rolname = current_user"
)
#: Answers the name of the database that the session is in, and the comment on it.
COMMENT: Final = (
    "SELECT datname, pg_catalog.shobj_description(oid, 'pg_database') "
    "FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()"
)
_LOCAL_HINT: Final = (
    f"Run the tests on the embedded PostgreSQL: set {names.TEST_PROVIDER}=local for the test "
    'command (pip install "ppg-integrations[local]").'
)
_LONGEST: Final = 63  # bytes of a name, NAMEDATALEN - 1
_FORCE_SINCE: Final = 130000  # DROP DATABASE ... WITH (FORCE)


def on_local(settings: Settings) -> bool:
    """Whether tests run on the embedded servers.

    Args:
        settings: the environment, and the ``.env`` file.

    Raises:
        ConfigurationError: ``PPG_TEST_PROVIDER`` names something else than ``local``.
    """
    found = settings.find(names.TEST_PROVIDER)
    if found is not None and found.value != "local":
        raise ConfigurationError(
            f"{found.source} is {found.value!r:.40}, and tests can run on your own database or on "
            "local",
            hint=f"Set {names.TEST_PROVIDER}=local, or unset it.",
        )
    return found is not None


def settings_of(environ: Mapping[str, str], env_file: str | None) -> Settings:
    """What is set for a project, for :func:`on_local`.

    Args:
        environ: of the process, or what a framework lays over it.
        env_file: its ``.env`` file. One that cannot be read counts as none: who looks for URLs in
            it says what is wrong.
    """
    from .providers.settings import Settings

    file: Mapping[str, str] = {}
    if env_file is not None:
        from . import envfile

        with suppress(EnvFileError):
            file = envfile.read(env_file, quiet=True)
    return Settings(environ, file, env_file)


@contextmanager
def local_role(folder: str, database: str) -> Iterator[PostgresURL]:
    """A role on the embedded servers of a project, which are started if need be.

    Args:
        folder: the project's; its ``.ppg`` holds the servers.
        database: that the role uses; made if it does not exist, and kept.

    Raises:
        LocalServerError: the servers do not start.
    """
    from .providers.local.provider import servers_of

    servers = servers_of(folder)
    generated = servers.generate("tests", database=database)
    try:
        yield generated.direct
    finally:
        # What the tests made belongs to the group that the role acted as: nothing hangs on it.
        with servers.connect() as connection:
            connection.execute(f"DROP ROLE IF EXISTS {_quoted(generated.id)}")


def refusal(name: str, host: str, user: str = "") -> ConfigurationError:
    """The error where a test database cannot be made.

    Args:
        name: of the database.
        host: where.
        user: the role that may not; empty where none may.
    """
    who = f"the role {user!r} may not" if user else "no role may"
    return ConfigurationError(
        f"{who} create databases on {host}, so there is no way to make the test database {name!r}",
        hint=_LOCAL_HINT,
    )


def name_for(database: str, suffix: str = "") -> str:
    """``test_<database>_<suffix>`` in the 63 bytes that PostgreSQL keeps of a name.

    Where that is too long, a checksum stands for what is cut off.
    """
    tail = f"_{suffix}" if suffix else ""
    name = f"{PREFIX}{database}{tail}"
    if len(name.encode()) <= _LONGEST:
        return name
    tail = f"_{hashlib.sha256(name.encode()).hexdigest()[:8]}{tail}"
    room = _LONGEST - len(f"{PREFIX}{tail}".encode())
    return f"{PREFIX}{database.encode()[:room].decode(errors='ignore')}{tail}"


class Databases:
    """The test databases of one run, made when they are asked for; ``with`` drops them.

    Attributes:
        comment: that each of them carries, and nothing else does.
    """

    def __init__(self, *, suffix: str = "", environ: Mapping[str, str] | None = None) -> None:
        """Makes nothing yet.

        Args:
            suffix: tells runs at the same time apart.
            environ: of the process by default.

        Raises:
            ConfigurationError: its ``PPG_TEST_PROVIDER`` names something else than ``local``.
        """
        self.comment = f"{MARK} ({secrets.token_hex(8)})"
        self._suffix = suffix
        self._environ = os.environ if environ is None else environ
        on_local(settings_of(self._environ, None))
        self._roles: dict[str, PostgresURL] = {}
        self._made: dict[tuple[object, ...], str] = {}
        self._stack = ExitStack()
        self._lock = threading.Lock()

    def pair_for(
        self,
        current: CurrentPair,
        *,
        env_file: str | None,
        environ: Mapping[str, str] | None = None,
        key: str = "",
    ) -> ConnectionPair:
        """A pair whose two halves lead to the test database, on the direct endpoint.

        Args:
            current: what it is to stand in for; not looked at with ``PPG_TEST_PROVIDER=local``.
            env_file: of the project, which may have that variable; the embedded servers are beside
                it.
            environ: of the project, where it has more than the process.
            key: what tells the pair from others of the project.

        Raises:
            ConfigurationError: the database cannot be made; says why, and what to do.
            PPGError: there is no pair, or its server cannot be reached.
        """
        local = on_local(settings_of(self._environ if environ is None else environ, env_file))
        with self._lock:
            own = None if local else current.found().require_direct()
            direct = own or self._local_url(env_file, key)
            url = direct.replace(database=self._name(direct))
        source = Source("argument", "test_databases()")
        return ConnectionPair(url, url, source, source, env_file=env_file)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the databases that there are so far."""
        return tuple(self._made.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def _local_url(self, env_file: str | None, key: str) -> PostgresURL:
        folder = os.path.dirname(env_file) if env_file else os.getcwd()
        database = f"tests_{key}" if key else "tests"
        place = f"{folder}\0{database}"
        if place not in self._roles:
            self._roles[place] = self._stack.enter_context(local_role(folder, database))
        return self._roles[place]

    def _name(self, direct: PostgresURL) -> str:
        """Of the test database at a place, which is made at the first call."""
        place = (direct.hosts, direct.dbname)
        if place not in self._made:
            name = name_for(direct.dbname, self._suffix)
            if not hosts.classify(direct.host, direct.port).creates_databases:
                raise refusal(name, direct.host)
            connection = self._stack.enter_context(
                drivers.connect(direct, application_name="ppg tests")
            )
            _make(connection, name, self.comment)
            self._stack.callback(_drop_after_all, connection, name, self.comment)
            self._made[place] = name
        return self._made[place]


def _make(connection: Connection, name: str, comment: str) -> None:
    host, user = connection.url.host, connection.url.user
    ((allowed, exists),) = connection.fetch(MAY_CREATE, [name])
    if not allowed:
        raise refusal(name, host, user)
    # Held as long as the connection: a run beside this one would take our database for a leftover.
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    if not connection.fetch("SELECT pg_catalog.pg_try_advisory_lock(%s)", [key])[0][0]:
        raise ConfigurationError(
            f"another test run is using the database {name!r} on {host}",
            hint="Wait until it has ended.",
        )
    if exists:
        _drop_leftover(connection, name)
    connection.execute(f"CREATE DATABASE {_quoted(name)}")
    connection.execute(f"COMMENT ON DATABASE {_quoted(name)} IS '{comment}'")


def _drop_leftover(connection: Connection, name: str) -> None:
    if not _comment(connection, name).startswith(MARK):
        raise ConfigurationError(
            f"there is a database {name!r} on {connection.url.host} that no test run of ours has "
            "made, and the test database would have its name",
            hint=f"Rename it, or if nobody needs it: DROP DATABASE {_quoted(name)}",
        )
    _drop(connection, name)


def _drop_after_all(connection: Connection, name: str, comment: str) -> None:
    with suppress(ConnectError):
        connection.fetch("SELECT 1")
    if not connection.closed:
        _drop_ours(connection, name, comment)
        return
    with drivers.connect(connection.url) as another:  # an idle one may have been cut off
        _drop_ours(another, name, comment)


def _drop_ours(connection: Connection, name: str, comment: str) -> None:
    if _comment(connection, name) == comment:
        _drop(connection, name)


def _drop(connection: Connection, name: str) -> None:
    version = int(connection.fetch("SHOW server_version_num")[0][0])
    force = " WITH (FORCE)" if version >= _FORCE_SINCE else ""
    # A group that the role acts as may not end the sessions of its members; the role may.
    connection.execute("SET ROLE NONE")
    connection.execute(f"DROP DATABASE {_quoted(name)}{force}")
    connection.execute("RESET ROLE")


def _comment(connection: Connection, name: str) -> str:
    """The comment on a database; empty if it has none, or does not exist."""
    found = connection.fetch(
        "SELECT pg_catalog.shobj_description(oid, 'pg_database') "
        "FROM pg_catalog.pg_database WHERE datname = %s",
        [name],
    )
    return str(found[0][0] or "") if found else ""


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
