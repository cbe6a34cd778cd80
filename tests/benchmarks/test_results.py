"""What a quick run gives can be shown: the tables and the charts of every benchmark.

Each ``measure()`` is the real one; what it measures with is not: no server, no load.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

import ppg_integrations.probe
from benchmarks import growth, servers, suite
from benchmarks.__main__ import printed, written
from benchmarks.clients import Found
from benchmarks.delaying import Counts
from benchmarks.options import NAMES, PAGE, replaced
from benchmarks.ratios import MANY, explained, spread
from benchmarks.reasons import commonest, said
from ppg_integrations import drivers
from ppg_integrations.urls import PostgresURL

pytestmark = pytest.mark.once

URL = PostgresURL.parse("postgresql://app:secret@127.0.0.1:6432/shop?sslmode=require")
TRIPS = iter(range(1000))


class _Anything:
    """A database, a server, a network, and whatever they are asked for."""

    pooled = direct = URL
    target = ("127.0.0.1", 6432)
    port = 1
    servers = SimpleNamespace(
        counters=lambda _: SimpleNamespace(pooled_logins=1, pooled_transactions=0),
        status=lambda: SimpleNamespace(pooler="PgBouncer 1.24.1"),
    )

    def through(self, _: int) -> _Anything:
        return self

    def plain(self) -> _Anything:
        return self

    def connections(self) -> int:
        return 3

    def counts(self) -> Counts:
        number = next(TRIPS)
        return Counts(number, number, number)


class _API:
    """A provider's, which is asked something all the time."""

    def __init__(self) -> None:
        self.faults: list[object] = []

    def __enter__(self) -> _API:
        return self

    def __exit__(self, *_: object) -> None:
        """It did not run."""

    def count(self) -> int:
        return next(TRIPS)


@contextmanager
def _entered(*_: object, **__: object) -> Iterator[_Anything]:
    yield _Anything()


