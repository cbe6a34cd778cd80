"""Whatever Prisma's API answers, the caller gets a result or a ProviderError."""

from __future__ import annotations

import contextlib
import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppg_integrations.errors import ProviderError
from ppg_integrations.providers import prisma_temporary
from ppg_integrations.providers.api import API, Answer
from ppg_integrations.providers.base import Generated, GenerateRequest, Intent, Settled, Target
from ppg_integrations.providers.fields import Conversation, Fields, Origin
from ppg_integrations.providers.prisma import places
from ppg_integrations.providers.prisma import provider as module
from ppg_integrations.providers.prisma.rules import RULES
from ppg_integrations.providers.settings import Settings

SETTINGS = Settings({"PRISMA_SERVICE_TOKEN": "token", "PPG_TIMEOUT": "0.2"})
URL = "postgres://u:sk_hush@{}db.prisma.io:5432/?sslmode=require"
ENDPOINTS = {
    name: {"host": "db.prisma.io", "port": 5432, "connectionString": URL.format(prefix)}
    for name, prefix in (("pooled", "pooled."), ("direct", ""))
}
CONNECTION = {
    "id": "con_1",
    "name": "shop",
    "createdAt": "2026-11-01T10:00:00.000Z",
    "endpoints": ENDPOINTS,
    "database": {"id": "db_1", "name": "main"},
}
DATABASE = {
    "id": "db_1",
    "name": "main",
    "status": "ready",
    "connections": [CONNECTION],
    "project": {"id": "proj_1", "name": "shop"},
}
USAGE = {"used": 12, "unit": "ops"}
# Everything at once: each reader finds what it looks for, until something of it is spoilt.
DOCUMENT = {
    "data": {
        **DATABASE,
        **CONNECTION,
        "database": {**DATABASE, "connections": [CONNECTION]},
        "workspace": {"id": "wksp_1"},
        "planName": "Free",
        "usageBlocked": False,
    },
    "metrics": {"operations": USAGE, "storage": USAGE},
    "period": {"start": "2026-11-01"},
    "pagination": {"nextCursor": None, "hasMore": False},
}
LIST = {"data": [DOCUMENT["data"]], "pagination": DOCUMENT["pagination"]}

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["postgres://", "postgres://u:p@[::1", "prisma://x/?api_key=y", "ready"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "name", "data", "status"]), inner, max_size=3)
    ),
    max_leaves=5,
)


def members(document):
    return [path for path in paths_of(document) if path]


def paths_of(value, path=()):
    yield path
    if isinstance(value, dict):
        for name, member in value.items():
            yield from paths_of(member, (*path, name))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from paths_of(member, (*path, index))


@st.composite
def spoilt(draw, document):
    """The document with up to three members that are something else."""
    document = copy.deepcopy(document)
    for path in draw(st.lists(st.sampled_from(members(document)), min_size=1, max_size=3)):
        place = document
        # what is spoilt first may be on the way to what comes next
        with contextlib.suppress(KeyError, IndexError, TypeError):
            for name in path[:-1]:
                place = place[name]
            place[path[-1]] = draw(anything)
    return document


class FakeAPI(API):
    """Answers each question with one document; nothing is sent."""

    document: object
    things: object

    def __init__(self, *_args, **_more):
        super().__init__(RULES, "https://127.0.0.1:1", None, timeout=0.2)

    def _answer(self, what, *path, query=None, json=None):
        whole = self.things if what == "GET" and path[-1] in LISTS else self.document
        if not isinstance(whole, dict):
            raise ProviderError("no object", provider="prisma")  # as the real one does
        return Answer(200, Fields(whole, Origin(Conversation("prisma", "Prisma"), what)))

    def get(self, *path, **more):
        return self._answer("GET", *path, **more)

    def post(self, *path, **more):
        return self._answer("POST", *path, **more)

    def delete(self, *path, **more):
        return self._answer("DELETE", *path, **more)


LISTS = ("projects", "databases", "connections", "postgres")
TARGETS = st.builds(
    Target, project=st.sampled_from(["", "shop"]), database=st.sampled_from(["", "main", "db_1"])
)


@pytest.fixture(scope="module", autouse=True)
def fake_api():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "API", FakeAPI)
        patch.setattr(prisma_temporary, "API", FakeAPI)
        patch.setattr(places, "POLL", 0.001)
        yield


def ask(task):
    ours = module.PrismaProvider(SETTINGS)
    wanted = GenerateRequest(
        name="shop-host-1", target=task[1], region=task[2], create=bool(task[2])
    )
    intent = Intent(
        "prisma",
        "rotate" if task[2] else "create",
        "project" if task[1].database else "connection",
        "shop",
        {"connection": "con_1", "database": "db_1"},
    )
    return {
        "generate": lambda: ours.generate(wanted, lambda _: None),
        "temporary": lambda: prisma_temporary.TemporaryProvider(SETTINGS).generate(
            wanted, lambda _: None
        ),
        "list": lambda: ours.connections(task[1]),
        "rotate": lambda: ours.rotate(wanted, lambda _: None, in_use="con_1").generated,
        "in place": lambda: (
            ours.rotate(wanted, lambda _: None, in_use="con_1", in_place=True).generated
        ),
        "settle": lambda: ours.settle(intent),
        "usage": lambda: ours.usage(task[1], in_use="con_1"),
    }[task[0]]()


VERBS = ("generate", "temporary", "list", "rotate", "in place", "settle", "usage")
TASKS = st.tuples(st.sampled_from(VERBS), TARGETS, st.sampled_from(["", "proj_1"]))


@given(TASKS, spoilt(DOCUMENT) | st.just(DOCUMENT) | anything, spoilt(LIST) | st.just(LIST))
def test_any_answer_gives_a_result_or_a_provider_error(task, document, things):
    # As the wire has it: JSON knows NaN and halves of surrogate pairs too.
    FakeAPI.document = json.loads(json.dumps(document))
    FakeAPI.things = json.loads(json.dumps(things))
    try:
        result = ask(task)
    except ProviderError as error:
        assert "sk_hush" not in str(error)
    else:
        assert isinstance(result, (Generated, Settled, tuple))
        assert "sk_hush" not in repr(result)


@pytest.mark.parametrize("verb", VERBS)
def test_the_right_answers_give_results(verb):
    FakeAPI.document, FakeAPI.things = DOCUMENT, LIST
    result = ask((verb, Target(), ""))
    if isinstance(result, Generated):
        assert (result.pooled.host, result.direct.host) == ("pooled.db.prisma.io", "db.prisma.io")
        assert (result.pooled.database, result.direct.database) == ("postgres", "postgres")
    assert result
