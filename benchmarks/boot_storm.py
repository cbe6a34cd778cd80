"""Many processes that resolve at once: what the provider's API is asked, and what it costs in time.

A deployment with nothing but a token starts its processes together. One HOME, nothing in the cache,
and Neon's API played by a server on this machine that takes 50 ms for each answer. The processes
are forked from one that has imported the package, and wait at a barrier: real interpreters would
take turns at the two processors instead of meeting at the API. Each of them then calls
``resolve()``; a new round has a new cache. Wall time is from the barrier to the last answer, as a
ratio to one process alone, round by round.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from tests.support.doubles.base import Fault
from tests.support.doubles.neon import NeonDouble

from .ratios import explained, shown, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .suite import Result

OURS = "ppg-integrations"
#: Seconds that the API takes for an answer.
ANSWER = 0.05

_STORM = """
import json, os, sys, time
import ppg_integrations.remote, ppg_integrations.providers.neon, filelock, platformdirs, httpx
from ppg_integrations import resolve

count = int(sys.argv[1])
wait, go = os.pipe()
answers, answer = os.pipe()
for number in range(count):
    if not os.fork():
        os.close(go)
        os.read(wait, 1)
        try:
            pair = resolve(env_file=False)
            said = f"{pair.pooled.host} {pair.pooled_source.place[:6] or 'asked'}"
        except BaseException as error:
            said = f"! {type(error).__name__}"
        os.write(answer, (said.ljust(200)[:199] + "\\n").encode())  # in one piece: a pipe's promise
        os._exit(0)
os.close(answer)
time.sleep(0.2)  # they are all at the barrier
started = time.perf_counter()
os.close(go)
with os.fdopen(answers) as stream:
    found = [line.split() for line in stream]
took = time.perf_counter() - started
for _ in range(count):
    os.wait()
print(json.dumps({"seconds": took, "found": found}))
"""


def measure(*, quick: bool) -> Result:
    """See the module."""
    counts = (1, 2, 4, 8) if quick else (1, 2, 4, 8, 16, 32, 64, 128, 256)
    rounds = 2 if quick else 7
    times: dict[int, list[float]] = {count: [] for count in counts}
    rows: dict[int, dict[str, int]] = {count: {} for count in counts}
    with NeonDouble() as api:
        api.faults.append(Fault(delay=ANSWER, times=None, work=False))
        for number in range(rounds + 1):
            for count in counts if number % 2 else reversed(counts):
                before = api.count()
                took, asked, failed, hosts = storm(api, count)
                if number == 0:
                    continue  # the first round writes bytecode and warms caches
                times[count].append(took)
                for name, value in {
                    "API calls": api.count() - before,
                    "asked": asked,
                    "failed": failed,
                    "pairs": hosts,
                }.items():
                    rows[count][name] = max(value, rows[count].get(name, 0))
    return {
        "rounds": rounds,
        "processes": {
            str(count): {
                **rows[count],
                "time": spread(
                    [mine / one for mine, one in zip(times[count], times[1], strict=True)]
                ),
            }
            for count in counts
        },
    }


def storm(api: NeonDouble, count: int) -> tuple[float, int, int, int]:
    """One of them: seconds, how many asked the API, how many failed, how many pairs there were."""
    with tempfile.TemporaryDirectory(prefix="ppg-bench-") as home:
        environ = {"PATH": os.environ["PATH"], "HOME": home, "XDG_CACHE_HOME": home}
        done = subprocess.run(
            [sys.executable, "-c", _STORM, str(count)],
            env={**environ, **api.environ(PPG_PROVIDER="neon", PPG_TIMEOUT="30")},
            cwd=home,
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
            start_new_session=True,
        )
    document = json.loads(done.stdout)
    found = document["found"]
    assert len(found) == count, f"{len(found)} of {count} processes answered"
    failed = [row for row in found if row[0] == "!"]
    asked = [row for row in found if row[1:] == ["asked"]]
    return document["seconds"], len(asked), len(failed), len({row[0] for row in found})


def tables(result: Result) -> str:
    """A row for each number of processes."""
    lines = [
        "| processes | of them ask the API | requests to it | failed | time, against one process |",
        "|---|---|---|---|---|",
    ]
    for count, row in result["processes"].items():
        lines.append(
            f"| {count} | {row['asked']} | {row['API calls']} | {row['failed']} "
            f"| {shown(row['time'])} |"
        )
    lines += ["", explained(result["rounds"])]
    lines += ["", "![Time of many processes at once](benchmarks/boot_storm.svg)"]
    return "\n".join(lines)


def charts(result: Result) -> dict[str, Figure]:
    """Time over the number of processes."""
    from .charts import lines

    rows = result["processes"]
    return {
        "boot_storm": lines(
            {
                OURS: [(int(count), row["time"]["median"]) for count, row in rows.items()],
                "requests to the API": [
                    (int(count), row["API calls"] / rows["1"]["API calls"])
                    for count, row in rows.items()
                ],
            },
            ours=OURS,
            title="Many processes at once, with an empty cache",
            across="processes",
            label="times one process alone",
            log="x",
        )
    }
