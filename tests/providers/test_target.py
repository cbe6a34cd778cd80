"""Which provider and which database are meant: options, our variables, the provider's own."""

from __future__ import annotations

import re

import pytest

from ppg_integrations import ConfigurationError, providers
from ppg_integrations.providers.base import Provider, Target
from ppg_integrations.providers.labels import label
from ppg_integrations.providers.settings import Settings
from ppg_integrations.providers.target import target


class Example(Provider):
    name = "example"
    title = "Example"
    variables = {"project": ("EXAMPLE_PROJECT_ID", "EXAMPLE_PROJECT")}  # noqa: RUF012


def test_the_order_of_the_sources() -> None:
    environ = {"EXAMPLE_PROJECT": "own-2", "PPG_BRANCH": "b", "PPG_ROLE": "r"}
    file = {"PPG_PROJECT": "file", "PPG_DATABASE": " d ", "PPG_BRANCH": "file"}
    settings = Settings(environ, file, ".env")
    assert target(Example, settings, {}) == Target("own-2", "d", "b", "r")
    assert target(Example(), settings, {"project": "option", "role": None, "json": "x"}) == Target(
        "option", "d", "b", "r"
    )
    both = Settings({"PPG_PROJECT": "ours", "EXAMPLE_PROJECT_ID": "own"})
    assert target(Example, both, {"project": ""}).project == "ours"
    assert target(Example, Settings({}), {}) == Target()


@pytest.mark.parametrize("value", ["a\nb", "a\x00b", "a\x1b[31m", "x" * 256])
def test_what_can_be_no_name_is_refused_where_it_stands(value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^--branch "):
        target(Example, Settings({}), {"branch": value})
    with pytest.raises(ConfigurationError, match=r"^PPG_BRANCH in \.env") as caught:
        target(Example, Settings({}, {"PPG_BRANCH": value}, ".env"), {})
    assert value not in str(caught.value)


def test_the_provider_whose_token_is_set_is_meant() -> None:
    assert providers.detect({}) is None
    assert providers.detect({"NEON_API_KEY": "t"}) == "neon"
    assert providers.detect({"NEON_API_KEY": "t", "PRISMA_API_TOKEN": "t"}) is None
    assert providers.detect({"NEON_API_KEY": "t", "PPG_PROVIDER": " Prisma"}) == "prisma"
    file = {"PRISMA_SERVICE_TOKEN": "t"}
    assert providers.detect_in(Settings({}, file, ".env")) == "prisma"
    assert providers.detect_in(Settings({}, {**file, "PPG_PROVIDER": "local"}, ".env")) == "local"
    with pytest.raises(ConfigurationError, match=r"PPG_PROVIDER in \.env is 'frob'"):
        providers.detect_in(Settings({}, {"PPG_PROVIDER": "frob"}, ".env"))


def test_several_tokens_are_named_and_not_shown() -> None:
    settings = Settings({"NEON_API_KEY": "s3cret"}, {"PRISMA_API_TOKEN": "s3cret"}, ".env")
    with pytest.raises(ConfigurationError) as caught:
        providers.require(settings)
    assert "PRISMA_API_TOKEN in .env and NEON_API_KEY in the environment" in caught.value.message
    assert "PPG_PROVIDER=prisma" in caught.value.hint
    assert "s3cret" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="no provider") as caught:
        providers.require(Settings({}))
    assert "--provider local" in caught.value.hint


@pytest.mark.parametrize("project", ["shop", "", "Über Shop!", "x" * 300, "--", "💥"])
@pytest.mark.parametrize("most", [65, 24, 12])
def test_a_label_fits_everywhere_and_is_never_the_same(project: str, most: int) -> None:
    labels = {label(project, most=most) for _ in range(20)}
    assert len(labels) == 20
    for each in labels:
        assert 3 <= len(each) <= most
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", each)


def test_a_label_names_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "Anna's-Laptop.local")
    assert re.fullmatch(r"my-shop-anna-s-laptop-[0-9a-f]{8}", label("My Shop"))
    monkeypatch.setattr("socket.gethostname", lambda: "h" * 80)
    assert re.fullmatch(r"shop-h{28}-[0-9a-f]{8}", label("shop"))
