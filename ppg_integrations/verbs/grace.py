"""The time that a replaced connection lives on: until nobody uses it, or as long as was said."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from . import pending, sentences, sessions

if TYPE_CHECKING:
    from ..entry import Entry
    from ..journal import Journal
    from .context import Context

#: Seconds, an hour: the most that an old connection lives on where nothing else was said.
LONGEST: Final = 3600.0
#: Seconds between two looks.
_LOOK: Final = 5.0
#: Seconds after which a picture that stays the same is shown again.
_TELL: Final = 60.0


def wait(context: Context, journal: Journal, key: str, blind: str = "") -> None:
    """Lets the old connection of an entry live on. Others may have their turn meanwhile.

    Args:
        key: of the entry, whose new connection is in use.
        blind: why it cannot be told whether the old one is used, where that was to end it.

    Raises:
        EnvFileError: the journal cannot be read.
        ConfigurationError: the file's URLs cannot be used.
    """
    entry = _under_way(journal, key)
    if entry is None or not entry.grace or pending.stays(context, entry):
        return
    if entry.retire_url is not None:
        _until_unused(context, journal, entry)
        return
    if blind:
        context.report(f"It cannot be told whether anything still uses {entry.retire}: {blind}.")
    until = f"lives until {sentences.clock(entry.due)}"
    context.report(f"The new connection is in use. {entry.retire} {until}.")
    if blind:
        sooner = f"`{context.command(f'revoke {entry.retire}')}` ends it sooner"
        context.report(f"{sooner}, as rotate --grace 60 would have.")
    context.report(_if_interrupted(entry))
    ends = time.monotonic() + entry.grace
    while (rest := ends - time.monotonic()) > 0 and _under_way(journal, key) is not None:
        time.sleep(min(rest, _LOOK))


def _until_unused(context: Context, journal: Journal, entry: Entry) -> None:
    assert entry.retire_url is not None
    ends = time.monotonic() + entry.grace
    last: float | None = None  # when it was seen in use, on the monotonic clock
    shown: tuple[tuple[str, ...], str] | None = None
    told = 0.0
    context.progress(f"looking whether anything still uses {entry.retire}")
    while True:
        found = sessions.use(entry.retire_url)
        now = time.monotonic()
        if found.sessions:
            last = now - found.since
        # A process that connects for each of its questions is not seen at each look.
        rests = last is None or now - last >= sessions.QUIET
        if found.ended or (found.unused and rests):
            return
        if now >= ends:
            context.report(f"{entry.retire} has had its time: {found}.")
            return
        if shown is None:
            for text in _begins(entry):
                context.report(text)
        picture = (found.applications, found.unknown)
        if picture != shown or now - told >= _TELL:
            shown, told = picture, now
            context.progress(f"{entry.retire}: {found}")
        time.sleep(min(_LOOK, ends - now))
        if _under_way(journal, entry.key) is None:
            return  # by somebody else


def _begins(entry: Entry) -> tuple[str, ...]:
    latest = f"at {sentences.clock(entry.due)} at the latest"
    ends = f"ends when nothing has used it for {sessions.QUIET:.0f} s, {latest}"
    return (
        f"The new connection is in use. {entry.retire} {ends}.",
        "Restart before that what has the old URLs in its environment.",
        _if_interrupted(entry),
    )


def _if_interrupted(entry: Entry) -> str:
    return f"After Ctrl-C the next create, rotate or revoke ends {entry.retire}."


def _under_way(journal: Journal, key: str) -> Entry | None:
    """The entry; None where somebody else has ended its old connection meanwhile."""
    return next((each for each in journal.entries() if each.key == key and each.due), None)
