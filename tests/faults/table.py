"""The table of docs/explanation/faults.md: written by benchmarks/faults.py, compared by the tests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tests.faults.stage import FAULTS

PAGE = Path(__file__).resolve().parents[2] / "docs/explanation/faults.md"
BEGIN, END = "<!-- the table: python benchmarks/faults.py -->", "<!-- end of the table -->"

#: By command and place, then by fault.
Cells = Mapping[tuple[str, str], Mapping[str, str]]


def rendered(cells: Cells) -> str:
    """As Markdown."""
    lines = [_line(["command", "fault at", *FAULTS]), _line(["---"] * (len(FAULTS) + 2))]
    lines += [_line([*key, *row.values()]) for key, row in cells.items()]
    return "\n".join(lines)


def write(cells: Cells) -> None:
    text = PAGE.read_text()
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{rendered(cells)}\n{END}{after}")


def read() -> Cells:
    text = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.split("\n")[3:-1]
    ]
    assert rows and all(len(row) == len(FAULTS) + 2 for row in rows)
    return {(row[0], row[1]): dict(zip(FAULTS, row[2:], strict=True)) for row in rows}


def without_seconds(cell: str) -> str:
    return re.sub(r", \d+ s$", "", cell)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
