"""Walks through the real APIs, and says where the doubles differ from them."""

from __future__ import annotations

import os

import pytest

from ppg_integrations.providers.settings import Settings
from tests.live.shapes import differences, recorded
from tests.live.walks import WALKS
from tests.providers.cases import started

# Taken while this is collected: each test runs without our variables.
ENVIRON = dict(os.environ)
CHOSEN = [name.strip() for name in ENVIRON["PPG_LIVE"].split(",") if name.strip()]


@pytest.mark.parametrize("name", CHOSEN)
def test_the_real_api_and_the_double_go_the_same_way(name, servers, capsys):
    assert name in WALKS, f"PPG_LIVE names {name!r}; there are {', '.join(WALKS)}"
    walk = WALKS[name]

    def report(text):
        with capsys.disabled():
            print(f"\n  {text}", end="", flush=True)

    real = walk(Settings({"PPG_TIMEOUT": "120", **ENVIRON}), report)
    with recorded(real.common) as reality:
        real.run()
    with started(name, servers) as case:
        settings = {"PPG_API_URL": case.double.url, case.token: case.double.token}
        rehearsal = walk(Settings(settings), lambda _: None)
        with recorded(rehearsal.common) as doubled:
            rehearsal.run()
    for line in differences(reality, doubled) or ["the double answers as the real API does"]:
        report(f"{name}: {line}")
