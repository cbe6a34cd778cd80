"""A short run of each campaign, by its own generator and by hypothesis, which makes findings small."""

from __future__ import annotations

from random import Random, SystemRandom

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import answers, campaign, commands, envtexts, urls

#: inputs for one run in CI; each is some milliseconds at most
COUNTS = {"urls": 30_000, "envtexts": 1_500, "answers": 2_000, "commands": 250}


@pytest.mark.parametrize("name", campaign.TARGETS)
def test_a_short_campaign_finds_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Shared machines stop a process now and then, in the middle of an input.
    monkeypatch.setattr(campaign, "LIMIT", 1.0)
    seed = SystemRandom().randrange(2**32)  # shown with what it finds
    assert campaign.run(name, COUNTS[name], seed).startswith(f"{name}: {COUNTS[name]:,} inputs")


SHORT = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
RANDOMS = st.randoms(use_true_random=False)


@SHORT
@given(RANDOMS)
def test_urls(random: Random) -> None:
    urls.check(urls.texts(random), thorough=True)
    urls.believed(random)


@SHORT
@given(RANDOMS)
def test_env_texts(random: Random) -> None:
    envtexts.check(envtexts.texts(random))
    envtexts.believed(random)


@SHORT
@given(RANDOMS)
def test_answers(random: Random) -> None:
    answers.check(answers.texts(random))


@settings(SHORT, max_examples=30)
@given(RANDOMS)
def test_commands(random: Random) -> None:
    commands.check(commands.texts(random))


@pytest.mark.parametrize("name", campaign.TARGETS)
def test_the_seeds_reach_both_ends(name: str) -> None:
    """Some are accepted and some are not: a generator of nothing but refusals would find nothing."""
    target = campaign.load(name)
    assert {target.check(seed) for seed in target.SEEDS} == {True, False}


def test_a_broken_promise_is_found_and_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = urls.PostgresURL.__str__
    monkeypatch.setattr(
        urls.PostgresURL,
        "__str__",
        lambda url: url.reveal() if url.user == "u" and url.port == 6432 else shown(url),
    )
    with pytest.raises(AssertionError, match="depends on a secret"):
        campaign.run("urls", 5_000, 1)
    assert "of seed 1: " in capsys.readouterr().err


def test_an_input_that_takes_long_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "LIMIT", 0.0)
    with pytest.raises(SystemExit, match="of seed 1 took"):
        campaign.run("urls", 10, 1)
