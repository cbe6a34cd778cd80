"""The demo's judgement: each row is good for one reason, and bad for every other."""

from __future__ import annotations

import http.server
import sys
import threading
from contextlib import contextmanager

import pytest

from example_projects.demo import expectations, project, story
from example_projects.demo.burst import Burst, burst
from example_projects.demo.guestbook import GUESTBOOK, HouseGuest
from example_projects.demo.server import Seen
from example_projects.demo.table import Part, Row, faults, render
from ppg_integrations.providers.local.counters import Counters


def seen(pooled_logins=0, transactions=0, direct_logins=0, held=0):
    return Seen(
        Counters(
            pooled_logins=pooled_logins,
            pooled_transactions=transactions,
            server_connections=0,
            direct_logins=direct_logins,
        ),
        held,
    )


def report(pooled, direct, *problems):
    return {
        "pooled": {"kind": pooled},
        "direct": {"kind": direct},
        "problems": [{"id": name, "severity": severity} for name, severity in problems],
    }


GOOD = report("transaction-pooler", "direct", ("tls-unverified", "warning"))
SWAPPED = report("direct", "transaction-pooler", ("swapped", "error"))


@pytest.mark.parametrize(
    ("row", "good"),
    [
        (expectations.doctor_as_named("doctor", GOOD, seen()), True),
        (expectations.doctor_as_named("doctor", SWAPPED, seen()), False),
        (
            expectations.doctor_as_named("doctor", report("transaction-pooler", "proxy"), seen()),
            False,
        ),
        (
            expectations.doctor_as_named(
                "doctor", report("transaction-pooler", "direct", ("in-recovery", "error")), seen()
            ),
            False,
        ),
        (expectations.doctor_finds_swap("doctor", SWAPPED, seen()), True),
        (expectations.doctor_finds_swap("doctor", GOOD, seen()), False),
        (
            expectations.doctor_finds_swap(
                "doctor", report("direct", "transaction-pooler", ("unreachable", "error")), seen()
            ),
            False,
        ),
        (expectations.migrate_direct("migrate", seen(direct_logins=1)), True),
        (expectations.migrate_direct("migrate", seen(direct_logins=1, pooled_logins=1)), False),
        (expectations.migrate_direct("migrate", seen()), False),
        (expectations.migrate_through_pooler("migrate", seen(pooled_logins=1)), True),
        (
            expectations.migrate_through_pooler("migrate", seen(pooled_logins=1, direct_logins=1)),
            False,
        ),
        (expectations.migrate_through_pooler("migrate", seen()), False),
    ],
)
def test_commands(row, good):
    assert (row.faults == ()) is good
    assert row.held is None


CAME = Burst(requests=1000, failed=0, written=160)
FLOW = {"pooled_logins": 40, "transactions": 3200, "held": 5}


@pytest.mark.parametrize(
    ("came", "flow", "stored", "fault"),
    [
        (CAME, FLOW, 160, None),
        (CAME, {**FLOW, "held": 1, "pooled_logins": 6}, 160, None),
        (CAME._replace(failed=1), FLOW, 160, "no failed request"),
        (CAME, FLOW, 159, "160 entries stored, not 159"),
        (CAME._replace(written=0), FLOW, 0, "entries stored"),
        (CAME, {**FLOW, "direct_logins": 1}, 160, "no login on PostgreSQL"),
        (CAME, {**FLOW, "transactions": 999}, 160, "for each request, not 999"),
        (CAME, {**FLOW, "held": 6}, 160, "up to 5 connections"),
        (CAME, {**FLOW, "held": 0}, 160, "up to 5 connections"),
        (CAME, {**FLOW, "pooled_logins": 5}, 160, "up to 5 connections"),
        (CAME, {**FLOW, "pooled_logins": 41}, 160, "up to 40 logins"),
    ],
)
def test_the_burst_by_the_right_pair(came, flow, stored, fault):
    row = expectations.burst_pooled(
        "burst", came, seen(**flow), writes="entries", stored=stored, threads=40, pool=5
    )
    assert [fault in text for text in row.faults] == ([True] if fault else [])


@pytest.mark.parametrize(
    ("failed", "flow", "refused", "fault"),
    [
        (400, {}, True, None),
        (0, {}, True, "failed requests"),
        (400, {}, False, "for want of a connection"),
        (400, {"pooled_logins": 1}, True, "no login on PgBouncer"),
        (400, {"transactions": 1}, True, "no transaction"),
        (400, {"held": 5}, True, None),
        (400, {"held": 4}, True, "from 5 to 12 connections"),
        (400, {"held": 13}, True, "from 5 to 12 connections"),
    ],
)
def test_the_burst_by_the_swapped_pair(failed, flow, refused, fault):
    counted = seen(**{"direct_logins": 412, "held": 12, **flow})
    came = CAME._replace(failed=failed)
    row = expectations.burst_direct("burst", came, counted, pool=5, limit=12, refused=refused)
    assert [fault in text for text in row.faults] == ([True] if fault else [])


