"""The pages of settings, checks and errors: signatures, docstrings and tables of the package."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import ppg_integrations
from ppg_integrations import errors, failures, problems
from ppg_integrations.cli import frontend
from ppg_integrations.django import commands, findings, settings
from ppg_integrations.flask import config
from ppg_integrations.flask import findings as of_flask
from ppg_integrations.flask.extension import PPG
from ppg_integrations.flask.state import State

from .docstrings import entries, summary, table

_LEVELS: Final = {"E": "error", "W": "warning", "I": "info"}
#: Of checks whose words come from an error: when there is one.
_WHEN: Final = {
    "ppg.E001": "there is no pair, or no direct URL, and the alias was named (`--database`)",
    "ppg.W009": "an installed app is known to need a session of its own",
    "ppg.W010": "something was put right, such as a pair that was swapped",
    "ppg.W013": "there is no pair; settings import, and the first connect fails",
    "ppg.I001": "there is no direct URL; requests run, and direct commands say what to set",
}


def settings_page() -> str:
    """``databases()``, Django's settings, ``PPG()``, ``app.config`` and engine options."""
    parts = [
        (
            "# Settings\n\nWhat can be given in code. The environment has most of it too:"
            " [variables](variables.md)."
        ),
        "## Django: `databases()`",
        summary(settings.databases),
        _arguments(settings.databases),
        "### Django's own settings",
        table(
            ("setting", "meaning"),
            [
                (
                    "`PPG_DIRECT_COMMANDS`",
                    summary(commands.named_commands).partition(": ")[2],
                )
            ],
        ),
        "## Flask: `PPG()`",
        summary(PPG.__init__),
        _arguments(PPG.__init__),
        "### `app.config`",
        (
            "Each [variable](variables.md) that this package reads may stand in `app.config`, and"
            " wins over the environment; None means unset. Besides: "
            f"`{config.BINDS}`, a mapping as `binds` above. What PPG sets, where the app has not: "
            "`SQLALCHEMY_DATABASE_URI`, `SQLALCHEMY_ENGINE_OPTIONS` and `SQLALCHEMY_BINDS`."
        ),
        "## Engine options",
        "`PPG.engine_options()`, `create_engine()`, `create_async_engine()`.",
        summary(State.engine_options),
        _arguments(State.engine_options),
    ]
    return "\n\n".join(parts)


def checks_page() -> str:
    """Django's system checks, and what ``doctor`` finds."""
    rows: list[tuple[str, ...]] = []
    for name, row in findings.TABLE.items():
        dynamic = row.text == "{text}"
        rows.append(
            (
                f"`{name}`",
                _LEVELS[name[4]],
                _WHEN[name] if dynamic else _filled(row.text),
                "" if row.hint == "{hint}" else _filled(row.hint),
            )
        )
    found = [
        (f"`{name}`", check, _filled(row.message), _filled(row.hint))
        for name, row, check in _problems()
    ]
    return "\n\n".join(
        [
            "# Checks",
            (
                "`manage.py check` runs the first table's and connects to nothing; with"
                " `--database default --database direct` it asks the live servers for the second's"
                " as well. `SILENCED_SYSTEM_CHECKS` takes the ids. Words in capitals are filled in."
            ),
            "## What `manage.py check` finds in settings",
            table(("id", "level", "message", "hint"), rows),
            "### Apps that need a session",
            table(
                ("app", "why (`ppg.W009`)", "instead"),
                [(f"`{app}`", why, hint) for app, (why, hint) in findings.SESSION_APPS.items()],
            ),
            "## What `doctor` finds",
            (
                "The ids of `doctor`, in Django, Flask and `ppg-connect`. An `error` makes it fail."
                " `manage.py check --database` reports those with an id of a check; its letter is"
                " the severity: Error, Warning, Info."
            ),
            table(("id", "check", "message", "hint"), found),
        ]
    )


def _problems() -> Iterator[tuple[str, problems.Row, str]]:
    for name, row in problems.TABLE.items():
        number = findings.PROBLEMS.get(name)
        assert number is not None, name
        others = [f"{_check(other, number)} {when}" for other, when in row.unless.items()]
        yield name, row, "; ".join([_check(row.severity, number), *others])
    for name, row in of_flask.TABLE.items():
        yield name, row, f"{row.severity} (Flask)"


def _check(severity: str, number: int) -> str:
    return f"`ppg.{severity[0].upper()}{number}`"


