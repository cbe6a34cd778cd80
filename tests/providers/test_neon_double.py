"""The double of Neon's API is as strict as the real one is known to be."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

from tests.support.doubles.neon import NO_ORG, NeonDouble

pytestmark = pytest.mark.once


@pytest.fixture
def neon():
    with NeonDouble() as double:
        yield double


def ask(neon, path, method="GET", body=None, token=None):
    """Status, parsed body and headers."""
    request = urllib.request.Request(neon.url + path, method=method)
    request.add_header("Authorization", f"Bearer {token or neon.token}")
    if body is not None:
        request.add_header("Content-Type", "application/json")
        request.data = json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None, answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read()), error.headers


def uri(neon, **changes):
    project, branch = neon.project, neon.branch
    (database,) = branch.databases.values()
    query = {"database_name": database.name, "role_name": database.owner, "pooled": "true"}
    pairs = "&".join(f"{k}={v}" for k, v in (query | changes).items() if v)
    return ask(neon, f"/projects/{project.id}/connection_uri?{pairs}")


def test_an_error_has_neons_body_and_its_request_id_in_a_header(neon):
    status, body, headers = ask(neon, "/projects", token="napi_wrong")
    assert status == 401
    assert set(body) == {"request_id", "code", "message"}
    assert headers["x-neon-ret-request-id"] == body["request_id"]


def test_a_persons_key_has_to_name_an_organization(neon):
    assert ask(neon, "/projects")[:2][0] == 400
    assert ask(neon, "/projects")[1]["message"] == NO_ORG
    (org,) = (o["id"] for o in ask(neon, "/users/me/organizations")[1]["organizations"])
    assert [p["name"] for p in ask(neon, f"/projects?org_id={org}")[1]["projects"]] == ["shop"]
    neon.personal = False
    assert ask(neon, "/projects")[0] == 200


@pytest.mark.parametrize("value", ["True", "False", "1", "yes"])
def test_a_boolean_that_is_not_lower_case_is_refused(neon, value):
    assert uri(neon, pooled=value)[0] == 422


@pytest.mark.parametrize("missing", ["role_name", "database_name"])
def test_a_uri_needs_role_and_database(neon, missing):
    status, body, _ = uri(neon, **{missing: ""})
    assert status == 400
    assert missing in body["message"]


def test_unknown_parameters_and_members_are_refused(neon):
    assert uri(neon, branch="main")[0] == 400
    path = f"/projects/{neon.project.id}/branches"
    assert ask(neon, path, "POST", {"branch": {"title": "x"}})[0] == 400
    assert ask(neon, path, "POST", {"branch": {"name": 3}})[0] == 400
    assert ask(neon, f"{path}/Not_An_Id")[0] == 400


def test_pages_come_in_the_apis_shapes(neon):
    for name in ("two", "three"):
        neon.add_project(name)
        neon.add_branch(neon.project, name)
    (org,) = neon.orgs
    first = ask(neon, f"/projects?org_id={org}&limit=2")[1]
    assert len(first["projects"]) == 2
    cursor = first["pagination"]["cursor"]
    last = ask(neon, f"/projects?org_id={org}&limit=2&cursor={cursor}")[1]
    assert len(last["projects"]) == 1
    again = last["pagination"]["cursor"]
    empty = ask(neon, f"/projects?org_id={org}&limit=2&cursor={again}")[1]
    assert (empty["projects"], empty["pagination"]["cursor"]) == ([], again)
    branches = ask(neon, f"/projects/{neon.project.id}/branches?limit=2")[1]
    assert "cursor" not in branches["pagination"]
    more = f"cursor={branches['pagination']['next']}"
    assert "next" not in ask(neon, f"/projects/{neon.project.id}/branches?{more}")[1]["pagination"]


def test_a_branch_without_endpoints_has_no_host_and_no_uri(neon):
    path = f"/projects/{neon.project.id}/branches"
    status, made, _ = ask(neon, path, "POST", {"branch": {"name": "bare"}})
    assert (status, made["endpoints"]) == (201, [])
    assert "connection_uris" not in made
    status, made, _ = ask(neon, path, "POST", {"endpoints": [{"type": "read_write"}]})
    assert len(made["connection_uris"]) == 1


def test_connection_uris_are_absent_where_there_is_a_choice(neon):
    neon.add_role(neon.branch, "second")
    path = f"/projects/{neon.project.id}/branches"
    made = ask(neon, path, "POST", {"endpoints": [{"type": "read_write"}]})[1]
    assert "connection_uris" not in made


def test_operations_take_a_step_each_time_somebody_asks(neon):
    neon.steps = ("running", "finished")
    path = f"/projects/{neon.project.id}"
    made = ask(neon, f"{path}/branches", "POST", {"branch": {"name": "dev"}})[1]
    (operation,) = made["operations"]
    seen = [operation["status"]]
    for _ in range(3):
        answer = ask(neon, f"{path}/operations/{operation['id']}")[1]["operation"]
        seen.append(answer["status"])
    assert seen == ["scheduling", "running", "finished", "finished"]


def test_changes_are_locked_out_while_an_operation_runs(neon):
    neon.locking = True
    path = f"/projects/{neon.project.id}/branches"
    assert ask(neon, path, "POST", {"branch": {"name": "a"}})[0] == 201
    assert ask(neon, path, "POST", {"branch": {"name": "b"}})[0] == 423
    assert ask(neon, path, "POST", {"branch": {"name": "b"}})[0] == 201


def test_branches_that_stay_are_not_deleted_and_gone_ones_answer_204(neon):
    parent = neon.add_branch(neon.project, "parent")
    neon.add_branch(neon.project, "child").parent = parent.id
    guarded = neon.add_branch(neon.project, "guarded", protected=True)
    path = f"/projects/{neon.project.id}/branches"
    for kept in (neon.branch, parent, guarded):
        assert ask(neon, f"{path}/{kept.id}", "DELETE")[0] == 422
    assert ask(neon, f"{path}/br-gone-1", "DELETE")[:2] == (204, None)


def test_passwords_that_are_not_stored_are_not_shown(neon):
    neon.project.store_passwords = False
    (owner,) = neon.branch.roles
    path = f"/projects/{neon.project.id}/branches/{neon.branch.id}/roles"
    assert ask(neon, f"{path}/{owner}/reveal_password")[0] == 412
    assert ask(neon, f"{path}/nobody/reveal_password")[0] == 404
    neon.project.store_passwords = True
    shown = ask(neon, f"{path}/{owner}/reveal_password")[1]
    assert shown == {"password": neon.branch.roles[owner].password}
    neon.project.store_passwords = False
    assert uri(neon)[0] == 412
