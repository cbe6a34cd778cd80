"""case.dev, by its double."""

from __future__ import annotations

import subprocess

import pytest

from ppg_integrations.drivers import connect
from ppg_integrations.errors import (
    ChoiceError,
    ConfigurationError,
    ProviderError,
    UnsupportedError,
)
from ppg_integrations.pair import ConnectionPair, Source
from ppg_integrations.providers.base import GenerateRequest, Intent, Target
from ppg_integrations.providers.casedev import CasedevProvider
from ppg_integrations.providers.settings import Settings
from ppg_integrations.urls import PostgresURL
from tests.support.doubles.accounts import Accounts
from tests.support.doubles.casedev import REGIONS, CasedevDouble

PROJECTS = "/database/v1/projects"


@pytest.fixture
def double():
    """One whose hosts are made up: nothing connects to them."""
    with CasedevDouble() as running:
        yield running


def provider(double, **more):
    environ = {"CASEDEV_BASE_URL": double.url, "CASEDEV_API_KEY": double.token, "PPG_TIMEOUT": "5"}
    return CasedevProvider(Settings(environ | more))


def no_intent(_intent):
    raise AssertionError("nothing is to be made here")


def request(branch="", project="", **more):
    return GenerateRequest(target=Target(project=project, branch=branch), **more)


def sent(double):
    return [(each.method, each.path, each.query) for each in double.requests]


def test_the_pair_of_the_default_branch_takes_two_questions_about_urls(double):
    found = provider(double).read(Target())
    assert found.id == double.branch.id
    assert found.name == "main"
    assert found.pooled == PostgresURL.parse(double.uri(double.branch, True))
    assert found.direct == PostgresURL.parse(double.uri(double.branch, False))
    assert found.remember == {"PPG_PROJECT": double.project.id}
    one = f"{PROJECTS}/{double.project.id}"
    assert sent(double) == [
        ("GET", PROJECTS, ""),
        ("GET", f"{one}/branches", ""),
        ("GET", f"{one}/connection", "branch=main&pooled=true"),
        ("GET", f"{one}/connection", "branch=main&pooled=false"),
    ]


def test_the_pair_works_and_is_a_copy_of_the_branch(servers):
    with Accounts(servers) as accounts, CasedevDouble(accounts) as double:
        main = provider(double).read(Target())
        with connect(main.direct) as connection:
            connection.execute("CREATE TABLE t AS SELECT 7 AS seven")
        intents = []
        made = provider(double).generate(request("dev", create=True), intents.append)
        for url in (made.pooled, made.direct):
            with connect(url) as connection:
                assert connection.fetch("SELECT seven FROM t") == [(7,)]
        assert made.pooled.port == servers.status().pooler.port
        assert made.direct.database != main.direct.database


@pytest.mark.parametrize("by", ["id", "name"])
def test_projects_and_branches_are_chosen_by_id_or_exact_name(double, by):
    other = double.add_project("other")
    branch = double.add_branch(other, "dev")
    double.add_branch(other, "dev2")
    target = Target(project=getattr(other, by), branch=getattr(branch, by))
    assert provider(double).read(target).id == branch.id
    assert provider(double).read(Target(project=getattr(other, by))).id == other.default.id


def test_several_projects_are_a_choice(double):
    other = double.add_project("other")
    with pytest.raises(ChoiceError) as caught:
        provider(double).generate(request(create=True), no_intent)
    assert caught.value.option == "project"
    assert caught.value.choices == ((double.project.id, "shop"), (other.id, "other"))
    assert "--project" in caught.value.hint
    double.add_project("other")
    with pytest.raises(ChoiceError, match="more than one project called other"):
        provider(double).read(Target(project="other"))


@pytest.mark.parametrize("branch", ["", "nope", "mai", "Main"])
def test_what_is_not_there_is_told_with_what_is(double, branch):
    project = "" if branch else "nope"
    with pytest.raises(ProviderError, match="nope|mai|Main") as caught:
        provider(double).generate(request(branch, project), no_intent)
    assert "main (" in caught.value.hint if branch else "shop (" in caught.value.hint
    assert "--create" in caught.value.hint
    assert caught.value.nothing_done


def test_without_any_project_the_hint_says_how_to_make_one():
    with CasedevDouble(empty=True) as double:
        with pytest.raises(ProviderError, match="no project ") as caught:
            provider(double).read(Target())
    assert "--create --project" in caught.value.hint


def test_a_suspended_project_is_told_and_a_deleted_one_is_not_there(double):
    double.project.status = "suspended"
    with pytest.raises(ProviderError, match="is suspended") as caught:
        provider(double).read(Target())
    assert "console.case.dev" in caught.value.hint
    double.project.status = "deleted"
    other = double.add_project("other")
    assert provider(double).read(Target()).id == other.default.id


