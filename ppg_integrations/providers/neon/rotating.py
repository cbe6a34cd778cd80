"""Gives a role of Neon's another password."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ... import hosts
from ...errors import ConfigurationError, ProviderError, ProviderUnavailableError
from ...secret import Secret
from ..base import Intent, Rotated, Target
from ..printable import printable, word
from . import branches, operations, retiring, uris
from .rules import NAME, TITLE

if TYPE_CHECKING:
    from ...pair import ConnectionPair
    from ..api import API
    from ..base import GenerateRequest, Intend, Progress
    from .place import Finder
    from .projects import Project


def target(
    api: API, finder: Finder, target: Target, in_use: str, pair: ConnectionPair | None
) -> Target:
    """The target of a rotation: the pair in use has the first word on branch and role.

    Its host comes before the id that was kept: a branch has the passwords of its parent, so that
    the id fits the parent's URLs as well.

    Raises:
        ConfigurationError: another role was named.
        ProviderError: nothing tells which branch the pair in use is of.
    """
    program = finder.settings.program
    branch, role = retiring.split(in_use)
    if pair is not None:
        project = finder.project(target.project)
        found = branches.of_pair(api, project, pair)
        host = (pair.direct or pair.pooled).host
        # Neon tells all hosts of its own; behind any other one may be the server that was kept.
        if not found[0] and (not branch or hosts.classify(host).provider == NAME):
            raise _nobody_s(project, pair, program)
        branch, role = found if found[0] else (branch, role)
        target = replace(target, database=_database(api, finder, project, branch, target, pair))
    if not branch:
        return target
    if target.role not in ("", role):
        raise ConfigurationError(
            f"the pair in use is of the role {printable(role)}, and not of {target.role!r}",
            hint=f"A pair of another role: {program} create --role {word(target.role)}",
        )
    return Target(target.project, target.database, branch, role)


def _database(
    api: API, finder: Finder, project: Project, branch: str, target: Target, pair: ConnectionPair
) -> str:
    """The one that is named, else the pair's where the branch has it; else empty."""
    here = None if target.database else branches.find(api, project, branch)
    mine = (pair.direct or pair.pooled).database
    there = [each.name for each in finder.databases(project, here)] if here else []
    return mine if mine in there else target.database


def _nobody_s(project: Project, pair: ConnectionPair, program: str) -> ProviderError:
    url = pair.direct or pair.pooled
    return ProviderError(
        f"no branch of the project {project.title} ({project.id}) has the host of the pair in use, "
        f"{printable(url.host)}, so it is not known whose password to reset",
        hint="Name its project with --project. A pair of this project: "
        f"{program} create --project {word(project.id)}",
        provider=NAME,
    )


def rotate(
    api: API,
    finder: Finder,
    request: GenerateRequest,
    intend: Intend,
    pair: ConnectionPair | None,
    progress: Progress,
) -> Rotated:
    """Resets the password of the target's role.

    Raises:
        ProviderError: the hosts could not be known afterwards, and nothing was changed; or Neon
            could not.
    """
    settings = finder.settings
    login = finder.login(request.target)
    project, branch, role = login.project, login.branch, login.role
    shown = printable(role)
    # Before the change: afterwards it would be too late to find out that nothing tells.
    pooled, direct = uris.endpoints(api, login, pair, settings)
    replica = None
    if request.replica:
        reader = login._replace(compute=finder.replica(project, branch))
        replica = uris.replica_endpoint(api, reader, settings)
    progress(f"resetting the password of {shown}")
    ids = {"project": project.id, "branch": branch.id, "database": login.database, "role": role}
    intend(Intent(NAME, "rotate", "password", shown, ids))
    path = ("projects", project.id, "branches", branch.id, "roles", role)
    fields = api.post(*path, "reset_password").fields
    text = fields.at("role").maybe_text("password")
    password = Secret(text) if text else None
    try:
        operations.wait(api, project, fields, f"waiting for the new password of {shown}")
        if password is None:
            password = uris.read(api, login, settings)[0].password
    except ProviderError as error:
        if password is None or not isinstance(error, ProviderUnavailableError):
            error.nothing_done = False  # the old password is gone
            raise
        finder.notes.append(f"{TITLE} had not finished when the time was up.")
    pooled, direct = pooled.replace(password=password), direct.replace(password=password)
    if replica is not None:
        replica = replica.replace(password=password)
    note = (
        f"Connections that {shown} had open have ended. Without an outage it goes by a second "
        f"role: `{settings.program} create --role NAME --create`, then revoke the old one."
    )
    notes = (*finder.notes, note)
    return Rotated(uris.generated(login, pooled, direct, replica=replica, notes=notes))
