"""Everything of ours that grows: with branches, roles, sessions, entries, lines, aliases, binds.

Each is done with more and more things, up to 10,000, and timed by the processor time of the thread
that does it; the best of several runs counts, as what disturbs only ever adds. What
PostgreSQL does is timed by the clock. The provider's API is played by a process of its own,
which is not timed.

The exponent is the slope of a straight line through the last three points, both axes logarithmic:
0 does not grow, 1 is linear, 2 quadratic. Nothing may be over 1.2.
"""

from __future__ import annotations

import math
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from .growing import CASES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.figure import Figure

    from .growing import Case
    from .suite import Result

GOAL = 1.2
COUNTS = (10, 100, 1_000, 3_000, 10_000)
QUICK = (10, 30, 100)


def measure(*, quick: bool) -> Result:
    """See the module. Times are relative to the smallest number of things."""
    result: Result = {"goal": GOAL, "cases": {}}
    for name, (case, most) in CASES.items():
        counts = [count for count in (QUICK if quick else COUNTS) if count <= most]
        times = [seconds(case, count, runs=5 if count <= 1_000 else 3) for count in counts]
        result["cases"][name] = {
            "times": [[count, took / times[0]] for count, took in zip(counts, times, strict=True)],
            "exponent": round(exponent([*zip(counts, times, strict=True)][-3:]), 2),
        }
    return result


def seconds(case: Case, count: int, *, runs: int) -> float:
    """Of the fastest run."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ppg-bench-")))
        work, clock = case(count, folder, stack)
        return min(timed(work, clock) for _ in range(runs))


def timed(work: Callable[[], object], clock: Callable[[], float]) -> float:
    """Of one run, by that clock; short ones are repeated until they have taken a while."""
    times, started, began = 0, clock(), time.perf_counter()
    while times == 0 or time.perf_counter() - began < 0.02:
        work()
        times += 1
    return (clock() - started) / times


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """Slope of the straight line nearest to the points, both axes logarithmic."""
    xs, ys = ([math.log(each) for each in axis] for axis in zip(*points, strict=True))
    middle, height = sum(xs) / len(xs), sum(ys) / len(ys)
    above = sum((x - middle) * (y - height) for x, y in zip(xs, ys, strict=True))
    return above / sum((x - middle) ** 2 for x in xs)


def tables(result: Result) -> str:
    """An exponent for each."""
    lines = ["| | things | exponent | goal |", "|---|---|---|---|"]
    goal = f"{result['goal']:g} at most"
    for name, found in result["cases"].items():
        most = found["times"][-1][0]
        lines.append(f"| {name} | {most:,} | {found['exponent']:.2f} | {goal} |")
    text = (
        "PgBouncer's list of users does not grow: it looks logins up in PostgreSQL (`auth_query`). "
        "A request costs the same however many aliases there are. The journal holds 1 MiB at most, "
        "which ends it before ten thousand."
    )
    picture = "![Time over the number of things](benchmarks/growth.svg)"
    return "\n".join([*lines, "", text, "", picture])


def charts(result: Result) -> dict[str, Figure]:
    """A line for each, and a straight one to compare with."""
    from .charts import lines

    series = {
        name: [(float(x), float(y)) for x, y in found["times"]]
        for name, found in result["cases"].items()
    }
    ends = [max(points, key=lambda point: point[0])[0] for points in series.values()]
    series["linear"] = [(COUNTS[0], 1.0), (max(ends), max(ends) / COUNTS[0])]
    return {
        "growth": lines(
            series,
            ours="linear",
            title="Growth: processor time over the number of things",
            across="things",
            label="times that of ten",
            log="xy",
        )
    }
