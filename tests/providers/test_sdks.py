"""The providers' published SDKs, pointed at the doubles: they are right about the wire."""

from __future__ import annotations

import casedev
import pytest
from neon_api import NeonAPI
from neon_api.exceptions import NeonAPIError

from ppg_integrations.drivers import connect
from ppg_integrations.urls import PostgresURL
from tests.support.doubles.accounts import Accounts
from tests.support.doubles.casedev import CasedevDouble
from tests.support.doubles.neon import NeonDouble


@pytest.fixture
def accounts(servers):
    with Accounts(servers) as made:
        yield made


@pytest.fixture
def neon(accounts):
    with NeonDouble(accounts) as double:
        double.project.show_deprecated = True  # this SDK asks for them, and there they still are
        yield double


@pytest.fixture
def case(accounts):
    with CasedevDouble(accounts) as double:
        yield double


@pytest.fixture
def sdk(case):
    # strict: an answer that lacks a member, or has one of another type, is an error here
    with casedev.Casedev(
        api_key=case.token, base_url=case.url, max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


def database_of(url):
    with connect(PostgresURL.parse(url)) as connection:
        return connection.fetch("SELECT current_database()")[0][0]


def test_casedev_reads_makes_and_deletes(case, sdk, servers):
    api = sdk.database.v1.projects
    made = api.create(name="second", description="for a test", region="aws-eu-west-1")
    assert (made.status, made.default_branch.name) == ("active", "main")
    assert [each.name for each in api.list().projects] == ["shop", "second"]
    found = api.retrieve(made.id)
    assert [each.name for each in found.branches] == ["main"]
    assert found.databases[0].owner_name
    branch = api.create_branch(made.id, name="dev", parent_branch_id=made.default_branch.id)
    assert not branch.is_default
    assert [each.id for each in api.list_branches(made.id).branches][1] == branch.id
    pooled = api.get_connection(made.id, branch="dev", pooled=True)
    direct = api.get_connection(made.id, branch="dev", pooled=False)
    assert (pooled.pooled, direct.pooled) == (True, False)
    assert pooled.branch == direct.branch == "dev"
    assert database_of(pooled.connection_uri) == database_of(direct.connection_uri)
    assert PostgresURL.parse(pooled.connection_uri).port == servers.status().pooler.port
    assert api.get_connection(made.id).branch == "main"
    assert sdk.database.v1.get_usage().projects
    assert api.delete(made.id).success
    assert [each.name for each in api.list().projects] == ["shop"]


def test_casedev_sends_what_the_double_expects(case, sdk):
    api = sdk.database.v1.projects
    api.get_connection(case.project.id, branch="main", pooled=True)
    api.create_branch(case.project.id, name="dev", parent_branch_id=case.branch.id)
    asked, made = case.requests[-2:]
    assert asked.query == "branch=main&pooled=true"
    assert b'"parentBranchId"' in made.body  # not parent_branch_id, as its own argument is called


def test_casedev_knows_the_errors(case, sdk):
    api = sdk.database.v1.projects
    for call, error in (
        (lambda: api.retrieve("nope"), casedev.NotFoundError),
        (lambda: api.create(name="a b"), casedev.BadRequestError),
        (lambda: api.create(name="shop"), casedev.ConflictError),
        (lambda: api.create(name="x", region="mars"), casedev.BadRequestError),
    ):
        with pytest.raises(error) as caught:
            call()
        assert caught.value.body["error"]
    with pytest.raises(casedev.AuthenticationError):
        sdk.with_options(api_key="sk_case_other").database.v1.projects.list()


def test_neon_api_reads_projects_branches_and_uris(neon):
    neon.personal = False  # this SDK knows no org_id
    sdk = NeonAPI(api_key=neon.token, base_url=f"{neon.url}/")
    project, branch = neon.project, neon.branch
    assert [each.id for each in sdk.projects().projects] == [project.id]
    assert sdk.project(project.id).project.name == "shop"
    assert [each.id for each in sdk.branches(project.id).branches] == [branch.id]
    (database,) = branch.databases.values()
    assert [each.name for each in sdk.databases(project.id, branch.id).databases] == [database.name]
    # its own method spells pooled as below; its way to the wire is the same
    found = sdk._request(
        "GET",
        f"projects/{project.id}/connection_uri",
        params={"database_name": database.name, "role_name": database.owner, "pooled": "true"},
    )
    assert database_of(found["uri"]) == database.name


@pytest.mark.parametrize("pooled", [True, False])
def test_neon_api_spells_pooled_as_python_does_and_is_refused(neon, pooled):
    sdk = NeonAPI(api_key=neon.token, base_url=f"{neon.url}/")
    (database,) = neon.branch.databases.values()
    with pytest.raises(NeonAPIError, match="boolean"):
        sdk.connection_uri(neon.project.id, database.name, database.owner, pooled)
    assert f"pooled={pooled}" in neon.requests[-1].query
    assert neon.requests[-1].status == 422


def test_neon_api_makes_and_deletes_a_branch(neon):
    sdk = NeonAPI(api_key=neon.token, base_url=f"{neon.url}/")
    made = sdk.branch_create(
        neon.project.id, branch={"name": "dev"}, endpoints=[{"type": "read_write"}]
    )
    assert made.branch.name == "dev"
    assert sdk.branch_delete(neon.project.id, made.branch.id).branch.id == made.branch.id


def test_neon_api_with_a_wrong_key_is_refused(neon):
    with pytest.raises(NeonAPIError):
        NeonAPI(api_key="napi_wrong", base_url=f"{neon.url}/").projects()
