"""One call of a verb: what each does with its options, and how its result is printed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..errors import UsageError
from ..pair import ConnectionPair
from ..problems import Problem
from ..verbs import pending
from ..verbs.context import Context
from ..verbs.handover import Stored
from . import render
from .screen import Screen, plain

if TYPE_CHECKING:
    from ..doctor import Diagnosis

    #: What a framework's settings show to be wrong, told what the servers have said.
    Hazards = Callable[[Diagnosis], Iterable[Problem]]


def none(_: Diagnosis) -> Iterable[Problem]:
    """The hazards of no framework."""
    return ()


@dataclass(frozen=True)
class Call:
    """What a verb is called with.

    Attributes:
        options: what the parser made of the command line.
        screen: where to print.
        context: the settings of the verb.
        hazards: what ``doctor`` is to say of the framework's settings, besides the URLs.
        migrates: the framework's command to migrate with, for who has just made a pair.
    """

    options: Mapping[str, Any]
    screen: Screen
    context: Context
    hazards: Hazards = none
    migrates: str = ""

    @property
    def json(self) -> bool:
        """Print one JSON document."""
        return bool(self.options.get("json", False))

    @property
    def reveal(self) -> bool:
        """Print secrets."""
        return bool(self.options.get("reveal", False))

    @property
    def interactive(self) -> bool:
        """Somebody can be asked."""
        return self.screen.interactive and not self.json

    def flag(self, name: str) -> bool:
        """Whether an option without a value was given."""
        return bool(self.options.get(name, False))

    def warn(self, pair: ConnectionPair) -> None:
        """Says what is wrong with a pair."""
        for text in pair.warnings:
            self.screen.warning(text)


def _create(call: Call) -> int:
    from ..verbs.create import create

    _gitignore(call)
    stored = create(
        call.context, allow_tracked=call.flag("allow_tracked"), replace=call.flag("replace")
    )
    return _stored(call, stored)


def _rotate(call: Call) -> int:
    from ..verbs.rotate import rotate

    def confirm(costs: str) -> None:
        if not call.screen.ask(f"{costs} Go on?"):
            raise UsageError("nothing was rotated")

    early: Stored | None = None

    def in_use_now(stored: Stored) -> None:
        nonlocal early
        early = stored
        if not call.json:  # whose one document has the notes of the end, too
            _stored(call, stored)

    _gitignore(call)
    try:
        stored = rotate(
            call.context,
            grace=call.options.get("grace"),
            in_place=call.flag("in_place"),
            allow_tracked=call.flag("allow_tracked"),
            confirm=confirm if call.interactive else None,
            in_use_now=in_use_now,
        )
    except KeyboardInterrupt:
        if call.json and early is not None:  # the rotation has happened
            _stored(call, early)
        raise
    return _stored(call, stored) if call.json or early is None else 0


def _gitignore(call: Call) -> None:
    from .. import gitguard

    path = call.context.env_file
    if call.flag("gitignore") or (
        call.interactive
        and not call.flag("allow_tracked")
        and gitguard.standing(path).state == "untracked"
        and call.screen.ask(f"git would track {path}. Add it to .gitignore?")
    ):
        gitguard.ignore(path)


def _stored(call: Call, stored: Stored) -> int:
    if call.json:
        call.screen.json(stored.as_json(reveal=call.reveal))
    else:
        context = call.context
        # Of the framework's own file: another one's pair is not what its `migrate` changes.
        migrates = "" if context.file_option else call.migrates
        follows = migrates if migrates and not stored.owns_nothing else context.command("doctor")
        render.stored(call.screen, stored, follows, reveal=call.reveal)
    return 0


def _show(call: Call) -> int:
    from ..verbs.show import claim_url, pair_json, show

    pending.told(call.context)
    pair = show(call.context)
    call.warn(pair)
    claim = claim_url(call.context, pair)
    if call.json:
        document = pair_json(pair, reveal=call.reveal)
        call.screen.json({**document, "claim_url": claim} if claim else document)
    else:
        render.pair(call.screen, pair, claim, reveal=call.reveal)
    return 0


def _list(call: Call) -> int:
    from ..verbs.connections import as_json, connections

    pending.told(call.context)
    listed = connections(call.context)
    if call.json:
        call.screen.json(as_json(listed))
    else:
        render.connections(call.screen, listed, call.context.command("create"))
    return 0


def _revoke(call: Call) -> int:
    from ..verbs.revoke import revoke

    id = call.options["id"]  # noqa: A001

    def confirm(title: str) -> None:
        if not call.screen.ask(f"Revoke {plain(title)} for good?", default=False):
            raise UsageError("nothing was revoked")

    notes = revoke(
        call.context,
        id,
        force=call.flag("force"),
        confirm=confirm if call.interactive else None,
    )
    for note in notes:
        call.screen.note(note)
    if call.json:
        call.screen.json({"revoked": id})
    else:
        call.screen.line(f"revoked {id}")
    return 0


def _doctor(call: Call) -> int:
    from ..verbs.diagnose import diagnose

    pending.told(call.context)
    diagnosis = diagnose(call.context)
    diagnosis = diagnosis.with_problems(call.hazards(diagnosis))
    call.warn(diagnosis.pair)
    if call.json:
        call.screen.json(diagnosis.as_json(reveal=call.reveal))
    else:
        render.diagnosis(call.screen, diagnosis)
    found = {each.severity for each in diagnosis.problems}
    warned = "warning" in found or bool(diagnosis.pair.warnings)
    return 1 if "error" in found or (warned and call.flag("strict")) else 0


def _run(call: Call) -> int:
    from ..verbs.run import run

    verb = call.options["verb"]
    if call.json:
        raise UsageError(f"{verb} prints what the program prints: it takes no --json")
    pending.told(call.context)
    typed = list(call.options.get("command") or [])
    command = typed[1:] if typed[:1] == ["--"] else typed
    return run(call.context, ["psql", *command] if verb == "shell" else command)


def _local(call: Call) -> int:
    from ..verbs import local

    pending.told(call.context)
    screen, action = call.screen, call.options["action"]
    if action == "stop":
        stopped = local.stop(call.context)
        if call.json:
            screen.json({"running": False, "stopped": stopped})
        else:
            screen.line("stopped" if stopped else "nothing was running")
        return 0
    changes: tuple[str, ...] = ()
    if action == "start":
        status, changes = local.start(call.context)
    else:
        status = local.status(call.context)
    for note in (*status.notes, *changes):
        screen.warning(note)
    if call.json:
        screen.json(local.as_json(status))
    else:
        render.local(screen, status)
    return 0


#: Each gives the exit status.
VERBS: Final[Mapping[str, Callable[[Call], int]]] = {
    "create": _create,
    "show": _show,
    "list": _list,
    "rotate": _rotate,
    "revoke": _revoke,
    "doctor": _doctor,
    "run": _run,
    "shell": _run,
    "local": _local,
}
