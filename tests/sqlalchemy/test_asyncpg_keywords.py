"""A URL in asyncpg's words."""

from __future__ import annotations

import inspect

import asyncpg
import pytest
from asyncpg.connect_utils import _parse_connect_dsn_and_args

from ppg_integrations import asyncpg_keywords, parameters
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
    assert found(sslmode="verify-full", sslrootcert="/a b") == {
        "dsn": "postgresql://?sslmode=verify-full&sslrootcert=%2Fa%20b"
    }
    assert found(sslmode="verify-full", sslrootcert="system") == {"ssl": True}
    assert found(sslrootcert="system", passfile="x") == {
        "ssl": True,
        "dsn": "postgresql://?passfile=x",
    }
    direct = URL.replace(params={"sslmode": "require", "sslnegotiation": "direct"})
    assert asyncpg_keywords.keywords(direct)["direct_tls"] is True
    with pytest.raises(ConfigurationError, match="sslrootcert=system beside"):
        found(sslrootcert="system", sslcert="c")


def test_as_the_query_of_a_sqlalchemy_url() -> None:
    def found(**params: str) -> dict[str, object]:
        return dict(URL.replace(params=params).sqlalchemy("asyncpg").query)

    assert found(sslmode="require", channel_binding="require") == {"ssl": "require"}
    assert found(sslmode="require", connect_timeout="5") == {"ssl": "require"}
    assert found(sslmode="require", application_name="shop") == {
        "dsn": "postgresql://?sslmode=require&application_name=shop"
    }
    for params in ({"sslrootcert": "system"}, {"sslnegotiation": "direct"}):
        with pytest.raises(ConfigurationError, match="cannot stand in a SQLAlchemy URL"):
            found(**params)
