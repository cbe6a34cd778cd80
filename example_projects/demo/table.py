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


class Part(NamedTuple):
    title: str
    rows: tuple[Row, ...]


def faults(*expectations: tuple[bool, str]) -> tuple[str, ...]:
    """The texts of the expectations that do not hold."""
    return tuple(text for holds, text in expectations if not holds)


_HEAD = (
    ("", "logins on", "logins on", "connections", ""),
    ("", "PgBouncer", "PostgreSQL", "PostgreSQL held", ""),
)


def render(parts: Iterable[Part], style: Style) -> str:
    """The aligned table, with a mark before each row and its faults below it."""
    listed = list(parts)
    every = [*_HEAD, *(_cells(row) for part in listed for row in part.rows)]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]

    def line(cells: tuple[str, ...]) -> str:
        first, *numbers, last = cells
        middle = (text.rjust(width) for text, width in zip(numbers, widths[1:-1], strict=True))
        return "   ".join((first.ljust(widths[0]), *middle, last)).rstrip()

    lines = [style("dim", f"  {line(cells)}") for cells in _HEAD]
    for part in listed:
        lines.append(style("bold", part.title))
        for row in part.rows:
            mark = style("red", "✗") if row.faults else style("green", "✓")
            lines.append(f"{mark} {line(_cells(row))}")
            lines += [style("red", f"    should be: {fault}") for fault in row.faults]
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    held = "" if row.held is None else str(row.held)
    return (row.what, str(row.pooled), str(row.direct), held, row.outcome)
