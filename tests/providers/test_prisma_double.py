"""The double of Prisma's API keeps its rules, so that a client that does not is found out."""

from __future__ import annotations

import httpx
import pytest

from ppg_integrations.drivers import connect
from ppg_integrations.errors import ConnectError
from ppg_integrations.urls import PostgresURL
from tests.support.doubles.accounts import Accounts
from tests.support.doubles.prisma import PrismaDouble

pytestmark = pytest.mark.once

AGENT = {"User-Agent": "ppg-integrations/test"}


@pytest.fixture(scope="module")
def accounts(servers):
    with Accounts(servers) as made:
        yield made


@pytest.fixture
def double(accounts):
    with PrismaDouble(accounts) as running:
        yield running


@pytest.fixture
def client(double):
    headers = {"Authorization": f"Bearer {double.token}", **AGENT}
    with httpx.Client(base_url=double.url, headers=headers) as made:
        yield made


def endpoints(answer):
    """The two URLs of a fresh connection."""
    found = answer.json()["data"]["endpoints"]
    return [PostgresURL.parse(found[each]["connectionString"]) for each in ("pooled", "direct")]


@pytest.mark.parametrize("agent", ["", "python-httpx/0.28.1", "Python-urllib/3.11"])
def test_a_client_s_own_name_for_itself_is_kept_out(client, agent):
    answer = client.get("/v1/me", headers={"User-Agent": agent})
    assert (answer.status_code, answer.text) == (403, "error code: 1010")


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic eDp5"])
def test_a_request_without_the_token_is_refused(double, header):
    headers = AGENT | ({"Authorization": header} if header else {})
    for path in ("/v1/me", "/v1/nothing"):
        answer = httpx.get(double.url + path, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "authentication-failed"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/me", 404),
        ("GET", "/v1/projects/", 404),
        ("GET", "/v1/workspaces/wksp_1/projects", 404),
        ("GET", "/v1/projects/proj_none", 404),
        ("GET", "/v1/connections/con_none", 404),
        ("DELETE", "/v1/connections/con_none", 404),
        ("POST", "/v1/connections/con_none/rotate", 404),
        ("PUT", "/v1/projects", 405),
        ("HEAD", "/v1/projects", 405),
        ("OPTIONS", "/v1/projects", 405),
        ("GET", "/v1/projects?limit=0", 400),
        ("GET", "/v1/projects?limit=101", 400),
        ("GET", "/v1/projects?page=2", 400),
        ("GET", "/v1/projects?cursor=x", 400),
    ],
)
def test_what_is_not_in_the_documentation_is_refused(client, method, path, status):
    assert client.request(method, path).status_code == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "ab"}, 422),
        ({"name": "x" * 66}, 422),
        ({"name": 7}, 422),
        ({}, 422),
        ({"name": "right", "more": 1}, 422),
        (["name"], 400),
    ],
)
def test_the_body_of_a_new_connection_is_checked(double, client, body, status):
    database = double.project("shop", "main").databases[0]
    path = f"/v1/databases/{database.id}/connections"
    assert client.post(path, json=body).status_code == status
    assert client.post(path, content=b'{"name": "right"}').status_code == 400
    assert double.workspace.connections == []


def test_both_ways_to_a_connection_work_and_differ_in_status(double, client):
    database = double.project("shop", "main").databases[0]
    nested = client.post(f"/v1/databases/{database.id}/connections", json={"name": "one"})
    flat = client.post("/v1/connections", json={"name": "two", "databaseId": database.id})
    assert (nested.status_code, flat.status_code) == (200, 201)
    for answer in (nested, flat):
        assert answer.json()["data"]["url"].startswith("https://")
        for url in endpoints(answer):
            with connect(url) as connection:
                assert connection.fetch("SELECT current_database()") == [(database.real,)]


def test_secrets_are_shown_once(double, client):
    database = double.project("shop", "main").databases[0]
    made = client.post("/v1/connections", json={"name": "one", "databaseId": database.id})
    password = double.workspace.connections[0].login.password
    assert password in made.text
    for path in (
        f"/v1/connections/{made.json()['data']['id']}",
        "/v1/connections",
        f"/v1/databases/{database.id}/connections",
        f"/v1/databases/{database.id}",
        "/v1/databases",
    ):
        answer = client.get(path)
        assert answer.status_code == 200
        assert password not in answer.text
        assert "connectionString" not in answer.text


def test_a_rotated_or_deleted_connection_is_dead_at_once(double, client):
    database = double.project("shop", "main").databases[0]
    first = client.post("/v1/connections", json={"name": "one", "databaseId": database.id})
    path = f"/v1/connections/{first.json()['data']['id']}"
    second = client.post(f"{path}/rotate")
    assert second.status_code == 200
    assert client.delete(path).status_code == 204
    for answer in (first, second):
        for url in endpoints(answer):
            with pytest.raises(ConnectError):
                connect(url)
    assert client.delete(path).status_code == 404


def test_pages_end(double, client):
    for number in range(5):
        double.project(f"p{number}")
    names, cursor = [], {}
    while True:
        page = client.get("/v1/projects", params={"limit": 2, **cursor}).json()
        names += [each["name"] for each in page["data"]]
        if not page["pagination"]["hasMore"]:
            break
        cursor = {"cursor": page["pagination"]["nextCursor"]}
    assert names == [f"p{number}" for number in range(5)]
    assert page["pagination"]["nextCursor"] is None


def test_a_new_database_takes_its_time_and_the_default_one_stays(double, client):
    double.workspace.polls = 2
    made = client.post("/v1/projects", json={"name": "shop", "region": "eu-central-1"})
    assert made.status_code == 201
    database = made.json()["data"]["database"]
    assert database["isDefault"]
    assert "project" not in database
    path = f"/v1/databases/{database['id']}"
    said = [client.get(path).json()["data"]["status"] for _ in range(3)]
    assert said == ["provisioning", "provisioning", "ready"]
    assert client.delete(path).status_code == 403
    again = client.post("/v1/databases", json={"projectId": made.json()["data"]["id"]})
    project = f"/v1/projects/{made.json()['data']['id']}"
    assert client.delete(project).status_code == 400
    assert client.delete(f"/v1/databases/{again.json()['data']['id']}").status_code == 204
    assert client.delete(project).status_code == 204
    assert client.get("/v1/databases").json()["data"] == []


def test_the_plan_limits_databases(double, client):
    double.most_databases = 0
    answer = client.post("/v1/projects", json={"name": "shop"})
    assert answer.status_code == 403
    assert "plan limit" in answer.json()["error"]["message"]
    bare = client.post("/v1/projects", json={"name": "shop", "createDatabase": False})
    assert bare.json()["data"]["database"] is None
