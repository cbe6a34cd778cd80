"""What the doctor makes of what the probes saw; the servers themselves are in tests/probe."""

from __future__ import annotations

import json
import string

import pytest

from ppg_integrations import doctor, problems
from ppg_integrations.errors import ConnectError
from ppg_integrations.pair import ConnectionPair, Source
from ppg_integrations.probe import ProbeResult
from ppg_integrations.problems import problem
from ppg_integrations.tls import TLS
from ppg_integrations.urls import PostgresURL
from ppg_integrations.vitals import Slots, Vitals

SECRET = "s3cr3t/w%rd-Pass"
GOOD = TLS("TLSv1.3", "TLS_AES_256_GCM_SHA384", verified=True)
KINDS = ("transaction-pooler", "session-pooler", "statement-pooler", "direct", "proxy")


def url(host="db.example", port=5432, **params):
    params = {"sslmode": "verify-full"} if not params else params
    return PostgresURL.build(
        host=host, port=port, user="app", password=SECRET, database="shop", params=params
    )


POOLED, DIRECT = url("pooler.example"), url("db.example")


def pair(pooled=POOLED, direct=DIRECT, provider=None, direct_source=None):
    return ConnectionPair(
        pooled,
        direct,
        Source("environment", "DATABASE_URL"),
        (direct_source or Source("file", "DIRECT_URL", "/app/.env")) if direct else None,
        provider,
    )


def seen(kind="direct", **changes):
    vitals = {"server_version": "17.10", "database": "shop", "user": "app", "system": "1"}
    vitals |= changes.pop("vitals", {})
    return ProbeResult(
        kind, "because", vitals=Vitals(**vitals), **{"tls": GOOD, "latency_ms": 1.5, **changes}
    )


def refused(code="refused"):
    error = ConnectError("cannot connect to db.example:5432: no", hint="Go there.", code=code)
    return ProbeResult("unreachable", error.message, error)


def ids(found):
    return [one.id for one in found]


def test_a_pair_as_it_should_be():
    assert doctor.judge(pair(), seen("transaction-pooler"), seen("direct")) == []


@pytest.mark.parametrize(
    ("pooled", "direct", "expected"),
    [
        ("transaction-pooler", "direct", []),
        ("transaction-pooler", "proxy", []),
        ("transaction-pooler", "session-pooler", ["direct-is-session-pooler"]),
        ("transaction-pooler", "transaction-pooler", ["direct-is-pooler"]),
        ("transaction-pooler", "statement-pooler", ["direct-is-pooler"]),
        ("session-pooler", "direct", ["pooled-is-session-pooler"]),
        ("session-pooler", "transaction-pooler", ["swapped"]),
        ("session-pooler", "proxy", ["pooled-is-session-pooler"]),
        ("statement-pooler", "direct", ["statement-pooler"]),
        ("statement-pooler", "transaction-pooler", ["direct-is-pooler", "statement-pooler"]),
        ("direct", "direct", ["pooled-is-direct"]),
        ("direct", "proxy", ["pooled-is-direct"]),
        ("direct", "transaction-pooler", ["swapped"]),
        ("direct", "statement-pooler", ["swapped"]),
        ("proxy", "direct", ["pooled-is-proxy"]),
        ("proxy", "transaction-pooler", ["swapped"]),
    ],
)
def test_kinds(pooled, direct, expected):
    found = doctor.judge(pair(), seen(pooled), seen(direct))
    assert sorted(ids(found)) == sorted(expected)
    worst = {"swapped", "direct-is-pooler", "statement-pooler"}
    assert any(one.severity == "error" for one in found) is bool(worst & set(expected))


def test_every_pair_of_kinds_is_judged():
    for pooled in (*KINDS, "unreachable"):
        for direct in (*KINDS, "unreachable", None):
            left = refused() if pooled == "unreachable" else seen(pooled)
            right = refused() if direct == "unreachable" else seen(direct) if direct else None
            given = pair() if right else pair(direct=None)
            for one in doctor.judge(given, left, right):
                assert one.severity in ("error", "warning", "info")
                assert "{" not in one.message + one.hint


def test_a_swapped_pair_names_both_variables():
    found = doctor.judge(pair(), seen("direct"), seen("transaction-pooler"))
    assert ids(found) == ["swapped"]
    (one,) = found
    for word in (
        "DATABASE_URL in the environment", "DIRECT_URL in /app/.env", "pooler.example:5432",
        "db.example:5432",
    ):  # fmt: skip
        assert word in one.message
    assert one.hint == "Exchange the values of DATABASE_URL and DIRECT_URL."


def test_a_derived_half_names_the_variable_to_set():
    given = pair(direct_source=Source("derived", "DATABASE_URL", "DATABASE_URL"))
    (one,) = doctor.judge(given, seen("transaction-pooler"), seen("transaction-pooler"))
    assert one.hint.startswith("Set DIRECT_URL to")


