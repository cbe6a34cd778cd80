"""What every provider promises. A new one gets a class in ``cases.py`` and passes all of this."""

from __future__ import annotations

import json
import logging
import traceback

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ppg_integrations.errors import (
    ChoiceError,
    ConfigurationError,
    ProviderError,
    UnsupportedError,
)
from ppg_integrations.probe import probe
from ppg_integrations.providers.base import Intent, Provider, Target
from tests.providers.cases import CASES, HOSTED, ended, pair_of, started, works


@pytest.fixture(params=CASES)
def case(request, servers):
    with started(request.param, servers) as made:
        yield made


@pytest.fixture(params=HOSTED)
def hosted(request, servers):
    with started(request.param, servers) as made:
        yield made


def fine(_intent):
    """An `intend` that writes nothing."""


def never(_intent):
    raise AssertionError("nothing is to be made here")


def listed(case, target=None, **more):
    found = case.provider().connections(case.request().target if target is None else target, **more)
    return {each.id: each for each in found}


def test_it_says_who_it_is(case):
    provider = case.provider()
    assert provider.name == case.name
    assert provider.title
    assert provider.console.startswith("https://") or case.double is None


# Generate.


def test_generate_gives_a_pooled_and_a_direct_url_that_work(case):
    generated = case.provider().generate(case.making(), fine)
    assert generated.id
    assert generated.name
    assert works(generated)
    assert probe(generated.pooled).kind == "transaction-pooler"
    assert probe(generated.direct).kind == "direct"


def test_progress_is_told_in_words_without_secrets(case):
    told = []
    generated = case.provider().generate(case.building(), fine, told.append)
    assert all(isinstance(each, str) and each for each in told)
    assert generated.direct.password.reveal() not in "".join(told)


def test_what_generate_remembers_leads_back_to_the_same_project(hosted):
    generated = hosted.provider().generate(hosted.making(), fine)
    hosted.second_project()
    project = generated.remember["PPG_PROJECT"]
    assert generated.id in listed(hosted, Target(project=project))


def test_the_intent_is_written_before_each_request_that_makes_something(case):
    seen = []
    case.provider().generate(case.building(), lambda intent: seen.append((intent, case.made())))
    assert [count for _, count in seen] == list(range(len(seen)))
    assert case.made() == len(seen) > 0
    for intent, _ in seen:
        assert isinstance(intent, Intent)
        assert (intent.provider, intent.action) == (case.name, "create")
        assert intent.kind
        assert intent.name
        assert all(isinstance(each, str) for pair in intent.ids.items() for each in pair)
    if case.double is not None:
        assert {each.method for each in case.double.requests} <= {"GET", "POST", "DELETE"}
        assert case.double.count("DELETE") == case.unasked


def test_where_the_intent_cannot_be_written_nothing_is_made(case):
    class DiskFull(Exception):
        pass

    def intend(_intent):
        raise DiskFull

    with pytest.raises(DiskFull):
        case.provider().generate(case.making(), intend)
    assert case.changes() == 0


# Settle.


@pytest.mark.parametrize("done", [True, False])
def test_a_request_whose_answer_was_lost_is_settled(hosted, done):
    before = set(listed(hosted))
    intents = []
    hosted.double.fail("POST", cut="before", work=done)
    with pytest.raises(ProviderError) as caught:
        hosted.provider().generate(hosted.making(), intents.append)
    assert not caught.value.nothing_done
    intent = intents[-1]
    settled = hosted.provider().settle(intent)
    after = set(listed(hosted))
    assert intent.name in settled.text
    if not done:
        assert settled.outcome == "missing"
        assert after == before
    elif settled.outcome == "removed":
        assert after == before
    else:
        assert settled.outcome == "kept"
        (new,) = after - before
        assert new in settled.text
    assert hosted.provider().settle(intent).outcome in ("missing", "kept")


def test_a_request_that_was_refused_has_done_nothing(hosted):
    hosted.double.fail("POST", status=400, body='{"message": "no"}')
    with pytest.raises(ProviderError) as caught:
        hosted.provider().generate(hosted.making(), fine)
    assert caught.value.nothing_done
    assert caught.value.status == 400


# Read.


