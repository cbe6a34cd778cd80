"""What ``revoke`` refuses to end, by whatever name and wherever it is in use."""

from __future__ import annotations

from pathlib import Path

import pytest

from ppg_integrations import PostgresURL, envfile, in_use
from ppg_integrations.cli import main
from ppg_integrations.entry import Entry
from ppg_integrations.errors import ProviderUnavailableError
from ppg_integrations.journal import Journal
from ppg_integrations.providers.base import Capability
from tests.support.doubles.neon import NeonDouble
from tests.support.scripted import Desk, Scripted

Captured = pytest.CaptureFixture[str]
PASTED = ("DATABASE_URL", "DIRECT_URL")


def ppg(capsys: Captured, *arguments: str, status: int = 0) -> str:
    capsys.readouterr()
    assert main(arguments) == status, capsys.readouterr()
    return capsys.readouterr().err


def id_in(file: Path) -> str:
    return envfile.read(file)["PPG_CONNECTION"].rpartition(":")[0]


@pytest.fixture
def other(desk: Desk, shop: Path, capsys: Captured) -> str:
    """A connection that is not in use, beside that of the file."""
    ppg(capsys, "create")
    other = desk.make("other")
    return other.id


@pytest.fixture
def shows(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The desk, whose provider shows secrets too."""
    more: frozenset[Capability] = frozenset({"read"})
    monkeypatch.setattr(Scripted, "capabilities", Scripted.capabilities | more)
    return desk


def test_the_provider_is_told_what_is_not_to_be_ended(
    desk: Desk, shop: Path, other: str, capsys: Captured
) -> None:
    used = id_in(shop / ".env")
    ppg(capsys, "revoke", other)
    assert desk.kept == [frozenset({used})]
    ppg(capsys, "revoke", used, "--force")
    assert desk.kept[1:] == [frozenset()]


def test_what_a_process_without_urls_gets_is_in_use(shows: Desk, capsys: Captured) -> None:
    first, second = (shows.make(name).id for name in ("first", "second"))
    shows.shown = first
    err = ppg(capsys, "revoke", first, "--database", "elsewhere", status=1)
    assert "in use" in err
    # By the variables, as a process asks: the verb's own options say where `first` is.
    assert ("read", "") in shows.asked
    ppg(capsys, "revoke", second)
    assert shows.kept == [frozenset({first})]
    ppg(capsys, "revoke", first, "--force")
    assert shows.kept[1:] == [frozenset()]


def test_where_nothing_is_shown_nothing_is_in_use(shows: Desk, capsys: Captured) -> None:
    ppg(capsys, "revoke", shows.make("first").id)
    assert shows.kept == [frozenset()]


def test_an_api_that_is_down_tells_nothing(shows: Desk, capsys: Captured) -> None:
    first = shows.make("first").id

    def down(method: str) -> None:
        if method == "read":
            raise ProviderUnavailableError("it is down", provider="prisma", status=503)

    shows.before = down
    assert "it is down" in ppg(capsys, "revoke", first, status=1)
    assert shows.count("revoke") == 0


def test_the_files_mark_counts_whatever_the_environment_says(
    desk: Desk, shop: Path, capsys: Captured, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = id_in(shop / ".env")
    monkeypatch.setenv("PPG_CONNECTION", f"{other}:00000000")
    assert f"{used} is in use" in ppg(capsys, "revoke", used, status=1)
    ppg(capsys, "revoke", other)
    assert desk.kept == [frozenset({used})]


def test_the_files_mark_counts_for_its_urls_in_the_environment(
    desk: Desk, shop: Path, capsys: Captured, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = envfile.read(shop / ".env")
    for name in PASTED:
        monkeypatch.setenv(name, values[name])
    monkeypatch.setenv("PPG_CONNECTION", f"{other}:00000000")
    envfile.update(shop / ".env", dict.fromkeys(PASTED, ""))
    assert "is in use" in ppg(capsys, "revoke", id_in(shop / ".env"), status=1)
    ppg(capsys, "revoke", other)


def test_what_the_journal_knows_is_in_use_where_the_file_has_its_urls(
    desk: Desk, shop: Path, journal: Journal, capsys: Captured
) -> None:
    made = desk.make("made")
    journal.prepare()
    journal.record(Entry(provider="prisma", generated=made))
    urls = zip(PASTED, (made.pooled.reveal(), made.direct.reveal()), strict=True)
    envfile.update(shop / ".env", dict(urls))  # as a run that was killed before the mark
    assert f"{made.id} is in use" in ppg(capsys, "revoke", made.id, status=1)
    assert made.id in desk.alive


def test_another_providers_name_beside_the_urls_does_not_hide_them(
    desk: Desk, shop: Path, capsys: Captured
) -> None:
    url = "postgres://u:p@db.prisma.io/postgres"
    mark = in_use.mark("con_used", PostgresURL.parse(url))
    (shop / ".env").write_text(f"DATABASE_URL={url}\nPPG_CONNECTION={mark}\nPPG_PROVIDER=local\n")
    desk.alive["con_used"] = "used"
    assert "in use" in ppg(capsys, "revoke", "--provider", "prisma", "con_used", status=1)


@pytest.mark.parametrize("place", ["file", "environment"])
def test_pasted_urls_are_what_the_provider_takes_them_for(
    desk: Desk, shop: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    used, other = (desk.make(name).id for name in ("used", "other"))
    url = "postgres://u:p@db.prisma.io/postgres"
    if place == "file":
        (shop / ".env").write_text(f"DATABASE_URL={url}\n")
    else:
        monkeypatch.setenv("DATABASE_URL", url)
    assert "it cannot be told" in ppg(capsys, "revoke", other, status=1)
    desk.recognized = used
    assert f"{used} is in use" in ppg(capsys, "revoke", used, status=1)
    ppg(capsys, "revoke", other)
    assert desk.kept == [frozenset({used})]


def test_a_branch_may_have_the_login_of_its_parent(
    desk: Desk, shop: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark fits the login, and the URLs that were pasted in lead to the copy."""
    more: frozenset[Capability] = frozenset({"branches"})
    monkeypatch.setattr(Scripted, "capabilities", Scripted.capabilities | more)
    url = "postgres://u:p@db.prisma.io/postgres"
    parent, copy = (desk.make(name).id for name in ("parent", "copy"))
    mark = in_use.mark(parent, PostgresURL.parse(url))
    (shop / ".env").write_text(f"DATABASE_URL={url}\nPPG_CONNECTION={mark}\n")
    desk.recognized = copy
    for id in (parent, copy):
        assert f"{id} is in use" in ppg(capsys, "revoke", id, status=1)


# -- Neon's branches --------------------------------------------------------------------------


@pytest.fixture
def dev(neon: NeonDouble, shop: Path, capsys: Captured) -> dict[str, str]:
    """The names of the branch in use, which are true of its role too."""
    ppg(capsys, "create", "--branch", "dev", "--create")
    branch, _, role = id_in(shop / ".env").partition("/")
    return {"name": "dev", "branch": branch, "role": f"{branch}/{role}"}


def test_the_branch_that_the_api_gives_is_not_deleted(
    neon: NeonDouble,
    shop: Path,
    dev: dict[str, str],
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (shop / ".env").unlink()
    monkeypatch.setenv("PPG_BRANCH", "dev")
    for name in dev.values():
        assert "in use" in ppg(capsys, "revoke", name, status=1)
    assert neon.count("DELETE") == 0
    ppg(capsys, "revoke", "dev", "--force")
    assert neon.count("DELETE") == 1
