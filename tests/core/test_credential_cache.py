"""What is kept of APIs' answers: by whom it can be trusted, and when it goes."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

import pytest

from ppg_integrations import credential_cache, errors, kept, lock
from ppg_integrations.credential_cache import Slot, forget, mark
from ppg_integrations.urls import PostgresURL

POOLED = PostgresURL.parse("postgresql://u:s3cr3t@pool.example:6432/shop")
DIRECT = PostgresURL.parse("postgresql://u:s3cr3t@pg.example/shop")
REPLICA = PostgresURL.parse("postgresql://u:s3cr3t@replica.example/shop")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def slot() -> Slot:
    return Slot("neon", "k" * 32)


@pytest.fixture
def written(slot: Slot) -> Slot:
    slot.write("br-1", POOLED, DIRECT, REPLICA)
    return slot


def test_an_answer_comes_back_as_it_was(written: Slot) -> None:
    kept = written.read()
    assert kept is not None
    found = (kept.id, kept.pooled, kept.direct, kept.replica)
    assert found == ("br-1", POOLED, DIRECT, REPLICA)
    assert kept.pooled.reveal() == POOLED.reveal()
    assert kept.is_fresh()
    assert "s3cr3t" not in repr(kept)


def test_nothing_there_is_no_answer(slot: Slot) -> None:
    assert slot.read() is None
    assert slot.failure() is None


def test_nobody_else_may_look(written: Slot) -> None:
    assert stat.S_IMODE(os.stat(written.path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(written.path)).st_mode) == 0o700


def test_it_is_fresh_for_an_hour(written: Slot, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = written.read()
    assert kept is not None
    for age, fresh in ((0, True), (3599, True), (3601, False), (-60, False)):
        monkeypatch.setattr(time, "time", lambda age=age: kept.fetched_at + age)
        assert kept.is_fresh() is fresh, age


@pytest.mark.parametrize("mode", [0o602, 0o620, 0o644, 0o666])
def test_what_others_can_read_or_write_is_passed_over_and_replaced(
    written: Slot, mode: int
) -> None:
    os.chmod(written.path, mode)
    assert written.read() is None
    written.write("br-2", POOLED, DIRECT)
    assert stat.S_IMODE(os.stat(written.path).st_mode) == 0o600
    assert written.read() is not None


def test_another_users_file_is_passed_over(written: Slot, monkeypatch: pytest.MonkeyPatch) -> None:
    us = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: us + 1)
    assert written.read() is None


def test_a_symbolic_link_is_not_followed_but_replaced(written: Slot, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    os.rename(written.path, elsewhere)
    os.symlink(elsewhere, written.path)
    before = elsewhere.read_bytes()
    assert written.read() is None
    written.write("br-2", POOLED, DIRECT)
    assert not os.path.islink(written.path)
    assert elsewhere.read_bytes() == before
    kept = written.read()
    assert kept is not None
    assert kept.id == "br-2"


def test_a_fifo_holds_nobody_up(slot: Slot) -> None:
    os.mkfifo(slot.path, 0o600)
    assert slot.read() is None
    slot.write("br-1", POOLED, DIRECT)
    assert slot.read() is not None


def test_a_folder_in_its_place_cannot_be_replaced(slot: Slot) -> None:
    os.mkdir(slot.path)
    assert slot.read() is None
    with pytest.raises(errors.EnvFileError, match="is a folder"):
        slot.write("br-1", POOLED, DIRECT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        "[" * 20000,
        '{"version": 2}',
        "\udcff",
        "x" * 70000,
    ],
)
def test_what_does_not_parse_is_no_answer(slot: Slot, text: str) -> None:
    Path(slot.path).write_bytes(text.encode(errors="surrogateescape"))
    os.chmod(slot.path, 0o600)
    assert slot.read() is None
    slot.write("br-1", POOLED, DIRECT)
    assert slot.read() is not None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", 2),
        ("pooled", "mysql://x"),
        ("pooled", None),
        ("direct", 7),
        ("replica", []),
        ("fetched_at", "yesterday"),
        ("clock", None),
    ],
)
def test_a_wrong_part_spoils_the_whole(written: Slot, name: str, value: object) -> None:
    document = json.loads(Path(written.path).read_bytes())
    Path(written.path).write_text(json.dumps({**document, name: value}))
    assert written.read() is None


@pytest.mark.parametrize(
    "error",
    [
        errors.ProviderUnavailableError("down", hint="wait", provider="neon", status=503),
        errors.ProviderError(
            "no", provider="neon", status=404, request_id="r1", nothing_done=False
        ),
        errors.ChoiceError("which?", option="project", choices=(("p1", "shop"), ("p2", "blog"))),
        errors.ConfigurationError("bad", hint="mend it"),
    ],
)
def test_a_failure_comes_back_as_it_was(slot: Slot, error: errors.PPGError) -> None:
    slot.note(error)
    failure = slot.failure()
    assert failure is not None
    assert type(failure.error) is type(error)
    assert vars(failure.error) == vars(error)
    assert str(failure.error) == str(error)
    assert failure.clock <= time.monotonic()


def test_a_failure_keeps_no_body_and_a_subclass_becomes_its_public_base(slot: Slot) -> None:
    class Special(errors.ProviderError):
        pass

    slot.note(Special("no", provider="neon", body="s3cr3t"))
    failure = slot.failure()
    assert failure is not None
    assert type(failure.error) is errors.ProviderError
    files = Path(slot.path).parent.iterdir()
    assert not any(b"s3cr3t" in path.read_bytes() for path in files)


def test_an_answer_ends_the_failure_before_it(slot: Slot) -> None:
    slot.note(errors.ProviderError("no"))
    slot.write("br-1", POOLED, DIRECT)
    assert slot.failure() is None


def test_forget_drops_what_the_provider_said_and_nothing_else(written: Slot) -> None:
    other = Slot("casedev", "k" * 32)
    other.write("br-1", POOLED, DIRECT)
    made = Slot("neon", "m" * 32, generated=True)
    made.write("con-1", POOLED, DIRECT)
    forget("neon")
    assert written.read() is None
    assert other.read() is not None
    assert made.read() is not None
    forget("neon", retired="con-2")
    assert made.read() is not None
    forget("neon", retired="con-1")
    assert made.read() is None


def test_an_answer_from_before_a_change_is_not_kept(slot: Slot) -> None:
    before = mark(slot, "neon")
    forget("neon")  # while somebody asks
    slot.write("br-1", POOLED, DIRECT, mark=before)
    assert slot.read() is None
    slot.write("br-1", POOLED, DIRECT, mark=mark(slot, "neon"))
    assert slot.read() is not None


def test_forget_without_a_folder_has_nothing_to_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_name: str) -> str:
        raise errors.EnvFileError("no folder")

    monkeypatch.setattr(lock, "cache_folder", refuse)
    forget("neon")
    with pytest.raises(errors.EnvFileError):
        Slot("neon", "k")


def test_secrets_that_nobody_asks_for_any_more_go(written: Slot) -> None:
    made = Slot("prisma", "m" * 32, generated=True)
    made.write("con-1", POOLED, DIRECT)
    long_ago = time.time() - 31 * 86400
    for path in (written.path, made.path):
        os.utime(path, (long_ago, long_ago))
    Slot("neon", "n" * 32).write("br-2", POOLED, DIRECT)
    assert not os.path.exists(written.path)
    assert made.read() is not None  # it exists nowhere else


def test_a_writer_that_was_killed_leaves_no_secret_behind(written: Slot) -> None:
    name = os.path.basename(written.path)[:48]
    litter = Path(os.path.dirname(written.path)) / f"{name}.ppg-dead"
    litter.write_text("s3cr3t")
    written.write("br-1", POOLED, DIRECT)
    assert not litter.exists()


def test_names_of_files_tell_no_secret(written: Slot) -> None:
    assert kept.TTL == 3600
    names = os.listdir(os.path.dirname(written.path))
    assert names == [f"neon-{'k' * 32}.answer.json"]