def test_read_gives_what_works_and_changes_nothing(case):
    if "read" not in case.provider().capabilities:
        with pytest.raises(UnsupportedError):
            case.provider().read(Target())
        return
    found = case.provider().read(Target())
    assert works(found)
    assert case.changes() == 0
    assert case.provider().generate(case.request(), never).direct == found.direct


# List.


def test_the_list_shows_what_was_generated_and_which_one_is_in_use(case):
    one = case.provider().generate(case.making(), fine)
    two = case.provider().generate(case.making(), fine)
    found = listed(case, in_use=two.id)
    assert {one.id, two.id} <= found.keys()
    assert [each.id for each in found.values() if each.in_use] == [two.id]
    assert all(each.name for each in found.values())
    # an id that is not there any more is no other one's
    pair = pair_of(two, case.name)
    assert not any(each.in_use for each in listed(case, in_use=f"{two.id}x", pair=pair).values())


# Rotate and revoke.


@pytest.mark.parametrize("in_place", [False, True])
def test_rotate_gives_another_credential_and_the_old_one_ends_as_declared(case, in_place):
    provider = case.provider()
    old = provider.generate(case.making(), fine)
    if "rotate" not in provider.capabilities:
        with pytest.raises(UnsupportedError):
            case.provider().rotate(case.request(), never, in_use=old.id, in_place=in_place)
        return
    intents = []
    rotated = case.provider().rotate(
        case.request(), intents.append, in_use=old.id, in_place=in_place
    )
    assert intents
    assert works(rotated.generated)
    assert rotated.generated.direct.database == old.direct.database
    if in_place or provider.rotation_drops_connections:
        assert rotated.retire == ""
        assert intents[-1].action == "rotate"
    else:
        assert rotated.retire == old.id != rotated.generated.id
        assert works(old)
        case.provider().revoke(case.request().target, rotated.retire)
    assert ended(old)
    assert works(rotated.generated)


def test_revoke_ends_one_credential_and_no_other(case):
    keeper = case.provider().generate(case.making(), fine)
    made = case.provider().generate(case.making(), fine)
    target = case.request().target
    if "revoke" not in case.provider().capabilities:
        with pytest.raises(UnsupportedError):
            case.provider().revoke(target, made.id)
        assert works(made)
        return
    notes = case.provider().revoke(target, made.id)
    assert all(isinstance(each, str) for each in notes)
    assert ended(made)
    assert works(keeper)
    assert made.id not in listed(case)


def test_what_is_in_use_is_not_revoked(case):
    made = case.provider().generate(case.making(), fine)
    target = case.request().target
    if "revoke" not in case.provider().capabilities:
        with pytest.raises(UnsupportedError):
            case.provider().revoke(target, made.id, in_use=frozenset({made.id}))
        return
    with pytest.raises(ConfigurationError, match="is in use") as caught:
        case.provider().revoke(target, made.id, in_use=frozenset({made.id, "another"}))
    assert "--force" in caught.value.hint
    assert works(made)
    case.provider().revoke(target, made.id, in_use=frozenset({"another"}))
    assert ended(made)


# What it can and what it cannot.


def test_what_is_not_named_as_a_capability_is_unsupported_and_sends_nothing(case):
    request, target = case.request(), case.request().target
    calls = {
        "read": lambda provider: provider.read(target),
        "generate": lambda provider: provider.generate(request, never),
        "list": lambda provider: provider.connections(target),
        "rotate": lambda provider: provider.rotate(request, never, in_use="x"),
        "revoke": lambda provider: provider.revoke(target, "x"),
    }
    for name, call in calls.items():
        if name in case.provider().capabilities:
            continue
        with pytest.raises(UnsupportedError) as caught:
            call(case.provider())
        assert caught.value.hint
        assert caught.value.provider == case.name
        assert case.provider().title in caught.value.message
    assert case.double is None or case.double.requests == []


METHODS = {
    "generate": ("generate", "settle"),
    "list": ("connections",),
    "rotate": ("rotate",),
    "revoke": ("revoke",),
    "usage": ("usage",),
}


def test_capabilities_are_what_is_implemented(case):
    provider = type(case.provider())
    for name, methods in METHODS.items():
        for method in methods:
            own = getattr(provider, method) is not getattr(Provider, method)
            assert own == (name in provider.capabilities), method


# Choices and errors.


