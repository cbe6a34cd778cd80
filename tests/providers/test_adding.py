"""docs/contributing/adding-a-provider.md: its example is a provider that passes the contract."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from contextlib import ExitStack
from typing import get_args

import pytest

from ppg_integrations import providers
from ppg_integrations.providers.base import Capability
from tests.providers import cases, test_contract
from tests.support.programs import ROOT

pytestmark = pytest.mark.once

PAGE = (ROOT / "docs/contributing/adding-a-provider.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"<!-- (\S+) -->\n```python\n(.*?)```", PAGE, re.DOTALL))

PROMISES = {
    name: function
    for name, function in vars(test_contract).items()
    if name.startswith("test_")
    and set(inspect.signature(function).parameters) in ({"case"}, {"hosted"})
}


@pytest.fixture
def acme(servers, tmp_path, monkeypatch):
    name = "ppg_integrations.providers.acme"
    (tmp_path / "acme.py").write_text(BLOCKS["acme.py"])
    spec = importlib.util.spec_from_file_location(name, tmp_path / "acme.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    row = eval(BLOCKS["row"], {"_Row": providers._Row})
    monkeypatch.setitem(providers._PROVIDERS, "acme", row["acme"])
    monkeypatch.setattr(providers, "NAMES", (*providers.NAMES, "acme"))
    space = vars(cases).copy()
    exec(BLOCKS["double.py"] + BLOCKS["case.py"], space)
    with ExitStack() as stack:
        yield space["AcmeCase"](servers, stack)


@pytest.mark.parametrize("promise", PROMISES)
def test_the_example_keeps_each_promise(acme, promise):
    PROMISES[promise](acme)


def test_the_promises_are_the_contract():
    assert len(PROMISES) > 10


def test_the_example_is_found_by_its_token(acme):
    assert providers.detect({"ACME_TOKEN": "x"}) == "acme"


def test_the_page_names_what_there_is():
    for path in re.findall(r"`(tests/[a-z_/.]+|providers/[a-z_/.]+)`", PAGE):
        where = ROOT / ("ppg_integrations" if path.startswith("providers/") else "") / path
        assert where.exists(), path
    capabilities = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert capabilities | {"databases", "branches", "roles", "replica", "servers"} == set(
        get_args(Capability)
    )
