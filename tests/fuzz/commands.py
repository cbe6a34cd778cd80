"""Command lines: whatever is typed, the exit status is 0, 1 or 2, and there is no traceback.

Verbs that only look are carried out, in an environment that holds a pair and no token; of the
others, which would start servers or ask providers, the command line is read and that is all.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import socket
import tempfile
from functools import cache
from pathlib import Path
from random import Random
from unittest import mock

from ppg_integrations.cli import frontend, main
from tests.fuzz.mutation import mutant

CANARY = "zQ7kX9wv"
_LOOKING = ("show", "list")
# The width is argparse's: it asks the terminal otherwise.
ENVIRON = {
    "DATABASE_URL": f"postgresql://u:{CANARY}@ep-a-1-pooler.us-east-2.aws.neon.tech/d?sslmode=require",
    "COLUMNS": "80",
    "PATH": "/nowhere",
}

SEEDS = [
    "create --provider neon --project shop --branch main --role app --json",
    "create --name web --region aws-eu-central-1 --create --replica --temporary --replace",
    "show --reveal --json --env-file .env",
    "show",
    "list --provider prisma --database main",
    "list --json",
    "rotate --grace 60 --in-place --force",
    "rotate --grace 0.5",
    "revoke con_1 --force",
    "doctor --json",
    "run --reveal -- pg_dump -Fc -f 'my shop.dump'",
    "local start",
    "local status --json",
    "--version",
    "--help",
    "",
]
TOKENS = [
    *"create show list rotate revoke doctor run local shell start stop status - -- --- = --= @".split(),
    *"--provider --project --branch --role --database --env-file --json --reveal --name --region".split(),
    *"--create --replica --temporary --replace --grace --in-place --force --help --version -h".split(),
    *"--p --re --js neon prisma casedev local auto 0 -1 1e400 nan inf 99999999999999999999 /dev/null / .. ~".split(),
    " ", "  ", "''", '"', "%s", "%(prog)s", "{}", "\\n", "--grace=", "--env-file=", "--provider=",
]  # fmt: skip


def texts(random: Random) -> str:
    return mutant(random, SEEDS, TOKENS)


@cache
def folder() -> tempfile.TemporaryDirectory[str]:
    """An empty project, and a cache, for as long as this process lives."""
    return tempfile.TemporaryDirectory()


def refused(*_: object) -> None:
    raise AssertionError("a connection was tried")


def check(text: str, *, thorough: bool = False) -> bool:
    """Whether the exit status was 0; what must not come of it is an AssertionError."""
    try:
        argv = shlex.split(text)
    except ValueError:
        argv = text.split()
    # What no shell can hand over.
    argv = [word.replace("\x00", "").encode(errors="replace").decode() for word in argv]
    perform = frontend.perform

    def looking(options: dict[str, object], *arguments: object, **more: object) -> int:
        return perform(options, *arguments, **more) if options["verb"] in _LOOKING else 0

    home, cache_home = Path(folder().name, "shop"), Path(folder().name, "cache")
    home.mkdir(exist_ok=True)
    out, err, here = io.StringIO(), io.StringIO(), Path.cwd()
    environ = {
        **ENVIRON,
        "HOME": str(home),
        "XDG_STATE_HOME": str(home),
        "XDG_CACHE_HOME": str(cache_home),
    }
    try:
        os.chdir(home)
        with (
            mock.patch.dict(os.environ, environ, clear=True),
            mock.patch.object(frontend, "perform", looking),
            mock.patch.object(socket.socket, "connect", refused),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                status = main(argv)
            except SystemExit as stop:  # argparse's, for help and wrong usage
                status = int(stop.code or 0)
    finally:
        os.chdir(here)
    said = out.getvalue() + err.getvalue()
    assert status in (0, 1, 2), status
    assert (status == 2) <= ("usage" in said or "hint" in said or bool(said)), (
        "it fails without a word"
    )
    assert "Traceback" not in said
    if not any(word.startswith("--re") for word in argv):  # argparse takes beginnings
        assert CANARY not in said, "a password shows"
    left = sorted(str(path.relative_to(home)) for path in home.rglob("*"))
    assert left == [], f"something was written: {left}"
    return status == 0
