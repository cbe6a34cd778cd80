"""The live suite is ready: it runs here against the doubles as if they were the real APIs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ppg_integrations.errors import ProviderError
from ppg_integrations.providers.settings import Settings
from tests.live.shapes import differences, recorded, template
from tests.live.walks import WALKS
from tests.providers.cases import HOSTED, started
from tests.support.programs import ROOT

pytestmark = pytest.mark.once


def walk_of(case):
    environ = {"PPG_API_URL": case.double.url, case.token: case.double.token}
    return WALKS[case.name](Settings(environ), lambda _: None)


def names(case):
    """Of the double's projects."""
    walk = walk_of(case)
    with walk._api() as api:
        return [each.text("name") for each in api.get(*walk.projects).fields.each(walk.items)]


def walked(name, servers, answer=None):
    with started(name, servers) as case:
        if name == "neon":
            case.double.personal = False  # so that the test may list without an organization
        case.answer = answer or case.answer
        walk = walk_of(case)
        with recorded(walk.common) as shapes:
            walk.run()
        assert names(case) == ["shop"]
    return shapes


def test_every_hosted_provider_has_a_walk():
    assert set(WALKS) == set(HOSTED)


@pytest.mark.parametrize("name", WALKS)
def test_a_walk_uses_and_deletes_its_own_project(name, servers):
    def longer(answer):
        if isinstance(answer, dict) and answer:
            return {**answer, "somethingNew": 1}
        return answer

    usual = walked(name, servers)
    assert len(usual) > 4
    assert differences(usual, usual) == []
    other = walked(name, servers, longer)
    found = differences(other, usual)
    assert found
    assert all(line.endswith("only the real API has somethingNew (number)") for line in found), (
        found
    )


def test_a_walk_that_fails_deletes_its_project_all_the_same(servers):
    with started("casedev", servers) as case:
        case.double.fail("POST", "/branches", status=500, body="{}")
        with pytest.raises(ProviderError):
            walk_of(case).run()
        assert names(case) == ["shop"]


def test_differences_name_members_and_never_values():
    real = {"GET /projects/{}": {"": {"status 200"}, "id": {"number"}, "new": {"text"}}}
    double = {"GET /projects/{}": {"": {"status 200"}, "id": {"text"}, "old": {"text"}}}
    assert differences(real, double) == [
        "GET /projects/{}: id is number at the real API, and text at the double",
        "GET /projects/{}: only the double has old",
        "GET /projects/{}: only the real API has new (text)",
    ]
    assert differences(real, {}) == ["GET /projects/{}: only the real API was asked"]
    assert differences({}, double) == ["GET /projects/{}: only the double was asked"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/api/v2/projects/p-1/branches/br-2?limit=1", "/projects/{}/branches/{}"),
        ("https://h/api/v2/projects", "/projects"),
        ("https://h/api/v2/projects/a%2Fb/connection_uri", "/projects/{}/connection_uri"),
    ],
)
def test_paths_are_compared_without_ids(url, shown):
    assert template(url, "/api/v2") == shown


def run_pytest(*arguments, **more):
    environ = {key: value for key, value in os.environ.items() if key != "PYTEST_XDIST_WORKER"}
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, "tests/live"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**environ, **more},
        timeout=120,
    )
    return answer.returncode, answer.stdout + answer.stderr


def test_without_the_switch_nothing_of_it_is_collected():
    status, output = run_pytest("--collect-only", NEON_API_KEY="napi_real")
    assert status == pytest.ExitCode.NO_TESTS_COLLECTED, output
    assert "test_live" not in output


def test_with_the_switch_it_runs_prints_and_shows_no_secret(servers):
    with started("casedev", servers) as case:
        status, output = run_pytest(
            PPG_LIVE="casedev",
            CASEDEV_API_KEY=case.double.token,
            CASEDEV_BASE_URL=case.double.url,
        )
        assert status == 0, output
        assert "casedev: the double answers as the real API does" in output
        assert "transaction-pooler" in output
        assert case.double.token not in output
        assert "://" not in output
        assert names(case) == ["shop"]


def test_a_name_that_is_no_provider_is_told():
    status, output = run_pytest(PPG_LIVE="oracle")
    assert status == 1
    assert "there are prisma, neon, casedev" in output
