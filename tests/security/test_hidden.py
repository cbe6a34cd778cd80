"""No value of this package gives its secret to whatever prints, logs, copies or sends values."""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import logging
import logging.handlers
import os
import pickle
import pprint
import queue
import reprlib
import socket
import string
import traceback
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ppg_integrations import ConnectionPair, PostgresURL
from ppg_integrations.kept import Kept
from ppg_integrations.current import CurrentPair
from ppg_integrations.doctor import Diagnosis
from ppg_integrations.endpoint import Destination, Endpoint
from ppg_integrations.entry import Entry
from ppg_integrations.errors import URLError
from ppg_integrations.layers import Layered
from ppg_integrations.pair import Source
from ppg_integrations.providers.base import Generated, Rotated
from ppg_integrations.providers.http.exchange import Reply
from ppg_integrations.providers.settings import Settings
from ppg_integrations.secret import (
    MaskedMapping,
    MaskedStr,
    Secret,
    masked,
    masked_by_name,
    without_secrets,
)

PASSWORD = "hunter2Zq7" * 12  # longer than what any printer shows of a text
URL = PostgresURL.parse(f"postgresql://ada:{PASSWORD}@db.example/shop")
SOURCE = Source("environment", "DATABASE_URL")
PAIR = ConnectionPair(URL, URL, SOURCE, SOURCE, "neon")
GENERATED = Generated("con_1", "shop", URL, URL, replica=URL)
ENVIRON = {"NEON_API_KEY": PASSWORD, "DATABASE_URL": f"postgresql://a:{PASSWORD}@h/d", "LANG": "C"}
CURRENT = CurrentPair(lambda: PAIR, env_file=None)

HOLDERS = {
    "Secret": Secret(PASSWORD),
    "PostgresURL": URL,
    "ConnectionPair": PAIR,
    "CurrentPair": CURRENT,
    "Endpoint": Endpoint(CURRENT),
    "Destination": Destination(URL),
    "Generated": GENERATED,
    "Rotated": Rotated(GENERATED),
    "Entry": Entry("neon", generated=GENERATED),
    "Kept": Kept("con_1", URL, URL, None, 0.0, 0.0),
    "Diagnosis": Diagnosis(PAIR, None, None, ()),
    "Reply": Reply(200, {"set-cookie": PASSWORD}, PASSWORD.encode()),
    "Settings": Settings(ENVIRON, ENVIRON),
    "Found": Settings(ENVIRON).find("NEON_API_KEY"),
    "MaskedMapping": MaskedMapping(ENVIRON),
    "Layered": Layered(ENVIRON, ENVIRON),
}

SHOWN: dict[str, Callable[[Any], str]] = {
    "str": str,
    "repr": repr,
    "ascii": ascii,
    "format": lambda value: "{} {!r:>10}".format(value, value),
    "f-string": lambda value: f"{value} {value!r} {value!s} { {'a': [value]} }",
    "percent": lambda value: "%s %r" % (value, value),
    "Template": lambda value: string.Template("$a").substitute(a=value),
    "pprint": lambda value: pprint.pformat({"a": [value]}, width=20),
    "reprlib": lambda value: reprlib.repr([value]),
    "json": lambda value: json.dumps({"a": value}, default=str),
    "in an exception": lambda value: repr(ValueError(value)) + str(ValueError(value)),
    "namespace": lambda value: repr(SimpleNamespace(a=value)),
}


@pytest.fixture(params=HOLDERS)
def holder(request: pytest.FixtureRequest) -> Any:
    return HOLDERS[request.param]


@pytest.mark.parametrize("way", SHOWN)
def test_it_is_hidden_from_what_prints(holder: Any, way: str) -> None:
    if way == "json" and isinstance(holder, tuple) and hasattr(holder, "value"):
        assert type(holder.value) is MaskedStr  # JSON takes a text for what it is: see the docs
    else:
        assert PASSWORD[:10] not in SHOWN[way](holder)


def test_it_is_hidden_in_tracebacks_with_variables(holder: Any) -> None:
    def fail(held: Any) -> None:
        inside = {"held": held, "copies": [copy.copy(held), held]}
        raise ValueError(inside)

    with pytest.raises(ValueError, match="held") as caught:
        fail(holder)
    made = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    text = "".join(made.format())
    assert "held = " in text
    assert PASSWORD[:10] not in text


#: Answers, and what was looked up in them, never leave the function that asked.
_LOCAL = ("Reply", "Found")
#: These hold locks: nothing can send them anywhere.
_STAY = ("CurrentPair", "Endpoint")


@pytest.mark.parametrize("name", [name for name in HOLDERS if name not in (*_LOCAL, *_STAY)])
def test_what_crosses_a_process_has_lost_it(name: str) -> None:
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert PASSWORD[:10].encode() not in pickle.dumps(HOLDERS[name], protocol)


@pytest.mark.parametrize("name", _STAY)
def test_what_cannot_cross_a_process_does_not(name: str) -> None:
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        pickle.dumps(HOLDERS[name])


def test_what_is_no_pickle_gets_no_state() -> None:
    assert Secret(PASSWORD).__getstate__() is None


