"""One thing that a verb has under way at a provider, and how it is written down."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal

from . import names
from .providers.base import Generated, Intent
from .urls import PostgresURL

if TYPE_CHECKING:
    from collections.abc import Mapping

Stage = Literal["asked", "answered", "stored"]


def _key() -> str:
    return secrets.token_hex(8)


def now() -> datetime:
    """The time, UTC."""
    return datetime.now(timezone.utc)


def _now_text() -> str:
    return now().isoformat(timespec="microseconds")


@dataclass(frozen=True)
class Entry:
    """What was asked of a provider, what it answered, and what is still to be done.

    Attributes:
        provider: as in ``PPG_PROVIDER``.
        verb: what the user typed.
        request: what was asked, by the options' names; only a run that asks for nothing else may
            take the entry up.
        intent: the last request that was about to be sent; None where nothing had to be made.
        generated: the answer; None as long as there is none.
        retire: id of the connection that ends once this one is in use.
        retire_mark: as in ``PPG_CONNECTION``, by which its URLs are known again elsewhere.
        retire_url: its direct URL, where it ends as soon as nobody uses it; None where it has all
            of its time.
        grace: seconds that it lives on after that, at most.
        due: ISO 8601, UTC, when it ends; empty until this one is in use.
        key: tells entries apart.
        created_at: ISO 8601, UTC.
    """

    provider: str
    verb: Literal["create", "rotate"] = "create"
    request: Mapping[str, str] = field(default_factory=dict, hash=False)
    intent: Intent | None = field(default=None, hash=False)
    generated: Generated | None = field(default=None, hash=False)
    retire: str = ""
    retire_mark: str = ""
    retire_url: PostgresURL | None = field(default=None, hash=False)
    grace: float = 0.0
    due: str = ""
    key: str = field(default_factory=_key)
    created_at: str = field(default_factory=_now_text)

    @property
    def stage(self) -> Stage:
        """``asked``: no answer yet; ``answered``: not in use yet; ``stored``: an old one to end."""
        if self.generated is None:
            return "asked"
        return "stored" if self.due else "answered"

    @property
    def title(self) -> str:
        """The connection's id and name, for people."""
        if self.generated is not None:
            return titled(self.generated.id, self.generated.name)
        return self.intent.name if self.intent is not None else ""

    def answers(self, request: Mapping[str, str]) -> bool:
        """Whether it is what a run that asks for this wants.

        What the provider wants to be remembered is a target by its id, and counts as asked for.
        """
        ids = self.generated.remember if self.generated is not None else {}
        return all(
            value in {self.request.get(name), ids.get(names.TARGET.get(name, ""))}
            for name, value in request.items()
        )

    def age(self) -> timedelta:
        """How long ago it was asked for: what comes before a request may take minutes itself."""
        at = self.created_at if self.intent is None else self.intent.created_at
        return now() - datetime.fromisoformat(at)

    def is_due(self) -> bool:
        """Whether the old connection has had its time."""
        return bool(self.due) and datetime.fromisoformat(self.due) <= now()

    def as_json(self) -> dict[str, Any]:
        """For the journal: the one place where its URLs stand in the open."""
        document = {each.name: getattr(self, each.name) for each in fields(self)}
        document["request"] = dict(self.request)
        document["intent"] = None if self.intent is None else _plain(asdict(self.intent))
        document["generated"] = None if self.generated is None else _generated_json(self.generated)
        document["retire_url"] = None if self.retire_url is None else self.retire_url.reveal()
        return document


def titled(id: str, name: str) -> str:  # noqa: A002 - the provider's word for it
    """How an id and a name are shown."""
    return f"{id} ({name})" if name and name != id else id


def from_json(item: dict[str, Any], source: str) -> Entry:
    """The entry that :meth:`Entry.as_json` wrote.

    Args:
        source: of the text, for messages.

    Raises:
        ValueError, KeyError, TypeError, AttributeError, URLError: it is none. Some of these hold
            the text.
    """
    values = {each.name: item[each.name] for each in fields(Entry)}
    intent, generated = values.pop("intent"), values.pop("generated")
    grace, url = float(values.pop("grace")), values.pop("retire_url")
    _texts(values.pop("request"), (request := dict(item["request"])))
    _texts(values)
    for name in ("created_at", "due"):
        if values[name] or name == "created_at":
            _utc(values[name])
    if intent is None and generated is None:
        raise ValueError
    return Entry(
        **values,
        grace=grace,
        retire_url=None if url is None else PostgresURL.parse(url, source=source),
        request=request,
        intent=None if intent is None else _intent(intent),
        generated=None if generated is None else _generated(generated, source),
    )


def _generated_json(made: Generated) -> dict[str, Any]:
    document = {each.name: getattr(made, each.name) for each in fields(made)}
    for name in ("pooled", "direct", "replica"):
        document[name] = None if document[name] is None else document[name].reveal()
    return _plain(document)


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    return {
        name: dict(value) if hasattr(value, "keys") else value for name, value in document.items()
    }


def _intent(item: dict[str, Any]) -> Intent:
    values = {each.name: item[each.name] for each in fields(Intent)}
    _texts(ids := dict(values.pop("ids")))
    _texts(values)
    _utc(values["created_at"])
    return Intent(**values, ids=ids)


def _generated(item: dict[str, Any], source: str) -> Generated:
    values = {each.name: item[each.name] for each in fields(Generated)}
    urls = {
        name: None if values[name] is None else PostgresURL.parse(values[name], source=source)
        for name in ("pooled", "direct", "replica")
    }
    if urls["pooled"] is None or urls["direct"] is None:
        raise ValueError
    _texts(remember := dict(values["remember"]), details := dict(values["details"]))
    _texts({"id": values["id"], "name": values["name"]}, dict.fromkeys(values["notes"], ""))
    more: dict[str, Any] = {"remember": remember, "details": details}
    return Generated(**{**values, **urls, **more, "notes": tuple(values["notes"])})


def _texts(*documents: Mapping[Any, Any]) -> None:
    for document in documents:
        if not all(isinstance(text, str) for text in (*document.keys(), *document.values())):
            raise TypeError


def _utc(text: str) -> None:
    # Naive ones would spoil a comparison later.
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError
