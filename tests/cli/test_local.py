"""``local start | stop | status``, in a project of its own, and what it leaves behind."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ppg_integrations import PostgresURL, drivers, envfile
from ppg_integrations.cli import main
from ppg_integrations.providers.local import pgbouncer_binary
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


@pytest.fixture
def pooler(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Takes PgBouncer away from this machine, or gives it back."""
    find = pgbouncer_binary.find

    def give(there: bool) -> None:
        monkeypatch.setattr(
            pgbouncer_binary, "find", find if there else lambda *_: "PgBouncer is not installed"
        )

    return give


def works(project: Path, name: str) -> bool:
    with drivers.connect(url(project, name)) as connection:
        return bool(connection.fetch("SELECT 1") == [(1,)])


@pytest.mark.parametrize("stopped", [True, False])
def test_a_pooler_that_goes_and_comes_back_is_followed_both_ways(
    project: Path,
    pooler: Callable[[bool], None],
    capsys: pytest.CaptureFixture[str],
    *,
    stopped: bool,
) -> None:
    assert main(["create", "--provider", "local"]) == 0
    before = (project / ".env").read_bytes()
    port = url(project, "DATABASE_URL").port
    assert main(["local", "stop"]) == 0
    pooler(False)
    capsys.readouterr()
    assert main(["local", "start"]) == 0
    assert "as long as there is no pooler" in capsys.readouterr().err
    assert url(project, "DATABASE_URL") == url(project, "DIRECT_URL")
    assert works(project, "DATABASE_URL")
    assert servers_of(project).status().pooler is None
    assert main(["local", "start"]) == 0
    assert "was changed" not in capsys.readouterr().err
    if stopped:
        assert main(["local", "stop"]) == 0
    pooler(True)
    assert main(["local", "start"]) == 0
    said = capsys.readouterr().err
    assert "There is a pooler now" in said
    assert f"goes through PgBouncer, on port {port}" in said
    assert (project / ".env").read_bytes() == before
    assert works(project, "DATABASE_URL")
    assert main(["local", "start"]) == 0
    assert "pooler" not in capsys.readouterr().err


def test_a_pair_from_a_time_without_a_pooler_goes_through_a_new_one(
    project: Path, pooler: Callable[[bool], None], capsys: pytest.CaptureFixture[str]
) -> None:
    pooler(False)
    assert main(["create", "--provider", "local"]) == 0
    direct = url(project, "DIRECT_URL")
    assert url(project, "DATABASE_URL") == direct
    pooler(True)
    assert main(["local", "start"]) == 0
    status = servers_of(project).status()
    assert status.pooler is not None
    assert url(project, "DATABASE_URL") == direct.replace(port=status.pooler.port)
    assert url(project, "DIRECT_URL") == direct
    capsys.readouterr()
    assert main(["doctor", "--json"]) == 0
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert "same-endpoint" not in [problem["id"] for problem in problems]


def test_a_file_that_an_earlier_start_did_not_see_is_healed_by_a_later_one(project: Path) -> None:
    assert main(["create", "--provider", "local"]) == 0
    (project / ".env2").write_bytes((project / ".env").read_bytes())
    before = [url(project, name) for name in ("DATABASE_URL", "DIRECT_URL")]
    with contextlib.ExitStack() as stack:
        for _ in range(2):  # the port before the last one is remembered too
            assert main(["local", "stop"]) == 0
            for name in ("DATABASE_URL", "DIRECT_URL"):
                taken = ("127.0.0.1", url(project, name).port)
                stack.enter_context(socket.create_server(taken))
            assert main(["local", "start"]) == 0
        assert main(["local", "start"]) == 0
        for stale in before:
            assert str(stale.port) in (project / ".env2").read_text()
        assert main(["local", "start", "--env-file", ".env2"]) == 0
        assert (project / ".env2").read_bytes() == (project / ".env").read_bytes()
        assert works(project, "DATABASE_URL")
        assert works(project, "DIRECT_URL")


def test_a_url_that_is_not_of_these_servers_is_left_alone(
    project: Path, pooler: Callable[[bool], None]
) -> None:
    assert main(["create", "--provider", "local"]) == 0
    pair = {name: url(project, name) for name in ("DATABASE_URL", "DIRECT_URL")}
    dead = 1
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        kept = {
            # somebody else's role, on our port; our role, on a proxy; our role, on another host
            "DATABASE_URL": pair["DIRECT_URL"].replace(user="me"),
            "DATABASE_URL_POOLED": pair["DATABASE_URL"].replace(port=proxy.getsockname()[1]),
            "POSTGRES_URL": pair["DIRECT_URL"].replace(host="db.example.com"),
        }
        values = {name: one.reveal() for name, one in kept.items()}
        stale = pair["DIRECT_URL"].replace(port=dead).reveal()
        envfile.update(project / ".env", {**values, "DIRECT_URL": stale})
        assert main(["local", "start"]) == 0
    assert {name: url(project, name) for name in kept} == kept
    assert url(project, "DIRECT_URL") == pair["DIRECT_URL"]


def test_an_env_file_that_cannot_be_read_does_not_keep_the_servers_down(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / ".env").write_bytes(b"\xff\xfe")
    assert main(["local", "start"]) == 0
    assert "was left as it is" in capsys.readouterr().err
