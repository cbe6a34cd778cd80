"""What ran, what did not, and how many tests: real numbers, and no failure lost."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from devtools import matrix
from devtools.interpreters import SUPPORTED
from devtools.matrix import Counts

ROOT = Path(__file__).resolve().parents[2]


def test_each_environment_gets_its_python_or_none() -> None:
    names = ["lint", "lowest", "py310-django52", "py311-django52"]
    assert matrix.plan(names, {"3.11": "/usr/bin/python3.11"}) == {
        "lint": f"3.{sys.version_info[1]}",
        "lowest": "3.11",
        "py310-django52": None,
        "py311-django52": "3.11",
    }


def test_tox_runs_every_supported_python_and_the_metadata_says_the_same() -> None:
    names = matrix.expected(ROOT / "tox.ini")
    tested = sorted({f"3.{name[3:5]}" for name in names if name.startswith("py3")})
    assert tested == list(SUPPORTED)
    classified = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text())
    assert classified == list(SUPPORTED)
    assert {"audit", "lint", "lowest", "psycopg2", "packaging"} <= set(names)


def test_counts_come_from_the_report_of_pytest(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    assert matrix.counts(report) is None
    report.write_text("<torn")
    assert matrix.counts(report) is None
    report.write_text(
        '<testsuites><testsuite errors="1" failures="2" skipped="3" tests="10"/></testsuites>'
    )
    assert matrix.counts(report) == Counts(passed=4, failed=3, skipped=3)


def result(*, success: bool, skipped: bool = False) -> dict[str, object]:
    return {"result": {"success": success, "skipped": skipped, "duration": 2.4}}


def test_what_failed_without_a_failing_test_counts_as_one() -> None:
    versions = {
        "lint": "3.11",
        "py311-django52": "3.11",
        "py312-django52": "3.12",
        "py312-django60": "3.12",
        "py313-django52": None,
    }
    journal = {
        "lint": result(success=False),
        "py311-django52": result(success=True),
        "py312-django52": result(success=True, skipped=True),
    }
    reports = {"py311-django52": Counts(passed=7, skipped=1)}
    rows = matrix.judge(versions, journal, reports, strict=False)
    assert [row.verdict for row in rows] == [
        "FAILED",
        "passed",
        "DID NOT RUN",
        "DID NOT RUN",
        "left out: no such Python here",
    ]
    assert matrix.total(row.counts for row in rows) == Counts(passed=7, failed=3, skipped=1)
    rows = matrix.judge(versions, journal, reports, strict=True)
    assert rows[-1].verdict == "MISSING: no such Python here"
    assert matrix.total(row.counts for row in rows) == Counts(passed=7, failed=4, skipped=1)


def test_failing_tests_are_counted_as_they_are() -> None:
    reports = {"py311-django52": Counts(passed=5, failed=2)}
    journal = {"py311-django52": result(success=False)}
    (row,) = matrix.judge({"py311-django52": "3.11"}, journal, reports, strict=True)
    assert (row.verdict, row.tests, row.counts) == ("FAILED", "7", Counts(passed=5, failed=2))


def test_the_closing_line_names_skipped_tests_only_where_there_are_some() -> None:
    assert matrix.closing(Counts(passed=1)) == "1 passed, 0 failed"
    assert matrix.closing(Counts(passed=1, skipped=2)) == "1 passed, 0 failed, 2 skipped"


def test_the_table_lines_up() -> None:
    row = matrix.Row("py311-django52", "3.11", "passed", "312", "41", Counts(passed=312))
    lines = matrix.table([row]).splitlines()
    assert len(lines) == 2
    assert len(set(map(len, lines))) == 1
