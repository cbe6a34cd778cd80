"""resolve() where no place has a URL: the provider's API, or an error that says why not."""

from __future__ import annotations

import asyncio
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

from ppg_integrations import (
    ConfigurationError,
    ConnectionPair,
    MismatchedPairError,
    MissingURLError,
    PPGWarning,
    ProviderUnavailableError,
    aresolve,
    resolve,
)
from ppg_integrations.current import follow
from ppg_integrations.providers.base import Generated, Target
from ppg_integrations.urls import PostgresURL
from tests.support import fake_provider
from tests.support.fake_provider import DIRECT, POOLED, TOKEN, Fake, generated

PLAIN = "postgresql://u:p@env.example:6432/shop"
NEON = "postgresql://u:p@ep-a-1.us-east-2.aws.neon.tech/neondb?sslmode=require"


@pytest.fixture(autouse=True)
def _fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fake_provider.install(monkeypatch)


def find(file: dict[str, str] | None = None, **options: Any) -> ConnectionPair:
    """The pair, with a token unless `environ` is given; any warning is an error."""
    path = Path("~/.env").expanduser()
    path.write_text("".join(f"{name}={value}\n" for name, value in (file or {}).items()))
    options.setdefault("environ", {"FAKE_TOKEN": TOKEN})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return resolve(env_file=path, **options)


def test_to_watch_a_pair_that_was_found_fresh_asks_the_api_no_more():
    environ = {"FAKE_TOKEN": TOKEN, "PPG_RESOLVE": "fresh"}
    known = find(environ=environ)
    watched = follow(env_file=Path("~/.env").expanduser(), environ=environ, known=known)
    assert watched.pair.pooled == known.pooled
    assert len(Fake.asked) == 1


def answer_with(monkeypatch: pytest.MonkeyPatch, pooled: str, direct: str) -> None:
    both = PostgresURL.parse(pooled), PostgresURL.parse(direct)
    monkeypatch.setattr(Fake, "answer", staticmethod(lambda _t: Generated("id", "name", *both)))


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"environ": {"FAKE_TOKEN": TOKEN, "PPG_PROVIDER": "fake", "NEON_API_KEY": "x"}},
        {"environ": {"FAKE_TOKEN": TOKEN, "NEON_API_KEY": "x"}, "provider": "fake"},
        {"environ": {}, "file": {"FAKE_TOKEN": TOKEN}},
        {"environ": {"FAKE_TOKEN": TOKEN}, "file": {"PPG_PROVIDER": "fake"}},
        {"environ": {"FAKE_TOKEN": TOKEN, "PPG_RESOLVE": "auto"}},
        {"environ": {"FAKE_TOKEN": TOKEN, "PPG_RESOLVE": "FRESH"}},
    ],
)
def test_a_token_is_enough(where: dict[str, Any]) -> None:
    pair = find(**where)
    assert pair.pooled.reveal() == POOLED
    assert pair.direct is not None
    assert pair.direct.reveal() == DIRECT
    assert pair.provider == "fake"
    assert str(pair.pooled_source) == "Fake's API"
    assert pair.env_file == str(Path("~/.env").expanduser())
    assert len(Fake.asked) == 1


@pytest.mark.parametrize(
    "where",
    [
        {"pooled": PLAIN},
        {"environ": {"FAKE_TOKEN": TOKEN, "DATABASE_URL": PLAIN}},
        {"file": {"POSTGRES_URL": PLAIN}},
    ],
)
def test_a_url_anywhere_asks_nobody(where: dict[str, Any]) -> None:
    assert find(**where).pooled.host == "env.example"
    assert Fake.asked == []


def test_a_lone_direct_url_is_the_error_that_it_was() -> None:
    with pytest.raises(MissingURLError, match="only a direct URL is known"):
        find(environ={"FAKE_TOKEN": TOKEN, "DIRECT_URL": PLAIN})
    assert Fake.asked == []


def test_the_target_is_handed_on() -> None:
    find(
        environ={"FAKE_TOKEN": TOKEN, "PPG_PROJECT": "p", "PPG_BRANCH": "other"},
        file={"PPG_ROLE": "r"},
        target={"branch": "b"},
    )
    assert Fake.asked[0][0] == Target(project="p", branch="b", role="r")


