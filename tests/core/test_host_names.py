"""An address in the place of a host name that a provider finds the database by."""

from __future__ import annotations

import pytest

from ppg_integrations import ConfigurationError, ConnectionPair, resolve
from ppg_integrations.hosts import is_address

NEON = "postgresql://u:s3cr3t@ep-a-1.us-east-2.aws.neon.tech/db?sslmode=require"
NEON_POOLED = NEON.replace("ep-a-1", "ep-a-1-pooler")
PRISMA = "postgresql://u:s3cr3t@db.prisma.io:5432/db?sslmode=require"
ADDRESS = "postgresql://u:s3cr3t@203.0.113.7/db?sslmode=require"


def found(**environ: str) -> ConnectionPair:
    return resolve(env_file=False, environ=environ)


def refused(**environ: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        found(**environ)
    assert "s3cr3t" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("other", [NEON, PRISMA])
@pytest.mark.parametrize("address", ["203.0.113.7", "10.0.0.5", "[2001:db8::7]", "0xcb.0.113.7"])
def test_the_other_half_tells_the_provider(other: str, address: str) -> None:
    url = ADDRESS.replace("203.0.113.7", address)
    for environ in (
        {"DATABASE_URL": url, "DIRECT_URL": other},
        {"DATABASE_URL": other.replace("db.prisma", "pooled.db.prisma"), "DIRECT_URL": url},
    ):
        error = refused(**environ)
        name = next(name for name, value in environ.items() if value == url)
        assert error.message.startswith(f"{name} in the environment has the address ")
        assert address.strip("[]") in error.message
        assert ("neon" if other == NEON else "prisma") in error.message
        assert "host name" in error.hint
        assert f"hostaddr={address.strip('[]')}" in error.hint


@pytest.mark.parametrize("provider", ["neon", "prisma", "casedev"])
def test_the_variable_tells_it(provider: str) -> None:
    assert provider in refused(DATABASE_URL=ADDRESS, PPG_PROVIDER=provider).message
    assert found(DATABASE_URL=ADDRESS, PPG_PROVIDER="local").pooled.host == "203.0.113.7"


def test_neons_own_word_for_the_database_tells_it() -> None:
    assert "neon" in refused(DATABASE_URL=f"{ADDRESS}&options=endpoint%3Dep-a-1").message
    assert found(DATABASE_URL=f"{ADDRESS}&options=-csearch_path%3Da").pooled


def test_a_replica_too() -> None:
    error = refused(DATABASE_URL=NEON_POOLED, REPLICA_URL=ADDRESS)
    assert error.message.startswith("REPLICA_URL in the environment")


def test_each_of_several_hosts_and_an_address_without_a_host() -> None:
    several = NEON_POOLED.replace("/db", ",203.0.113.7/db")
    assert "203.0.113.7" in refused(DATABASE_URL=several).message
    only = "postgresql:///db?user=u&hostaddr=203.0.113.7"
    assert "203.0.113.7" in refused(DATABASE_URL=only, PPG_PROVIDER="neon").message


@pytest.mark.parametrize(
    "environ",
    [
        {"DATABASE_URL": ADDRESS},
        {"DATABASE_URL": f"{NEON_POOLED}&hostaddr=203.0.113.7"},
        {"DATABASE_URL": f"{NEON_POOLED}&sslsni=1"},
        # a pooler of one's own in front of Neon
        {"DATABASE_URL": ADDRESS.replace("203.0.113.7", "127.0.0.1:6432"), "DIRECT_URL": NEON},
        {"DATABASE_URL": ADDRESS.replace("203.0.113.7", "[::1]:6432"), "DIRECT_URL": NEON},
        {"DATABASE_URL": ADDRESS.replace("203.0.113.7", "pool.example"), "DIRECT_URL": NEON},
        {"DATABASE_URL": f"{ADDRESS}&sslsni=0"},
        {"DATABASE_URL": "postgresql:///db?user=u", "PPG_PROVIDER": "neon"},
    ],
    ids=str,
)
def test_nothing_is_wrong_with(environ: dict[str, str]) -> None:
    assert found(**environ).pooled


@pytest.mark.parametrize("url", [NEON_POOLED, PRISMA.replace("db.", "pooled.db.")])
def test_the_name_has_to_be_sent(url: str) -> None:
    error = refused(DATABASE_URL=f"{url}&sslsni=0")
    assert "DATABASE_URL in the environment has sslsni=0" in error.message
    assert "sslsni=0" in error.hint


def test_what_is_an_address() -> None:
    odd = ("3405803783", "0xcb007107", "0xcb.0.113.7", "0313.0.113.7", "203.0.0x7107")
    for host in ("203.0.113.7", "::1", "2001:db8::7", "fe80::1%eth0", *odd):
        assert is_address(host)
    named = ("db.example", "7.example", "0xcb.example", "0xcb.0.113.7.example", "a", "0x")
    for host in (*named, "/run/postgresql", "@abstract", ""):
        assert not is_address(host)