def test_faults_are_the_expectations_that_do_not_hold():
    assert faults((True, "a"), (False, "b"), (False, "c")) == ("b", "c")


def test_the_table_is_aligned_and_says_what_is_off():
    rows = (
        Row("migrate", 0, 1, None, "straight"),
        Row("a longer name", 12, 0, 5, "none failed", ("b",)),
    )
    lines = render([Part("title", rows)], lambda _style, text: text).splitlines()
    good, bad, fault = lines[-3:]
    assert lines[-4] == "title"
    assert (good[0], bad[0]) == ("✓", "✗")
    assert good.index("straight") == bad.index("none failed")
    assert good.index(" 0 ") == bad.index("12 ")  # right-aligned
    assert fault.strip() == "should be: b"
    assert all(line == line.rstrip() for line in lines)


def test_colour_is_the_callers_choice():
    part = Part("title", (Row("migrate", 0, 1, None, "straight"),))
    painted = render([part], lambda style, text: f"<{style}>{text}")
    assert "<bold>title" in painted
    assert "<green>✓" in painted
    assert "<red>" not in painted


def test_no_other_database_can_be_hit(tmp_path, monkeypatch):
    for name in ("DATABASE_URL", "POSTGRES_PRISMA_URL", "DIRECT_URL", "PGHOST", "PPG_PROVIDER"):
        monkeypatch.setenv(name, "postgresql://real.example.com/production")
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "production")
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--bind 0.0.0.0:80")
    monkeypatch.setenv("PPG_PGBOUNCER", "/opt/pgbouncer")
    monkeypatch.setenv("DEBUG", "1")
    environ = project.Project(GUESTBOOK, tmp_path, tmp_path).environ({"DIRECT_URL": "given"})
    assert environ["PPG_PGBOUNCER"] == "/opt/pgbouncer"
    assert environ["DIRECT_URL"] == "given"
    assert environ["DEBUG"] == "0"
    left = {name for name in environ if environ[name].endswith(("production", ":80"))}
    assert left == set()


def test_a_tools_last_words_are_shown_without_passwords(tmp_path, generated, capsys):
    logs = tmp_path / "run-x" / "logs"
    logs.mkdir(parents=True)
    demo = project.Project(GUESTBOOK, tmp_path, logs)
    (tmp_path / ".env").write_text(
        f"DATABASE_URL={generated.pooled.reveal()}\nDIRECT_URL={generated.direct.reveal()}\n"
    )
    log = demo.log("tool")
    log.write_text("".join(f"line {n}\n" for n in range(40)) + generated.pooled.reveal())
    screen = story.Screen(sys.stdout, sys.stderr)
    story._show_failure(demo, screen, project.StepError("the tool failed", log))
    printed = capsys.readouterr().out
    assert generated.pooled.password.reveal() not in printed
    assert "the tool failed" in printed
    assert "line 39" in printed
    assert "line 10\n" not in printed
    kept = tmp_path / "run-x-logs" / "01-tool.log"
    assert str(kept) in printed
    assert kept.is_file()


@contextmanager
def site(fails):
    """A guestbook of a few lines; `fails` says for which requests it has no connection."""
    count = iter(range(10**6))
    stored = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status, text, **headers):
            body = text.encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            if fails(next(count)):
                self.answer(500, "no")
            elif self.path == "/sign/":
                form = '<input name="csrfmiddlewaretoken" value="abc"><option value="7">'
                self.answer(200, form, Set_Cookie="csrftoken=xyz; Path=/; Secure")
            else:
                self.answer(200, "What our guests wrote")

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            assert self.headers["Cookie"] == "csrftoken=xyz"
            assert "csrfmiddlewaretoken=abc&house=7&name=Guest" in body
            if fails(next(count)):
                self.answer(500, "no")
            else:
                stored.append(body)
                self.answer(302, "", Location="/")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address, stored
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_burst_counts_what_was_answered():
    with site(lambda _number: False) as (address, stored):
        assert burst(HouseGuest, address, guests=4, requests=48) == Burst(48, 0, 12)
    assert len(stored) == 12


def test_a_burst_counts_what_failed():
    with site(lambda number: number % 3 == 0) as (address, stored):
        came = burst(HouseGuest, address, guests=4, requests=48)
    assert came.failed == 16
    assert came.written == len(stored)


def test_a_burst_on_a_closed_port_is_all_failures():
    with site(lambda _number: False) as (address, _stored):
        pass
    assert burst(HouseGuest, address, guests=2, requests=10) == Burst(10, 10, 0)
