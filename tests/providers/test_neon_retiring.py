"""Listing Neon's roles and branches, giving one another password, and ending them."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from ppg_integrations.errors import ChoiceError, ConfigurationError, ProviderError
from ppg_integrations.pair import ConnectionPair, Source
from ppg_integrations.providers import load
from ppg_integrations.providers.base import GenerateRequest, Target
from ppg_integrations.providers.neon import operations
from ppg_integrations.providers.settings import Settings
from ppg_integrations.urls import PostgresURL
from tests.support.doubles.neon import NeonDouble


@pytest.fixture
def neon(monkeypatch):
    monkeypatch.setattr(operations, "_EVERY", 0.01)
    with NeonDouble() as double:
        yield double


def provider(neon, **environ):
    return load("neon", Settings(neon.environ(**environ)))


def owner(branch):
    return next(iter(branch.databases.values())).owner


def pair_of(generated):
    source = Source("environment", "DATABASE_URL")
    return ConnectionPair(generated.pooled, generated.direct, source, source, "neon")


# list


def listed(neon, target=None, **more):
    found = provider(neon).connections(target or Target(), **more)
    return {each.id: each for each in found}


def test_the_default_branchs_roles_and_the_other_branches_are_listed(neon):
    neon.add_role(neon.branch, "app")
    dev = neon.add_branch(neon.project, "dev")
    found = listed(neon)
    main = neon.branch.id
    assert set(found) == {f"{main}/app", f"{main}/{owner(neon.branch)}", dev.id}
    assert found[f"{main}/app"].name == "app on main"
    assert found[dev.id].name == "dev"
    assert all(each.created_at for each in found.values())
    assert not any(each.in_use for each in found.values())


def test_another_branchs_roles_are_listed_where_it_is_asked_for(neon):
    dev = neon.add_branch(neon.project, "dev")
    assert set(listed(neon, Target(branch="dev"))) == {f"{dev.id}/{owner(dev)}", neon.branch.id}


def test_the_id_that_is_kept_says_which_is_in_use(neon):
    dev = neon.add_branch(neon.project, "dev")
    neon.add_role(dev, "app")
    used = f"{dev.id}/app"
    found = listed(neon, in_use=used)
    assert [id for id, each in found.items() if each.in_use] == [used]
    elsewhere = listed(neon, Target(branch="main"), in_use=used)
    assert [id for id, each in elsewhere.items() if each.in_use] == [dev.id]


@pytest.mark.parametrize("half", ["both", "pooled"])
def test_else_the_pairs_host_and_user_say_it(neon, half):
    dev = neon.add_branch(neon.project, "dev")
    pair = pair_of(provider(neon).read(Target(branch="dev")))
    if half == "pooled":
        pair = ConnectionPair(pair.pooled, None, pair.pooled_source, None, "neon")
    found = listed(neon, pair=pair)
    assert [id for id, each in found.items() if each.in_use] == [f"{dev.id}/{owner(dev)}"]


def test_a_pair_of_another_server_is_not_in_use(neon):
    generated = provider(neon).read(Target())
    pair = pair_of(generated)
    other = ConnectionPair(
        pair.pooled.replace(host="ep-x-pooler.us-east-2.aws.neon.tech"),
        pair.direct.replace(host="ep-x.us-east-2.aws.neon.tech"),
        pair.pooled_source,
        pair.direct_source,
    )
    assert not any(each.in_use for each in listed(neon, pair=other).values())


# rotate


def rotate(neon, target=None, intents=None, **more):
    said = [] if intents is None else intents
    request = GenerateRequest(target=target or Target())
    return provider(neon).rotate(request, said.append, **more)


def test_a_rotation_resets_the_password_in_place(neon):
    neon.steps = ("running", "finished")
    old = provider(neon).read(Target())
    intents = []
    rotated = rotate(neon, intents=intents, in_use=old.id)
    new = rotated.generated
    assert rotated.retire == ""
    assert new.id == old.id
    assert new.direct.password.reveal() == neon.branch.roles[owner(neon.branch)].password
    assert new.direct != old.direct
    assert new.direct.replace(password=None) == old.direct.replace(password=None)
    assert all(operation.over for operation in neon.project.operations.values())
    assert "second role" in new.notes[-1]
    (intent,) = intents
    assert (intent.action, intent.kind, intent.name) == ("rotate", "password", owner(neon.branch))


def test_the_role_in_use_is_meant_whatever_else_is_the_default(neon):
    dev = neon.add_branch(neon.project, "dev")
    neon.add_role(dev, "app")
    before = {name: role.password for name, role in dev.roles.items()}
    rotated = rotate(neon, in_use=f"{dev.id}/app")
    assert rotated.generated.id == f"{dev.id}/app"
    changed = [name for name, role in dev.roles.items() if role.password != before[name]]
    assert changed == ["app"]


def test_another_role_than_the_one_in_use_is_not_reset(neon):
    neon.add_role(neon.branch, "app")
    used = f"{neon.branch.id}/{owner(neon.branch)}"
    pair = pair_of(provider(neon).read(Target()))
    for known in ({"in_use": used}, {"pair": pair}):
        with pytest.raises(ConfigurationError, match="not of 'app'"):
            rotate(neon, Target(role="app"), **known)
    assert neon.count("POST") == 0


@pytest.mark.parametrize("half", ["both", "pooled"])
@pytest.mark.parametrize("kept", ["", "br-gone-1", "the parent's"])
def test_the_pair_says_whose_password_is_reset(neon, half, kept):
    """A branch has its parent's passwords: what was kept beside the parent's URLs fits too."""
    dev = neon.add_branch(neon.project, "dev")
    neon.add_role(dev, "app")
    pair = pair_of(provider(neon).read(Target(branch="dev", role="app")))
    if half == "pooled":
        pair = ConnectionPair(pair.pooled, None, pair.pooled_source, None, "neon")
    if kept == "the parent's":
        kept = f"{neon.branch.id}/{owner(neon.branch)}"
    everywhere = (neon.branch, dev)
    before = {(b.id, n): r.password for b in everywhere for n, r in b.roles.items()}
    new = rotate(neon, pair=pair, in_use=kept).generated
    after = {(b.id, n): r.password for b in everywhere for n, r in b.roles.items()}
    assert [each for each in before if before[each] != after[each]] == [(dev.id, "app")]
    assert new.pooled.host == pair.pooled.host


def test_a_rotation_stays_on_the_pairs_database(neon):
    neon.add_database(neon.branch, "reports", owner(neon.branch))
    for name in neon.branch.databases:
        pair = pair_of(provider(neon).read(Target(database=name)))
        assert rotate(neon, pair=pair).generated.direct.database == name
        named = Target(database="reports")
        assert rotate(neon, named, pair=pair).generated.direct.database == "reports"


def test_nothing_is_reset_where_the_pair_is_of_no_branch(neon):
    source = Source("file", "DATABASE_URL", ".env")
    url = "postgresql://{}:x@ep-other-1{}.us-east-2.aws.neon.tech/neondb"
    direct, pooled = (
        PostgresURL.parse(url.format(quote(owner(neon.branch)), end)) for end in ("", "-pooler")
    )
    pair = ConnectionPair(pooled, direct, source, source, "neon")
    own = ConnectionPair(
        pooled.replace(host="pool.example.com"),
        direct.replace(host="db.example.com"),
        source,
        source,
    )
    intents = []
    used = f"{neon.branch.id}/{owner(neon.branch)}"
    for other, in_use in ((pair, ""), (pair, used), (own, "")):
        with pytest.raises(ProviderError, match=r"has the host .* (ep-other-1|db)\.") as raised:
            rotate(neon, intents=intents, pair=other, in_use=in_use)
        assert raised.value.nothing_done
        assert "--project" in raised.value.hint
    assert (intents, neon.count("POST")) == ([], 0)
    # a name of one's own for the same server
    assert rotate(neon, pair=own, in_use=used).generated.id == used


def test_without_an_id_the_target_says_which(neon):
    neon.add_role(neon.branch, "app")
    assert rotate(neon, Target(role="app")).generated.direct.user == "app"


def test_passwords_that_are_not_stored_can_still_be_reset(neon):
    neon.project.store_passwords = False
    new = rotate(neon).generated
    assert new.direct.password.reveal() == neon.branch.roles[owner(neon.branch)].password
    assert new.pooled.host.partition(".")[0].endswith("-pooler")


def test_trouble_after_the_reset_is_not_taken_for_nothing(neon):
    neon.steps = ("failed",)
    with pytest.raises(ProviderError, match="has failed") as raised:
        rotate(neon)
    assert not raised.value.nothing_done


def test_urls_that_do_not_fit_are_refused_before_the_reset(neon):
    neon.rewrite = lambda uri, pooled: uri.replace("-pooler", "")
    with pytest.raises(ProviderError, match="not the two endpoints"):
        rotate(neon)
    assert neon.count("POST") == 0


def test_a_reset_that_takes_too_long_does_not_lose_the_password(neon, monkeypatch):
    neon.steps = ()
    monkeypatch.setattr(operations, "_EVERY", 60)  # a wait beyond the deadline is not begun
    rotated = rotate(neon)
    (role,) = neon.branch.roles.values()
    assert rotated.generated.direct.password.reveal() == role.password
    assert "had not finished" in rotated.generated.notes[0]


def test_the_replicas_url_has_the_new_password_too(neon):
    replica = neon.add_endpoint(neon.branch, "read_only")
    for stored in (True, False):
        neon.project.store_passwords = stored
        request = GenerateRequest(replica=True)
        new = provider(neon).rotate(request, lambda intent: None).generated
        assert new.replica.host == replica.host.replace(".", "-pooler.", 1)
        assert new.replica.password == new.direct.password


def elsewhere(neon):
    """A project that stores no passwords, with a host of one's own."""
    neon.project.store_passwords = False
    next(iter(neon.branch.endpoints.values())).host = "db.example.com"
    url = "postgresql://{}:old@{}:{}/other?sslmode=verify-full"
    role = quote(owner(neon.branch))
    pooled = PostgresURL.parse(url.format(role, "db.example.com", 6432))
    direct = PostgresURL.parse(url.format(role, "db.example.com", 5432))
    source = Source("environment", "DATABASE_URL")
    return ConnectionPair(pooled, direct, source, source, "neon")


