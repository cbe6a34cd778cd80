"""What pages are run with. The conventions for those who write pages: `tests/docs/__init__.py`."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tests.docs.tools import Tools, tools

# They run in tox's environment `docs`: the others have nothing to read Markdown with.
collect_ignore_glob = [] if find_spec("myst_parser") else ["test_*.py"]


@pytest.fixture(scope="session")
def programs() -> Iterator[Tools]:
    """The programs on a page's PATH."""
    with tools() as found:
        yield found
