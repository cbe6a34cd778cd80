"""A pair that is read anew when its store changes, and kept when the store turns bad."""

from __future__ import annotations

import os
import signal
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout

import pytest

from ppg_integrations import ConnectionPair, PostgresURL, current
from ppg_integrations.current import CurrentPair, follow
from ppg_integrations.endpoint import Destination, Endpoint
from ppg_integrations.errors import (
    ChoiceError,
    MissingDirectURLError,
    MissingURLError,
    PPGWarning,
    ProviderUnavailableError,
    URLError,
)
from ppg_integrations.pair import Source

POOLED = "postgresql://{user}:{password}@pooler.test:6432/{database}"
DIRECT = "postgresql://{user}:{password}@server.test:5432/{database}"


def write(path, password, *, user="app", database="shop", pooled=POOLED, direct=DIRECT, extra=""):
    """The file, replaced in one step as every writer of ours does."""
    values = {"user": user, "password": password, "database": database}
    text = f"DATABASE_URL={pooled.format(**values)}\nDIRECT_URL={direct.format(**values)}\n{extra}"
    new = path.with_name("new")
    new.write_text(text)
    os.replace(new, path)


def passwords(followed):
    pair = followed.pair
    return tuple(url.password.reveal() for url in (pair.pooled, pair.direct))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / ".env"
    write(path, "first")
    return path


def test_a_rotated_pair_is_seen_by_the_next_question(path):
    followed = follow(env_file=path, environ={})
    assert passwords(followed) == ("first", "first")
    write(path, "second", user="other")
    assert passwords(followed) == ("second", "second")
    assert followed.pair.pooled.user == "other"


def test_nothing_is_read_while_nothing_changes(path, monkeypatch):
    followed = follow(env_file=path, environ={})
    monkeypatch.setattr(followed, "_find", pytest.fail)
    assert passwords(followed) == ("first", "first")
    assert followed.pair is followed.pair


def test_a_pair_of_the_environment_has_no_store(path):
    values = {"user": "a", "password": "b", "database": "c"}
    environ = {"DATABASE_URL": POOLED.format(**values), "DIRECT_URL": DIRECT.format(**values)}
    followed = follow(env_file=path, environ=environ)
    assert followed.pair.store is None
    write(path, "second")
    assert passwords(followed) == ("b", "b")


@pytest.mark.parametrize(
    "store", ["truncated", "cut between lines", "not UTF-8", "empty", "unreadable"]
)
def test_a_store_that_turns_bad_is_refused_once_and_the_last_good_pair_stays(path, store):
    followed = follow(env_file=path, environ={})
    if store == "truncated":
        path.write_text("DATABASE_URL=postgresql://app:second@pooler.test:64x\n")
    elif store == "cut between lines":
        url = POOLED.format(user="app", password="second", database="shop")
        path.write_text(f"DATABASE_URL={url}\nDIRECT_URL=")
    elif store == "not UTF-8":
        path.write_bytes(b"DATABASE_URL=\xff\xfe")
    elif store == "empty":
        path.write_text("")
    else:
        path.unlink()
        path.mkdir()
    with pytest.warns(PPGWarning, match="the last good pair stays in use") as said:
        assert passwords(followed) == ("first", "first")
        assert passwords(followed) == ("first", "first")
    assert len(said) == 1
    assert "second" not in str(said[0].message)
    if store == "unreadable":
        path.rmdir()
    write(path, "third")
    assert passwords(followed) == ("third", "third")


@pytest.mark.parametrize(
    "change",
    [
        {"database": "other"},
        {"pooled": POOLED.replace("pooler.test", "elsewhere.test")},
        {"direct": DIRECT.replace("5432", "5433")},
        {"extra": "PPG_DATABASE=db_other\n"},
    ],
)
def test_another_database_is_refused(path, change):
    write(path, "first", extra="PPG_DATABASE=db_own\nPPG_ROLE=one\n")
    followed = follow(env_file=path, environ={})
    change = {"extra": "PPG_DATABASE=db_own\n", **change}
    write(path, "second", **change)
    with pytest.warns(PPGWarning, match="another database now.*restart it"):
        assert passwords(followed) == ("first", "first")
    write(path, "third", extra="PPG_DATABASE=db_own\nPPG_ROLE=two\n")
    assert passwords(followed) == ("third", "third")


def test_a_pair_that_comes_later_is_found(tmp_path):
    path = tmp_path / ".env"
    followed = follow(env_file=path, environ={})
    assert isinstance(followed.error, MissingURLError)
    with pytest.raises(MissingURLError, match="DATABASE_URL"):
        _ = followed.pair
    write(path, "first")
    assert passwords(followed) == ("first", "first")
    assert followed.error is None


