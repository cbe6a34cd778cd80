"""A process that connects and then forks, as gunicorn --preload and Celery do."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ppg_integrations.providers.base import Generated

PROGRAM = """
import os, sys, warnings
from sqlalchemy import NullPool, text
from ppg_integrations.sqlalchemy import create_engine

made = create_engine(driver=sys.argv[1])

def ask(times):
    for _ in range(times):
        with made.connect() as connection:
            assert connection.scalar(text("SELECT :pid"), {"pid": os.getpid()}) == os.getpid()
            connection.commit()

ask(1)
assert made.pool.checkedin() == 1
children = []
for _ in range(2):
    pid = os.fork()
    if not pid:
        assert made.pool.checkedin() == 0, "the connection is the parent's"
        ask(50)
        made.dispose()
        os._exit(0)
    children.append(pid)
ask(50)
for pid in children:
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert made.pool.checkedin() == 1
ask(1)
made.dispose()
print("done")
"""


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_children_have_connections_of_their_own(driver: str, generated: Generated) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, driver],
        env={**os.environ, "DATABASE_URL": generated.pooled.reveal()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stderr, done.stdout) == ("", "done\n")
