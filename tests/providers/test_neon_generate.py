"""Making what is missing at Neon, and only what was asked for; settling what was cut off."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from ppg_integrations.errors import ConfigurationError, ProviderError, ProviderUnavailableError
from ppg_integrations.providers import load
from ppg_integrations.providers.base import GenerateRequest, Intent, Target
from ppg_integrations.providers.neon import operations
from ppg_integrations.providers.settings import Settings
from tests.support.doubles.neon import NeonDouble


@pytest.fixture
def neon(monkeypatch):
    monkeypatch.setattr(operations, "_EVERY", 0.01)
    with NeonDouble() as double:
        yield double


@pytest.fixture
def intents(neon):
    """What was written down; each also holds how many changes had been sent by then."""
    return []


def provider(neon, **environ):
    return load("neon", Settings(neon.environ(**environ)))


def generate(neon, intents=None, *, create=True, replica=False, region="", environ=None, **target):
    request = GenerateRequest(
        target=Target(**target), create=create, replica=replica, region=region
    )
    said = [] if intents is None else intents
    return provider(neon, **(environ or {})).generate(
        request, lambda intent: said.append((intent, neon.count("POST")))
    )


def last_body(neon, path):
    return json.loads(next(r.body for r in reversed(neon.requests) if r.path.endswith(path)))


def test_nothing_is_made_unless_told_to(neon, intents):
    found = generate(neon, intents, create=False)
    assert found == provider(neon).read(Target())
    assert generate(neon, intents) == found
    with pytest.raises(ProviderError, match="no branch called 'dev'"):
        generate(neon, intents, create=False, branch="dev")
    with pytest.raises(ProviderError, match="no role called 'app'"):
        generate(neon, intents, create=False, role="app")
    assert intents == []
    assert neon.count("POST|DELETE|PATCH|PUT") == 0


def test_a_branch_is_made_with_a_compute_and_waited_for(neon, intents):
    neon.steps = ("running", "finished")
    found = generate(neon, intents, branch="dev")
    (dev,) = (each for each in neon.project.branches.values() if each.name == "dev")
    assert dev.parent == neon.branch.id
    assert [each.type for each in dev.endpoints.values()] == ["read_write"]
    assert found.id.startswith(f"{dev.id}/")
    assert {each.status for each in neon.project.operations.values()} == {"finished"}
    ((intent, sent),) = intents
    assert (intent.action, intent.kind, intent.name) == ("create", "branch", "dev")
    assert intent.ids == {"project": neon.project.id}
    assert sent == 0  # it was written down before the request went out
    assert generate(neon, branch="dev").id == found.id


def test_auto_with_create_makes_the_git_branch(neon):
    found = generate(neon, branch="auto", environ={"RENDER_GIT_BRANCH": "fix/9"})
    assert found.name.endswith("on fix/9")


def test_a_branch_may_be_made_for_a_time(neon):
    found = generate(neon, branch="dev", environ={"PPG_BRANCH_TTL": "3600"})
    expires = last_body(neon, "/branches")["branch"]["expires_at"]
    at = datetime.fromisoformat(expires.replace("Z", "+00:00"))
    assert abs(at - datetime.now(timezone.utc) - timedelta(hours=1)) < timedelta(minutes=1)
    assert expires in found.notes[0]


@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan", "1e9"])
def test_a_time_that_is_none_is_refused_before_anything_is_made(neon, value, intents):
    with pytest.raises(ConfigurationError, match="PPG_BRANCH_TTL in the environment"):
        generate(neon, intents, branch="dev", environ={"PPG_BRANCH_TTL": value})
    assert (intents, neon.count("POST")) == ([], 0)


def test_a_role_is_made_and_the_note_says_what_it_may_not(neon, intents):
    found = generate(neon, intents, role="app")
    assert found.id == f"{neon.branch.id}/app"
    assert found.direct.password.reveal() == neon.branch.roles["app"].password
    ((intent, sent),) = intents
    assert (intent.kind, intent.name, sent) == ("role", "app", 0)
    assert intent.ids == {"project": neon.project.id, "branch": neon.branch.id}
    (note,) = found.notes
    assert "migrations" in note
    assert next(iter(neon.branch.databases.values())).owner in note
    assert generate(neon, role="app").notes == ()


def test_a_role_is_made_where_passwords_are_not_stored(neon):
    neon.project.store_passwords = False
    found = generate(neon, role="app")
    assert found.direct.password.reveal() == neon.branch.roles["app"].password
    (endpoint,) = neon.branch.endpoints.values()
    assert found.direct.host == endpoint.host
    assert found.pooled.host == endpoint.host.replace(".", "-pooler.", 1)


def test_a_compute_is_made_for_a_branch_without(neon, intents):
    bare = neon.add_branch(neon.project, "bare", compute=False)
    assert generate(neon, intents, branch="bare").id.startswith(bare.id)
    assert [intent.kind for intent, _ in intents] == ["endpoint"]


def test_a_replica_is_made_where_there_is_none(neon, intents):
    found = generate(neon, intents, replica=True)
    (made,) = (e for e in neon.branch.endpoints.values() if e.type == "read_only")
    assert found.replica.host.startswith(f"{made.id}-pooler.")
    assert [intent.kind for intent, _ in intents] == ["endpoint"]
    assert generate(neon, intents, replica=True).replica == found.replica
    assert len(intents) == 1


def test_a_database_is_made_for_the_owner_or_the_role(neon, intents):
    owner = next(iter(neon.branch.roles))
    assert generate(neon, intents, database="second").direct.user == owner
    found = generate(neon, intents, database="third", role="app")
    assert neon.branch.databases["third"].owner == "app"
    assert found.notes == ()  # it owns the database
    kinds = [intent.kind for intent, _ in intents]
    assert kinds == ["database", "role", "database"]


def test_a_project_is_made_only_by_name(intents):
    with NeonDouble(empty=True) as neon:
        with pytest.raises(ProviderError, match="no project"):
            generate(neon, intents)
        assert neon.count("POST") == 0
        found = generate(neon, intents, project="Shop", region="aws-eu-central-1")
        assert found.remember == {"PPG_PROJECT": neon.project.id}
        sent = last_body(neon, "/projects")["project"]
        org = next(iter(neon.orgs))
        assert sent == {"name": "Shop", "region_id": "aws-eu-central-1", "org_id": org}
        assert [intent.kind for intent, _ in intents] == ["project"]


def test_a_new_project_belongs_to_an_organization_that_is_named(neon):
    neon.orgs["org-other-2"] = "Other"
    with pytest.raises(ProviderError, match="2 organizations") as raised:
        generate(neon, project="new")
    assert "org-other-2" in raised.value.hint
    generate(neon, project="new", environ={"NEON_ORG_ID": "org-other-2"})
    assert last_body(neon, "/projects")["project"]["org_id"] == "org-other-2"


def test_everything_at_once(intents):
    with NeonDouble(empty=True) as neon:
        found = generate(
            neon, intents, project="Shop", branch="dev", database="db", role="app", replica=True
        )
        assert found.remember == {"PPG_PROJECT": neon.project.id, "PPG_DATABASE": "db"}
        kinds = [intent.kind for intent, _ in intents]
        assert kinds == ["project", "branch", "role", "database", "endpoint"]
        assert [sent for _, sent in intents] == [0, 1, 2, 3, 4]
        assert (found.direct.user, found.direct.database) == ("app", "db")


# Operations.


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_an_operation_that_fails_is_told(neon, end):
    neon.steps = ("running", end)
    with pytest.raises(ProviderError, match=f"create_branch has {end}") as raised:
        generate(neon, branch="dev")
    assert raised.value.nothing_done, "the request itself was answered"
    assert "console" in raised.value.hint


def test_an_operation_in_error_is_waited_for(neon):
    neon.steps = ("error", "skipped")
    assert generate(neon, role="app").direct.user == "app"


def test_an_operation_that_does_not_end_is_given_up_at_the_deadline(neon, monkeypatch):
    neon.steps = ()
    monkeypatch.setattr(operations, "_EVERY", 60)  # a wait beyond the deadline is not begun
    with pytest.raises(ProviderUnavailableError, match="waiting for the role app") as raised:
        generate(neon, role="app")
    assert raised.value.nothing_done
    assert "goes on from here" in raised.value.hint
    neon.steps = ("finished",)
    assert generate(neon, role="app").direct.user == "app"


def test_a_password_that_was_shown_once_and_lost_is_told(neon):
    neon.project.store_passwords = False
    neon.steps = ("failed",)
    with pytest.raises(ProviderError, match="has failed") as raised:
        generate(neon, role="app")
    assert f"revoke {neon.branch.id}/app" in raised.value.hint


def test_progress_tells_what_is_made(neon):
    said = []
    request = GenerateRequest(target=Target(branch="dev"), create=True)
    provider(neon).generate(request, lambda intent: None, said.append)
    assert said == ["making the branch dev", "waiting for the branch dev"]


def test_another_operation_of_the_project_is_waited_for(neon):
    neon.locking = True
    neon.steps = ("running", "finished")
    neon._work(neon.project, neon.branch, "apply_config")
    assert generate(neon, role="app").direct.user == "app"


# What an error leaves behind.


def test_a_refusal_leaves_nothing(neon):
    neon.fail("POST", "/roles", status=422, body=b'{"code": "", "message": "bad name"}')
    with pytest.raises(ProviderError, match="bad name") as raised:
        generate(neon, role="app")
    assert raised.value.nothing_done


def test_a_lost_answer_may_have_left_something(neon):
    neon.fail("POST", "/roles", cut="before", work=True)
    with pytest.raises(ProviderError) as raised:
        generate(neon, role="app")
    assert not raised.value.nothing_done
    assert neon.count("POST") == 1


def test_trouble_after_an_answer_leaves_nothing_to_find_out(neon):
    neon.rewrite = lambda uri, pooled: uri.replace("-pooler", "")
    with pytest.raises(ProviderError, match="not the two endpoints") as raised:
        generate(neon, role="app")
    assert raised.value.nothing_done
    neon.rewrite = lambda uri, pooled: uri
    assert generate(neon, role="app").direct.user == "app"


@pytest.mark.parametrize("answer", [{}, {"branch": {"id": 7}}])
def test_an_answer_that_is_not_understood_leaves_the_intent(neon, answer):
    neon.fail("POST", "/branches", status=201, body=json.dumps(answer), work=True)
    with pytest.raises(ProviderError, match="branch") as raised:
        generate(neon, branch="dev")
    assert not raised.value.nothing_done


def test_no_role_is_made_whose_urls_nobody_would_know(neon, intents):
    neon.project.store_passwords = False
    next(iter(neon.branch.endpoints.values())).host = "db.example.com"
    with pytest.raises(ProviderError, match=r"db\.example\.com does not tell") as raised:
        generate(neon, intents, role="app")
    assert (intents, neon.count("POST")) == ([], 0)
    assert "Make the role in the console" in raised.value.hint


def test_an_intent_that_cannot_be_kept_stops_the_request(neon):
    def refuse(intent):
        raise ConfigurationError("the disk is full")

    request = GenerateRequest(target=Target(branch="dev", role="app"), create=True)
    with pytest.raises(ConfigurationError, match="disk is full"):
        provider(neon).generate(request, refuse)
    assert neon.count("POST") == 0


# Settling.


def settle(neon, kind, name, action="create", **ids):
    ids.setdefault("project", neon.project.id)
    return provider(neon).settle(Intent("neon", action, kind, name, ids))


def test_what_is_there_is_kept_and_what_is_not_is_missing(neon):
    dev = neon.add_branch(neon.project, "dev")
    neon.add_role(dev, "app")
    here = {"branch": dev.id}
    assert settle(neon, "project", "shop").outcome == "kept"
    assert settle(neon, "project", "nowhere").outcome == "missing"
    assert settle(neon, "branch", "dev").outcome == "kept"
    assert settle(neon, "branch", "fix").outcome == "missing"
    assert settle(neon, "role", "app", **here).outcome == "kept"
    assert settle(neon, "role", "web", **here).outcome == "missing"
    assert settle(neon, "role", "app", branch="br-gone-1").outcome == "missing"
    assert settle(neon, "database", next(iter(dev.databases)), **here).outcome == "kept"
    assert settle(neon, "database", "web", **here).outcome == "missing"
    assert settle(neon, "endpoint", "dev", type="read_write", **here).outcome == "kept"
    assert settle(neon, "endpoint", "dev", type="read_only", **here).outcome == "missing"
    assert settle(neon, "password", "web", "rotate", **here).outcome == "missing"
    assert f"{dev.id}/app" in settle(neon, "role", "app", **here).text


@pytest.mark.parametrize("kind", ["branch", "role", "database", "endpoint", "password"])
def test_in_a_project_that_the_key_does_not_see_nothing_is_known(neon, kind):
    action = "rotate" if kind == "password" else "create"
    with pytest.raises(ProviderError, match=r"no project old-gone-1 .* is not known") as raised:
        settle(neon, kind, "app", action, project="old-gone-1", branch=neon.branch.id)
    assert "another account" in raised.value.hint


@pytest.mark.parametrize("work", [True, False])
def test_a_reset_whose_answer_was_lost_is_read_again(neon, work):
    neon.steps = ("running", "finished")
    neon.fail("POST", "/reset_password", cut="before", work=work)
    said = []
    with pytest.raises(ProviderError) as raised:
        provider(neon).rotate(GenerateRequest(), said.append)
    assert not raised.value.nothing_done
    settled = provider(neon).settle(said[0])
    (role,) = neon.branch.roles.values()
    assert settled.outcome == "restored"
    assert settled.generated.direct.password.reveal() == role.password
    assert settled.generated.remember["PPG_PROJECT"] == neon.project.id
    assert all(operation.over for operation in neon.project.operations.values())
    assert role.password not in settled.text


def test_a_password_that_is_lost_for_good_can_be_reset(neon):
    neon.project.store_passwords = False
    (owner,) = neon.branch.roles
    database = next(iter(neon.branch.databases))
    ids = {"branch": neon.branch.id, "database": database}
    for kind, action, then in (("password", "rotate", "rotate"), ("role", "create", "revoke")):
        settled = settle(neon, kind, owner, action, **ids)
        assert settled.outcome == "kept"
        assert f"`ppg-connect {then}" in settled.text


def test_a_reset_of_a_role_of_any_name_is_settled(neon):
    role = "Ann\n\x1b[31m"
    neon.add_role(neon.branch, role)
    neon.fail("POST", "/reset_password", cut="before", work=True)
    intents = []
    with pytest.raises(ProviderError):
        request = GenerateRequest(target=Target(role=role))
        provider(neon).rotate(request, intents.append)
    assert intents[0].name.isprintable()
    settled = provider(neon).settle(intents[0])
    assert settled.generated.direct.user == role
    assert settled.text.isprintable()
