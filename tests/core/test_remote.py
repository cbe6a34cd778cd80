"""Asking a provider's API: through a cache, and once however many ask at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import pytest

from ppg_integrations import credential_cache, errors
from ppg_integrations.providers.base import Generated, Target
from ppg_integrations.providers.settings import Settings
from ppg_integrations.remote import resolve_remote
from tests.support import fake_provider
from tests.support.fake_provider import POOLED, TOKEN, Fake, generated

DOWN = errors.ProviderUnavailableError("Fake's API is down", hint="Wait.", provider="fake")


@pytest.fixture(autouse=True)
def _fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fake_provider.install(monkeypatch)


def ask(options: dict[str, str] | None = None, **environ: str) -> Any:
    settings = Settings({"FAKE_TOKEN": TOKEN, "PPG_TIMEOUT": "5", **environ})
    return resolve_remote(settings, "fake", options or {})


def fail_with(monkeypatch: pytest.MonkeyPatch, error: errors.PPGError, *, after: float = 0) -> None:
    def answer(_target: Target) -> Generated | None:
        time.sleep(after)
        raise error

    monkeypatch.setattr(Fake, "answer", staticmethod(answer))


def refused(status: int) -> errors.ProviderError:
    return errors.ProviderError(f"Fake said {status}", provider="fake", status=status)


def age(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    real, clock = time.time, time.monotonic
    monkeypatch.setattr(time, "time", lambda: real() + seconds)
    monkeypatch.setattr(time, "monotonic", lambda: clock() + seconds)


# -- the cache --------------------------------------------------------------------------------


def test_the_api_is_asked_once_and_then_its_answer_is_used() -> None:
    first, second = ask(), ask()
    assert len(Fake.asked) == 1
    assert (first.pooled, first.direct) == (second.pooled, second.direct)
    assert first.pooled.reveal() == POOLED
    assert first.provider == second.provider == "fake"
    assert str(first.pooled_source) == str(first.direct_source) == "Fake's API"
    assert str(second.pooled_source).startswith("Fake's API (cached at 2")
    assert first.warnings == second.warnings == ()


@pytest.mark.parametrize(
    "other",
    [
        {"FAKE_TOKEN": "another"},
        {"PPG_API_URL": "http://127.0.0.1:1"},
        {"FAKE_URL": "http://127.0.0.1:2"},
        {"PPG_PROJECT": "p"},
        {"FAKE_PROJECT": "p"},
        {"FAKE_ORG": "o"},
        {"PPG_DATABASE": "d"},
        {"PPG_BRANCH": "b"},
        {"PPG_ROLE": "r"},
        {"options": {"branch": "b"}},
    ],
)
def test_another_question_is_asked_anew(other: dict[str, Any]) -> None:
    ask()
    ask(**other)
    assert len(Fake.asked) == 2
    ask(**other)
    ask()
    assert len(Fake.asked) == 2


def test_one_question_in_two_spellings() -> None:
    ask(PPG_BRANCH="b", FAKE_URL="http://127.0.0.1:2")
    ask({"branch": "b"}, PPG_API_URL="http://127.0.0.1:2/")
    assert len(Fake.asked) == 1
    assert Fake.asked[0][0] == Target(branch="b")


def test_the_git_branch_is_part_of_the_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two", "one"):
        ask(PPG_BRANCH="auto", CIRCLE_BRANCH=name)
    assert len(Fake.asked) == 2
    ask(PPG_BRANCH="auto")  # not in a work tree: the provider says what that means
    assert len(Fake.asked) == 3


def test_an_answer_is_asked_for_again_after_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    ask()
    age(monkeypatch, 3500)
    ask()
    assert len(Fake.asked) == 1
    age(monkeypatch, 200)
    ask()
    assert len(Fake.asked) == 2


def test_an_answer_from_the_future_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    age(monkeypatch, 100)
    ask()
    age(monkeypatch, -100)
    ask()
    assert len(Fake.asked) == 2


def test_fresh_passes_over_the_cache_and_renews_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ask()
    monkeypatch.setattr(Fake, "answer", staticmethod(lambda _t: generated("renewed")))
    assert str(ask(PPG_RESOLVE="fresh").pooled_source) == "Fake's API"
    assert len(Fake.asked) == 2
    ask()
    assert len(Fake.asked) == 2


def test_forgetting_makes_the_next_one_ask() -> None:
    ask()
    credential_cache.forget("fake")
    ask()
    assert len(Fake.asked) == 2


def test_without_a_folder_each_one_asks_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_name: str = "") -> str:
        raise errors.EnvFileError("no folder for it")

    monkeypatch.setattr(credential_cache.lock, "cache_folder", refuse)
    pair = ask()
    assert pair.pooled.reveal() == POOLED
    assert "each process asks the API for itself: no folder for it" in pair.warnings[0]


def test_without_room_each_one_asks_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise errors.EnvFileError("the disk is full")

    monkeypatch.setattr(credential_cache.atomicfile, "write", refuse)
    pair = ask()
    assert "the disk is full" in pair.warnings[0]


def test_a_file_system_without_locks_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    import filelock

    def refuse(*_: object, **__: object) -> None:
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    assert ask().pooled.reveal() == POOLED


# -- an API that is down, or refuses -----------------------------------------------------------


def test_an_older_answer_serves_while_the_api_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    ask()
    age(monkeypatch, 7200)
    fail_with(monkeypatch, DOWN)
    pair = ask()
    assert pair.pooled.reveal() == POOLED
    (warning,) = pair.warnings
    assert warning.startswith("Fake's API is down; the URLs that it gave at 2")
    assert "cached at" in str(pair.pooled_source)
    assert TOKEN not in warning
    # The next start asks again, and would see a refusal.
    assert ask().warnings == pair.warnings
    assert len(Fake.asked) == 3
    fail_with(monkeypatch, refused(401))
    with pytest.raises(errors.ProviderError, match="401"):
        ask()


def test_an_older_answer_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    ask(PPG_TIMEOUT="600")
    assert Fake.asked[-1][2] == 600
    age(monkeypatch, 7200)
    ask(PPG_TIMEOUT="600")
    assert 9 < Fake.asked[-1][2] <= 10
    age(monkeypatch, 7200)
    ask()
    assert Fake.asked[-1][2] == 5


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_no_older_answer_serves_after_a_refusal(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    ask()
    age(monkeypatch, 7200)
    fail_with(monkeypatch, refused(status))
    with pytest.raises(errors.ProviderError, match=str(status)):
        ask()
    fail_with(monkeypatch, DOWN)
    if status == 401:  # the credential may have been taken back
        with pytest.raises(errors.ProviderUnavailableError):
            ask()
    else:
        assert ask().warnings


def test_fresh_takes_no_older_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    ask()
    fail_with(monkeypatch, DOWN)
    with pytest.raises(errors.ProviderUnavailableError):
        ask(PPG_RESOLVE="fresh")


def test_a_failure_is_not_kept_for_those_who_come_later(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, DOWN)
    for count in (1, 2):
        with pytest.raises(errors.ProviderUnavailableError, match="is down") as caught:
            ask()
        assert caught.value.hint == "Wait."
        assert len(Fake.asked) == count


def test_an_error_carries_no_frames_of_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(_target: Target) -> Generated | None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        try:
            raise OSError(f"cut {headers}")
        except OSError as error:
            raise errors.ProviderUnavailableError("down") from error

    monkeypatch.setattr(Fake, "answer", staticmethod(answer))
    with pytest.raises(errors.ProviderUnavailableError) as caught:
        ask()
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in report.stack if frame.filename.endswith("/remote.py")]
    assert [frame.name for frame in frames] == ["resolve_remote"]
    assert TOKEN not in "".join(str(frame.locals) for frame in frames)


# -- several at a time ------------------------------------------------------------------------


def together(count: int, **environ: str) -> tuple[list[Any], float]:
    """What `count` threads get that ask at once, and the seconds it took.

    Threads wait for a lock as processes do: each opens its own file.
    """
    results: list[Any] = [None] * count
    barrier = threading.Barrier(count)

    def one(place: int) -> None:
        barrier.wait()
        try:
            results[place] = ask(**environ)
        except errors.PPGError as error:
            results[place] = error

    threads = [threading.Thread(target=one, args=(place,)) for place in range(count)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    return results, time.monotonic() - start


@pytest.mark.parametrize("mode", ["auto", "fresh"])
def test_of_many_one_asks(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setattr(Fake, "answer", staticmethod(lambda _t: time.sleep(0.4)))
    results, _ = together(8, PPG_RESOLVE=mode)
    assert {result.pooled.reveal() for result in results} == {POOLED}
    assert len(Fake.asked) == 1


def test_many_fail_together(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, DOWN, after=0.5)
    results, took = together(8)
    assert {type(result) for result in results} == {errors.ProviderUnavailableError}
    assert {str(result) for result in results} == {"Fake's API is down\nWait."}
    assert len(Fake.asked) == 1
    assert took < 2.5


def test_many_take_an_older_answer_together(monkeypatch: pytest.MonkeyPatch) -> None:
    ask()
    age(monkeypatch, 7200)
    fail_with(monkeypatch, DOWN, after=0.4)
    results, _ = together(8)
    assert all(result.warnings for result in results)
    assert len(Fake.asked) == 2


def test_who_waits_has_the_same_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()
    monkeypatch.setattr(Fake, "answer", staticmethod(lambda _t: let_go.wait(20) and None))
    slow = threading.Thread(target=ask)
    slow.start()
    try:
        while not Fake.asked:
            time.sleep(0.01)
        start = time.monotonic()
        with pytest.raises(errors.ProviderUnavailableError, match="another process") as caught:
            ask(PPG_TIMEOUT="0.6")
        assert 0.5 < time.monotonic() - start < 2.5
        assert "PPG_TIMEOUT=1.2" in caught.value.hint
    finally:
        let_go.set()
        slow.join()


def test_who_has_waited_has_only_the_rest_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import filelock

    ask()
    path = next((Path(os.environ["XDG_CACHE_HOME"]) / "ppg-integrations/pairs").glob("*.lock"))
    credential_cache.forget("fake")
    other = filelock.FileLock(path, thread_local=False)
    other.acquire()
    timer = threading.Timer(0.5, other.release, kwargs={"force": True})
    timer.start()
    ask()
    timer.join()
    assert 4 < Fake.asked[-1][2] < 4.7


def test_who_is_killed_while_asking_holds_nobody_up(tmp_path: Path) -> None:
    ask()
    path = next((Path(os.environ["XDG_CACHE_HOME"]) / "ppg-integrations/pairs").glob("*.lock"))
    credential_cache.forget("fake")
    code = (
        "import filelock, sys, time; filelock.FileLock(sys.argv[1]).acquire()\n"
        "print(1, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline()
        holder.kill()
    assert ask().pooled.reveal() == POOLED


# -- replicas ---------------------------------------------------------------------------------


def test_a_replica_is_asked_for_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask().replica is None
    monkeypatch.setattr(Fake, "capabilities", frozenset({"read", "replica"}))
    assert ask(PPG_REPLICA="0").replica is None
    for _ in range(2):
        pair = ask(PPG_REPLICA="1")
        assert pair.replica is not None
        assert pair.replica.host == "replica.example"
        assert str(pair.replica_source).startswith("Fake's API")
    assert [replica for _, replica, _ in Fake.asked] == [False, True]


def test_a_provider_without_replicas_says_so() -> None:
    pair = ask(PPG_REPLICA="1")
    assert pair.replica is None
    assert pair.warnings == ("Fake has no read replicas: PPG_REPLICA changes nothing",)
