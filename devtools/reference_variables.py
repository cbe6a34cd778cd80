"""The page of the environment variables: a row for each that the package reads."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from ppg_integrations import names, serverless
from ppg_integrations.connect_settings import ConnectSettings
from ppg_integrations.flask import config
from ppg_integrations.providers import gitbranch, settings
from ppg_integrations.providers.http import trust
from ppg_integrations.providers.local import pgbouncer_binary, postgres_binaries
from ppg_integrations.providers.neon import making

from .docstrings import table

_PACKAGE: Final = Path(names.__file__).parent
_DEFAULTS: Final = ConnectSettings()


class Row(NamedTuple):
    """One variable, or several that win in the order in which they are named."""

    names: tuple[str, ...]
    meaning: str
    default: str = ""


GROUPS: Final[dict[str, tuple[Row, ...]]] = {
    "The pair": (
        Row(names.POOLED, "the pooled URL"),
        Row(names.DIRECT, "the direct URL", "derived where the host makes it certain"),
        Row(names.REPLICA, "the pooled URL of a read replica"),
        Row((names.ENV_FILE,), "path of the `.env` file, where no argument names one", "`.env`"),
        Row(
            (names.ALLOW_MISMATCH,),
            "what may differ between the halves: `user`, `database`, or both with a comma",
        ),
        Row((names.CONNECTION,), "which connection the URLs are; `create` writes it"),
        Row((names.CLAIM_URL,), "where a temporary database is claimed; `create` writes it"),
    ),
    "Connecting": (
        Row(
            (names.CONNECT_DEADLINE,),
            "seconds for opening one connection, all attempts together; 0 makes one attempt",
            f"{_DEFAULTS.connect_deadline:g}",
        ),
        Row(
            (names.ALIVE_WINDOW,),
            "seconds after its last use for which a connection counts as alive; 0 tests it before"
            " each use",
            f"{_DEFAULTS.alive_window:g}",
        ),
        Row(
            (names.SSLMODE,),
            "the least `sslmode` of URLs that lead to another machine: `require`, `verify-ca` or"
            " `verify-full`",
            "what the host demands",
        ),
        Row(
            (names.PREPARED,),
            "`1` has drivers prepare statements behind the pooler, which has to keep track of them",
            "off",
        ),
        Row((names.FORCE_DIRECT,), "`1` sends requests of this process to the direct URL", "off"),
        Row(
            (config.DRIVER,),
            "SQLAlchemy's driver: `psycopg`, `psycopg2` or `asyncpg` (Flask)",
            "the first that is installed",
        ),
        Row(
            (config.SERVERLESS,),
            "whether the process may be frozen between requests (Flask)",
            "by the platform's variables",
        ),
        Row(
            ("PGSSLROOTCERT", "SSL_CERT_FILE"),
            "file of the certificates that servers are verified by, where the URL names none",
            "the system's, else certifi's",
        ),
        Row(("PGSSLMODE",), "libpq's own `sslmode`, for URLs that have none"),
    ),
    "The provider": (
        Row(
            (names.PROVIDER,),
            "`prisma`, `neon`, `casedev` or `local`",
            "the one whose token is set",
        ),
        Row(("PRISMA_SERVICE_TOKEN", "PRISMA_API_TOKEN"), "token of Prisma's API"),
        Row(("NEON_API_KEY",), "token of Neon's API"),
        Row(("CASEDEV_API_KEY",), "token of case.dev's API"),
        Row((names.TARGET["project"], "NEON_PROJECT_ID"), "the project", "the only one"),
        Row((names.TARGET["database"], "NEON_DATABASE"), "the database", "the only one"),
        Row(
            (names.TARGET["branch"], "NEON_BRANCH", "NEON_BRANCH_ID"),
            "the branch; `auto` for that of git, `auto-or-default`",
            "the provider's default branch",
        ),
        Row((names.TARGET["role"], "NEON_ROLE"), "the role", "the owner of the database"),
        Row(("NEON_ORG_ID",), "the organization, for keys that see several"),
        Row(
            (making.BRANCH_TTL,),
            "seconds after which Neon deletes a branch that `create` made; at most 30 days",
            "never",
        ),
        Row(
            (names.RESOLVE,),
            "`auto` asks the API where no URL is set, `never` does not (image builds), `fresh`"
            " passes over the cache",
            "`auto`",
        ),
        Row(
            (names.GENERATE,),
            "`1` lets a process generate a credential, once on each machine",
            "off",
        ),
        Row((names.WITH_REPLICA,), "`1` asks the API for a read replica too", "off"),
        Row(
            (names.TIMEOUT,),
            "seconds for all the API work of one start or one verb",
            f"{settings.TIMEOUT:g}",
        ),
        Row(
            (names.API_URL, "PRISMA_API_URL", "NEON_API_HOST", "CASEDEV_BASE_URL"),
            "base of the API; the first for any provider",
            "the provider's own",
        ),
        Row(
            ("CREATE_DB_WORKER_URL", "CLAIM_DB_WORKER_URL"),
            "bases of the services of `create --temporary`: making, and claiming",
            "Prisma's own",
        ),
        Row(trust.VARIABLES, "certificates that APIs are verified by", "the system's"),
        Row(("HTTPS_PROXY", "ALL_PROXY"), "a proxy for APIs; `NO_PROXY` names exceptions"),
    ),
    "The embedded servers and tests": (
        Row(
            (names.TEST_PROVIDER,),
            "`local` runs a test suite on the embedded PostgreSQL",
            "the direct URL's server",
        ),
        Row((postgres_binaries.VARIABLE,), "folder of PostgreSQL's programs", "found"),
        Row((pgbouncer_binary.VARIABLE,), "path of PgBouncer", "found, or fetched"),
        Row((pgbouncer_binary.FETCH,), "`0` forbids to fetch PgBouncer", "`1`"),
    ),
    "Folders and output": (
        Row(("XDG_CACHE_HOME",), "where answers of APIs and PgBouncer are kept", "`~/.cache`"),
        Row(("XDG_STATE_HOME",), "where unfinished work is noted", "`~/.local/state`"),
        Row(("NO_COLOR",), "set to anything: no colours on a terminal"),
    ),
}

_OURS: Final = re.compile(
    r"(?:PPG|PRISMA|NEON|CASEDEV|XDG)_[A-Z_]*[A-Z]|[A-Z_]+_WORKER_URL|[A-Z_]+_PROXY|NO_COLOR|DIRECT_URL"
    r"|PGSSLMODE|PGSSLROOTCERT|(?:DATABASE|POSTGRES|REPLICA)_[A-Z_]+|SSL_CERT_\w+|[A-Z]+_CA_BUNDLE"
)
#: What looks like one: `app.config`'s keys, and settings.
_NO_VARIABLES: Final = frozenset({config.BINDS, "PPG_DIRECT_COMMANDS"})


def described() -> set[str]:
    """The variables that the page has."""
    return {name for rows in GROUPS.values() for row in rows for name in row.names} | {"NO_PROXY"}


def mentioned() -> Iterator[tuple[str, str]]:
    """The variables whose names stand in the package's code as texts, each with a file."""
    for path in sorted(_PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for word in node.value.split() if len(node.value) < 400 else ():
                    if _OURS.fullmatch(word) and word not in _NO_VARIABLES:
                        yield word, str(path.relative_to(_PACKAGE))


def page() -> str:
    """The page.

    Raises:
        ValueError: the package reads a variable that has no row here.
    """
    missing = sorted({f"{name} ({path})" for name, path in mentioned() if name not in described()})
    if missing:
        raise ValueError(f"no row in devtools/reference_variables.py: {', '.join(missing)}")
    parts = [
        (
            "# Variables\n\nOptions and arguments win over the environment, the environment over"
            " the `.env` file. Names in one row mean the same; the first that is set wins. In"
            " Flask, `app.config` may hold each of them, and wins over the environment."
        )
    ]
    for title, rows in GROUPS.items():
        lines = [(_code(row.names), row.meaning, row.default) for row in rows]
        parts.append(f"## {title}\n\n{table(('variable', 'meaning', 'default'), lines)}")
    parts.append(
        "## What platforms set\n\nThese tell that a process may be frozen between requests, so that"
        " no connection is kept:\n\n"
        + table(
            ("variable", "platform"),
            [(f"`{name}`", title) for name, (title, _) in serverless.PLATFORMS.items()],
        )
    )
    parts.append(
        "`PPG_BRANCH=auto` looks for the branch in these, and asks git where none is set:\n\n"
        + table(
            ("variable", "platform"),
            [(f"`{row.variable}`", row.where) for row in gitbranch._ROWS],  # noqa: SLF001
        )
    )
    return "\n\n".join(parts)


def _code(variables: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in variables)