@contextmanager
def _each(_made: object, _server: object, known: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {name: _Anything() for name in known}


def _loaded(*_: object, clients: int = 8, **__: object) -> Found:
    errors = {"500 OperationalError: no more connections": 2} if clients == 100 else {}
    return Found(0.5, 28, 30, errors, [0.01] * 28)


def _value(*_: object, **__: object) -> float:
    return 0.5


def _programs(place: str, *_: object) -> dict[str, Callable[[], float]]:
    from benchmarks import startup

    return dict.fromkeys(startup.SETTINGS, _value)


@contextmanager
def _running(programs: dict[str, str], _: object) -> Iterator[dict[str, Callable[..., float]]]:
    yield dict.fromkeys(programs, _value)


def _compared(*_: object) -> Any:
    from benchmarks import preparing

    return {unit: dict.fromkeys(("default", "prepared"), spread([1.0])) for unit in preparing.UNITS}


_SERVERS = {"database": _entered, "load": _loaded}
#: What stands for what in each of them.
DOUBLES: dict[str, dict[str, Any]] = {
    "startup": {"environments": _entered, "programs": _programs},
    "memory": {"database": _entered, "used": lambda *_: (1000.0, 1100.0)},
    "throughput": {**_SERVERS, "started": _each},
    "delay": {**_SERVERS, "started": _each, "delaying": _entered, "trips": lambda *_: 1},
    "saturation": {**_SERVERS, "serving": _entered, "_fill": _value},
    "pooled_asgi": {**_SERVERS, "serving": _entered},
    "idle_check": {"database": _entered, "delaying": _entered, "running": _running},
    "prepared": {"apart": _compared},
    "boot_storm": {"NeonDouble": _API, "storm": lambda *_: (0.1, 1, 0, 1)},
    "migrations": {"database": _entered, "seconds": _value, "through_pooler": lambda _: 0},
    "growth": {"seconds": _value, "CASES": dict.fromkeys(growth.CASES, (_value, 10_000))},
}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """What a quick run gives."""

    def measured(name: str) -> dict[str, Any]:
        benchmark = suite.named(name)
        for word, double in DOUBLES[name].items():
            assert hasattr(benchmark, word)
            monkeypatch.setattr(benchmark, word, double)
        # Asked for where they are used.
        monkeypatch.setattr(servers, "database", _entered)
        monkeypatch.setattr(drivers, "connect", lambda _: SilentConnection())
        monkeypatch.setattr(
            ppg_integrations.probe, "probe", lambda _: SimpleNamespace(prepared=True)
        )
        return benchmark.measure(quick=True)

    return measured


class SilentConnection:
    """Of a driver."""

    def __enter__(self) -> SilentConnection:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def execute(self, _: str) -> None:
        """Nothing to do."""


def test_every_benchmark_is_here() -> None:
    assert {*DOUBLES} == {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_what_a_quick_run_gives_can_be_shown_and_written(name, quick, tmp_path):
    found = json.loads(json.dumps(quick(name)))  # as whoever reads the file has it

    text, files = written(name, found, tmp_path, docs=False)

    assert "|" in text
    assert sorted(files) == sorted(tmp_path.iterdir())
    assert files[0].name == f"{name}.json"
    for picture in files[1:]:
        assert "<svg" in picture.read_text(encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    assert f"\n\n{text.strip()}\n\n<!-- {name}: end -->" in replaced(page, name, text)


def test_rounds_are_kept_and_what_the_spread_is_is_said(quick) -> None:
    few, many = (spread([float(each) for each in range(count)]) for count in (3, MANY))

    assert (few["low"], few["median"], few["high"]) == (0, 1, 2)
    assert few["rounds"] == [0, 1, 2]
    assert (many["low"], many["high"]) == (1, 8)
    assert "lowest" in explained(3)
    assert "a tenth" in explained(MANY)
    assert explained(MANY, 0.5).startswith("10 rounds of 0.5 s each")


def test_a_failure_in_any_round_is_seen_with_its_reason() -> None:
    from benchmarks import saturation

    def round_(failed: float) -> list[dict[str, Any]]:
        errors = {"500 OperationalError: FATAL: no more": 1} if failed else {}
        points = [
            {"clients": 1, "failed": 0.0, "latency": {"0.5": 1.0, "0.99": 2.0}, "errors": {}},
            {
                "clients": 100,
                "failed": failed,
                "latency": {"0.5": 5.0, "0.99": 9},
                "errors": errors,
            },
        ]
        return [*points, {**points[0], "clients": 1}]

    good = [round_(0.0)] * 3
    bad = [round_(0.0), round_(0.0004), round_(0.0)]
    setups = {"twice": {"expert": good, saturation.OURS: bad}}
    text = saturation.tables({"cap": 50, "rounds": 3, "setups": setups})

    assert "| expert | 0 | 0 | 0 |" in text
    assert f"| {saturation.OURS} | 0 | **0.1%** | 0 |" in text
    assert f"`500 OperationalError: FATAL: no more` ({saturation.OURS})" in text
    assert "| expert, 99th | 2 (2 to 2) | 9 (9 to 9) | 2 (2 to 2) |" in text


def test_a_reason_has_no_place_and_no_name() -> None:
    long = (
        'OperationalError: connection failed: connection to server at "10.0.0.N", port N failed: '
    )
    found = commonest({f'500 {long}FATAL: role "bench_x" | `is` refused': 5, "500 other": 2})

    assert found == "500 OperationalError: FATAL: role / 'is' refused"
    assert len(commonest({"x" * 500: 1})) < 120
    assert said({"one": {}, "two": {"late": 1}, "three": {"late": 3}}) == (
        "Most frequent error: `late` (two, three)."
    )
    assert said({"one": {}}) == ""


def test_a_terminal_gets_no_pictures_and_a_quick_run_no_goals() -> None:
    text = "| a | goal |\n|---|---|\n| 1 | 1.1 |\n\nWords.\n\n| b | c |\n|---|---|\n| 2 | 3 |\n\n![P](p)"

    assert printed(text, quick=False) == text.removesuffix("\n\n![P](p)")
    assert printed(text, quick=True).startswith("| a |\n|---|\n| 1 |\n\nWords.\n\n| b | c |\n")


def test_a_page_is_not_given_what_is_not_for_it(
    quick, tmp_path, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- prepared: begin -->old<!-- prepared: end -->", encoding="utf-8")
    monkeypatch.setattr("benchmarks.__main__.PAGE", page)
    monkeypatch.setattr("benchmarks.__main__.PICTURES", tmp_path)
    found = quick("prepared")
    out = tmp_path / "out"
    out.mkdir()

    written("prepared", without(found, "pooled"), out, docs=True)
    assert "old" in page.read_text(encoding="utf-8")
    assert "PPG_PGBOUNCER" in capsys.readouterr().err
    assert {each.name for each in out.iterdir()} == {"prepared.json", "prepared.svg"}

    written("prepared", found, out, docs=True)
    assert "Through PgBouncer 1.24.1" in page.read_text(encoding="utf-8")
    assert (tmp_path / "prepared.svg").exists()


def without(found: dict[str, Any], name: str) -> dict[str, Any]:
    return {each: value for each, value in found.items() if each != name}
