"""What became of a request to Neon whose answer was lost: everything that it makes can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import ProviderError
from ..base import Generated, Settled, Target
from . import branches, operations, projects, uris
from .rules import TITLE

if TYPE_CHECKING:
    from ..api import API
    from ..base import Intent
    from .branches import Branch
    from .place import Finder
    from .projects import Project


def settle(api: API, finder: Finder, intent: Intent) -> Settled:
    """See :meth:`ppg_integrations.providers.base.Provider.settle`."""
    what = f"the {intent.kind} {intent.name}"
    if intent.kind == "project":
        found = projects.find(api, intent.name, finder.settings)
        return _kept(what, found.id) if found else _missing(what)
    project = projects.find(api, intent.ids.get("project", ""), finder.settings)
    if project is None:
        return _missing(what)
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
        what = f"the {'compute' if writes else 'read replica'} of the branch {branch.name}"
        return _kept(what, fitting.id) if fitting else _missing(what)
    if intent.kind == "database":
        names = [each.name for each in finder.databases(project, branch)]
        return _kept(what, f"on {branch.name}") if intent.name in names else _missing(what)
    if not finder.has_role(project, branch, intent.name):
        return _missing(f"the role {intent.name}")
    if intent.action == "rotate":
        return _restored(api, finder, project, branch, intent)
    if not project.stores_passwords:
        return _not_stored(branch, intent.name)
    return _kept(what, f"{branch.id}/{intent.name}")


def _restored(
    api: API, finder: Finder, project: Project, branch: Branch, intent: Intent
) -> Settled:
    """The pair as it is now, whether the password was reset or not."""
    target = Target(project.id, intent.ids.get("database", ""), branch.id, intent.name)
    login = finder.login(target)
    connection = f"{branch.id}/{intent.name}"
    try:
        pooled, direct = uris.read(api, login)
    except ProviderError as error:
        if error.status != uris.NOT_STORED:
            raise
        return _not_stored(branch, intent.name)
    name = f"{intent.name} on {branch.name}"
    return Settled(
        "restored",
        f"The password of the role {intent.name} ({connection}) is read again from {TITLE}.",
        Generated(connection, name, pooled, direct, remember=login.remember),
    )


def _kept(what: str, id: str) -> Settled:  # noqa: A002 - the provider's word for it
    text = f"{TITLE} has {what} ({id}): it stays, and its secrets can be read again."
    return Settled("kept", text)


def _not_stored(branch: Branch, role: str) -> Settled:
    return Settled(
        "kept",
        f"{TITLE} has the role {role} ({branch.id}/{role}) and does not show its password: "
        f"ppg-connect rotate --role {role} sets a new one, ppg-connect revoke ends the role.",
    )


def _missing(what: str) -> Settled:
    return Settled("missing", f"{TITLE} does not have {what}.")
