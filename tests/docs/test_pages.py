"""Each page's blocks do what the page says."""

from __future__ import annotations

import pytest

from tests.docs.blocks import pages
from tests.docs.page import Page


@pytest.mark.parametrize("page", pages())
def test_every_block_runs(page, tmp_path, servers, programs):
    servers.start()  # a page may have stopped it
    Page(page, tmp_path, servers, programs).run()
