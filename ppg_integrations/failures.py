"""Why a server could not be reached: the texts that people meet, and what to do about each.

A refused login carries no SQLSTATE in psycopg, so the text is all there is to go by. The texts are
those of libpq, PostgreSQL 15 and 17, PgBouncer 1.18 and 1.24, asyncpg, and what stands in front of
the databases of Neon (https://github.com/neondatabase/neon, proxy/), Prisma and Supabase
(https://github.com/supabase/supavisor, lib/supavisor/errors/).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote, quote_plus

from .errors import harmless
from .parameters import SECRET
from .secret import MASK

if TYPE_CHECKING:
    from .urls import PostgresURL


class Failure(NamedTuple):
    """A known cause: the text it shows itself by, a stable word for it, and what to do."""

    pattern: str
    code: str
    hint: str


#: Searched from the top, case ignored; the first hit wins. Adding a row is the whole change.
FAILURES: Final = (
    Failure(
        r"endpoint id is not specified",
        "endpoint-id",
        "The host name did not reach the provider in the TLS handshake (SNI). Connect by host"
        " name, not by address or through a forwarded port, with libpq 14 or newer.",
    ),
    Failure(
        r"inconsistent project name|project name .* inferred from SNI",
        "endpoint-mismatch",
        "Remove options=endpoint%3D... from the URL: the host name already says it.",
    ),
    Failure(
        r"address .* is not allowed|address not in tenant allow_list"
        r"|blocked (public internet|network)|VPC endpoint",
        "ip-not-allowed",
        "Add this machine's address to those allowed in the provider's console.",
    ),
    Failure(
        r"unsupported startup parameter",
        "startup-parameter",
        "A pooler takes no startup parameters: remove `options` from this URL, or keep it for"
        " the direct URL only. A search_path can be set on the role instead:"
        " ALTER ROLE ... SET search_path = ...",
    ),
    Failure(
        r"no password supplied|password is (required|missing)",
        "no-password",
        "The URL has no password. Copy the whole URL again from the provider's console.",
    ),
    Failure(
        r"password authentication failed|SASL authentication failed|authentication failed for",
        "wrong-password",
        "Copy the URL again from the provider's console, or generate a new connection with the"
        " verb `create`. A special character in a password must be percent-encoded.",
    ),
    Failure(
        r'role "[^"]*" (does not exist|is not permitted to log in)|no such user\b'
        r"|tenant/user .* not found|tenant or user not found|role .* is protected and cannot",
        "no-role",
        "The user name in the URL is not known there: copy the URL again from the console.",
    ),
    Failure(
        r"requested (endpoint|branch|project|resource) could not be found"
        r"|no tenant identifier provided",
        "no-endpoint",
        "The provider knows no database behind this host name: copy the URL again from its"
        " console.",
    ),
    Failure(
        r'database "[^"]*" does not exist|no such database',
        "no-database",
        "Check the name after the last slash of the URL; create the database if it is new.",
    ),
    Failure(
        r"server does not support SSL|rejected SSL upgrade",
        "tls-unsupported",
        "The URL demands TLS (sslmode), this server has none: is it the right host and port?",
    ),
    Failure(
        r"certificate verify failed|certificate for .* does not match|unknown ca\b"
        r"|root certificate file|certificate has expired",
        "tls-unverified",
        "The server's certificate does not verify: somebody is in between, or its authority is not"
        " known here. Name the authority with sslrootcert=FILE in the URL, or SSL_CERT_FILE."
        " PPG_SSLMODE=require encrypts without verifying, where no sslrootcert is named.",
    ),
    Failure(
        r"SSL required|connection is insecure|SSL connection is required"
        r"|no pg_hba\.conf entry.*(no encryption|SSL off)",
        "tls-required",
        "Add sslmode=require to the URL.",
    ),
    Failure(
        r"no pg_hba\.conf entry|pg_hba\.conf rejects",
        "not-admitted",
        "The server admits no such user, database and address together: see its pg_hba.conf.",
    ),
    Failure(
        r"channel binding",
        "channel-binding",
        "Remove channel_binding from the URL, or connect with TLS (sslmode=require).",
    ),
    Failure(
        r"endpoint (is|has been) (temporarily )?disabled|tenant is banned",
        "disabled",
        "The provider has disabled this database, and no connection wakes it: see its console.",
    ),
    Failure(
        r"limit of concurrently active endpoints|active endpoints limit",
        "too-many-endpoints",
        "The plan lets no more databases run at the same time: suspend another one in the"
        " provider's console.",
    ),
    Failure(
        r"\bquota\b|exceeded the compute time|plan limit",
        "quota",
        "The plan's limit is used up, and the provider has stopped this database: see its console.",
    ),
    Failure(
        # one project logged the typo "failted"
        r"fail\w* to connect to upstream database|couldn'?t connect to compute node"
        r"|server login has been failing|cannot connect to server|server_login_retry"
        # PgBouncer, when its auth_query fails because PostgreSQL is not there
        r"|bouncer config error"
        r"|(control plane|console) request failed",
        "upstream",
        "The pooler or proxy answered, the database behind it did not. One that slept needs"
        " about ten seconds to wake: try again. PgBouncer says it of a wrong database or user, too:"
        " the direct URL tells which.",
    ),
    Failure(
        r"query_wait_timeout|client_login_timeout",
        "pool-exhausted",
        "Each server connection of the pool is taken: look for transactions left open.",
    ),
    Failure(
        r"too many (clients|connections|database connection attempts)"
        r"|remaining connection slots|no more connections allowed|connection limit exceeded"
        r"|max client(s| connections) reached|exceeded the rate limit",
        "too-many-connections",
        "The server or pooler has no free slot: start fewer workers and threads, close what is"
        " idle, or raise its limit. If this is the direct URL, send the application's traffic"
        " through the pooled one.",
    ),
    Failure(
        r"the database system is (starting up|shutting down|in recovery|not yet accepting)"
        r"|not accepting connections|already has running operations",
        "starting",
        "The server is starting or stopping: try again in a moment.",
    ),
    Failure(
        r"connection refused",
        "refused",
        "Nothing listens there. Check host and port; the verb `local start` starts the embedded"
        " servers.",
    ),
    Failure(
        r"could not translate host name|failed to resolve host|name or service not known"
        r"|nodename nor servname|temporary failure in name resolution",
        "unknown-host",
        "Check the spelling of the host in the URL, and this machine's network and DNS.",
    ),
    Failure(
        r"no such file or directory",
        "no-socket",
        "No server has its socket there: is it running, and is the folder in the URL right?",
    ),
    Failure(
        r"timeout expired|timed out|connection timeout",
        "timeout",
        "The address does not answer: a firewall, a wrong port, or a database that is waking.",
    ),
    Failure(
        r"network is unreachable|no route to host|host is down",
        "no-route",
        "This machine has no way there (IPv6 only, or a network that is not connected).",
    ),
    Failure(
        r"invalid response to SSL negotiation|expected authentication request"
        r"|unsupported frontend protocol",
        "not-postgres",
        "Something else than PostgreSQL listens on that port: check host and port.",
    ),
    Failure(
        r"server closed the connection|connection reset|SSL SYSCALL error|unexpected eof"
        r"|SSL connection has been closed|terminating connection|broken pipe|consuming input"
        r"|connection was closed in the middle|unexpected connection_lost|connection is closed",
        "closed",
        "The server ended the connection. One that scales to zero does so when it falls asleep:"
        " try again.",
    ),
)

_PREFIX: Final = re.compile(
    r'^(connection failed: )?(connection to server (at|on socket) "[^"]*"( \([^)]*\))?'
    r"(, port \d+)? failed: )?"
)
#: What libpq guesses at; the hint of a failure says more.
_GUESSES: Final = (
    "Is the server running",
    "This probably means the server terminated",
    "before or while processing the request",
)
#: A secret shorter than this is only looked for as a whole word: a text in which each "p" is masked
#: would spell it out.
_SHORT: Final = 4


def address(url: PostgresURL) -> str:
    """How messages call the place a URL leads to: its first host and port."""
    return f"{url.host}:{url.port}" if url.host else "the local socket"


def explain(text: str) -> Failure | None:
    """The first row of :data:`FAILURES` that `text` matches."""
    for row in FAILURES:
        if re.search(row.pattern, text, re.IGNORECASE | re.DOTALL):
            return row
    return None


def condense(text: str) -> str:
    """A driver's text on one line, without what the message around it says and without repeats.

    libpq tries again without TLS (or the next address) and then reports both attempts.
    """
    lines = (_PREFIX.sub("", line.strip()) for line in text.splitlines())
    kept = dict.fromkeys(line for line in lines if line and not line.startswith(_GUESSES))
    return harmless("; ".join(" ".join(line.split()) for line in kept))


def redact(text: str, url: PostgresURL) -> str:
    """`text` with each secret of `url`, raw or percent-encoded, replaced by ``***``."""
    secrets = [value for key, value in url.params.items() if key in SECRET]
    if url.password:
        secrets.append(url.password.reveal())
    spellings = {form for s in secrets for form in (s, quote(s, safe=""), quote(s), quote_plus(s))}
    for secret in sorted(filter(None, spellings), key=len, reverse=True):
        pattern = re.escape(secret)
        if len(secret) < _SHORT:
            pattern = rf"(?<!\w){pattern}(?!\w)"
        text = re.sub(pattern, MASK, text)
    return text
