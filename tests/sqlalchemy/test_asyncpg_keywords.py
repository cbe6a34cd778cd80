"""A URL in asyncpg's words."""

from __future__ import annotations

import inspect
import os
import ssl
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest
import trustme
from asyncpg.connect_utils import _parse_connect_dsn_and_args

from ppg_integrations import asyncpg_keywords, parameters
from ppg_integrations.conversions import connect_keywords
from ppg_integrations.errors import ConfigurationError
from ppg_integrations.urls import PostgresURL

URL = PostgresURL.parse("postgresql://ada:open%20sesame@h:6432/shop")

#: Each with a value that asyncpg can live with.
TAKEN = {
    "application_name": "shop",
    "channel_binding": "require",
    "client_encoding": "UTF8",
    "connect_timeout": "3",
    "fallback_application_name": "fallback",
    "gssdelegation": "0",
    "gssencmode": "disable",
    "keepalives": "1",
    "keepalives_count": "3",
    "keepalives_idle": "30",
    "keepalives_interval": "5",
    "load_balance_hosts": "disable",
    "max_protocol_version": "3.2",
    "min_protocol_version": "3.0",
    "options": "-c statement_timeout=5s",
    "passfile": "/nowhere/pgpass",
    "requiressl": "0",
    "ssl_max_protocol_version": "TLSv1.3",
    "ssl_min_protocol_version": "TLSv1.2",
    "sslcertmode": "allow",
    "sslcompression": "0",
    "sslkeylogfile": "/nowhere/log",
    "sslmode": "require",
    "sslnegotiation": "postgres",
    "sslpassword": "opensesame",
    "sslsni": "1",
    "target_session_attrs": "any",
    "tcp_user_timeout": "3000",
}

#: These name files, which asyncpg opens: test_tls.py.
FILES = {"sslcert", "sslcrl", "sslkey", "sslrootcert"}

REFUSED = {
    "gssencmode": "require",
    "gsslib": "gssapi",
    "hostaddr": "10.0.0.1",
    "krbsrvname": "postgres",
    "min_protocol_version": "3.2",
    "replication": "database",
    "require_auth": "scram-sha-256",
    "requirepeer": "postgres",
    "requiressl": "1",
    "scram_client_key": "a",
    "scram_server_key": "b",
    "service": "shop",
    "servicefile": "/nowhere/services",
    "sslcertmode": "require",
    "sslcrldir": "/nowhere/crl",
}


def test_every_parameter_is_judged() -> None:
    assert TAKEN.keys() | FILES | REFUSED.keys() == parameters.LIBPQ


def test_the_place() -> None:
    found = asyncpg_keywords.keywords(URL)
    assert found.pop("password")() == "open sesame"
    assert found == {"host": ["h"], "port": [6432], "user": "ada", "database": "shop"}
    assert asyncpg_keywords.keywords(PostgresURL.parse("postgresql:///")) == {}
    several = asyncpg_keywords.keywords(PostgresURL.parse("postgresql://u@[::1],b:7/d"))
    assert (several["host"], several["port"]) == (["::1", "b"], [5432, 7])


@pytest.mark.parametrize("name", TAKEN)
def test_asyncpg_takes_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = asyncpg_keywords.keywords(URL.replace(params={name: TAKEN[name]}))
    known = inspect.signature(asyncpg.connect).parameters
    assert found.keys() <= known.keys()
    assert "opensesame" not in repr(found)
    assert "open sesame" not in repr(found)
    arguments = {name: None for name in inspect.signature(_parse_connect_dsn_and_args).parameters}
    arguments |= {name: value for name, value in found.items() if name in arguments}
    _, parsed = _parse_connect_dsn_and_args(**arguments)
    # What it does not know it would send to the server, which refuses the connection.
    assert set(parsed.server_settings or ()) <= {"application_name", "options"}


@pytest.mark.parametrize("name", REFUSED)
def test_asyncpg_would_do_something_else(name: str) -> None:
    url = URL.replace(params={name: REFUSED[name]})
    with pytest.raises(ConfigurationError, match=f"asyncpg cannot honour {name}") as caught:
        asyncpg_keywords.keywords(url)
    assert "psycopg" in caught.value.hint
    assert REFUSED[name] not in str(caught.value) or len(REFUSED[name]) == 1
    with pytest.raises(ConfigurationError):
        url.sqlalchemy("asyncpg")


def test_a_socket_without_a_name_in_the_file_system() -> None:
    url = PostgresURL.parse("postgresql://u@/d?host=@pg")
    with pytest.raises(ConfigurationError, match="begins with @"):
        asyncpg_keywords.keywords(url)


@pytest.mark.parametrize(("given", "seconds"), [("5", 5.0), ("1", 2.0), ("0", None), ("-1", None)])
def test_seconds_to_connect(given: str, seconds: float | None) -> None:
    found = asyncpg_keywords.keywords(URL.replace(params={"connect_timeout": given}))
    assert found["timeout"] == seconds


