"""The examples on the embedded PostgreSQL, with their two URLs as they should be, and swapped.

    python example_projects/demo
    python example_projects/demo --framework flask   # or django
    python example_projects/demo --provider neon     # or prisma, or casedev: the verbs there

Exit status 0 if every row of the table is as it should be, 1 if one is not, or a tool failed.
"""

from __future__ import annotations

import argparse
import io
import signal
import sys
from pathlib import Path

# Run as a folder, Python puts the folder itself first, and its modules' names are common ones.
sys.path[0] = str(Path(__file__).resolve().parents[2])

from example_projects.demo.story import EXAMPLES, tell  # noqa: E402


def _interrupt(_number: int, _frame: object) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a second one would stop the clearing up
    raise KeyboardInterrupt


if __name__ == "__main__":
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, _interrupt)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that knows no check mark
    parser = argparse.ArgumentParser(prog="demo", description="ppg_integrations, shown.")
    parser.add_argument(
        "--provider", choices=("local", "prisma", "neon", "casedev"), default="local"
    )
    frameworks = {example.framework.lower(): example for example in EXAMPLES}
    parser.add_argument("--framework", choices=tuple(frameworks), help="one; all by default")
    options = parser.parse_args()
    if options.framework and options.provider != "local":
        parser.error("--framework is for --provider local")
    chosen = (frameworks[options.framework],) if options.framework else EXAMPLES
    sys.exit(tell(options.provider, chosen))
