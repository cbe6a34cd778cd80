"""Where the system's certificate authorities are, as one file."""

from __future__ import annotations

import os
import ssl
import sys
import types
from pathlib import Path

import pytest

from ppg_integrations import PostgresURL, roots
from ppg_integrations.errors import ConfigurationError

NOWHERE: dict[str, str] = {}


def pem(folder: Path, name: str) -> str:
    path = folder / name
    path.write_text("certificates")
    return str(path)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without any; the tests put some there."""
    monkeypatch.setattr(roots, "_PLACES", (str(tmp_path / "one"), str(tmp_path / "two")))
    missing = types.SimpleNamespace(openssl_cafile=str(tmp_path / "pythons"))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: missing)
    monkeypatch.setitem(sys.modules, "certifi", None)
    return tmp_path


def certifi(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    module = types.ModuleType("certifi")
    module.where = lambda: path
    monkeypatch.setitem(sys.modules, "certifi", module)


def test_the_first_that_is_there(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certifi(monkeypatch, pem(bare, "certifis"))
    found = [roots.bundle(NOWHERE)]
    for name in ("pythons", "two", "one"):
        pem(bare, name)
        found.append(roots.bundle(NOWHERE))
    found.append(roots.bundle({"SSL_CERT_FILE": pem(bare, "chosen")}))
    assert [Path(path).name for path in found] == ["certifis", "pythons", "two", "one", "chosen"]


def test_this_machine_has_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=roots.bundle())
    assert context.cert_store_stats()["x509_ca"] > 50


def test_certifis_is_a_file_of_the_same() -> None:
    """httpx brings it, so it is there wherever this package is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=roots._certifis())
    assert context.cert_store_stats()["x509_ca"] > 50


def test_none_at_all(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certifi(monkeypatch, str(bare / "gone"))
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="no authorities were found") as caught:
            roots.bundle(NOWHERE)
        assert str(bare / "one") in caught.value.message
        assert "ca-certificates" in caught.value.hint
        assert "sslrootcert=FILE" in caught.value.hint
        monkeypatch.setitem(sys.modules, "certifi", None)


def test_a_choice_is_not_replaced(bare: Path) -> None:
    pem(bare, "one")
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE in the environment is") as caught:
        roots.bundle({"SSL_CERT_FILE": str(bare / "gone")})
    assert str(bare / "gone") in caught.value.message
    assert "unset it" in caught.value.hint


def test_a_file_that_this_account_may_not_read(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pem(bare, "secret")
    roots.check(path, None, NOWHERE)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may read everything
    with pytest.raises(ConfigurationError, match="may not read that file"):
        roots.check(path, None, NOWHERE)
    with pytest.raises(ConfigurationError, match=r"^SSL_CERT_FILE in the environment is"):
        roots.bundle({"SSL_CERT_FILE": path})


def test_where_a_file_was_named(bare: Path) -> None:
    def named(path: str, environ: dict[str, str]) -> str:
        url = PostgresURL.build(host="db.example", password="s3cr3t")
        error = roots.unusable(path, url, "it is empty", environ)
        assert "s3cr3t" not in str(error)
        assert error.hint
        return error.message.partition(" is ")[0]

    assert named("/x", {"SSL_CERT_FILE": "/x"}) == "SSL_CERT_FILE in the environment"
    assert named("/x", {"PGSSLROOTCERT": "/x"}) == "PGSSLROOTCERT in the environment"
    assert named(str(bare / "one"), {}) == "the system's file of certificate authorities"
    others = {"SSL_CERT_FILE": "/y", "PGSSLROOTCERT": "/z"}
    assert named("/x", others) == "sslrootcert in the URL to db.example"


@pytest.mark.parametrize("given", [{}, {"sslmode": "require"}, {"sslmode": "verify-full"}])
def test_system_is_that_file_and_verify_full(tmp_path: Path, given: dict[str, str]) -> None:
    environ = {"SSL_CERT_FILE": pem(tmp_path, "a b")}
    url = PostgresURL.build(host="h", params={**given, "sslrootcert": "system"})
    assert dict(roots.concrete(url, environ).params) == {
        "sslmode": "verify-full",
        "sslrootcert": environ["SSL_CERT_FILE"],
    }


def test_nothing_else_is_touched() -> None:
    url = PostgresURL.build(host="h", params={"sslmode": "require", "sslrootcert": "/x"})
    assert roots.concrete(url, {"SSL_CERT_FILE": "/gone"}) is url


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_in_the_words_of_whoever_connects(
    driver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ppg_integrations.conversions import connect_keywords

    path = pem(tmp_path, "roots.pem")
    monkeypatch.setenv("SSL_CERT_FILE", path)
    url = PostgresURL.build(host="h", params={"sslrootcert": "system"})
    verified = {"sslmode": "verify-full", "sslrootcert": path}
    keywords, options = connect_keywords(url, driver), url.django()["OPTIONS"]
    query, environ = url.sqlalchemy(driver).query, url.libpq_environ()
    for found in (keywords, options, query):
        assert {name: found[name] for name in verified} == verified
    assert (environ["PGSSLMODE"], environ["PGSSLROOTCERT"]) == ("verify-full", path)