def test_several_projects_are_a_choice_and_nothing_is_made(hosted):
    hosted.second_project()
    calls = [
        lambda: hosted.provider().generate(hosted.making(), never),
        lambda: hosted.provider().connections(Target()),
    ]
    if "read" in hosted.provider().capabilities:
        calls.append(lambda: hosted.provider().read(Target()))
    for call in calls:
        with pytest.raises(ChoiceError) as caught:
            call()
        error = caught.value
        assert (error.option, error.provider) == ("project", hosted.name)
        assert len(error.choices) == 2
        assert {"shop", "other"} <= {text for choice in error.choices for text in choice}
        assert "--project" in error.hint
    chosen = error.choices[0][0]
    assert hosted.provider().connections(Target(project=chosen)) is not None


def test_a_project_that_is_not_there_is_told_by_its_name(hosted):
    target = Target(project="elsewhere")
    with pytest.raises(ProviderError, match="elsewhere") as caught:
        hosted.provider().connections(target)
    assert caught.value.hint


def test_a_wrong_token_is_told_with_its_variable(hosted):
    good = hosted.double.token
    intents = []
    hosted.provider().generate(hosted.making(), intents.append)
    for call in (
        lambda provider: provider.generate(hosted.making(), never),
        lambda provider: provider.connections(Target()),
        lambda provider: provider.settle(intents[-1]),
    ):
        bad = good[:-4] + "zzzz"
        with pytest.raises(ProviderError) as caught:
            call(hosted.provider(**{hosted.token: bad}))
        assert caught.value.status == 401
        assert hosted.token in str(caught.value)
        assert bad not in everything(caught.value)


def everything(error):
    """All that a log, a debugger's page or a pickle could show of an error."""
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return "\n".join([*lines, repr(vars(error)), str(error.__reduce__())])


@pytest.mark.parametrize("status", [200, 400, 403, 418, 500])
def test_no_error_and_no_log_shows_a_secret(hosted, status, caplog):
    caplog.set_level(logging.DEBUG)
    password = "sEcr3t-Pa55w0rd"
    url = f"postgresql://owner:{password}@db.example.com/shop"
    body = {"message": f"{hosted.double.token} {url}", "uri": url, "password": password}
    body |= {"data": [{"connectionString": url}], "projects": [{"id": 1, "name": url}]}
    hosted.double.fail(status=status, body=json.dumps(body), times=None)
    provider = hosted.provider(PPG_TIMEOUT="1")
    for call in (
        lambda: provider.generate(hosted.making(), fine),
        lambda: provider.connections(Target()),
    ):
        with pytest.raises(ProviderError) as caught:
            call()
        shown = everything(caught.value) + caplog.text
        assert password not in shown
        assert hosted.double.token not in shown


# Whatever the API answers.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "name", "data", "projects", "branches", "uri", "pagination"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=6,
)


@st.composite
def spoilt(draw):
    """Which answer is spoilt, at which place in it, and by what."""
    return draw(st.integers(0, 6)), draw(st.lists(st.integers(0, 9), max_size=5)), draw(JSON)


def spoil(answer, path, by):
    """A copy of `answer` with something else at `path`, whose numbers choose members."""
    if not path or not isinstance(answer, list | dict) or not answer:
        return by
    keys = list(answer) if isinstance(answer, dict) else list(range(len(answer)))
    key = keys[path[0] % len(keys)]
    copy = answer.copy()
    copy[key] = spoil(answer[key], path[1:], by)
    return copy


def intent_of(case):
    """An intent of something that is there, the same one each time."""
    if not hasattr(case, "intent"):
        intents = []
        case.answer, spoilt = lambda answer: answer, case.answer
        case.provider().generate(case.making(), intents.append)
        case.answer, case.intent = spoilt, intents[-1]
    return case.intent


@pytest.mark.once
@settings(
    max_examples=30,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(spoilt=spoilt())
def test_any_json_gives_a_result_or_a_provider_error(hosted, spoilt):
    which, path, by = spoilt
    calls = [
        lambda provider: provider.generate(hosted.request(), fine),
        lambda provider: provider.connections(Target()),
        lambda provider: provider.settle(intent_of(hosted)),
        lambda provider: provider.usage(Target()),
    ]
    for call in calls:
        count = iter(range(1000))
        hosted.answer = lambda answer: spoil(answer, path, by) if next(count) == which else answer
        try:
            call(hosted.provider(PPG_TIMEOUT="0.5"))
        except ProviderError as error:
            assert error.message
