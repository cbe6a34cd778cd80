"""The additional poolers that other tests start are what they say."""

from __future__ import annotations

import pytest

from ppg_integrations.drivers import connect
from ppg_integrations.errors import PPGError
from tests.support.ending import ended
from tests.support.poolers import pooler


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_session_and_transaction_pooling_differ_in_who_keeps_a_server(servers, generated, mode):
    with pooler(servers, mode=mode, size=2) as other:
        url = other.url(generated.pooled)
        with connect(url) as one, connect(url) as two:
            pids = [c.fetch("SELECT pg_backend_pid()")[0][0] for c in (one, two)]
            assert (len(set(pids)) == 2) == (mode == "session")
    assert ended(other.pid)


def test_statement_pooling_refuses_transactions(servers, generated):
    with (
        pooler(servers, mode="statement") as other,
        connect(other.url(generated.pooled)) as client,
    ):
        assert client.fetch("SELECT 1") == [(1,)]
        with pytest.raises(PPGError, match="transaction blocks not allowed|closed"):
            client.begin()
            client.execute("SELECT 1")


def test_further_settings_hold(servers, generated):
    with pooler(servers, size=2, server_round_robin=1, query_wait_timeout=1) as other:
        url = other.url(generated.pooled)
        with connect(url) as one, connect(url) as two:
            one.begin()
            one.execute("SELECT 1")
            two.execute("SELECT 1")
            one.rollback()
            pids = {one.fetch("SELECT pg_backend_pid()")[0][0] for _ in range(4)}
            assert len(pids) == 2
