"""Ratios of paired runs, as every benchmark shows them."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Spread = dict[str, float]


def spread(values: list[float]) -> Spread:
    """The median, and what a tenth of the values lie below and above."""
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), 3),
        "low": round(ordered[len(ordered) // 10], 3),
        "high": round(ordered[-1 - len(ordered) // 10], 3),
    }


def shown(found: Spread) -> str:
    """For a table: the median, and the spread behind it."""
    return f"{found['median']:.2f} ({found['low']:.2f} to {found['high']:.2f})"


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
