"""The guestbook on the embedded PostgreSQL, with its two URLs as they should be, and swapped.

    python example_projects/demo

Exit status 0 if every row of the table is as it should be, 1 if one is not, or a tool failed.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

# Run as a folder, Python puts the folder itself first, and its modules' names are common ones.
sys.path[0] = str(Path(__file__).resolve().parents[2])

from example_projects.demo.story import tell  # noqa: E402


def _terminated(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminated)  # clear up then, too
    sys.exit(tell())
