"""How a connection is encrypted: what each host gets, and that nothing becomes less."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppg_integrations import PostgresURL, encryption, roots
from ppg_integrations.connect_settings import ConnectSettings
from ppg_integrations.current import CurrentPair
from ppg_integrations.encryption import mode, secured
from ppg_integrations.endpoint import Endpoint
from ppg_integrations.errors import ConfigurationError
from ppg_integrations.pair import ConnectionPair, Source

BUNDLE = "/etc/hostname"  # any file: nobody reads it here
CA = __file__  # another one
ENVIRON = {"SSL_CERT_FILE": BUNDLE}
FULL = {"sslmode": "verify-full", "sslrootcert": BUNDLE}
MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]

NEON = "ep-x-pooler.eu-central-1.aws.neon.tech"
PRISMA = "db.prisma.io"
SUPABASE = "aws-0-eu.pooler.supabase.com"
HERE = ["localhost", "127.0.0.1", "127.9.9.9", "::1", "/run/postgresql", "@abstract"]


@pytest.fixture(autouse=True)
def no_file_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(encryption, "_HOME", str(tmp_path / "root.crt"))


def params(
    host: str, sslmode: str = "", environ: dict[str, str] = ENVIRON, /, **given: str
) -> dict[str, str]:
    url = PostgresURL.build(host=host, params=given)
    return dict(secured(url, sslmode, environ={**ENVIRON, **environ}).params)


@pytest.mark.parametrize("host", [NEON, PRISMA, "pooled.db.prisma.io", "DB.prisma.io"])
@pytest.mark.parametrize("given", [None, *MODES])
def test_a_certificate_that_browsers_trust_is_verified(host: str, given: str | None) -> None:
    assert params(host, **({"sslmode": given} if given else {})) == FULL


@pytest.mark.parametrize(
    ("given", "sslmode", "expected"),
    [
        ("", "", "verify-ca"),
        ("disable", "", "verify-ca"),
        ("allow", "", "verify-ca"),
        ("prefer", "", "verify-ca"),
        ("require", "", "verify-ca"),
        ("verify-ca", "", "verify-ca"),
        ("verify-full", "", "verify-full"),
        ("disable", "require", "verify-ca"),
        ("verify-full", "require", "verify-full"),
    ],
)
def test_an_authority_of_the_providers_own(given: str, sslmode: str, expected: str) -> None:
    found = params(SUPABASE, sslmode, sslrootcert=CA, **({"sslmode": given} if given else {}))
    assert found == {"sslmode": expected, "sslrootcert": CA}


def test_without_that_authority_tls_is_required_and_no_more() -> None:
    assert params(SUPABASE) == {"sslmode": "require"}
    assert params(SUPABASE, "verify-full") == FULL  # and will fail: ask for it, get it


@pytest.mark.parametrize("host", HERE)
@pytest.mark.parametrize("sslmode", ["", "verify-full"])
def test_this_machine_gets_what_the_url_says(host: str, sslmode: str) -> None:
    for given in ({}, {"sslmode": "disable"}, {"sslmode": "prefer", "sslrootcert": CA}):
        url = PostgresURL.build(host=host, params=given)
        assert secured(url, sslmode, environ={"SSL_CERT_FILE": "/gone"}) is url
    url = PostgresURL.parse("postgresql:///db")
    assert secured(url, sslmode) is url


def test_an_address_elsewhere_is_another_machine() -> None:
    assert params("localhost", "require", hostaddr="203.0.113.7")["sslmode"] == "require"
    assert "sslmode" not in params("localhost", "require", hostaddr="127.0.0.1")
    # and a name counts, wherever its address leads
    assert params(NEON, hostaddr="127.0.0.1") == {**FULL, "hostaddr": "127.0.0.1"}


def test_an_unknown_host_gets_what_is_asked_for() -> None:
    url = PostgresURL.build(host="db.example", params={"sslmode": "disable"})
    assert secured(url) is url
    assert params("db.example", "require") == {"sslmode": "require"}
    assert params("db.example", "require", sslmode="prefer") == {"sslmode": "require"}
    for least in ("verify-ca", "verify-full"):
        # a public certificate for some name is had by anybody
        assert params("db.example", least, sslmode="require") == FULL
        assert params("db.example", least, sslrootcert=CA) == {
            "sslmode": least,
            "sslrootcert": CA,
        }


@pytest.mark.parametrize("least", ["verify-ca", "verify-full"])
def test_the_file_at_home_is_for_hosts_that_it_can_be_meant_for(least: str) -> None:
    Path(encryption._HOME).touch()
    assert params("db.example", least) == {"sslmode": least}
    assert params(SUPABASE, least) == {"sslmode": least}
    assert params(NEON, least) == params(NEON) == params(NEON, sslmode="require") == FULL
    assert params(NEON, sslmode="verify-full") == {"sslmode": "verify-full"}, "it says so itself"


def test_require_is_the_way_out() -> None:
    assert params(NEON, "require", sslmode="require") == {"sslmode": "require"}
    assert params(NEON, "require") == {"sslmode": "require"}
    assert params(NEON, "verify-ca") == params(NEON, "verify-full") == FULL


def test_authorities_that_somebody_names() -> None:
    full = {"sslmode": "verify-full", "sslrootcert": CA}
    less = {"sslmode": "verify-ca", "sslrootcert": CA}
    environ = {"PGSSLROOTCERT": CA}
    for host in (NEON, PRISMA):
        for given in ({}, *({"sslmode": each} for each in MODES if each != "verify-ca")):
            assert params(host, sslrootcert=CA, **given) == full
            assert params(host, "", environ, **given) == full
        assert params(host, **less) == less, "the URL itself says so"
        assert params(host, "", {"PGSSLMODE": "verify-ca"}, sslrootcert=CA) == full
        assert params(host, "verify-ca", sslmode="require", sslrootcert=CA) == full
        assert params(host, "verify-full", **less) == full
        # The way out leads no further than libpq itself goes.
        assert params(host, "require", sslmode="require", sslrootcert=CA) == less
        assert params(host, "require", sslrootcert=CA) == params(host, "require", environ) == less
        assert params(host, "", {"PGSSLROOTCERT": "system"}) == FULL


def test_authorities_that_somebody_names_for_any_other_machine() -> None:
    less = {"sslmode": "verify-ca", "sslrootcert": CA}
    for given in ({}, {"sslmode": "prefer"}, {"sslmode": "require"}):
        assert params("db.example", sslrootcert=CA, **given) == less
        assert params("db.example", "", {"PGSSLROOTCERT": CA}, **given) == less
        assert params("db.example", "", {"PGSSLROOTCERT": "system"}, **given) == FULL
        assert params("localhost", sslrootcert=CA, **given) == {"sslrootcert": CA, **given}
    for each in ("disable", "allow"):
        assert params("db.example", sslmode=each, sslrootcert=CA)["sslmode"] == each
        assert params("db.example", "", {"PGSSLROOTCERT": CA}, sslmode=each) == {"sslmode": each}
        assert params("db.example", "require", sslmode=each, sslrootcert=CA) == less


@pytest.mark.parametrize("host", [NEON, SUPABASE, "db.example"])
@pytest.mark.parametrize("least", ["", "require", "verify-full"])
def test_a_file_that_is_gone_is_no_reason_to_go_on(host: str, least: str, tmp_path: Path) -> None:
    """libpq would, without a word, in the mode ``require``."""
    gone = str(tmp_path / "gone.pem")
    for given in ({}, {"sslmode": "require"}, {"sslmode": "verify-ca"}):
        with pytest.raises(ConfigurationError) as caught:
            params(host, least, sslrootcert=gone, **given)
        assert f"sslrootcert in the URL to {host} is {gone}, and there" in caught.value.message
        assert caught.value.hint.startswith("Set sslrootcert to a file of PEM certificates")
        with pytest.raises(ConfigurationError) as caught:
            params(host, least, {"PGSSLROOTCERT": gone}, **given)
        assert f"PGSSLROOTCERT in the environment is {gone}, and there" in caught.value.message
        assert caught.value.hint.startswith("Set PGSSLROOTCERT to a file of PEM certificates")


@pytest.mark.parametrize("host", [NEON, SUPABASE, "db.example", "localhost"])
def test_system_means_verify_full_everywhere(host: str) -> None:
    for given in ({}, {"sslmode": "require"}, {"sslmode": "verify-full"}):
        for least in ("", "require"):
            assert params(host, least, sslrootcert="system", **given) == FULL


def test_libpqs_variable_is_not_lowered() -> None:
    environ = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": CA}
    strict = {"sslmode": "verify-full", "sslrootcert": CA}
    for host in ("db.example", SUPABASE):
        assert params(host, "", environ) == params(host, "require", environ) == strict
    assert params("db.example", "", {"PGSSLMODE": "verify-full"}) == {}  # libpq reads it itself
    assert params("db.example", "require", {"PGSSLMODE": "disable"}) == {"sslmode": "require"}


def test_the_rest_is_kept() -> None:
    rest = {"channel_binding": "require", "application_name": "shop", "sslcert": "/c"}
    assert params(NEON, sslmode="require", **rest) == {**FULL, **rest}
    url = PostgresURL.parse(f"postgresql://u:p%40@{NEON}:5433/d?sslmode=require")
    found = secured(url, environ=ENVIRON)
    assert (found.user, found.password, found.hosts, found.database) == (
        url.user,
        url.password,
        url.hosts,
        url.database,
    )


def test_several_hosts_share_one_mode() -> None:
    def found(*hosts: str) -> str | None:
        url = PostgresURL.parse(f"postgresql://u@{','.join(hosts)}/d")
        return secured(url, environ=ENVIRON).params.get("sslmode")

    assert found(NEON, PRISMA) == "verify-full"
    assert found(NEON, "db.example") == "require"
    assert found("localhost", "127.0.0.1") is None
    url = PostgresURL.parse("postgresql://u@localhost,db.example/d")
    assert secured(url, "require").params["sslmode"] == "require"


_NAMED = st.sampled_from(["", CA, "system"])


@given(
    host=st.sampled_from([NEON, PRISMA, SUPABASE, "db.example", "localhost"]),
    given=st.sampled_from(["", *MODES]),
    named=_NAMED,
    least=st.sampled_from(["", "require", "verify-ca", "verify-full"]),
    pgsslmode=st.sampled_from(["", *MODES]),
    pgsslrootcert=_NAMED,
)
def test_nothing_ever_becomes_less(
    host: str, given: str, named: str, least: str, pgsslmode: str, pgsslrootcert: str
) -> None:
    values = {"sslmode": given, "sslrootcert": named}
    url = PostgresURL.build(host=host, params={k: v for k, v in values.items() if v})
    environ = {"PGSSLMODE": pgsslmode, "PGSSLROOTCERT": pgsslrootcert, **ENVIRON}
    found = secured(url, least, environ=environ)
    after = MODES.index(mode(found, environ))
    assert after >= MODES.index(mode(url, environ))
    if host != "localhost":
        assert after >= MODES.index(least or "disable")
    if named == CA:
        assert found.params["sslrootcert"] == CA
    assert found.params.get("sslrootcert") != "system"
    if found.params.get("sslrootcert") == BUNDLE:
        assert found.params["sslmode"] == "verify-full"
    assert secured(found, least, environ=environ) is found


def test_no_authorities_are_no_reason_to_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    for host, least in product([NEON, "db.example"], ["verify-full"]):
        with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
            params(host, least, {"SSL_CERT_FILE": "/gone"})


def test_the_mode_in_force() -> None:
    def found(environ: dict[str, str], **given: str) -> str:
        return mode(PostgresURL.build(host="h", params=given), environ)

    assert found({}) == "prefer"
    assert found({"PGSSLMODE": "verify-full"}, sslmode="require") == "require"
    assert found({"PGSSLMODE": "verify-ca"}) == "verify-ca"
    assert found({}, sslrootcert="system") == "verify-full"
    assert found({"PGSSLROOTCERT": "system"}) == "verify-full"
    assert found({"PGSSLROOTCERT": "system"}, sslrootcert=CA) == "prefer"


def test_an_endpoint_leads_to_the_secured_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", BUNDLE)
    pooled, direct = (
        PostgresURL.parse(f"postgresql://u@{host}/d?sslmode=require")
        for host in (NEON, NEON.replace("-pooler", ""))
    )
    source = Source("argument", "pooled")
    current = CurrentPair(lambda: ConnectionPair(pooled, direct, source, source), env_file=None)
    for arguments, kept in (({}, True), ({"direct": True}, True), ({"diverted": bool}, True)):
        found = Endpoint(current, **arguments).destination()
        assert dict(found.url.params) == FULL
        assert found.kept is kept
    diverted = Endpoint(current, diverted=lambda: True).destination()
    assert diverted.url.host == direct.host
    assert dict(diverted.url.params) == FULL
    assert not diverted.kept
    settings = ConnectSettings(sslmode="require")
    assert Endpoint(current, settings=settings).destination().url == pooled
    assert current.pair.pooled is pooled


def test_what_a_front_end_has_read_counts_while_its_verb_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert encryption.least() == ""
    monkeypatch.setenv("PPG_SSLMODE", "verify-full")
    assert encryption.least() == "verify-full"
    with pytest.raises(ZeroDivisionError), encryption.at_least("require"):
        assert encryption.least() == "require"
        raise ZeroDivisionError
    assert encryption.least() == "verify-full"
    monkeypatch.setenv("PPG_SSLMODE", "disable")
    with pytest.raises(ConfigurationError, match="PPG_SSLMODE"):
        encryption.least()


def test_it_costs_this_machines_urls_no_import() -> None:
    code = (
        "import sys; from ppg_integrations import PostgresURL\n"
        "from ppg_integrations.encryption import secured\n"
        "from ppg_integrations import conversions\n"
        "url = lambda host: PostgresURL.parse(f'postgresql://u@{host}/d')\n"
        "assert 'ppg_integrations.roots' not in sys.modules\n"
        "secured(url('localhost'), 'verify-full')\n"
        "assert 'ppg_integrations.roots' not in sys.modules\n"
        f"assert secured(url({NEON!r})).params['sslmode'] == 'verify-full'\n"
        "print(sorted({'ssl', 'certifi', 'psycopg', 'httpx'} & set(sys.modules)))"
    )
    environ = {**os.environ, **ENVIRON}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
