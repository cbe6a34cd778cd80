"""A Django project whose pair stands in ``.env``, and what its scripts do with it."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.local.servers import LocalServers
from tests.django.project import Project

HEAD = """
import gc, logging, os, threading, time, traceback, warnings
from pathlib import Path
from django.core import signals
from django.db import OperationalError, close_old_connections
from django.db.utils import ConnectionHandler
from ppg_integrations import current, liveness
from ppg_integrations.django import databases, following, state
from tests.support import waking
from tests.support.tcp_proxy import TCPProxy
from tests.support.waking import Waking

PAIRS = json.loads(os.environ["PAIRS"])
PORTS = PAIRS["ports"]
ENV = Path(".env").resolve()

def store(name, sslmode="require", more="", ends={}, **ports):
    '''Puts a pair into the file in one step, as every writer of ours does.'''
    pair = {**PAIRS[name]}
    for half, port in ports.items():
        pair[half] = pair[half].replace(f":{PORTS[half]}/", f":{port}/")
    pair = {half: url + ends.get(half, "") for half, url in pair.items()}
    text = f"DATABASE_URL='{pair['pooled']}'\\nDIRECT_URL='{pair['direct']}'\\n"
    new = ENV.with_name("new")
    new.write_text(text.replace("sslmode=require", f"sslmode={sslmode}") + more)
    os.replace(new, ENV)
    moment()

def moment():
    '''Until who has just looked at the file looks again.'''
    time.sleep(2 * current.MOMENT)

def settle(**arguments):
    '''As if the process had begun with what the file holds now.'''
    for wrapper in connections.all(initialized_only=True):
        wrapper.close()
        del connections[wrapper.alias]
    state.clear()
    handler = ConnectionHandler(databases(**{"env_file": ENV, **arguments}))
    connections.settings.clear()
    connections.settings.update(handler.settings)

def through(server, half="pooled", **arguments):
    '''The same, with one endpoint behind something.'''
    store("first", sslmode="prefer", **{half: server.port})
    settle(**arguments)

def ask(sql="SELECT session_user", alias="default"):
    with connections[alias].cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]

def request(sql="SELECT session_user", alias="default"):
    '''What a request is to the database: its beginning, its work and its end.'''
    signals.request_started.send(sender=None)
    try:
        return ask(sql, alias)
    finally:
        signals.request_finished.send(sender=None)

def age(seconds=1.0, alias="default"):
    '''Makes a connection one that was used, and looked at, that much earlier.'''
    upkeep = connections[alias]._ppg_upkeep
    upkeep._last_used -= seconds
    upkeep._looked -= seconds

def failure(ask=request):
    try:
        ask()
    except OperationalError as error:
        return str(error)
"""


class Rotating(Project):
    """Has two roles of one database: ``first``, which is in the file, and ``second``."""

    def __init__(self, project: Project, servers: LocalServers) -> None:
        assert project.generated is not None
        self.__dict__.update(project.__dict__)
        self.servers = servers
        self.first: Generated = project.generated
        self.second = servers.generate("rotated", database=self.first.pooled.database)
        for name in ("DATABASE_URL", "DIRECT_URL"):
            del self.environ[name]
        self.environ["PAIRS"] = json.dumps(
            {
                **{
                    name: {"pooled": pair.pooled.reveal(), "direct": pair.direct.reveal()}
                    for name, pair in (("first", self.first), ("second", self.second))
                },
                "ports": {"pooled": self.first.pooled.port, "direct": self.first.direct.port},
            }
        )
        self.write(".env", self.text(self.first))

    @property
    def users(self) -> tuple[str, str]:
        return self.first.pooled.user, self.second.pooled.user

    @staticmethod
    def text(pair: Generated) -> str:
        return f"DATABASE_URL='{pair.pooled.reveal()}'\nDIRECT_URL='{pair.direct.reveal()}'\n"

    def script(self, code: str, *, head: str = "", **environ: str | None) -> Any:
        """Runs code with :data:`HEAD` before it, and more of a head if need be."""
        return self.python(HEAD + head + textwrap.dedent(code), **environ)
