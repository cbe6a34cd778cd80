"""The benchmarks that ``python3 dev.py bench`` runs, and what each of them is made of.

A benchmark is a module of this package with

``measure(*, quick: bool) -> dict``
    runs it, and gives what goes into its JSON file. Quick ones show that it works, and no more.
``tables(result) -> str``
    Markdown for the page: ratios, with their spread. No absolute times.
``charts(result) -> dict[str, Figure]``
    the pictures, by name. Made with :mod:`benchmarks.charts`.

``unfit(result) -> str``
    if there is one: why the page keeps its figures, and these do not replace them; or nothing.

Its docstring says in the first line what it measures, and then how. Adding its name to
:data:`benchmarks.options.NAMES` is the whole change.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Result = dict[str, Any]


class Benchmark(Protocol):
    """What a module of this package offers."""

    __doc__: str | None

    def measure(self, *, quick: bool) -> Result: ...

    def tables(self, result: Result) -> str: ...

    def charts(self, result: Result) -> dict[str, Figure]: ...


def named(name: str) -> Benchmark:
    """The benchmark of that name."""
    return cast("Benchmark", importlib.import_module(f"benchmarks.{name}"))
