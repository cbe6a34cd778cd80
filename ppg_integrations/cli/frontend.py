"""From parsed options to a verb, and from its result to what is printed."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .. import encryption, names, providers
from ..connect_settings import ConnectSettings
from ..errors import (
    ChoiceError,
    ConfigurationError,
    EnvFileError,
    MissingURLError,
    PPGError,
    UsageError,
)
from ..journal import Journal
from ..pair import ConnectionPair
from ..places import DEFAULT_ENV_FILE
from ..secret import MaskedMapping
from ..verbs import sentences
from ..verbs.context import Context
from . import render
from .call import VERBS, Call, none
from .screen import Screen, plain

if TYPE_CHECKING:
    from .call import Hazards

#: The verbs for which a framework's settings are what counts, whatever the variables say.
_OF_THE_SETTINGS: Final = ("show", "doctor", "run", "shell")
#: The options that a verb's context has under the same names.
_OPTIONS: Final = (
    "provider",
    "project",
    "database",
    "branch",
    "role",
    "name",
    "region",
    "create_missing",
    "replica",
    "temporary",
)


def perform(
    options: Mapping[str, Any],
    screen: Screen,
    *,
    program: str,
    environ: Mapping[str, str],
    env_file: str | None = None,
    known_pair: ConnectionPair | None = None,
    error: PPGError | None = None,
    hazards: Hazards = none,
    migrates: str = "",
) -> int:
    """Runs one verb and prints its result.

    Args:
        options: what the parser of :mod:`.arguments` made of the command line.
        screen: where to print.
        program: how the user calls this, for the next command to type.
        environ: the process environment.
        env_file: the file that a framework's settings read, where no option names one.
        known_pair: the pair that a framework's settings have resolved.
        error: why they gave none.
        hazards: what ``doctor`` is to say of the framework's settings, besides the URLs.
        migrates: the framework's command to migrate with, for who has just made a pair.

    Returns:
        The exit status. With ``--json`` an error of ours is printed as a document and gives 1.

    Raises:
        PPGError: without ``--json``; the shell prints it in its own way.
    """
    environ = MaskedMapping.of(environ)
    try:
        context = _context(options, screen, program, environ, env_file)
        if error is not None and refuses(options, error):
            raise error
        if not options.get("env_file"):
            context = replace(context, known_pair=known_pair)
        sslmode = ConnectSettings.of(environ).sslmode
        with encryption.at_least(sslmode), _telling_what_is_pending(context, screen):
            return _checked(Call(options, screen, context, hazards, migrates))
    except PPGError as failure:
        if not options.get("json", False):
            raise
        screen.json({"error": render.error_json(failure)})
        return status_of(failure)
    finally:
        screen.quiet()


def refuses(options: Mapping[str, Any], error: PPGError) -> bool:
    """Whether an error of a framework's settings is that of the verb.

    Of a missing URL the verbs say more themselves. Any other error may come from an argument in the
    settings, which they do not see; the verbs that change something may mend it.
    """
    return (
        not isinstance(error, MissingURLError)
        and options.get("verb") in _OF_THE_SETTINGS
        and not options.get("env_file")
    )


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


@contextlib.contextmanager
def _telling_what_is_pending(context: Context, screen: Screen) -> Iterator[None]:
    """Says after Ctrl-C that nothing is lost, where something is under way."""
    try:
        yield
    except KeyboardInterrupt:
        screen.quiet()
        with contextlib.suppress(PPGError):  # no time for what is wrong with the journal
            if more := sentences.interrupted(Journal(context.env_file)):
                print(f"interrupted; {more}", file=screen.err)
        raise


def _context(
    options: Mapping[str, Any],
    screen: Screen,
    program: str,
    environ: Mapping[str, str],
    env_file: str | None,
) -> Context:
    usual = env_file or environ.get(names.ENV_FILE) or DEFAULT_ENV_FILE
    typed = options.get("env_file") or ""
    try:
        path = Path(typed or usual).absolute()
        is_usual = path == Path(usual).absolute()
    except FileNotFoundError:
        raise EnvFileError(
            "the current folder has been deleted", hint="Change to one that exists."
        ) from None
    given = {name: options[name] for name in _OPTIONS if name in options}
    try:
        providers.check(given.get("provider"))
    except ConfigurationError as error:
        raise UsageError(error.message, hint=error.hint) from None
    return Context(
        env_file=path,
        program=program,
        file_option="" if is_usual else f" --env-file {shlex.quote(typed)}",
        file_named=bool(typed),
        environ=environ,
        progress=screen.progress,
        report=screen.note,
        **given,
    )


def _checked(call: Call) -> int:
    if call.reveal and not call.json and not call.screen.terminal:
        raise UsageError(
            "--reveal prints passwords, and standard output is not a terminal",
            hint="Add --json if they are meant to go into a pipe or a file.",
        )
    return _answered(call, frozenset())


def _answered(call: Call, asked: frozenset[str]) -> int:
    """Runs the verb; where it finds several things to choose from, the user is asked."""
    try:
        return VERBS[call.options.get("verb") or "create"](call)
    except ChoiceError as error:
        found, chosen = error, None
    if call.interactive and found.option in _OPTIONS and found.option not in asked:
        chosen = call.screen.choose(f"{found.message}:", found.choices)
    if chosen is None:
        raise _listing(found)
    answer: dict[str, Any] = {found.option: chosen}
    again = replace(call, context=replace(call.context, **answer))
    return _answered(again, asked | {found.option})


def _listing(error: ChoiceError) -> ChoiceError:
    """The same error, with the choices in its hint."""
    lines = [f"{plain(id)}  {plain(name)}".rstrip() for id, name in error.choices]  # noqa: A001
    if error.choices:
        lines.append(f"Say which: --{error.option} {plain(error.choices[0][0])}")
    return ChoiceError(
        error.message,
        option=error.option,
        choices=error.choices,
        hint="\n".join(lines) or error.hint,
        provider=error.provider,
    )
