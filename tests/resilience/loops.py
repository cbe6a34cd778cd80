"""Processes that see no request: a worker's loop over the ORM, and one long transaction."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.resilience.sites import Site

_HEAD = {
    "Django": """
import django
django.setup()
from django.db import connection, transaction
from shop.models import Item

def role():
    with connection.cursor() as cursor:
        cursor.execute("SELECT session_user")
        return cursor.fetchone()[0]

def add(token):
    Item.objects.create(token=token)

begin = transaction.atomic
""",
    "Flask": """
from shop import Item, app, db, text
app.app_context().push()

def role():
    return db.session.scalar(text("SELECT session_user"))

def add(token):
    db.session.add(Item(token=token))
    db.session.flush()

begin = db.session.begin
""",
}

_SAY = """
import json, sys, time

def say(**what):
    print(json.dumps({"at": time.monotonic(), **what}), flush=True)
"""

#: A worker as Celery's: one task after the other, each a transaction, all on one connection.
LOOP = """
for number in range(10**9):
    try:
        with begin():
            add(f"loop-{number}")
            mine = role()
        say(role=mine, token=f"loop-{number}")
    except Exception as error:
        say(error=f"{type(error).__name__}: {error}")
    time.sleep(0.01)
"""

#: One transaction for as long as standard input is open, and one a second after it: in a process
#: that sees no request the file is looked at once a second.
LONG = """
with begin():
    add("long-1")
    say(role=role())
    sys.stdin.read()
    add("long-2")
    say(role=role())
time.sleep(1)
with begin():
    say(role=role())
"""


class Loop:
    """A process of a site that runs without a web server."""

    def __init__(self, site: Site, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.site = site

    def said(self) -> list[dict[str, Any]]:
        """What it has said until now: documents with ``at``, by ``time.monotonic()``, and more."""
        lines = self.site.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith('{"at": ')]

    def finish(self) -> list[dict[str, Any]]:
        """Ends its standard input, and lets it come to its own end."""
        self._process.communicate(timeout=30)
        assert self._process.returncode == 0, self.site.log.read_text()
        return self.said()


@contextmanager
def looping(framework: str, site: Site, code: str) -> Iterator[Loop]:
    """Runs code in a process of the site, which is killed at the end."""
    with site.log.open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _HEAD[framework] + _SAY + code],
            cwd=site.folder,
            env=site.environ,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            text=True,
        )
    try:
        yield Loop(site, process)
    finally:
        process.kill()
        process.communicate()
