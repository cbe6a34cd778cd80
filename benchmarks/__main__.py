"""Runs benchmarks: writes their figures as JSON and their charts as SVG, and prints their tables.

    python3 dev.py bench [NAME ...] [--quick] [--out FOLDER] [--docs]

Without a name all of them. They have the machine to themselves, one after the other.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
import time
from importlib.metadata import version
from pathlib import Path
from types import FrameType

from . import suite
from .options import NAMES, PAGE, PICTURES, parsed, replaced

PACKAGES = ("django", "flask", "sqlalchemy", "psycopg", "dj-database-url")
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NO_FIGURES = "Quick: this shows that the benchmarks work. What they print are no figures."


def machine() -> dict[str, object]:
    """Where the figures come from, as far as ratios may depend on it."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        **{name: version(name) for name in PACKAGES},
    }


def written(name: str, result: suite.Result, out: Path, *, docs: bool) -> tuple[str, list[Path]]:
    """Writes what `result` gives, and returns its tables and what was written.

    Args:
        out: a folder that is there.
        docs: update the page too, unless the benchmark says that these figures are not for it.
    """
    from . import charts

    benchmark = suite.named(name)
    files = [out / f"{name}.json"]
    files[0].write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    text = benchmark.tables(result)
    unfit = docs and getattr(benchmark, "unfit", lambda _: "")(result)
    if unfit:
        print(f"The page keeps its figures of {name}: {unfit}.", file=sys.stderr)
    docs = docs and not unfit
    for picture, figure in benchmark.charts(result).items():
        files.append((PICTURES if docs else out) / f"{picture}.svg")
        files[-1].write_text(charts.svg(figure), encoding="utf-8")
    if docs:
        files.append(PAGE)
        page = replaced(PAGE.read_text(encoding="utf-8"), name, text)
        PAGE.write_text(page, encoding="utf-8")
    return text, files


def printed(text: str, *, quick: bool) -> str:
    """Tables for a terminal: without pictures, and without the goals of what is no figure."""
    lines = [line for line in text.splitlines() if not line.startswith("![")]
    is_goal = False
    for number, line in enumerate(lines):
        cells = line.split("|")
        if not line.startswith("|"):
            is_goal = False
        elif cells[-2].strip() == "goal":
            is_goal = quick
        if is_goal:
            lines[number] = "|".join([*cells[:-2], ""])
    return "\n".join(lines).strip()


def end(number: int, _: FrameType | None) -> None:
    """Ends the servers with the program. What comes while they are ended does not interrupt that.

    Raises:
        KeyboardInterrupt: it was Ctrl-C.
        SystemExit: it was another signal.
    """
    for each in ENDING:
        signal.signal(each, lambda *_: None)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)


def run(arguments: list[str]) -> None:
    """What was asked for."""
    asked = parsed(arguments)
    if asked.quick:
        print(f"{NO_FIGURES}\n", flush=True)
    for name in asked.names or NAMES:
        started = time.monotonic()
        print(f"# {name}: {(suite.named(name).__doc__ or '').splitlines()[0]}\n", flush=True)
        found = suite.named(name).measure(quick=asked.quick)
        result = {"quick": asked.quick, "on": machine(), **found}
        text, files = written(name, result, asked.out, docs=asked.docs)
        print(printed(text, quick=asked.quick), end="\n\n")
        print(*(f"written: {file}" for file in files), sep="\n")
        print(f"({time.monotonic() - started:.0f} s)\n", flush=True)


def main(arguments: list[str]) -> int:
    """The exit status."""
    for number in ENDING:
        signal.signal(number, end)
    try:
        run(arguments)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
