"""Texts that people meet, as servers, poolers, proxies and drivers write them."""

from __future__ import annotations

import re

import pytest

from ppg_integrations.failures import FAILURES, condense, explain, redact
from ppg_integrations.urls import PostgresURL

TEXTS = [
    ('FATAL:  password authentication failed for user "app"', "wrong-password"),
    ("FATAL:  SASL authentication failed", "wrong-password"),
    ("fe_sendauth: no password supplied", "no-password"),
    ('FATAL:  role "app" does not exist', "no-role"),
    ("FATAL:  no such user", "no-role"),
    ('FATAL:  database "shop" does not exist', "no-database"),
    ("FATAL:  no such database: shop", "no-database"),
    (
        "ERROR:  This IP address 203.0.113.9 is not allowed to connect to this endpoint.",
        "ip-not-allowed",
    ),
    ("FATAL:  unsupported startup parameter: options", "startup-parameter"),
    ("FATAL:  unsupported startup parameter in options: search_path", "startup-parameter"),
    ("FATAL:  SSL required", "tls-required"),
    ("ERROR:  connection is insecure (try using `sslmode=require`)", "tls-required"),
    (
        'FATAL:  no pg_hba.conf entry for host "203.0.113.9", user "app", database "shop", '
        "no encryption",
        "tls-required",
    ),
    (
        'FATAL:  no pg_hba.conf entry for host "203.0.113.9", user "app", database "shop", '
        "SSL encryption",
        "not-admitted",
    ),
    ("server does not support SSL, but SSL was required", "tls-unsupported"),
    ("SSL error: certificate verify failed", "tls-unverified"),
    ('root certificate file "/home/a/.postgresql/root.crt" does not exist', "tls-unverified"),
    (
        'server certificate for "a.example" does not match host name "b.example"',
        "tls-unverified",
    ),
    ("ERROR:  Endpoint ID is not specified. Either please upgrade ...", "endpoint-id"),
    (
        "ERROR:  Inconsistent project name inferred from SNI ('ep-a') and project option",
        "endpoint-mismatch",
    ),
    ("channel binding required, but SSL not in use", "channel-binding"),
    (
        "Failed to connect to upstream database. Please contact Prisma support if the issue ...",
        "upstream",
    ),
    ("failted to connect to upstream database", "upstream"),
    ("ERROR:  Couldn't connect to compute node", "upstream"),
    ("FATAL:  server login has been failing, try again later (server_login_retry)", "upstream"),
    ("FATAL:  query_wait_timeout", "pool-exhausted"),
    ("FATAL:  sorry, too many clients already", "too-many-connections"),
    ("ERROR:  Too many connections to this endpoint", "too-many-connections"),
    (
        "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        "too-many-connections",
    ),
    ("FATAL:  no more connections allowed (max_client_conn)", "too-many-connections"),
    ('FATAL:  too many connections for role "app"', "too-many-connections"),
    ("FATAL:  the database system is starting up", "starting"),
    ("Your project has exceeded the data transfer quota", "quota"),
    ('connection to server at "127.0.0.1", port 1 failed: Connection refused', "refused"),
    ('could not translate host name "a.invalid" to address: Name or service', "unknown-host"),
    ("failed to resolve host 'a.invalid': [Errno -2] Name or service not known", "unknown-host"),
    ("connection timeout expired", "timeout"),
    ("timeout expired", "timeout"),
    ("connection to server failed: Connection timed out", "timeout"),
    ("connection to server failed: Network is unreachable", "no-route"),
    ("received invalid response to SSL negotiation: H", "not-postgres"),
    ("expected authentication request from server, but received H", "not-postgres"),
    ("server closed the connection unexpectedly", "closed"),
    ("SSL SYSCALL error: EOF detected", "closed"),
    ("SSL connection has been closed unexpectedly", "closed"),
    ("terminating connection due to administrator command", "closed"),
    ("could not receive data from server: Connection reset by peer", "closed"),
    (
        'connection to server on socket "/tmp/.s.PGSQL.5432" failed: No such file or directory',
        "no-socket",
    ),
]


@pytest.mark.parametrize(("text", "code"), TEXTS)
def test_a_known_text_is_explained(text, code):
    row = explain(text)
    assert row is not None
    assert row.code == code
    assert row.hint


def test_an_unknown_text_is_not():
    assert explain("FATAL:  the moon is in the wrong house") is None


def test_codes_are_unique_and_each_is_tested():
    codes = [row.code for row in FAILURES]
    assert len(codes) == len(set(codes))
    assert set(codes) == {code for _, code in TEXTS}
    assert all(re.fullmatch("[a-z-]+", code) for code in codes)


@pytest.mark.parametrize("password", ["s3cr3t/w%rd ä+&", "postgres", "x y"])
def test_every_spelling_of_a_secret_is_masked(password):
    url = PostgresURL.build(host="h", user="u", password=password, params={"sslpassword": "Ky-99"})
    shown = redact(f"a {password} b {url.reveal()} c Ky-99", url)
    assert password not in shown
    assert "Ky-99" not in shown
    assert url.reveal().split("@")[0].split(":")[-1] not in shown


def test_a_short_secret_is_masked_as_a_word_only():
    url = PostgresURL.build(host="h", user="u", password="p")
    assert redact("password p for port", url) == "password *** for port"


def test_one_line_without_repeats():
    text = (
        'connection failed: connection to server at "127.0.0.1", port 5 failed: FATAL:  no\n'
        'connection to server at "127.0.0.1", port 5 failed: FATAL:  no\n'
        "\tIs the server running on that host and accepting TCP/IP connections?\n"
    )
    assert condense(text) == "FATAL: no"
    assert condense('connection to server at "a" (::1), port 5 failed: X') == "X"
