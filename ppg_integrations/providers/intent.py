"""What is written down before a provider is asked for it, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .base import Generated


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


@dataclass(frozen=True)
class Intent:
    """A request that is about to be sent, and that makes a credential or ends one.

    Attributes:
        provider: as in ``PPG_PROVIDER``.
        action: what will be done: ``create``, ``rotate`` (a secret in place).
        kind: what it is done to: ``connection``, ``role``, ``branch``, ``password``, ...
        name: the label or name of that thing, by which it can be found again.
        ids: the provider's ids that lead to it: ``{"database": "db_..."}``.
        created_at: ISO 8601, UTC.
    """

    provider: str
    action: Literal["create", "rotate"]
    kind: str
    name: str
    ids: Mapping[str, str] = field(default_factory=dict)
    created_at: str = field(default_factory=_now)


#: Called with what is about to be done, immediately before the request that does it. When it
#: returns, the intent is on disk; when it raises, the request must not be sent.
Intend = Callable[[Intent], None]


@dataclass(frozen=True)
class Settled:
    """What became of an :class:`Intent` whose answer was lost.

    Attributes:
        outcome: ``missing``, nothing of it is there, or not yet; ``removed``, it was there with a
            secret that nobody has, and is gone now; ``kept``, it stays, and there is nothing to
            find out any more; ``restored``, `generated` is what the answer would have been.
        text: a sentence for the user, with id and name.
        generated: the connection, where it could be had after all.
    """

    outcome: Literal["missing", "removed", "kept", "restored"]
    text: str
    generated: Generated | None = None