def missing(**options: Any) -> MissingURLError:
    with pytest.raises(MissingURLError, match="no database URL: looked for DATABASE_URL") as caught:
        find(**options)
    assert Fake.asked == []
    assert TOKEN not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("where", ["environ", "file"])
def test_never_asks_nobody_and_says_who_forbade_it(where: str) -> None:
    if where == "environ":
        error = missing(environ={"FAKE_TOKEN": TOKEN, "PPG_RESOLVE": "never"})
    else:
        error = missing(file={"PPG_RESOLVE": "never"})
    assert "PPG_RESOLVE in " in error.message
    assert "no provider's API was asked" in error.message
    assert error.hint.startswith("Unset PPG_RESOLVE")


def test_an_unknown_mode_is_named() -> None:
    with pytest.raises(ConfigurationError, match="PPG_RESOLVE in the environment is 'often'") as e:
        find(environ={"FAKE_TOKEN": TOKEN, "PPG_RESOLVE": "often"})
    assert e.value.hint == "It can be auto, never, fresh."


def test_nothing_named_is_the_error_that_it_was() -> None:
    error = missing(environ={})
    assert error.message.endswith(".env")
    assert "ppg-connect create" in error.hint
    assert missing(environ={"PPG_PROVIDER": "local"}).message == error.message
    assert missing(environ={}, provider="local").message == error.message


def test_a_provider_without_its_token() -> None:
    error = missing(environ={"PPG_PROVIDER": "neon"})
    assert error.message.endswith("the API of neon cannot be asked without NEON_API_KEY")


def test_the_tokens_of_several() -> None:
    error = missing(environ={"FAKE_TOKEN": TOKEN, "NEON_API_KEY": "other"})
    assert "NEON_API_KEY in the environment, FAKE_TOKEN in the environment" in error.message
    assert "PPG_PROVIDER=" in error.hint


def test_a_provider_that_is_none() -> None:
    for where in ({"environ": {"PPG_PROVIDER": "oracle"}}, {"provider": "oracle"}):
        with pytest.raises(ConfigurationError, match="oracle"):
            find(**where)


# -- what the API says is looked at like any other pair -----------------------------------------


def test_the_hosts_have_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, NEON, NEON.replace("ep-a-1", "ep-a-1-pooler"))
    with pytest.warns(PPGWarning, match="^Fake's API gave the two URLs swapped") as caught:
        pair = resolve(environ={"FAKE_TOKEN": TOKEN}, env_file=False)
    assert pair.pooled.host.startswith("ep-a-1-pooler")
    assert caught[0].filename == __file__


def test_halves_of_two_databases_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, PLAIN, PLAIN.replace("/shop", "/blog"))
    with pytest.raises(MismatchedPairError, match="Fake's API"):
        find()
    assert find(allow_mismatch=["database"]).direct is not None


def test_a_warning_of_an_older_answer_names_the_callers_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def down(_target: Target) -> Generated:
        raise ProviderUnavailableError("Fake's API is down", provider="fake")

    find()
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 7200)
    monkeypatch.setattr(Fake, "answer", staticmethod(down))
    with pytest.warns(PPGWarning, match="down; the URLs that it gave at") as caught:
        line = sys._getframe().f_lineno + 1
        pair = resolve(environ={"FAKE_TOKEN": TOKEN}, env_file=Path("~/.env").expanduser())
    assert (caught[0].filename, caught[0].lineno) == (__file__, line)
    assert pair.warnings == (str(caught[0].message),)


# -- replicas ---------------------------------------------------------------------------------

REPLICA = "postgresql://reader:p@replica.example:6432/shop"
BOTH = {"DATABASE_URL": PLAIN, "DIRECT_URL": "postgresql://u:p@pg.example/shop"}


@pytest.mark.parametrize("name", ["REPLICA_URL", "DATABASE_REPLICA_URL"])
def test_a_replica_of_the_environment(name: str) -> None:
    pair = find(environ={**BOTH, name: REPLICA})
    assert pair.replica is not None
    assert pair.replica.reveal() == REPLICA
    assert str(pair.replica_source) == f"{name} in the environment"
    assert "reader:p" not in repr(pair)


def test_a_replica_of_the_file_belongs_to_the_pair_of_the_file() -> None:
    assert find(environ=BOTH, file={"REPLICA_URL": REPLICA}).replica is None
    assert find(environ={}, file={**BOTH, "REPLICA_URL": REPLICA}).replica is not None


