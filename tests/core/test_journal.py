"""journal.py: what is under way at a provider is never lost, and never shown."""

from __future__ import annotations

import errno
import itertools
import json
import os
import pickle
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ppg_integrations import PostgresURL, atomicfile, lock, statefolder
from ppg_integrations.entry import Entry, from_json
from ppg_integrations.errors import EnvFileError
from ppg_integrations.journal import DamagedJournalError, Journal, Last
from ppg_integrations.providers.base import Generated, Intent

PASSWORD = "hunter2-correct-horse"
DIRECT = PostgresURL.parse(
    f"postgresql://u:{PASSWORD}@ep-x.eu-central-1.aws.neon.tech/db?sslmode=require"
)
POOLED = DIRECT.replace(host="ep-x-pooler.eu-central-1.aws.neon.tech")
INTENT = Intent("neon", "create", "role", "shop-laptop-12345678", {"project": "p-1"})
GENERATED = Generated(
    "c1",
    "laptop",
    POOLED,
    DIRECT,
    notes=("a note",),
    replica=POOLED.replace(host="ep-r-pooler.eu-central-1.aws.neon.tech"),
    remember={"PPG_PROJECT": "p-1"},
    details={"claim_url": "https://claim.example/"},
)


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    (tmp_path / "app").mkdir()
    return tmp_path / "app" / ".env"


@pytest.fixture
def journal(env_file: Path) -> Journal:
    return Journal(env_file)


def asked(**changes: Any) -> Entry:
    return replace(Entry("neon", request={"project": "p-1"}, intent=INTENT), **changes)


def answered(**changes: Any) -> Entry:
    return replace(asked(intent=None, generated=GENERATED), **changes)


def mode(path: str | os.PathLike[str]) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_nothing_is_under_way_and_nothing_is_made(journal: Journal, env_file: Path) -> None:
    assert journal.entries() == ()
    assert journal.last() is None
    assert journal.damaged() == ()
    journal.clear("k")
    assert os.listdir(env_file.parent) == []
    assert os.listdir(os.environ["HOME"]) == []


def test_it_lies_in_the_users_state_folder_and_is_private(journal: Journal, env_file: Path) -> None:
    journal.prepare()
    journal.record(answered())
    assert Path(journal.path).parent == Path(os.environ["HOME"], ".local/state/ppg-integrations")
    assert mode(os.path.dirname(journal.path)) == 0o700
    assert mode(journal.path) == 0o600
    assert os.listdir(env_file.parent) == []
    journal.clear(journal.entries()[0].key)
    assert os.listdir(os.path.dirname(journal.path)) == [os.path.basename(journal.path)]


def test_a_folder_that_others_could_read_is_closed(journal: Journal) -> None:
    os.makedirs(os.path.dirname(journal.path), mode=0o755)
    journal.prepare()
    assert mode(os.path.dirname(journal.path)) == 0o700


def test_it_belongs_to_the_real_path(tmp_path: Path, env_file: Path) -> None:
    (tmp_path / "link").symlink_to(env_file.parent)
    journals = (Journal(env_file), Journal(tmp_path / "link/../link/.env"), Journal(str(env_file)))
    assert len({each.path for each in journals}) == 1
    assert journals[0].file == os.path.realpath(env_file)
    assert Journal(tmp_path / ".env").path != Journal(env_file).path


@pytest.mark.parametrize(
    "entry",
    [
        asked(),
        answered(),
        answered(
            verb="rotate",
            retire="c0",
            retire_url=PostgresURL.parse("postgresql://u:pw@db.example/app"),
            grace=60.0,
        ),
        answered(retire="c0", due="2026-11-01T10:00:00.000000+00:00"),
        answered(generated=replace(GENERATED, replica=None, notes=(), details={})),
    ],
)
def test_an_entry_comes_back_whole_until_it_is_cleared(entry: Entry, env_file: Path) -> None:
    Journal(env_file).record(entry)
    (found,) = Journal(env_file).entries()
    assert found == entry
    if found.generated is not None:
        assert found.generated.direct.reveal() == DIRECT.reveal()
    Journal(env_file).clear("another")
    assert Journal(env_file).entries() == (entry,)
    Journal(env_file).clear(entry.key)
    assert Journal(env_file).entries() == ()


