"""Some of the table of docs/explanation/faults.md, with shorter limits; benchmarks/faults.py runs all of it."""

from __future__ import annotations

import threading

import pytest

from ppg_integrations import drivers
from tests.faults import table, verbs
from tests.faults.conftest import LIMITS, in_this_process
from tests.faults.stage import FAULTS, Stage

CASES = [
    ("show", None, "silent"),
    ("run -- true", None, "lost"),
    ("list", "API", "refused"),
    ("list", "API", "goes silent"),
    ("create", "API", "hangs up later"),
    ("create", "pooled", "refused"),
    ("create", "direct", "hangs up later"),
    ("rotate --grace 0", "API", "silent"),
    ("rotate --grace 0", "pooled", "hangs up in the login"),
    ("rotate --grace 0", "direct", "lost"),
    ("revoke ID", "API", "hangs up"),
    ("doctor", "API", "hangs up in the login"),
    ("doctor", "pooled", "goes silent"),
    ("doctor", "direct", "hangs up"),
    ("doctor", "direct", "slow"),
]


def checked(stage: Stage, row: verbs.Row, fault: str, place: str) -> verbs.Outcome:
    outcome = verbs.outcome(stage, row, fault, in_this_process)
    assert outcome.complaints == []
    assert outcome.seconds < verbs.at_most(LIMITS)
    cell = table.read()[f"`{row.verb}`", place][fault]
    assert outcome.what == table.without_seconds(cell), outcome.message
    return outcome


@pytest.mark.parametrize(("verb", "place", "fault"), CASES)
def test_a_verb_ends_and_says_what_is_wrong(stage, verb, place, fault):
    outcome = checked(stage, verbs.Row(verb, place), fault, place or "both")
    if outcome.status:
        port = stage.places[place].port
        assert f"127.0.0.1:{port}" in outcome.message
        assert outcome.message.partition("\n")[2], "the next thing to do"


@pytest.mark.parametrize("fault", ["refused", "silent"])
def test_a_pair_that_only_the_api_knows(bare, fault):
    outcome = checked(bare, verbs.Row("show", "API", neon=True), fault, "API (no `.env`)")
    assert "Neon's API" in outcome.message


def test_what_was_generated_is_kept_and_taken_up(stage, monkeypatch):
    """The error says so; the next run generates nothing more, and waits for a database that wakes."""
    monkeypatch.setitem(drivers.PATIENCE, "closed", 3.0)
    stage.spoil("direct", "refused")
    failed = in_this_process(["create", "--json"], stage.folder, stage.environ)
    assert failed.status == 1
    assert "was generated and kept" in failed.out
    assert stage.under_way()
    stage.heal()
    made = stage.double.count("POST", "connections")
    stage.spoil("direct", "hangs up in the login")
    awake = threading.Timer(0.4, stage.heal)
    awake.start()
    assert in_this_process(["create", "--json"], stage.folder, stage.environ).status == 0
    awake.join()
    assert stage.double.count("POST", "connections") == made
    assert not stage.under_way()


def test_a_database_that_wakes_makes_no_verb_fail(stage, monkeypatch):
    monkeypatch.setitem(drivers.PATIENCE, "closed", 3.0)
    for verb in ("create", "rotate --grace 0", "doctor"):
        stage.spoil("direct", "hangs up in the login")
        awake = threading.Timer(0.4, stage.heal)
        awake.start()
        done = in_this_process([*verb.split(), "--json"], stage.folder, stage.environ)
        awake.join()
        assert done.status == 0, done.out


def test_a_message_for_people_is_short(stage):
    stage.spoil("pooled", "hangs up")
    done = in_this_process(["create"], stage.folder, stage.environ)
    stage.heal()
    assert done.status == 1
    assert done.out == ""
    assert "abnormally" not in done.err
    assert "create again" in done.err
    assert in_this_process(["create"], stage.folder, stage.environ).status == 0


def test_the_table_is_whole():
    cells = table.read()
    for row in verbs.ROWS:
        place = f"{row.place or 'both'} (no `.env`)" if row.neon else row.place or "both"
        assert all(cells[f"`{row.verb}`", place][fault] for fault in FAULTS)
