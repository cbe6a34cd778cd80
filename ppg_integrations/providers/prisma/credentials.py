"""Connections, and the two URLs that the API shows once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ... import names
from ...errors import ConfigurationError, ProviderError
from ...urls import PostgresURL
from ..base import Generated, Intent
from ..printable import printable
from .making import told
from .rules import CONSOLE, NAME, TITLE

if TYPE_CHECKING:
    from ..api import API
    from ..base import Intend
    from ..fields import Fields
    from .making import Place
    from .places import Database

#: An empty database name in a URL means this one, also behind a host that is not Prisma's.
_DATABASE: Final = "postgres"


def make(api: API, place: Place, name: str, intend: Intend, program: str) -> Generated:
    """Makes a connection with that name.

    Args:
        program: how the user calls us, for hints.

    Raises:
        ProviderError: the API refuses, or it made a connection whose answer cannot be used.
    """
    database = place.database
    ids = {"database": database.id}
    note = told(database.title, place.spares, program)
    if place.spares:
        ids |= {"spares": " ".join(place.spares), "title": database.title}
    intend(Intent(NAME, "create", "connection", name, ids))
    try:
        answer = api.post("databases", database.id, "connections", json={"name": name})
    except ProviderError as error:
        if error.nothing_done:  # else whoever settles the intent tells it
            error.also(note)
        raise
    return replace(read(answer.fields.at("data"), database), notes=(note,) if note else ())


def change(api: API, id: str, name: str, database: Database, intend: Intend) -> Generated:  # noqa: A002
    """Gives a connection another secret; the old one ends at once."""
    ids = {"connection": id, "database": database.id}
    intend(Intent(NAME, "rotate", "connection", printable(name), ids))
    return again(api, id, database)


def again(api: API, id: str, database: Database) -> Generated:  # noqa: A002
    """As :func:`change`, of a change that was announced before."""
    return read(api.post("connections", id, "rotate").fields.at("data"), database)


def read(data: Fields, database: Database) -> Generated:
    """A connection with its secrets, as an answer has them.

    Raises:
        ProviderError: an endpoint is missing, or the two do not fit together. The connection exists
            all the same: whoever asked for it has to have its intent settled.
    """
    label = printable(data.maybe_text("name"))
    try:
        id = data.text("id")  # noqa: A001
        pooled, direct = _url(data, "pooled"), _url(data, "direct")
        _check(pooled, direct)
    except ProviderError as error:
        error.nothing_done = False
        error.hint = (
            f"A connection {label!r} exists now whose URLs nobody has. If this comes again, copy "
            f"both URLs of one from {CONSOLE} into {names.POOLED[0]} and {names.DIRECT[0]}."
        )
        raise
    remember = {
        names.TARGET["project"]: database.project.id,
        names.TARGET["database"]: database.id,
    }
    return Generated(id, label or id, pooled, direct, remember=remember)


def _url(data: Fields, endpoint: str) -> PostgresURL:
    """One of ``endpoints``. Its neighbour ``url`` is a link to the API, and no DSN."""
    path = ("endpoints", endpoint, "connectionString")
    source = f"{TITLE}'s answer, at {'.'.join(path)},"
    # The error is raised below, outside of its handler and with no variable that holds the URL.
    try:
        url = PostgresURL.parse(data.text(*path), source=source)
    except ConfigurationError as error:
        reason = error.message
    else:
        if url.user and url.password is not None and url.host:
            return url if url.database else url.replace(database=_DATABASE)
        reason = f"{source} has a URL without a host, a user or a password"
    raise ProviderError(reason, provider=NAME)


def _check(pooled: PostgresURL, direct: PostgresURL) -> None:
    for what, one, other in (
        ("users", pooled.user, direct.user),
        ("databases", pooled.database, direct.database),
    ):
        if one != other:
            raise ProviderError(
                f"{TITLE}'s answer has two endpoints with different {what}: {printable(one)} for "
                f"the pooled one, {printable(other)} for the direct one",
                provider=NAME,
            )
