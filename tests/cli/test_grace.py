"""The old connection of a rotation lives until nobody uses it, or as long as was said."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from ppg_integrations import envfile
from ppg_integrations.cli import main
from ppg_integrations.journal import Journal
from ppg_integrations.urls import PostgresURL
from ppg_integrations.verbs import grace, sentences, sessions
from ppg_integrations.verbs.context import Context
from ppg_integrations.verbs.rotate import rotate
from tests.cli.running import Captured, id_in_file, ppg, url
from tests.support.scripted import Desk, works


class Clock:
    """Goes on when somebody sleeps, by as much or by more; each time something may happen.

    Attributes:
        naps: seconds that each was to take.
    """

    def __init__(self, faster: float, meanwhile: Callable[[int], None]) -> None:
        self.naps: list[float] = []
        self._now = 1000.0
        self._faster, self._meanwhile = faster, meanwhile

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self._now += seconds * self._faster
        self._meanwhile(len(self.naps))

    def monotonic(self) -> float:
        return self._now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Clock]:
    def install(meanwhile: Callable[[int], None] = lambda _nap: None, faster: float = 1) -> Clock:
        made = Clock(faster, meanwhile)
        clocks = SimpleNamespace(sleep=made.sleep, monotonic=made.monotonic)
        monkeypatch.setattr(grace, "time", clocks)
        return made

    return install


@pytest.fixture
def created(desk: Desk, shop: Path, capsys: Captured) -> str:
    """The id of the connection in use until now."""
    ppg(capsys, "create")
    return id_in_file(shop)


@pytest.fixture
def app(created: str, shop: Path) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """An application in the middle of a transaction, through the pooler."""
    made = psycopg.connect(**url(shop, "DATABASE_URL").libpq(), application_name="celery")
    made.execute("SELECT 1")
    yield made
    made.close()


def test_one_that_nobody_uses_ends_at_once(desk: Desk, created: str, capsys: Captured) -> None:
    """The clock of these tests lets nobody wait who does not ask for it."""
    _, err = ppg(capsys, "rotate")
    assert err == f"note: {created} is retired.\n"
    assert created not in desk.alive


def test_one_that_is_used_ends_when_nobody_has_used_it_for_a_minute(
    desk: Desk, shop: Path, created: str, app: psycopg.Connection, clock: Callable[..., Clock], capsys: Captured
) -> None:  # fmt: skip
    old = url(shop)

    def meanwhile(nap: int) -> None:
        assert works(old)
        assert created in desk.alive
        assert id_in_file(shop) != created
        if nap == 3:
            app.close()

    waiting = clock(meanwhile)
    _, err = ppg(capsys, "rotate")
    # In use at the looks after 0, 5 and 10 seconds; the minute begins with the last of those.
    assert waiting.naps == [5.0] * 14
    assert not works(old)
    begun, restart, interrupted, retired = err.splitlines()
    ends = f"{created} ends when nothing has used it for 60 s, at "
    assert begun.startswith(f"note: The new connection is in use. {ends}")
    assert restart == "note: Restart before that what has the old URLs in its environment."
    assert interrupted == f"note: After Ctrl-C the next create, rotate or revoke ends {created}."
    assert retired == f"note: {created} is retired."


def test_the_result_is_there_before_the_wait(
    desk: Desk, shop: Path, created: str, app: psycopg.Connection, clock: Callable[..., Clock], capsys: Captured
) -> None:  # fmt: skip
    seen: list[str] = []

    def meanwhile(_nap: int) -> None:
        seen.append(capsys.readouterr().out)
        raise KeyboardInterrupt

    clock(meanwhile)
    out, err = ppg(capsys, "rotate", status=130)
    assert seen[0].startswith(f"generated {id_in_file(shop)} ")
    assert "\nwritten   " in seen[0]
    assert "\nNext: restart what was started with the old URLs" in seen[0]
    assert out == ""
    assert err.startswith(f"interrupted; {created} lives until")


def test_an_idle_session_counts_for_a_minute_after_its_last_use(
    desk: Desk, created: str, app: psycopg.Connection, clock: Callable[..., Clock], capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    app.commit()
    look = sessions.use

    def later(old: PostgresURL) -> sessions.Use:  # as it will look when the clock says so
        gone = waiting.monotonic() - 1000
        found = look(old, quiet=max(0.0, sessions.QUIET - gone))
        return replace(found, since=found.since + gone)

    monkeypatch.setattr(sessions, "use", later)
    waiting = clock()
    ppg(capsys, "rotate")
    assert 11 <= len(waiting.naps) <= 12
    assert created not in desk.alive


def test_after_an_hour_it_ends_all_the_same(
    desk: Desk, shop: Path, created: str, app: psycopg.Connection, clock: Callable[..., Clock], capsys: Captured
) -> None:  # fmt: skip
    waiting = clock(faster=100)
    _, err = ppg(capsys, "rotate")
    assert len(waiting.naps) == 8  # of 500 seconds each, and one for the rest
    assert waiting.naps[-1] <= 5.0
    assert f"{created} has had its time: 1 session uses it (celery)." in err
    assert created not in desk.alive
    with pytest.raises(psycopg.OperationalError):
        app.execute("SELECT 1")


def test_the_journal_knows_the_hour(
    desk: Desk, journal: Journal, created: str, app: psycopg.Connection, clock: Callable[..., Clock], capsys: Captured
) -> None:  # fmt: skip
    def meanwhile(_nap: int) -> None:
        (entry,) = journal.entries()
        assert (entry.stage, entry.retire, entry.grace) == ("stored", created, 3600.0)
        assert not entry.is_due()
        app.close()

    clock(meanwhile, faster=100)
    ppg(capsys, "rotate")
    assert journal.entries() == ()


@pytest.mark.parametrize("seconds", ["0", "7"])
def test_a_grace_that_is_said_does_not_ask_who_uses_it(
    seconds: str, desk: Desk, created: str, app: psycopg.Connection, clock: Callable[..., Clock], capsys: Captured
) -> None:  # fmt: skip
    waiting = clock()
    _, err = ppg(capsys, "rotate", "--grace", seconds)
    assert waiting.naps == ([] if seconds == "0" else [5.0, 2.0])
    assert "session" not in err
    assert created not in desk.alive


@pytest.mark.parametrize("how", ["revoke", "provider"])
def test_the_wait_ends_where_somebody_else_ends_the_connection(
    how: str, desk: Desk, created: str, app: psycopg.Connection, clock: Callable[..., Clock], capsys: Captured
) -> None:  # fmt: skip
    done: list[int] = []

    def meanwhile(_nap: int) -> None:
        if how == "provider":
            desk.end(created)
            return
        other = threading.Thread(target=lambda: done.append(main(["revoke", created])))
        other.start()
        other.join(20)

    waiting = clock(meanwhile)
    ppg(capsys, "rotate")
    assert waiting.naps == [5.0]
    assert done == ([0] if how == "revoke" else [])
    assert list(desk.alive) != [created]
    assert desk.count("revoke") == 1


def test_ctrl_c_leaves_the_rest_to_the_next_run(
    desk: Desk, shop: Path, journal: Journal, created: str, app: psycopg.Connection, clock: Callable[..., Clock], capsys: Captured
) -> None:  # fmt: skip
    def meanwhile(_nap: int) -> None:
        raise KeyboardInterrupt

    clock(meanwhile)
    out, err = ppg(capsys, "rotate", "--json", status=130)
    assert json.loads(out)["connection"]["id"] == id_in_file(shop)  # the rotation has happened
    (entry,) = journal.entries()
    until = f"lives until nobody uses it, until {sentences.clock(entry.due)} at the latest"
    then = "the next create, rotate or revoke then retires it"
    assert err.splitlines()[-1] == f"interrupted; {created} {until}; {then}"
    # Who only looks says so. Who changes something looks once who uses it, and does not wait.
    told = f"{created}, which {id_in_file(shop)} has replaced, {until}"
    assert told in ppg(capsys, "list")[1]
    assert told in ppg(capsys, "create")[1]
    assert created in desk.alive
    app.close()
    assert f"{created} is retired" not in ppg(capsys, "list")[1]
    assert f"{created} is retired" in ppg(capsys, "revoke", "con_none", status=1)[1]
    assert created not in desk.alive
    assert journal.entries() == ()


def test_revoke_of_one_that_waits_is_no_second_end_of_it(
    desk: Desk, journal: Journal, created: str, app: psycopg.Connection, clock: Callable[..., Clock], capsys: Captured
) -> None:  # fmt: skip
    def meanwhile(_nap: int) -> None:
        raise KeyboardInterrupt

    clock(meanwhile)
    ppg(capsys, "rotate", status=130)
    app.close()  # so that it is about to end by itself, too
    out, _ = ppg(capsys, "revoke", created)
    assert out == f"revoked {created}\n"
    assert desk.count("revoke") == 1
    assert journal.entries() == ()


def test_a_rotation_during_the_wait_of_another_ends_both(
    desk: Desk, shop: Path, journal: Journal, created: str, app: psycopg.Connection, clock: Callable[..., Clock], capsys: Captured
) -> None:  # fmt: skip
    done: list[int] = []

    def meanwhile(nap: int) -> None:
        if nap == 1:
            other = threading.Thread(target=lambda: done.append(main(["rotate"])))
            other.start()
            other.join(20)
            assert created in desk.alive
            app.close()

    clock(meanwhile, faster=20)
    ppg(capsys, "rotate")
    assert done == [0]
    assert list(desk.alive) == [id_in_file(shop)] != [created]
    assert desk.count("rotate") == 2
    assert journal.entries() == ()


def test_json_is_one_document_after_the_wait(
    desk: Desk, created: str, app: psycopg.Connection, clock: Callable[..., Clock], capsys: Captured
) -> None:
    clock(lambda _nap: app.close(), faster=20)
    out, err = ppg(capsys, "rotate", "--json")
    assert json.loads(out)["warnings"] == []
    assert f"note: {created} is retired.\n" in err
    assert "The new connection is in use." in err


def test_progress_says_who_is_waited_for_and_repeats_itself_once_a_minute(
    desk: Desk, shop: Path, created: str, app: psycopg.Connection, clock: Callable[..., Clock]
) -> None:
    said: list[str] = []

    def meanwhile(nap: int) -> None:
        if nap == 30:
            app.close()

    waiting = clock(meanwhile)
    context = Context(env_file=shop / ".env", progress=said.append)
    rotate(context)
    told = [text for text in said if text.startswith(f"{created}: ")]
    assert told[0] == f"{created}: 1 session uses it (celery)"
    # At 0, 60 and 120 seconds, and from when it has left.
    assert told[-1] == f"{created}: no session uses it now"
    assert len(told) == 4
    assert len(waiting.naps) == 41


def test_without_a_direct_url_it_has_the_whole_hour(
    desk: Desk, shop: Path, created: str, clock: Callable[..., Clock], capsys: Captured
) -> None:
    lines = (shop / ".env").read_text().splitlines()
    (shop / ".env").write_text("".join(f"{x}\n" for x in lines if not x.startswith("DIRECT_URL")))
    waiting = clock(faster=100)
    _, err = ppg(capsys, "rotate")
    assert len(waiting.naps) == 8
    assert f"cannot be told whether anything still uses {created}: no direct URL of it" in err
    assert f"`ppg-connect revoke {created}` ends it sooner, as rotate --grace 60 would" in err
    assert re.search(rf"note: The new connection is in use\. {created} lives until \d", err)
    assert created not in desk.alive


def test_sessions_that_the_direct_endpoint_does_not_show_have_the_whole_hour(
    desk: Desk, created: str, clock: Callable[..., Clock], capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr("ppg_integrations.verbs.handover.shows_sessions", lambda _found: False)
    waiting = clock(faster=100)
    _, err = ppg(capsys, "rotate")
    assert len(waiting.naps) == 8
    assert "its direct URL does not show the pooler's sessions" in err


def test_an_old_endpoint_that_does_not_answer_has_the_whole_hour(
    desk: Desk, shop: Path, created: str, clock: Callable[..., Clock], capsys: Captured
) -> None:
    envfile.update(shop / ".env", {"DIRECT_URL": url(shop).replace(port=1).reveal()})
    waiting = clock(faster=100)
    _, err = ppg(capsys, "rotate")
    assert len(waiting.naps) == 8
    assert "it cannot be told whether it is in use: cannot connect" in err
    assert created not in desk.alive


def test_what_stays_anyway_is_not_waited_for(
    desk: Desk, shop: Path, created: str, app: psycopg.Connection, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    found = envfile.read(shop / ".env")
    for name in ("DATABASE_URL", "DIRECT_URL"):
        monkeypatch.setenv(name, found[name])
    _, err = ppg(capsys, "rotate")
    assert f"{created} stays for now: the environment still holds its URLs" in err
    assert created in desk.alive


def test_a_rotation_that_was_killed_before_it_was_stored_keeps_what_it_needs_to_ask(
    desk: Desk, shop: Path, journal: Journal, created: str, app: psycopg.Connection, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("ppg_integrations.verbs.proof.prove", killed)
        ppg(capsys, "rotate", status=130)
    (entry,) = journal.entries()
    assert entry.stage == "answered"
    old = url(shop)
    # create takes it up, and does not wait: the old one lives on.
    _, err = ppg(capsys, "create")
    assert f"{created}, which {id_in_file(shop)} has replaced, lives until nobody uses it" in err
    assert works(old)
    app.close()
    _, err = ppg(capsys, "create")
    assert f"{created} is retired" in err


def test_the_journal_shows_no_password_of_what_ends(
    desk: Desk, shop: Path, journal: Journal, created: str, app: psycopg.Connection, clock: Callable[..., Clock], capsys: Captured
) -> None:  # fmt: skip
    password = url(shop).password
    assert password is not None
    shown: list[str] = []

    def meanwhile(_nap: int) -> None:
        shown.append(repr(journal.entries()))
        app.close()

    clock(meanwhile, faster=20)
    out, err = ppg(capsys, "rotate")
    assert "retire_url=" in shown[0]
    assert password.reveal() not in "".join((*shown, out, err))
