"""Charts as SVG: the same bytes for the same figures, and legible on white and on black."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams.update(
    {
        "svg.hashsalt": "ppg-integrations",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#dddddd",
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "figure.facecolor": "white",
        "figure.dpi": 96,
    }
)

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .ratios import Spread

#: Ours is always the first colour, and nobody else has it. Told apart by people who see red and
#: green alike: https://jfly.uni-koeln.de/color/ and https://personal.sron.nl/~pault/
OURS = "#0072b2"
OTHERS = (
    *("#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999"),
    *("#882255", "#ddcc77", "#332288", "#44aa99", "#aa4499", "#117733"),
)


def colours(names: Sequence[str], ours: str) -> dict[str, str]:
    """One for each name."""
    others = iter(OTHERS * (1 + len(names) // len(OTHERS)))
    return {name: OURS if name == ours else next(others) for name in names}


def _columns(names: Iterable[str]) -> int:
    """Of a legend, so that the longest name fits."""
    return 3 if max(map(len, names)) <= 26 else 2


def bars(
    groups: Mapping[str, Mapping[str, Spread]], *, ours: str, title: str, label: str
) -> Figure:
    """Horizontal bars with their spread, a group beneath the other.

    Args:
        groups: what stands at the left, and in it each one's value.
        ours: the name that is this package's.
        label: of the values' axis, with the unit.
    """
    names = [*dict.fromkeys(name for group in groups.values() for name in group)]
    paint = colours(names, ours)
    # A bar is 1 high, and so is the gap between two groups.
    places: dict[tuple[str, str], int] = {}
    ticks: list[float] = []
    for left, group in groups.items():
        first = len(places) + len(ticks)
        shown = [name for name in names if name in group]
        places |= {(left, name): first + number for number, name in enumerate(shown)}
        ticks.append(first + (len(shown) - 1) / 2)
    figure = Figure(figsize=(7.5, 1.1 + 0.24 * (len(places) + len(groups))), layout="tight")
    axes = figure.subplots()
    for name in names:
        rows = [(places[key, name], group[name]) for key, group in groups.items() if name in group]
        middle = [found["median"] for _, found in rows]
        axes.barh(
            [place for place, _ in rows],
            middle,
            0.9,
            color=paint[name],
            label=name,
            xerr=[
                [max(0.0, found["median"] - found["low"]) for _, found in rows],
                [max(0.0, found["high"] - found["median"]) for _, found in rows],
            ],
            error_kw={"elinewidth": 1, "ecolor": "#333333"},
        )
    axes.set_yticks(ticks, [*groups])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(label)
    axes.set_title(title, loc="left")
    axes.margins(y=0.01)
    if len(names) > 1:
        columns = _columns(names)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=columns)
        figure.set_layout_engine("constrained")
    return figure


def lines(
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    ours: str,
    title: str,
    across: str,
    label: str,
    log: str = "",
) -> Figure:
    """A line for each name.

    Args:
        series: points (x, y) of each.
        across: label of the x axis, with the unit; `label` that of the y axis.
        log: which axes are logarithmic: "x", "y" or "xy".
    """
    paint = colours([*series], ours)
    columns = _columns(series)
    rows = -(-len(series) // columns)
    figure = Figure(figsize=(7.5, 3.6 + 0.22 * rows), layout="constrained")
    axes = figure.subplots()
    seen: set[str] = set()
    for name, points in series.items():
        x, y = zip(*points, strict=True)
        width = 2.4 if name == ours else 1.4
        style = "--" if paint[name] in seen else "-"  # there are more names than colours
        seen.add(paint[name])
        drawn = {"marker": "o", "markersize": 4, "linewidth": width, "linestyle": style}
        axes.plot(x, y, **drawn, color=paint[name], label=name.replace("`", ""))
    if "x" in log:
        axes.set_xscale("log")
        places = sorted({place for points in series.values() for place, _ in points})
        if len(places) <= 12:  # else powers of ten
            axes.set_xticks(places, [f"{place:,g}" for place in places])
            axes.xaxis.set_minor_locator(NullLocator())
    if "y" in log:
        axes.set_yscale("log")
    axes.set_xlabel(across)
    axes.set_ylabel(label)
    axes.set_title(title, loc="left")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=columns)
    return figure


def svg(figure: Figure) -> str:
    """The picture's text."""
    target = io.StringIO()
    figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return "".join(f"{line.rstrip()}\n" for line in target.getvalue().splitlines())
