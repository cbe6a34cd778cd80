"""Reading Neon's pair: what is meant when little is said, and answers that nobody should trust."""

from __future__ import annotations

import json
import logging

import pytest

from ppg_integrations.errors import (
    ChoiceError,
    ConfigurationError,
    ProviderError,
    ProviderUnavailableError,
)
from ppg_integrations.providers import load
from ppg_integrations.providers.base import GenerateRequest, Target
from ppg_integrations.providers.settings import Settings
from tests.support.doubles.neon import NeonDouble


@pytest.fixture
def neon():
    with NeonDouble() as double:
        yield double


def provider(neon, **environ):
    return load("neon", Settings(neon.environ(**environ)))


def read(neon, target=None, *, replica=False, **environ):
    return provider(neon, **environ).read(target or Target(), replica=replica)


def names(neon, branch=None):
    """Database and role of a branch."""
    (database,) = (branch or neon.branch).databases.values()
    return database.name, database.owner


def test_with_a_token_alone_it_is_the_only_project_its_default_branch_and_the_owner(neon):
    neon.add_branch(neon.project, "dev")
    found = read(neon)
    database, owner = names(neon)
    (endpoint,) = neon.branch.endpoints.values()
    for url in (found.pooled, found.direct):
        assert (url.database, url.user) == (database, owner)
        assert url.password.reveal() == neon.branch.roles[owner].password
    assert found.direct.host == endpoint.host
    assert found.pooled.host == endpoint.host.replace(".", "-pooler.", 1)
    assert (found.id, found.name) == (f"{neon.branch.id}/{owner}", f"{owner} on main")
    assert found.remember == {"PPG_PROJECT": neon.project.id}
    assert found.replica is None
    assert found.notes == ()


def test_a_read_only_reads(neon):
    read(neon)
    assert {each.method for each in neon.requests} == {"GET"}


def test_the_uris_are_asked_for_with_everything_said(neon):
    read(neon)
    queries = [each.query for each in neon.requests if each.path.endswith("/connection_uri")]
    assert len(queries) == 2
    for query in queries:
        for part in ("branch_id=br-", "database_name=neondb", "role_name=neondb_owner"):
            assert part in query
    assert sorted(query.rpartition("pooled=")[2] for query in queries) == ["false", "true"]


# The project.


def test_a_project_by_id_needs_no_list(neon):
    read(neon, Target(project=neon.project.id))
    assert neon.count("GET", "/projects$") == 0


def test_a_project_by_its_exact_name_though_the_search_is_partial(neon):
    neon.add_project("shop-staging")
    wanted = neon.add_project("Shop Nr. 2")
    assert read(neon, Target(project="shop")).remember["PPG_PROJECT"] == neon.project.id
    assert read(neon, Target(project="Shop Nr. 2")).remember["PPG_PROJECT"] == wanted.id
    with pytest.raises(ProviderError, match="no project with the id or the name 'staging'"):
        read(neon, Target(project="staging"))


def test_several_projects_are_a_choice(neon):
    other = neon.add_project("other")
    with pytest.raises(ChoiceError) as raised:
        read(neon)
    assert raised.value.option == "project"
    assert raised.value.choices == ((neon.project.id, "shop"), (other.id, "other"))


def test_two_projects_of_one_name_are_a_choice(neon):
    neon.add_project("shop")
    with pytest.raises(ChoiceError, match="2 projects called 'shop'"):
        read(neon, Target(project="shop"))


def test_no_project_says_how_to_make_one():
    with NeonDouble(empty=True) as neon, pytest.raises(ProviderError, match="no project") as raised:
        read(neon)
    assert "--create" in raised.value.hint


def test_the_projects_of_all_organizations_count(neon):
    neon.orgs["org-other-2"] = "Other"
    wanted = neon.add_project("second", org="org-other-2")
    assert read(neon, Target(project="second")).remember["PPG_PROJECT"] == wanted.id
    with pytest.raises(ChoiceError):
        read(neon)
    assert read(neon, NEON_ORG_ID="org-other-2").remember["PPG_PROJECT"] == wanted.id


def test_the_key_of_an_organization_is_asked_for_none(neon):
    neon.personal = False
    read(neon)
    assert neon.count("GET", "/organizations") == 0


@pytest.mark.parametrize("repeats", [True, False])
def test_all_pages_are_read(neon, repeats):
    neon.page, neon.repeats_cursor = 2, repeats
    for number in range(5):
        wanted = neon.add_project(f"p{number}")
        neon.add_branch(neon.project, f"b{number}")
    assert read(neon, Target(project="p4")).remember["PPG_PROJECT"] == wanted.id
    assert len(provider(neon).connections(Target(project="shop"))) == 1 + 5


# The branch.


