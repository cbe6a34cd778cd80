"""One call of ``flask ppg``: the app's settings for a verb, and its errors for click."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any, Final, TextIO, cast

import click
from click.core import ParameterSource

from ppg_integrations import loaded
from ppg_integrations.cli import arguments, frontend
from ppg_integrations.cli.screen import Screen
from ppg_integrations.errors import PPGError
from ppg_integrations.layers import Layered
from ppg_integrations.pair import ConnectionPair

from . import nearest
from .cli import PROGRAM
from .loading import load

if TYPE_CHECKING:
    from flask import Flask

    from ppg_integrations.doctor import Diagnosis
    from ppg_integrations.problems import Problem

    from .state import State

#: Set by Flask for its own commands. A program that `run` starts may serve by `app.run()`, which
#: does nothing as long as this is there.
_OF_FLASK: Final = "FLASK_RUN_FROM_CLI"
#: The verbs that are about the pair in the ``.env`` file itself.
_OF_THE_FILE: Final = ("create", "rotate", "revoke")


class _Failure(click.ClickException):
    """An error of ours, printed as ``ppg-connect`` prints it; the error itself is its cause."""

    def __init__(self, error: PPGError, screen: Screen) -> None:
        super().__init__(str(error))
        self._error, self._screen = error, screen

    def show(self, file: IO[Any] | None = None) -> None:
        screen = (
            self._screen if file is None else Screen(cast("TextIO", file), cast("TextIO", file))
        )
        screen.error(self._error)


class _Misuse(_Failure):
    exit_code = 2


def perform(ctx: click.Context) -> int:
    """Runs the verb that was typed and prints its result.

    Returns:
        The exit status.

    Raises:
        click.ClickException: an error of ours, without ``--json``.
        SystemExit: 2 for wrong usage; 0 for a help text.
    """
    options = vars(arguments.parser(PROGRAM, with_shell=True).parse_args(ctx.args))
    screen = Screen(sys.stdout, sys.stderr, color=ctx.color)
    try:
        return frontend.guarded(screen, lambda: _perform(ctx, options, screen))
    except PPGError as error:
        kind = _Misuse if frontend.status_of(error) == _Misuse.exit_code else _Failure
        raise kind(error, screen) from error


def offered() -> Mapping[str, str]:
    """The verbs, and what each does."""
    parsers = arguments.add_verbs(ArgumentParser(PROGRAM), required=True, with_shell=True)
    return {name: parser.description or "" for name, parser in parsers.items()}


def _perform(ctx: click.Context, options: Mapping[str, Any], screen: Screen) -> int:
    app, state, error, failure, note = load(ctx)
    if error is None and state is not None:
        error = state.current.error
    untold = None if error is not None and frontend.refuses(options, error) else failure
    if untold and options["verb"] != "doctor":
        screen.warning(untold.message)
    elif note:
        screen.note(note)
    if options["verb"] in _OF_THE_FILE and not options.get("env_file"):
        _tell_of_files(ctx, options["verb"], state, screen)

    def found(diagnosis: Diagnosis) -> Iterator[Problem]:
        nonlocal untold
        if untold:
            yield untold
            untold = None
        if app is not None and state is not None:
            from .hazards import hazards

            yield from hazards(app, state, diagnosis)

    try:
        return frontend.perform(
            options,
            screen,
            program=PROGRAM,
            environ=_environ(options, state),
            env_file=state.env_file if state else nearest.env_file(None, os.environ),
            known_pair=_known(state),
            error=error,
            hazards=found,
            migrates=_migrates(app),
        )
    finally:
        if untold and options["verb"] == "doctor":  # which had nothing to put it into
            screen.warning(untold.message)


def _migrates(app: Flask | None) -> str:
    """The command that brings the app's tables into the database."""
    extension = None if app is None else app.extensions.get("migrate")
    if extension is None:
        return ""
    first = "" if os.path.isdir(extension.directory) else "flask db init, flask db migrate, and "
    return f"{first}flask db upgrade"


def _environ(options: Mapping[str, Any], state: State | None) -> Layered:
    """``app.config`` over the environment, without what Flask's command took from files.

    A variable that is the ``.env`` file's is no reason to tell the user to unset it, nor to hand it
    on to what ``run`` starts, which would not see the file change.
    """
    process = {name: value for name, value in os.environ.items() if name != _OF_FLASK}
    environ = Layered(state.environ.config if state else {}, process)
    files = [state.env_file if state else nearest.env_file(None, environ)]
    typed = options.get("env_file")
    if typed:
        # It is the pair of that file that is meant, and not what Flask found in the usual ones.
        from dotenv import find_dotenv

        files += [find_dotenv(name, usecwd=True) for name in (".env", ".flaskenv")]
        files.append(nearest.env_file(typed, environ))
    for path in files:
        environ = loaded.own(environ, path)
    return environ


def _tell_of_files(ctx: click.Context, verb: str, state: State | None, screen: Screen) -> None:
    """Says where the file that a verb changes may not be the one that the user thinks of."""
    given = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
    # Which file `flask --env-file` names, Flask keeps to itself.
    if ctx.parent is not None and ctx.parent.get_parameter_source("env_file") in given:
        screen.note(
            "flask --env-file only sets variables; the file that the verb reads and writes is "
            f"named by {PROGRAM} {verb} --env-file PATH"
        )
    elif state is not None and state.env_file is None:
        screen.note("the app reads no .env file: what this one writes, it needs to be given")


def _known(state: State | None) -> ConnectionPair | None:
    """The pair of the app; None where an API gave it, as the verbs ask that by themselves."""
    if state is None or state.current.error is not None:
        return None
    pair = state.current.pair
    return None if pair.pooled_source.kind in ("api", "provider") else pair
