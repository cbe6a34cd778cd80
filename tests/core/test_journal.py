"""journal.py: what was generated is never lost, and never shown."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from ppg_integrations.errors import EnvFileError, PPGWarning
from ppg_integrations.journal import Entry, Journal
from ppg_integrations.urls import PostgresURL

PASSWORD = "hunter2-correct-horse"


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path)


def entry(id="c1", provider="neon"):
    url = PostgresURL.parse(
        f"postgresql://u:{PASSWORD}@ep-x.eu-central-1.aws.neon.tech/db?sslmode=require"
    )
    pooled = url.replace(host="ep-x-pooler.eu-central-1.aws.neon.tech")
    return Entry(
        provider=provider, id=id, name="laptop", pooled=pooled, direct=url, env_file="/app/.env"
    )


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_nothing_is_pending_and_nothing_is_made(journal, tmp_path):
    assert journal.pending() is None
    journal.clear("c1")
    assert os.listdir(tmp_path) == []


def test_an_entry_comes_back_whole_until_it_is_cleared(journal, tmp_path):
    journal.record(entry())
    found = Journal(tmp_path).pending()
    assert found == entry().__class__(**{**vars(entry()), "created_at": found.created_at})
    assert found.pooled.reveal() == entry().pooled.reveal()
    assert found.direct.reveal() == entry().direct.reveal()
    journal.clear("other")
    assert journal.pending() == found
    journal.clear("c1")
    assert journal.pending() is None
    assert os.listdir(tmp_path / ".ppg") == [".gitignore"]


def test_the_time_is_utc():
    made = datetime.fromisoformat(entry().created_at)
    assert made.utcoffset() == timedelta(0)
    assert abs(datetime.now(timezone.utc) - made) < timedelta(minutes=1)


def test_files_are_private_and_ignored_by_git(journal, tmp_path):
    journal.prepare()
    journal.record(entry())
    assert mode(tmp_path / ".ppg") == 0o700
    assert mode(journal.path) == 0o600
    subprocess.run(
        ["git", "init", "-q"],
        cwd=tmp_path,
        check=True,
        env={**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"},
    )
    status = ["git", "status", "--porcelain", "--untracked-files=all"]
    assert subprocess.run(status, cwd=tmp_path, check=True, capture_output=True).stdout == b""


def test_no_secret_shows(journal):
    held = entry()
    journal.record(held)
    for shown in (
        repr(held),
        str(held),
        f"{held}",
        repr(vars(held)),
        repr(journal.pending()),
        repr(journal),
    ):
        assert PASSWORD not in shown
    assert PASSWORD.encode() not in pickle.dumps(held)


def test_the_newest_comes_first_and_none_is_lost(journal):
    for id, provider in [("a", "neon"), ("b", "local"), ("c", "neon")]:
        journal.record(entry(id, provider))
    assert journal.pending().id == "c"
    assert journal.pending("local").id == "b"
    assert journal.pending("prisma") is None
    journal.clear("c")
    assert journal.pending("neon").id == "a"
    journal.clear("a")
    journal.clear("b")
    assert journal.pending() is None


def test_the_same_connection_is_kept_once(journal):
    journal.record(entry())
    journal.record(replace(entry(), name="renamed"))
    assert journal.pending().name == "renamed"
    journal.clear("c1")
    assert journal.pending() is None


def test_parallel_runs_lose_nothing(tmp_path):
    script = (
        "import sys; from ppg_integrations.journal import *; from ppg_integrations.urls import PostgresURL as P\n"
        "u = P.parse('postgresql://u:p@h/d')\n"
        "Journal(sys.argv[1]).record(Entry('neon', sys.argv[2], '', u, u, ''))"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path), str(n)]) for n in range(6)
    ]
    assert [process.wait(120) for process in running] == [0] * 6
    journal, found = Journal(tmp_path), set()
    while (pending := journal.pending()) is not None:
        found.add(pending.id)
        journal.clear(pending.id)
    assert found == set("012345")


DAMAGED = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"x"',
    b"\xff\xfe",
    b'{"version": 2, "pending": []}',
    b'{"version": 1}',
    b'{"version": 1, "pending": [{"provider": "neon"}]}',
    b'{"version": 1, "pending": 3}',
]


def damaged_entries():
    whole = entry()._as_json()
    for name, value in [("pooled", f"mysql://u:{PASSWORD}@h/d"), ("direct", 3), ("id", None)]:
        yield json.dumps({"version": 1, "pending": [{**whole, name: value}]}).encode()


# The ids must be the same in every process of a parallel run, and an entry holds the time.
@pytest.mark.parametrize("data", [*DAMAGED, *damaged_entries()], ids=itertools.count())
def test_a_damaged_journal_is_an_error_and_stays_where_it_is(journal, data):
    journal.prepare()
    with open(journal.path, "wb") as stream:
        stream.write(data)
    for act in (journal.pending, journal.prepare, lambda: journal.clear("c1")):
        with pytest.raises(EnvFileError) as caught:
            act()
        assert journal.path in caught.value.message
        assert f"rm {journal.path}" in caught.value.hint
        assert PASSWORD not in str(caught.value)
        assert caught.value.__cause__ is caught.value.__context__ is None
    with open(journal.path, "rb") as stream:
        assert stream.read() == data


def test_a_damaged_journal_does_not_cost_the_next_credential(journal, tmp_path):
    journal.prepare()
    with open(journal.path, "wb") as stream:
        stream.write(b"precious")
    with pytest.warns(PPGWarning, match="kept as") as caught:
        journal.record(entry())
    assert caught[0].filename == __file__
    assert journal.pending().id == "c1"
    (aside,) = (tmp_path / ".ppg").glob("pending.json.damaged-*")
    assert aside.read_bytes() == b"precious"


@pytest.mark.parametrize("act", [Journal.prepare, lambda journal: journal.record(entry())])
class TestFolders:
    def test_a_symbolic_link_is_refused(self, act, journal, tmp_path):
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / ".ppg").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(EnvFileError, match="is a symbolic link"):
            act(journal)
        assert os.listdir(tmp_path / "elsewhere") == []

    def test_a_file_is_refused(self, act, journal, tmp_path):
        (tmp_path / ".ppg").write_text("")
        with pytest.raises(EnvFileError, match="is no folder"):
            act(journal)

    def test_a_missing_project_is_refused(self, act, tmp_path):
        with pytest.raises(EnvFileError, match="cannot be made: No such file"):
            act(Journal(tmp_path / "missing"))

    def test_somebody_elses_is_refused(self, act, journal, tmp_path, monkeypatch):
        (tmp_path / ".ppg").mkdir()
        monkeypatch.setattr(os, "geteuid", lambda: os.stat(tmp_path).st_uid + 1)
        with pytest.raises(EnvFileError, match="belongs to another user"):
            act(journal)

    def test_one_that_others_may_enter_stays_so_but_not_writable(self, act, journal, tmp_path):
        (tmp_path / ".ppg").mkdir()
        (tmp_path / ".ppg").chmod(0o773)
        act(journal)
        assert mode(tmp_path / ".ppg") == 0o751

    def test_a_gitignore_that_is_there_stays(self, act, journal, tmp_path):
        (tmp_path / ".ppg").mkdir()
        (tmp_path / ".ppg" / ".gitignore").write_text("mine\n")
        act(journal)
        assert (tmp_path / ".ppg" / ".gitignore").read_text() == "mine\n"

    def test_root_gives_it_to_the_projects_owner(self, act, journal, tmp_path, monkeypatch):
        if os.geteuid() == 0:
            os.chown(tmp_path, 12345, 12346)
        else:
            monkeypatch.setattr("ppg_integrations.lock._owner_of_first_existing", lambda folder: 0)
            monkeypatch.setattr(
                "ppg_integrations.lock._make_own",
                lambda folder: os.makedirs(folder, exist_ok=True) is None,
            )
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        act(journal)
        owner = os.stat(tmp_path)
        for path in tmp_path.rglob("*"):
            found = path.stat()
            assert (found.st_uid, found.st_gid) == (owner.st_uid, owner.st_gid)

    def test_the_journal_itself_may_not_be_a_link(self, act, journal, tmp_path):
        journal.prepare()
        os.symlink(tmp_path / "x", journal.path)
        with pytest.raises(EnvFileError):
            act(journal)
        assert not (tmp_path / "x").exists()
