"""Started, stopped, killed, started twice: the servers always come back with their data."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time

import pytest

from ppg_integrations.drivers import connect
from ppg_integrations.errors import LocalServerError
from ppg_integrations.providers.local import account as accounts
from ppg_integrations.providers.local import ports, postgres_binaries, processes
from ppg_integrations.providers.local.pgbouncer import PgBouncer
from ppg_integrations.providers.local.postgres import Postgres
from ppg_integrations.providers.local.servers import LocalServers
from tests.conftest import UNSAFE_AND_FAST
from tests.support.ending import ended
from tests.support.programs import run_python, start_python

pytestmark = pytest.mark.once

START = """
import sys
from ppg_integrations.providers.local.servers import LocalServers
servers = LocalServers(sys.argv[1], settings={"fsync": "off"})
status = servers.start()
print(status.postgres.pid, status.pooler.pid, status.postgres.port, status.pooler.port)
"""


def folder_of(local: LocalServers):
    return local.status().data.parent


def pids(local):
    status = local.status()
    return status.postgres.pid, status.pooler.pid


def used_ports(status):
    return status.postgres.port, status.pooler.port


def kill(pid):
    program = processes.command_line(pid)
    assert program
    os.kill(pid, signal.SIGKILL)
    assert ended(pid)


def ask(url, sql):
    with connect(url) as connection:
        return connection.fetch(sql)


def test_nothing_is_touched_before_the_start(project):
    local = LocalServers(project / ".ppg/local")
    status = local.status()
    assert not status.running
    assert status.postgres is None
    assert status.pooler is None
    assert local.stop() is False
    local.erase()
    with pytest.raises(LocalServerError, match="does not run"):
        local.connect()
    assert list(project.iterdir()) == []


def test_start_stop_and_status_can_be_said_twice(local):
    steps = []
    first = local.start(progress=steps.append)
    assert first.running
    assert any(step.startswith("starting PostgreSQL ") for step in steps)
    assert any(step.startswith("starting PgBouncer ") for step in steps)
    steps.clear()
    assert local.start(progress=steps.append) == first
    assert steps == []
    assert local.status() == local.status() == first
    assert local.stop() is True
    assert local.stop() is False
    status = local.status()
    assert not status.running
    assert (status.postgres.pid, status.pooler.pid) == (None, None)
    assert used_ports(status) == used_ports(first)
    assert ended(first.postgres.pid, first.pooler.pid)


def test_data_roles_and_ports_survive_a_restart(local):
    generated = local.generate("kept", database="shop")
    ask(generated.direct, "CREATE TABLE t AS SELECT 42 AS answer")
    before = local.status()
    local.stop()
    after = local.start()
    assert used_ports(after) == used_ports(before)
    assert after.moved == {}
    assert after.postgres.pid != before.postgres.pid
    assert ask(generated.pooled, "SELECT answer FROM t") == [(42,)]
    assert ask(generated.direct, "SELECT answer FROM t") == [(42,)]


def test_a_folder_ignores_itself(local, project):
    local.start()
    assert (project / ".ppg/.gitignore").read_text() == "*\n"
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    answer = subprocess.run(
        ["git", "-C", str(project), "status", "--porcelain", "-uall"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert answer.stdout == ""


def test_the_database_is_named_after_the_project(project):
    local = LocalServers(project / "My Shop/.ppg/local", settings=UNSAFE_AND_FAST)
    try:
        generated = local.generate()
        assert generated.direct.database == generated.pooled.database == "my_shop"
        assert generated.id == generated.direct.user == generated.pooled.user
        assert generated.id.startswith("my_shop_")
        assert generated.name == generated.id
        assert local.generate("Alice").name == "Alice"
    finally:
        local.erase()


@pytest.fixture
def innocent(project):
    """A live process of another program, of the account that runs the servers."""
    account = accounts.choose()
    process = subprocess.Popen(
        ["/bin/sleep", "300"],
        user=account.uid if account.dropped else None,
        group=account.gid if account.dropped else None,
        extra_groups=[] if account.dropped else None,
    )
    yield process
    assert process.poll() is None, "a process that is not ours was ended"
    process.kill()
    process.wait()


def forge_pid_files(folder, pid):
    lock = folder / "data/postmaster.pid"
    lines = lock.read_text().splitlines() if lock.exists() else ["", str(folder / "data"), "1", "5"]
    lock.write_text("\n".join([str(pid), *lines[1:], ""]))
    (folder / "pgbouncer.pid").write_text(f"{pid}\n")
    accounts.choose().own(lock, folder / "pgbouncer.pid")


def test_pid_files_whose_process_is_gone(local):
    local.start()
    folder = folder_of(local)
    local.stop()
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    forge_pid_files(folder, gone.pid)
    assert not local.status().running
    assert local.stop() is False
    assert local.start().running


def test_pid_files_whose_number_another_program_has_now(local, innocent):
    local.start()
    folder = folder_of(local)
    local.stop()
    forge_pid_files(folder, innocent.pid)
    assert not local.status().running
    assert local.stop() is False
    assert local.start().running
    assert innocent.pid not in pids(local)


@pytest.mark.parametrize("text", ["", "x", "-1\n", "0\n", "1\n", "99999999999\n"])
def test_pid_files_that_are_nonsense(local, text):
    local.start()
    folder = folder_of(local)
    local.stop()
    for path in (folder / "data/postmaster.pid", folder / "pgbouncer.pid"):
        path.write_text(text)
        accounts.choose().own(path)
    assert not local.status().running
    assert local.stop() is False
    assert local.start().running


@pytest.mark.parametrize("victims", [(0,), (1,), (0, 1)])
def test_a_start_heals_what_kill_9_left(local, victims):
    generated = local.generate(database="shop")
    ask(generated.pooled, "CREATE TABLE t AS SELECT 42 AS answer")
    before = pids(local)
    for index in victims:
        kill(before[index])
    assert not local.status().running
    status = local.start()
    assert status.running
    assert status.moved == {}
    for index in (0, 1):
        assert (pids(local)[index] == before[index]) == (index not in victims)
    assert ask(generated.direct, "SELECT answer FROM t") == [(42,)]
    deadline = time.monotonic() + 5
    while True:  # PgBouncer waits a second before it tries a server again
        try:
            assert ask(generated.pooled, "SELECT answer FROM t") == [(42,)]
            break
        except Exception:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_stop_after_one_of_them_was_killed(local):
    local.start()
    kill(pids(local)[0])
    assert local.stop() is True
    assert local.stop() is False


@pytest.mark.parametrize("index", [0, 1])
def test_a_used_port_makes_a_server_move_and_say_so(local, index):
    generated = local.generate(database="shop")
    before = used_ports(local.status())
    local.stop()
    steps = []
    with socket.create_server((ports.LOOPBACK, before[index])):
        status = local.start(progress=steps.append)
        after = used_ports(status)
        assert status.moved == {before[index]: after[index]}
        assert after[index] != before[index]
        assert after[1 - index] == before[1 - index]
        name = ("PostgreSQL", "PgBouncer")[index]
        (note,) = status.notes
        assert note.startswith(f"{name} moved from port {before[index]}")
        assert note in steps
        assert ask(generated.pooled.replace(port=after[1]), "SELECT 1") == [(1,)]
        assert ask(generated.direct.replace(port=after[0]), "SELECT 1") == [(1,)]
        assert local.start().moved == {}
    local.stop()
    assert used_ports(local.start()) == after


def test_a_port_lost_between_the_look_and_the_start(local, monkeypatch):
    local.start()
    before = used_ports(local.status())
    local.stop()
    with (
        socket.create_server((ports.LOOPBACK, before[0])),
        socket.create_server((ports.LOOPBACK, before[1])),
    ):
        seen = []

        def is_free(port, real=ports.is_free):
            seen.append(port)
            return port in before or real(port)

        monkeypatch.setattr(ports, "is_free", is_free)
        status = local.start()
        assert set(status.moved) == set(before)
        assert set(before) <= set(seen)
        assert status.running


def test_starts_at_the_same_time_make_one_cluster(local):
    runs = [start_python(START, local.folder) for _ in range(4)]
    answers = {run.communicate(timeout=120) for run in runs}
    assert len(answers) == 1, answers
    status = local.status()
    assert answers.pop() == (f"{' '.join(map(str, (*pids(local), *used_ports(status))))}\n", "")


def test_starts_and_stops_at_the_same_time_end_in_order(local):
    stop = START.split("status")[0] + "servers.stop()\n"
    runs = [start_python(code, local.folder) for code in (START, stop, START, stop)]
    for run in runs:
        _, errors = run.communicate(timeout=120)
        assert run.returncode == 0, errors
    assert local.start().running


def test_roles_generated_at_the_same_time_share_one_database(local):
    local.start()
    code = START.split("status")[0] + "print(servers.generate(database='shop').id)\n"
    runs = [start_python(code, local.folder) for _ in range(3)]
    names = {run.communicate(timeout=120)[0].strip() for run in runs}
    assert len(names) == 3
    with local.connect() as connection:
        rows = connection.fetch("SELECT rolname FROM pg_roles WHERE rolname LIKE 'shop_%%'", ())
    assert names < {row[0] for row in rows}


def test_servers_outlive_the_process_that_started_them(local):
    answer = run_python(START, local.folder).split()
    assert tuple(map(int, answer[:2])) == pids(local)
    assert local.start().running


def test_a_start_in_a_background_job_leaves_signals_as_they_should_be(local):
    # a shell's background job ignores SIGINT and SIGQUIT, and children inherit that
    code = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    run_python(code + "signal.signal(signal.SIGQUIT, signal.SIG_IGN)\n" + START, local.folder)
    for pid in pids(local):
        with open(f"/proc/{pid}/status") as file:
            ignored = next(int(line.split()[1], 16) for line in file if line.startswith("SigIgn"))
        for number in (signal.SIGINT, signal.SIGQUIT):
            assert not ignored & (1 << (number - 1)), (pid, number)
    assert os.getsid(pids(local)[0]) == pids(local)[0]
    started = time.monotonic()
    local.stop()
    assert time.monotonic() - started < 5


def test_a_server_started_by_hand_on_our_data_is_taken_for_ours(local):
    before = local.start()
    local.stop()
    account = accounts.choose()
    folder = folder_of(local)
    install, _ = postgres_binaries.find(os.environ, account, folder)
    answer = account.run(
        [str(install.bin / "pg_ctl"), "-D", f"{folder}/data/", "-l", f"{folder}/hand.log", "start"],
        environ=accounts.environ(folder),
    )
    assert answer.returncode == 0, answer.stderr
    by_hand = Postgres(folder).running()
    assert by_hand is not None
    status = local.start()
    assert status.postgres.pid == by_hand.pid
    assert used_ports(status) == used_ports(before)
    assert local.stop() is True
    assert ended(by_hand.pid)


def test_a_start_that_was_interrupted_before_the_port_was_remembered(local):
    local.start()
    path = local.folder / "state.json"
    before = pids(local)
    path.unlink()
    status = local.start()
    assert status.running
    assert ended(*before)
    assert PgBouncer(folder_of(local)).running() == status.pooler.pid


def test_a_moved_project_keeps_its_data(local, project):
    generated = local.generate(database="shop")
    ask(generated.direct, "CREATE TABLE t AS SELECT 42 AS answer")
    local.stop()
    (project / "new").mkdir()
    (project / ".ppg").rename(project / "new/.ppg")
    moved = LocalServers(project / "new/.ppg/local", settings=UNSAFE_AND_FAST)
    try:
        assert moved.start().running
        assert ask(generated.pooled, "SELECT answer FROM t") == [(42,)]
    finally:
        moved.erase()


def test_a_copied_project_does_not_touch_the_original(local, project):
    local.start()
    before = pids(local)
    (project / "copy").mkdir()
    subprocess.run(["cp", "-a", str(project / ".ppg"), str(project / "copy/.ppg")], check=True)
    copy = LocalServers(project / "copy/.ppg/local", settings=UNSAFE_AND_FAST)
    try:
        assert not copy.status().running
        assert copy.stop() is False
        status = copy.start()
        assert status.running
        assert len(status.moved) == 2
        assert pids(local) == before
        assert not {status.postgres.pid, status.pooler.pid} & set(before)
    finally:
        copy.erase()
    assert pids(local) == before


def test_state_and_secrets_that_are_gone_or_damaged(local):
    local.start()
    secrets = local.folder / "secrets.json"
    kept = secrets.read_text()
    local.stop()
    secrets.unlink()
    with pytest.raises(LocalServerError, match=r"secrets\.json is gone"):
        local.start()
    assert not local.status().running
    secrets.write_text(kept)
    (local.folder / "state.json").write_text("{")
    with pytest.raises(LocalServerError, match=r"state\.json cannot be read") as caught:
        local.start()
    assert str(local.folder) in caught.value.hint
    (local.folder / "state.json").write_text(json.dumps({"from the future": 1}))
    assert local.start().running


def test_data_of_another_major_version_are_left_alone(local):
    local.start()
    version = folder_of(local) / "data/PG_VERSION"
    kept = version.read_text()
    local.stop()
    version.write_text("9.6\n")
    with pytest.raises(LocalServerError, match=r"made by PostgreSQL 9\.6.*found: ") as caught:
        local.start()
    assert "PPG_POSTGRES_BIN" in caught.value.hint
    version.write_text(kept)
    assert local.start().running


def test_erase_leaves_nothing(local, project):
    local.start()
    data = local.status().data
    numbers = pids(local)
    local.erase()
    assert list(project.iterdir()) == []
    assert not data.exists()
    assert ended(*numbers)
    local.erase()


def test_logs_that_grew_are_put_aside_together(local):
    local.start()
    folder = folder_of(local)
    logs = [folder / name for name in ("postgres.log", "pgbouncer.log")]
    local.stop()
    local.start()
    assert not list(folder.glob("*.log.1"))
    local.stop()
    with logs[1].open("ab") as file:
        file.truncate(11 * 1024 * 1024)
    local.start()
    assert sorted(path.name for path in folder.glob("*.log.1")) == [
        "pgbouncer.log.1",
        "postgres.log.1",
    ]
    assert all(0 < log.stat().st_size < 100_000 for log in logs)


def test_a_command_that_ps_gives_as_one_text_is_recognised(monkeypatch):
    # what macOS has instead of /proc
    program = processes.Program("postgres", "/a b/data")
    for text, ours in [
        ("/opt/x y/postgres -D /a b/data", True),
        ("/opt/postgres -D /a b/data2", False),
        ("/opt/postgres -D /z/a b/data", False),
        ("vi /a b/data", False),
        ("postgres: checkpointer", False),
    ]:
        monkeypatch.setattr(processes, "command_line", lambda pid, text=text: [text])
        assert processes.is_running(1, program) is ours, text