def test_the_stage_of_an_entry() -> None:
    assert asked().stage == "asked"
    assert answered().stage == "answered"
    past, future = "2026-01-01T00:00:00+00:00", "2096-01-01T00:00:00+00:00"
    assert answered(retire="c0", due=past).stage == "stored"
    assert answered(retire="c0", due=past).is_due()
    assert not answered(retire="c0", due=future).is_due()
    assert not answered(retire="c0").is_due()
    assert asked().title == INTENT.name
    assert answered().title == "c1 (laptop)"
    made = datetime.fromisoformat(asked().created_at)
    assert made.utcoffset() == timedelta(0)
    assert abs(datetime.now(timezone.utc) - made) < timedelta(minutes=1)
    assert timedelta(0) <= asked().age() < timedelta(hours=1)  # the intent is as old as this module


def test_an_answer_takes_the_place_of_its_request(journal: Journal) -> None:
    first = asked()
    journal.record(first)
    journal.record(answered(key=first.key))
    (found,) = journal.entries()
    assert found.stage == "answered"


def test_none_is_lost_and_the_oldest_comes_first(journal: Journal) -> None:
    entries = [answered(key=key, provider=name) for key, name in ("an", "bl", "cn")]
    for entry in entries:
        journal.record(entry)
    journal.clear("b")
    assert [each.key for each in journal.entries()] == ["a", "c"]


def test_what_was_finished_last_is_known_and_holds_no_secret(journal: Journal) -> None:
    last = Last("create", "neon", {"project": "p-1"}, "c1:01234567")
    journal.record(answered(key="a"))
    journal.record(answered(key="b"))
    journal.clear("a", last=last)
    journal.clear("b")
    assert journal.last() == last
    assert PASSWORD not in Path(journal.path).read_text()


def test_what_was_finished_last_is_known_while_the_old_one_still_lives(journal: Journal) -> None:
    last = Last("rotate", "neon", {}, "c1:01234567", "a")
    due = "2026-11-01T10:00:00.000000+00:00"
    journal.record(answered(key="a", retire="c0", due=due), last=last)
    journal.record(answered(key="b"))
    journal.clear("a")
    assert journal.last() == last
    assert journal.last() != replace(last, key="b")


def test_the_age_of_a_request_is_not_that_of_its_run() -> None:
    at = (datetime.now(timezone.utc) - timedelta(minutes=30)).isoformat()
    assert asked(created_at=at, intent=replace(INTENT, created_at=at)).age() > timedelta(minutes=29)
    recent = datetime.now(timezone.utc).isoformat()
    assert asked(created_at=at, intent=replace(INTENT, created_at=recent)).age() < timedelta(
        minutes=1
    )
    assert answered(created_at=at).age() > timedelta(minutes=29)


def test_what_an_entry_answers() -> None:
    entry = answered(request={"project": "p", "branch": "b"})
    assert entry.answers({})
    assert entry.answers({"project": "p"})
    assert not entry.answers({"project": "q"})
    assert not entry.answers({"role": "r"})


def test_no_secret_shows(journal: Journal) -> None:
    held = answered()
    journal.record(held)
    shown = (repr(held), str(held), repr(vars(held)), repr(journal.entries()), repr(vars(journal)))
    assert not any(PASSWORD in text for text in shown)
    assert PASSWORD.encode() not in pickle.dumps(held)


def test_parallel_runs_lose_nothing(env_file: Path) -> None:
    script = (
        "import sys; from ppg_integrations.journal import *; from ppg_integrations.entry import *\n"
        "from ppg_integrations.providers.base import Intent\n"
        "intent = Intent('neon', 'create', 'role', sys.argv[2])\n"
        "Journal(sys.argv[1]).record(Entry('neon', intent=intent))"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", script, str(env_file), str(n)]) for n in range(6)
    ]
    assert [process.wait(120) for process in running] == [0] * 6
    assert {each.title for each in Journal(env_file).entries()} == set("012345")


# -- damage -----------------------------------------------------------------------------------

DAMAGED = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"x"',
    b"\xff\xfe",
    b'{"version": 2, "entries": [], "last": null}',
    b'{"version": 1}',
    b'{"version": 1, "entries": [{"provider": "neon"}], "last": null}',
    b'{"version": 1, "entries": 3, "last": null}',
    b'{"version": 1, "entries": [], "last": 3}',
]


