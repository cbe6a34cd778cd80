"""Neon's operations: what a change still has to do after it was answered."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from ...errors import ProviderError
from ..printable import printable
from .rules import CONSOLE, NAME, TITLE

if TYPE_CHECKING:
    from ..api import API
    from ..fields import Fields
    from .projects import Project

#: Seconds between two questions. The API allows 700 requests a minute.
_EVERY: Final = 0.5
_DONE: Final = frozenset({"finished", "skipped"})
# "error" is not among them: Neon tries such an operation again by itself.
_FAILED: Final = frozenset({"failed", "cancelled"})
_RECENT: Final = 50


def wait(api: API, project: Project, answer: Fields, what: str) -> None:
    """Waits until everything that `answer` says is still to be done has been done.

    Args:
        what: what is waited for, as people read it.

    Raises:
        ProviderError: an operation failed.
        ProviderUnavailableError: the deadline passed first.
    """
    begun = answer.maybe_each("operations")
    _finish(api, project, [e.text("id") for e in begun if e.text("status") not in _DONE], what)


def wait_for_branch(api: API, project: Project, branch: str, what: str) -> None:
    """Waits for the operations of a branch, whoever began them; those that failed are past."""
    fields = api.get("projects", project.id, "operations", query={"limit": _RECENT}).fields
    running = [
        each.text("id")
        for each in fields.each("operations")
        if each.maybe_text("branch_id") == branch and each.text("status") not in _DONE | _FAILED
    ]
    _finish(api, project, running, what)


def _finish(api: API, project: Project, running: list[str], what: str) -> None:
    if running:
        api.until(partial(_poll, api, project, running, what), what=what, every=_EVERY)


def _poll(api: API, project: Project, running: list[str], what: str) -> bool | None:
    """Takes off the list what is done; true once it is empty."""
    while running:
        path = ("projects", project.id, "operations", running[0])
        fields = api.get(*path).fields.at("operation")
        status = fields.text("status")
        if status in _FAILED:
            # Its own "error" stays out: a failed statement may hold a password.
            action = printable(fields.maybe_text("action")) or "for it"
            raise ProviderError(
                f"{what}: {TITLE}'s operation {action} has {status} ({printable(running[0])})",
                hint=f"The console may say why: {CONSOLE}/app/projects/{project.id}",
                provider=NAME,
            )
        if status not in _DONE:
            return None
        running.pop(0)
    return True
