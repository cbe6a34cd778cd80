"""The two URLs of a branch, as case.dev's API gives them, cross-checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import hosts
from ...errors import ConfigurationError
from ...urls import PostgresURL
from ..printable import printable
from .rules import BY_HAND, PROJECTS, TITLE, refusal

if TYPE_CHECKING:
    from ..api import API
    from .things import Thing


def read(api: API, project: Thing, branch: Thing) -> tuple[PostgresURL, PostgresURL]:
    """The pooled and the direct URL.

    Raises:
        ProviderError: the two answers do not fit together, or not what was asked.
    """
    pooled = one(api, project, branch, pooled=True)
    direct = one(api, project, branch, pooled=False)
    if (pooled.user, pooled.dbname) != (direct.user, direct.dbname):
        raise refusal(f"{TITLE}'s pooled and direct URL differ in user or database", hint=BY_HAND)
    # The hosts are Neon's as a rule; of others nothing is known but that they must differ.
    kinds = tuple(hosts.classify(url.host, url.port).kind for url in (pooled, direct))
    apart = (pooled.host, pooled.port) != (direct.host, direct.port)
    swapped = kinds[0] == "direct" or kinds[1] == "pooled"
    if not apart or swapped or hosts.same_server(pooled, direct) is False:
        raise refusal(
            f"{TITLE}'s pooled URL has the host {printable(pooled.host)}:{pooled.port} and the "
            f"direct one has {printable(direct.host)}:{direct.port}: these are not the two "
            "endpoints of one database",
            hint=BY_HAND,
        )
    return pooled, direct


def one(api: API, project: Thing, branch: Thing, *, pooled: bool) -> PostgresURL:
    """One of the two URLs.

    Raises:
        ProviderError: the answer is about another branch or the other URL, or has none.
    """
    query: dict[str, str | int | bool] = {"branch": branch.name, "pooled": pooled}
    fields = api.get(*PROJECTS, project.id, "connection", query=query).fields
    if fields.flag("pooled") is not pooled:
        wanted = "pooled" if pooled else "direct"
        text = f"{TITLE} was asked for the {wanted} URL and answers with the other one"
        raise refusal(text, hint=BY_HAND)
    if fields.text("branch") != branch.name:
        text = f"{TITLE} was asked for the branch {branch.title} and answers with another"
        raise refusal(text, hint=BY_HAND)
    # The error is raised outside of its handler, with no variable of a frame holding the URL.
    try:
        return PostgresURL.parse(fields.text("connectionUri"), source=f"{TITLE}'s connectionUri")
    except ConfigurationError as error:
        message, hint = error.message, error.hint
    raise refusal(message, hint=hint or BY_HAND)
