"""case.dev's projects and branches."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from ...errors import ChoiceError
from ..printable import printable, word
from .rules import BY_HAND, CONSOLE, NAME, PROJECTS, TITLE, refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..api import API
    from ..fields import Fields

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")  # goes into paths


class Thing(NamedTuple):
    """A project or a branch."""

    id: str
    name: str
    status: str = ""
    created_at: str = ""
    default: bool = False

    @property
    def title(self) -> str:
        """Its name, for messages."""
        return printable(self.name)


def projects(api: API) -> list[Thing]:
    """Those that are not deleted."""
    found = [thing(each) for each in api.get(*PROJECTS).fields.each("projects")]
    return [each for each in found if each.status != "deleted"]


def branches(api: API, project: Thing) -> list[Thing]:
    """The branches of a project.

    Raises:
        ProviderError: the project is suspended.
    """
    if project.status == "suspended":
        raise refusal(
            f"{TITLE}'s project {project.title} ({project.id}) is suspended",
            hint=f"See {CONSOLE} for the reason.",
        )
    fields = api.get(*PROJECTS, project.id, "branches").fields
    return [thing(each) for each in fields.each("branches")]


def thing(fields: Fields) -> Thing:
    """A project or a branch, of an answer.

    Raises:
        ProviderError: it has no name, or an id that is none.
    """
    found = fields.text("id")
    if not _ID.fullmatch(found):
        raise refusal(
            f"{TITLE} answers with an id that has other characters than ids have",
            hint=f"Is this its API? {BY_HAND}",
        )
    return Thing(
        found,
        fields.text("name"),
        fields.maybe_text("status"),
        fields.maybe_text("createdAt"),
        fields.maybe_flag("isDefault"),
    )


def named(things: Sequence[Thing], wanted: str) -> list[Thing]:
    """The one with that id, else those with that name."""
    return [each for each in things if each.id == wanted] or [
        each for each in things if each.name == wanted
    ]


def only(
    things: Sequence[Thing], wanted: str, kind: str, program: str, project: Thing | None = None
) -> Thing:
    """The one that is `wanted`; where nothing is, the only one.

    Args:
        program: how the user calls us, for hints.
        project: which they belong to.

    Raises:
        ChoiceError: there are several.
        ProviderError: there is none.
    """
    found = named(things, wanted) if wanted else list(things)
    if len(found) == 1:
        return found[0]
    where = f" in the project {project.title}" if project else ""
    choices = tuple((each.id, each.title) for each in found or things)
    known = ", ".join(f"{each[1]} ({each[0]})" for each in choices[:20])
    if found:
        raise ChoiceError(
            f"{TITLE} has more than one {kind}{f' called {wanted}' if wanted else ''}{where}",
            option=kind,
            choices=choices,
            hint=f"Choose one with --{kind}: {known}.",
            provider=NAME,
        )
    missing = f"{kind} {wanted!r:.80}" if wanted else kind
    within = f"--project {project.id} " if project else ""
    raise refusal(
        f"{TITLE} has no {missing}{where} that this token may see",
        hint=(f"There are: {known}. " if known else "")
        + f"To make one: {program} create --create {within}--{kind} {word(wanted or 'NAME')}",
    )
