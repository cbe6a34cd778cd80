"""What became of a request to Neon whose answer was lost: everything that it makes can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import ProviderError
from ..base import Settled, Target
from ..printable import printable, word
from . import branches, operations, projects, uris
from .rules import NAME, TITLE, TOKEN

if TYPE_CHECKING:
    from ..api import API
    from ..base import Intent
    from .branches import Branch
    from .place import Finder
    from .projects import Project


def settle(api: API, finder: Finder, intent: Intent) -> Settled:
    """See :meth:`ppg_integrations.providers.base.Provider.settle`."""
    what = f"the {intent.kind} {printable(intent.name)}"
    if intent.kind == "project":
        found = projects.find(api, intent.name, finder.settings)
        return _kept(what, found.id) if found else _missing(what)
    within = intent.ids.get("project", "")
    project = projects.find(api, within, finder.settings)
    if project is None:  # the key may be another one than that of the request
        raise ProviderError(
            f"{TITLE} has no project {printable(within)} that the key in {TOKEN} sees, so what "
            f"became of {what} in it is not known",
            hint="Is it a key of another account or project? Run this again with the right one.",
            provider=NAME,
            status=404,
        )
    wanted = intent.name if intent.kind == "branch" else intent.ids.get("branch", "")
    branch = branches.find(api, project, wanted)
    if branch is None:
        return _missing(what)
    operations.wait_for_branch(api, project, branch.id, f"finding out about {what}")
    if intent.kind == "branch":
        return _kept(what, branch.id)
    if intent.kind == "endpoint":
        writes = intent.ids.get("type", "read_write") == "read_write"
        every = branches.computes(api, project, branch.id)
        fitting = next((each for each in every if each.writes == writes), None)
        what = f"the {'compute' if writes else 'read replica'} of the branch {branch.title}"
        return _kept(what, fitting.id) if fitting else _missing(what)
    if intent.kind == "database":
        names = [each.name for each in finder.databases(project, branch)]
        return _kept(what, f"on {branch.title}") if intent.name in names else _missing(what)
    role = intent.ids.get("role", intent.name)
    if not finder.has_role(project, branch, role):
        return _missing(f"the role {printable(role)}")
    if intent.action == "rotate":
        return _restored(api, finder, project, branch, role, intent.ids.get("database", ""))
    if not project.stores_passwords:
        program = finder.settings.program
        ends = f"`{program} revoke {word(f'{branch.id}/{role}')}` ends the role"
        return _not_stored(branch, role, f"{ends}, and it can be made anew.")
    return _kept(what, f"{branch.id}/{printable(role)}")


def _restored(
    api: API, finder: Finder, project: Project, branch: Branch, role: str, database: str
) -> Settled:
    """The pair as it is now, whether the password was reset or not."""
    target = Target(project.id, database, branch.id, role)
    login = finder.login(target)
    try:
        pooled, direct = uris.read(api, login, finder.settings)
    except ProviderError as error:
        if error.status != uris.NOT_STORED:
            raise
        return _not_stored(branch, role, f"`{finder.settings.program} rotate` sets another.")
    name = printable(role)
    return Settled(
        "restored",
        f"The password of the role {name} ({branch.id}/{name}) is read again from {TITLE}.",
        uris.generated(login, pooled, direct),
    )


def _kept(what: str, id: str) -> Settled:  # noqa: A002 - the provider's word for it
    text = f"{TITLE} has {what} ({id}): it stays, and its secrets can be read again."
    return Settled("kept", text)


def _not_stored(branch: Branch, role: str, more: str) -> Settled:
    name = printable(role)
    return Settled(
        "kept",
        f"{TITLE} has the role {name} ({branch.id}/{name}) and does not show its password. {more}",
    )


def _missing(what: str) -> Settled:
    return Settled("missing", f"{TITLE} does not have {what}.")
