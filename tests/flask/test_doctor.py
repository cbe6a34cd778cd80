"""What ``flask ppg doctor`` finds in an app's configuration, besides the pair's URLs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import NullPool, QueuePool

from ppg_integrations import preparing, problems
from ppg_integrations.doctor import Diagnosis
from ppg_integrations.flask import PPG
from ppg_integrations.flask.cli import loading
from ppg_integrations.flask.findings import TABLE
from ppg_integrations.flask.hazards import hazards
from ppg_integrations.problems import Problem
from ppg_integrations.probe import ProbeResult
from ppg_integrations.providers.base import Generated
from ppg_integrations.urls import PostgresURL
from tests.flask.command import runner
from tests.sqlalchemy.conftest import pair_of
from tests.flask.conftest import DIRECT, OTHER, POOLED, Made, urls

OPTIONS = "SQLALCHEMY_ENGINE_OPTIONS"
ELSEWHERE = "postgresql+psycopg://eve:s3cret@db.example:6432/facts"
#: A pooler of which nobody knows whether it keeps track of prepared statements.
UNKNOWN = {
    "DATABASE_URL": "postgresql://ada:s3cret@pooler.example:6432/shop",
    "DIRECT_URL": "postgresql://ada:s3cret@server.example:5432/shop",
}
PREPARES = {"connect_args": {"prepare_threshold": 5}}
FROZEN = {"AWS_LAMBDA_FUNCTION_NAME": "shop"}

Make = Callable[..., Made]


def found(made: Made) -> list[Problem]:
    return [*hazards(made.app, made.state)]


def ids(made: Made) -> list[str]:
    return [each.id for each in found(made)]


def one(made: Made, identity: str) -> Problem:
    (problem,) = found(made)
    assert problem.id == identity
    assert problem.severity == TABLE[identity].severity
    assert "s3cret" not in problem.message + problem.hint
    return problem


def built(config: dict[str, Any], between: Callable[[Flask], Any], **arguments: Any) -> Made:
    """An app in which something happens between ``ppg.init_app`` and ``db.init_app``."""
    app = Flask("shop")
    app.config.update(config)
    made = Made(app, PPG(), SQLAlchemy(**arguments))
    made.ppg.init_app(app)
    between(app)
    made.db.init_app(app)
    return made


def nothing(_app: Flask) -> None:
    pass


@pytest.mark.parametrize(
    "config",
    [
        {"DATABASE_URL": POOLED},
        {"DATABASE_URL": POOLED, "SQLALCHEMY_DATABASE_URI": POOLED},
        {"DATABASE_URL": POOLED, "SQLALCHEMY_BINDS": {"cache": "sqlite://"}},
        {"DATABASE_URL": POOLED, "PPG_BINDS": {"facts": {"DATABASE_URL": OTHER}}},
        {"DATABASE_URL": POOLED, OPTIONS: {"pool_size": 20, "connect_args": {"keepalives": 1}}},
        {"DATABASE_URL": POOLED, "PPG_SERVERLESS": True},
        {"DATABASE_URL": POOLED, "PPG_DRIVER": "psycopg2"},
        {"DATABASE_URL": POOLED, "PPG_DIRECT": "1"},
        {"DATABASE_URL": "postgresql://u@localhost/d", "DIRECT_URL": "postgresql://u@localhost/d"},
        {},
    ],
    ids=["", "own uri", "sqlite bind", "bind", "options", "serverless", "psycopg2", "direct"]
    + ["one endpoint", "no url"],
)
def test_a_clean_app_has_none(config: dict[str, Any], make_app: Make) -> None:
    made = make_app(config)
    migrate = Migrate(made.app, made.db)
    made.ppg.init_migrate(migrate)
    assert found(made) == []


def test_an_app_without_flask_sqlalchemy_has_none(folder: Path) -> None:
    app = Flask("shop")
    app.config.update({"DATABASE_URL": POOLED, "SQLALCHEMY_DATABASE_URI": "sqlite://"})
    PPG(app)
    assert [*hazards(app, app.extensions["ppg"])] == []


# -- engines that are not ours --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("sqlite://", "sqlite"),
        (ELSEWHERE, "db.example, database facts"),
        (
            DIRECT.replace("shop", "other"),
            "ep-cool-rain.eu-central-1.aws.neon.tech, database other",
        ),
    ],
)
def test_a_database_uri_that_leads_elsewhere(uri: str, place: str, make_app: Make) -> None:
    made = make_app({"DATABASE_URL": POOLED, "SQLALCHEMY_DATABASE_URI": uri})
    problem = one(made, "engine-elsewhere")
    assert problem.message.startswith(f"SQLALCHEMY_DATABASE_URI leads to {place} and not")


def test_the_pooled_endpoint_without_our_options() -> None:
    def forgets(app: Flask) -> None:
        app.config[OPTIONS] = {"pool_size": 3}

    made = built({"DATABASE_URL": POOLED}, forgets)
    problem = one(made, "engine-unmanaged")
    assert "ep-cool-rain-pooler" in problem.message
    assert "before ppg.init_app(app)" in problem.hint


def test_our_own_pooler_by_a_name_that_does_not_tell(generated: Generated) -> None:
    def changes(app: Flask) -> None:
        app.config[OPTIONS] = {}

    assert ids(built(urls(generated), changes)) == ["engine-unmanaged"]


def test_binds_that_lead_to_a_pooler_or_elsewhere(make_app: Make) -> None:
    binds = {"facts": {"url": OTHER}, "log": ELSEWHERE, "cache": "sqlite://"}
    made = make_app({"DATABASE_URL": POOLED, "SQLALCHEMY_BINDS": binds})
    pooled, other = found(made)
    assert (pooled.id, other.id) == ("engine-unmanaged", "bind-elsewhere")
    assert "SQLALCHEMY_BINDS['facts'] leads to a pooler, ep-dry-sand-pooler" in pooled.message
    assert "PPG_BINDS['facts']" in pooled.hint
    assert other.message.startswith("SQLALCHEMY_BINDS['log'] leads to db.example")
    assert other.severity == "info"
    assert "s3cret" not in other.message


# -- options of ours that others have changed -------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({"connect_args": {"prepare_threshold": 5}}, 5),
        ({"connect_args": {"prepare_threshold": 0}}, 0),
    ],
)
def test_prepared_statements_on_the_pooled_engine(
    options: dict[str, Any], value: int, make_app: Make, generated: Generated
) -> None:
    for config in (UNKNOWN, urls(generated)):
        problem = one(make_app({**config, OPTIONS: options}), "prepared-statements")
        assert f"prepare_threshold={value}" in problem.message
    psycopg = UNKNOWN["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:")
    bind = {"facts": {"url": psycopg, **options}}
    config = {"PPG_BINDS": {"facts": UNKNOWN}, "SQLALCHEMY_BINDS": bind}
    made = make_app({"DATABASE_URL": POOLED, **config})
    assert "SQLALCHEMY_BINDS['facts']" in one(made, "prepared-statements").message


def test_prepared_statements_by_a_default_that_came_back() -> None:
    def forgets(app: Flask) -> None:
        app.config[OPTIONS]["connect_args"] = {"keepalives": 1}

    made = built(UNKNOWN, forgets)
    assert "prepare_threshold=5" in one(made, "prepared-statements").message


@pytest.mark.parametrize(
    ("kept", "config", "expected"),
    [
        (True, {OPTIONS: PREPARES}, []),
        (False, {OPTIONS: PREPARES}, ["prepared-lost"]),
        (None, {OPTIONS: PREPARES}, ["prepared-statements"]),
        (True, {"PPG_PREPARED": True}, []),
        (False, {"PPG_PREPARED": True}, ["prepared-lost"]),
        (None, {"PPG_PREPARED": True}, []),
        (False, {}, []),
    ],
)
def test_whether_the_pooler_keeps_what_is_prepared(
    kept: bool | None,
    config: dict[str, Any],
    expected: list[str],
    make_app: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(preparing, "check", lambda _driver: None)  # libpq may be an old one
    made = make_app({**UNKNOWN, "PPG_DRIVER": "psycopg", **config})
    pooled = ProbeResult("transaction-pooler", "", prepared=kept)
    diagnosis = Diagnosis(made.state.pair, pooled, None, ())
    assert [each.id for each in hazards(made.app, made.state, diagnosis)] == expected
    other = Diagnosis(pair_of(PostgresURL.parse(OTHER)), pooled, None, ())
    of_another = [each.id for each in hazards(made.app, made.state, other)]
    assert of_another == (["prepared-statements"] if OPTIONS in config else [])


def test_prepared_statements_where_they_do_no_harm(make_app: Make) -> None:
    options = {"connect_args": {"prepare_threshold": 5}}
    assert ids(make_app({"DATABASE_URL": POOLED, OPTIONS: options})) == []  # Neon says so
    assert ids(make_app({"DATABASE_URL": POOLED, "PPG_DIRECT": "1", OPTIONS: options})) == []
    same = {"DATABASE_URL": DIRECT, "DIRECT_URL": DIRECT}
    local = {name: "postgresql://u@localhost/d" for name in same}
    assert ids(make_app({**local, OPTIONS: options})) == []


def test_options_that_flask_sqlalchemy_was_given_in_vain() -> None:
    wanted = {"pool_size": 20, "max_overflow": 0, "echo": True}
    made = built({"DATABASE_URL": POOLED}, nothing, engine_options=wanted)
    problem = one(made, "options-overridden")
    assert "has pool_size, and" in problem.message
    with made.app.app_context():
        assert made.db.engine.pool.size() == 10  # as it says
    config = {"DATABASE_URL": POOLED, OPTIONS: {"pool_size": 20}}
    assert ids(built(config, nothing, engine_options=wanted)) == []


def test_options_that_flask_sqlalchemy_was_given_where_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    direct = built(
        {"DATABASE_URL": POOLED, "PPG_DIRECT": "1"}, nothing, engine_options={"pool_size": 20}
    )
    monkeypatch.setenv("VERCEL", "1")
    frozen = built({"DATABASE_URL": POOLED}, nothing, engine_options={"pool_size": 20})
    for made in (direct, frozen):
        with made.app.app_context():
            assert made.db.engine.pool.size() == 20
    assert ids(direct) == []
    assert ids(frozen) == ["pool-when-serverless"]


# -- pools ----------------------------------------------------------------------------------------


def test_no_pool_where_processes_live_on(make_app: Make) -> None:
    made = make_app({"DATABASE_URL": POOLED, OPTIONS: {"poolclass": NullPool}})
    assert "NullPool" in one(made, "pool-off").message


def test_a_pool_where_processes_may_be_frozen(
    make_app: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in FROZEN.items():
        monkeypatch.setenv(name, value)
    assert ids(make_app({"DATABASE_URL": POOLED})) == []
    made = make_app({"DATABASE_URL": POOLED, OPTIONS: {"poolclass": QueuePool}})
    assert "QueuePool" in one(made, "pool-when-serverless").message
    made = make_app({"DATABASE_URL": POOLED, OPTIONS: {"pool_size": 2}})
    assert ids(made) == ["pool-when-serverless"]
    meant = {"DATABASE_URL": POOLED, "PPG_SERVERLESS": False, OPTIONS: {"pool_size": 2}}
    assert ids(make_app(meant)) == []


def test_a_bind_is_measured_by_its_own_wishes(make_app: Make) -> None:
    facts = {"DATABASE_URL": OTHER, "PPG_SERVERLESS": True}
    bind = {"facts": {"url": OTHER, "pool_size": 2}}
    made = make_app(
        {"DATABASE_URL": POOLED, "PPG_BINDS": {"facts": facts}, "SQLALCHEMY_BINDS": bind}
    )
    assert "SQLALCHEMY_BINDS['facts']" in one(made, "pool-when-serverless").message


# -- migrations -------------------------------------------------------------------------------------


def test_flask_migrate_that_nobody_told(make_app: Make) -> None:
    made = make_app({"DATABASE_URL": POOLED})
    migrate = Migrate(made.app, made.db)
    assert "ppg.init_migrate(migrate)" in one(made, "migrate-pooled").hint
    made.ppg.init_migrate(migrate)
    assert ids(made) == []
    local = {name: "postgresql://u@localhost/d" for name in ("DATABASE_URL", "DIRECT_URL")}
    made = make_app(local)
    Migrate(made.app, made.db)
    assert ids(made) == []


# -- the verb ---------------------------------------------------------------------------------------


def test_doctor_names_them_and_only_errors_make_it_fail(
    make_app: Make, generated: Generated
) -> None:
    made = make_app({**urls(generated), OPTIONS: {"poolclass": NullPool}})
    Migrate(made.app, made.db)
    commands = runner(made.app)
    result = commands.invoke(args=["ppg", "doctor", "--json"])
    assert result.exit_code == 0
    listed = json.loads(result.stdout)["problems"]
    assert [(each["id"], each["severity"]) for each in listed] == [
        ("migrate-pooled", "warning"),
        ("pool-off", "info"),
    ]
    said = commands.invoke(args=["ppg", "doctor"]).stdout
    assert said.index("warning migrate-pooled: ") < said.index("note pool-off: ")
    assert commands.invoke(args=["ppg", "doctor", "--strict"]).exit_code == 1
    swapped = {"DATABASE_URL": generated.direct.reveal(), "DIRECT_URL": generated.pooled.reveal()}
    result = runner(make_app(swapped).app).invoke(args=["ppg", "doctor", "--json"])
    assert result.exit_code == 1
    assert [each["id"] for each in json.loads(result.stdout)["problems"]] == ["swapped"]


def test_doctor_shows_what_the_pooler_refuses(make_app: Make, generated: Generated) -> None:
    """It looks at an app that would not start, and so must not trip over the same."""
    pooled = generated.pooled.replace(
        params={**generated.pooled.params, "options": "-c statement_timeout=5000"}
    )
    config = {**urls(generated), "DATABASE_URL": pooled.reveal()}
    for name, value in ((OPTIONS, {}), (OPTIONS, {"poolclass": NullPool})):
        with loading():
            made = make_app({**config, name: value})
        result = runner(made.app).invoke(args=["ppg", "doctor", "--json"])
        assert result.exit_code == 1
        listed = [each["id"] for each in json.loads(result.stdout)["problems"]]
        assert "startup-parameters" in listed
        assert ("pool-off" in listed) == bool(value)


def test_each_finding_has_an_id_of_its_own() -> None:
    assert not TABLE.keys() & problems.TABLE.keys()
    assert all(identity == identity.lower() for identity in TABLE)