def test_an_error_keeps_nothing_of_those_who_met_it_before(tmp_path):
    followed = follow(env_file=tmp_path / ".env", environ={})
    for text in ("one", "two"):
        try:
            raise ValueError(text)
        except ValueError as other:
            with pytest.raises(MissingURLError) as caught:
                _ = followed.pair
            assert caught.value.__context__ is other
        assert (caught.value.message, caught.value.hint) == (
            followed.error.message,
            followed.error.hint,
        )
    assert followed.error.__context__ is None
    assert followed.error.__traceback__ is None


@pytest.mark.parametrize(
    "error",
    [
        ProviderUnavailableError("down", hint="wait", provider="neon", status=503, request_id="r"),
        ChoiceError("which?", option="project", choices=(("a", "b"),), provider="neon"),
    ],
)
def test_an_error_is_raised_with_all_it_has(error):
    def find():
        raise error

    followed = CurrentPair(find, env_file=None)
    with pytest.raises(type(error)) as caught:
        _ = followed.pair
    assert vars(caught.value) == vars(error)
    assert str(caught.value) == str(error)


def test_what_cannot_be_found_is_looked_for_again_after_a_while(monkeypatch):
    found = []

    def find():
        found.append(1)
        raise ProviderUnavailableError("the API is down", provider="neon")

    followed = CurrentPair(find, env_file=None)
    for _ in range(3):
        with pytest.raises(ProviderUnavailableError):
            _ = followed.pair
    assert len(found) == 1
    later = current.time.monotonic() + 10
    monkeypatch.setattr(current.time, "monotonic", lambda: later)
    with pytest.raises(ProviderUnavailableError):
        _ = followed.pair
    assert len(found) == 2


def pair_of(password, store=None):
    values = {"user": "app", "password": password, "database": "shop"}
    urls = (PostgresURL.parse(text.format(**values)) for text in (POOLED, DIRECT))
    source = Source("api", "Neon")
    return ConnectionPair(*urls, source, source, "neon", store=store)


def test_an_answer_that_the_cache_no_longer_has_is_asked_for_again(tmp_path):
    slot = tmp_path / "slot.json"
    slot.write_text("1")
    state = {"password": "first"}
    followed = CurrentPair(lambda: pair_of(state["password"], str(slot)), env_file=None)
    slot.unlink()  # as `rotate` does in another process
    state["password"] = "second"
    assert passwords(followed) == ("second", "second")


def test_while_the_api_is_down_the_old_pair_serves_and_is_asked_for_again(tmp_path, monkeypatch):
    slot = tmp_path / "slot.json"
    slot.write_text("1")
    answers = [pair_of("first", str(slot)), ProviderUnavailableError("down"), pair_of("second")]

    def find():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    followed = CurrentPair(find, env_file=None)
    slot.unlink()
    with pytest.warns(PPGWarning, match="down; the last good pair"):
        assert passwords(followed) == ("first", "first")
    assert passwords(followed) == ("first", "first")
    later = current.time.monotonic() + 10
    monkeypatch.setattr(current.time, "monotonic", lambda: later)
    assert passwords(followed) == ("second", "second")


def test_a_store_that_changes_while_it_is_read_is_read_again(tmp_path):
    path = tmp_path / ".env"
    path.write_text("0")
    found = []

    def find():
        found.append(1)
        if len(found) == 2:
            path.write_text("as another process does meanwhile")
        return pair_of(str(len(found)), str(path))

    followed = CurrentPair(find, env_file=None)
    path.write_text("1" * 9)
    assert passwords(followed) == ("3", "3")
    assert passwords(followed) == ("3", "3")


def test_a_store_that_never_rests_leaves_the_last_pair(path):
    followed = follow(env_file=path, environ={})
    find = followed._find

    def changing():
        pair = find()
        write(path, os.urandom(4).hex())
        return pair

    followed._find = changing
    write(path, "second")
    assert passwords(followed) == ("first", "first")
    assert CurrentPair(changing, env_file=str(path)).pair.pooled.user == "app"
    followed._find = find
    write(path, "third")
    assert passwords(followed) == ("third", "third")


def test_many_threads_make_one_look(path):
    followed = follow(env_file=path, environ={})
    find, found = followed._find, []
    gate = threading.Barrier(8)

    def counted():
        found.append(1)
        return find()

    followed._find = counted
    write(path, "second")
    seen = []

    def ask():
        gate.wait()
        seen.append(passwords(followed))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [("second", "second")] * 8
    assert len(found) == 1


