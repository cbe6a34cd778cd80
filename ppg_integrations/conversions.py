"""A URL in the words of those who connect with it: libpq's tools, Django, SQLAlchemy."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from .errors import ConfigurationError
from .hostport import DEFAULT_PORT
from .parameters import INTEGERS, SECRET
from .secret import MaskedStr

if TYPE_CHECKING:
    from sqlalchemy import URL

    from .urls import PostgresURL

#: How long frameworks wait for a connection, in seconds, where nobody says it. Databases that scale
#: to zero need up to ten to wake.
CONNECT_TIMEOUT: Final = 10

#: When TCP is to find out that the other end is gone, where nobody says it: libpq's keywords, in
#: seconds but for the last. A peer that says nothing for 30 s is asked three times, 10 s apart: a
#: statement that waits for a server that has vanished ends within a minute, and not never (its
#: question was received) or after a quarter of an hour (it was not). A server that computes, or
#: waits for a lock, answers: its kernel does.
#: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-KEEPALIVES-IDLE
_KEEPALIVES: Final = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
#: Milliseconds for which what was sent may stay without a receipt; the same minute. Not on direct:
#: a COPY that the server does not read, because it waits for a lock, counts as that on Linux.
_USER_TIMEOUT: Final = {"tcp_user_timeout": 60_000}


def patience(*, direct: bool) -> dict[str, int]:
    """libpq's keywords for how long to wait for the other end, where nobody says it.

    Args:
        direct: for the direct endpoint, where long jobs run.
    """
    return {
        "connect_timeout": CONNECT_TIMEOUT,
        **_KEEPALIVES,
        **({} if direct else _USER_TIMEOUT),
    }


#: libpq's environment variables, by keyword:
#: https://www.postgresql.org/docs/current/libpq-envars.html
_ENVIRON: Final = {
    "application_name": "PGAPPNAME",
    "channel_binding": "PGCHANNELBINDING",
    "client_encoding": "PGCLIENTENCODING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "dbname": "PGDATABASE",
    "gssdelegation": "PGGSSDELEGATION",
    "gssencmode": "PGGSSENCMODE",
    "gsslib": "PGGSSLIB",
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "krbsrvname": "PGKRBSRVNAME",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
    "max_protocol_version": "PGMAXPROTOCOLVERSION",
    "min_protocol_version": "PGMINPROTOCOLVERSION",
    "options": "PGOPTIONS",
    "passfile": "PGPASSFILE",
    "password": "PGPASSWORD",
    "port": "PGPORT",
    "require_auth": "PGREQUIREAUTH",
    "requirepeer": "PGREQUIREPEER",
    "service": "PGSERVICE",
    "servicefile": "PGSERVICEFILE",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "sslcert": "PGSSLCERT",
    "sslcertmode": "PGSSLCERTMODE",
    "sslcompression": "PGSSLCOMPRESSION",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "sslkey": "PGSSLKEY",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslrootcert": "PGSSLROOTCERT",
    "sslsni": "PGSSLSNI",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "user": "PGUSER",
}

#: The arguments of ``dj_database_url.parse`` that most entries are made with, and its defaults.
_DEFAULTS: Final[dict[str, Any]] = {
    "engine": None,
    "conn_max_age": 0,
    "conn_health_checks": False,
    "disable_server_side_cursors": False,
}


def libpq_environ(url: PostgresURL) -> dict[str, str]:
    """See :meth:`.PostgresURL.libpq_environ`."""
    keywords = _concrete(url).libpq()
    for name in sorted(keywords.keys() - _ENVIRON.keys()):
        if name == "fallback_application_name" or name.startswith("keepalives"):
            del keywords[name]  # tuning, without which the tool still reaches the same place
        else:
            raise ConfigurationError(
                f"libpq reads {name} from no environment variable",
                hint=f"Take {name} out of the URL, or put it into a pg_service.conf entry.",
            )
    return {_ENVIRON[name]: value for name, value in keywords.items()}


def django(url: PostgresURL, config: dict[str, Any]) -> dict[str, Any]:
    """See :meth:`.PostgresURL.django`."""
    # urlsplit, on which dj_database_url builds, lower-cases hosts and knows only one, and it makes
    # numbers and booleans of whatever looks like one: those parts are set here.
    entry = _blank(config)
    keywords = _concrete(url).libpq()
    port = keywords.pop("port", "")
    entry["HOST"] = keywords.pop("host", "")
    entry["PORT"] = int(port) if port.isdigit() else port
    entry["USER"] = keywords.pop("user", "")
    entry["PASSWORD"] = MaskedStr(keywords.pop("password", ""))
    entry["NAME"] = keywords.pop("dbname", "")
    options: dict[str, Any] = dict(keywords)
    options |= {key: int(keywords[key]) for key in INTEGERS & keywords.keys()}
    options |= {key: MaskedStr(keywords[key]) for key in SECRET & keywords.keys()}
    entry["OPTIONS"] = {**options, **entry.get("OPTIONS", {})}
    return entry


def _blank(config: dict[str, Any]) -> dict[str, Any]:
    """What ``dj_database_url.parse("postgresql:///", **config)`` gives.

    Importing that costs more than all of this package does. So it is asked where somebody has
    imported it already, and may have registered an ENGINE of his own with it, and for the arguments
    that are not in the table. Else its answer is known.
    """
    if "dj_database_url" in sys.modules or not config.keys() <= _DEFAULTS.keys():
        import dj_database_url

        return dict(dj_database_url.parse("postgresql:///", **config))
    asked = {**_DEFAULTS, **config}
    return {
        "ENGINE": asked.pop("engine") or "django.db.backends.postgresql",
        **{name.upper(): value for name, value in asked.items()},
    }


def connect_keywords(url: PostgresURL, driver: str) -> dict[str, Any]:
    """What the ``connect()`` of a driver takes to reach `url`; its ``repr`` shows no secret.

    Args:
        driver: ``psycopg``, ``psycopg2`` or ``asyncpg``.

    Raises:
        ConfigurationError: asyncpg cannot do what a parameter demands, or the system's certificate
            authorities are nowhere to be found.
    """
    url = _concrete(url)
    if driver == "asyncpg":
        from . import asyncpg_keywords

        return asyncpg_keywords.keywords(url)
    keywords: dict[str, Any] = dict(url.libpq())
    for name in (SECRET | {"password"}) & keywords.keys():
        keywords[name] = MaskedStr(keywords[name])
    return keywords


def sqlalchemy(url: PostgresURL, driver: str) -> URL:
    """See :meth:`.PostgresURL.sqlalchemy`."""
    from sqlalchemy import URL

    url = _concrete(url)
    query: dict[str, str | tuple[str, ...]]
    if driver == "asyncpg":
        from . import asyncpg_keywords

        query = dict(asyncpg_keywords.query(url))
    elif driver in ("psycopg", "psycopg2"):
        query = dict(url.params)
    else:
        raise ConfigurationError(
            f"no translation for the SQLAlchemy driver {driver}",
            hint="Use psycopg, psycopg2 or asyncpg.",
        )
    host: str | None = url.host or None
    port = url.hosts[0].port if url.hosts else None
    if url.host.startswith(("/", "@")) or len(url.hosts) > 1:
        # Socket folders and several hosts go into the query, where libpq reads them:
        # https://docs.sqlalchemy.org/en/20/dialects/postgresql.html#specifying-multiple-fallback-hosts
        query |= {key: value for key, value in url.libpq().items() if key in ("host", "port")}
        if driver == "asyncpg":  # whose dialect wants all ports or none
            query["port"] = ",".join(str(port or DEFAULT_PORT) for _, port in url.hosts)
        host = port = None
    return URL.create(
        f"postgresql+{driver}",
        url.user or None,
        url.password.reveal() if url.password is not None else None,
        host,
        port,
        url.dbname or None,
        query,
    )


def _concrete(url: PostgresURL) -> PostgresURL:
    """See :func:`.roots.concrete`, which few URLs need."""
    if url.params.get("sslrootcert") != "system":
        return url
    from . import roots

    return roots.concrete(url)
