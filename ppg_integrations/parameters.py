"""What becomes of each parameter in a URL's query: kept, stripped, translated or refused.

The one table of these decisions. libpq answers an unknown keyword with "invalid connection option",
and URLs copied from Node tools are full of them, see
https://www.prisma.io/docs/orm/overview/databases/postgresql#arguments and
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

#: Every keyword of libpq 18 that may stand in a URL. The parts of the URL itself are folded into
#: it before this table is asked.
LIBPQ: Final = frozenset(
    """
    application_name channel_binding client_encoding connect_timeout fallback_application_name
    gssdelegation gssencmode gsslib hostaddr keepalives keepalives_count keepalives_idle
    keepalives_interval krbsrvname load_balance_hosts max_protocol_version min_protocol_version
    options passfile replication require_auth requirepeer requiressl scram_client_key
    scram_server_key service servicefile ssl_max_protocol_version ssl_min_protocol_version sslcert
    sslcertmode sslcompression sslcrl sslcrldir sslkey sslkeylogfile sslmode sslnegotiation
    sslpassword sslrootcert sslsni target_session_attrs tcp_user_timeout
    """.split()
)

#: libpq keywords whose value is a secret.
SECRET: Final = frozenset({"sslpassword", "scram_client_key", "scram_server_key"})

#: libpq keywords whose value is a whole number.
INTEGERS: Final = frozenset(
    {
        "connect_timeout",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "tcp_user_timeout",
    }
)

#: What providers' proxies take out of ``options`` before a pooler sees it. Neon's:
#: https://neon.com/docs/connect/connection-errors#the-endpoint-id-is-not-specified
_ROUTING: Final = ("endpoint=", "project=", "neon_")

_SSLMODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

_PRISMA: Final = "a setting of Prisma's own client, which PostgreSQL drivers do not know"
_POOL: Final = "a setting of a client-side pool: set it where your framework configures its pool"

#: Dropped: the name, and why nothing is lost by it.
STRIPPED: Final = {
    "pgbouncer": _PRISMA,
    "connection_limit": _POOL,
    "pool_timeout": _POOL,
    "pool_size": _POOL,
    "max_idle_connection_lifetime": _POOL,
    "max_connection_lifetime": _POOL,
    "single_use_connections": _PRISMA,
    "socket_timeout": _PRISMA,
    "statement_cache_size": "a setting of Prisma's client and asyncpg; the frameworks set it",
    "prepared_statement_cache_size": "a setting of SQLAlchemy's asyncpg dialect",
    "uselibpqcompat": "a switch of the Node driver",
    "workaround": "a marker of the Supabase integration",
    "supa": "a marker of the Supabase integration",
}

#: Not usable, and dropping it would change what the connection means.
REFUSED: Final = {
    "sslidentity": "it names a PKCS#12 bundle, which libpq cannot read: "
    "convert it with `openssl pkcs12` and give sslcert and sslkey",
}

_SSLACCEPT: Final = {"strict": "verify-full", "accept_invalid_certs": "require"}
_SSL: Final = {
    "true": "require",
    "1": "require",
    "require": "require",
    "no-verify": "require",
    "false": "disable",
    "0": "disable",
    **{mode: mode for mode in _SSLMODES},
}


def sanitise(
    pairs: Iterable[tuple[str, str]],
) -> tuple[dict[str, str], tuple[str, ...], tuple[str, ...], str]:
    """Applies the table to the parameters of one URL; of a repeated name the last one counts.

    Returns:
        The libpq keywords and their values; what was dropped or translated without a loss; what was
        dropped and may be missed; and the reason why the URL cannot be used, or ``""``, which
        repeats no value.
    """
    params: dict[str, str] = {}
    notes: list[str] = []
    warnings: list[str] = []
    refused = ""
    for name, value in pairs:
        if name == "requiressl":
            # libpq has it overwrite an sslmode that stands before it, verify-full included; its
            # rule for the value: https://github.com/postgres/postgres/blob/REL_17_0/src/interfaces/libpq/fe-connect.c
            if value.startswith("1"):
                params.setdefault("sslmode", "require")
                notes.append("translated requiressl to sslmode")
            else:
                notes.append("dropped requiressl: off is libpq's default")
        elif name in LIBPQ:
            params[name] = value
        elif name in STRIPPED:
            notes.append(f"dropped {name}: {STRIPPED[name]}")
        elif name == "pool":
            # An early form of Prisma Postgres' pooling. Left in, dj-database-url makes an OPTIONS
            # entry of it that switches Django's own pool on.
            warnings.append(
                "dropped pool: an older way to ask Prisma Postgres for pooling, "
                "replaced by the host pooled.db.prisma.io"
            )
        elif name in ("schema", "currentSchema"):
            if value and value != "public":
                warnings.append(
                    f"dropped {name}: a transaction pooler refuses a search_path at connect; "
                    "set it on the role with ALTER ROLE ... IN DATABASE ... SET search_path"
                )
            else:
                notes.append(f"dropped {name}: public is PostgreSQL's default")
        elif name == "sslaccept":
            if value in _SSLACCEPT:
                params.setdefault("sslmode", _SSLACCEPT[value])
                notes.append("translated sslaccept to sslmode")
            else:
                refused = refused or "sslaccept is neither strict nor accept_invalid_certs"
        elif name == "ssl":
            if value.lower() in _SSL:
                params.setdefault("sslmode", _SSL[value.lower()])
                notes.append("translated ssl to sslmode")
            else:
                refused = refused or "ssl has a value that means nothing to libpq"
        elif name in REFUSED:
            refused = refused or f"{name} cannot be used: {REFUSED[name]}"
        else:
            refused = refused or f"{_unknown(name)}"
    if params.get("sslmode") == "no-verify":
        params["sslmode"] = "require"
        notes.append("translated sslmode=no-verify to its libpq name, require")
    return params, tuple(notes), tuple(warnings), refused or _bad_value(params)


def startup_options(options: str) -> list[str]:
    """What of libpq's ``options`` a transaction pooler refuses at connect.

    Returns:
        The names of the settings, without their values: those may be private.
    """
    words = [word for word in options.split() if word != "-c" and not word.startswith(_ROUTING)]
    return [word.removeprefix("-c").partition("=")[0] for word in words]


def _bad_value(params: dict[str, str]) -> str:
    if params.get("sslmode", "prefer") not in _SSLMODES:
        return f"sslmode is none of {', '.join(_SSLMODES)}"
    for name in sorted(INTEGERS & params.keys()):
        value = params[name].strip()
        if not (value.isascii() and value.lstrip("+-").isdigit() and len(value) <= 10):
            return f"{name} is not a whole number"
    return ""


def _unknown(name: str) -> str:
    # A name is shown only when it looks like one: an unencoded "&" in a password ends up here.
    if not (name.isidentifier() and name.isascii() and len(name) <= 40):
        return "it has a parameter whose name no PostgreSQL driver knows"
    import difflib

    near = difflib.get_close_matches(name.lower(), sorted(LIBPQ | STRIPPED.keys()), n=1, cutoff=0.8)
    if not near:
        return "it has a parameter that no PostgreSQL driver knows"
    return f"it has a parameter that no PostgreSQL driver knows; is {near[0]} meant?"