def test_nobody_goes_on_with_the_old_pair_while_another_thread_reads_the_new_one(path):
    followed = follow(env_file=path, environ={})
    find, begun, go = followed._find, threading.Event(), threading.Event()

    def slow():
        begun.set()
        assert go.wait(10)
        return find()

    followed._find = slow
    write(path, "second")
    with ThreadPoolExecutor() as threads:
        first = threads.submit(passwords, followed)
        assert begun.wait(10)
        second = threads.submit(passwords, followed)
        with pytest.raises(FutureTimeout):
            second.result(0.1)
        go.set()
        assert first.result(10) == second.result(10) == ("second", "second")


def test_while_the_api_is_down_nobody_waits_for_the_thread_that_asks_again(tmp_path, monkeypatch):
    slot = tmp_path / "slot.json"
    slot.write_text("1")
    begun, go = threading.Event(), threading.Event()
    answers = [lambda: pair_of("first", str(slot))]
    followed = CurrentPair(lambda: answers[-1](), env_file=None)

    def down():
        raise ProviderUnavailableError("down")

    def slow():
        begun.set()
        assert go.wait(10)
        return pair_of("second", str(slot))

    answers.append(down)
    slot.unlink()
    with pytest.warns(PPGWarning):
        assert passwords(followed) == ("first", "first")
    answers.append(slow)
    later = current.time.monotonic() + 10
    monkeypatch.setattr(current.time, "monotonic", lambda: later)
    with ThreadPoolExecutor() as threads:
        asks = threads.submit(passwords, followed)
        assert begun.wait(10)
        assert threads.submit(passwords, followed).result(10) == ("first", "first")
        go.set()
        assert asks.result(10) == ("second", "second")


def test_a_refusal_is_said_once_even_where_warnings_are_errors(path):
    followed = follow(env_file=path, environ={})
    write(path, "second", database="other")
    with pytest.raises(PPGWarning, match="another database"):
        _ = followed.pair
    assert passwords(followed) == ("first", "first")


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of threads, which is the point
def test_a_child_waits_for_no_thread_of_its_parent(path):
    followed = follow(env_file=path, environ={})
    write(path, "second")
    with followed._lock:
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            os._exit(0 if passwords(followed) == ("second", "second") else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_an_override_hides_what_is_found(tmp_path):
    followed = follow(env_file=tmp_path / ".env", environ={})
    other = pair_of("test")
    followed.override(other)
    assert followed.pair is other
    assert followed.error is None
    followed.override(None)
    with pytest.raises(MissingURLError):
        _ = followed.pair


def test_a_url_that_cannot_be_used_is_the_error(tmp_path):
    path = tmp_path / ".env"
    path.write_text("DATABASE_URL=mysql://app:hunter2@host/db\n")
    followed = follow(env_file=path, environ={})
    assert isinstance(followed.error, URLError)
    assert "hunter2" not in str(followed.error)


def test_endpoints(path):
    followed = follow(env_file=path, environ={})
    pair = followed.pair
    diverted = []
    assert Endpoint(followed).destination() == Destination(pair.pooled, kept=True)
    assert Endpoint(followed, direct=True).destination() == Destination(pair.direct, kept=True)
    endpoint = Endpoint(followed, diverted=lambda: bool(diverted))
    assert endpoint.destination() == (pair.pooled, True)
    diverted.append(1)
    assert endpoint.destination() == (pair.direct, False)
    assert repr(endpoint) == "<pooled endpoint>"


def test_an_endpoint_without_a_direct_url_says_which_to_set():
    pooled = PostgresURL.parse("postgresql://a:b@pooler.test/c")
    followed = CurrentPair(
        lambda: ConnectionPair(pooled, None, Source("argument", "pooled"), None), env_file=None
    )
    assert Endpoint(followed).destination().url == pooled
    with pytest.raises(MissingDirectURLError):
        Endpoint(followed, direct=True).destination()


def test_no_secret_stands_in_a_frame(tmp_path):
    path = tmp_path / ".env"
    path.write_text("DATABASE_URL=postgresql://app:hunter2@host/db?sslidentity=x\n")
    error = follow(env_file=path, environ={"NEON_API_KEY": "napi_secret"}).error
    caught = []
    try:
        raise error
    except URLError as raised:
        caught += traceback.TracebackException.from_exception(raised, capture_locals=True).format()
    text = "".join(caught)
    assert "hunter2" not in text
    assert "napi_secret" not in text
