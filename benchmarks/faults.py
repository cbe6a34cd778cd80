"""What each command does when the network fails, and how long it takes to say so.

    python benchmarks/faults.py [--workers 4] [--connect 20] [--api 30] [--only TEXT] [--write]

Puts a proxy in front of the pooled endpoint, the direct one and the provider's API (a double), has
it do one thing wrong at a time, and runs every command as a user does. With the default limits it
takes a quarter of an hour, nearly all of it waiting. `--write` puts the table into
docs/explanation/faults.md. Exits with 1 if a command hung, left something behind or could not be
finished by the next run.
"""

from __future__ import annotations

import argparse
import queue
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ppg_integrations.providers.local.servers import LocalServers
from tests.faults import apps, table, verbs
from tests.faults.stage import FAULTS, Stage, in_a_process

MIDDLE = {
    "`manage.py migrate`, in the middle": apps.DJANGO,
    "`flask db upgrade`, in the middle": apps.FLASK,
}
WAITS = "waits¹"


class Worker(threading.Thread):
    """Takes one case after the other, on stages of its own."""

    def __init__(self, run: Run, number: int) -> None:
        super().__init__(name=f"worker-{number}")
        self._run, self._number = run, number

    def run(self) -> None:
        with ExitStack() as stack:
            stages: dict[bool, Stage] = {}
            while True:
                try:
                    case = self._run.cases.get_nowait()
                except queue.Empty:
                    return
                try:
                    self._do(case, stages, stack)
                except Exception as error:  # noqa: BLE001 - goes into the table
                    self._run.finished(case, f"{type(error).__name__}: {error}", ["it did not end"])
                    for stage in stages.values():
                        stage.heal()

    def _do(self, case: Case, stages: dict[bool, Stage], stack: ExitStack) -> None:
        _, fault, row = case
        neon = getattr(row, "neon", False)
        if neon not in stages:
            stages[neon] = self._stage(neon, stack)
        stage = stages[neon]
        if isinstance(row, str):
            outcome = apps.in_the_middle(stage, row, reset=fault == "hangs up later")
        elif isinstance(row, apps.Row):
            outcome = apps.outcome(stage, row, fault)
        else:
            outcome = verbs.outcome(stage, row, fault, in_a_process)
        if outcome.seconds > verbs.at_most(self._run.limits):
            outcome.complaints.append("later than the deadline")
        self._run.finished(case, str(outcome), outcome.complaints)

    def _stage(self, neon: bool, stack: ExitStack) -> Stage:
        folder = self._run.folder / f"{'neon' if neon else 'shop'}-{self._number}"
        folder.mkdir()
        stage = Stage(self._run.servers, folder, neon=neon, limits=self._run.limits)
        stack.enter_context(stage)
        apps.written(stage)
        if not neon:
            verbs.prepared(stage, in_a_process)
            apps.prepared(stage)
        return stage


Case = tuple[tuple[str, str], str, Any]


class Run:
    """All cases, and what became of them."""

    def __init__(
        self, servers: LocalServers, folder: Path, limits: tuple[float, float], only: str
    ) -> None:
        self.servers, self.folder, self.limits, self.only = servers, folder, limits, only
        self.cases: queue.Queue[Case] = queue.Queue()
        self.cells: dict[tuple[str, str], dict[str, str]] = {}
        self.wrong: list[str] = []
        self._lock = threading.Lock()
        for verb in verbs.ROWS:
            self._add((f"`{verb.verb}`", _place(verb)), verb, frozenset())
        for row in apps.ROWS:
            endless = {fault for fault, each in apps.ENDLESS if each == row}
            self._add((row.name, _place(row)), row, endless)
        for name, framework in MIDDLE.items():
            others = set(FAULTS) - {"hangs up later"}
            self._add((name, "direct"), framework, others, "")

    def _add(self, key: Any, row: Any, skipped: Any, instead: str = WAITS) -> None:
        if self.only not in " at ".join(key):
            self.cells[key] = dict(table.read()[key])
            return
        self.cells[key] = dict.fromkeys(FAULTS, instead)
        for fault in FAULTS:
            if fault not in skipped:
                self.cases.put((key, fault, row))

    def finished(self, case: Case, cell: str, complaints: list[str]) -> None:
        key, fault, _ = case
        with self._lock:
            self.cells[key][fault] = cell
            self.wrong += [f"{' at '.join(key)}, {fault}: {text}" for text in complaints]
            print(f"{self.cases.qsize():>4} to go  {' at '.join(key)}, {fault}: {cell}", flush=True)


def _place(row: Any) -> str:
    name = row.place or "both"
    return f"{name} (no `.env`)" if row.neon else name


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--connect", type=float, default=20.0)
    parser.add_argument("--api", type=float, default=30.0)
    parser.add_argument("--only", default="", help="rows with this text; the others as on the page")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ppg-faults-") as folder:
        Path(folder).chmod(0o711)
        servers = LocalServers(
            Path(folder, "app/.ppg/local"), settings={"fsync": "off", "full_page_writes": "off"}
        )
        try:
            servers.start()
            run = Run(servers, Path(folder), (asked.connect, asked.api), asked.only)
            workers = [Worker(run, number) for number in range(asked.workers)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        finally:
            servers.erase()
    print(table.rendered(run.cells), *run.wrong, sep="\n")
    if asked.write:
        table.write(run.cells)
    return 1 if run.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