def leaves() -> list[type[errors.PPGError]]:
    """Every error class of the package, bases before what is made of them."""
    for each in pkgutil.walk_packages(ppg_integrations.__path__, "ppg_integrations."):
        # Those two are for Django alone, once it is set up; `__main__` runs.
        if not any(part in each.name for part in (".unconfigured", ".management", "__main__")):
            importlib.import_module(each.name)

    def below(kind: type[errors.PPGError]) -> Iterator[type[errors.PPGError]]:
        yield kind
        for each in kind.__subclasses__():
            yield from below(each)

    return list(dict.fromkeys(below(errors.PPGError)))


def errors_page() -> str:
    """Every error, and the codes of connect errors."""
    rows = []
    for kind in leaves():
        base = kind.__bases__[0].__name__
        rows.append(
            (
                f"`{kind.__name__}`",
                "" if kind is errors.PPGError else f"`{base}`",
                summary(kind) + ("" if _is_public(kind) else f" In `{kind.__module__}`."),
                ", ".join(f"`{each.name}`" for each in entries(kind, "Attributes")),
                str(frontend.status_of(_blank(kind))),
            )
        )
    codes: dict[str, failures.Failure] = {}
    for row in failures.FAILURES:
        codes.setdefault(row.code, row)
    return "\n\n".join(
        [
            "# Errors",
            (
                "Every error that this package raises on purpose is a `PPGError`: `message` says"
                " what was wrong and where the value came from, `hint` what to do next. Neither"
                " holds a secret. All are in `ppg_integrations`, where nothing else is said; `exit`"
                " is the status of a verb that ends with it."
            ),
            table(("error", "is a", "means", "has", "exit"), rows),
            "## As frameworks see them",
            table(
                ("where", "is raised as"),
                [
                    ("Django, settings", "`ImproperlyConfigured`; the error is its cause"),
                    (
                        "Django, an alias without a URL is used",
                        "`ImproperlyConfigured`, and `OperationalError`; the error is its cause",
                    ),
                    (
                        "Django, a direct command and `manage.py ppg_connect`",
                        "`CommandError`; the error is its cause",
                    ),
                    ("Flask, `init_app`", "itself"),
                    ("SQLAlchemy, there is no pair", "itself, at the first connect"),
                    ("`flask ppg`", "`click.ClickException`; the error is its cause"),
                    (
                        "Django and SQLAlchemy, a server refuses or is away",
                        (
                            "their own `OperationalError`, as without this package; its text says"
                            " where the URL came from, and what to do"
                        ),
                    ),
                ],
            ),
            "`PPGWarning` is a `UserWarning`: " + summary(errors.PPGWarning),
            "## Codes of `ConnectError`",
            (
                "`ConnectError.code`, and `error.code` of `doctor --json`. Empty for a text that is"
                " not known."
            ),
            table(
                ("code", "hint"), [(f"`{code}`", _filled(row.hint)) for code, row in codes.items()]
            ),
        ]
    )


def _is_public(kind: type) -> bool:
    return kind.__name__ in ppg_integrations.__all__


def _blank(kind: type[errors.PPGError]) -> errors.PPGError:
    return kind.__new__(kind)


def _filled(text: str) -> str:
    """A template with its fields in capitals, for a Markdown table."""
    doubled = text.replace("{{", "\x00").replace("}}", "\x01")
    named = re.sub(r"\{(\w+)(?:![rs])?(?::[^}]*)?\}", lambda each: each[1].upper(), doubled)
    return named.replace("\x00", "{").replace("\x01", "}").replace("*", "\\*").replace("<", "&lt;")


def _arguments(function: Callable[..., Any]) -> str:
    """A table of the arguments: name, default, meaning.

    Raises:
        ValueError: one is not in the docstring.
    """
    parameters = {
        name: each
        for name, each in inspect.signature(function).parameters.items()
        if name != "self"
    }
    rows: list[tuple[str, ...]] = []
    told = entries(function, "Args")
    for entry in told:
        names = entry.name.split(", ")
        given = [parameters[name].default for name in names if name in parameters]
        defaults = dict.fromkeys(
            f"`{each!r}`" for each in given if each is not inspect.Parameter.empty
        )
        rows.append((", ".join(f"`{name}`" for name in names), ", ".join(defaults), entry.text))
    missing = parameters.keys() - {name for entry in told for name in entry.name.split(", ")}
    if missing:
        raise ValueError(f"{function.__qualname__} says nothing of {', '.join(sorted(missing))}")
    parts = [table(("argument", "default", "meaning"), rows)]
    raised = entries(function, "Raises")
    if raised:
        parts.append(
            "Raises "
            + "; ".join(f"`{each.name}`: {each.text.rstrip('.')}" for each in raised)
            + "."
        )
    return "\n\n".join(parts)
