"""Migrations and requests in processes that live on: `default` is as it was, and nothing is left."""

from __future__ import annotations

import json
import sys

from tests.django.project import Project
from tests.faults import apps, table
from tests.faults.stage import FAULTS
from tests.flask import projects as flask_projects

#: A process with proxies before both endpoints, which may be told to fail.
HEAD = """
import json, os, pathlib, sys, threading, time
from ppg_integrations import PostgresURL
from tests.support.tcp_proxy import TCPProxy

def proxied(name):
    url = PostgresURL.parse(os.environ[name])
    proxy = TCPProxy((url.host, url.port)).__enter__()
    os.environ[name] = url.replace(host="127.0.0.1", port=proxy.port).reveal()
    return proxy

pooled, direct = proxied("DATABASE_URL"), proxied("DIRECT_URL")

def heal():
    for proxy in (pooled, direct):
        proxy.mode, proxy.reset_after = "forward", None
        proxy.cut()
        proxy.listen()

def silence(proxy): proxy.mode = "blackhole"
def reset(proxy): proxy.mode = "reset"
FAULTS = {"refused": TCPProxy.refuse, "silent": silence, "hangs up": reset}

def cut():
    while not pathlib.Path("begun").exists():
        time.sleep(0.02)
    direct.cut(reset=True)

def tried(attempt, migrate, ask, afresh):
    found = {}
    for fault, spoil in FAULTS.items():
        spoil(direct)
        found[f"migrate, {fault}"] = attempt(migrate)
        found[f"migrate, {fault}"]["request"] = attempt(ask)["text"]
        heal()
        afresh()
        spoil(pooled)
        found[f"request, {fault}"] = attempt(ask)
        heal()
    cutter = threading.Thread(target=cut)
    cutter.start()
    found["migrate, in the middle"] = attempt(migrate)
    found["migrate, in the middle"]["request"] = attempt(ask)["text"]
    cutter.join()
    return found

def end(found, left=lambda: 0):
    def all_left(): return left() or pooled.open + direct.open
    deadline = time.monotonic() + 5
    while all_left() and time.monotonic() < deadline:
        time.sleep(0.02)
    found["left"] = all_left()
    for proxy in (pooled, direct):
        proxy.__exit__(None, None, None)
    print("\\nRESULT " + json.dumps(found))
"""

DJANGO = """
import django
django.setup()
from django.core.management import call_command
from django.db import OperationalError, connections

def settings():
    return repr({alias: (d["HOST"], d["PORT"], d["NAME"]) for alias, d in connections.settings.items()})

def attempt(call):
    before, began = settings(), time.monotonic()
    try:
        call()
    except OperationalError as error:
        text = str(error)
    else:
        text = ""
    return {"text": text, "restored": settings() == before, "seconds": time.monotonic() - began}

def migrate(): call_command("migrate", verbosity=0)
def ask():
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT 1")
    connections.close_all()

threads = set(threading.enumerate())
found = tried(attempt, migrate, ask, afresh=lambda: None)
with connections["default"].cursor() as cursor:
    cursor.execute("SELECT to_regclass('half')::text, to_regclass('shop_item')::text")
    found["half"] = cursor.fetchone()
connections.close_all()
end(found, lambda: [t.name for t in set(threading.enumerate()) - threads if "(run)" not in t.name])
"""

FLASK = """
from flask_migrate import upgrade
from sqlalchemy.exc import OperationalError
from app import create_app, db

def attempt(call):
    began = time.monotonic()
    with app.app_context():
        try:
            call()
        except OperationalError as error:
            return {"text": str(error), "seconds": time.monotonic() - began}
        return {"text": "", "seconds": time.monotonic() - began}

def ask(): db.session.execute(db.text("SELECT 1"))
def afresh():
    with app.app_context():
        db.engine.dispose()

app = create_app()
found = tried(attempt, upgrade, ask, afresh)
with app.app_context():
    found["half"] = db.session.execute(db.text("SELECT to_regclass('half_too')::text")).scalar()
    db.session.remove()
afresh()
end(found)
"""


def found_out(project, code, *, within):
    """What the code found out, in a process of its own: each of its attempts fails, and soon.

    Args:
        within: seconds for each, beside the one for connecting.
    """
    script = project.write("script.py", HEAD + code)
    done = project.run(sys.executable, str(script), PPG_CONNECT_DEADLINE="1")
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    found = json.loads(lines[-1].removeprefix("RESULT "))
    assert found.pop("left") == 0
    half = found.pop("half")
    assert len(found) == 7
    assert all(each["text"] for each in found.values()), "each of them fails"
    assert {each["request"] for name, each in found.items() if "migrate" in name} == {""}
    for name, each in found.items():
        assert each["seconds"] < 1 + within, name
        if "middle" not in name:
            variable = "DIRECT_URL" if "migrate" in name else "DATABASE_URL"
            assert f"is from {variable} in the environment" in each["text"], name
    return half, found


def test_django_in_one_process(tmp_path, generated):
    project = Project(tmp_path, generated)
    project.app("shop", **{"0002_slow": apps.SLOW_DJANGO})
    half, found = found_out(project, DJANGO, within=4)
    assert half == [None, "shop_item"], "each migration is whole or not there"
    assert all(each["restored"] for each in found.values())
    assert project.manage("migrate").returncode == 0, "the next one finishes it"


def test_flask_in_one_process(tmp_path, generated):
    project = flask_projects.Project(tmp_path, generated)
    apps.write_flask(project)
    assert project.flask("db", "init", FLASK_APP="app").returncode == 0
    project.revision("one", apps.SLOW_FLASK)
    half, _ = found_out(project, FLASK, within=5)
    assert half is None


def test_the_table_has_the_frameworks():
    cells = table.read()
    for row in apps.ROWS:
        place = f"{row.place or 'both'} (no `.env`)" if row.neon else row.place or "both"
        for fault in FAULTS:
            cell = cells[row.name, place][fault]
            assert cell.startswith("waits") == ((fault, row) in apps.ENDLESS)
