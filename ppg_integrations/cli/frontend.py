"""From parsed options to a verb, and from its result to what is printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from .. import names
from ..errors import EnvFileError, PPGError, UsageError
from ..pair import ConnectionPair
from ..problems import Problem
from ..resolve import DEFAULT_ENV_FILE
from ..verbs.context import Context
from . import render
from .screen import Screen


def perform(
    options: Mapping[str, Any],
    screen: Screen,
    *,
    program: str,
    environ: Mapping[str, str],
    env_file: str | None = None,
    known_pair: ConnectionPair | None = None,
    hazards: Callable[[], Iterable[Problem]] = tuple,
) -> int:
    """Runs one verb and prints its result.

    Args:
        options: what the parser of :mod:`.arguments` made of the command line.
        screen: where to print.
        program: how the user calls this, for the next command to type.
        environ: the process environment.
        env_file: the file that a framework's settings read, where no option names one.
        known_pair: the pair that a framework's settings have resolved.
        hazards: what ``doctor`` is to say of the framework's settings, besides the URLs.

    Returns:
        The exit status. With ``--json`` an error of ours is printed as a document and gives 1.

    Raises:
        PPGError: without ``--json``; the shell prints it in its own way.
    """
    as_json = options.get("json", False)
    try:
        return _perform(options, screen, program, environ, env_file, known_pair, hazards)
    except PPGError as error:
        if not as_json:
            raise
        screen.json({"error": render.error_json(error)})
        return status_of(error)
    finally:
        screen.quiet()


def status_of(error: PPGError) -> int:
    """The exit status that an error of ours stands for."""
    return 2 if isinstance(error, UsageError) else 1


def guarded(screen: Screen, call: Callable[[], int]) -> int:
    """Runs a verb for a shell: Ctrl-C is status 130, and a reader that has gone is no traceback."""
    try:
        status = call()
        screen.out.flush()  # here, where a reader that has gone is expected
    except BrokenPipeError:
        # What is left to say is for nobody; the interpreter flushes once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        screen.quiet()
        return 130
    return status


def _perform(
    options: Mapping[str, Any],
    screen: Screen,
    program: str,
    environ: Mapping[str, str],
    env_file: str | None,
    known_pair: ConnectionPair | None,
    hazards: Callable[[], Iterable[Problem]],
) -> int:
    given = options.get("env_file")
    path = given or env_file or environ.get(names.ENV_FILE) or DEFAULT_ENV_FILE
    try:
        path = Path(path).absolute()
    except FileNotFoundError:
        raise EnvFileError(
            "the current folder has been deleted", hint="Change to one that exists."
        ) from None
    context = Context(
        env_file=path,
        provider=options.get("provider"),
        project=options.get("project") or environ.get("PPG_PROJECT"),
        database=options.get("database") or environ.get("PPG_DATABASE"),
        branch=options.get("branch") or environ.get("PPG_BRANCH"),
        role=options.get("role") or environ.get("PPG_ROLE"),
        name=options.get("name"),
        region=options.get("region"),
        create_missing=options.get("create_missing", False),
        environ=environ,
        known_pair=None if given else known_pair,
        progress=screen.progress,
    )
    as_json = options.get("json", False)
    reveal = options.get("reveal", False)
    if reveal and not as_json and not screen.terminal:
        raise UsageError(
            "--reveal prints passwords, and standard output is not a terminal",
            hint="Add --json if they are meant to go into a pipe or a file.",
        )
    verb = options.get("verb") or "create"
    if verb == "create":
        return _create(context, options, screen, program)
    if verb == "show":
        from ..verbs.show import pair_json, show

        pair = show(context)
        _warn(screen, pair)
        if as_json:
            screen.json(pair_json(pair, reveal=reveal))
        else:
            render.pair(screen, pair, reveal=reveal)
        return 0
    if verb == "doctor":
        from ..verbs.diagnose import diagnose

        diagnosis = diagnose(context).with_problems(hazards())
        _warn(screen, diagnosis.pair)
        if as_json:
            screen.json(diagnosis.as_json(reveal=reveal))
        else:
            render.diagnosis(screen, diagnosis)
        return 1 if diagnosis.failed else 0
    if verb == "run":
        from ..verbs.run import run

        command = list(options.get("command") or [])
        if as_json:
            raise UsageError("run prints what the program prints: it takes no --json")
        return run(context, command[1:] if command[:1] == ["--"] else command)
    return _local(context, options["action"], screen, as_json=as_json)


def _create(context: Context, options: Mapping[str, Any], screen: Screen, program: str) -> int:
    from .. import gitguard
    from ..verbs.create import create

    allow_tracked = options.get("allow_tracked", False)
    if options.get("gitignore", False) or (
        not (allow_tracked or options.get("json", False))
        and screen.interactive
        and gitguard.standing(context.env_file).state == "untracked"
        and screen.ask(f"git would track {context.env_file}. Add it to .gitignore?")
    ):
        gitguard.ignore(context.env_file)
    created = create(
        context,
        allow_tracked=allow_tracked,
        replace=options.get("replace", False),
    )
    reveal = options.get("reveal", False)
    for note in created.notes:
        screen.warning(note)
    if options.get("json", False):
        screen.json(created.as_json(reveal=reveal))
    else:
        render.created(screen, created, program, reveal=reveal)
    return 0


def _local(context: Context, action: str, screen: Screen, *, as_json: bool) -> int:
    from ..verbs import local

    if action == "stop":
        stopped = local.stop(context)
        if as_json:
            screen.json({"running": False, "stopped": stopped})
        else:
            screen.line("stopped" if stopped else "nothing was running")
        return 0
    changes: tuple[str, ...] = ()
    if action == "start":
        status, changes = local.start(context)
    else:
        status = local.status(context)
    for note in (*status.notes, *changes):
        screen.warning(note)
    if as_json:
        screen.json(local.as_json(status))
    else:
        render.local(screen, status)
    return 0


def _warn(screen: Screen, pair: ConnectionPair) -> None:
    for text in pair.warnings:
        screen.warning(text)