def test_a_branch_by_id_and_by_exact_name(neon):
    neon.add_branch(neon.project, "dev-2")
    dev = neon.add_branch(neon.project, "dev")
    for wanted in ("dev", dev.id):
        assert read(neon, Target(branch=wanted)).id == f"{dev.id}/{names(neon, dev)[1]}"
    odd = neon.add_branch(neon.project, "feature/ä b?c")
    assert read(neon, Target(branch=odd.name)).id.startswith(odd.id)
    like_an_id = neon.add_branch(neon.project, "br-mine")
    assert read(neon, Target(branch="br-mine")).id.startswith(like_an_id.id)


def test_a_branch_that_is_not_there_is_an_error(neon):
    with pytest.raises(ProviderError, match="no branch called 'de'") as raised:
        read(neon, Target(branch="de"))
    assert "--create" in raised.value.hint


def test_auto_is_the_git_branch(neon):
    dev = neon.add_branch(neon.project, "dev")
    assert read(neon, Target(branch="auto"), VERCEL_GIT_COMMIT_REF="dev").id.startswith(dev.id)


def test_auto_without_such_a_branch_is_an_error_unless_told_otherwise(neon):
    git = {"VERCEL_GIT_COMMIT_REF": "fix/7"}
    with pytest.raises(ProviderError, match=r"'fix/7', the git branch by VERCEL") as raised:
        read(neon, Target(branch="auto"), **git)
    assert "auto-or-default" in raised.value.hint
    found = read(neon, Target(branch="auto-or-default"), **git)
    assert found.id.startswith(neon.branch.id)
    assert "fix/7" in found.notes[0]
    assert "default branch main" in found.notes[0]


def test_auto_or_default_does_where_git_does_not_tell(neon, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # no work tree
    with pytest.raises(ConfigurationError, match="git branch is not known"):
        read(neon, Target(branch="auto"))
    found = read(neon, Target(branch="auto-or-default"))
    assert found.id.startswith(neon.branch.id)
    assert found.notes == ("The git branch is not known; this is the default branch main.",)


def test_a_protected_branch_has_a_note(neon):
    neon.branch.protected = True
    assert "protected" in read(neon).notes[0]


# The compute.


def test_a_branch_without_compute_says_how_to_get_one(neon):
    neon.add_branch(neon.project, "bare", compute=False)
    with pytest.raises(ProviderError, match="no compute") as raised:
        read(neon, Target(branch="bare"))
    assert "--branch bare --create" in raised.value.hint


def test_a_disabled_compute_is_an_error_with_the_console(neon):
    next(iter(neon.branch.endpoints.values())).disabled = True
    with pytest.raises(ProviderError, match="is disabled") as raised:
        read(neon)
    assert "console.neon.tech" in raised.value.hint


def test_a_read_replica_has_a_pooled_url_of_its_own(neon):
    replica = neon.add_endpoint(neon.branch, "read_only")
    found = read(neon, replica=True)
    assert found.replica.host == replica.host.replace(".", "-pooler.", 1)
    assert found.replica.user == found.pooled.user
    assert found.pooled.host != found.replica.host
    assert read(neon).replica is None


def test_of_several_replicas_the_oldest_is_taken_and_disabled_ones_are_not(neon):
    neon.add_endpoint(neon.branch, "read_only", created_at="2020-01-01T00:00:00Z", disabled=True)
    neon.add_endpoint(neon.branch, "read_only", created_at="2023-01-01T00:00:00Z")
    old = neon.add_endpoint(neon.branch, "read_only", created_at="2022-01-01T00:00:00Z")
    found = read(neon, replica=True)
    assert found.replica.host.startswith(f"{old.id}-pooler.")
    assert "2 read replicas" in found.notes[0]


def test_no_replica_is_an_error(neon):
    with pytest.raises(ProviderError, match="no read replica") as raised:
        read(neon, replica=True)
    assert "--create" in raised.value.hint


# Database and role.


def test_several_databases_are_a_choice_unless_one_is_named(neon):
    owner = names(neon)[1]
    neon.add_database(neon.branch, "second", owner)
    with pytest.raises(ChoiceError, match="2 databases") as raised:
        read(neon)
    assert raised.value.option == "database"
    assert list(raised.value.choices) == [(name, "") for name in neon.branch.databases]
    assert "second" not in raised.value.message, "whoever shows the error lists the choices"
    assert read(neon, Target(database="second")).direct.database == "second"
    with pytest.raises(ProviderError, match="no database called 'third'"):
        read(neon, Target(database="third"))


def test_a_role_with_one_database_of_its_own_means_that_one(neon):
    neon.add_role(neon.branch, "clerk")
    neon.add_database(neon.branch, "office", "clerk")
    found = read(neon, Target(role="clerk"))
    assert (found.direct.user, found.direct.database) == ("clerk", "office")


@pytest.mark.parametrize("role", ["clerk", "Ann O'Neil/ä?", "%2F"])
def test_a_role_of_any_name(neon, role):
    neon.add_role(neon.branch, role)
    found = read(neon, Target(role=role))
    assert found.direct.user == found.pooled.user == role
    assert found.id == f"{neon.branch.id}/{role}"


def test_a_role_that_is_not_there_is_an_error_that_lists_them(neon):
    with pytest.raises(ProviderError, match=names(neon)[1]) as raised:
        read(neon, Target(role="nobody"))
    assert "nobody" in raised.value.message


# Answers that nobody should trust.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda uri, pooled: uri.replace("-pooler", ""), "not the two endpoints"),
        (lambda uri, pooled: uri.replace("ep-", "ep-x") if pooled else uri, "not the two"),
        (lambda uri, pooled: uri.replace("us-east", "eu-east") if pooled else uri, "not the two"),
        (lambda uri, pooled: uri.replace("neondb_owner", "eve") if pooled else uri, "URI has eve"),
        (lambda uri, pooled: uri.replace("/neondb", "/other"), "asked for the role"),
        (lambda uri, pooled: "mysql://a:s3cr3t@b/c", "pooled URI"),
        (lambda uri, pooled: "postgresql://a:s3cr3t@h:99999999/c", "pooled URI"),
    ],
)
def test_uris_that_do_not_fit_are_refused(neon, change, message):
    neon.rewrite = change
    with pytest.raises(ProviderError, match=message) as raised:
        read(neon)
    secret = next(iter(neon.branch.roles.values())).password
    assert secret not in str(raised.value)
    assert "s3cr3t" not in str(raised.value)
    assert raised.value.__context__ is None


