"""Files and folders of this package: for nobody else's eyes, and never through a link."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ppg_integrations import PostgresURL, credential_cache, envfile, gitguard, lock, statefolder
from ppg_integrations.entry import Entry
from ppg_integrations.errors import EnvFileError, LocalServerError
from ppg_integrations.journal import Journal
from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.local import account as accounts
from ppg_integrations.providers.local import debian, files, private
from ppg_integrations.providers.local.servers import LocalServers
from tests.support.programs import ROOT

URL = PostgresURL.parse("postgresql://ada:hunter2@db.example/shop")
NEITHER = os.geteuid() + 4242


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, caches and all."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return folder


def mode(path: str | os.PathLike[str]) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


WRITE = """
import os, sys
os.umask(int(sys.argv[1]))
from ppg_integrations import PostgresURL, credential_cache, envfile, lock
from ppg_integrations.entry import Entry
from ppg_integrations.journal import Journal
from ppg_integrations.providers.base import Generated
url = PostgresURL.parse("postgresql://ada:hunter2@db.example/shop")
envfile.update("shop/.env", {"DATABASE_URL": url.reveal()})
journal = Journal("shop/.env")
journal.prepare()
journal.record(Entry("neon", generated=Generated("c", "c", url, url)))
slot = credential_cache.Slot("neon", "k" * 32)
with slot.lock():
    slot.write("c", url, url)
    slot.note(ValueError and __import__("ppg_integrations").errors.ProviderError("x"))
credential_cache.forget("neon")
credential_cache.Slot("neon", "m" * 32, generated=True).write("c", url, url)
"""


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_everything_is_for_the_user_alone_whatever_the_umask(
    home: Path, tmp_path: Path, umask: int
) -> None:
    (tmp_path / "shop").mkdir(mode=0o755)
    subprocess.run(
        [sys.executable, "-c", WRITE, str(umask)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    found = [*home.rglob("*"), tmp_path / "shop/.env"]
    wrong = {
        str(path): oct(mode(path))
        for path in found
        if mode(path) != (0o700 if path.is_dir() else 0o600)
    }
    assert not wrong
    holders = [path.name for path in found if path.is_file() and b"hunter2" in path.read_bytes()]
    assert len(holders) == 3  # .env, the journal, what was generated for this machine
    assert len(found) > 10


# Links.


def _cache() -> None:
    credential_cache.Slot("neon", "k" * 32).write("c", URL, URL)


def _journal() -> None:
    journal = Journal("here/.env")
    journal.prepare()
    journal.record(Entry("neon", generated=Generated("c", "c", URL, URL)))


def _locked() -> None:
    with lock.holding("here/.env"):
        pass


@pytest.mark.parametrize(
    ("below", "act"),
    [
        (".cache/ppg-integrations", _cache),
        (".cache/ppg-integrations/pairs", _cache),
        (".cache/ppg-integrations", _locked),
        (".cache/ppg-integrations/locks", _locked),
        (".local/state/ppg-integrations", _journal),
    ],
)
def test_nothing_is_written_into_a_folder_behind_a_link(
    home: Path, tmp_path: Path, below: str, act: Callable[[], None]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    (home / below).parent.mkdir(parents=True, exist_ok=True)
    (home / below).symlink_to(elsewhere)
    if act is _journal:  # which keeps what exists nowhere else: no other place will do
        with pytest.raises(EnvFileError, match="cannot be made"):
            act()
    else:
        act()
        assert (tmp_path / f"ppg-integrations-{os.geteuid()}").is_dir()
    assert list(elsewhere.iterdir()) == []
    assert mode(elsewhere) == 0o755


@pytest.mark.parametrize("name", ["pairs", "locks"])
def test_a_folder_that_others_could_look_into_is_closed(home: Path, name: str) -> None:
    folder = Path(lock.cache_folder(name))
    folder.chmod(0o755)
    assert lock.cache_folder(name) == str(folder)
    assert mode(folder) == 0o700
    state = Path(statefolder.make())
    state.chmod(0o777)
    statefolder.make()
    assert mode(state) == 0o700


def test_a_folder_of_somebody_else_is_not_used(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one that was there first in the temporary folder, which everybody can write to."""
    folder = Path(lock.cache_folder("pairs"))
    spare = tmp_path / f"ppg-integrations-{NEITHER}"
    spare.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: NEITHER)
    assert not lock.make_own(folder)
    with pytest.raises(EnvFileError, match="no folder for lock files"):
        lock.cache_folder("pairs")
    assert list(spare.iterdir()) == []


