"""case.dev as a provider."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

from ...errors import ConfigurationError
from .. import gitbranch
from ..api import API
from ..apibase import api_base
from ..base import (
    Capability,
    Generated,
    GenerateRequest,
    Intend,
    Intent,
    Listed,
    Progress,
    Provider,
    Settled,
    Target,
    silent,
)
from ..printable import printable
from . import things, uris
from .rules import BASE, CONSOLE, NAME, NAMED, PROJECTS, RULES, TITLE, TOKEN, refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...pair import ConnectionPair
    from .things import Thing

_DEFAULT_BRANCH: Final = "main"
_OTHERS: Final = re.compile(r"[^A-Za-z0-9_-]+")  # what no name at case.dev can have


class CasedevProvider(Provider):
    """case.dev. A connection is a branch of a project; its id is the branch's."""

    name: ClassVar[str] = NAME
    title: ClassVar[str] = TITLE
    console: ClassVar[str] = CONSOLE
    api_variables: ClassVar[tuple[str, ...]] = ("CASEDEV_BASE_URL",)
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {"read", "generate", "list", "branches"}
    )

    def read(
        self,
        target: Target,
        progress: Progress = silent,
        *,
        replica: bool = False,  # noqa: ARG002 - it has none
    ) -> Generated:
        """The pair of a branch: the one that is named, or the project's default branch."""
        wanted = self._wanted(target.branch)
        with self._api(progress) as api:
            project = self._project(things.projects(api), target)
            found = things.branches(api, project)
            branch, notes = self._branch(found, target.branch, wanted, project)
            return _generated(api, project, branch, notes)

    def generate(
        self, request: GenerateRequest, intend: Intend, progress: Progress = silent
    ) -> Generated:
        """The pair of a branch that exists; with `create`, one that is made where it does not."""
        target = request.target
        wanted = self._wanted(target.branch)  # before anything is made: git may not tell
        with self._api(progress) as api:
            found = things.projects(api)
            missing = not things.named(found, target.project) if target.project else not found
            if request.create and missing:
                project = self._make_project(api, request, intend, progress)
            else:
                project = self._project(found, target)
            branches = things.branches(api, project)
            notes: tuple[str, ...] = ()
            if request.create and wanted and not things.named(branches, wanted):
                branch = self._make_branch(api, project, wanted, intend, progress)
            else:
                branch, notes = self._branch(branches, target.branch, wanted, project)
            return _generated(api, project, branch, notes)

    def connections(
        self,
        target: Target,
        *,
        in_use: str = "",
        pair: ConnectionPair | None = None,
        progress: Progress = silent,
    ) -> tuple[Listed, ...]:
        """The branches of the project."""
        wanted = self._wanted(target.branch)
        with self._api(progress) as api:
            project = self._project(things.projects(api), target)
            branches = things.branches(api, project)
            if not in_use and pair is not None and branches:
                # One question only, about the branch that it most likely is.
                branch, _ = self._branch(branches, target.branch, wanted, project)
                mine = pair.direct or pair.pooled
                url = uris.one(api, project, branch, pooled=pair.direct is None)
                if (url.hosts, url.user, url.dbname) == (mine.hosts, mine.user, mine.dbname):
                    in_use = branch.id
        return tuple(
            Listed(branch.id, branch.title, branch.created_at, branch.id == in_use)
            for branch in branches
        )

    def settle(self, intent: Intent, progress: Progress = silent) -> Settled:
        """Looks for what was being made; it may stay, for its URLs can be read again."""
        with self._api(progress) as api:
            found = things.projects(api)
            if intent.kind == "branch":
                within = intent.ids.get("project", "")
                owners = [each for each in found if each.id == within]
                if not owners:  # the token may be another one than that of the request
                    raise refusal(
                        f"{TITLE} has no project {printable(within)} that this token sees, so what "
                        f"became of the branch {printable(intent.name)} in it is not known",
                        hint="Is it a token of another account? Run this again with the right one.",
                    )
                found = things.branches(api, owners[0])
        for each in found:
            if each.name == intent.name:
                text = f"{TITLE} has made the {intent.kind} {each.title} ({each.id}); it stays."
                return Settled("kept", text)
        return Settled("missing", f"{TITLE} has no {intent.kind} called {intent.name}.")

    def _api(self, progress: Progress) -> API:
        base = api_base(self.settings, self.api_variables, BASE, token=(TOKEN,))
        token = self.settings.token(TOKEN)
        return API(RULES, base, token, timeout=self.deadline, progress=progress)

    def _project(self, found: Sequence[Thing], target: Target) -> Thing:
        return things.only(found, target.project, "project", self.settings.program)

    def _wanted(self, branch: str) -> str:
        """The branch that is meant, by name or id; empty for the default one.

        Raises:
            ConfigurationError: it is the git branch's, and git does not tell.
        """
        if branch not in (gitbranch.AUTO, gitbranch.AUTO_OR_DEFAULT):
            return branch
        try:
            found = gitbranch.current(self.settings, self.settings.folder).name
        except ConfigurationError:  # such as a checkout without a branch
            if branch == gitbranch.AUTO:
                raise
            return ""
        return _OTHERS.sub("-", found).strip("-")  # git allows a "/" and more

    def _make_project(
        self, api: API, request: GenerateRequest, intend: Intend, progress: Progress
    ) -> Thing:
        folder = _OTHERS.sub("-", request.project_folder.resolve().name).strip("-")
        name = _checked(request.target.project or folder or "app", "project")
        body = {"name": name, **({"region": request.region} if request.region else {})}
        progress(f"making the project {name}")
        intend(Intent(NAME, "create", "project", name))
        project = things.thing(api.post(*PROJECTS, json=body).fields)
        api.answered()
        return project

    def _make_branch(
        self, api: API, project: Thing, name: str, intend: Intend, progress: Progress
    ) -> Thing:
        _checked(name, "branch")
        progress(f"making the branch {name}")
        intend(Intent(NAME, "create", "branch", name, {"project": project.id}))
        path = (*PROJECTS, project.id, "branches")
        branch = things.thing(api.post(*path, json={"name": name}).fields)
        api.answered()
        return branch

    def _branch(
        self, branches: Sequence[Thing], option: str, wanted: str, project: Thing
    ) -> tuple[Thing, tuple[str, ...]]:
        """The branch, and a note where it is not the one that was wanted."""
        program = self.settings.program
        falls_back = option == gitbranch.AUTO_OR_DEFAULT and not things.named(branches, wanted)
        if wanted and not falls_back:
            return things.only(branches, wanted, "branch", program, project), ()
        found = [each for each in branches if each.default]
        found = found or things.named(branches, _DEFAULT_BRANCH)
        branch = found[0] if found else things.only(branches, "", "branch", program, project)
        if not option:
            return branch, ()
        asked = f"There is no branch {wanted}" if wanted else "The git branch is not known"
        return branch, (f"{asked}: this is the default branch, {branch.title}.",)


def _generated(api: API, project: Thing, branch: Thing, notes: tuple[str, ...]) -> Generated:
    pooled, direct = uris.read(api, project, branch)
    remember = {"PPG_PROJECT": project.id}
    return Generated(branch.id, branch.title, pooled, direct, notes, remember=remember)


def _checked(name: str, kind: str) -> str:
    if not NAMED.fullmatch(name):
        raise ConfigurationError(
            f"{name!r:.80} cannot be the name of a {kind} at {TITLE}",
            hint="Its names have letters, digits, - and _ only.",
        )
    return name
