"""What became of a request whose answer was lost.

The API has no idempotency keys; what was made is found by its name, which has a random part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import ProviderError
from ..base import Settled
from ..printable import printable
from . import credentials, making, places
from .rules import NAME, TITLE, listed

if TYPE_CHECKING:
    from ..api import API
    from ..base import Intent
    from ..fields import Fields


def settle(api: API, intent: Intent, program: str) -> Settled:
    """Finds out what became of `intent`; ends a connection whose secret nobody has.

    Args:
        program: how the user calls us, for what it says.

    Raises:
        ProviderError: the API does not say.
    """
    if intent.kind == "connection":
        return (
            _changed(api, intent)
            if intent.action == "rotate"
            else _connection(api, intent, program)
        )
    if intent.kind == "database":
        return _database(api, intent, program)
    if intent.kind == "project":
        return _project(api, intent, program)
    raise ProviderError(
        f"{NAME} knows no {intent.kind!r:.60}, which the journal has for {intent.name!r:.100}",
        hint="Was it written by a newer version of ppg-integrations?",
        provider=NAME,
    )


def _connection(api: API, intent: Intent, program: str) -> Settled:
    removed = []
    for each in _there(api, "databases", intent.ids.get("database", ""), "connections"):
        if each.text("name") == intent.name:
            id = each.text("id")  # noqa: A001
            _delete(api, id)
            removed.append(printable(id))
    database = intent.ids.get("title", "") or intent.ids.get("database", "")
    spares = making.told(database, intent.ids.get("spares", "").split(), program)
    more = f" {spares}" if spares else ""
    if not removed:
        return Settled("missing", f"The connection {intent.name} was not made.{more}")
    return Settled(
        "removed",
        f"The connection {intent.name} ({', '.join(removed)}), whose secret nobody had, was "
        f"revoked.{more}",
    )


def _changed(api: API, intent: Intent) -> Settled:
    id = intent.ids.get("connection", "")  # noqa: A001
    within = intent.ids.get("database", "")
    try:
        database = places.get(api, within)
    except ProviderError as error:
        if error.status != 404:
            raise
        raise _unseen("database", within) from None
    try:
        generated = credentials.again(api, id, database)
    except ProviderError as error:
        if error.status != 404:
            raise
        return Settled("missing", f"The connection {intent.name} ({id}) does not exist any more.")
    return Settled(
        "restored",
        f"The secret of the connection {intent.name} ({id}) was changed once more: the answer that "
        "had it was lost.",
        generated,
    )


def _database(api: API, intent: Intent, program: str) -> Settled:
    found = [
        each
        for each in _there(api, "projects", intent.ids.get("project", ""), "databases")
        if each.text("name") == intent.name
    ]
    return _kept(intent, found, found, program)


def _project(api: API, intent: Intent, program: str) -> Settled:
    found = [each for each in listed(api, "projects") if each.text("name") == intent.name]
    databases = [
        database
        for each in found
        for database in _there(api, "projects", each.text("id"), "databases")
    ]
    return _kept(intent, found, databases, program)


def _kept(intent: Intent, found: list[Fields], databases: list[Fields], program: str) -> Settled:
    if not found:
        return Settled("missing", f"The {intent.kind} {intent.name} was not made.")
    ids = ", ".join(printable(each.text("id")) for each in found)
    more = [
        making.told(printable(database.text("id")), [connection.text("id")], program)
        for database in databases
        for connection in database.maybe_each("connections")
        # With one of that name there is no doubt whose connections these are.
        if len(found) == 1
    ]
    text = f"The {intent.kind} {intent.name} ({ids}) is there."
    return Settled("kept", " ".join((text, *more)))


def _there(api: API, kind: str, id: str, of: str) -> list[Fields]:  # noqa: A002
    """What is listed below something.

    Raises:
        ProviderError: also where the token does not see that: it may be one of another workspace.
    """
    try:
        return list(listed(api, kind, id, of))
    except ProviderError as error:
        if error.status != 404:
            raise
        raise _unseen(kind.removesuffix("s"), id) from None


def _unseen(kind: str, id: str) -> ProviderError:  # noqa: A002
    return ProviderError(
        f"{TITLE} has no {kind} {printable(id)} that this token sees, so what became of what was "
        "asked for in it is not known",
        hint="Is the token one of another workspace? Run this again with one of the right one.",
        provider=NAME,
        status=404,
    )


def _delete(api: API, id: str) -> None:  # noqa: A002
    try:
        api.delete("connections", id)
    except ProviderError as error:
        if error.status != 404:  # an earlier try may have done it
            raise
