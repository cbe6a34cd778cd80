"""The options of every verb, declared once for argparse; Django's parser is one of its kind."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, Final

# Every default is "not given": argparse lets the defaults of a verb's own parser overwrite what
# stood before the verb, as in `ppg_connect --provider local create`.
_NOT_GIVEN: Final = argparse.SUPPRESS
#: Seconds, a day: who waits for longer had better come back.
_LONGEST: Final = 86_400.0
_NAME: Final = "how the name of the {} begins; the host and a random part follow"


def parser(program: str, *, with_shell: bool = False) -> argparse.ArgumentParser:
    """The parser of a command that has nothing but the verbs.

    Args:
        program: how the user calls it.
        with_shell: as in :func:`add_verbs`.
    """
    from .. import __version__

    made = argparse.ArgumentParser(
        prog=program,
        description="Generate, prove and use the pooled and the direct connection of a database.",
    )
    made.add_argument("--version", action="version", version=f"{program} {__version__}")
    add_verbs(made, required=True, with_shell=with_shell)
    return made


def add_verbs(
    parser: argparse.ArgumentParser, *, required: bool, with_shell: bool = False
) -> Mapping[str, argparse.ArgumentParser]:
    """Adds the verbs and their options to a parser.

    Args:
        parser: the parser of the command.
        required: False makes ``create`` the verb where none is given, and so accepts its options
            without it.
        with_shell: ``shell``, too. Django has its ``dbshell``.

    Returns:
        The parser of each verb.
    """
    if not required:
        _common(parser)
        _create(parser)
    verbs = parser.add_subparsers(
        dest="verb", metavar="VERB", required=required, title="verbs", help=None
    )
    create = _verb(verbs, "create", "generate a connection, prove it, write the pair to .env")
    _create(create)
    _verb(verbs, "show", "the pair in use, redacted, and where each half came from")
    _verb(verbs, "list", "the provider's connections, and which one is in use")
    _rotate(_verb(verbs, "rotate", "a new connection, proved and stored before the old one ends"))
    revoke = _verb(verbs, "revoke", "end a connection for good; not the one in use")
    revoke.add_argument("id", metavar="ID", help="the connection's id, as list shows it")
    revoke.add_argument(
        "--force", action="store_true", default=_NOT_GIVEN, help="even if it is in use"
    )
    doctor = _verb(verbs, "doctor", "probe both endpoints: swapped? TLS? reachable? how fast?")
    doctor.add_argument(
        "--strict", action="store_true", default=_NOT_GIVEN, help="exit with 1 on warnings, too"
    )
    run = _verb(verbs, "run", "run any tool on the direct endpoint: run -- pg_dump ...")
    run.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="-- CMD", help="the program and its arguments"
    )
    if with_shell:
        psql = _verb(verbs, "shell", "psql on the direct endpoint: shell -- -c 'SELECT 1'")
        psql.add_argument(
            "command", nargs=argparse.REMAINDER, metavar="-- ARGS", help="arguments of psql"
        )
    local = _verb(verbs, "local", "the embedded PostgreSQL and PgBouncer: start, stop, status")
    local.add_argument("action", choices=("start", "stop", "status"))
    choices: Mapping[str, argparse.ArgumentParser] = verbs.choices
    return choices


def _verb(verbs: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    _common(parser)
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which database")
    for name, text in (
        ("provider", "prisma, neon, casedev or local"),
        ("project", "the provider's project"),
        ("database", "the database"),
        ("branch", "the branch"),
        ("role", "the role"),
    ):
        group.add_argument(
            f"--{name}",
            default=_NOT_GIVEN,
            metavar=name.upper(),
            help=f"{text}; else PPG_{name.upper()}",
        )
    group.add_argument(
        "--env-file", default=_NOT_GIVEN, metavar="PATH", help="read and write this file (.env)"
    )
    parser.add_argument(
        "--json", action="store_true", default=_NOT_GIVEN, help="print one JSON document"
    )
    parser.add_argument(
        "--reveal",
        action="store_true",
        default=_NOT_GIVEN,
        help="show passwords, on a terminal or with --json",
    )


def _create(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("create")
    group.add_argument("--name", default=_NOT_GIVEN, help=_NAME.format("connection"))
    group.add_argument("--region", default=_NOT_GIVEN, help="where to make what is missing")
    for name, text in (
        ("create", "make the project, database, branch or role if it is missing"),
        ("replica", "write the URL of a read replica too"),
        ("temporary", "a temporary Prisma database, for which no account is needed"),
        ("replace", "overwrite another provider's pair in the file; with --temporary, any pair"),
    ):
        group.add_argument(
            f"--{name}",
            dest="create_missing" if name == "create" else name,
            action="store_true",
            default=_NOT_GIVEN,
            help=text,
        )
    _writing(group)


def _rotate(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("rotate")
    group.add_argument("--name", default=_NOT_GIVEN, help=_NAME.format("new connection"))
    group.add_argument(
        "--grace",
        type=_seconds,
        default=_NOT_GIVEN,
        metavar="SECONDS",
        help=f"how long the old connection lives on: 0 (not at all) to {_LONGEST:.0f} (a day); by "
        "default until no connection uses it, an hour at most. The command waits for it",
    )
    group.add_argument(
        "--in-place",
        action="store_true",
        default=_NOT_GIVEN,
        help="by the provider's own rotation, which ends the old secret at once",
    )
    _writing(group)


def _writing(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--gitignore",
        action="store_true",
        default=_NOT_GIVEN,
        help="add the file to .gitignore first",
    )
    group.add_argument(
        "--allow-tracked",
        action="store_true",
        default=_NOT_GIVEN,
        help="write secrets even into a file that git tracks",
    )


def _seconds(text: str) -> float:
    """A length of time; what is none is wrong usage."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _LONGEST:
        raise argparse.ArgumentTypeError(
            f"a number of seconds from 0 to {_LONGEST:.0f} (a day), not {text!r}"
        )
    return seconds
