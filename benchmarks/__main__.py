"""Runs benchmarks: writes their figures as JSON and their charts as SVG, and prints their tables.

    python3 dev.py bench [NAME ...] [--quick] [--out FOLDER] [--docs]

Without a name all of them. They have the machine to themselves, one after the other.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path

from . import suite
from .options import NAMES, parsed

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PACKAGES = ("django", "flask", "sqlalchemy", "psycopg", "dj-database-url")


def machine() -> dict[str, object]:
    """Where the figures come from, as far as ratios may depend on it."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        **{name: version(name) for name in PACKAGES},
    }


def replaced(page: str, name: str, text: str) -> str:
    """`page` with `text` between the two markers of that name.

    Raises:
        ValueError: if the page does not have them.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if begin not in page or end not in page:
        raise ValueError(f"docs/benchmarks.md has no place for {name}: add {begin} and {end}")
    head, _, rest = page.partition(begin)
    return f"{head}{begin}\n\n{text.strip()}\n\n{end}{rest.partition(end)[2]}"


def written(name: str, result: suite.Result, out: Path, *, docs: bool) -> str:
    """Writes what `result` gives, and returns its tables."""
    from . import charts

    benchmark = suite.named(name)
    out.mkdir(parents=True, exist_ok=True)
    out.joinpath(f"{name}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    pictures = DOCS / "benchmarks" if docs else out
    pictures.mkdir(exist_ok=True)
    for picture, figure in benchmark.charts(result).items():
        pictures.joinpath(f"{picture}.svg").write_text(charts.svg(figure), encoding="utf-8")
    text = benchmark.tables(result)
    if docs:
        page = DOCS / "benchmarks.md"
        page.write_text(replaced(page.read_text(encoding="utf-8"), name, text), encoding="utf-8")
    return text


def main(arguments: list[str]) -> int:
    """The exit status."""
    asked = parsed(arguments)
    for name in asked.names or NAMES:
        started = time.monotonic()
        print(f"# {name}: {(suite.named(name).__doc__ or '').splitlines()[0]}", flush=True)
        result = {"on": machine(), **suite.named(name).measure(quick=asked.quick)}
        print(written(name, result, asked.out, docs=asked.docs))
        print(f"({time.monotonic() - started:.0f} s)\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
