"""Makes the project and the database that are missing, where that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ...errors import ProviderError
from ..base import Intent
from ..printable import printable, word
from . import places
from .places import Database, Project
from .rules import NAME, TITLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..api import API
    from ..base import GenerateRequest, Intend
    from ..fields import Fields


_GONE: Final = 404  #: the status of what does not exist


class Place(NamedTuple):
    """A database that is ready.

    Attributes:
        spares: ids of the connections that it came with, where it was made just now, and that could
            not be ended.
    """

    database: Database
    spares: tuple[str, ...] = ()


def find_or_make(api: API, request: GenerateRequest, intend: Intend, program: str) -> Place:
    """The database that is meant, ready to be connected to.

    Args:
        request: with `create`, what is missing is made.
        program: how the user calls us, for hints.

    Raises:
        ChoiceError: several could be meant.
        ProviderError: there is none, or it does not become ready.
    """
    target = request.target
    if not request.create:
        return Place(places.ready(api, places.find(api, target, program)))
    named = places.by_id(api, target)
    if named is not None:
        return Place(places.ready(api, named))
    projects = places.projects(api)
    project = places.pick(projects, "project", target.project)
    if project is None:
        _check_not_an_id("project", target.project, projects, program)
        return _make_project(api, request, intend, program)
    databases = places.databases(api, project)
    database = places.pick(databases, "database", target.database, project)
    if database is None:
        _check_not_an_id("database", target.database, databases, program, project)
        _check_region(api, request.region)
        return _make_database(api, project, request, intend, program)
    return Place(places.ready(api, database))


def _check_not_an_id(
    option: str,
    wanted: str,
    things: Sequence[Project | Database],
    program: str,
    project: Project | None = None,
) -> None:
    """An id that does not exist is a mistake, and no name for something new."""
    if wanted.startswith(places.PREFIX[option]):
        raise places.missing(option, wanted, things, program, project)


def _check_region(api: API, wanted: str) -> None:
    if not wanted:
        return
    regions = api.get("regions", "postgres").fields.each("data")
    names = [each.text("id") for each in regions if each.text("status") == "available"]
    if wanted not in names:
        raise ProviderError(
            f"{TITLE} has no region {wanted!r}",
            hint=f"Its regions are {printable(', '.join(names))}.",
            provider=NAME,
        )


def _make_project(api: API, request: GenerateRequest, intend: Intend, program: str) -> Place:
    _check_region(api, request.region)
    target = request.target
    name = target.project or request.project_folder.absolute().name or "app"
    # The database that comes with a project cannot be given a name.
    body = {"name": name, "createDatabase": not target.database}
    if request.region:
        body["region"] = request.region
    intend(Intent(NAME, "create", "project", name))
    data = api.post("projects", json=body).fields.at("data")
    project = Project(data.text("id"), name)
    if target.database:
        api.answered()
        return _make_database(api, project, request, intend, program)
    return _made(api, data.at("database"), project, program)


def _make_database(
    api: API, project: Project, request: GenerateRequest, intend: Intend, program: str
) -> Place:
    name = request.target.database or "main"
    body = {"name": name}
    if request.region:
        body["region"] = request.region
    intend(Intent(NAME, "create", "database", name, {"project": project.id}))
    data = api.post("projects", project.id, "databases", json=body).fields.at("data")
    return _made(api, data, project, program)


def _made(api: API, data: Fields, project: Project, program: str) -> Place:
    spares = tuple(each.text("id") for each in data.maybe_each("connections"))
    database = Database.of(data, project)
    api.answered()  # the next run finds the database, and goes on with it
    try:
        ready = places.ready(api, database)
    except ProviderError as error:
        error.also(told(database.title, spares, program))
        raise
    return Place(ready, tuple(each for each in spares if not _ended(api, each)))


def _ended(api: API, spare: str) -> bool:
    """Ends the connection that a new database came with; False where the API did not say that.

    It is not used: its name cannot be chosen, so that were the answer lost, the credential would
    look like any other; and its secret would be in memory alone until the database is ready. Nobody
    else has been shown that secret. It goes before ours is made, of which nothing may come between
    the answer and the journal.
    """
    try:
        api.delete("connections", spare)
    except ProviderError as error:
        return error.status == _GONE
    finally:
        api.answered()  # whatever comes next has its own answer
    return True


def told(database: str, spares: Sequence[str], program: str) -> str:
    """What to say of the connections that a new database came with; empty where there are none."""
    return " ".join(
        f"The new database {database} came with a connection of its own, {printable(each)}, whose "
        f"secret was not kept: `{program} revoke {word(each)}` ends it."
        for each in spares
    )
