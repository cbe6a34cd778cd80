"""API.pages: all of a list, and an end with any server."""

from __future__ import annotations

import itertools

import flask
import pytest

from ppg_integrations.errors import ProviderError
from ppg_integrations.providers.api import API, Rules
from tests.support.doubles.base import Double

RULES = Rules("neon", "Neon", frozenset({423}))


class Lists(Double):
    """Answers each request for ``/things`` with what the test's function makes of the cursor."""

    def __init__(self):
        super().__init__()
        self.answer = None

        @self.app.get("/things")
        def things():
            return self.answer(flask.request.args.get("cursor"))

    def authenticate(self):
        pass


@pytest.fixture(scope="module")
def running():
    with Lists() as double:
        yield double


@pytest.fixture
def lists(running):
    running.requests.clear()
    return running


def ids(lists, answer, **more):
    lists.answer = answer
    with API(RULES, lists.url, None, timeout=10) as api:
        arguments = {"items": "data", "cursor": ("pagination", "next"), **more}
        return [each.text("id") for each in api.pages("things", **arguments)]


def page(*names, next=None, **more):
    return {"data": [{"id": name} for name in names], "pagination": {"next": next, **more}}


def test_all_pages_are_read_in_order(lists):
    pages = {None: page("a", "b", next="2 &"), "2 &": page("c", next="3"), "3": page("d")}
    assert ids(lists, pages.get, query={"limit": 2}) == ["a", "b", "c", "d"]
    assert [each.query for each in lists.requests] == [
        "limit=2",
        "limit=2&cursor=2%20%26",
        "limit=2&cursor=3",
    ]


def test_pages_are_asked_for_when_they_are_needed(lists):
    counter = itertools.count()
    lists.answer = lambda _: page(str(next(counter)), next=str(next(counter)))
    with API(RULES, lists.url, None, timeout=10) as api:
        found = next(api.pages("things", items="data", cursor=("pagination", "next")))
        assert found.text("id") == "0"
    assert len(lists.requests) == 1


@pytest.mark.parametrize(
    "last",
    [
        page("z", next=None),
        page("z", next=""),
        {"data": [{"id": "z"}], "pagination": {}},
        {"data": [{"id": "z"}], "pagination": None},
        {"data": [{"id": "z"}]},
        page("z", next="x" * 5000),
    ],
    ids=lambda last: str(last)[:60],
)
def test_a_missing_cursor_ends_the_list(lists, last):
    assert ids(lists, lambda cursor: last if cursor else page("a", next="2")) == ["a", "z"]


def test_an_empty_page_ends_the_list_whatever_its_cursor(lists):
    assert ids(lists, lambda c: page(next="3") if c else page("a", next="2")) == ["a"]


def test_the_last_page_may_repeat_its_cursor(lists):
    """Neon's does."""
    assert ids(lists, lambda c: page("b", next="2") if c else page("a", next="2")) == ["a", "b"]


def test_cursors_that_go_in_a_circle_end(lists):
    names = map(str, itertools.count())
    found = ids(lists, lambda c: page(next(names), next={None: "x", "x": "y", "y": "x"}[c]))
    assert found == ["0", "1", "2"]


def test_a_server_that_ignores_the_cursor_gives_nothing_twice(lists):
    assert ids(lists, lambda _: page("a", "b", next="2")) == ["a", "b"]


def test_a_server_without_an_end_is_left_after_a_hundred_pages(lists):
    counter = itertools.count()
    with pytest.raises(ProviderError, match="goes on after 100 pages"):
        ids(lists, lambda _: page(str(next(counter)), next=str(next(counter))))
    assert len(lists.requests) == 100


def test_what_comes_again_with_another_field_is_given_once(lists):
    again = page("b", "c")
    again["data"][0]["used"] = 7
    nameless = {"data": [{"id": 1}, {"id": 1}, {}, {}], "pagination": {"next": "2"}}
    lists.answer = {None: page("a", "b", next="1"), "1": nameless, "2": again}.get
    with API(RULES, lists.url, None, timeout=10) as api:
        found = list(api.pages("things", items="data", cursor=("pagination", "next")))
    assert [each.identity for each in found] == ["a", "b", "", "", "", "", "c"]


def test_the_flag_for_more_decides(lists):
    more = ("pagination", "hasMore")
    pages = {
        None: page("a", next="2", hasMore=True),
        "2": page("b", next="3", hasMore=False),
    }
    assert ids(lists, pages.get, more=more) == ["a", "b"]
    assert ids(lists, lambda _: page("a", next="2"), more=more) == ["a"]
    assert ids(lists, lambda _: page("a", hasMore=True), more=more) == ["a"]


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"data": None},
        {"data": {}},
        {"data": ["a"]},
        {"data": [{"id": "a"}, None]},
        {"data": [{"id": "a"}], "pagination": 1},
        {"data": [{"id": "a"}], "pagination": {"next": 2}},
        {"data": [{"id": "a"}], "pagination": {"next": "2", "hasMore": "yes"}},
    ],
    ids=str,
)
def test_a_list_of_another_shape_is_an_error(lists, answer):
    with pytest.raises(ProviderError, match=r"Neon's answer to GET /things has no"):
        ids(lists, lambda _: answer, more=("pagination", "hasMore"))
