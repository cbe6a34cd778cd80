"""Names from elsewhere stay names: in SQL, paths, files, addresses, on terminals and in logs."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppg_integrations import PostgresURL, drivers, envfile
from ppg_integrations.cli import frontend, render
from ppg_integrations.cli.screen import Screen
from ppg_integrations.errors import (
    ConfigurationError,
    ConnectError,
    EnvFileError,
    LocalServerError,
    PPGError,
    QueryError,
)
from ppg_integrations.failures import condense
from ppg_integrations.providers.base import Listed
from ppg_integrations.providers.http.call import call
from ppg_integrations.providers.local import account as accounts
from ppg_integrations.providers.local import debian, roles
from ppg_integrations.providers.local.pgbouncer import PgBouncer, Pool
from ppg_integrations.providers.printable import printable, word
from tests.core.test_envfile import SHARED_READERS, docker_reads

ESCAPES = {
    "clear": "a\x1b[2Jb",
    "colour": "\x1b[31mred\x1b[0m",
    "title": "\x1b]0;owned\x07",
    "link": "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;ZWNobyBvd25lZA==\x07",
    "C1": "a\x9b2Jb\x9d0;x\x9c",
    "answerback": "\x05\x1b[c\x1b[6n",
    "backspaces": "safe\b\b\b\bevil",
    "return": "safe\revil",
    "turned": "user\u202etxt.exe\u2066x\u2069",
    "deleted": "a\x7fb",
}
NAMES = {
    **ESCAPES,
    "quote": "a'b",
    "double quote": 'a"b',
    "both": "\"'`",
    "backslash": "a\\b\\",
    "newline": "a\nb",
    "crlf": "a\r\nb",
    "semicolon": "x; DROP DATABASE postgres; --",
    "comment": "a/*b*/--c",
    "closing quote": '"; DROP ROLE ppg_admin; --',
    "dollar quote": "$$a$$",
    "placeholder": "%s %(a)s {0} $1 :a ?",
    "parent": "../../etc/passwd",
    "root": "/etc/passwd",
    "dot": ".",
    "dots": "..",
    "tilde": "~root",
    "substitution": "$(id) `id` ${HOME} $HOME",
    "option": "--version",
    "dash": "-rf",
    "hash": "# a",
    "spaces": "  a  ",
    "equals": "A=b",
    "ini": "x\nauth_type = any",
    "list": "a b, c",
    "look-alike": "\u0440ostgres",
    "full width": "\uff50\uff4f\uff53\uff54",
    "joined": "a\u200d\u200bb",
    "combined": "e\u0301" * 5,
    "long": "n" * 300,
    "long and wide": "\U0001f4a9" * 300,
    "reserved": "pg_catalog",
}
#: What a terminal, or the reader of a log, must never get; line feeds are told apart.
STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

names = pytest.mark.parametrize("name", NAMES.values(), ids=list(NAMES))
any_name = st.text(max_size=60) | st.sampled_from(sorted(NAMES.values()))


# SQL, on the real server.


def test_no_name_breaks_the_servers_sql(servers) -> None:
    """Each becomes a role of exactly that name, and nothing else changes."""
    with servers.connect() as connection:

        def all_roles() -> set[str]:
            return {row[0] for row in connection.fetch("SELECT rolname FROM pg_roles")}

        short = [name for name in NAMES.values() if len(name.encode()) <= 63]
        short = [name for name in short if not name.startswith("pg_")]
        before = all_roles()
        databases = connection.fetch("SELECT count(*) FROM pg_database")
        try:
            for name in short:
                connection.execute(f"CREATE ROLE {roles._quoted(name)} NOLOGIN")
            assert all_roles() - before == set(short)
            for name in short:
                roles.renew(connection, name)
                assert roles.databases(connection).get(name) is None
        finally:
            for name in short:
                connection.execute(f"DROP ROLE IF EXISTS {roles._quoted(name)}")
        assert all_roles() == before
        assert connection.fetch("SELECT count(*) FROM pg_database") == databases
        for act in (roles.renew, roles.shut_out):
            with pytest.raises(QueryError):
                act(connection, 'nobody"; DROP ROLE "ppg_pooler')
        assert all_roles() == before


@names
def test_no_name_is_taken_for_a_role_of_ours(servers, name: str) -> None:
    for act in (servers.revoke, servers.renew):
        with pytest.raises(LocalServerError, match="has no connection") as caught:
            act(name)
        assert not STEERING.search(str(caught.value))


@given(any_name)
def test_a_name_of_ours_needs_no_quotes(name: str) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,45}", roles.identifier(name))
    try:
        database, notes = roles.database_name(name, "shop")
    except LocalServerError:
        return
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,45}", database)
    assert not any(STEERING.search(repr(note)) for note in notes)


def test_roles_with_such_names_log_in_through_both(servers) -> None:
    try:
        made = [
            servers.generate(NAMES[name], database="t_names")
            for name in ("closing quote", "newline", "turned", "long and wide")
        ]
        for each in made:
            for url in (each.pooled, each.direct):
                with drivers.connect(url) as connection:
                    assert connection.fetch("SELECT session_user") == [(each.id,)]
    finally:
        servers.drop("t_names")


@pytest.mark.parametrize("name", ["quote", "closing quote", "newline", "ini", "look-alike", "long"])
def test_no_client_breaks_the_pooler_by_the_name_it_gives(servers, generated, name: str) -> None:
    with pytest.raises(ConnectError) as caught:
        drivers.connect(generated.pooled.replace(user=NAMES[name]))
    assert not STEERING.search(str(caught.value))
    if name == "ini":
        # It goes on trying to log in to such a database, longer than anybody waits here.
        with pytest.raises(ConnectError):
            drivers.connect(generated.pooled.replace(database=NAMES[name]), timeout=0.5)
    with drivers.connect(generated.pooled) as connection:
        assert connection.fetch("SELECT 1") == [(1,)]


# Files.


@names
def test_no_name_breaks_the_env_file(tmp_path: Path, name: str) -> None:
    """It comes back as it was from every reader, or is refused and the file is as before."""
    path = tmp_path / ".env"
    path.write_text("KEPT=1\n")
    try:
        done = envfile.update(path, {"PPG_BRANCH": name, "PPG_ROLE": "r"})
    except EnvFileError as error:
        assert path.read_text() == "KEPT=1\n"
        assert not STEERING.search(str(error))
        assert error.hint
        return
    readers = [*SHARED_READERS] if done.notes else [*SHARED_READERS, docker_reads]
    for reader in readers:
        assert reader(path) == {"KEPT": "1", "PPG_BRANCH": name, "PPG_ROLE": "r"}, reader


@pytest.mark.parametrize(
    "where", ["a\nauth_type = any", "a\rb", "a\0b", "a\x1b[2J", os.fsdecode(b"\xff")]
)
@pytest.mark.parametrize("what", ["folder", "setting", "key"])
def test_no_second_line_gets_into_the_poolers_file(tmp_path: Path, where: str, what: str) -> None:
    folder = tmp_path
    settings = {"setting": {"verbose": where}, "key": {where: "1"}, "folder": {}}[what]
    if what == "folder":
        if "\0" in where:
            return  # no path has one
        folder = tmp_path / where
        folder.mkdir()
    server = PgBouncer(folder)
    with pytest.raises(LocalServerError, match="PgBouncer cannot be given") as caught:
        server.configure(
            accounts.choose(),
            "1.24.0",
            Pool(settings=settings),
            port=1,
            postgres_port=2,
            passwords={"pooler": "x", "stats": "y"},
            certificate=None,
        )
    assert not STEERING.search(str(caught.value))
    assert not server.ini.exists()


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb"])
def test_no_folder_breaks_the_configuration_of_apt(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(LocalServerError, match="because of that name"):
        debian._unpack(tmp_path / name)
    assert list((tmp_path / name).iterdir()) == []


# Addresses.


@given(any_name, any_name)
def test_a_name_stays_one_segment_and_one_value_of_an_address(segment: str, value: str) -> None:
    try:
        made = call("GET", "https://api.example/v2", ("projects", segment), {"search": value})
    except ConfigurationError as error:
        assert not STEERING.search(str(error))
        return
    assert made.url.isascii()
    assert made.url.isprintable()
    parts = urlsplit(made.url)
    assert (parts.netloc, parts.fragment) == ("api.example", "")
    assert [unquote(each) for each in parts.path.split("/")] == ["", "v2", "projects", segment]
    assert parse_qs(parts.query, keep_blank_values=True) == {"search": [value]}
    assert not STEERING.search(made.shown)


# Terminals.


def _screen(*, color: bool) -> Screen:
    return Screen(io.StringIO(), io.StringIO(), color=color)


def _said(screen: Screen) -> str:
    assert isinstance(screen.out, io.StringIO)
    assert isinstance(screen.err, io.StringIO)
    return screen.out.getvalue() + screen.err.getvalue()


@pytest.mark.parametrize("color", [False, True])
@names
def test_nothing_that_is_printed_steers_a_terminal(
    name: str, color: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = _screen(color=color)
    monkeypatch.setattr("sys.stdin", io.StringIO("1\n"))
    screen.line(f"revoked {name}")
    screen.line(screen.style("red", "error") + f" {name}")
    screen.warning(name)
    screen.note(name)
    screen.error(PPGError(name, hint=f"Type this:\n{name}"))
    screen.ask(name)
    screen.choose(name, [(name, name)])
    screen._show(screen_progress(name))
    render.connections(screen, [Listed(name, name, name, True)], "ppg-connect")
    said = _said(screen)
    assert "error" in said
    ours = re.sub(r"\x1b\[(?:0|1|2|31|32|33)m", "", said) if color else said
    assert not STEERING.search(ours)
    if not color:
        assert "\x1b" not in said


def screen_progress(name: str) -> str:
    """What :meth:`Screen.progress` would show after a while."""
    screen = _screen(color=False)
    screen.progress(name)
    assert screen._timer is not None
    (message,) = screen._timer.args
    screen.quiet()
    return str(message)


@pytest.mark.parametrize("name", ESCAPES.values(), ids=list(ESCAPES))
def test_errors_and_logs_hold_nothing_that_steers_a_terminal(name: str) -> None:
    """Frameworks print the text of an error by themselves."""
    error = PPGError(f"there is no {name}", hint=f"Is it {name}?")
    for each in (error, pickle.loads(pickle.dumps(error))):
        assert not STEERING.search(f"{each} {each.message} {each.hint} {each.args}")
    assert "\n" not in condense(f"FATAL: {name}\nline two: {name}")
    assert not STEERING.search(condense(f"FATAL: {name}"))
    assert not STEERING.search(printable(name) + word(name))


@names
def test_json_stays_exact(name: str) -> None:
    screen = _screen(color=True)
    screen.json({"name": name})
    said = _said(screen)
    assert json.loads(said) == {"name": name}
    assert said.isascii()
    assert not STEERING.search(said)
    document = render.error_json(ConfigurationError(f"no {name!r}", hint=""))
    assert json.loads(json.dumps(document))["type"] == "ConfigurationError"


def test_a_choice_of_a_provider_cannot_pose_as_a_command() -> None:
    from ppg_integrations.errors import ChoiceError

    choices = tuple((name, name) for name in NAMES.values())
    listed = frontend._listing(ChoiceError("which?", option="project", choices=choices))
    assert len(listed.hint.splitlines()) == len(choices) + 1
    assert not STEERING.search(listed.hint)


# A server that answers.


@contextmanager
def evil_server(text: str) -> Iterator[PostgresURL]:
    """A PostgreSQL server that refuses each login in its own words."""
    fields = b"SFATAL\0C28000\0M" + text.encode() + b"\0\0"
    answer = b"E" + struct.pack("!I", len(fields) + 4) + fields

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                length = struct.unpack("!I", connection.recv(4))[0]
                connection.recv(length - 4)
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            port = listener.getsockname()[1]
            yield PostgresURL.build(
                host="127.0.0.1",
                port=port,
                user="u",
                database="d",
                params={"sslmode": "disable", "gssencmode": "disable"},
            )
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


@pytest.mark.parametrize("name", ["clear", "clipboard", "C1", "return", "turned"])
def test_a_servers_words_cannot_steer_a_terminal(name: str) -> None:
    with evil_server(f"no {ESCAPES[name]} here\nerror: another") as url:
        with pytest.raises(ConnectError) as caught:
            drivers.connect(url, timeout=5)
    assert "no " in caught.value.message
    assert not STEERING.search(str(caught.value))
    assert "\n" not in caught.value.message
