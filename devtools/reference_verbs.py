"""The page of the verbs: what argparse knows, and the documents of ``--json``."""

from __future__ import annotations

import argparse
import textwrap
from typing import Final

from ppg_integrations.cli import arguments

from .docstrings import table

#: What ``--json`` prints: dotted keys, ``[]`` for each of a list. A test
#: runs the verbs and compares.
_ENDPOINT: Final = ("host", "port", "source", "url")
_PAIR: Final = (
    "provider",
    *(f"pooled.{key}" for key in _ENDPOINT),
    *(f"direct.{key}" for key in _ENDPOINT),
    "env_file",
    "warnings[]",
)
_PROBED: Final = (
    *_ENDPOINT,
    "kind",
    "evidence",
    "tls",
    "server_version",
    "latency_ms",
    "prepared_statements",
    "database",
    "user",
    "in_recovery",
    "slots",
    "error",
)
_SERVER: Final = ("name", "version", "port", "pid")
JSON: Final[dict[str, tuple[str, ...]]] = {
    "create": (*_PAIR, "connection.id", "connection.name"),
    "show": _PAIR,
    "list": tuple(f"connections[].{key}" for key in ("id", "name", "created_at", "in_use")),
    "rotate": (*_PAIR, "connection.id", "connection.name"),
    "revoke": ("revoked",),
    "doctor": (
        *(f"pooled.{key}" for key in _PROBED),
        *(f"direct.{key}" for key in _PROBED),
        *(f"problems[].{key}" for key in ("id", "severity", "message", "hint")),
    ),
    "local start": (
        "running",
        *(f"postgres.{key}" for key in _SERVER),
        *(f"pooler.{key}" for key in _SERVER),
        "tls",
        "data",
        "notes[]",
    ),
    "local stop": ("running", "stopped"),
}
_MORE: Final = {
    "create": "`connection` has more of the provider's own, such as `claim_url`; with a read "
    "replica there is `replica`, as `pooled`.",
    "show": "With a read replica there is `replica`, as `pooled`; for a temporary database "
    "`claim_url`.",
    "doctor": "`direct` is null where it is not set, `problems` empty where there are none: "
    "[their ids](checks.md#what-doctor-finds).",
    "local start": "`local status` prints the same.",
}

_HEAD = """\
# Verbs

`python manage.py ppg_connect VERB` in Django, `flask ppg VERB` in Flask, `ppg-connect VERB` (or
`python -m ppg_integrations VERB`) anywhere. In Django `create` is the verb where none is given;
`shell` is Flask's alone, Django has `dbshell`.

## Exit status

| status | means |
|---|---|
| 0 | done |
| 1 | an error, on standard error (with `--json` on standard output); `doctor` has found one, or \
with `--strict` a warning |
| 2 | wrong usage: nothing was done |
| 130 | stopped by Ctrl-C; what was under way is noted, and finished by the next run |

`run` and `shell` end with the status of their program.

## Errors in JSON

With `--json` an error is `{"error": {"type": ..., "message": ..., "hint": ...}}`; the types are in
[errors](errors.md). Passwords are masked unless `--reveal` is given. Keys are added, and
never change their meaning.

## Options of each verb
"""


def parsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of each verb, those of every framework."""
    parser = argparse.ArgumentParser("ppg-connect")
    return dict(arguments.add_verbs(parser, required=True, with_shell=True))


def page() -> str:
    """The page."""
    found = parsers()
    common = _common(found)
    parts = [
        _HEAD + "\n" + _options([each for each in _actions(found["show"]) if _key(each) in common])
    ]
    for name, parser in found.items():
        parts.append(_verb(name, parser, common))
    return "\n\n".join(parts)


def _verb(name: str, parser: argparse.ArgumentParser, common: set[str]) -> str:
    own = [each for each in _actions(parser) if _key(each) not in common]
    # Options break at none of their blanks.
    words = [name, *(_usage(each).replace(" ", "\xa0") for each in own)]
    indent = " " * (len(name) + 1)
    usage = textwrap.fill(" ".join(words), 88, subsequent_indent=indent).replace("\xa0", " ")
    parts = [f"## {name}", f"{_sentence(parser.description or '')}", f"```text\n{usage}\n```"]
    told = [each for each in own if each.help]
    if told:
        parts.append(_options(told))
    for key in (each for each in JSON if each.split()[0] == name):
        what = f"`{key} --json`" if key != name else "`--json`"
        parts.append(f"{what} prints: {', '.join(f'`{each}`' for each in JSON[key])}.")
        if key in _MORE:
            parts.append(_MORE[key])
    return "\n\n".join(parts)


def _options(actions: list[argparse.Action]) -> str:
    return table(("option", "does"), [(f"`{_shown(each)}`", each.help or "") for each in actions])


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [
        each
        for each in parser._actions  # noqa: SLF001 - argparse has no other way to them
        if not isinstance(each, argparse._HelpAction)  # noqa: SLF001
    ]


def _common(found: dict[str, argparse.ArgumentParser]) -> set[str]:
    """What every verb takes."""
    return set.intersection(*({_key(each) for each in _actions(one)} for one in found.values()))


def _key(action: argparse.Action) -> str:
    return action.option_strings[0] if action.option_strings else action.dest


def _shown(action: argparse.Action) -> str:
    if not action.option_strings:
        return str(action.metavar or "|".join(map(str, action.choices or ())) or action.dest)
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    return f"{', '.join(action.option_strings)}{value}"


def _usage(action: argparse.Action) -> str:
    return _shown(action) if not action.option_strings else f"[{_shown(action)}]"


def _sentence(text: str) -> str:
    """With a capital and a full stop; ``run --`` and the like stay as they are."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?')) else '.'}"