def test_a_reset_whose_hosts_nobody_would_know_is_refused_before_it(neon):
    pair = elsewhere(neon)
    half = ConnectionPair(pair.pooled, None, pair.pooled_source, None, "neon")
    for known in (None, half):
        with pytest.raises(ProviderError, match="does not tell what the pooled one is") as raised:
            rotate(neon, pair=known)
        assert "`ppg-connect rotate` keeps their hosts" in raised.value.hint
    assert neon.count("POST") == 0


def test_the_pair_in_use_tells_both_hosts(neon):
    pair = elsewhere(neon)
    new = rotate(neon, pair=pair).generated
    (role,) = neon.branch.roles.values()
    (database,) = neon.branch.databases
    for url, old in ((new.pooled, pair.pooled), (new.direct, pair.direct)):
        assert (url.hosts, url.params) == (old.hosts, old.params)
        assert (url.user, url.database) == (role.name, database)
        assert url.password.reveal() == role.password


def test_a_password_that_is_not_stored_has_a_way_out_that_works(neon):
    neon.project.store_passwords = False
    neon.add_role(neon.branch, "app")
    with pytest.raises(ProviderError) as raised:
        provider(neon).read(Target(role="app"))
    assert "rotate --branch main --role app" in raised.value.hint
    assert rotate(neon, Target(branch="main", role="app")).generated.direct.user == "app"
    used = {"PPG_CONNECTION": f"{neon.branch.id}/{owner(neon.branch)}:0123abcd"}
    for settings, expected in ((used, "--role NAME --create"), ({}, "rotate")):
        with pytest.raises(ProviderError) as raised:
            load("neon", Settings(neon.environ(), settings)).read(Target(role="app"))
        assert expected in raised.value.hint
        # a rotation stays on the role in use, so it would lead nowhere
        assert ("rotate" in raised.value.hint) is not bool(settings)
    elsewhere(neon)
    with pytest.raises(ProviderError) as raised:
        provider(neon).read(Target(role="app"))
    assert "keeps their hosts" in raised.value.hint