def test_unreachable_endpoints_give_their_own_hint():
    found = doctor.judge(pair(), refused(), refused())
    assert ids(found) == ["unreachable", "unreachable"]
    assert [one.message.split(":")[0] for one in found] == ["pooled", "direct"]
    assert {one.hint for one in found} == {"Go there."}
    assert {one.severity for one in found} == {"error"}


def failed(code):
    error = ConnectError(f"cannot connect: {code}", hint=f"Mend {code}.", code=code)
    return ProbeResult("unreachable", error.message, error)


@pytest.mark.parametrize("silent", ["timeout", "upstream"])
@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("no-database", "has no database 'shop'"),
        ("no-role", "knows no user 'app'"),
        ("wrong-password", "does not take the password of 'app'"),
    ],
)
def test_a_silent_pooler_is_explained_by_what_the_server_refuses(silent, code, words):
    one, two = doctor.judge(pair(), failed(silent), failed(code))
    assert one.message.startswith(f"pooled: cannot connect: {silent}: the pooler cannot log in")
    assert words in one.message
    assert one.hint == two.hint == f"Mend {code}."
    assert two.message == f"direct: cannot connect: {code}"


@pytest.mark.parametrize(
    ("pooled", "direct", "given"),
    [
        ("refused", "no-database", pair()),
        ("timeout", "timeout", pair()),
        ("timeout", "refused", pair()),
        ("timeout", "no-database", pair(direct=DIRECT.replace(database="other"))),
        ("timeout", "no-role", pair(direct=DIRECT.replace(user="other"))),
        ("timeout", "wrong-password", pair(direct=DIRECT.replace(password="other"))),
    ],
)
def test_a_pooler_that_asks_for_something_else_is_not(pooled, direct, given):
    one, _ = doctor.judge(given, failed(pooled), failed(direct))
    assert (one.message, one.hint) == (f"pooled: cannot connect: {pooled}", f"Mend {pooled}.")


def test_nor_is_one_whose_server_can_be_reached():
    (one,) = doctor.judge(pair(), failed("timeout"), seen("direct"))
    assert one.message == "pooled: cannot connect: timeout"


def test_no_direct_url():
    (one,) = doctor.judge(pair(direct=None), seen("transaction-pooler"), None)
    assert (one.id, one.severity) == ("no-direct-url", "warning")
    assert "DIRECT_URL" in one.hint


@pytest.mark.parametrize(
    ("host", "severity"), [("127.0.0.1", "info"), ("::1", "info"), ("db.example", "warning")]
)
def test_one_endpoint_without_a_pooler(host, severity):
    given = pair(url(host), url(host))
    found = doctor.judge(given, seen("direct"), seen("direct"))
    assert [(one.id, one.severity) for one in found] == [("same-endpoint", severity)]


def test_one_endpoint_that_is_a_pooler():
    found = doctor.judge(
        pair(POOLED, POOLED), seen("transaction-pooler"), seen("transaction-pooler")
    )
    assert ids(found) == ["direct-is-pooler"]


@pytest.mark.parametrize(
    ("vitals", "expected"),
    [
        ({"system": "2"}, [("different-servers", "error")]),
        ({"system": None}, []),
        ({"server_version": "16.4"}, [("versions-differ", "warning")]),
        ({"system": "2", "server_version": "16.4"}, [("different-servers", "error")]),
        ({"database": "other"}, [("databases-differ", "error")]),
        ({"user": "owner"}, [("users-differ", "warning")]),
        ({"in_recovery": True}, [("in-recovery", "error")]),
        ({"slots": Slots(79, 100, "server")}, []),
        ({"slots": Slots(80, 100, "role")}, [("slots-low", "warning")]),
    ],
    ids=str,
)
def test_what_the_servers_say(vitals, expected):
    found = doctor.judge(pair(), seen("transaction-pooler"), seen("direct", vitals=vitals))
    assert [(one.id, one.severity) for one in found] == expected


def test_a_pooled_replica_may_be_meant():
    left = seen("transaction-pooler", vitals={"in_recovery": True})
    (one,) = doctor.judge(pair(), left, seen("direct"))
    assert (one.id, one.severity) == ("in-recovery", "warning")


def test_two_databases_that_were_asked_for():
    given = pair(direct=DIRECT.replace(database="other"))
    right = seen("direct", vitals={"database": "other"})
    (one,) = doctor.judge(given, seen("transaction-pooler"), right)
    assert (one.id, one.severity) == ("databases-differ", "warning")


def test_slots_are_told_once():
    full = {"slots": Slots(99, 100, "server")}
    found = doctor.judge(
        pair(), seen("transaction-pooler", vitals=full), seen("direct", vitals=full)
    )
    assert ids(found) == ["slots-low"]
    found = doctor.judge(pair(), seen("transaction-pooler", vitals=full), refused())
    assert sorted(ids(found)) == ["slots-low", "unreachable"]


