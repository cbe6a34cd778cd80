"""secret.py and errors.py: nothing shows a secret, and errors survive a trip between processes."""

from __future__ import annotations

import copy
import inspect
import json
import logging
import pickle
import pprint
import traceback

import pytest

from ppg_integrations import errors
from ppg_integrations.errors import ConfigurationError, PPGError
from ppg_integrations.secret import MASK, MaskedStr, Secret

VALUE = "hunter2-correct-horse"
#: what a leaf cannot be made without
ADDED = {errors.ChoiceError: {"option": "project", "choices": (("proj_1", "shop"),)}}
LEAVES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, PPGError) and kind.__module__ == errors.__name__
]


@pytest.mark.parametrize(
    "shown",
    [
        str,
        repr,
        ascii,
        "{}".format,
        "{!r:>40}".format,
        "{:>20}".format,
        "%s".__mod__,
        "%r".__mod__,
        pprint.pformat,
        lambda s: f"{[s]} { ({'k': s}) }",
    ],
)
def test_nothing_shows_a_secret(shown):
    assert VALUE not in shown(Secret(VALUE))
    assert MASK in shown(Secret(VALUE))


def test_a_secret_is_revealed_on_request_only():
    assert Secret(VALUE).reveal() == VALUE
    assert not hasattr(Secret(VALUE), "__dict__")
    with pytest.raises(TypeError):
        json.dumps(Secret(VALUE))


def test_a_secret_is_hidden_in_a_traceback_with_locals():
    secret = Secret(VALUE)
    try:
        raise ValueError(f"bad {secret}")
    except ValueError as error:
        text = "".join(
            traceback.TracebackException.from_exception(error, capture_locals=True).format()
        )
    assert "secret = " in text
    assert VALUE not in text


def test_a_secret_in_a_log_record(caplog):
    with caplog.at_level(logging.INFO):
        logging.getLogger("x").info("got %s and %r", Secret(VALUE), {"a": Secret(VALUE)})
    assert VALUE not in caplog.text
    assert MASK in caplog.text


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling_drops_the_value(protocol):
    data = pickle.dumps(Secret(VALUE), protocol)
    assert VALUE.encode() not in data
    with pytest.raises(ConfigurationError) as caught:
        pickle.loads(data).reveal()
    assert caught.value.hint


def test_secrets_compare_and_hash_by_value():
    assert Secret("a") == Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("a") != "a"
    assert hash(Secret(VALUE)) != hash(VALUE)
    assert bool(Secret("a"))
    assert not Secret("")


def test_a_masked_str_is_a_str_that_its_repr_hides():
    masked = MaskedStr(VALUE)
    assert isinstance(masked, str)
    assert masked == VALUE
    assert VALUE not in repr(masked)
    assert VALUE not in pprint.pformat({"PASSWORD": masked})
    assert VALUE not in repr({"PASSWORD": masked})
    assert copy.deepcopy(masked) == VALUE


@pytest.mark.parametrize("kind", LEAVES)
def test_errors_say_what_to_do_and_survive_pickling(kind):
    more = ADDED.get(kind, {})
    error = kind("what was wrong", hint="what to type", **more)
    assert str(error) == "what was wrong\nwhat to type"
    assert str(kind("what was wrong", **more)) == "what was wrong"
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(other) is kind
        assert (other.message, other.hint, str(other)) == (error.message, error.hint, str(error))
        assert {name: getattr(other, name) for name in more} == more


def test_pickling_keeps_what_a_leaf_adds():
    error = errors.ProviderError("no", hint="yes")
    error.provider = "neon"
    assert pickle.loads(pickle.dumps(error)).provider == "neon"


def test_each_leaf_is_caught_by_the_base():
    assert len(LEAVES) > 10
    assert all(issubclass(kind, PPGError) for kind in LEAVES)
    assert not issubclass(errors.PPGWarning, PPGError)
