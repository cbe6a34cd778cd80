"""What ``python3 dev.py bench`` can be asked for. Nothing but the standard library: dev.py reads it
before anything is installed.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

#: Every benchmark, in the order that they are run and shown in.
NAMES = (
    "startup",
    "memory",
    "throughput",
    "delay",
    "saturation",
    "pooled_asgi",
    "idle_check",
    "prepared",
    "boot_storm",
    "migrations",
    "growth",
)
ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path("benchmarks/results")
#: Of quick runs, whose figures are none: they never replace those of a whole run.
QUICK = RESULTS / "quick"
PAGE = ROOT / "docs/benchmarks.md"
#: Where the page's pictures are.
PICTURES = ROOT / "docs/benchmarks"


def parsed(arguments: list[str]) -> argparse.Namespace:
    """What was asked for, with the folder for the results, which is there then.

    Needs no more than the standard library, as ``dev.py`` calls it. Ends the program with a message
    and status 2 if there is no such benchmark, or no place for what it gives.
    """
    parser = argparse.ArgumentParser(
        prog="dev.py bench",
        description="This package side by side with others: JSON, charts as SVG, and tables.",
        epilog=f"Without a NAME: all of them, half an hour. They are {', '.join(NAMES)}.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which of them")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"some seconds each: that they work, and no figures; into {QUICK}",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help=f"for JSON and SVG, in place of {RESULTS}"
    )
    parser.add_argument(
        "--docs",
        action="store_true",
        help="update docs/benchmarks.md too; the SVG go to docs/benchmarks",
    )
    asked = parser.parse_args(arguments)
    for name in asked.names:
        if name not in NAMES:
            parser.error(f"no benchmark is called {name!r}: there are {', '.join(NAMES)}")
    if asked.quick and asked.docs:
        parser.error("--quick gives no figures for --docs")
    asked.out = asked.out.absolute() if asked.out else ROOT / (QUICK if asked.quick else RESULTS)
    try:
        if asked.docs:
            page = PAGE.read_text(encoding="utf-8")
            with PAGE.open("a", encoding="utf-8"):
                """It can be written."""
            for name in asked.names or NAMES:
                replaced(page, name, "")
            writable(PICTURES)
        writable(asked.out)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    return asked


def writable(folder: Path) -> None:
    """Makes a folder, unless it is there, and sees that files can be made in it.

    Raises:
        OSError: they cannot.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        """One can."""


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
