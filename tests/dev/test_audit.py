"""What the audit makes of an index's answers; that it asks a real one is for ``tox -e audit``."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from devtools import audit
from devtools.audit import Answer, Pin, Unreachable

OLD = Pin("django", "5.2.1")
FOUND = Answer(OLD, (("PYSEC-2025-1", "CVE-2025-1"),))
FINE = Answer(Pin("six", "1.17.0"), ())
UNKNOWN = Answer(Pin("six", "1.16.0"), None)


def test_every_pin_is_asked_about_whatever_it_is_for(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(
        "# made by\nsix==1.16.0 ; python_full_version < '3.11' \\\n    --hash=sha256:00\n"
        "six==1.17.0 ; python_full_version >= '3.11' \\\n    --hash=sha256:00\n"
    )
    (tmp_path / "b").write_text("six==1.17.0 \\\n    --hash=sha256:00\n")
    paths = [tmp_path / "a", tmp_path / "b"]
    assert audit.pins(paths) == [Pin("six", "1.16.0"), Pin("six", "1.17.0")]


def test_a_known_vulnerability_fails() -> None:
    bad, unknown = audit.judge([FINE, FOUND], {})
    assert bad == ["django 5.2.1 has a known vulnerability: PYSEC-2025-1, CVE-2025-1"]
    assert unknown == []


@pytest.mark.parametrize("name", ["PYSEC-2025-1", "CVE-2025-1"])
def test_it_is_waived_by_its_name_with_a_reason_and_no_longer_than_it_is_found(name: str) -> None:
    assert audit.judge([FOUND], {name: "no request reaches that code"}) == ([], [])
    assert audit.judge([FOUND], {name: " "})[0] == [f"{name} is waived without a reason"]
    assert audit.judge([FINE], {name: "so"})[0] == [
        f"{name} is waived and found no more: take it out"
    ]
    assert len(audit.judge([FOUND], {"PYSEC-2025-2": "another one"})[0]) == 2


def test_what_the_index_cannot_tell_is_said_and_no_waiver_is_called_needless() -> None:
    assert audit.judge([FINE, UNKNOWN], {"PYSEC-2025-1": "so"}) == ([], [UNKNOWN.pin])


def test_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def status(*arguments: str, answers: list[Answer]) -> int:
        monkeypatch.setattr(audit, "ask", lambda _: answers)
        return audit.main(list(arguments))

    monkeypatch.setattr(audit, "WAIVED", {})
    assert status(answers=[FINE]) == 0
    assert status(answers=[FOUND]) == 1
    assert "django 5.2.1 has a known vulnerability" in capsys.readouterr().out
    assert status(answers=[FINE, UNKNOWN]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("six 1.16.0")
    assert status("--complete", answers=[FINE, UNKNOWN]) == 1


def test_an_index_that_cannot_be_asked_fails_ci_and_nobody_who_is_offline(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(_: object) -> list[Answer]:
        raise Unreachable("six 1.17.0: no route")

    monkeypatch.setattr(audit, "ask", ask)
    monkeypatch.delenv("CI", raising=False)
    assert audit.main([]) == 0
    assert "NOT AUDITED" in capsys.readouterr().err
    assert audit.main(["--complete"]) == 1
    monkeypatch.setenv("CI", "true")
    assert audit.main([]) == 1


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An index that has a page for each project and none for its versions."""
    monkeypatch.setenv("NO_PROXY", "*")

    cuts = iter("two")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "shaky" in self.path and next(cuts, None):
                return  # without an answer
            known = self.path in ("/pypi/six/json", "/pypi/shaky/json")
            body = json.dumps({"info": {"version": "1.17.0"}, "vulnerabilities": []}).encode()
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", str(len(body) if known else 0))
            self.end_headers()
            self.wfile.write(body if known else b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/pypi"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("six/1.17.0/json", 200),
        ("six/1.16.0/json", 404),
        ("nine/1.0/json", 404),
        ("nine/json", 404),
    ],
)
def test_a_project_s_page_speaks_of_its_newest_version_alone(
    index: str, path: str, status: int
) -> None:
    with requests.Session() as session:
        session.hooks["response"].append(audit.newest)
        with session.get(f"{index}/{path}") as response:
            assert response.status_code == status


def test_a_connection_that_is_cut_is_no_failure(
    index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_AGAIN", audit._AGAIN.new(backoff_factor=0))
    with audit.patient(requests.Session()) as session:
        with session.get(f"{index}/shaky/json") as response:
            assert response.status_code == 200
