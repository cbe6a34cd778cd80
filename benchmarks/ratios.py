"""Ratios of paired runs, as every benchmark shows them."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: From so many values on a tenth of them is left out at either end.
MANY = 10


class Spread(TypedDict):
    """The middle of some values.

    Attributes:
        low: a tenth of them lie below; the lowest, where they are fewer than :data:`MANY`.
        high: a tenth of them lie above; the highest, where they are fewer.
        rounds: all of them, in the order of the rounds.
    """

    median: float
    low: float
    high: float
    rounds: list[float]


def spread(values: list[float]) -> Spread:
    """See :class:`Spread`."""
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), 3),
        "low": round(ordered[len(ordered) // MANY], 3),
        "high": round(ordered[-1 - len(ordered) // MANY], 3),
        "rounds": [round(value, 4) for value in values],
    }


def shown(found: Spread, places: int = 2) -> str:
    """For a table: the median, and the spread behind it, with so many decimal places."""
    median, low, high = (f"{found[each]:.{places}f}" for each in ("median", "low", "high"))
    return f"{median} ({low} to {high})"


def explained(rounds: int, seconds: float | None = None) -> str:
    """What stands under a table: how often and how long it was measured, and what the spread is."""
    how = f"{rounds} rounds" if rounds > 1 else "One round"
    if seconds is not None:
        how += f" of {seconds:g} s each"
    if rounds >= MANY:
        return f"{how}: the median, and in brackets what a tenth of them lie below and above."
    return f"{how}: the median, and in brackets the lowest and the highest."


def paired(measures: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Takes each measure once a round, every second round in the opposite order.

    A machine that gets slower meanwhile slows all of them; so take ratios within a round:
    :func:`against`.
    """
    values: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(rounds):
        for name in measures if number % 2 else reversed(measures):
            values[name].append(measures[name]())
    return values


def against(values: Mapping[str, list[float]], peer: str) -> dict[str, Spread]:
    """Each one's ratio to `peer`, round by round."""
    return {
        name: spread([mine / theirs for mine, theirs in zip(each, values[peer], strict=True)])
        for name, each in values.items()
    }
