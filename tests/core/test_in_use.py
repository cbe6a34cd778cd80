"""in_use.py: an id is kept beside URLs, and says nothing of others."""

from __future__ import annotations

import pytest

from ppg_integrations import PostgresURL
from ppg_integrations.in_use import connection_in_use, mark
from ppg_integrations.pair import ConnectionPair, Source

DIRECT = PostgresURL.parse("postgresql://u:s3cret@db.prisma.io/postgres?sslmode=require")
POOLED = DIRECT.replace(host="pooled.db.prisma.io")


def pair(direct: PostgresURL | None = DIRECT, pooled: PostgresURL = POOLED) -> ConnectionPair:
    source = Source("environment", "DATABASE_URL")
    return ConnectionPair(pooled, direct, source, source if direct else None)


@pytest.mark.parametrize("id", ["con_abc", "br-a-1/owner", "a:b"])
def test_the_id_comes_back(id: str) -> None:
    value = mark(id, DIRECT)
    assert value.startswith(f"{id}:")
    assert len(value) == len(id) + 9
    assert "s3cret" not in value
    assert connection_in_use(value, pair()) == id
    assert connection_in_use(f" {value}\n", pair()) == id


def test_the_pooled_half_will_do() -> None:
    assert connection_in_use(mark("con_a", DIRECT), pair(direct=None)) == "con_a"


def test_other_urls_are_not_it() -> None:
    value = mark("con_a", DIRECT)
    pasted = PostgresURL.parse("postgresql://u:other@db.prisma.io/postgres?sslmode=require")
    assert connection_in_use(value, pair(direct=pasted)) == ""
    another = PostgresURL.parse("postgresql://v:s3cret@db.prisma.io/postgres?sslmode=require")
    assert connection_in_use(value, pair(direct=another)) == ""
    assert connection_in_use(value, None) == ""


@pytest.mark.parametrize("value", ["", "con_a", ":", ":01234567", "con_a:", "con_a:zz", "a\nb:0"])
def test_nonsense_is_not_known(value: str) -> None:
    assert connection_in_use(value, pair()) == ""
