"""``databases()``: what stands in the dictionaries. Nothing here connects."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from types import ModuleType

import pytest
from django.core.exceptions import ImproperlyConfigured

from ppg_integrations import errors, preparing
from ppg_integrations.conversions import patience
from ppg_integrations.django import databases, state
from ppg_integrations.serverless import PLATFORMS, platform

POOLED = "postgres://u:s3cret@pooler.example:6432/app?sslmode=require"
DIRECT = "postgres://u:s3cret@server.example:5432/app?sslmode=require"
BOTH = {"DATABASE_URL": POOLED, "DIRECT_URL": DIRECT}


@pytest.fixture(autouse=True)
def _forget(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    state.clear()


def make(environ=BOTH, **arguments):
    return databases(False, environ=environ, **arguments)


def test_both_aliases_are_plain_dicts_with_djangos_own_engine():
    made = make()
    assert list(made) == ["default", "direct"]
    for entry in made.values():
        assert type(entry) is dict
        assert type(entry["OPTIONS"]) is dict
        assert entry["ENGINE"] == "django.db.backends.postgresql"
        assert (entry["USER"], entry["PASSWORD"], entry["NAME"]) == ("u", "s3cret", "app")
        assert entry["OPTIONS"]["sslmode"] == "require"
    assert (made["default"]["HOST"], made["default"]["PORT"]) == ("pooler.example", 6432)
    assert (made["direct"]["HOST"], made["direct"]["PORT"]) == ("server.example", 5432)


def test_pooled_defaults():
    entry = make()["default"]
    assert entry["DISABLE_SERVER_SIDE_CURSORS"] is True
    assert entry["CONN_HEALTH_CHECKS"] is True
    assert entry["CONN_MAX_AGE"] == 60
    # psycopg2 refuses the keyword, and Django sets None itself on psycopg 3.
    assert entry["OPTIONS"] == {"sslmode": "require", **patience(direct=False)}
    assert entry["TEST"] == {}


def test_direct_defaults():
    entry = make()["direct"]
    assert entry["DISABLE_SERVER_SIDE_CURSORS"] is False
    assert entry["CONN_HEALTH_CHECKS"] is False
    assert entry["CONN_MAX_AGE"] == 0
    assert entry["OPTIONS"] == {"sslmode": "require", **patience(direct=True)}
    assert entry["TEST"] == {"MIRROR": "default"}


@pytest.mark.parametrize("where", ["argument", "url"])
@pytest.mark.parametrize(
    "name", ["connect_timeout", "keepalives_idle", "keepalives_interval", "tcp_user_timeout"]
)
def test_a_given_time_limit_stays(where, name):
    if where == "argument":
        made = make(options={name: 3})
    else:
        made = make({variable: f"{url}&{name}=3" for variable, url in BOTH.items()})
    assert [entry["OPTIONS"][name] for entry in made.values()] == [3, 3]


def test_prepared_statements_are_a_wish_for_the_pooled_alias(monkeypatch):
    monkeypatch.setattr(preparing, "check", lambda _driver: None)  # psycopg2 may be all there is
    wanted = {"server_side_binding": True, "prepare_threshold": 5}
    for made in (make(prepared=True), make({**BOTH, "PPG_PREPARED": "1"})):
        assert wanted.items() <= made["default"]["OPTIONS"].items()
        assert not wanted.keys() & made["direct"]["OPTIONS"].keys()
    for made in (make(), make({**BOTH, "PPG_PREPARED": "1"}, prepared=False)):
        assert not wanted.keys() & made["default"]["OPTIONS"].keys()
    forced = make({**BOTH, "PPG_DIRECT": "1"}, prepared=True)["default"]
    assert not wanted.keys() & forced["OPTIONS"].keys()
    own = make(prepared=True, options={"prepare_threshold": 0})["default"]
    assert own["OPTIONS"]["prepare_threshold"] == 0


def test_prepared_statements_need_psycopg_3(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.setitem(sys.modules, "psycopg2", ModuleType("psycopg2"))
    with pytest.raises(ImproperlyConfigured, match="psycopg2 cannot prepare"):
        make(prepared=True)


def test_postgis_or_any_other_engine():
    made = make(engine="django.contrib.gis.db.backends.postgis")
    assert {entry["ENGINE"] for entry in made.values()} == {
        "django.contrib.gis.db.backends.postgis"
    }


def test_options_are_merged_deeply_and_never_shared():
    options = {"pool": {"max_size": 2}, "nested": {"a": 1}, "application_name": "shop"}
    made = make(options=options, direct_options={"nested": {"b": 2}, "application_name": "jobs"})
    assert made["default"]["OPTIONS"] == {
        "sslmode": "require",
        **patience(direct=False),
        "pool": {"max_size": 2},
        "nested": {"a": 1},
        "application_name": "shop",
    }
    assert made["direct"]["OPTIONS"] == {
        "sslmode": "require",
        **patience(direct=True),
        "nested": {"a": 1, "b": 2},
        "application_name": "jobs",
    }
    made["default"]["OPTIONS"]["pool"]["max_size"] = 9
    made["default"]["OPTIONS"]["nested"]["a"] = 9
    assert options == {"pool": {"max_size": 2}, "nested": {"a": 1}, "application_name": "shop"}
    assert made["direct"]["OPTIONS"]["nested"]["a"] == 1


def test_arguments_for_time_and_checks():
    entry = make(conn_max_age=5, conn_health_checks=False)["default"]
    assert (entry["CONN_MAX_AGE"], entry["CONN_HEALTH_CHECKS"]) == (5, False)
    assert make(conn_max_age=0)["default"]["CONN_MAX_AGE"] == 0
    assert make(conn_max_age=math.inf)["default"]["CONN_MAX_AGE"] is None


def test_the_native_pool_means_no_persistent_connections():
    assert make(options={"pool": True})["default"]["CONN_MAX_AGE"] == 0
    with pytest.raises(ImproperlyConfigured, match="exclude each other"):
        make(options={"pool": True}, conn_max_age=60)


@pytest.mark.parametrize("variable", PLATFORMS)
def test_serverless_platforms_keep_no_connection(variable):
    environ = {**BOTH, variable: "something"}
    assert platform(environ) == PLATFORMS[variable][0]
    assert make(environ)["default"]["CONN_MAX_AGE"] == 0
    assert make(environ, serverless=False)["default"]["CONN_MAX_AGE"] == 60
    assert make(environ, conn_max_age=7)["default"]["CONN_MAX_AGE"] == 7


def test_serverless_by_argument_and_not_by_an_empty_variable():
    assert make(serverless=True)["default"]["CONN_MAX_AGE"] == 0
    assert make({**BOTH, "VERCEL": ""})["default"]["CONN_MAX_AGE"] == 60


def test_test_settings_belong_to_the_pooled_alias():
    made = make(test={"NAME": "mine"})
    assert made["default"]["TEST"] == {"NAME": "mine"}
    assert made["direct"]["TEST"] == {"MIRROR": "default"}


def test_a_mirror_in_a_circle_is_refused():
    with pytest.raises(ImproperlyConfigured, match="circle"):
        make(test={"MIRROR": "direct"})


def test_several_pairs():
    both = {
        **make(),
        **make(pooled=POOLED, direct=DIRECT, aliases=("stats", "stats_direct")),
    }
    assert list(both) == ["default", "direct", "stats", "stats_direct"]
    assert both["stats_direct"]["TEST"] == {"MIRROR": "stats"}
    assert [entry.pooled_alias for entry in state.registered()] == ["default", "stats"]
    assert state.current() is state.find("direct")
    assert state.find("stats_direct") is state.find("stats")
    assert state.find("other") is None


@pytest.mark.parametrize(
    "aliases",
    ["ab", "abc", ("a",), ("a", "a"), ("a", ""), ("a", "b", "a"), ("a", "b", ""), tuple("abcd")],
)
def test_aliases_that_cannot_be_used(aliases):
    with pytest.raises(ImproperlyConfigured, match="two different names"):
        make(aliases=aliases)


REPLICA = POOLED.replace("pooler.", "replica.")


def test_a_replica_is_a_third_alias_with_pooled_parameters():
    made = make({**BOTH, "REPLICA_URL": REPLICA}, options={"application_name": "shop"})
    assert list(made) == ["default", "direct", "replica"]
    entry = made["replica"]
    assert entry.pop("TEST") == {"MIRROR": "default"}
    assert made["default"].pop("TEST") == {}
    assert entry == {**made["default"], "HOST": "replica.example"}
    assert state.current().replica_alias == "replica"
    assert state.find("replica") is None


def test_the_replica_stays_what_it_is_with_ppg_direct():
    made = make({**BOTH, "REPLICA_URL": REPLICA, "PPG_DIRECT": "1"})
    assert made["default"]["HOST"] == "server.example"
    assert made["replica"]["HOST"] == "replica.example"


@pytest.mark.parametrize(
    ("aliases", "name"),
    [
        (("default", "direct", "reads"), "reads"),
        (("default", "replica"), "default_replica"),
        (("stats", "stats_direct"), "stats_replica"),
    ],
)
def test_the_name_of_the_replica(aliases, name):
    made = make(aliases=aliases, pooled=POOLED, direct=DIRECT, replica=REPLICA)
    assert list(made) == [*aliases[:2], name]
    assert list(make(aliases=aliases)) == [*aliases[:2]]
    # A replica in the environment is one of the database there.
    assert len(make({"REPLICA_URL": REPLICA}, aliases=aliases, pooled=POOLED, direct=DIRECT)) == 2


def test_startup_options_of_a_replica_are_refused():
    with pytest.raises(ImproperlyConfigured, match="'replica' .from REPLICA_URL in the environ"):
        make({**BOTH, "REPLICA_URL": REPLICA + "&options=-csearch_path%3Da"})


def test_the_primary_as_its_own_replica_stops_the_import():
    with pytest.raises(ImproperlyConfigured, match="leads to the same server"):
        make({**BOTH, "REPLICA_URL": POOLED})


@pytest.mark.parametrize("spelling", ["url", "argument"])
def test_startup_options_on_the_pooled_alias_are_refused(spelling):
    with pytest.raises(ImproperlyConfigured, match="startup options") as caught:
        if spelling == "url":
            make({**BOTH, "DATABASE_URL": POOLED + "&options=-csearch_path%3Da"})
        else:
            make(options={"options": "-c search_path=a"})
    assert isinstance(caught.value.__cause__, errors.ConfigurationError)
    assert "direct_options=" in str(caught.value)


def test_startup_options_may_go_to_direct():
    assert make(direct_options={"options": "-c statement_timeout=0"})["direct"]["OPTIONS"][
        "options"
    ] == ("-c statement_timeout=0")
    made = make({**BOTH, "DIRECT_URL": DIRECT + "&options=-clock_timeout%3D5s"})
    assert made["direct"]["OPTIONS"]["options"] == "-clock_timeout=5s"


def test_neons_own_startup_options_pass():
    made = make({**BOTH, "DATABASE_URL": POOLED + "&options=endpoint%3Dep-a"})
    assert made["default"]["OPTIONS"]["options"] == "endpoint=ep-a"


def test_assume_role_on_the_pooled_alias_is_refused():
    with pytest.raises(ImproperlyConfigured, match="assume_role"):
        make(options={"assume_role": "owner"})
    made = make(direct_options={"assume_role": "owner"})
    assert made["direct"]["OPTIONS"]["assume_role"] == "owner"
    assert "assume_role" not in made["default"]["OPTIONS"]


def test_one_endpoint_takes_startup_options_and_roles():
    made = make(
        {"DATABASE_URL": DIRECT, "DIRECT_URL": DIRECT},
        options={"options": "-c search_path=a", "assume_role": "owner"},
    )
    assert made["default"]["OPTIONS"]["assume_role"] == "owner"


def test_ppg_direct_gives_the_pooled_alias_the_direct_parameters():
    made = make({**BOTH, "PPG_DIRECT": "1"}, options={"pool": True})
    for key in ("HOST", "PORT", "CONN_MAX_AGE", "DISABLE_SERVER_SIDE_CURSORS", "OPTIONS"):
        assert made["default"][key] == made["direct"][key], key
    assert made["default"]["TEST"] == {}
    assert state.current().forced
    with pytest.raises(ImproperlyConfigured, match="DIRECT_URL"):
        make({"DATABASE_URL": POOLED, "PPG_DIRECT": "1"})


def test_no_url_at_all_can_be_imported():
    made = make({})
    assert {entry["ENGINE"] for entry in made.values()} == {state.UNCONFIGURED}
    entry = state.current()
    assert entry.pair is None
    assert isinstance(entry.error, errors.MissingURLError)


def test_the_env_file_of_the_first_day_is_known(tmp_path):
    databases(tmp_path / "sub/.env", environ={})
    assert state.current().env_file == str(tmp_path / "sub/.env")
    databases(environ={})
    assert state.current().env_file == str(tmp_path / ".env")
    databases(environ={"PPG_ENV_FILE": "other.env"})
    assert state.current().env_file == str(tmp_path / "other.env")
    make({})
    assert state.current().env_file is None


def test_without_a_certain_direct_url_requests_can_run():
    made = make({"DATABASE_URL": POOLED})
    assert made["default"]["HOST"] == "pooler.example"
    assert made["direct"]["ENGINE"] == state.UNCONFIGURED
    assert isinstance(state.current().problem("direct"), errors.MissingDirectURLError)
    assert state.current().problem("default") is None


@pytest.mark.parametrize(
    "environ",
    [
        {"DATABASE_URL": "mysql://u:s3cret@h/db"},
        {"DATABASE_URL": POOLED, "DIRECT_URL": DIRECT.replace("/app", "/other")},
    ],
    ids=["malformed", "mismatched"],
)
def test_urls_that_cannot_be_used_stop_the_import_and_keep_the_cause(environ):
    with pytest.raises(ImproperlyConfigured) as caught:
        make(environ)
    cause = caught.value.__cause__
    assert isinstance(cause, errors.ConfigurationError)
    assert cause.message in str(caught.value)
    assert cause.hint
    assert cause.hint in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_allow_mismatch_is_handed_on():
    environ = {**BOTH, "DIRECT_URL": DIRECT.replace("/app", "/other")}
    made = make(environ, allow_mismatch=["database"])
    assert (made["default"]["NAME"], made["direct"]["NAME"]) == ("app", "other")


def test_spellings_that_urlsplit_does_not_know():
    url = "postgresql://u:p@[2001:db8::1]:6432/app"
    assert make({"DATABASE_URL": url, "DIRECT_URL": url})["default"]["HOST"] == "2001:db8::1"
    url = "postgresql://u:p@a.example:1,b.example:2/app"
    entry = make({"DATABASE_URL": url, "DIRECT_URL": url})["default"]
    assert (entry["HOST"], entry["PORT"]) == ("a.example,b.example", "1,2")
    url = "postgresql://u:p@%2Ftmp%2Fsockets/app"
    entry = make({"DATABASE_URL": url, "DIRECT_URL": url})["default"]
    assert (entry["HOST"], entry["PORT"]) == ("/tmp/sockets", "")


def test_secrets_do_not_show():
    made = make({name: f"{url}&sslpassword=keypass" for name, url in BOTH.items()})
    assert "s3cret" not in repr(made)
    assert "keypass" not in repr(made)
    assert made["default"]["OPTIONS"]["sslpassword"] == "keypass"
    # Test workers that are spawned get the settings pickled.
    assert pickle.loads(pickle.dumps(made)) == made


def test_importing_settings_imports_no_framework_no_client_and_no_driver():
    code = (
        "import sys\n"
        "import dj_database_url\n"
        "before = set(sys.modules)\n"
        "from ppg_integrations.django import databases\n"
        "databases(False)\n"
        "heavy = {'django', 'httpx', 'psycopg', 'psycopg2', 'dataclasses', 'inspect', 'pathlib',\n"
        "         'dotenv', 'filelock', 'platformdirs', 'asyncio'}\n"
        "print(sorted(heavy & (set(sys.modules) - before)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=BOTH, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------- ASGI


@pytest.fixture
def asgi(monkeypatch):
    """As in a process whose ``asgi.py`` an ASGI server imports."""
    monkeypatch.setitem(sys.modules, "django.core.asgi", sys)


@pytest.fixture
def pooling(monkeypatch):
    monkeypatch.setattr("ppg_integrations.django.asgi.has_pool", lambda: True)


def kept(*given, **arguments):
    """CONN_MAX_AGE and the pool of both aliases."""
    made = make(*given, **arguments)
    pools = (made[alias].get("OPTIONS", {}).get("pool") for alias in ("default", "direct"))
    return made["default"]["CONN_MAX_AGE"], *pools


POOL = {
    "min_size": 0,
    "max_size": 10,
    "timeout": 20.0,
    "reconnect_timeout": 10.0,
    "max_idle": 60.0,
}


def test_asgi_has_a_pool_and_direct_none(asgi, pooling):
    assert kept() == (0, POOL, None)
    assert kept(asgi=False) == (60, None, None)
    assert kept(connect_deadline=7)[1]["timeout"] == 7
    assert kept(connect_deadline=0)[1]["timeout"] == 10  # one attempt, of this length at most
    assert kept(engine="django.contrib.gis.db.backends.postgis")[1] == POOL


def test_nothing_else_has_one(pooling):
    assert kept() == (60, None, None)
    assert kept(asgi=True) == (0, POOL, None)


def test_what_was_said_wins_under_asgi(asgi, pooling):
    assert kept(conn_max_age=30) == (30, None, None)
    assert kept(conn_max_age=0) == (0, None, None)
    assert kept(options={"pool": {"max_size": 3}}) == (0, {"max_size": 3}, None)
    assert kept(options={"pool": False}) == (0, False, None)
    assert kept(serverless=True) == (0, None, None)
    assert kept({**BOTH, "VERCEL": "1"}) == (0, None, None)
    # Other engines may know nothing of pools, or keep something in a connection.
    assert kept(engine="django_tenants.postgresql_backend") == (0, None, None)


def test_asgi_without_psycopgs_pool_keeps_nothing(asgi, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg_pool", None)
    assert kept() == (0, None, None)
