"""The table at the end: what ran, by which way, and whether that is as it should be."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

Style = Callable[[str, str], str]  # (style, text) -> text


class Row(NamedTuple):
    """One step.

    Attributes:
        what: what ran.
        pooled, direct: logins on PgBouncer, and on PostgreSQL without it, as they counted them.
        held: connections to PostgreSQL that it took; None for a command, which keeps none.
        outcome: how it ended, in a few words.
        faults: what is not as it should be; empty for a good row.
    """

    what: str
    pooled: int
    direct: int
    held: int | None
    outcome: str
    faults: tuple[str, ...] = ()

    def cells(self) -> tuple[str, ...]:
        held = "" if self.held is None else str(self.held)
        return (self.what, str(self.pooled), str(self.direct), held, self.outcome)


class HostedRow(NamedTuple):
    """One step at a hosted provider.

    Attributes:
        calls: requests that its API got.
        what, pooled, direct, outcome, faults: as in :class:`Row`.
    """

    what: str
    calls: int
    pooled: int
    direct: int
    outcome: str
    faults: tuple[str, ...] = ()

    def cells(self) -> tuple[str, ...]:
        return (self.what, str(self.calls), str(self.pooled), str(self.direct), self.outcome)


class Part(NamedTuple):
    title: str
    rows: tuple[Row, ...] | tuple[HostedRow, ...]


Head = tuple[tuple[str, ...], ...]  # lines of column titles


def faults(*expectations: tuple[bool, str]) -> tuple[str, ...]:
    """The texts of the expectations that do not hold."""
    return tuple(text for holds, text in expectations if not holds)


HEAD: Head = (
    ("", "logins on", "logins on", "connections", ""),
    ("", "PgBouncer", "PostgreSQL", "PostgreSQL held", ""),
)
HOSTED_HEAD: Head = (
    ("", "requests to", "logins on", "logins on", ""),
    ("", "the API", "PgBouncer", "PostgreSQL", ""),
)


def render(parts: Iterable[Part], style: Style, head: Head = HEAD) -> str:
    """The aligned table, with a mark before each row and its faults below it."""
    listed = list(parts)
    every = [*head, *(row.cells() for part in listed for row in part.rows)]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]

    def line(cells: tuple[str, ...]) -> str:
        first, *numbers, last = cells
        middle = (text.rjust(width) for text, width in zip(numbers, widths[1:-1], strict=True))
        return "   ".join((first.ljust(widths[0]), *middle, last)).rstrip()

    lines = [style("dim", f"  {line(cells)}") for cells in head]
    for part in listed:
        lines.append(style("bold", part.title))
        for row in part.rows:
            mark = style("red", "✗") if row.faults else style("green", "✓")
            lines.append(f"{mark} {line(row.cells())}")
            lines += [style("red", f"    should be: {fault}") for fault in row.faults]
    return "\n".join(lines)