def test_elsewhere_the_two_hosts_need_only_differ(neon):
    neon.rewrite = lambda uri, pooled: uri.replace("-pooler.", ".p.").replace(".neon.tech", ".x.de")
    assert read(neon).pooled.host.partition(".")[2] == "p.us-east-2.aws.x.de"


def test_elsewhere_the_same_host_and_port_twice_is_refused(neon):
    neon.rewrite = lambda uri, pooled: uri.replace("-pooler", "").replace("neon.tech", "x.example")
    with pytest.raises(ProviderError, match="not the two endpoints"):
        read(neon)


@pytest.mark.parametrize("known", [True, False])
def test_a_password_that_is_not_stored_says_what_to_do(neon, known):
    neon.project.store_passwords = False
    if not known:  # the project does not say so, only the refusal does
        neon.fail("GET", "/connection_uri", times=None, status=412, body=b'{"message": "off"}')
        neon.project.store_passwords = True
    with pytest.raises(ProviderError, match="does not store passwords") as raised:
        read(neon)
    assert "rotate --branch main --role" in raised.value.hint
    assert raised.value.status == 412


def test_a_uri_without_a_password_is_none(neon):
    (role,) = neon.branch.roles.values()
    neon.rewrite = lambda uri, pooled: uri.replace(f":{role.password}@", "@")
    with pytest.raises(ProviderError, match="does not show the password"):
        read(neon)


def test_no_log_and_nothing_printed_shows_a_secret(neon, caplog):
    caplog.set_level(logging.DEBUG)
    told = []
    found = provider(neon).read(Target(), told.append)
    rotated = provider(neon).rotate(GenerateRequest(), lambda intent: None, progress=told.append)
    shown = " ".join([caplog.text, repr(found), repr(rotated), *told])
    for secret in (neon.token, *(url.password.reveal() for url in (found.direct, found.pooled))):
        assert secret not in shown
    assert rotated.generated.direct.password.reveal() not in shown


# What its API says of trouble.


@pytest.mark.parametrize(("status", "word"), [(401, "NEON_API_KEY"), (403, "may not")])
def test_a_key_that_may_not_is_told(neon, status, word):
    neon.fail("GET", "/projects", status=status, body=json.dumps({"message": "no"}))
    with pytest.raises(ProviderError) as raised:
        read(neon)
    assert raised.value.status == status
    assert word in raised.value.hint
    assert neon.token not in str(raised.value)


def test_the_requests_id_is_kept(neon):
    with pytest.raises(ProviderError) as raised:
        load("neon", Settings(neon.environ() | {"NEON_API_KEY": "napi_x"})).read(Target())
    assert raised.value.request_id


@pytest.mark.parametrize("status", [423, 429, 503])
def test_what_may_always_be_sent_again_is(neon, status):
    neon.fail("GET", "/branches", status=status, body=b'{"message": "later"}')
    assert read(neon).pooled


def test_an_api_that_never_comes_back_is_given_up_in_time(neon):
    neon.fail(times=None, status=503, body=b'{"message": "later"}')
    with pytest.raises(ProviderUnavailableError):
        read(neon, PPG_TIMEOUT="0.5")


def test_a_token_is_needed():
    with pytest.raises(ConfigurationError, match="NEON_API_KEY"):
        load("neon").read(Target())


def test_the_token_goes_over_https_or_to_this_machine_only():
    elsewhere = Settings({"NEON_API_KEY": "napi_x", "NEON_API_HOST": "http://example.com"})
    with pytest.raises(ConfigurationError, match="NEON_API_HOST"):
        load("neon", elsewhere).read(Target())
