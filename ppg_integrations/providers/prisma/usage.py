"""What the plan allows and what was used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import ProviderError
from ...problems import Problem, problem
from ..printable import printable
from .rules import CONSOLE, TITLE

if TYPE_CHECKING:
    from ..api import API
    from ..fields import Fields


def usage(api: API, database: str) -> tuple[Problem, ...]:
    """The plan of the token's workspace, then the figures of a database.

    Args:
        database: its id.

    Raises:
        ProviderError: the API tells neither.
    """
    found = list(_plan(api))
    try:
        found.append(_figures(api, database))
    except ProviderError as error:
        if not found:
            raise
        # A workspace that is blocked may well have no figures, and that it is has to be seen.
        found.append(problem("usage-unknown", text=error.message, hint=error.hint))
    return tuple(found)


def _plan(api: API) -> tuple[Problem, ...]:
    workspace = api.get("me").fields.maybe_text("data", "workspace", "id")
    if not workspace:
        return ()
    data = api.get("workspaces", workspace, "subscription").fields.at("data")
    plan = printable(data.maybe_text("planName")) or "unknown"
    if data.flag("usageBlocked"):
        url = printable(data.maybe_text("upgradeUrl")) or CONSOLE
        return (problem("usage-blocked", provider=TITLE, plan=plan, url=url),)
    return (problem("usage", provider=TITLE, text=f"the workspace's plan is {plan}"),)


def _figures(api: API, database: str) -> Problem:
    # The one answer of the API without an envelope.
    fields = api.get("databases", database, "usage").fields
    figures = " and ".join(
        _figure(fields.at("metrics", name), words)
        for name, words in (("operations", ""), ("storage", " of storage"))
    )
    start = printable(fields.text("period", "start")[:10])
    return problem("usage", provider=TITLE, text=f"{figures} used since {start}")


def _figure(metric: Fields, words: str) -> str:
    return f"{metric.number('used'):.12g} {printable(metric.text('unit'))}{words}"
