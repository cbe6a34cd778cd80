"""What can be wrong with a pair: one table of ids, severities and words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

Severity = Literal["error", "warning", "info"]


class Problem(NamedTuple):
    """One finding.

    Attributes:
        id: stable; scripts may compare it.
        severity: an ``error`` makes ``doctor`` fail; a ``warning`` works and will hurt; an ``info``
            is as it should be, or could be better.
        message: what was found, and where.
        hint: what to do.
    """

    id: str
    severity: Severity
    message: str
    hint: str

    def as_json(self) -> dict[str, str]:
        return self._asdict()


class Row(NamedTuple):
    """The words of one problem; ``{...}`` in them are filled in by :func:`problem`.

    Attributes:
        unless: the other severities that it may have, and when.
    """

    severity: Severity
    message: str
    hint: str
    unless: Mapping[Severity, str] = MappingProxyType({})


#: Adding a row, and the rule that finds it, is the whole change. Fields are filled in by
#: :func:`problem`; an endpoint reads "pooled (DATABASE_URL in the environment)".
TABLE: Final = {
    "unreachable": Row("error", "{endpoint}: {text}", "{hint}"),
    "woke-up": Row(
        "info",
        "{endpoint} was not there at first, and was {seconds} s later: {text}",
        "A database that scales to zero, or a restart. Applications wait for it as well, for"
        " PPG_CONNECT_DEADLINE seconds.",
    ),
    "swapped": Row(
        "error",
        "the two URLs have changed places: {pooled} reaches {pooled_kind} ({pooled_host}), and"
        " {direct} {direct_kind} ({direct_host})",
        "Exchange the values of {pooled_name} and {direct_name}.",
    ),
    "direct-is-pooler": Row(
        "error",
        "{endpoint} reaches {kind}: migrations through it seem to work, and lose locks, settings"
        " and prepared statements",
        "Set {name} to the URL of the server itself; the provider's console shows it as direct,"
        " unpooled or non-pooling.",
    ),
    "direct-is-session-pooler": Row(
        "info",
        "{endpoint} reaches a session pooler: good for migrations, each client has a backend of"
        " its own",
        "",
    ),
    "statement-pooler": Row(
        "error",
        "{endpoint} reaches a pooler in statement mode, which refuses transactions",
        "Set pool_mode=transaction on the pooler.",
    ),
    "pooled-is-direct": Row(
        "warning",
        "{endpoint} reaches the server itself: every idle client holds one of its connections",
        "Set {name} to the URL of the pooler, if there is one.",
    ),
    "pooled-is-session-pooler": Row(
        "warning",
        "{endpoint} reaches a session pooler: every idle client holds a server connection, as if"
        " there were no pooler",
        "Use the pooler's transaction mode (on Supabase port 6543 instead of 5432).",
    ),
    "pooled-is-proxy": Row(
        "warning",
        "{endpoint} reaches a proxy that keeps sessions: no pooling was seen",
        "Set {name} to the URL of the pooler; the provider's console shows it as pooled.",
    ),
    "same-endpoint": Row(
        "warning",
        "pooled and direct are one endpoint ({host}): no pooler is in use",
        "If the provider has a pooler, set {name} to its URL. With the embedded servers: install"
        " PgBouncer, then `ppg-connect local start`.",
        {"info": "on this machine"},
    ),
    "no-direct-url": Row(
        "warning",
        "there is no direct URL: requests can run, migrations cannot",
        "Set {name} to the direct URL of the same database.",
    ),
    "different-servers": Row(
        "error",
        "pooled and direct reach different servers (their system identifiers differ)",
        "Take both URLs from the same page of the provider's console.",
    ),
    "databases-differ": Row(
        "error",
        "pooled leads to the database {pooled} and direct to {direct}",
        "Take both URLs from the same page of the provider's console, or correct the pooler's list"
        " of databases.",
        {"warning": "where the URLs name two databases"},
    ),
    "users-differ": Row(
        "warning",
        "pooled logs in as {pooled} and direct as {direct}: what one makes the other may not own",
        "Use one role for both, or grant the one role to the other.",
    ),
    "versions-differ": Row(
        "warning",
        "pooled reaches PostgreSQL {pooled} and direct {direct}",
        "Are these two endpoints of one server? A failover or an upgrade may be under way.",
    ),
    "in-recovery": Row(
        "error",
        "{endpoint} reaches a replica: it takes no writes",
        "Use the host of the primary (read-write) endpoint.",
        {"warning": "where it is the pooled one"},
    ),
    "replica-unreachable": Row("error", "{endpoint}: {text}", "{hint}"),
    "slots-low": Row(
        "warning",
        "{used} of {allowed} connections are in use (limit of the {limit})",
        "Send the application's traffic through the pooled URL, close idle connections, or raise"
        " the limit.",
    ),
    "tls-off": Row(
        "warning",
        "{endpoint} is not encrypted, and {host} is not this machine",
        "Set PPG_SSLMODE=require, or better PPG_SSLMODE=verify-full; or add sslmode= to the URL.",
    ),
    "tls-optional": Row(
        "warning",
        "{endpoint} is encrypted, but sslmode={sslmode} would do without TLS and not say so",
        "Set PPG_SSLMODE=require, or better PPG_SSLMODE=verify-full; or add sslmode= to the URL.",
    ),
    "tls-unverified": Row(
        "warning",
        "{endpoint} shows a certificate that does not verify ({why_not})",
        "Get the provider's root certificate and add sslmode=verify-full&sslrootcert=FILE to the"
        " URL.",
    ),
    "tls-not-enforced": Row(
        "info",
        "{endpoint} shows a good certificate, and sslmode={sslmode} does not insist on it",
        "Set PPG_SSLMODE=verify-full, or add sslmode=verify-full&sslrootcert=system to the URL.",
    ),
    "startup-parameters": Row(
        "warning",
        "{endpoint} has startup parameters ({names}): a transaction pooler refuses or forgets them",
        "Keep them for the direct URL; set a search_path or a timeout on the role:"
        " ALTER ROLE ... SET ...",
    ),
    "prepared-lost": Row(
        "error",
        "{endpoint} reaches a pooler that does not keep track of prepared statements, and drivers"
        " are told to prepare: requests fail as soon as two are served at once",
        "Unset PPG_PREPARED (prepared=True, prepare_threshold), or have the pooler keep track:"
        " PgBouncer 1.21 or later with max_prepared_statements=200.",
        {"warning": "of `migrate`"},
    ),
    "usage": Row("info", "{provider}: {text}", ""),
    "usage-blocked": Row(
        "error",
        "{provider} has blocked the workspace: it has used up what its plan ({plan}) gives",
        "Choose a larger plan, or wait for the next period: {url}",
    ),
    "usage-unknown": Row(
        "info",
        "the provider does not tell limits and use: {text}",
        "{hint}",
    ),
    "short-connect-timeout": Row(
        "info",
        "{endpoint} has connect_timeout={seconds}, and a database that sleeps needs up to 10 s to"
        " wake",
        "Raise connect_timeout to 10 or more.",
    ),
}


def problem(
    identity: str,
    *,
    table: Mapping[str, Row] = TABLE,
    severity: Severity | None = None,
    **fields: Any,
) -> Problem:
    """The row `identity`, filled in.

    Args:
        table: where the row stands; a framework's shell has rows of its own.
        severity: where the case is another one; the row has it in ``unless``.
        fields: what the row's texts name.
    """
    row = table[identity]
    assert severity in (None, row.severity, *row.unless), identity
    message, hint = row.message.format(**fields), row.hint.format(**fields)
    return Problem(identity, severity or row.severity, message, hint)
