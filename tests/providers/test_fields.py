"""providers/fields.py: what a JSON object holds, by type."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppg_integrations.errors import ProviderError
from ppg_integrations.providers.fields import Conversation, Fields, Origin
from ppg_integrations.providers.http import jsontext

DATA = {
    "id": "p1",
    "empty": "",
    "null": None,
    "on": True,
    "off": False,
    "count": 3,
    "ratio": 0.5,
    "project": {"id": "p2", "deep": {"name": "n"}},
    "roles": [{"name": "a"}, {"name": "b"}],
    "none": [],
    "mixed": [{"name": "a"}, "b"],
}
READERS = ("text", "flag", "number", "at", "each")


def fields(data=DATA):
    return Fields(data, Origin(Conversation("neon", "Neon"), "GET /projects", 200, "req-1"))


def test_members_are_read_by_type():
    found = fields()
    assert found.text("id") == "p1"
    assert found.text("project", "deep", "name") == "n"
    assert found.at("project").at("deep").text("name") == "n"
    assert (found.flag("on"), found.flag("off")) == (True, False)
    assert (found.number("count"), found.number("ratio")) == (3.0, 0.5)
    assert [role.text("name") for role in found.each("roles")] == ["a", "b"]
    assert found.each("none") == ()


@pytest.mark.parametrize("path", [("missing",), ("null",), ("null", "x"), ("project", "x", "y")])
def test_what_may_be_missing_may_be_null(path):
    found = fields()
    assert found.maybe_text(*path) == ""
    assert found.maybe_flag(*path) is False
    assert found.maybe_flag(*path, default=True) is True
    assert found.maybe_number(*path) is None
    assert found.maybe_at(*path) is None
    assert found.maybe_each(*path) == ()
    for reader in READERS:
        with pytest.raises(ProviderError):
            getattr(found, reader)(*path)


def test_what_may_be_missing_is_read_where_it_is_there():
    found = fields()
    assert found.maybe_text("id") == "p1"
    assert found.maybe_text("empty") == ""
    assert found.maybe_flag("off", default=True) is False
    assert found.maybe_number("count") == 3
    assert found.maybe_at("project").text("id") == "p2"
    assert len(found.maybe_each("roles")) == 2


@pytest.mark.parametrize(
    ("reader", "path", "message"),
    [
        ("text", ("missing",), "text at missing"),
        ("text", ("empty",), "text at empty"),
        ("text", ("count",), "text at count"),
        ("text", ("project", "deep"), "text at project.deep"),
        ("text", ("id", "x"), "text at id.x"),
        ("maybe_text", ("on",), "text at on"),
        ("maybe_text", ("id", "x"), "text at id.x"),
        ("maybe_text", ("roles", "x"), "text at roles.x"),
        ("flag", ("count",), "true or false at count"),
        ("maybe_flag", ("id",), "true or false at id"),
        ("number", ("on",), "number at on"),
        ("maybe_number", ("id",), "number at id"),
        ("at", ("roles",), "object at roles"),
        ("maybe_at", ("id",), "object at id"),
        ("each", ("project",), "list of objects at project"),
        ("each", ("mixed",), "list of objects at mixed"),
        ("maybe_each", ("id",), "list of objects at id"),
    ],
)
def test_a_wrong_type_is_named_and_not_shown(reader, path, message):
    with pytest.raises(ProviderError) as caught:
        getattr(fields(), reader)(*path)
    error = caught.value
    assert error.message == f"Neon's answer to GET /projects has no {message}"
    assert (error.provider, error.status, error.request_id) == ("neon", 200, "req-1")


def test_a_place_inside_is_named_from_the_top():
    inner = fields({"data": {"items": [{"a": 1}, {"x": [{"b": {}}]}]}})
    with pytest.raises(ProviderError, match=r"no text at data\.items\[1\]\.x\[0\]\.b\.c\n"):
        inner.at("data").each("items")[1].each("x")[0].at("b").text("c")


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_half_a_surrogate_is_no_text(text):
    parsed = jsontext.parse(json.dumps({"a": text}).encode())
    with pytest.raises(ProviderError):
        fields(parsed).text("a")


def test_equal_is_what_holds_the_same():
    assert fields() == fields()
    assert fields() != fields({})
    assert fields() != DATA


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from("abc") | st.text(max_size=2), inner, max_size=4)
    ),
    max_leaves=20,
)
PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=4)


@given(st.dictionaries(st.sampled_from("abc"), JSON), PATHS)
def test_any_json_gives_a_value_of_the_type_or_a_provider_error(data, path):
    found = fields(data)
    kinds = {"text": str, "flag": bool, "number": float, "at": Fields, "each": tuple}
    for reader, kind in kinds.items():
        for name in (reader, f"maybe_{reader}"):
            try:
                value = getattr(found, name)(*path)
            except ProviderError as error:
                assert error.message.endswith(f" at {'.'.join(path)}")
            else:
                assert value is None or isinstance(value, kind)
                assert value is not None or name.startswith("maybe_")
                if isinstance(value, str):
                    value.encode()


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_an_object_or_the_reason_why_not(data):
    parsed = jsontext.parse(data)
    assert isinstance(parsed, dict | str)
    if isinstance(parsed, str):
        assert parsed in ("no JSON", "JSON, but no object", "nested too deeply")


@pytest.mark.parametrize("number", [10**400, -(10**400)])
def test_a_number_beyond_every_float_is_none(number):
    with pytest.raises(ProviderError):
        fields({"a": number}).number("a")
    assert not math.isinf(fields({"a": 10**300}).number("a"))


def test_a_byte_order_mark_is_no_part_of_the_json():
    assert jsontext.parse(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
