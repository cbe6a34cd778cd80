"""What earlier runs left: told by every verb, settled by those that change something."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ppg_integrations import PostgresURL, envfile, lock
from ppg_integrations.cli import main
from ppg_integrations.entry import Entry, now
from ppg_integrations.errors import ProviderError, UnsupportedError
from ppg_integrations.journal import Journal
from ppg_integrations.providers.base import Generated, Intent, Settled
from tests.support.scripted import Desk

Captured = pytest.CaptureFixture[str]


def asked(name: str = "shop-x-12345678", *, minutes: float = 1, **changes: object) -> Entry:
    """A request without an answer, of a run that was killed."""
    at = (now() - timedelta(minutes=minutes)).isoformat()
    intent = Intent("prisma", "create", "connection", name, created_at=at)
    return replace(Entry("prisma", intent=intent), **changes)  # type: ignore[arg-type]


def said(capsys: Captured, *arguments: str, status: int = 0) -> str:
    """What a run says on standard error."""
    capsys.readouterr()
    assert main(arguments) == status
    return capsys.readouterr().err


def test_what_was_made_is_ended_and_said(desk: Desk, journal: Journal, capsys: Captured) -> None:
    lost = desk.make("shop-x-12345678")
    journal.record(asked())
    err = said(capsys, "create")
    assert f"note: {lost.id} (shop-x-12345678) was made, and is gone now." in err
    assert len(err.splitlines()) == 1
    assert journal.entries() == ()
    assert lost.id not in desk.alive


def test_what_is_missing_is_looked_for_for_ten_minutes(
    desk: Desk, journal: Journal, capsys: Captured
) -> None:
    journal.record(asked(minutes=9))
    for _ in range(2):
        err = said(capsys, "create")
        assert "There is no shop-x-12345678. The next run looks again." in err
    assert len(journal.entries()) == 1
    # The provider was slow: it is found after all.
    late = desk.make("shop-x-12345678")
    err = said(capsys, "rotate")
    assert f"{late.id} (shop-x-12345678) was made, and is gone now." in err
    assert journal.entries() == ()
    journal.record(asked(minutes=11))
    err = said(capsys, "create")
    assert "There is no shop-x-12345678.\n" in err
    assert journal.entries() == ()


def test_what_is_kept_is_said_and_forgotten(desk: Desk, journal: Journal, capsys: Captured) -> None:
    desk.settled = Settled("kept", "The branch dev (br-1) is there.")
    journal.record(asked())
    assert "note: The branch dev (br-1) is there.\n" in said(capsys, "create")
    assert journal.entries() == ()


def test_what_is_restored_is_put_to_use(
    desk: Desk, shop: Path, journal: Journal, capsys: Captured
) -> None:
    made = desk.make("shop-x-12345678")
    desk.settled = Settled("restored", "Its password was set once more.", made)
    journal.record(asked(verb="rotate"))
    capsys.readouterr()
    assert main(["create"]) == 0
    printed = capsys.readouterr()
    assert "note: Its password was set once more.\n" in printed.err
    assert f"took up   {made.id}" in printed.out
    assert envfile.read(shop / ".env")["PPG_CONNECTION"].startswith(f"{made.id}:")
    assert desk.count("generate") == 0
    assert journal.entries() == ()


def in_place(id: str, *, minutes: float = 1, **request: str) -> Entry:
    """A rotation in place whose answer was lost."""
    at = (now() - timedelta(minutes=minutes)).isoformat()
    intent = Intent("prisma", "rotate", "connection", id, {"connection": id}, created_at=at)
    return Entry("prisma", "rotate", request=request, intent=intent)


def end_what_the_file_has(desk: Desk, shop: Path) -> None:
    desk.end(envfile.read(shop / ".env")["PPG_CONNECTION"].rpartition(":")[0])


@pytest.mark.parametrize(
    ("words", "status"), [("revoke con_none", 1), ("create --project shop", 0)]
)
def test_a_verb_that_does_not_take_a_rotation_up_leaves_its_secret_alone(
    words: str, status: int, desk: Desk, shop: Path, journal: Journal, capsys: Captured
) -> None:
    said(capsys, "create")
    end_what_the_file_has(desk, shop)
    journal.record(in_place("con_x", project="blog", minutes=20))
    err = said(capsys, *words.split(), status=status)
    assert "An interrupted rotate asked prisma for another password of con_x at" in err
    assert "`ppg-connect rotate` with the same options finds out" in err
    assert desk.count("settle") == 0
    assert len(journal.entries()) == 1


@pytest.mark.parametrize(("minutes", "stays"), [(1, True), (11, False)])
def test_a_login_that_still_works_is_not_rotated_again(
    minutes: float, stays: bool, desk: Desk, shop: Path, journal: Journal, capsys: Captured
) -> None:
    said(capsys, "create")
    journal.record(in_place("con_x", minutes=minutes))
    err = said(capsys, "rotate")
    assert f"the login in {shop / '.env'} works: it stays" in err.replace("\n", " ")
    assert ("The next run looks again" in err) is stays
    assert desk.count("settle") == 0
    assert bool(journal.entries()) is stays


def test_a_login_whose_server_does_not_answer_is_not_rotated_again(
    desk: Desk, shop: Path, journal: Journal, capsys: Captured
) -> None:
    said(capsys, "create")
    direct = PostgresURL.parse(envfile.read(shop / ".env")["DIRECT_URL"])
    envfile.update(shop / ".env", {"DIRECT_URL": direct.replace(port=1).reveal()})
    journal.record(in_place("con_x", minutes=20))
    assert "what became of it is not known yet" in said(capsys, "create")
    assert desk.count("settle") == 0
    assert len(journal.entries()) == 1


def test_a_login_that_is_refused_is_settled_and_taken_up(
    desk: Desk, shop: Path, journal: Journal, capsys: Captured
) -> None:
    said(capsys, "create")
    end_what_the_file_has(desk, shop)
    made = desk.make("again")
    desk.settled = Settled("restored", "Its password was set once more.", made)
    journal.record(in_place(made.id))
    assert "Its password was set once more." in said(capsys, "rotate")
    assert envfile.read(shop / ".env")["PPG_CONNECTION"].startswith(f"{made.id}:")
    assert desk.count("rotate") == 0
    assert journal.entries() == ()


def test_nobody_is_told_to_end_a_login_whose_password_was_changed(
    desk: Desk, shop: Path, journal: Journal, capsys: Captured
) -> None:
    said(capsys, "create")
    made = desk.make("again")
    entry = replace(in_place(made.id), generated=made)
    journal.record(entry)
    err = said(capsys, "show")
    assert f"{made.id} (again) got another password by an interrupted rotate" in err
    assert "revoke" not in err
    assert "not in use" not in err
    # Nor where it does not work yet.
    broken = replace(made, pooled=made.pooled.replace(port=1))
    journal.record(replace(entry, generated=broken))
    err = said(capsys, "rotate", status=1)
    assert "does not work yet" in err
    assert f"revoke {made.id}" not in err


def test_what_the_file_holds_already_is_in_use(
    desk: Desk, shop: Path, journal: Journal, capsys: Captured
) -> None:
    """A run that was killed right after it wrote the file."""
    kept: list[Generated] = []

    def changed(made: Generated) -> Generated:
        kept.append(made)
        return made

    desk.changed = changed
    said(capsys, "create")
    journal.record(asked(generated=kept[0]))
    err = said(capsys, "show")
    assert f"{kept[0].id} ({kept[0].name}), generated by an interrupted create, is in use" in err
    assert "revoke" not in err


def test_the_time_to_look_for_something_begins_with_its_request(
    desk: Desk, journal: Journal, capsys: Captured
) -> None:
    """A run may take minutes before it sends it."""
    entry = asked(minutes=1)
    journal.record(replace(entry, created_at=(now() - timedelta(minutes=20)).isoformat()))
    assert "The next run looks again" in said(capsys, "create")
    assert len(journal.entries()) == 1


@pytest.mark.parametrize("verb", ["show", "create"])
def test_what_was_under_way_for_a_folder_that_was_moved_is_told(
    verb: str, desk: Desk, shop: Path, capsys: Captured
) -> None:
    said(capsys, "create")
    (shop.parent / "old").mkdir()
    elsewhere = Journal(shop.parent / "old" / ".env")
    lost = desk.make("lost")
    elsewhere.record(Entry("prisma", generated=lost))
    assert "lost" not in said(capsys, verb)  # its own verbs tell it
    (shop.parent / "old").rename(shop.parent / "new")
    err = said(capsys, verb)
    assert f"{lost.id} (lost) of prisma was under way for {elsewhere.file}" in err
    assert elsewhere.path in err
    assert lost.direct.password is not None
    assert lost.direct.password.reveal() not in err
    assert len(elsewhere.entries()) == 1


@pytest.mark.parametrize(
    ("error", "stays"),
    [
        (ProviderError("the API is down", provider="prisma"), True),
        (UnsupportedError("nobody can tell", provider="prisma"), False),
    ],
)
def test_what_cannot_be_settled_is_said_and_does_not_stop_the_run(
    error: ProviderError, stays: bool, desk: Desk, journal: Journal, capsys: Captured
) -> None:
    def before(method: str) -> None:
        if method == "settle":
            raise error

    desk.before = before
    journal.record(asked(minutes=20))
    assert error.message in said(capsys, "create")
    assert bool(journal.entries()) is stays


def test_what_nobody_tells_is_looked_for_a_week(
    desk: Desk, journal: Journal, capsys: Captured
) -> None:
    def before(method: str) -> None:
        if method == "settle":
            raise ProviderError("that project is not there", provider="prisma")

    desk.before = before
    journal.record(asked(minutes=6 * 24 * 60))
    assert "not looked for any more" not in said(capsys, "create")
    (entry,) = journal.entries()
    journal.clear(entry.key)
    journal.record(asked(minutes=8 * 24 * 60))
    assert "not looked for any more" in said(capsys, "create")
    assert journal.entries() == ()


def test_another_providers_request_waits_for_its_token(
    desk: Desk, journal: Journal, capsys: Captured
) -> None:
    entry = asked()
    assert entry.intent is not None
    journal.record(replace(entry, provider="neon", intent=replace(entry.intent, provider="neon")))
    err = said(capsys, "create")
    assert "what became of shop-x-12345678 is not known yet" in err
    assert "NEON_API_KEY" in err
    assert len(journal.entries()) == 1


def test_a_connection_that_answers_another_request_is_told(
    desk: Desk, shop: Path, journal: Journal, capsys: Captured
) -> None:
    other = desk.make("other")
    journal.record(Entry("prisma", request={"project": "blog"}, generated=other))
    err = said(capsys, "create", "--project", "shop")
    assert f"{other.id} (other) was generated by an interrupted create and is not in use" in err
    assert f"`ppg-connect revoke {other.id}` ends it" in err
    (entry,) = journal.entries()
    assert entry.generated == other


def test_the_target_that_a_variable_names_counts_as_asked_for(
    desk: Desk, shop: Path, journal: Journal, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = desk.make("other")
    journal.record(Entry("prisma", request={"project": "blog"}, generated=other))
    monkeypatch.setenv("PPG_PROJECT", "shop")
    said(capsys, "create")
    assert len(journal.entries()) == 1
    # What the provider calls the same project in the file is the same project.
    remembered = replace(other, remember={"PPG_PROJECT": "proj_1"})
    journal.record(replace(journal.entries()[0], generated=remembered))
    monkeypatch.setenv("PPG_PROJECT", "proj_1")
    said(capsys, "create")
    assert journal.entries() == ()
    assert envfile.read(shop / ".env")["PPG_PROJECT"] == "proj_1"


@pytest.mark.parametrize("verb", ["show", "list", "doctor", "run", "local"])
def test_the_other_verbs_tell_and_change_nothing(
    verb: str, desk: Desk, journal: Journal, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["create"]) == 0
    lost: Generated = desk.make("lost")
    journal.record(asked())
    journal.record(Entry("prisma", generated=lost))
    before = Path(journal.path).read_bytes()
    more = {"run": ["--", "true"], "local": ["status"]}.get(verb, [])
    options = [] if verb == "run" else ["--json"]
    capfd.readouterr()
    assert main([verb, *options, *more]) == 0
    printed = capfd.readouterr()
    assert "An interrupted create asked prisma for the connection shop-x-12345678" in printed.err
    assert (
        f"`ppg-connect create` takes it up, `ppg-connect revoke {lost.id}` ends it" in printed.err
    )
    assert lost.direct.password is not None
    assert lost.direct.password.reveal() not in printed.out + printed.err
    assert Path(journal.path).read_bytes() == before
    if verb != "run":
        assert isinstance(json.loads(printed.out), dict)


def test_a_damaged_journal_is_told_by_all_and_stops_nobody(
    desk: Desk, journal: Journal, capsys: Captured
) -> None:
    said(capsys, "create")
    Path(journal.path).write_text("no journal")
    for verb in ("show", "list", "doctor"):
        assert journal.path in said(capsys, verb)
    assert Path(journal.path).read_text() == "no journal"
    said(capsys, "create")
    (aside,) = journal.damaged()
    assert Path(aside).read_text() == "no journal"
    for verb in ("show", "create"):
        assert aside in said(capsys, verb)


def test_a_run_that_keeps_the_file_for_too_long_is_named(
    desk: Desk, shop: Path, journal: Journal, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ppg_integrations.verbs.turn._BESIDES", 0.0)
    monkeypatch.setenv("PPG_TIMEOUT", "0.1")
    with lock.holding(f"{journal.path}.turn"):
        err = said(capsys, "create", status=1)
    assert f"{shop / '.env'} is locked by process {os.getpid()}" in err
    assert desk.asked == []
