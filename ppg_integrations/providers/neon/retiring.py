"""Ends a role or a branch of Neon's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ...errors import ProviderError
from ..printable import printable, word
from ..spared import spare
from . import branches, operations
from .rules import CONSOLE, NAME, TITLE, is_id

if TYPE_CHECKING:
    from ..api import API
    from ..base import Target
    from .branches import Branch
    from .place import Finder
    from .projects import Project

_GONE: Final = 204
_MISSING: Final = 404


class _Role(NamedTuple):
    branch: Branch
    name: str


def split(connection: str) -> tuple[str, str]:
    """Branch and role of a connection's id ``br-.../role``; two empty texts where it is none."""
    branch, slash, role = connection.partition("/")
    return (branch, role) if slash and role and branch.startswith("br-") else ("", "")


def retire(
    api: API, finder: Finder, target: Target, wanted: str, in_use: frozenset[str]
) -> tuple[str, ...]:
    """Deletes a role or a branch.

    Args:
        target: its project; its branch, where `wanted` is the name of a role.
        wanted: ``<branch id>/<role>``, the id of a branch, or the name of either.
        in_use: ids of roles and branches that stay.

    Returns:
        What the user should know.
    """
    project = finder.project(target.project)
    branch, role = split(wanted)
    if branch:
        found = branches.find(api, project, branch)
        if found is None or not finder.has_role(project, found, role):
            raise _nothing(finder, project, wanted)
        _keep_in_use(finder, in_use, found, role)
        return _retire_role(api, finder, project, _Role(found, role))
    if wanted.startswith("br-") and is_id(wanted):
        every = branches.listed(api, project)
        by_id = next((each for each in every if wanted in (each.id, each.name)), None)
        if by_id is None:
            raise _nothing(finder, project, wanted)
        _keep_in_use(finder, in_use, by_id)
        return _retire_branch(api, project, by_id, every)
    return _retire_by_name(api, finder, project, target, wanted, in_use)


def _retire_by_name(
    api: API,
    finder: Finder,
    project: Project,
    target: Target,
    wanted: str,
    in_use: frozenset[str],
) -> tuple[str, ...]:
    program = finder.settings.program
    every = branches.listed(api, project)
    chosen = finder.branch(project, target.branch)
    named = next((each for each in every if each.name == wanted), None)
    has_role = finder.has_role(project, chosen, wanted)
    if named is not None and has_role:
        raise ProviderError(
            f"{wanted!r} is a branch of the project {project.title}, and a role on its branch "
            f"{chosen.title}",
            hint=f"`{program} revoke {word(named.id)}` means the branch, "
            f"`{program} revoke {word(f'{chosen.id}/{wanted}')}` the role.",
            provider=NAME,
        )
    if has_role:
        _keep_in_use(finder, in_use, chosen, wanted)
        return _retire_role(api, finder, project, _Role(chosen, wanted))
    if named is not None:
        _keep_in_use(finder, in_use, named)
        return _retire_branch(api, project, named, every)
    raise _nothing(finder, project, wanted, f", and its branch {chosen.title} no such role")


def _nothing(finder: Finder, project: Project, wanted: str, more: str = "") -> ProviderError:
    what = f"role {wanted!r}" if split(wanted)[0] else f"branch {wanted!r}"
    return ProviderError(
        f"the project {project.title} has no {what}{more}",
        hint=f"`{finder.settings.program} list` shows the ids. Is it gone already?",
        provider=NAME,
    )


def _keep_in_use(finder: Finder, in_use: frozenset[str], branch: Branch, role: str = "") -> None:
    """Refuses a branch that holds what is in use, or a role that is.

    Raises:
        ConfigurationError: it is in use.
    """
    used = {split(each)[1] for each in in_use if split(each)[0] == branch.id}
    # Where only the branch is known to be in use, it may be by any of its roles.
    whole = branch.id in in_use and not used
    on = f"the branch {branch.title} ({branch.id})"
    if role:
        what, other = f"the role {printable(role)} on {on}", "--role OTHER --create"
    else:
        what, other = on, "--branch OTHER"
    kept = whole or (role in used if role else bool(used))
    spare(what, kept, finder.settings.program, by=f"create {other}")


def _retire_role(api: API, finder: Finder, project: Project, role: _Role) -> tuple[str, ...]:
    branch, name = role.branch, printable(role.name)
    owned = [e.name for e in finder.databases(project, branch) if e.owner == role.name]
    if owned:
        raise ProviderError(
            f"the role {name} owns the database {printable(owned[0])} on the branch {branch.title},"
            " which cannot be without an owner",
            hint=f"`{finder.settings.program} rotate` gives it another password, which ends the old"
            f" one. Another owner is set in the console: {CONSOLE}/app/projects/{project.id}",
            provider=NAME,
        )
    path = ("projects", project.id, "branches", branch.id, "roles", role.name)
    try:
        answer = api.delete(*path)
    except ProviderError as error:
        if error.status != _MISSING:
            raise
        answer = None
    if answer is None or answer.status == _GONE:
        return (f"The role {name} on {branch.title} was gone already.",)
    operations.wait(api, project, answer.fields, f"deleting the role {name}")
    return ()


def _retire_branch(
    api: API, project: Project, branch: Branch, every: list[Branch]
) -> tuple[str, ...]:
    children = [each.title for each in every if each.parent == branch.id]
    reason = ""
    if branch.default:
        reason = "is the default branch of its project"
    elif branch.protected:
        reason = "is protected"
    elif children:
        reason = f"has branches of its own: {', '.join(children)}"
    if reason:
        raise ProviderError(
            f"the branch {branch.title} ({branch.id}) {reason}, and is not deleted",
            hint=f"If you mean to, begin in the console: {CONSOLE}/app/projects/{project.id}",
            provider=NAME,
        )
    answer = api.delete("projects", project.id, "branches", branch.id)
    if answer.status == _GONE:
        return (f"The branch {branch.title} ({branch.id}) was gone already.",)
    operations.wait(api, project, answer.fields, f"deleting the branch {branch.title}")
    # https://neon.com/docs/reference/api/branches/delete-project-branch (a preview, not for all)
    note = (
        f"The branch {branch.title} ({branch.id}) is deleted, and its data with it; where "
        f"{TITLE}'s branch recovery is available, the console can bring it back for 7 days."
    )
    return (note,)
