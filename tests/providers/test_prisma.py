"""Prisma Postgres, by its double: connections are made, changed and ended on real servers."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest

from ppg_integrations import providers
from ppg_integrations.drivers import connect
from ppg_integrations.errors import (
    ChoiceError,
    ConfigurationError,
    ConnectError,
    ProviderError,
    ProviderUnavailableError,
    UnsupportedError,
)
from ppg_integrations.providers.base import GenerateRequest, Intent, Target
from ppg_integrations.providers.prisma import PrismaProvider, places
from ppg_integrations.providers.settings import Settings
from tests.support.doubles.accounts import Accounts
from tests.support.doubles.prisma import PrismaDouble

CREATED = "/connections$"


@pytest.fixture(scope="module")
def accounts(servers):
    with Accounts(servers) as made:
        yield made


@pytest.fixture
def double(accounts):
    with PrismaDouble(accounts) as running:
        yield running


@pytest.fixture(autouse=True)
def fast_polls(monkeypatch):
    monkeypatch.setattr(places, "POLL", 0.05)


def provider(double, **more):
    environ = {
        "PRISMA_API_URL": double.url,
        "PRISMA_SERVICE_TOKEN": double.token,
        "PPG_TIMEOUT": "5",
    }
    return PrismaProvider(Settings(environ | more))


def no_intent(_intent):
    raise AssertionError("nothing is to be made here")


def request(project="", database="", **more):
    target = Target(project=project, database=database)
    return GenerateRequest(**{"name": "shop-host-0a1b2c3d", "target": target, **more})


def sent(double, method="POST"):
    return [each.path for each in double.requests if each.method == method]


def works(generated):
    for url in (generated.pooled, generated.direct):
        with connect(url) as connection:
            assert connection.fetch("SELECT 1") == [(1,)]
    return True


def is_dead(generated):
    for url in (generated.pooled, generated.direct):
        with pytest.raises(ConnectError):
            connect(url)
    return True


# Which database.


def test_a_connection_to_the_only_database_works_at_both_ends(double, servers):
    project = double.project("shop", "main")
    intents = []
    made = provider(double).generate(request(), intents.append)
    assert works(made)
    assert (made.pooled.port, made.direct.port) == (
        servers.status().pooler.port,
        servers.status().postgres.port,
    )
    (connection,) = double.workspace.connections
    assert (made.id, made.name) == (connection.id, "shop-host-0a1b2c3d")
    database = project.databases[0]
    assert made.remember == {"PPG_PROJECT": project.id, "PPG_DATABASE": database.id}
    assert made.notes == ()
    (intent,) = intents
    assert (intent.provider, intent.action, intent.kind) == ("prisma", "create", "connection")
    assert (intent.name, intent.ids) == (made.name, {"database": database.id})


def test_a_generated_connection_has_a_name_of_its_own_where_none_is_given(double, tmp_path):
    double.project("shop", "main")
    ours = provider(double)
    for _ in range(2):
        ours.generate(request(name="", project_folder=tmp_path / "My Shop"), lambda _: None)
    one, two = (each.name for each in double.workspace.connections)
    assert one != two
    assert one.startswith("my-shop-")


@pytest.mark.parametrize("by", ["id", "name"])
def test_project_and_database_are_chosen_by_id_or_exact_name(double, by):
    double.project("shop", "main", "other")
    project = double.project("shop2", "main2", "other")
    wanted = project.databases[1]
    target = {"project": getattr(project, by), "database": getattr(wanted, by)}
    made = provider(double).generate(request(**target), lambda _: None)
    assert made.remember["PPG_DATABASE"] == wanted.id


def test_the_id_of_a_database_is_enough_and_takes_no_list(double):
    double.project("shop", "main")
    wanted = double.project("other", "main").databases[0]
    provider(double).generate(request(database=wanted.id), lambda _: None)
    assert [len(each.connections) for each in double.workspace.databases] == [0, 1]
    assert [each.path for each in double.requests] == [
        f"/v1/databases/{wanted.id}",
        f"/v1/databases/{wanted.id}/connections",
    ]


def test_an_id_wins_over_a_name(double):
    first = double.project("shop", "main")
    double.project(first.id, "main")
    made = provider(double).generate(request(project=first.id), lambda _: None)
    assert made.remember["PPG_PROJECT"] == first.id


def test_several_projects_are_a_choice(double):
    one, two = double.project("shop", "main"), double.project("other", "main")
    with pytest.raises(ChoiceError) as caught:
        provider(double).generate(request(create=True), no_intent)
    assert caught.value.option == "project"
    assert caught.value.choices == ((one.id, "shop"), (two.id, "other"))
    assert "--project" in caught.value.hint


def test_several_databases_are_a_choice_and_so_are_several_of_one_name(double):
    project = double.project("shop", "main", "main", "other")
    ids = [each.id for each in project.databases]
    for name, choices in (("", ids), ("main", ids[:2])):
        with pytest.raises(ChoiceError) as caught:
            provider(double).generate(request(database=name), no_intent)
        assert caught.value.option == "database"
        assert [id for id, _ in caught.value.choices] == choices


@pytest.mark.parametrize(
    "wanted", [{"project": "shoq"}, {"database": "mian"}, {"project": "shop", "database": "db_x"}]
)
def test_what_does_not_exist_is_an_error_that_lists_what_does(double, wanted):
    project = double.project("shop", "main")
    with pytest.raises(ProviderError) as caught:
        provider(double).generate(request(**wanted), no_intent)
    there = project if wanted.get("project") == "shoq" else project.databases[0]
    assert f"{there.name} ({there.id})" in caught.value.message
    assert "--create" in caught.value.hint
    assert caught.value.nothing_done


def test_an_empty_workspace_says_how_to_make_a_project(double):
    with pytest.raises(ProviderError, match="has no project") as caught:
        provider(double).generate(request(), no_intent)
    assert "--create" in caught.value.hint


def test_a_database_of_another_project_is_refused(double):
    double.project("shop", "main")
    other = double.project("other", "main").databases[0]
    with pytest.raises(ProviderError, match="not in the project 'shop'"):
        provider(double).generate(request(project="shop", database=other.id), no_intent)


def test_a_hundred_projects_are_looked_through(double):
    for number in range(205):
        double.project(f"p{number}", "main")
    made = provider(double).generate(request(project="p204"), lambda _: None)
    assert made.remember["PPG_PROJECT"] == double.workspace.projects[204].id
    assert double.count("GET", "/projects$") == 3


# What is missing is made.


def test_create_makes_the_project_and_waits_for_its_database(double):
    double.workspace.polls = 2
    intents, said = [], []
    wanted = request(project="shop", region="eu-central-1", create=True)
    made = provider(double).generate(wanted, intents.append, said.append)
    assert works(made)
    (project,) = double.workspace.projects
    assert (project.name, project.region) == ("shop", "eu-central-1")
    assert [(each.kind, each.name) for each in intents] == [
        ("project", "shop"),
        ("connection", "shop-host-0a1b2c3d"),
    ]
    assert any("to become ready" in text for text in said)
    (used,) = project.databases[0].connections
    assert made.id == used.id, "and the one that came with the database is ended"
    assert made.notes == ()


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"status": 403}, True),
        ({"cut": "before"}, True),
        ({"status": 404, "work": True}, False),
    ],
)
def test_a_connection_that_came_with_a_database_and_cannot_be_ended_is_told(double, fault, told):
    double.fail("DELETE", "/connections/", **fault)
    made = provider(double).generate(request("shop", create=True), lambda _: None)
    assert works(made)
    *spares, used = double.workspace.connections
    assert made.id == used.id
    assert len(spares) == told
    assert len(made.notes) == told
    for spare, note in zip(spares, made.notes, strict=True):
        assert f"revoke {spare.id}" in note


def test_create_makes_a_project_with_a_database_of_the_name_that_is_wanted(double):
    intents = []
    wanted = request(project="shop", database="orders", create=True)
    made = provider(double).generate(wanted, intents.append)
    (database,) = double.workspace.databases
    assert (database.project.name, database.name) == ("shop", "orders")
    assert [each.kind for each in intents] == ["project", "database", "connection"]
    assert intents[1].ids == {"project": database.project.id}
    assert made.remember["PPG_DATABASE"] == database.id


def test_create_makes_only_what_is_missing(double):
    project = double.project("shop", "main")
    ours = provider(double)
    ours.generate(request(create=True), lambda _: None)
    assert sent(double) == [f"/v1/databases/{project.databases[0].id}/connections"]
    ours.generate(request(database="orders", create=True), lambda _: None)
    assert [each.name for each in project.databases] == ["main", "orders"]


def test_a_project_without_a_name_is_called_like_its_folder(double, tmp_path):
    provider(double).generate(
        request(create=True, project_folder=tmp_path / "shop"), lambda _: None
    )
    assert [each.name for each in double.workspace.projects] == ["shop"]


@pytest.mark.parametrize("wanted", [{"project": "proj_gone"}, {"database": "db_gone"}])
def test_an_id_that_does_not_exist_is_no_name_for_something_new(double, wanted):
    double.project("shop", "main")
    with pytest.raises(ProviderError, match="_gone"):
        provider(double).generate(request(**wanted, create=True), no_intent)


def test_an_unknown_region_is_refused_before_anything_is_made(double):
    with pytest.raises(ProviderError, match="no region 'mars-1'") as caught:
        provider(double).generate(request("shop", region="mars-1", create=True), no_intent)
    assert "eu-central-1" in caught.value.hint


def test_the_plan_s_limit_is_told_with_the_way_out(double):
    double.most_databases = 0
    with pytest.raises(ProviderError, match="plan limit") as caught:
        provider(double).generate(request("shop", create=True), lambda _: None)
    assert "console.prisma.io" in caught.value.hint
    assert caught.value.nothing_done


def test_a_database_that_gets_ready_too_late_is_found_by_the_next_run(double):
    double.workspace.polls = 1000
    ours = provider(double, PPG_TIMEOUT="0.5")
    with pytest.raises(ProviderUnavailableError, match="to become ready") as caught:
        ours.generate(request("shop", create=True), lambda _: None)
    assert "goes on from here" in caught.value.hint
    assert caught.value.nothing_done, "its request was answered"
    (database,) = double.workspace.databases
    (spare,) = database.connections
    assert f"revoke {spare.id}" in caught.value.hint
    database.polls = 0
    assert works(provider(double).generate(request("shop", create=True), lambda _: None))
    assert double.workspace.databases == [database]


def test_a_refused_connection_still_tells_of_the_one_that_a_new_database_has(double):
    double.fail("DELETE", "/connections/", status=403)
    double.fail("POST", CREATED, status=403)
    with pytest.raises(ProviderError) as caught:
        provider(double).generate(request("shop", create=True), lambda _: None)
    (spare,) = double.workspace.connections
    assert caught.value.nothing_done
    assert f"revoke {spare.id}" in caught.value.hint


@pytest.mark.parametrize("create", [False, True])
def test_a_database_that_failed_is_an_error(double, create):
    database = double.project("shop", "main").databases[0]
    database.status = "failure"
    with pytest.raises(ProviderError, match="status is failure") as caught:
        provider(double).generate(request(create=create), no_intent)
    assert caught.value.nothing_done


def test_a_new_database_that_fails_is_told(double):
    double.workspace.polls = 1

    def fails(_text):
        for database in double.workspace.databases:
            database.polls, database.status = 0, "failure"

    with pytest.raises(ProviderError, match="status is failure") as caught:
        provider(double).generate(request("shop", create=True), lambda _: None, fails)
    assert caught.value.nothing_done
    assert "console" in caught.value.hint


def test_a_database_that_exists_and_recovers_is_waited_for(double):
    double.project("shop", "main").databases[0].polls = 3
    assert works(provider(double).generate(request(), lambda _: None))


# The two URLs.


@pytest.mark.parametrize("status", [200, 201])
def test_any_success_is_one(double, status):
    double.project("shop", "main")
    spare = provider(double).generate(request(), lambda _: None)
    connection = double.workspace.connections[0]
    body = {"data": double.workspace.connection_json(connection, fresh=True)}
    double.fail("POST", CREATED, status=status, body=json.dumps(body))
    assert provider(double).generate(request(), lambda _: None).pooled == spare.pooled


def test_an_empty_database_name_means_postgres(double):
    double.workspace.empty_database = True
    double.project("shop", "main")
    made = provider(double).generate(request(), lambda _: None)
    assert (made.pooled.database, made.direct.database) == ("postgres", "postgres")
    assert works(made)


def endpoint(text):
    return {"host": "db.prisma.io", "port": 5432, "connectionString": text}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"pooled": None}, "endpoints.pooled.connectionString"),
        ({"direct": None}, "endpoints.direct.connectionString"),
        ({"direct": {"host": "db.prisma.io", "port": 5432}}, "endpoints.direct.connectionString"),
        ({"pooled": endpoint(7)}, "endpoints.pooled.connectionString"),
        ({"pooled": endpoint("https://api.prisma.io/v1/connections/con_1")}, "endpoints.pooled"),
        (
            {"pooled": endpoint("prisma+postgres://accelerate.prisma-data.net/?api_key=sk_hush")},
            "endpoints.pooled",
        ),
        ({"direct": endpoint("postgres://db.prisma.io:5432/")}, "without a host, a user"),
        ({"direct": endpoint("postgres://u@db.prisma.io/postgres")}, "a user or a password"),
        (
            {
                "pooled": endpoint("postgres://u:sk_hush@pooled.db.prisma.io/postgres"),
                "direct": endpoint("postgres://v:sk_hush@db.prisma.io/postgres"),
            },
            "different users",
        ),
        (
            {
                "pooled": endpoint("postgres://u:sk_hush@pooled.db.prisma.io/one"),
                "direct": endpoint("postgres://u:sk_hush@db.prisma.io/two"),
            },
            "different databases",
        ),
    ],
)
def test_an_answer_without_two_good_urls_is_refused_and_stays_known(double, changed, message):
    database = double.project("shop", "main").databases[0]
    double.workspace.changed = changed
    intents = []
    with pytest.raises(ProviderError) as caught:
        provider(double).generate(request(), intents.append)
    assert message in caught.value.message
    assert "sk_hush" not in str(caught.value)
    assert not caught.value.nothing_done
    assert "shop-host-0a1b2c3d" in caught.value.hint
    # What the next run does: nobody has the secret, so the connection goes.
    settled = provider(double).settle(intents[0])
    assert settled.outcome == "removed"
    assert database.connections == []


# Without an answer.


def test_reading_needs_a_secret_that_the_api_does_not_show(double):
    with pytest.raises(UnsupportedError) as caught:
        provider(double).read(Target())
    assert "`ppg-connect create`" in caught.value.hint
    assert "PPG_GENERATE=1" in caught.value.hint
    assert "read" not in PrismaProvider.capabilities
    assert double.requests == []


@pytest.mark.parametrize(
    ("fault", "nothing_done", "there"),
    [
        ({"cut": "before", "work": True}, False, 1),
        ({"cut": "body"}, False, 0),
        ({"status": 500}, False, 0),
        ({"status": 503, "work": True}, False, 1),
        ({"status": 200, "body": "{", "work": True}, False, 1),
        ({"status": 200, "body": '{"data": []}'}, False, 0),
        ({"status": 401, "body": '{"error": {"message": "no"}}'}, True, 0),
        ({"status": 302, "headers": {"Location": "https://evil.example/"}}, True, 0),
    ],
)
def test_a_lost_answer_leaves_an_intent_that_settles(double, fault, nothing_done, there):
    database = double.project("shop", "main").databases[0]
    older = double.workspace.add_connection(database, "shop-host-older000", works=False)
    double.fail("POST", CREATED, **fault)
    intents = []
    with pytest.raises(ProviderError) as caught:
        provider(double).generate(request(), intents.append)
    assert caught.value.nothing_done is nothing_done
    assert len(sent(double)) == 1, "a POST is not sent again"
    assert len(database.connections) == 1 + there
    settled = provider(double).settle(intents[0])
    assert settled.outcome == ("removed" if there else "missing")
    assert intents[0].name in settled.text
    assert database.connections == [older]


def test_a_post_is_sent_again_after_429_and_makes_one_connection(double):
    database = double.project("shop", "main").databases[0]
    double.fail("POST", CREATED, status=429, headers={"Retry-After": "0"}, times=2)
    assert works(provider(double).generate(request(), lambda _: None))
    assert len(database.connections) == 1


def test_an_intent_that_cannot_be_written_stops_the_request(double):
    double.project("shop", "main")
    with pytest.raises(OSError, match="disk"):
        provider(double).generate(request(), raises(OSError("disk full")))
    assert sent(double) == []


def raises(error):
    def intend(_intent):
        raise error

    return intend


@pytest.mark.parametrize("wanted", [{}, {"database": "orders"}])
def test_lost_answers_to_new_projects_and_databases_are_found_and_used(double, wanted):
    ask = request(project="shop", create=True, **wanted)
    for path in ("/projects$", "/databases$") if wanted else ("/projects$",):
        double.fail("POST", path, cut="before", work=True)
        intents = []
        with pytest.raises(ProviderError) as caught:
            provider(double).generate(ask, intents.append)
        assert not caught.value.nothing_done
        settled = provider(double).settle(intents[-1])
        assert settled.outcome == "kept"
        for connection in double.workspace.connections:
            assert f"revoke {connection.id}" in settled.text
    assert works(provider(double).generate(ask, lambda _: None))
    assert len(double.workspace.databases) == 1


def test_a_connection_that_is_refused_leaves_a_new_database_without_any(double):
    double.fail("POST", CREATED, status=403)
    with pytest.raises(ProviderError) as caught:
        provider(double).generate(request("shop", create=True), lambda _: None)
    assert caught.value.nothing_done, "the end of the other one was answered"
    assert "revoke" not in caught.value.hint
    assert double.workspace.connections == []


def test_the_connection_of_a_new_database_is_still_told_of_when_ours_is_lost(double):
    double.fail("DELETE", "/connections/", status=403)
    double.fail("POST", CREATED, cut="before", work=True)
    intents = []
    with pytest.raises(ProviderError):
        provider(double).generate(request("shop", create=True), intents.append)
    settled = provider(double).settle(intents[-1])
    assert settled.outcome == "removed"
    (spare,) = double.workspace.connections
    assert f"revoke {spare.id}" in settled.text


def test_what_was_never_made_is_missing(double):
    double.project("shop", "main")
    intents = []
    ours = provider(double)
    ours.generate(request("new", "orders", create=True), intents.append)
    assert [intent.kind for intent in intents] == ["project", "database", "connection"]
    other = double.project("other", "main")
    ids = {"project": other.id, "database": other.databases[0].id}
    elsewhere = [replace(each, ids=ids) for each in intents[1:]]
    for project in list(double.workspace.projects):
        if project is not other:
            double.workspace.remove_project(project)
    outcomes = [ours.settle(intent).outcome for intent in (intents[0], *elsewhere)]
    assert outcomes == ["missing"] * 3


@pytest.mark.parametrize("kind", ["database", "connection", "secret"])
def test_in_what_the_token_does_not_see_nothing_is_known(double, kind):
    """It may be the token of another workspace."""
    double.project("shop", "main")
    ids = {"project": "proj_gone", "database": "db_gone", "connection": "con_gone"}
    action, kind = ("rotate", "connection") if kind == "secret" else ("create", kind)
    intent = Intent("prisma", action, kind, "shop-x-12345678", ids)
    with pytest.raises(ProviderError, match=r"has no \w+ (proj|db)_gone .* is not known") as caught:
        provider(double).settle(intent)
    assert "another workspace" in caught.value.hint
    assert sent(double) == []


# List, rotate, revoke.


def test_list_shows_all_connections_and_which_one_is_in_use(double):
    project = double.project("shop", "main", "other")
    for number in range(103):
        double.workspace.add_connection(project.databases[0], f"c{number}", works=False)
    double.workspace.add_connection(project.databases[1], "elsewhere", works=False)
    in_use = project.databases[0].connections[7]
    listed = provider(double).connections(Target(database="main"), in_use=in_use.id)
    assert [each.name for each in listed] == [f"c{number}" for number in range(103)]
    assert [each.id for each in listed if each.in_use] == [in_use.id]
    assert listed[7].created_at == in_use.created_at


def test_rotation_makes_a_successor_and_leaves_the_old_one_alive(double):
    project = double.project("shop", "main", "other")
    ours = provider(double)
    old = ours.generate(request(database="other"), lambda _: None)
    intents = []
    # The database is that of the connection in use, whatever else there is.
    rotated = ours.rotate(request(name="shop-host-next0000"), intents.append, in_use=old.id)
    assert rotated.retire == old.id
    assert works(old)
    assert works(rotated.generated)
    assert rotated.generated.remember["PPG_DATABASE"] == project.databases[1].id
    assert [(each.action, each.name) for each in intents] == [("create", "shop-host-next0000")]
    ours.revoke(Target(), old.id)
    assert is_dead(old)
    assert works(rotated.generated)


def test_rotation_without_a_known_id_makes_another_connection(double):
    double.project("shop", "main")
    rotated = provider(double).rotate(request(), lambda _: None)
    assert works(rotated.generated)
    assert rotated.retire == ""


def test_rotation_in_place_ends_the_old_secret(double):
    double.project("shop", "main")
    ours = provider(double)
    old = ours.generate(request(), lambda _: None)
    intents = []
    rotated = ours.rotate(request(name="unused"), intents.append, in_use=old.id, in_place=True)
    assert (rotated.generated.id, rotated.generated.name) == (old.id, old.name)
    assert rotated.retire == ""
    assert works(rotated.generated)
    assert is_dead(old)
    (intent,) = intents
    assert (intent.action, intent.kind, intent.name) == ("rotate", "connection", old.name)
    assert len(double.workspace.connections) == 1


def test_a_rotation_in_place_whose_answer_was_lost_is_restored(double):
    double.project("shop", "main")
    ours = provider(double)
    old = ours.generate(request(), lambda _: None)
    double.fail("POST", "/rotate$", cut="before", work=True)
    intents = []
    with pytest.raises(ProviderError) as caught:
        ours.rotate(request(), intents.append, in_use=old.id, in_place=True)
    assert not caught.value.nothing_done
    assert is_dead(old)
    settled = ours.settle(intents[0])
    assert settled.outcome == "restored"
    assert settled.generated.id == old.id
    assert settled.generated.remember == old.remember
    assert works(settled.generated)
    ours.revoke(Target(), old.id)
    assert ours.settle(intents[0]).outcome == "missing"


def test_rotation_in_place_needs_the_id(double):
    double.project("shop", "main")
    with pytest.raises(ProviderError, match="not known which") as caught:
        provider(double).rotate(request(), no_intent, in_place=True)
    assert "--in-place" in caught.value.hint


@pytest.mark.parametrize("in_place", [False, True])
def test_rotation_of_a_connection_that_is_gone_names_create(double, in_place):
    double.project("shop", "main")
    with pytest.raises(ProviderError, match="no connection con_gone") as caught:
        provider(double).rotate(request(), no_intent, in_use="con_gone", in_place=in_place)
    assert "create" in caught.value.hint
    assert caught.value.nothing_done


def test_rotation_stays_on_its_database(double):
    double.project("shop", "main", "other")
    ours = provider(double)
    old = ours.generate(request(database="main"), lambda _: None)
    with pytest.raises(ProviderError, match="belongs to the database shop/main"):
        ours.rotate(request(database="other"), no_intent, in_use=old.id)


def test_revoking_what_is_not_there_is_a_clear_error(double):
    with pytest.raises(ProviderError, match="no connection con_gone") as caught:
        provider(double).revoke(Target(), "con_gone")
    assert caught.value.status == 404
    assert "list" in caught.value.hint


@pytest.mark.parametrize("id", ["../projects", "con_1/../../me", "a b?c#d"])
def test_an_id_stays_one_segment_of_the_path(double, id):
    with pytest.raises(ProviderError, match="no connection"):
        provider(double).revoke(Target(), id)
    (path,) = sent(double, "DELETE")
    assert path.startswith("/v1/connections/")
    assert path.count("/") == 3


# Limits and use.


def test_usage_tells_plan_and_figures(double):
    database = double.project("shop", "main").databases[0]
    for known in ({"in_use": ""}, {"in_use": double.workspace.add_connection(database, "one").id}):
        plan, figures = provider(double).usage(Target(), **known)
        assert (plan.id, plan.severity) == ("usage", "info")
        assert "plan is Free" in plan.message
        assert figures.severity == "info"
        assert "12 ops" in figures.message
        assert "0.4 GiB" in figures.message


def test_a_workspace_that_is_blocked_is_an_error_also_without_figures(double):
    double.project("shop", "main")
    double.blocked = True
    double.fail("GET", "/usage$", status=500, times=None)
    blocked, unknown = provider(double).usage(Target())
    assert (blocked.id, blocked.severity) == ("usage-blocked", "error")
    assert "https://console.prisma.io/upgrade" in blocked.hint
    assert (unknown.id, unknown.severity) == ("usage-unknown", "info")


def test_usage_without_a_workspace_has_the_figures_alone(double):
    double.project("shop", "main")
    double.anonymous = True
    (figures,) = provider(double).usage(Target())
    assert "12 ops" in figures.message
    double.fail("GET", "/usage$", status=404, times=None)
    with pytest.raises(ProviderError):
        provider(double).usage(Target())


def test_usage_of_a_connection_of_another_workspace_says_so(double):
    with pytest.raises(ProviderError, match="no connection con_other") as caught:
        provider(double).usage(Target(), in_use="con_other")
    assert "workspace" in caught.value.hint


# Tokens and addresses.


def test_no_token_is_a_clear_error():
    with pytest.raises(ConfigurationError, match="PRISMA_SERVICE_TOKEN and PRISMA_API_TOKEN"):
        PrismaProvider(Settings({})).connections(Target())


def test_the_other_name_of_the_token_serves_as_well(double):
    double.project("shop", "main")
    environ = {"PPG_API_URL": f"{double.url}/", "PRISMA_API_TOKEN": double.token}
    ours = providers.load("prisma", Settings(environ | {"PRISMA_API_URL": "https://127.0.0.1:1"}))
    assert ours.connections(Target()) == ()


def test_a_wrong_token_names_its_variables(double):
    with pytest.raises(ProviderError) as caught:
        provider(double, PRISMA_SERVICE_TOKEN="hush-hush").connections(Target())
    assert caught.value.status == 401
    assert "PRISMA_SERVICE_TOKEN" in caught.value.hint
    assert "hush-hush" not in str(caught.value)


def test_no_secret_is_logged_or_shown(double, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    double.project("shop", "main")
    ours = provider(double)
    said = []
    made = ours.generate(request(), lambda _: None, said.append)
    rotated = ours.rotate(
        request(), lambda _: None, in_use=made.id, in_place=True, progress=said.append
    )
    output = capfd.readouterr()
    text = " ".join([caplog.text, output.out, output.err, *said, repr(made), repr(rotated)])
    for url in (made.pooled, rotated.generated.pooled):
        assert url.password.reveal() not in text
    assert double.token not in text