def test_a_project_and_a_branch_are_made_each_after_its_intent(double):
    intents = []

    def intend(intent):
        assert double.count("POST") == len(intents)
        intents.append(intent)

    made = provider(double).generate(
        request("dev", "new-shop", region="aws-eu-west-1", create=True), intend
    )
    project = double.projects[1]
    assert (project.name, project.region) == ("new-shop", "aws-eu-west-1")
    assert made.id == project.branches[1].id
    assert made.remember == {"PPG_PROJECT": project.id}
    assert [(each.kind, each.name, dict(each.ids)) for each in intents] == [
        ("project", "new-shop", {}),
        ("branch", "dev", {"project": project.id}),
    ]
    assert [provider(double).settle(each).outcome for each in intents] == ["kept", "kept"]
    again = provider(double).generate(request("dev", "new-shop", create=True), no_intent)
    assert again.id == made.id


def test_the_first_project_is_named_after_the_folder(tmp_path):
    folder = tmp_path / "My shop!"
    folder.mkdir()
    with CasedevDouble(empty=True) as double:
        asked = request(create=True, project_folder=folder)
        provider(double).generate(asked, lambda _: None)
        assert double.project.name == "My-shop"


@pytest.mark.parametrize("name", ["a b", "a/b", "ä", "../x"])
def test_a_name_that_the_api_would_refuse_is_refused_before_anything_is_made(double, name):
    for asked in (request(name, create=True), request("", name, create=True)):
        with pytest.raises(ConfigurationError, match="cannot be the name"):
            provider(double).generate(asked, no_intent)
    assert double.count("POST") == 0


def test_nothing_is_sent_where_the_intent_cannot_be_written(double):
    def full_disk(_intent):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        provider(double).generate(request("dev", create=True), full_disk)
    assert double.count("POST") == 0


@pytest.mark.parametrize(
    ("cut", "work", "outcome"), [(True, True, "kept"), (True, False, "missing")]
)
def test_an_intent_whose_answer_was_lost_is_settled(double, cut, work, outcome):
    intents = []
    double.fail("POST", cut="before", work=work)
    with pytest.raises(ProviderError) as caught:
        provider(double).generate(request("dev", create=True), intents.append)
    assert not caught.value.nothing_done
    assert provider(double).settle(intents[0]).outcome == outcome


def test_in_a_project_that_the_token_does_not_see_nothing_is_known(double):
    intent = Intent("casedev", "create", "branch", "dev", {"project": "gone"})
    with pytest.raises(ProviderError, match=r"no project gone .* is not known") as caught:
        provider(double).settle(intent)
    assert "another account" in caught.value.hint


@pytest.mark.parametrize("branch", ["auto", "auto-or-default"])
def test_auto_is_the_git_branch(double, branch):
    feature = double.add_branch(double.project, "feature-x")
    ci = {"GITHUB_HEAD_REF": "feature/x"}
    assert provider(double, **ci).read(Target(branch=branch)).id == feature.id
    intents = []
    ci = {"GITHUB_HEAD_REF": "feature/y"}
    provider(double, **ci).generate(request("auto", create=True), intents.append)
    assert [each.name for each in intents] == ["feature-y"]


def test_only_auto_or_default_falls_back(double, tmp_path, monkeypatch):
    ci = {"GITHUB_HEAD_REF": "elsewhere"}
    with pytest.raises(ProviderError, match="elsewhere"):
        provider(double, **ci).read(Target(branch="auto"))
    found = provider(double, **ci).read(Target(branch="auto-or-default"))
    assert found.name == "main"
    assert found.notes == ("There is no branch elsewhere: this is the default branch, main.",)
    monkeypatch.chdir(tmp_path)  # no work tree
    with pytest.raises(ConfigurationError, match="git branch"):
        provider(double).generate(request("auto", "new", create=True), no_intent)
    found = provider(double).generate(request("auto-or-default"), no_intent)
    assert found.name == "main"
    assert found.notes == ("The git branch is not known: this is the default branch, main.",)


def test_auto_asks_the_folder_of_the_env_file(double, tmp_path):
    double.add_branch(double.project, "topic")
    subprocess.run(["git", "init", "-q", "-b", "topic", str(tmp_path)], check=True)
    environ = {"PPG_API_URL": double.url, "CASEDEV_API_KEY": double.token}
    settings = Settings(environ, {}, str(tmp_path / ".env"))
    assert CasedevProvider(settings).read(Target(branch="auto")).name == "topic"


def wrong(**changes):
    return lambda answer: answer | changes


NEON = "postgresql://u:p@{}/db?sslmode=require"


