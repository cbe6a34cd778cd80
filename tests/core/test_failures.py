"""Texts that people meet, as servers, poolers, proxies and drivers write them."""

from __future__ import annotations

import re

import psycopg
import pytest

from ppg_integrations import drivers, hosts, next_steps, refusals
from ppg_integrations.errors import ConnectError
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
    ("FATAL:  bouncer config error", "upstream"),
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
    ("Your project has exceeded the data transfer quota. Upgrade your plan ...", "quota"),
    ("Your account or project has exceeded the compute time quota. Upgrade ...", "quota"),
    ("You've exceeded the compute time for this branch. Upgrade your plan ...", "quota"),
    ("The workspace plan limit is reached", "quota"),
    ("Console request failed: endpoint is disabled", "disabled"),
    ("Access to this endpoint is temporarily disabled", "disabled"),
    ("FATAL:  (EBANNED) tenant is banned: unpaid", "disabled"),
    (
        "You have exceeded the limit of concurrently active endpoints. Please suspend some ...",
        "too-many-endpoints",
    ),
    (
        "The requested endpoint could not be found, or you don't have access to it. ...",
        "no-endpoint",
    ),
    (
        "FATAL:  (ENOIDENTIFIER) no tenant identifier provided (external_id or sni_hostname ...",
        "no-endpoint",
    ),
    ("FATAL:  (ENOTFOUND) tenant/user postgres.abcdefgh not found", "no-role"),
    ("FATAL:  Tenant or user not found", "no-role"),
    (
        "The role you're attempting to use is protected and cannot be used for password-based ...",
        "no-role",
    ),
    ("password authentication failed for user 'neondb_owner'", "wrong-password"),
    (
        "ERROR:  password authentication failed for user 'app'\n"
        "ERROR:  connection is insecure (try using `sslmode=require`)",
        "wrong-password",
    ),
    (
        "FATAL:  (EADDRNOTALLOWED) address not in tenant allow_list: {203, 0, 113, 9}",
        "ip-not-allowed",
    ),
    (
        "This connection is trying to access this endpoint from a blocked network.",
        "ip-not-allowed",
    ),
    ("This VPC endpoint id vpce-1 is not allowed to connect to this endpoint.", "ip-not-allowed"),
    ("FATAL:  (ESSLREQUIRED) SSL connection is required for user: postgres", "tls-required"),
    ("FATAL:  (EMAXCONN) max client connections reached, limit: 200", "too-many-connections"),
    (
        "max clients reached in session mode - max clients are limited to ...",
        "too-many-connections",
    ),
    (
        "Failed to acquire permit to connect to the database. Too many database connection "
        "attempts are currently ongoing.",
        "too-many-connections",
    ),
    ("You've exceeded the rate limit. Please wait a moment and try again.", "too-many-connections"),
    ("Your project already has running operations. Please wait until ...", "starting"),
    ("FATAL:  Control plane request failed", "upstream"),
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
    ("SSL error: unexpected eof while reading", "closed"),
    ("SSL SYSCALL error: Success", "closed"),
    ("connection was closed in the middle of operation", "closed"),  # asyncpg
    ("unexpected connection_lost() call", "closed"),
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


def test_nobody_waits_for_what_does_not_pass():
    """Of the texts of providers that say no for good, none is one that is tried again."""
    for text, code in TEXTS:
        if code in ("quota", "disabled", "too-many-endpoints", "ip-not-allowed", "no-endpoint"):
            assert explain(text).code not in refusals.TRANSIENT
    assert set(drivers.PATIENCE) == refusals.TRANSIENT


PROVIDERS = {
    "prisma": "postgresql://u:s3sam3@db.prisma.io/postgres",
    "neon": "postgresql://u:s3sam3@ep-cool-rain-pooler.eu-central-1.aws.neon.tech/shop",
    "supabase": "postgresql://u:s3sam3@aws-0-eu-west-1.pooler.supabase.com:6543/postgres",
}


def row(code):
    return next(each for each in FAILURES if each.code == code)


@pytest.mark.parametrize(
    ("provider", "code", "step"),
    [
        ("prisma", "wrong-password", "verb `create`"),
        ("prisma", "upstream", "ten seconds"),
        ("prisma", "too-many-connections", "pooled.db.prisma.io"),
        ("prisma", "quota", "verb `doctor`"),
        ("neon", "wrong-password", "> Connect"),
        ("neon", "ip-not-allowed", "IP Allow"),
        ("neon", "disabled", "PATCH"),
        ("neon", "quota", "Billing"),
        ("neon", "endpoint-id", "options=endpoint%3D"),
        ("supabase", "no-role", "ROLE.PROJECT"),
        ("supabase", "no-route", "IPv6"),
    ],
)
def test_a_provider_has_its_own_next_step(provider, code, step):
    url = PostgresURL.parse(PROVIDERS[provider])
    assert step in next_steps.after(row(code), url)
    elsewhere = PostgresURL.build(host="db.example", user="u")
    assert next_steps.after(row(code), elsewhere) == row(code).hint


@pytest.mark.parametrize("provider", ["neon", "supabase", "prisma"])
def test_who_is_at_the_pooled_url_is_not_sent_there(provider):
    url = PostgresURL.parse(PROVIDERS[provider].replace("@db.prisma.io", "@pooled.db.prisma.io"))
    assert hosts.classify(url.host, url.port).kind == "pooled"
    step = next_steps.after(row("too-many-connections"), url)
    assert step.startswith("This is the pooled URL, and its pooler has no free slot: start fewer")
    elsewhere = PostgresURL.build(host="db.example", user="u")
    assert "If this is the direct URL" in next_steps.after(row("too-many-connections"), elsewhere)


def test_each_step_is_of_a_known_provider_and_code():
    for provider, code in next_steps._STEPS:
        assert provider in PROVIDERS
        assert next_steps.after(row(code), PostgresURL.parse(PROVIDERS[provider])) != row(code).hint


def test_both_ways_to_connect_say_it(monkeypatch):
    """Ours for the verbs, and the applications' own."""
    text = 'FATAL:  password authentication failed for user "u"'
    url = PostgresURL.parse(PROVIDERS["prisma"])

    def refuse(**keywords):
        raise psycopg.OperationalError(text)

    monkeypatch.setattr(psycopg, "connect", refuse)
    with pytest.raises(ConnectError) as caught:
        drivers.connect(url)
    assert "Generate new connection string" in caught.value.hint
    error = refusals.explained(psycopg.OperationalError(text), url, "DATABASE_URL", explain(text))
    assert str(error).endswith(caught.value.hint)


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
    text = (
        "consuming input failed: server closed the connection unexpectedly\n"
        "\tThis probably means the server terminated abnormally\n"
        "\tbefore or while processing the request."
    )
    assert condense(text) == "consuming input failed: server closed the connection unexpectedly"
    assert condense('connection to server at "a" (::1), port 5 failed: X') == "X"
