"""The arithmetic of the benchmarks that are about start-up, memory, migrations and growth."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from benchmarks import memory, migrations, ratios, startup

pytestmark = pytest.mark.once


def spread(median: float) -> ratios.Spread:
    return ratios.spread([median])


@pytest.mark.parametrize("power", [0, 1, 2])
def test_the_exponent_is_the_power(power: int) -> None:
    from benchmarks import growth

    points = [(10.0**count, 3.0 * 10 ** (count * power)) for count in range(1, 5)]
    assert growth.exponent(points) == pytest.approx(power)


def test_what_memory_is_added_is_the_difference_of_the_medians() -> None:
    found = {
        memory.PEER: [(100.0, 110.0), (300.0, 310.0), (200.0, 210.0)],
        memory.OURS: [(250.0, 280.0), (9000.0, 9000.0), (240.0, 270.0)],
    }
    summed = memory.summed(found)
    assert summed["after setup"]["added"] == 50
    assert summed["after requests"]["added"] == 70
    assert "| after setup | 50 KiB | 25.0% |" in memory.tables(
        {"goal KiB": 1024, "rounds": 3, **summed}
    )


def test_each_migration_follows_the_one_before(tmp_path: Path) -> None:
    migrations.write(tmp_path, 30)
    steps = sorted((tmp_path / "shop/migrations").glob("0*.py"))
    assert len(steps) == 30
    for before, step in zip([None, *steps], steps, strict=False):
        text = step.read_text(encoding="utf-8")
        ast.parse(text)
        wanted = [] if before is None else [("shop", before.stem)]
        assert f"dependencies = {wanted}" in text
    written = "".join(step.read_text(encoding="utf-8") for step in steps)
    for operation in ("CreateModel", "AddField", "AddIndex", "AlterField", "RunPython(work"):
        assert operation in written


def test_a_goal_stands_beside_the_figure_that_it_is_for() -> None:
    places = {name: spread(2.0) for name in startup.SETTINGS}
    result = {place: places for place in ("interpreter", "settings", "setup")}
    result["rounds"] = {"interpreter": 1}
    rows = {row.split(" | ")[0]: row for row in startup.tables(result).splitlines()}
    assert rows[f"| {startup.OURS}"].endswith("| 1.1 |")
    assert rows[f"| {startup.CACHED}"].endswith("| 1.5 |")
    assert rows["| django-environ"].endswith("|  |")