# revoke


def revoke(neon, id, target=None, in_use=()):
    return provider(neon).revoke(target or Target(), id, in_use=frozenset(in_use))


@pytest.mark.parametrize("name", ["app", "Ann O'Neil/ä?"])
def test_a_role_is_deleted_by_its_id_or_its_name(neon, name):
    neon.steps = ("running", "finished")
    for id in (f"{neon.branch.id}/{name}", name):
        neon.add_role(neon.branch, name)
        assert revoke(neon, id) == ()
        assert list(neon.branch.roles) == [owner(neon.branch)]
    assert all(operation.over for operation in neon.project.operations.values())


def test_a_role_by_its_name_is_one_of_the_chosen_branch(neon):
    dev = neon.add_branch(neon.project, "dev")
    neon.add_role(dev, "app")
    with pytest.raises(ProviderError, match="no such role"):
        revoke(neon, "app")
    revoke(neon, "app", Target(branch="dev"))
    assert "app" not in dev.roles


def test_what_is_not_there_is_an_error(neon):
    for id in (f"{neon.branch.id}/gone", "br-gone-1/app", "br-gone-1", "nothing"):
        with pytest.raises(ProviderError, match=id) as raised:
            revoke(neon, id)
        assert "list" in raised.value.hint
    assert neon.count("DELETE") == 0