def test_a_replica_belongs_to_the_pair_of_its_place() -> None:
    environ = {**BOTH, "REPLICA_URL": REPLICA}
    other = {"pooled": PLAIN.replace("/shop", "/stats"), "direct": PLAIN.replace("/shop", "/stats")}
    assert find(environ=environ, **other).replica is None
    replica = REPLICA.replace("/shop", "/stats")
    pair = find(environ=environ, replica=replica, **other)
    assert pair.replica is not None
    assert str(pair.replica_source) == "the argument replica"


def test_no_replica() -> None:
    pair = find(environ=BOTH)
    assert pair.replica is None
    assert pair.replica_source is None


@pytest.mark.parametrize("half", ["DATABASE_URL", "DIRECT_URL"])
def test_the_primary_is_no_replica(half: str) -> None:
    with pytest.raises(MismatchedPairError, match="leads to the same server as") as caught:
        find(environ={**BOTH, "REPLICA_URL": BOTH[half]})
    assert half in str(caught.value)
    assert "REPLICA_URL" in caught.value.hint


def test_a_neon_endpoint_is_one_server_under_both_names() -> None:
    pooled = NEON.replace("ep-a-1", "ep-a-1-pooler")
    with pytest.raises(MismatchedPairError, match="same server"):
        find(environ={"DATABASE_URL": pooled, "REPLICA_URL": pooled})
    replica = pooled.replace("ep-a-1", "ep-b-2")
    assert find(environ={"DATABASE_URL": pooled, "REPLICA_URL": replica}).replica is not None


def test_a_direct_url_of_a_replica_is_taken_to_its_pooler() -> None:
    environ = {"DATABASE_URL": NEON.replace("ep-a-1", "ep-a-1-pooler"), "DIRECT_URL": NEON}
    with pytest.warns(PPGWarning, match="REPLICA_URL in the environment is a direct URL"):
        pair = resolve(
            environ={**environ, "REPLICA_URL": NEON.replace("ep-a-1", "ep-b-2")}, env_file=False
        )
    assert pair.replica is not None
    assert pair.replica.host.startswith("ep-b-2-pooler")


def test_a_replica_of_another_database_is_refused_unless_allowed() -> None:
    # PgBouncer tells a replica by the name of the database, on one host and port.
    environ = {**BOTH, "REPLICA_URL": PLAIN.replace("/shop", "/shop_ro")}
    with pytest.raises(MismatchedPairError, match=r"\(replica\) name different databases"):
        find(environ=environ)
    assert find(environ=environ, allow_mismatch="database").replica is not None


def test_a_replica_that_cannot_be_read_names_its_variable() -> None:
    with pytest.raises(ConfigurationError, match="REPLICA_URL in the environment"):
        find(environ={**BOTH, "REPLICA_URL": "mysql://x"})


# -- in an event loop -------------------------------------------------------------------------


def test_a_loop_goes_on_while_the_api_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fake, "answer", staticmethod(lambda _t: time.sleep(0.5)))
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    async def main() -> ConnectionPair:
        ticking = asyncio.create_task(tick())
        pair = await aresolve(environ={"FAKE_TOKEN": TOKEN}, env_file=False)
        ticking.cancel()
        return pair

    pair = asyncio.run(main())
    assert pair.pooled.reveal() == POOLED
    assert ticks > 10


def test_warnings_in_a_loop_name_the_line_that_awaits() -> None:
    async def main() -> tuple[ConnectionPair, int]:
        line = sys._getframe().f_lineno + 1
        return await aresolve(environ={"DATABASE_URL": NEON}, env_file=False), line

    with pytest.warns(PPGWarning) as caught:
        pair, line = asyncio.run(main())
    assert [str(each.message) for each in caught] == list(pair.warnings)
    assert (caught[0].filename, caught[0].lineno) == (__file__, line)


def test_errors_in_a_loop_are_the_same() -> None:
    with pytest.raises(MissingURLError):
        asyncio.run(aresolve(environ={}, env_file=False))


def test_both_take_the_same_arguments() -> None:
    import inspect

    assert inspect.signature(resolve) == inspect.signature(aresolve)


def test_a_copy_of_a_pair_keeps_its_replica() -> None:
    pair = find(environ={**BOTH, "REPLICA_URL": REPLICA})
    kind, values = pair.__reduce__()  # pickling itself drops passwords
    assert kind(*values) == pair  # type: ignore[operator]
    assert generated().replica is None
