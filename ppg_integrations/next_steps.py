"""What to do about a connection that is refused, in the words of the provider that refuses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import hosts

if TYPE_CHECKING:
    from .failures import Failure
    from .urls import PostgresURL

_PRISMA: Final = (
    "Generate another one with the verb `create`, or in Prisma's console: the database >"
    " Connect to your database > Generate new connection string."
)
_NEON: Final = "Neon's console > the project > Connect"
_SUPABASE: Final = "Supabase's dashboard > the project > Connect"

#: By provider and :attr:`.Failure.code`; where there is none, the hint of the failure counts. From
#: https://www.prisma.io/docs/postgres, https://neon.com/docs/connect/connection-errors and
#: https://supabase.com/docs/guides/troubleshooting. Adding a row is the whole change.
_STEPS: Final[dict[tuple[str, str], str]] = {
    (
        "prisma",
        "wrong-password",
    ): f"The credential was revoked, or is another database's. {_PRISMA}",
    ("prisma", "no-password"): f"The URL has no password. {_PRISMA}",
    ("prisma", "no-role"): f"The credential was revoked, or another database's. {_PRISMA}",
    ("prisma", "no-database"): (
        "The one database of a Prisma Postgres is called postgres: end the URL's path in /postgres."
    ),
    ("prisma", "tls-required"): (
        "Prisma Postgres takes encrypted connections only: add sslmode=require to the URL."
    ),
    ("prisma", "too-many-connections"): (
        "The plan limits the connections to each of the two hosts: send the application's traffic"
        " to pooled.db.prisma.io, and close what is idle on db.prisma.io."
    ),
    ("prisma", "upstream"): (
        "A Prisma Postgres that slept needs about ten seconds to wake: try again. One that has no"
        " connection left says the same: close what is idle."
    ),
    ("prisma", "quota"): (
        "Raise the spend limit or the plan in Prisma's console, or wait for the next period. With a"
        " service token the verb `doctor` shows what is used."
    ),
    ("neon", "wrong-password"): (
        f"Copy the URL again: {_NEON}, where the role's password can be reset too. With an API key"
        " the verb `create` fetches it."
    ),
    ("neon", "no-password"): (
        f"The URL has no password. Copy it again: {_NEON}. With an API key the verb `create`"
        " fetches it."
    ),
    ("neon", "no-role"): (
        f"Roles belong to a branch. Choose the branch, then the role, and copy the URL: {_NEON}."
    ),
    ("neon", "no-database"): (
        "Databases belong to a branch. Choose the branch, then the database, and copy the URL:"
        f" {_NEON}. The first one of a project is called neondb."
    ),
    ("neon", "no-endpoint"): (
        "The branch of this host was deleted, or its compute was. Copy the URL of the branch that"
        f" is meant: {_NEON}; or run the verb `create` with --branch."
    ),
    ("neon", "ip-not-allowed"): (
        "Add this machine's address in Neon's console > the project > Settings > IP Allow; its IPv4"
        " and its IPv6 address count apart."
    ),
    ("neon", "quota"): (
        "The plan's limit is used up: upgrade in Neon's console > Billing, or wait for the next"
        " billing period."
    ),
    ("neon", "disabled"): (
        "This compute is disabled, and neither connecting nor the console enables it: set"
        ' "disabled" to false with Neon\'s API (PATCH /projects/ID/endpoints/ID). If nobody'
        " of yours did that, ask Neon's support."
    ),
    ("neon", "too-many-endpoints"): (
        "Suspend a compute that is not needed in Neon's console > Branches, then try again."
    ),
    ("neon", "too-many-connections"): (
        "Send the application's traffic to the pooled host, which has -pooler in its first label,"
        " and close what is idle. A larger compute takes more direct connections."
    ),
    ("neon", "upstream"): (
        "Neon's compute was asleep, or restarts: try again in a few seconds. If it stays so, see"
        " neonstatus.com."
    ),
    ("neon", "tls-required"): (
        "Neon takes encrypted connections only: add sslmode=require to the URL."
    ),
    ("neon", "endpoint-id"): (
        "Neon finds the compute by the host name in the TLS handshake (SNI), which libpq sends from"
        " version 14 on: take a newer driver, and no hostaddr in the URL. An old one can add"
        " options=endpoint%3D and the host's first label."
    ),
    ("supabase", "wrong-password"): (
        "The password is that of the database, not of the account: reset it in Supabase's dashboard"
        f" > the project > Database > Settings, then copy the URL again: {_SUPABASE}."
    ),
    ("supabase", "no-role"): (
        "Supabase's shared pooler wants the user as ROLE.PROJECT, and the number in its host"
        f" (aws-0, aws-1) cannot be guessed: copy the whole URL again: {_SUPABASE}."
    ),
    ("supabase", "no-endpoint"): (
        "Supabase's shared pooler wants the user as ROLE.PROJECT: copy the whole URL again:"
        f" {_SUPABASE}."
    ),
    ("supabase", "ip-not-allowed"): (
        "Add this machine's address in Supabase's dashboard > the project > Database > Settings >"
        " Network Restrictions; direct hosts are reached by IPv6."
    ),
    ("supabase", "too-many-connections"): (
        "Send the application's traffic through port 6543, the pooler's transaction mode, and close"
        " what is idle. A larger compute takes more."
    ),
    ("supabase", "tls-required"): ("This project enforces SSL: add sslmode=require to the URL."),
    ("supabase", "no-route"): (
        "Supabase's direct hosts have IPv6 addresses only. Where there is no IPv6, use the session"
        f" pooler, port 5432 of the pooler's host, as the direct URL: {_SUPABASE}."
    ),
}


#: By code, where the host says that it is the pooled endpoint already.
_POOLED: Final[dict[str, str]] = {
    "too-many-connections": (
        "This is the pooled URL, and its pooler has no free slot: start fewer workers and threads,"
        " close what is idle, or raise the limit of its clients; the plan may set it."
    ),
}


def after(failure: Failure, url: PostgresURL) -> str:
    """A sentence or two.

    Args:
        failure: what the server's words mean.
        url: that of the server, whose host tells the provider.
    """
    info = hosts.classify(url.host, url.port)
    if info.kind == "pooled" and failure.code in _POOLED:
        return _POOLED[failure.code]
    provider = info.provider or ""
    return _STEPS.get((provider, failure.code), failure.hint)