@pytest.mark.parametrize(
    ("host", "sslmode", "tls", "expected"),
    [
        ("db.example", "disable", None, ["tls-off"]),
        ("db.example", "prefer", None, ["tls-off"]),
        ("db.example", "prefer", GOOD, ["tls-optional"]),
        ("db.example", "require", GOOD, ["tls-not-enforced"]),
        ("db.example", "verify-full", GOOD, []),
        ("db.example", "verify-ca", GOOD, []),
        (
            "db.example",
            "require",
            TLS("TLSv1.3", "x", verified=False, why_not="self-signed"),
            ["tls-unverified"],
        ),
        ("127.0.0.1", "disable", None, []),
        ("localhost", "prefer", GOOD, []),
        ("/run/postgresql", "prefer", None, []),
        ("::1", "require", TLS("TLSv1.3", "x", verified=False, why_not="self-signed"), []),
    ],
)
def test_tls(host, sslmode, tls, expected):
    given = pair(direct=url(host, sslmode=sslmode))
    found = doctor.judge(given, seen("transaction-pooler"), seen("direct", tls=tls))
    assert ids(found) == expected


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("-csearch_path=a", "search_path"),
        ("-c search_path=a -c statement_timeout=5", "search_path, statement_timeout"),
        ("endpoint=ep-x", ""),
        ("project=x -c lock_timeout=1", "lock_timeout"),
    ],
)
def test_startup_options_on_the_pooled_url(options, found):
    given = pair(url("pooler.example", sslmode="verify-full", options=options))
    result = doctor.judge(given, seen("transaction-pooler"), seen("direct"))
    assert ids(result) == (["startup-parameters"] if found else [])
    if found:
        assert f"({found})" in result[0].message


@pytest.mark.parametrize(
    ("provider", "seconds", "expected"),
    [("neon", "5", True), ("neon", "0", False), ("neon", "10", False), (None, "5", False)],
)
def test_too_little_time_to_wake(provider, seconds, expected):
    given = pair(
        url("pooler.example", sslmode="verify-full", connect_timeout=seconds), provider=provider
    )
    found = doctor.judge(given, seen("transaction-pooler"), seen("direct"))
    assert ids(found) == (["short-connect-timeout"] if expected else [])


def test_the_worst_comes_first():
    given = pair(direct=url("db.example", sslmode="require"))
    right = seen("direct", vitals={"in_recovery": True, "slots": Slots(9, 10, "server")})
    found = doctor.judge(given, seen("transaction-pooler"), right)
    assert [one.severity for one in found] == ["error", "warning", "info"]


def test_the_json_document():
    left = seen("transaction-pooler", vitals={"slots": Slots(3, 97, "server")})
    diagnosis = doctor.Diagnosis(pair(), left, refused(), (problem("no-direct-url", name="X"),))
    document = json.loads(json.dumps(diagnosis.as_json()))
    assert set(document) == {"pooled", "direct", "problems"}
    assert document["pooled"] == {
        "host": "pooler.example",
        "port": 5432,
        "source": "DATABASE_URL in the environment",
        "url": str(POOLED),
        "kind": "transaction-pooler",
        "evidence": "because",
        "tls": {
            "version": "TLSv1.3",
            "cipher": "TLS_AES_256_GCM_SHA384",
            "verified": True,
            "why_not": "",
        },
        "server_version": "17.10",
        "latency_ms": 1.5,
        "prepared_statements": None,
        "database": "shop",
        "user": "app",
        "in_recovery": False,
        "slots": {"used": 3, "allowed": 97, "limit": "server"},
        "error": None,
    }
    assert document["direct"]["kind"] == "unreachable"
    assert document["direct"]["error"]["code"] == "refused"
    assert document["direct"]["tls"] is None
    assert set(document["problems"][0]) == {"id", "severity", "message", "hint"}
    assert diagnosis.failed is False


def test_the_password_is_in_the_document_only_when_revealed():
    diagnosis = doctor.Diagnosis(pair(), seen("transaction-pooler"), seen("direct"), ())
    assert SECRET not in str(diagnosis.as_json()) + repr(diagnosis)
    revealed = diagnosis.as_json(reveal=True)
    assert revealed["pooled"]["url"] == POOLED.reveal()
    assert revealed["direct"]["url"] == DIRECT.reveal()


def test_without_a_direct_url_the_document_says_null():
    assert doctor.Diagnosis(pair(direct=None), seen(), None, ()).as_json()["direct"] is None


def test_the_table_is_sound():
    for identity, row in problems.TABLE.items():
        assert identity == identity.lower()
        assert row.severity in ("error", "warning", "info")
        names = {
            name
            for text in (row.message, row.hint)
            for _, name, _, _ in string.Formatter().parse(text)
            if name
        }
        one = problem(identity, **dict.fromkeys(names, "{value}"))
        assert one.message.count("{value}") >= 1 or "{" not in row.message, (
            "values are not formatted"
        )