def damaged_entries() -> list[bytes]:
    whole = answered().as_json()
    urls = whole["generated"]
    changes: list[dict[str, Any]] = [
        {"generated": {**urls, "pooled": f"mysql://u:{PASSWORD}@h/d"}},
        {"generated": {**urls, "direct": 3}},
        {"generated": {**urls, "direct": None}},
        {"generated": {**urls, "notes": [3]}},
        {"generated": None},
        {"key": None},
        {"request": {"project": 3}},
        {"created_at": "yesterday"},
        {"created_at": "2026-01-01T00:00:00"},
        {"due": "2026-01-01T00:00:00"},
        {"grace": "x"},
        {"retire_url": 5},
        {"retire_url": "mysql://u:pw@db.example/app"},
        {"intent": {"provider": "neon"}},
    ]
    return [
        json.dumps({"version": 1, "entries": [{**whole, **each}], "last": None}).encode()
        for each in changes
    ]


# The ids must be the same in every process of a parallel run, and an entry holds the time.
@pytest.mark.parametrize("data", [*DAMAGED, *damaged_entries()], ids=itertools.count())
def test_a_damaged_journal_is_said_and_kept_aside(journal: Journal, data: bytes) -> None:
    journal.prepare()
    Path(journal.path).write_bytes(data)
    for act in (journal.entries, journal.last, lambda: journal.clear("c1")):
        with pytest.raises(DamagedJournalError) as caught:
            act()
        assert journal.path in caught.value.message
        assert f"rm {journal.path}" in caught.value.hint
        assert PASSWORD not in str(caught.value)
        assert caught.value.__cause__ is caught.value.__context__ is None
    assert Path(journal.path).read_bytes() == data
    # A new credential must not be lost because of it.
    journal.prepare()
    journal.record(answered())
    assert len(journal.entries()) == 1
    (aside,) = journal.damaged()
    assert Path(aside).read_bytes() == data


def test_whatever_is_written_can_be_read() -> None:
    for entry in (asked(), answered()):
        assert from_json(json.loads(json.dumps(entry.as_json())), "a test") == entry


# -- places that cannot be written ------------------------------------------------------------


def test_a_full_disk_names_the_variable_and_leaves_what_was_there(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.record(asked(key="a"))

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(atomicfile.os, "write", full)
        with pytest.raises(EnvFileError, match="No space left") as caught:
            journal.record(asked(key="b"))
    assert "XDG_STATE_HOME" in caught.value.hint
    assert [each.key for each in journal.entries()] == ["a"]
    assert os.listdir(os.path.dirname(journal.path)) == [os.path.basename(journal.path)]


def test_a_state_folder_that_cannot_be_made_names_the_variable(
    tmp_path: Path, env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file" / "state"))
    with pytest.raises(EnvFileError, match=r"cannot be made") as caught:
        Journal(env_file).prepare()
    assert "XDG_STATE_HOME" in caught.value.hint


def test_the_journal_may_not_be_a_link(journal: Journal, tmp_path: Path) -> None:
    journal.prepare()
    os.symlink(tmp_path / "x", journal.path)
    for act in (journal.prepare, lambda: journal.record(asked()), journal.entries):
        with pytest.raises(EnvFileError):
            act()
    assert not (tmp_path / "x").exists()


class TestStateFolder:
    """Whose folder it is, where ``sudo`` kept the home of another."""

    def test_the_variable_wins(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        assert statefolder.path() == str(tmp_path / "state" / "ppg-integrations")
        assert mode(statefolder.make()) == 0o700

    def test_root_in_a_users_home_has_its_own(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own = tmp_path / "root"
        own.mkdir()
        monkeypatch.setattr(statefolder.os, "geteuid", lambda: 0)
        monkeypatch.setattr(statefolder, "_home_of", lambda _uid: str(own))
        monkeypatch.setattr(
            lock, "owner_of_first_existing", lambda path: 0 if str(own) in path else 1000
        )
        assert statefolder.path() == str(own / ".local/state/ppg-integrations")
        monkeypatch.setenv("XDG_STATE_HOME", "/home/somebody/.state")
        assert statefolder.path() == str(own / ".local/state/ppg-integrations")

    def test_a_number_without_an_account_says_what_to_set(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lock, "owner_of_first_existing", lambda _path: os.geteuid() + 1)
        monkeypatch.setattr(lock, "make_own", lambda _path, **_: False)
        monkeypatch.setattr(statefolder, "_home_of", lambda _uid: "")
        with pytest.raises(EnvFileError) as caught:
            statefolder.make()
        assert "XDG_STATE_HOME" in caught.value.hint
