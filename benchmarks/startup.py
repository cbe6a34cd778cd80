"""What a settings import pays: ours against dj-database-url, in fresh interpreters, side by side.

    python benchmarks/startup.py [--runs 40]

Both read their URLs from the environment. Every run starts one interpreter of each, in turn, and
times the statement inside it; the ratio is taken pair by pair, so a machine that gets slower
meanwhile slows both.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

from ratios import spread

URL = "postgresql://app:secret@pooled.db.prisma.io:5432/postgres?sslmode=require"
ENVIRON = {"DATABASE_URL": URL, "DIRECT_URL": URL.replace("pooled.", "")}

STATEMENTS = {
    "dj-database-url": "import dj_database_url; dj_database_url.config()",
    "ppg-integrations": "from ppg_integrations.django import databases; databases()",
    "nothing": "pass",
}

TIMED = """
import sys, time
start = time.perf_counter()
{statement}
print(time.perf_counter() - start)
heavy = {{"httpx", "psycopg", "psycopg2", "django.db", "dotenv"}} & set(sys.modules)
assert not heavy, heavy
"""


def seconds(statement: str) -> tuple[float, float]:
    """Seconds inside the interpreter, and for the whole process."""
    import time

    environ = {**os.environ, **ENVIRON}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # installed packages have theirs
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", TIMED.format(statement=statement)],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout), time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=40)
    runs = parser.parse_args().runs
    names = list(STATEMENTS)
    for name in names:
        seconds(STATEMENTS[name])  # the first one writes the bytecode
    inside: list[float] = []
    process: list[float] = []
    for run in range(runs):
        measured = {}
        for name in names if run % 2 else reversed(names):
            measured[name] = seconds(STATEMENTS[name])
        ours, theirs = measured["ppg-integrations"], measured["dj-database-url"]
        inside.append(ours[0] / theirs[0])
        process.append(ours[1] / theirs[1])
    result = {
        "runs": runs,
        "ratio of the statement (import and call)": spread(inside),
        "ratio of the whole process": spread(process),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
