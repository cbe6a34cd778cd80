"""A URL in the words of asyncpg, which knows neither libpq's keywords nor all that they can do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from ssl import PROTOCOL_TLS_CLIENT, SSLContext, TLSVersion
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from . import roots
from .errors import ConfigurationError
from .hostport import DEFAULT_PORT
from .secret import MaskedStr

if TYPE_CHECKING:
    from .urls import PostgresURL

#: What asyncpg reads in a URL of its own, and most of it in no keyword:
#: https://magicstack.github.io/asyncpg/current/api/index.html#connection
_DSN: Final = frozenset(
    """
    passfile ssl_max_protocol_version ssl_min_protocol_version sslcert sslcrl sslkey sslmode
    sslpassword sslrootcert target_session_attrs
    """.split()
)

#: libpq keyword, and the setting that it is to the server.
_SETTINGS: Final = {
    "fallback_application_name": "application_name",
    "application_name": "application_name",
    "options": "options",
}

#: Left out: the connection leads to the same place without, as safe as asyncpg can make it. (Neon
#: puts channel_binding=require into every URL, and asyncpg's SCRAM has none.) It always speaks
#: UTF-8, and leaves TCP to the system.
_DROPPED: Final = frozenset(
    """
    channel_binding client_encoding connect_timeout gssdelegation keepalives keepalives_count
    keepalives_idle keepalives_interval load_balance_hosts max_protocol_version sslcompression
    sslkeylogfile sslsni tcp_user_timeout
    """.split()
)

#: Left out with one of these values, which is how asyncpg behaves. With another one, as for
#: whatever stands in no table here (``require_auth``, ``hostaddr``), it would do something else.
_HARMLESS: Final = {
    "gssencmode": ("disable", "prefer"),
    "min_protocol_version": ("3.0",),
    "requiressl": ("0",),
    "sslcertmode": ("allow", "disable"),
    "sslnegotiation": ("postgres", "direct"),  # the latter is a keyword
}


def keywords(url: PostgresURL) -> dict[str, Any]:
    """What ``asyncpg.connect(**...)`` takes to reach `url`; its ``repr`` shows no secret.

    Args:
        url: with a file where ``sslrootcert`` is ``system``, see :func:`.roots.concrete`.

    Raises:
        ConfigurationError: asyncpg cannot do what a parameter demands, or a file of authorities
            holds none.
    """
    result = _encryption(url)
    context = _context(url)
    if context is not None:
        result = {"ssl": context}
    if url.hosts:
        result["host"] = [host for host, _ in url.hosts]
        result["port"] = [port or DEFAULT_PORT for _, port in url.hosts]
    if url.user:
        result["user"] = url.user
    if url.password is not None:
        result["password"] = url.password.reveal  # it takes functions, and no MaskedStr
    if url.dbname:
        result["database"] = url.dbname
    if url.params.get("sslnegotiation") == "direct":
        result["direct_tls"] = True
    settings = _settings(url)
    if settings:
        result["server_settings"] = settings
    if "connect_timeout" in url.params:
        # libpq waits for ever at 0, and takes 1 for 2.
        seconds = int(url.params["connect_timeout"])
        result["timeout"] = float(max(2, seconds)) if seconds > 0 else None
    return result


def query(url: PostgresURL) -> dict[str, str]:
    """What of it can stand in the query of a ``sqlalchemy.URL``: texts only.

    Raises:
        ConfigurationError: as :func:`keywords`, or the query cannot say it.
    """
    result = _encryption(url)
    if url.params.get("sslnegotiation") == "direct":
        raise ConfigurationError(
            "sslnegotiation=direct cannot stand in a SQLAlchemy URL for asyncpg",
            hint="Make the engine with ppg_integrations.sqlalchemy.create_async_engine().",
        )
    settings = _settings(url)
    return _dsn({**_own(url), **settings}) if settings else result


def _encryption(url: PostgresURL) -> dict[str, Any]:
    """``ssl`` where the mode says it all, else a ``dsn``, which asyncpg makes a TLS context of."""
    for host, _ in url.hosts:
        if host.startswith("@"):
            raise _cannot("a host that begins with @")
    for name, value in url.params.items():
        known = name in _DSN or name in _DROPPED or name in _SETTINGS
        if not known and value not in _HARMLESS.get(name, ()):
            raise _cannot(name)
    own = _own(url)
    if own.keys() == {"sslmode"}:
        return {"ssl": own["sslmode"]}
    return dict(_dsn(own))


#: What asyncpg reads beside the URL, in the environment and at home.
_VARIABLES: Final = ("PGSSLCERT", "PGSSLCRL", "PGSSLMINPROTOCOLVERSION", "PGSSLMAXPROTOCOLVERSION")
_FILES: Final = ("postgresql.crt", "root.crl")
#: The modes in which it reads authorities that somebody names. What it says of a file that is not
#: there, or holds none, has no name in it.
_READING: Final = frozenset({"require", "verify-ca", "verify-full"})


def _context(url: PostgresURL) -> SSLContext | None:
    """The context that asyncpg would make for each connection anew, where nothing else is in it.

    The system's authorities take 40 ms to load, in which the event loop stands still.
    """
    own = _own(url)
    path = own.get("sslrootcert") or os.environ.get("PGSSLROOTCERT", "")
    mode = own.get("sslmode") or os.environ.get("PGSSLMODE", "")
    if not path or mode not in _READING:
        return None
    roots.check(path, url)
    try:
        context = _loaded(path, os.stat(path).st_mtime_ns)
    except OSError:  # ssl.SSLError too
        raise roots.unusable(path, url, "it holds no certificate that can be read") from None
    if own.keys() != {"sslmode", "sslrootcert"} or own["sslmode"] != "verify-full":
        return None
    home = os.path.expanduser("~/.postgresql")
    if any(map(os.environ.get, _VARIABLES)) or any(
        os.path.exists(os.path.join(home, name)) for name in _FILES
    ):
        return None
    return context


@lru_cache(maxsize=8)
def _loaded(path: str, _changed: int) -> SSLContext:
    context = SSLContext(PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=path)
    context.minimum_version = TLSVersion.TLSv1_2
    context.set_alpn_protocols(["postgresql"])
    return context


def _own(url: PostgresURL) -> dict[str, str]:
    return {name: value for name, value in url.params.items() if name in _DSN}


def _settings(url: PostgresURL) -> dict[str, str]:
    return {
        setting: url.params[name]
        for name, setting in _SETTINGS.items()  # the fallback first
        if url.params.get(name)
    }


def _dsn(params: Mapping[str, str]) -> dict[str, str]:
    if not params:
        return {}
    return {"dsn": MaskedStr(f"postgresql://?{urlencode(params, quote_via=quote)}")}


def _cannot(what: str) -> ConfigurationError:
    return ConfigurationError(
        f"asyncpg cannot honour {what}",
        hint="Take it out of the URL, or use the driver psycopg.",
    )