def test_settings_of_the_server() -> None:
    params = {"fallback_application_name": "worse", "options": "-c geqo=off"}
    found = asyncpg_keywords.keywords(URL.replace(params=params))["server_settings"]
    assert found == {"application_name": "worse", "options": "-c geqo=off"}
    found = asyncpg_keywords.keywords(URL.replace(params={**params, "application_name": "better"}))
    assert found["server_settings"]["application_name"] == "better"


def test_encryption() -> None:
    def found(**params: str) -> dict[str, object]:
        keywords = asyncpg_keywords.keywords(URL.replace(params=params))
        return {name: keywords[name] for name in ("ssl", "dsn") if name in keywords}

    assert found() == {}
    assert found(sslmode="verify-full") == {"ssl": "verify-full"}
    direct = URL.replace(params={"sslmode": "require", "sslnegotiation": "direct"})
    assert asyncpg_keywords.keywords(direct)["direct_tls"] is True


@pytest.mark.parametrize("params", [{}, {"sslmode": "require"}])
def test_the_systems_authorities_are_a_file(
    params: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle = tmp_path / "the roots.pem"
    trustme.CA().cert_pem.write_to_path(bundle)
    monkeypatch.setenv("PGSSLCRL", "c")  # no context is made
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    url = URL.replace(params={**params, "sslrootcert": "system"})
    query = f"sslmode=verify-full&sslrootcert={quote(str(bundle), safe='')}"
    words = sorted(query.split("&"))
    for given in (
        connect_keywords(url, "asyncpg")["dsn"],
        url.sqlalchemy("asyncpg").query["dsn"],
    ):
        assert sorted(given.partition("?")[2].split("&")) == words


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    path = tmp_path / "authority.pem"
    trustme.CA().cert_pem.write_to_path(path)
    return path


def test_authorities_are_loaded_once(authority: Path) -> None:
    """The event loop stands still meanwhile, for each new connection."""
    url = URL.replace(params={"sslmode": "verify-full", "sslrootcert": str(authority)})
    first = asyncpg_keywords.keywords(url)["ssl"]
    assert isinstance(first, ssl.SSLContext)
    assert first.check_hostname
    assert first.verify_mode is ssl.CERT_REQUIRED
    assert first.cert_store_stats()["x509_ca"] == 1
    assert asyncpg_keywords.keywords(url)["ssl"] is first
    with pytest.raises(ConfigurationError, match="hostaddr"):
        asyncpg_keywords.keywords(url.replace(params={**url.params, "hostaddr": "10.0.0.1"}))
    trustme.CA().cert_pem.write_to_path(authority)
    os.utime(authority, (1, 1))
    assert asyncpg_keywords.keywords(url)["ssl"] is not first


@pytest.mark.parametrize("what", ["sslmode", "sslcert", "PGSSLCRL", "postgresql.crt", "root.crl"])
def test_asyncpg_loads_them_where_it_reads_more_than_that(
    what: str, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = {"sslmode": "verify-full", "sslrootcert": str(authority)}
    if what == "sslmode":
        params["sslmode"] = "verify-ca"
    elif what.startswith("ssl"):
        params[what] = "c"
    elif what.startswith("PG"):
        monkeypatch.setenv(what, "c")
    else:
        home = Path(os.environ["HOME"], ".postgresql")
        home.mkdir()
        (home / what).touch()
    found = asyncpg_keywords.keywords(URL.replace(params=params))
    assert "ssl" not in found
    assert "sslrootcert=" in found["dsn"]


@pytest.mark.parametrize("sslmode", ["require", "verify-ca", "verify-full"])
@pytest.mark.parametrize("text", [None, "", "hello\n"], ids=["gone", "empty", "junk"])
def test_a_file_without_authorities_is_named(
    text: str | None, sslmode: str, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncpg names neither the file nor whoever named it."""
    authority.unlink()
    if text is not None:
        authority.write_text(text)
    path = str(authority)
    why = "there is no such file" if text is None else "it holds no certificate that can be read"
    own = URL.replace(params={"sslmode": sslmode, "sslrootcert": path})
    bare = URL.replace(params={"sslmode": sslmode})
    system = own.replace(params={"sslmode": sslmode, "sslrootcert": "system"})
    for name, url in (("", own), ("PGSSLROOTCERT", bare), ("SSL_CERT_FILE", system)):
        with monkeypatch.context() as named:
            if name:
                named.setenv(name, path)
            with pytest.raises(ConfigurationError) as caught:
                connect_keywords(url, "asyncpg")
        where = f"{name} in the environment" if name else "sslrootcert in the URL to h"
        assert caught.value.message.startswith(f"{where} is {path}, and {why}")
        assert "PEM" in caught.value.hint


def test_as_the_query_of_a_sqlalchemy_url() -> None:
    def found(**params: str) -> dict[str, object]:
        return dict(URL.replace(params=params).sqlalchemy("asyncpg").query)

    assert found(sslmode="require", channel_binding="require") == {"ssl": "require"}
    assert found(sslmode="require", connect_timeout="5") == {"ssl": "require"}
    assert found(sslmode="require", application_name="shop") == {
        "dsn": "postgresql://?sslmode=require&application_name=shop"
    }
    with pytest.raises(ConfigurationError, match="cannot stand in a SQLAlchemy URL"):
        found(sslnegotiation="direct")
