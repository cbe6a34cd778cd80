"""What ``python3 dev.py bench`` can be asked for. Nothing but the standard library: dev.py reads it
before anything is installed.
"""

from __future__ import annotations

import argparse
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
RESULTS = Path(__file__).resolve().parent / "results"


def parsed(arguments: list[str]) -> argparse.Namespace:
    """What was asked for. Needs no more than the standard library, as ``dev.py`` calls it."""
    parser = argparse.ArgumentParser(
        prog="dev.py bench",
        description="This package side by side with others: JSON, charts as SVG, and tables.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="that it works, and no figures")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for JSON and SVG")
    parser.add_argument("--docs", action="store_true", help="update docs/benchmarks.md too")
    asked = parser.parse_args(arguments)
    for name in asked.names:
        if name not in NAMES:
            parser.error(f"no benchmark is called {name!r}: there are {', '.join(NAMES)}")
    if asked.quick and asked.docs:
        parser.error("--quick gives no figures for --docs")
    return asked
