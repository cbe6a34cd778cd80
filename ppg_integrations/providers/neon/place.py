"""Which project, branch, database, role and compute are meant; finds them, or has them made."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, NoReturn

from ...errors import ChoiceError, ConfigurationError, ProviderError, joined
from .. import gitbranch
from ..printable import printable, word
from . import branches, projects, uris
from .branches import Branch, Compute
from .rules import CONSOLE, NAME, TITLE, TOKEN
from .uris import Login

if TYPE_CHECKING:
    from ...secret import Secret
    from ..api import API
    from ..base import Target
    from ..settings import Settings
    from .making import Making
    from .projects import Project


class Database(NamedTuple):
    name: str
    owner: str


class Finder:
    """Finds things by the discovery rules.

    A project: by id or exact name, else the only one. A branch: by id or exact name, else the
    default one. A database: by name, else the only one. A role: by name, else the database's owner.

    Args:
        settings: also lead to the git work tree that ``auto`` asks.
        making: makes what is named and missing; None where nothing may be made.

    Attributes:
        notes: what the user should know of what was found.
    """

    def __init__(
        self,
        api: API,
        settings: Settings,
        making: Making | None = None,
    ) -> None:
        self.notes: list[str] = []
        self._api = api
        self.settings = settings
        self._making = making

    def login(self, target: Target) -> Login:
        """Who connects, and to what.

        Raises:
            ProviderError: something is missing, or cannot be connected to.
            ChoiceError: several could be meant.
        """
        project = self.project(target.project)
        branch = self.branch(project, target.branch)
        compute = self.compute(project, branch)
        missing = bool(target.role) and not self.has_role(project, branch, target.role)
        if missing and self._making is None:
            self._no_role(project, branch, target.role)
        if missing:
            uris.check_new_role(project, compute)
        database = self.database(project, branch, target.database, target.role)
        password: Secret | None = None
        if missing and self._making is not None:
            password = self._making.role(project, branch, target.role).password
        role = target.role or (database.owner if database else "")
        if database is None:
            database = self._made_database(project, branch, target.database, role)
            role = role or database.owner
        if missing and role != database.owner:
            self.notes.append(_owns_nothing(role, database))
        if branch.protected:
            self.notes.append(
                f"The branch {branch.title} is protected: it cannot be deleted, and if the project "
                "has a list of allowed addresses, that may hold for it."
            )
        remember = {"PPG_PROJECT": project.id}
        if target.database:
            remember["PPG_DATABASE"] = database.name  # the role alone does not lead back to it
        return Login(project, branch, compute, database.name, role, password, remember)

    def project(self, wanted: str) -> Project:
        found = projects.find(self._api, wanted, self.settings)
        if found is not None:
            return found
        if wanted and self._making is not None:
            return self._making.project(wanted)
        if wanted:
            raise ProviderError(
                f"{TITLE} has no project with the id or the name {wanted!r}, as far as the key in "
                f"{TOKEN} sees",
                hint=f"Its projects are listed at {CONSOLE}. To make one of that name: "
                f"{self._create()} --project {word(wanted)} --create",
                provider=NAME,
            )
        raise ProviderError(
            f"the key in {TOKEN} sees no project of {TITLE}",
            hint=f"Make one: {self._create()} --project NAME --create",
            provider=NAME,
        )

    def branch(self, project: Project, wanted: str) -> Branch:
        source = ""
        default_will_do = wanted in ("", gitbranch.AUTO_OR_DEFAULT)
        auto = wanted in (gitbranch.AUTO, gitbranch.AUTO_OR_DEFAULT)
        if auto:
            wanted, source = self._git_branch(default_will_do=default_will_do)
        if wanted:
            found = branches.find(self._api, project, wanted)
            if found is not None:
                return found
            if self._making is not None:
                return self._making.branch(project, wanted)
            if not default_will_do:
                called = f"{wanted!r}, the git branch by {source}" if source else f"{wanted!r}"
                falls = f"PPG_BRANCH={gitbranch.AUTO_OR_DEFAULT} takes the default branch then."
                raise ProviderError(
                    f"the project {project.title} has no branch called {called}",
                    hint=joined(
                        falls if source else "",
                        f"To make it: {self._create(project)} --branch {word(wanted)} --create",
                    ),
                    provider=NAME,
                )
        default = branches.default_of(project, branches.listed(self._api, project))
        if auto:
            missing = f"There is no branch {wanted!r} (the git branch by {source})"
            reason = missing if wanted else "The git branch is not known"
            self.notes.append(f"{reason}; this is the default branch {default.title}.")
        return default

    def _git_branch(self, *, default_will_do: bool) -> tuple[str, str]:
        """Its name and where that was read; two empty texts where the default one has to do.

        Raises:
            ConfigurationError: git does not tell.
        """
        try:
            return gitbranch.current(self.settings, self.settings.folder)
        except ConfigurationError:  # such as a checkout without a branch
            if not default_will_do:
                raise
            return "", ""

    def _create(self, project: Project | None = None) -> str:
        """The beginning of a command that makes what is missing."""
        within = f" --project {word(project.id)}" if project else ""
        return f"{self.settings.program} create{within}"

    def databases(self, project: Project, branch: Branch) -> list[Database]:
        path = ("projects", project.id, "branches", branch.id, "databases")
        fields = self._api.get(*path).fields
        return [Database(e.text("name"), e.text("owner_name")) for e in fields.each("databases")]

    def database(
        self, project: Project, branch: Branch, wanted: str, role: str = ""
    ) -> Database | None:
        """The database called `wanted`; else the only one, or the only one that `role` owns.

        Returns:
            None where there is none of that name, and it may be made.
        """
        found = self.databases(project, branch)
        fitting = [each for each in found if wanted in ("", each.name)]
        if not wanted and len(fitting) > 1 and role:
            fitting = [each for each in fitting if each.owner == role] or fitting
        if len(fitting) == 1:
            return fitting[0]
        if not fitting and wanted and self._making is not None and (role or found):
            return None
        where = _where(project, branch)
        if not found:
            raise ProviderError(
                f"{where} has no database",
                hint=f"Make one: {self._create(project)} --database NAME --role NAME --create",
                provider=NAME,
            )
        if not fitting:
            names = ", ".join(printable(each.name) for each in found)
            raise ProviderError(
                f"{where} has no database called {wanted!r}; it has {names}",
                hint="Choose one with --database, or make it: "
                f"{self._create(project)} --database {word(wanted)} --create",
                provider=NAME,
            )
        raise ChoiceError(
            f"{where} has {len(fitting)} databases",
            option="database",
            choices=tuple((each.name, "") for each in fitting),  # its name is its only id
            hint="Choose one with --database NAME, or set PPG_DATABASE.",
            provider=NAME,
        )

    def _made_database(self, project: Project, branch: Branch, name: str, owner: str) -> Database:
        assert self._making is not None
        owner = owner or self.databases(project, branch)[0].owner
        self._making.database(project, branch, name, owner)
        return Database(name, owner)

    def roles(self, project: Project, branch: Branch) -> list[tuple[str, str]]:
        """Name and creation time of each role."""
        fields = self._api.get("projects", project.id, "branches", branch.id, "roles").fields
        return [(each.text("name"), each.maybe_text("created_at")) for each in fields.each("roles")]

    def has_role(self, project: Project, branch: Branch, name: str) -> bool:
        return any(each == name for each, _ in self.roles(project, branch))

    def compute(self, project: Project, branch: Branch) -> Compute:
        """What serves the branch's reads and writes."""
        found = [each for each in branches.computes(self._api, project, branch.id) if each.writes]
        if not found and self._making is not None:
            return self._making.compute(project, branch)
        if not found:
            raise ProviderError(
                f"{_where(project, branch)} has no compute, so there is nothing to connect to",
                hint=f"Give it one: {self._create(project)} --branch {word(branch.name)} --create",
                provider=NAME,
            )
        return _awake(project, branch, found[0])

    def replica(self, project: Project, branch: Branch) -> Compute:
        """A read replica of the branch."""
        every = branches.computes(self._api, project, branch.id)
        found = [each for each in every if not each.writes and not each.disabled]
        if len(found) > 1:
            self.notes.append(
                f"The branch {branch.title} has {len(found)} read replicas; this is the oldest, "
                f"{found[0].id}."
            )
        if found:
            return found[0]
        if self._making is None:
            raise ProviderError(
                f"{_where(project, branch)} has no read replica",
                hint=f"To make one: {self._create(project)} --branch {word(branch.name)} "
                "--replica --create",
                provider=NAME,
            )
        return self._making.compute(project, branch, writes=False)

    def _no_role(self, project: Project, branch: Branch, wanted: str) -> NoReturn:
        names = ", ".join(printable(name) for name, _ in self.roles(project, branch)) or "none"
        raise ProviderError(
            f"{_where(project, branch)} has no role called {wanted!r}; its roles: {names}",
            hint="Choose one with --role, or make it: "
            f"{self._create(project)} --branch {word(branch.name)} --role {word(wanted)} --create",
            provider=NAME,
        )


def _where(project: Project, branch: Branch) -> str:
    return f"the branch {branch.title} of the project {project.title}"


def _awake(project: Project, branch: Branch, compute: Compute) -> Compute:
    """The compute, unless no connection can wake it."""
    if compute.disabled:
        raise ProviderError(
            f"the compute {compute.id} of the branch {branch.title} is disabled, and no connection "
            "wakes it",
            hint=f"Enable it in the console: {CONSOLE}/app/projects/{project.id}",
            provider=NAME,
        )
    return compute


def _owns_nothing(role: str, database: Database) -> str:
    return (
        f"The role {printable(role)} reads and writes every table, but owns none that exists: "
        "migrations that change one need DIRECT_URL with the role "
        f"{printable(database.owner)}, and PPG_ALLOW_MISMATCH=user."
    )
