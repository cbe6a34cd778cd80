"""Migrations and requests in processes that live on: `default` is as it was, and nothing is left."""

from __future__ import annotations

import json
import sys

from tests.django.project import Project
from tests.faults import apps, table
from tests.faults.stage import FAULTS
from tests.flask import projects as flask_projects

#: A process with proxies before both endpoints, which may be told to fail.
PROXIES = """
import os, sys, threading, time
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
"""

RESULT = """
import json
print("\\nRESULT " + json.dumps(found))
"""

DJANGO = """
import pathlib
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

def cut():
    while not pathlib.Path("begun").exists():
        time.sleep(0.02)
    direct.cut(reset=True)

threads = set(threading.enumerate())
found = {}
for fault, spoil in FAULTS.items():
    spoil(direct)
    found[f"migrate, {fault}"] = attempt(migrate)
    found[f"migrate, {fault}"]["request"] = attempt(ask)["text"]
    heal()
    spoil(pooled)
    found[f"request, {fault}"] = attempt(ask)
    heal()
cutter = threading.Thread(target=cut)
cutter.start()
found["migrate, in the middle"] = attempt(migrate)
found["migrate, in the middle"]["request"] = attempt(ask)["text"]
cutter.join()
with connections["default"].cursor() as cursor:
    cursor.execute("SELECT to_regclass('half')::text, to_regclass('shop_item')::text")
    found["half"] = cursor.fetchone()
connections.close_all()
deadline = time.monotonic() + 5
def left():
    mine = [t.name for t in set(threading.enumerate()) - threads if "(run)" not in t.name]
    return mine or pooled.open + direct.open
while left() and time.monotonic() < deadline:
    time.sleep(0.02)
found["left"] = left()
for proxy in (pooled, direct):
    proxy.__exit__(None, None, None)
"""

SLOW = """
import pathlib
from django.db import migrations
def begin(apps, editor):
    pathlib.Path("begun").touch()
class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.RunSQL("CREATE TABLE half (id int)"),
        migrations.RunPython(begin),
        migrations.RunSQL("SELECT pg_sleep(2)"),
    ]
"""


def result(project, code):
    """What the code found out, in a process of its own."""
    script = project.write("script.py", PROXIES + code + RESULT)
    done = project.run(sys.executable, str(script), PPG_CONNECT_DEADLINE="1")
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    return json.loads(lines[-1].removeprefix("RESULT "))


def test_django_in_one_process(tmp_path, generated):
    project = Project(tmp_path, generated)
    project.app("shop", **{"0002_slow": SLOW})
    found = result(project, DJANGO)
    assert found.pop("left") == 0
    assert found.pop("half") == [None, "shop_item"], "each migration is whole or not there"
    assert all(each["restored"] for each in found.values())
    assert all(each["text"] for each in found.values()), "each of them fails"
    assert {each["request"] for name, each in found.items() if "migrate" in name} == {""}
    for name, each in found.items():
        assert each["seconds"] < 1 + 4, name
        if "middle" not in name:
            variable = "DIRECT_URL" if "migrate" in name else "DATABASE_URL"
            assert f"is from {variable} in the environment" in each["text"], name
    assert project.manage("migrate").returncode == 0, "the next one finishes it"


FLASK = """
import pathlib
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
def cut():
    while not pathlib.Path("begun").exists():
        time.sleep(0.02)
    direct.cut(reset=True)

app = create_app()
found = {}
for fault, spoil in FAULTS.items():
    spoil(direct)
    found[f"upgrade, {fault}"] = attempt(upgrade)
    found[f"upgrade, {fault}"]["request"] = attempt(ask)["text"]
    heal()
    with app.app_context():
        db.engine.dispose()
    spoil(pooled)
    found[f"request, {fault}"] = attempt(ask)
    heal()
cutter = threading.Thread(target=cut)
cutter.start()
found["upgrade, in the middle"] = attempt(upgrade)
found["upgrade, in the middle"]["request"] = attempt(ask)["text"]
cutter.join()
with app.app_context():
    found["half"] = db.session.execute(db.text("SELECT to_regclass('half_too')::text")).scalar()
    db.session.remove()
    db.engine.dispose()
deadline = time.monotonic() + 5
while pooled.open + direct.open and time.monotonic() < deadline:
    time.sleep(0.02)
found["left"] = pooled.open + direct.open
for proxy in (pooled, direct):
    proxy.__exit__(None, None, None)
"""


def test_flask_in_one_process(tmp_path, generated):
    project = flask_projects.Project(tmp_path, generated)
    app = flask_projects.APP.replace("shop", "app")
    project.write("app/__init__.py", app)
    project.write("app/models.py", flask_projects.MODELS.replace("shop", "app"))
    assert project.flask("db", "init", FLASK_APP="app").returncode == 0
    project.revision(
        "one",
        "import pathlib\nop.execute('CREATE TABLE half_too (id int)')\n"
        "pathlib.Path('begun').touch()\nop.execute('SELECT pg_sleep(2)')",
    )
    found = result(project, FLASK)
    assert found.pop("left") == 0
    assert found.pop("half") is None
    assert all(each["text"] for each in found.values())
    assert {each["request"] for name, each in found.items() if "upgrade" in name} == {""}
    for name, each in found.items():
        assert each["seconds"] < 1 + 5, name
        if "middle" not in name:
            variable = "DIRECT_URL" if "upgrade" in name else "DATABASE_URL"
            assert f"is from {variable} in the environment" in each["text"], name


def test_the_table_has_the_frameworks():
    cells = table.read()
    for row in apps.ROWS:
        place = f"{row.place or 'both'} (no `.env`)" if row.neon else row.place or "both"
        for fault in FAULTS:
            cell = cells[row.name, place][fault]
            assert cell.startswith("waits") == ((fault, row) in apps.ENDLESS)