@pytest.mark.parametrize(
    ("rewrite", "said"),
    [
        (lambda answer: answer | {"pooled": not answer["pooled"]}, "the other one"),
        (wrong(pooled=True), "the other one"),
        (wrong(branch="dev"), "another"),
        (wrong(connectionUri="mysql://u:p@h/d"), "connectionUri"),
        (wrong(connectionUri=NEON.format("db.example.com")), "two endpoints"),
        (
            lambda answer: (
                answer | {"connectionUri": f"postgresql://{'u' if answer['pooled'] else 'v'}:p@h/d"}
            ),
            "differ in user",
        ),
        (
            lambda answer: (
                answer | {"connectionUri": f"postgresql://u:p@h/{'c' if answer['pooled'] else 'd'}"}
            ),
            "differ in user or database",
        ),
        (
            lambda answer: (
                answer
                | {
                    "connectionUri": NEON.format(
                        f"ep-x{'' if answer['pooled'] else '-pooler'}.us-east-2.aws.neon.tech"
                    )
                }
            ),
            "two endpoints",
        ),
        (
            lambda answer: (
                answer
                | {
                    "connectionUri": NEON.format(
                        f"ep-{'x-pooler' if answer['pooled'] else 'y'}.us-east-2.aws.neon.tech"
                    )
                }
            ),
            "two endpoints",
        ),
    ],
)
def test_answers_that_contradict_the_question_or_each_other_are_refused(double, rewrite, said):
    double.rewrite = rewrite
    with pytest.raises(ProviderError, match=said) as caught:
        provider(double).read(Target())
    assert caught.value.nothing_done
    assert ":p@" not in str(caught.value)
    with pytest.raises(ProviderError, match=said) as caught:
        provider(double).generate(request("new", create=True), lambda _: None)
    assert caught.value.nothing_done, "the new branch was answered: the next run finds it"
    assert caught.value.hint


def test_one_host_with_two_ports_is_a_pair(double):
    double.rewrite = lambda answer: (
        answer
        | {
            "connectionUri": f"postgresql://u:p@db.example.com:{6432 if answer['pooled'] else 5432}/d"
        }
    )
    assert provider(double).read(Target()).pooled.port == 6432


@pytest.mark.parametrize("status", [404, 410])
def test_an_api_that_is_gone_is_told(double, status):
    double.fail(path="/database/", status=status, body='{"error": "Not found"}', times=None)
    with pytest.raises(ProviderError, match=str(status)) as caught:
        provider(double).read(Target())
    assert "retired" in caught.value.hint
    assert "DATABASE_URL" in caught.value.hint
    assert "console.case.dev" in caught.value.hint


def test_a_region_that_there_is_not_is_told_with_those_that_are_known(double):
    asked = request(project="new", region="mars-1", create=True)
    with pytest.raises(ProviderError, match="Invalid region") as caught:
        provider(double).generate(asked, lambda _: None)
    assert all(region in caught.value.hint for region in REGIONS)


@pytest.mark.parametrize("id", ["../x", "a/b", "a b", ".."])
def test_an_id_that_is_none_goes_into_no_path(double, id):
    double.project.id = id
    with pytest.raises(ProviderError, match="id"):
        provider(double).read(Target())
    assert len(double.requests) == 1


def test_a_name_cannot_write_on_the_terminal(double):
    double.add_project("x\x1b[2J")
    with pytest.raises(ChoiceError) as caught:
        provider(double).read(Target())
    assert "\x1b" not in str(caught.value) + str(caught.value.choices)


def pair_of(found):
    source = Source("file", "DATABASE_URL", ".env")
    return ConnectionPair(found.pooled, found.direct, source, source, "casedev")


def test_branches_are_listed_and_the_one_in_use_is_marked(double):
    dev = double.add_branch(double.project, "dev")
    main = provider(double).read(Target())
    listed = provider(double).connections(Target(), in_use=dev.id)
    assert [(each.id, each.name, each.in_use) for each in listed] == [
        (double.branch.id, "main", False),
        (dev.id, "dev", True),
    ]
    assert all(each.created_at for each in listed)
    before = len(double.requests)
    listed = provider(double).connections(Target(), pair=pair_of(main))
    assert [each.in_use for each in listed] == [True, False]
    assert len(double.requests) - before == 3
    other = provider(double).read(Target(branch="dev"))
    listed = provider(double).connections(Target(branch="dev"), pair=pair_of(other))
    assert [each.in_use for each in listed] == [False, True]
    assert not any(each.in_use for each in provider(double).connections(Target()))
    half = ConnectionPair(main.pooled, None, Source("file", "DATABASE_URL"), None)
    assert provider(double).connections(Target(), pair=half)[0].in_use


def test_what_its_api_cannot_do_is_done_in_the_console(double):
    for call in (
        lambda: provider(double).rotate(request(), no_intent),
        lambda: provider(double).revoke(Target(), "x"),
    ):
        with pytest.raises(UnsupportedError, match=r"case\.dev") as caught:
            call()
        assert "console.case.dev" in caught.value.hint
    assert double.requests == []


def test_no_token_is_an_error_before_any_request(double):
    with pytest.raises(ConfigurationError, match="CASEDEV_API_KEY"):
        CasedevProvider(Settings({"PPG_API_URL": double.url})).read(Target())
    assert double.requests == []
