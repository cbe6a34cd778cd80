"""``local start | stop | status``, in a project of its own, and what it leaves behind."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ppg_integrations import PostgresURL, drivers, envfile
from ppg_integrations.cli import main
from ppg_integrations.providers.local.provider import servers_of


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "shop"
    folder.mkdir()
    monkeypatch.chdir(folder)
    try:
        yield folder
    finally:
        servers_of(folder).erase()


def ppg(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ppg_integrations", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def url(project: Path, name: str) -> PostgresURL:
    return PostgresURL.parse(envfile.read(project / ".env")[name])


def test_from_nothing_to_a_working_pair_and_back(project: Path) -> None:
    assert json.loads(ppg("local", "status", "--json").stdout)["running"] is False
    assert not (project / ".ppg").exists()
    said = [ppg("create", "--provider", "local")]
    assert said[0].returncode == 0, said[0].stderr
    for name in ("DATABASE_URL", "DIRECT_URL"):
        with drivers.connect(url(project, name)) as connection:
            assert connection.fetch("SELECT 1") == [(1,)]
    said.append(ppg("local", "start"))
    said.append(ppg("doctor"))
    assert said[-1].returncode == 0
    dump = ppg("run", "--", "pg_dump", "--schema-only")
    assert "PostgreSQL database dump" in dump.stdout, dump.stderr
    said.append(dump)
    said.append(ppg("local", "status"))
    assert "PgBouncer" in said[-1].stdout
    status = json.loads(ppg("local", "status", "--json").stdout)
    assert status["running"] is True
    _no_password_but_where_it_belongs(project, "".join(one.stdout + one.stderr for one in said))
    assert ppg("local", "stop").stdout == "stopped\n"
    assert ppg("local", "stop").stdout == "nothing was running\n"
    down = ppg("doctor", "--json")
    assert down.returncode == 1
    problem = json.loads(down.stdout)["problems"][0]
    assert problem["id"] == "unreachable"
    # Data and ports survive, so .env stays true.
    again = json.loads(ppg("local", "start", "--json").stdout)
    assert again["postgres"]["port"] == status["postgres"]["port"]
    with drivers.connect(url(project, "DATABASE_URL")) as connection:
        assert connection.fetch("SELECT 1") == [(1,)]


def _no_password_but_where_it_belongs(project: Path, output: str) -> None:
    password = url(project, "DIRECT_URL").password
    assert password is not None
    secrets = {password.reveal().encode()}
    kept = servers_of(project)._store.passwords()  # noqa: SLF001
    secrets |= {value.encode() for value in kept.values()}
    assert not any(secret.decode() in output for secret in secrets)
    holders = set()
    data = Path(servers_of(project).status().data).parent
    for root in {project, data}:
        for path in root.rglob("*"):
            if path.is_file() and not path.is_symlink():
                content = path.read_bytes()
                if any(secret in content for secret in secrets):
                    holders.add(path.name)
                    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert holders <= {".env", "secrets.json", "userlist.txt"}
    assert ".env" in holders
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        assert not any(secret in line for secret in secrets)


def test_env_follows_a_server_that_had_to_move(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["create", "--provider", "local"]) == 0
    assert main(["local", "stop"]) == 0
    before = url(project, "DIRECT_URL")
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", before.port))
        taken.listen()
        capsys.readouterr()
        assert main(["local", "start"]) == 0
        assert "DIRECT_URL" in capsys.readouterr().err
        after = url(project, "DIRECT_URL")
        assert after.port != before.port
        assert after.replace(port=before.port) == before
        with drivers.connect(after) as connection:
            assert connection.fetch("SELECT 1") == [(1,)]


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / ".ppg").write_text("a file where the folder should be")
    done = subprocess.run(
        [sys.executable, "-m", "ppg_integrations", "create", "--provider", "local", "--json"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
        env={**os.environ},
    )
    assert done.returncode == 1
    assert ".ppg" in json.loads(done.stdout)["error"]["message"]
    assert not (tmp_path / ".env").exists()
