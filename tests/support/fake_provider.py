"""A provider whose API is a function, for tests of what stands between a provider and its users."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ppg_integrations import providers
from ppg_integrations.providers.base import Generated, Provider, Target, silent
from ppg_integrations.urls import PostgresURL

TOKEN = "fake_t0k3n"
PASSWORD = "s3cr3t-Pa55"
POOLED = f"postgresql://u:{PASSWORD}@pool.example:6432/shop"
DIRECT = f"postgresql://u:{PASSWORD}@pg.example/shop"


def generated(id: str = "main", *, replica: bool = False) -> Generated:
    return Generated(
        id,
        id,
        PostgresURL.parse(POOLED),
        PostgresURL.parse(DIRECT),
        replica=PostgresURL.parse(DIRECT.replace("pg.", "replica.")) if replica else None,
    )


class Fake(Provider):
    """A provider whose API is a function."""

    name = "fake"
    title = "Fake"
    capabilities = frozenset({"read"})
    variables = {"project": ("FAKE_PROJECT",), "organisation": ("FAKE_ORG",)}
    api_variables = ("FAKE_URL",)
    #: target, replica and seconds left of each call
    asked: list[tuple[Target, bool, float]] = []
    answer: Callable[[Target], Generated | None] = staticmethod(lambda _target: None)

    def read(self, target: Target, progress: Any = silent, *, replica: bool = False) -> Generated:
        progress("reading")
        Fake.asked.append((target, replica, self.settings.timeout))
        answer = Fake.answer(target)
        return answer or generated(target.branch or "main", replica=replica)


def install(monkeypatch: pytest.MonkeyPatch, provider: type[Fake] = Fake) -> None:
    """Makes it a provider like the others, whose token is FAKE_TOKEN, until the test ends."""
    row = providers._Row(f"{provider.__module__}:{provider.__name__}", ("FAKE_TOKEN",))
    monkeypatch.setitem(providers._PROVIDERS, "fake", row)
    monkeypatch.setattr(providers, "NAMES", tuple(providers._PROVIDERS))
    monkeypatch.setattr(provider, "asked", [])
    monkeypatch.setattr(provider, "answer", provider.answer)
