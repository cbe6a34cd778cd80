"""System checks: one scenario for each id, and the cases that must stay silent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ppg_integrations.django.findings import PROBLEMS, SESSION_APPS, TABLE
from ppg_integrations.problems import TABLE as DOCTOR
from tests.django.project import ROOT

SETTINGS = """
SECRET_KEY = "for tests only"
INSTALLED_APPS = ["ppg_integrations.django"]
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What the checks say in each scenario; they connect to nothing, so one process does."""
    folder = tmp_path_factory.mktemp("checks")
    (folder / "settings.py").write_text(SETTINGS)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(__file__).with_name("check_scenarios.py"))],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
            "DJANGO_SETTINGS_MODULE": "settings",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


LEVELS = {"E": "Error", "W": "Warning", "I": "Info"}


def expect(found, scenario, identity, *words):
    matches = [one for one in found[scenario] if one[0] == identity]
    assert len(matches) == 1, found[scenario]
    _, level, message, hint = matches[0]
    assert level == LEVELS[identity.removeprefix("ppg.")[0]]
    assert hint
    for word in words:
        assert word in message + hint, (word, message, hint)


@pytest.mark.parametrize(
    ("scenario", "identity", "words"),
    [
        ("E001", "ppg.E001", ("DATABASE_URL", "ppg_connect create")),
        ("E001 direct", "ppg.E001", ("DATABASE_URL", "ppg_connect create")),
        ("E001 other", "ppg.W013", ("DATABASE_URL", "ppg_connect create")),
        ("W013", "ppg.W013", ("DATABASE_URL", "ppg_connect create")),
        ("W013 all", "ppg.W013", ("DATABASE_URL", "ppg_connect create")),
        ("W013 no tests", "ppg.W013", ("DATABASE_URL", "ppg_connect create")),
        ("E002", "ppg.E002", ("'default'", "direct_options=")),
        ("E003", "ppg.E003", ("'default'", "assume_role")),
        ("E004", "ppg.E004", ("'default'", "'direct'", "circular")),
        ("W001", "ppg.W001", ("'default'", "DISABLE_SERVER_SIDE_CURSORS")),
        ("W002", "ppg.W002", ("'flush'", "django.core", "INSTALLED_APPS")),
        ("W003", "ppg.W003", ("'direct'", "pooled.db.prisma.io", "DIRECT_URL")),
        ("W004 by databases()", "ppg.W004", ("'default'", "db.abcd.supabase.co", "DATABASE_URL")),
        ("W005", "ppg.W005", ("'default'", "native pool")),
        ("W006", "ppg.W006", ("ASGI", "30", "conn_max_age", "asgi=True")),
        ("W006 served", "ppg.W006", ("ASGI", "60")),
        (
            "W007",
            "ppg.W007",
            ("CONN_HEALTH_CHECKS", "60", "one look at the socket", "alive_window"),
        ),
        ("W008", "ppg.W008", ("prepare_threshold", "5")),
        *((f"W009 {app}", "ppg.W009", (app,)) for app in SESSION_APPS),
        ("W010", "ppg.W010", ("swapped", "DATABASE_URL", "DIRECT_URL")),
        ("W011", "ppg.W011", ("nothing_has_it",)),
        ("W012", "ppg.W012", ("'default'", "elsewhere.example")),
        ("W014", "ppg.W014", ("INSTALLED_APPS", "migrations run through the pooler")),
        (
            "W016",
            "ppg.W016",
            ("'archive' (DATABASE_URL", "'default' (DATABASE_URL", "environ={}", "pooled="),
        ),
        ("W016 by default", "ppg.W016", ("pooler.example:5432", "app, for the user u")),
        ("I001", "ppg.I001", ("DIRECT_URL",)),
        ("I002", "ppg.I002", ("server.example",)),
    ],
)
def test_each_id(found, scenario, identity, words):
    expect(found, scenario, identity, *words)


def test_every_id_has_a_scenario(found):
    given = {identity for messages in found.values() for identity, *_ in messages}
    assert given - set(DOCTOR) == set(TABLE)


def test_connections_that_another_handler_makes(found):
    said = [message for identity, _, message, _ in found["W015"] if identity == "ppg.W015"]
    assert [alias in message for alias, message in zip(("default", "direct"), said, strict=True)]
    assert len(said) == 2


@pytest.mark.parametrize(
    "scenario",
    [
        *("clean", "neon", "W012 replaced", "W012 replaced socket", "I002 local", "forced"),
        *("another database", "another user", "another server", "another port"),
    ],
)
def test_settings_without_a_fault_say_nothing(found, scenario):
    assert found[scenario] == []


@pytest.mark.parametrize(
    ("scenario", "identity"),
    [
        ("E002 neon", "ppg.E002"),
        ("E002 one endpoint", "ppg.E002"),
        ("W005 asgi", "ppg.W005"),
        ("W006 off", "ppg.W006"),
        ("W006 by default", "ppg.W006"),
        ("W007 off", "ppg.W007"),
        ("W008 none", "ppg.W008"),
        ("W008 client-side binding", "ppg.W008"),
        ("W008 asked for", "ppg.W008"),
        ("W008 neon", "ppg.W008"),
        ("W008 one endpoint", "ppg.W008"),
        ("W004 by databases()", "ppg.W010"),
        ("E001", "ppg.W013"),
        ("W013", "ppg.E001"),
        ("W016 changed", "ppg.W016"),
        ("W016 no URL", "ppg.W016"),
    ],
)
def test_near_misses_stay_silent(found, scenario, identity):
    assert identity not in [one[0] for one in found[scenario]]


@pytest.mark.parametrize(
    ("scenario", "identities"),
    [
        ("prepared, kept", []),
        ("prepared, kept, by options", []),
        ("prepared, lost", ["prepared-lost"]),
        ("prepared, lost, by options", ["prepared-lost"]),
        ("not prepared, lost", []),
        ("prepared, unknown, by options", ["ppg.W008"]),
    ],
)
def test_whether_the_pooler_keeps_what_is_prepared(found, scenario, identities):
    assert [one[0] for one in found[scenario]] == identities


def test_each_finding_of_the_probe_has_a_number_of_its_own():
    assert set(PROBLEMS) == set(DOCTOR)
    assert len(set(PROBLEMS.values())) == len(PROBLEMS)


def test_the_live_probe_runs_when_both_aliases_are_named(project, direct_logins):
    done = project.manage("check", "--database", "default", "--database", "direct")
    assert "ppg.E1" not in done.stderr
    assert direct_logins() > 0


def test_the_live_probe_finds_a_swapped_pair_on_hosts_that_say_nothing(project):
    project.environ |= {
        "DATABASE_URL": project.environ["DIRECT_URL"],
        "DIRECT_URL": project.environ["DATABASE_URL"],
    }
    done = project.manage("check", "--database", "default", "--database", "direct", status=1)
    assert f"ppg.E{PROBLEMS['swapped']}" in done.stderr
    # Neither the plain check nor migrate pays for the probe, nor is stopped by it.
    assert "ppg.E" not in project.manage("check").stderr
    done = project.manage("check", "--database", "default")
    assert "ppg.E" not in done.stderr
    done = project.manage("migrate", "shop")
    assert "ppg.E" not in done.stderr


def test_check_alone_connects_to_nothing(project, pooled_logins, direct_logins):
    project.manage("check")
    assert pooled_logins() == 0
    assert direct_logins() == 0