def test_a_socket_handler_sends_none_of_it() -> None:
    """What ``logging.handlers.SocketHandler`` puts on the wire, with the record's own attributes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        handler = logging.handlers.SocketHandler(*listener.getsockname())
        logger = logging.Logger("x")
        logger.addHandler(handler)
        with_args = ("got %s %r", URL, PAIR)
        try:
            logger.error(
                *with_args, extra={"pair": PAIR, "made": GENERATED, "token": Secret("tok")}
            )
            connection, _ = listener.accept()
            with connection:
                sent = connection.recv(1 << 20)
        finally:
            handler.close()
    assert b"PostgresURL" in sent
    assert PASSWORD[:10].encode() not in sent
    assert b"tok\x94" not in sent


def test_a_queue_handler_keeps_it_in_this_process() -> None:
    records: queue.Queue[logging.LogRecord] = queue.Queue()
    logger = logging.Logger("x")
    logger.addHandler(logging.handlers.QueueHandler(records))
    logger.error("got %s %r", PAIR, {"a": Secret(PASSWORD)})
    record = records.get_nowait()
    assert PASSWORD[:10] not in record.getMessage() + repr(vars(record))
    assert PASSWORD[:10].encode() not in pickle.dumps(record)


def test_a_memory_handler_that_formats_late_shows_none_of_it() -> None:
    stream = io.StringIO()
    target = logging.StreamHandler(stream)
    handler = logging.handlers.MemoryHandler(10, target=target)
    logger = logging.Logger("x")
    logger.addHandler(handler)
    logger.error("got %(pair)s", {"pair": PAIR})
    handler.close()
    assert "db.example" in stream.getvalue()
    assert PASSWORD[:10] not in stream.getvalue()


@pytest.mark.parametrize("name", ["Generated", "Entry", "Diagnosis"])
def test_dataclasses_as_plain_data_are_hidden(name: str) -> None:
    plain = dataclasses.asdict(HOLDERS[name])
    assert PASSWORD[:10] not in repr(plain) + json.dumps(plain, default=str)
    assert PASSWORD[:10] not in repr(dataclasses.astuple(HOLDERS[name]))


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy])
def test_a_copy_in_this_process_works_and_hides_as_well(clone: Callable[[Any], Any]) -> None:
    for holder in (Secret(PASSWORD), URL, PAIR, GENERATED):
        assert clone(holder) == holder
        assert PASSWORD[:10] not in repr(clone(holder))
    assert clone(GENERATED).pooled.password.reveal() == PASSWORD
    text = clone(MaskedStr(PASSWORD))
    assert (text, repr(text)) == (PASSWORD, "'***'")


def test_the_beginning_of_a_masked_text_is_masked_too() -> None:
    """rich and structlog show a long text by ``repr(text[:80])``."""
    text = MaskedStr(PASSWORD)
    for part in (text[:80], text[5:], text[::-1], text[:]):
        assert isinstance(part, str)
        assert repr(part) == "'***'"
    assert text[:5] == PASSWORD[:5]
    assert text[0] == PASSWORD[0]
    assert "".join(text) == PASSWORD


def test_the_environment_hides_its_secrets_from_who_looks_into_it() -> None:
    """Error reporters go through mappings themselves, whatever their ``repr``."""
    environ = MaskedMapping(ENVIRON)
    for found in (dict(environ), {**environ}, dict(environ.items()), list(environ.values())):
        assert PASSWORD[:10] not in repr(found)
    assert environ["NEON_API_KEY"] == PASSWORD
    assert repr(environ["LANG"]) == "'C'"
    assert MaskedMapping.of(environ) is environ
    assert MaskedMapping.of(ENVIRON) == environ


@pytest.mark.parametrize(
    "name",
    ["DATABASE_URL", "neon_api_key", "PGPASSWORD", "AWS_SECRET_X", "SENTRY_DSN", "CREDENTIALS"],
)
def test_names_tell_what_may_be_a_secret(name: str) -> None:
    assert repr(masked_by_name(name, "x")) == "'***'"
    assert without_secrets({name: "x", "PATH": "/bin", "http_proxy": "p"}) == {
        "PATH": "/bin",
        "http_proxy": "p",
    }


def test_only_texts_are_masked() -> None:
    assert masked(None) is None
    assert masked(URL) is URL
    assert repr(masked("x")) == "'***'"


def test_no_frame_of_a_url_that_is_refused_holds_it() -> None:
    """Its parts would be in the variables of the functions that took it apart."""
    for text in (
        f"postgresql://ada:{PASSWORD}@[::1/shop",
        f"postgresql://ada:{PASSWORD}@h:99999/shop",
        f"postgresql://ada:{PASSWORD}@h/shop?sslmode={PASSWORD}",
        f"postgresql://ada:{PASSWORD}@h/shop?x",
        f"postgresql://ada:%ff{PASSWORD}@h/shop",
        f"mysql://ada:{PASSWORD}@h/shop",
        f"prisma+postgres://localhost/?api_key={PASSWORD}",
        f"prisma://accelerate.example/?api_key={PASSWORD}",
        f"{PASSWORD} {PASSWORD}",
    ):
        error = _refused(MaskedStr(text))
        made = traceback.TracebackException.from_exception(error, capture_locals=True)
        assert PASSWORD[:10] not in "".join(made.format())
        assert error.__context__ is None


def _refused(text: str) -> BaseException:
    with pytest.raises(URLError) as caught:
        PostgresURL.parse(text)
    return caught.value


def test_the_masks_cost_the_lookup_of_a_variable_next_to_nothing() -> None:
    import timeit

    environ = MaskedMapping(os.environ)
    fastest = min(timeit.repeat(lambda: environ.get("DATABASE_URL"), number=1000, repeat=5))
    assert fastest / 1000 < 20e-6
