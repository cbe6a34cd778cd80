"""One PostgreSQL URL as a value that hides its password."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from . import hosts, urltext
from .errors import ConfigurationError, URLError
from .hostport import DEFAULT_PORT, HostPort, first, quoted, servers_of
from .parameters import LIBPQ, SECRET, sanitise
from .secret import MASK, Secret, sealed

if TYPE_CHECKING:
    from sqlalchemy import URL

# Characters of a value that mean nothing to a URL, to sh, or to docker's env files.
_SAFE: Final = "/:,"
_PLACE: Final = ("host", "port", "user", "password", "dbname")


class PostgresURL:
    """A PostgreSQL URL: immutable, comparable, and redacted wherever it is shown.

    ``str``, ``repr``, ``format`` and pickling never give the password away; :meth:`reveal`,
    :meth:`libpq`, :meth:`libpq_environ`, :meth:`django` and :meth:`sqlalchemy` do, because they
    exist to connect.

    Attributes:
        user: name of the role, or ``""``.
        password: the password, or ``None``.
        hosts: the servers, in the order in which libpq tries them; empty for its default socket.
        database: name of the database, or ``""``.
        params: libpq keywords of the query.
        notes: what was dropped or translated without a loss.
        warnings: what was dropped and may be missed.
    """

    __slots__ = ("database", "hosts", "notes", "params", "password", "user", "warnings")

    user: str
    password: Secret | None
    hosts: tuple[HostPort, ...]
    database: str
    params: Mapping[str, str]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    def __init__(
        self,
        user: str,
        password: Secret | None,
        hosts: tuple[HostPort, ...],
        database: str,
        params: Mapping[str, str],
        notes: tuple[str, ...] = (),
        warnings: tuple[str, ...] = (),
    ) -> None:
        """Takes parts that are known to be valid; use :meth:`parse` or :meth:`build`."""
        values = (user, password, hosts, database, MappingProxyType(dict(params)), notes, warnings)
        names = ("user", "password", "hosts", "database", "params", "notes", "warnings")
        for name, value in zip(names, values, strict=True):
            object.__setattr__(self, name, value)

    @classmethod
    @sealed
    def parse(cls, text: str, *, source: str = "") -> PostgresURL:
        """Reads any spelling of a PostgreSQL URL.

        Args:
            text: the URL, as pasted: with quotes, blanks around it, a leading ``psql`` or
                ``NAME=``, and with special characters in the password encoded or not.
            source: where it came from, for error messages.

        Raises:
            URLError: it is no PostgreSQL URL, or has a parameter that no driver can honour.
            AccelerateURLError: it is a URL of Prisma Accelerate.
        """
        subject = source or "the URL"
        cleaned = urltext.clean(text, subject)
        local = cleaned.lower().startswith("prisma")
        if local:
            from . import accelerate

            cleaned = urltext.clean(accelerate.postgres_url(cleaned, subject), subject)
        parts = urltext.split(cleaned, subject)
        overrides = {name: value for name, value in parts.query if name in _PLACE}
        query = [(name, value) for name, value in parts.query if name not in _PLACE]
        params, notes, warnings, refused = sanitise(query)
        if refused:
            raise URLError(
                f"{subject} cannot be used: {refused}",
                hint="Take the parameter out of the URL, or correct it.",
            )
        if local:
            # `prisma dev` never answers an SSLRequest: any other mode hangs.
            params["sslmode"] = "disable"
            notes += ("read from a local prisma+postgres:// URL: that server has no pooler",)
        if parts.unencoded:
            notes += ("its password has special characters that were not percent-encoded",)
        servers = servers_of(parts.hosts, overrides, subject)
        database = overrides.get("dbname", parts.database)
        if not database and servers and hosts.classify(*first(servers)).provider == "prisma":
            database = "postgres"
            notes += ("read the empty database name as postgres, which Prisma Postgres means",)
        password = overrides.get("password", parts.password)
        url = cls(
            overrides.get("user", parts.user),
            Secret(password) if password else None,
            servers,
            database,
            params,
            notes,
            warnings,
        )
        if len(cleaned) > urltext.MAX_LENGTH // 16:  # encoded, a character is twelve at most
            urltext.check_length(url.reveal(), subject)
        return url

    @classmethod
    def build(
        cls,
        *,
        host: str,
        port: int | None = None,
        user: str = "",
        password: str | Secret | None = None,
        database: str = "",
        params: Mapping[str, str] = MappingProxyType({}),
    ) -> PostgresURL:
        """A URL from its parts, none of them percent-encoded.

        Raises:
            URLError: the host or the port is not valid.
            ConfigurationError: a parameter is not one of libpq's.
        """
        return cls("", None, (), "", {}).replace(
            host=host, port=port, user=user, password=password, database=database, params=params
        )

    def replace(self, **changes: Any) -> PostgresURL:
        """A copy with other parts.

        Args:
            changes: any of ``host``, ``port`` (these two replace all hosts), ``user``,
                ``password``, ``database``, ``params``.

        Raises:
            URLError: the host or the port is not valid.
            ConfigurationError: a parameter is not one of libpq's.
        """
        servers = self.hosts
        if "host" in changes or "port" in changes:
            name = urltext.host(changes.pop("host", self.host), "the URL to build")
            port = changes.pop("port", self.hosts[0].port if self.hosts else None)
            if port is not None:
                port = urltext.check_port(str(port), "the URL to build")
            servers = (HostPort(name, port),)
        password = changes.pop("password", self.password)
        if isinstance(password, str):
            password = Secret(password) if password else None
        params = changes.pop("params", self.params)
        unknown = sorted(params.keys() - LIBPQ)
        if unknown:
            raise ConfigurationError(f"libpq knows no parameter {', '.join(unknown)}")
        user = changes.pop("user", self.user)
        database = changes.pop("database", self.database)
        if changes:
            raise TypeError(f"no part of a URL: {', '.join(sorted(changes))}")
        return PostgresURL(user, password, servers, database, params, self.notes, self.warnings)

    @property
    def host(self) -> str:
        """The first host; ``""`` for libpq's default socket."""
        return self.hosts[0].host if self.hosts else ""

    @property
    def port(self) -> int:
        """The port of the first host."""
        return first(self.hosts)[1]

    @property
    def dbname(self) -> str:
        """The database, by libpq's rule that it is named like the user where none is given."""
        return self.database or self.user

    def reveal(self) -> str:
        """The URL with its password, percent-encoded so that every reader agrees on it."""
        return self._text(reveal=True)

    def libpq(self) -> dict[str, str]:
        """Keywords for ``psycopg.connect(**...)`` or ``psycopg2.connect(**...)``."""
        keywords = dict(self.params)
        if self.hosts:
            keywords["host"] = ",".join(host for host, _ in self.hosts)
            if any(port for _, port in self.hosts):
                keywords["port"] = ",".join(str(port or DEFAULT_PORT) for _, port in self.hosts)
        if self.user:
            keywords["user"] = self.user
        if self.password is not None:
            keywords["password"] = self.password.reveal()
        if self.dbname:
            keywords["dbname"] = self.dbname
        return keywords

    def libpq_environ(self) -> dict[str, str]:
        """Environment variables for ``psql``, ``pg_dump`` and every other user of libpq.

        Raises:
            ConfigurationError: the URL has a parameter for which libpq reads no variable.
        """
        from . import conversions

        return conversions.libpq_environ(self)

    def django(self, **config: Any) -> dict[str, Any]:
        """An entry for Django's ``DATABASES``, as ``dj_database_url.parse`` makes it.

        Args:
            config: its arguments: ``engine``, ``conn_max_age`` (seconds), and so on.
        """
        from . import conversions

        return conversions.django(self, config)

    def sqlalchemy(self, driver: str = "psycopg") -> URL:
        """A ``sqlalchemy.URL``, which hides its password in ``str`` as well.

        Args:
            driver: ``psycopg``, ``psycopg2`` or ``asyncpg``; the last one gets its own words, such
                as ``ssl`` instead of ``sslmode``, and no ``channel_binding``, which it has not.

        Raises:
            ConfigurationError: another driver, or asyncpg cannot do what a parameter demands.
        """
        from . import conversions

        return conversions.sqlalchemy(self, driver)

    def _text(self, *, reveal: bool) -> str:
        from urllib.parse import quote

        # sh expands a "~" that follows a ":"; quote() leaves it alone.
        userinfo = quote(self.user, safe="").replace("~", "%7E")
        if self.password is not None:
            userinfo += ":" + (
                quote(self.password.reveal(), safe="").replace("~", "%7E") if reveal else MASK
            )
        servers = ",".join(quoted(name) + (f":{port}" if port else "") for name, port in self.hosts)
        query = "&".join(
            f"{quote(name, safe='')}="
            + (MASK if name in SECRET and not reveal else quote(value, safe=_SAFE))
            for name, value in sorted(self.params.items())
        )
        return (
            "postgresql://"
            + (f"{userinfo}@" if userinfo else "")
            + servers
            + "/"
            + quote(self.database, safe="")
            + (f"?{query}" if query else "")
        )

    def __str__(self) -> str:
        return self._text(reveal=False)

    def __repr__(self) -> str:
        return f"PostgresURL({self._text(reveal=False)!r})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def _key(self) -> tuple[object, ...]:
        items = tuple(sorted(self.params.items()))
        return (self.user, self.password, self.hosts, self.database, items)

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, PostgresURL) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a PostgresURL is immutable; use replace({name}=...)")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a PostgresURL is immutable")

    def __copy__(self) -> PostgresURL:
        return self

    def __deepcopy__(self, _memo: object) -> PostgresURL:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        # A log handler that crosses a process pickles what it logs: the Secret drops its value.
        params = {key: MASK if key in SECRET else value for key, value in self.params.items()}
        parts = (self.user, self.password, self.hosts, self.database, params)
        return (PostgresURL, (*parts, self.notes, self.warnings))
