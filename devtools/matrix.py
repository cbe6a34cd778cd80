"""The environments of tox.ini: which can run here, and how they fared."""

from __future__ import annotations

import configparser
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .interpreters import SUPPORTED


class Counts(NamedTuple):
    """Numbers of tests."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0


class Row(NamedTuple):
    """How one environment fared; `counts` is what it adds to the closing line."""

    name: str
    python: str
    verdict: str
    tests: str
    seconds: str
    counts: Counts


def expected(tox_ini: Path) -> list[str]:
    """The environments that tox.ini lists, one a line there."""
    ini = configparser.ConfigParser(interpolation=None)
    ini.read(tox_ini)
    return ini["tox"]["env_list"].split()


def plan(names: Iterable[str], found: Mapping[str, str]) -> dict[str, str | None]:
    """Environment -> version of the Python that it runs on, None where that is missing here."""
    versions: dict[str, str | None] = {}
    for name in names:
        match = re.match(r"py3(\d+)-", name)
        if match:
            version = f"3.{match[1]}"
            versions[name] = version if version in found else None
        elif name == "lowest":
            versions[name] = next((v for v in SUPPORTED if v in found), None)
        else:
            versions[name] = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return versions


def counts(report: Path) -> Counts | None:
    """What pytest's own JUnit report counted; None where there is none."""
    try:
        suites = list(ET.parse(report).getroot().iter("testsuite"))  # noqa: S314  (pytest wrote it)
    except (OSError, ET.ParseError):
        return None

    def total(*attributes: str) -> int:
        return sum(int(suite.get(attribute, 0)) for suite in suites for attribute in attributes)

    failed, skipped = total("failures", "errors"), total("skipped")
    # A test that fails and whose fixture then fails too is two failures of one test.
    return Counts(max(total("tests") - failed - skipped, 0), failed, skipped)


def judge(
    versions: Mapping[str, str | None],
    journal: Mapping[str, Any],
    reports: Mapping[str, Counts | None],
    *,
    strict: bool,
) -> list[Row]:
    """A row for each environment.

    One that failed without a failing test (lint, an installation), one that tox left out, and with
    `strict` one whose Python is missing, count as one failure each.

    Args:
        journal: ``testenvs`` of tox's result file.
    """
    rows = []
    for name, version in versions.items():
        if version is None:
            verdict = f"{'MISSING' if strict else 'left out'}: no such Python here"
            rows.append(Row(name, "-", verdict, "", "", Counts(failed=int(strict))))
            continue
        result, report = journal.get(name, {}).get("result", {}), reports.get(name)
        ran = bool(result) and not result["skipped"]
        sums = report or Counts()
        passed = ran and result["success"] and not sums.failed
        if not passed and not sums.failed:
            sums = sums._replace(failed=1)
        rows.append(
            Row(
                name,
                version,
                "passed" if passed else "FAILED" if ran else "DID NOT RUN",
                str(report.passed + report.failed) if report else "-",
                f"{result['duration']:.0f}" if ran else "",
                sums,
            )
        )
    return rows


def table(rows: Iterable[Row]) -> str:
    head = ("environment", "Python", "result", "tests", "seconds")
    return "\n".join(
        f"{name:<17}{python:<9}{verdict:<31}{tests:>6}{seconds:>10}".rstrip()
        for name, python, verdict, tests, seconds in [head, *(row[:5] for row in rows)]
    )


def total(all_counts: Iterable[Counts]) -> Counts:
    everything = list(all_counts)
    return Counts(*(sum(column) for column in zip(Counts(), *everything, strict=True)))


def closing(sums: Counts) -> str:
    """The last line: the tests of all environments together."""
    skipped = f", {sums.skipped} skipped" if sums.skipped else ""
    return f"{sums.passed} passed, {sums.failed} failed{skipped}"