@pytest.mark.parametrize("status", [204, 404])
def test_a_role_that_another_deletes_meanwhile_is_no_error(neon, status):
    neon.add_role(neon.branch, "app")
    body = b"" if status == 204 else b'{"code": "", "message": "role not found"}'
    neon.fail("DELETE", status=status, body=body)
    assert "gone already" in revoke(neon, "app")[0]


def test_the_owner_of_a_database_stays(neon):
    with pytest.raises(ProviderError, match="owns the database") as raised:
        revoke(neon, f"{neon.branch.id}/{owner(neon.branch)}")
    assert "rotate" in raised.value.hint
    assert neon.count("DELETE") == 0


def test_what_the_api_refuses_is_told(neon):
    neon.add_role(neon.branch, "app")
    neon.fail("DELETE", status=422, body=b'{"code": "", "message": "role is in a policy"}')
    with pytest.raises(ProviderError, match="role is in a policy"):
        revoke(neon, "app")


def test_a_branch_is_deleted_by_its_id_or_its_name(neon):
    for name in ("dev", "br-odd"):
        dev = neon.add_branch(neon.project, name)
        (note,) = revoke(neon, dev.id)
        assert "its data with it" in note
        assert "7 days" in note
        neon.add_branch(neon.project, name)
        revoke(neon, name)
        assert list(neon.project.branches.values()) == [neon.branch]


def test_a_branch_that_another_deletes_meanwhile_is_no_error(neon):
    dev = neon.add_branch(neon.project, "dev")
    neon.fail("DELETE", status=204)
    assert "gone already" in revoke(neon, dev.id)[0]


def test_branches_that_matter_are_refused_before_anything_is_sent(neon):
    parent = neon.add_branch(neon.project, "parent")
    neon.add_branch(neon.project, "child").parent = parent.id
    guarded = neon.add_branch(neon.project, "guarded", protected=True)
    for branch, reason in (
        (neon.branch, "is the default branch"),
        (parent, "branches of its own: child"),
        (guarded, "is protected"),
    ):
        for id in (branch.id, branch.name):
            with pytest.raises(ProviderError, match=reason):
                revoke(neon, id)
    assert neon.count("DELETE") == 0


def test_what_is_in_use_is_not_deleted_by_any_name(neon):
    dev = neon.add_branch(neon.project, "dev")
    for role in ("app", "web"):
        neon.add_role(dev, role)
    used = f"{dev.id}/app"
    for in_use, ids in (
        ({used}, ("dev", dev.id, "app", used)),
        ({used, dev.id}, ("dev", dev.id, "app", used)),
        ({dev.id}, ("dev", dev.id, "app", used, "web")),  # and who uses it is not known
    ):
        for id in ids:
            with pytest.raises(ConfigurationError, match="is in use") as e:
                revoke(neon, id, Target(branch="dev"), in_use)
            other = "--role OTHER --create" if id not in ("dev", dev.id) else "--branch OTHER"
            assert f"`ppg-connect create {other}`" in e.value.hint
    assert neon.count("DELETE") == 0
    revoke(neon, "web", Target(branch="dev"), {used, dev.id})
    revoke(neon, used, in_use={f"{neon.branch.id}/app", neon.branch.id})
    assert set(dev.roles) == {owner(dev)}
    revoke(neon, "dev", in_use={f"{neon.branch.id}/app"})
    assert dev.id not in neon.project.branches


def test_what_is_kept_in_the_settings_protects_nothing(neon):
    """The caller says what is in use: after ``--force``, nothing is."""
    dev = neon.add_branch(neon.project, "dev")
    used = {"PPG_CONNECTION": f"{dev.id}/app:0123abcd"}
    load("neon", Settings(neon.environ(), used, "/srv/.env")).revoke(Target(), "dev")
    assert dev.id not in neon.project.branches


def test_a_name_of_both_a_role_and_a_branch_says_what_to_type(neon):
    neon.add_role(neon.branch, "dev")
    dev = neon.add_branch(neon.project, "dev")
    with pytest.raises(ProviderError) as raised:
        revoke(neon, "dev")
    assert not isinstance(raised.value, ChoiceError), "no option would answer it"
    ids = (dev.id, f"{neon.branch.id}/dev")
    assert all(f"`ppg-connect revoke {id}`" in raised.value.hint for id in ids)
    assert neon.count("DELETE") == 0
    for id in ids:
        revoke(neon, id)
    assert neon.count("DELETE") == 2
