"""Ratios of paired runs, as every benchmark shows them."""

from __future__ import annotations

import statistics


def spread(values: list[float]) -> dict[str, float]:
    """The median, and what a tenth of the values lie below and above."""
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), 3),
        "low": round(ordered[len(ordered) // 10], 3),
        "high": round(ordered[-1 - len(ordered) // 10], 3),
    }
