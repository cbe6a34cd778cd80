"""What hosts say, and which other half is certain."""

from __future__ import annotations

import pytest

from ppg_integrations import PostgresURL
from ppg_integrations.hosts import classify, other_half, role


@pytest.mark.parametrize(
    ("host", "port", "provider", "kind"),
    [
        ("pooled.db.prisma.io", 5432, "prisma", "pooled"),
        ("db.prisma.io", 5432, "prisma", "direct"),
        ("DB.Prisma.IO.", 5432, "prisma", "direct"),
        ("ep-misty-sea-a5833nbi.us-east-2.aws.neon.tech", 5432, "neon", "direct"),
        ("ep-misty-sea-a5833nbi-pooler.us-east-2.aws.neon.tech", 5432, "neon", "pooled"),
        ("ep-x-pooler.c-2.us-east-2.aws.neon.tech", 5432, "neon", "pooled"),
        ("ep-x.c-2.us-east-2.aws.neon.tech", 5432, "neon", "direct"),
        ("aws-0-eu-west-1.pooler.supabase.com", 6543, "supabase", "pooled"),
        ("aws-0-eu-west-1.pooler.supabase.com", 5432, "supabase", "direct"),
        ("db.abcdefgh.supabase.co", 5432, "supabase", "direct"),
        ("db.abcdefgh.supabase.co", 6543, "supabase", "pooled"),
        ("localhost", 5432, "local", "unknown"),
        ("127.0.0.1", 6432, "local", "unknown"),
        ("::1", 5432, "local", "unknown"),
        ("/run/postgresql", 5432, "local", "unknown"),
        ("db.example.com", 5432, None, "unknown"),
        # Look-alikes: a pattern matches whole hosts only.
        ("pooled.db.prisma.io.evil.example", 5432, None, "unknown"),
        ("xdb.prisma.io", 5432, None, "unknown"),
        ("ep-x-pooler.neon.tech.evil.example", 5432, None, "unknown"),
        ("ep-x.us-east-2-pooler.aws.neon.tech", 5432, "neon", "direct"),
        ("console.neon.tech", 5432, None, "unknown"),
        ("mypooler.supabase.com", 6543, None, "unknown"),
    ],
)
def test_classify(host: str, port: int, provider: str | None, kind: str) -> None:
    info = classify(host, port)
    assert (info.provider, info.kind) == (provider, kind)


def test_only_prisma_may_not_create_databases() -> None:
    assert not classify("db.prisma.io").creates_databases
    assert classify("ep-x.us-east-2.aws.neon.tech").creates_databases
    assert classify("db.example.com").creates_databases


@pytest.mark.parametrize(
    ("pooled", "direct"),
    [
        ("pooled.db.prisma.io:5432", "db.prisma.io:5432"),
        ("ep-x-pooler.us-east-2.aws.neon.tech", "ep-x.us-east-2.aws.neon.tech"),
        ("ep-x-pooler.c-2.us-east-2.aws.neon.tech", "ep-x.c-2.us-east-2.aws.neon.tech"),
    ],
)
def test_the_other_half_differs_in_its_host_only(pooled: str, direct: str) -> None:
    one = PostgresURL.parse(
        f"postgresql://u:p%40@{pooled}/d?sslmode=require&channel_binding=require"
    )
    two = PostgresURL.parse(
        f"postgresql://u:p%40@{direct}/d?sslmode=require&channel_binding=require"
    )
    assert other_half(one) == two
    assert other_half(two) == one


@pytest.mark.parametrize(
    "host", ["localhost", "db.example.com", "aws-0-eu.pooler.supabase.com:6543", "a,b"]
)
def test_where_nothing_is_certain_nothing_is_derived(host: str) -> None:
    assert other_half(PostgresURL.parse(f"postgresql://u:p@{host}/d")) is None


def test_startup_options_do_not_reach_a_derived_pooled_url() -> None:
    direct = PostgresURL.parse(
        "postgresql://u:p@ep-x.eu.aws.neon.tech/d?options=-c%20search_path%3Dshop&sslmode=require"
    )
    pooled = other_half(direct)
    assert pooled is not None
    assert dict(pooled.params) == {"sslmode": "require"}


def test_neons_endpoint_option_follows_the_host() -> None:
    pooled = PostgresURL.parse(
        "postgresql://u:p@ep-x-pooler.eu.aws.neon.tech/d?options=endpoint%3Dep-x-pooler"
    )
    direct = other_half(pooled)
    assert direct is not None
    assert direct.params["options"] == "endpoint=ep-x"


def test_supabases_pooler_wants_the_project_in_the_user() -> None:
    pooled = PostgresURL.parse(
        "postgresql://postgres.abc:p@aws-0-eu.pooler.supabase.com:6543/postgres"
    )
    direct = PostgresURL.parse("postgresql://postgres:p@db.abc.supabase.co:5432/postgres")
    assert role(pooled) == role(direct) == "postgres"
