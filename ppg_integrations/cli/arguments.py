"""The options of every verb, declared once for argparse; Django's parser is one of its kind."""

from __future__ import annotations

import argparse
from typing import Any, Final

# Every default is "not given": argparse lets the defaults of a verb's own parser overwrite what
# stood before the verb, as in `ppg_connect --provider local create`.
_NOT_GIVEN: Final = argparse.SUPPRESS


def add_verbs(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Adds the verbs and their options to a parser.

    Args:
        parser: the parser of the command.
        required: False makes ``create`` the verb where none is given, and so accepts its options
            without it.
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
    _verb(verbs, "doctor", "probe both endpoints: swapped? TLS? reachable? how fast?")
    run = _verb(verbs, "run", "run any tool on the direct endpoint: run -- pg_dump ...")
    run.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="-- CMD", help="the program and its arguments"
    )
    local = _verb(verbs, "local", "the embedded PostgreSQL and PgBouncer: start, stop, status")
    local.add_argument("action", choices=("start", "stop", "status"))


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
    group.add_argument("--name", default=_NOT_GIVEN, help="a name for the connection")
    group.add_argument("--region", default=_NOT_GIVEN, help="where to make what is missing")
    group.add_argument(
        "--create",
        dest="create_missing",
        action="store_true",
        default=_NOT_GIVEN,
        help="make the project, database or branch if it is missing",
    )
    group.add_argument(
        "--replace",
        action="store_true",
        default=_NOT_GIVEN,
        help="overwrite another provider's pair in the file",
    )
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