def test_a_link_in_the_place_of_a_lock_is_not_followed(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    path = lock._lock_file("here/.env")
    os.symlink(target, path)
    os.symlink(target, f"{path}.holder")
    try:
        with lock.holding("here/.env", timeout=0.1):
            pass
    except (EnvFileError, OSError):
        pass  # refused, or replaced: filelock's versions differ
    assert target.read_text() == "precious"


def test_a_swapped_folder_gets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is opened once; a link that takes its place meanwhile leads nobody astray."""
    folder, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    from ppg_integrations import atomicfile

    def swap() -> None:
        folder.rename(tmp_path / "moved")
        folder.symlink_to(elsewhere)

    atomicfile.write(folder / ".env", "A=1\n", before_replace=swap)
    assert list(elsewhere.iterdir()) == []
    assert (tmp_path / "moved/.env").read_text() == "A=1\n"


def test_a_second_name_of_the_file_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("DATABASE_URL=old\n")
    path.chmod(0o600)
    os.link(path, tmp_path / "copy")
    done = envfile.update(path, {"DATABASE_URL": "new"})
    assert [note for note in done.notes if "hard link" in note]
    assert (tmp_path / "copy").read_text() == "DATABASE_URL=old\n"
    assert path.read_text() == "DATABASE_URL=new\n"
    assert not [note for note in envfile.update(path, {"A": "b"}).notes if "hard link" in note]


def test_a_linked_env_file_is_read_and_never_written_through(tmp_path: Path) -> None:
    """Deployments link the file to a shared one: reading follows, writing asks for the real one."""
    shared = tmp_path / "shared.env"
    shared.write_text("DATABASE_URL=postgresql://u@h/d\n")
    (tmp_path / ".env").symlink_to(shared)
    assert envfile.read(tmp_path / ".env") == {"DATABASE_URL": "postgresql://u@h/d"}
    for refuse in (envfile.check_writable, lambda path: envfile.update(path, {"A": "b"})):
        with pytest.raises(EnvFileError, match="symbolic link") as caught:
            refuse(tmp_path / ".env")
        assert str(shared) in caught.value.message
        assert "Name the file that it points to" in caught.value.hint
    assert shared.read_text() == "DATABASE_URL=postgresql://u@h/d\n"


# The embedded servers.


@pytest.mark.parametrize("linked", [".ppg", ".ppg/local"])
def test_a_project_cannot_send_the_servers_files_elsewhere(tmp_path: Path, linked: str) -> None:
    """A checkout may hold links, and root may be the one who starts the servers in it."""
    elsewhere, project = tmp_path / "elsewhere", tmp_path / "project"
    (elsewhere / "local").mkdir(parents=True)
    (project / linked).parent.mkdir(parents=True, exist_ok=True)
    (project / linked).symlink_to(elsewhere)
    before = mode(elsewhere), mode(elsewhere / "local")
    with pytest.raises(LocalServerError, match="symbolic link") as caught:
        LocalServers(project / ".ppg/local").start()
    assert str(project / linked) in caught.value.message
    assert caught.value.hint
    assert (mode(elsewhere), mode(elsewhere / "local")) == before
    assert [path.name for path in elsewhere.rglob("*")] == ["local"]


def test_a_project_behind_a_link_is_one_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "real/.ppg/local").mkdir(parents=True)
    (tmp_path / "project").symlink_to(tmp_path / "real")
    files.refuse_links(tmp_path / "project/.ppg/local")


def test_a_lock_that_is_a_link_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    folder = tmp_path / ".ppg/local"
    folder.mkdir(parents=True)
    (folder / "lock").symlink_to(target)
    with pytest.raises(LocalServerError, match="no regular file"):
        files.Store(folder).prepare(accounts.choose())
    assert target.read_text() == "precious"


def test_a_link_in_the_place_of_a_private_file_is_replaced(tmp_path: Path) -> None:
    """``userlist.txt``, ``server.key``, ``secrets.json``: all are written this way."""
    target = tmp_path / "target"
    target.write_text("precious")
    path = tmp_path / "userlist.txt"
    path.symlink_to(target)
    private.write_private(path, "new")
    assert (path.is_symlink(), path.read_text(), mode(path)) == (False, "new", 0o600)
    assert target.read_text() == "precious"


def test_root_closes_no_folder_behind_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    (tmp_path / "tls").symlink_to(elsewhere)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(OSError, match="tls"):
        private.make_private(tmp_path / "tls")
    assert mode(elsewhere) == 0o755
    private.make_private(tmp_path / "own")
    assert mode(tmp_path / "own") == 0o700


# Git.


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


def test_a_work_tree_that_only_the_environment_knows_is_no_work_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What git is told by variables holds for one command; our question is about ``git add .``."""
    git(tmp_path, "init", "-q", "--bare", "repo.git")
    (tmp_path / "app").mkdir()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "repo.git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "app"))
    assert gitguard.standing(tmp_path / "app/.env").state == "outside"
    assert gitguard.standing(tmp_path / "repo.git/.env").state == "outside"


@pytest.mark.parametrize("program", ["git", "apt-get"])
def test_programs_of_ours_are_told_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / program).write_text("#!/bin/sh\nenv > $OUT\nexit 1\n")
    (programs / program).chmod(0o755)
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("OUT", str(tmp_path / "seen"))
    monkeypatch.setenv("DATABASE_URL", "postgresql://a:hunter2@h/d")
    monkeypatch.setenv("NEON_API_KEY", "hunter2")
    monkeypatch.setenv("https_proxy", "http://proxy.example")
    if program == "git":
        assert gitguard.standing(tmp_path / ".env").state == "untracked"
    else:
        with pytest.raises(LocalServerError, match="exit status 1"):
            debian._run(["apt-get", "update"], tmp_path, time.monotonic() + 10)
    seen = (tmp_path / "seen").read_text()
    assert "LC_ALL=C" in seen
    assert "https_proxy=http://proxy.example" in seen  # apt-get needs it
    assert "hunter2" not in seen
