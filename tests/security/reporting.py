"""A program that lets connections fail in every way there is, with a real Sentry client watching.

It reads a list of ways, each with its environment, and prints for each of them how many errors were
reported and where in the events a secret stood. The transport is our own: nothing leaves the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import json
import logging
import os
import pprint
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sentry_sdk
from sentry_sdk import serializer
from sentry_sdk.scrubber import EventScrubber
from sentry_sdk.transport import Transport

from ppg_integrations.secret import masked

#: Percent-encoding leaves it as it is, so that no spelling of the password is overlooked.
NEEDLE = "Zq7w0rdQ9"
PASSWORD = f"a%/{NEEDLE}@ ~"


class Kept(Transport):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Any) -> None:
        for item in envelope.items:
            self.events.append(json.loads(item.get_bytes()))


KEPT = Kept()


def places(value: Any, path: str = "") -> Iterator[str]:
    """Where in a document the secret stands."""
    if isinstance(value, dict):
        if "vars" in value and "function" in value:
            path = f"{value.get('module')}.{value['function']}"
        for name, each in value.items():
            if NEEDLE in str(name):
                yield f"{path} (a name)"
            yield from places(each, f"{path}.{name}")
    elif isinstance(value, list):
        for each in value:
            yield from places(each, path)
    elif NEEDLE in str(value):
        yield path


def django() -> None:
    from django.conf import settings

    from ppg_integrations.django import databases

    settings.configure(
        DEBUG=True,
        DATABASES=databases(),
        INSTALLED_APPS=["ppg_integrations.django"],
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="x",
    )
    import django as package

    package.setup()
    from django.core.handlers.wsgi import WSGIHandler
    from django.test import RequestFactory

    def respond(status: str, *_: Any) -> None:
        assert status.startswith("500"), status

    global urlpatterns
    from django.http import HttpResponse
    from django.urls import path

    def view(_request: Any) -> HttpResponse:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return HttpResponse("reached")

    urlpatterns = [path("", view)]
    KEPT.events.append(
        {"debug page": b"".join(WSGIHandler()(RequestFactory().get("/").environ, respond)).decode()}
    )
    from django.core.management import call_command
    from django.db import connection
    from django.views.debug import ExceptionReporter

    with caught():
        call_command("migrate")
    try:
        connection.ensure_connection()
    except Exception:
        reporter = ExceptionReporter(RequestFactory().get("/"), *sys.exc_info())
        KEPT.events.append({"text": reporter.get_traceback_text()})
        KEPT.events.append({"page": reporter.get_traceback_html()})
    for output in ("hash", "unified"):
        stream = io.StringIO()
        with contextlib.redirect_stdout(stream):
            call_command("diffsettings", all=True, output=output)
            call_command("check")
            pprint.pp(settings.DATABASES)
            print(settings.DATABASES, vars(settings))
        assert "DATABASES" in stream.getvalue()
        KEPT.events.append({"settings": stream.getvalue()})


def flask(driver: str) -> None:
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from sqlalchemy import text
    from werkzeug.debug import DebuggedApplication
    from werkzeug.test import Client

    from ppg_integrations.flask import PPG

    app, db = Flask("shop"), SQLAlchemy()
    app.config["PPG_DRIVER"] = driver
    PPG().init_app(app)
    db.init_app(app)

    @app.get("/")
    def view() -> str:
        return str(db.session.execute(text("SELECT 1")).scalar())

    assert app.test_client().get("/").status_code == 500
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        pprint.pp(app.config)
        pprint.pp(dict(app.config), width=20)
        print(app.config, app.extensions, vars(app))
    app.testing = True  # Flask lets errors through to the debugger
    with contextlib.redirect_stderr(stream):
        page = DebuggedApplication(app, evalex=True)
        KEPT.events.append(
            {"debugger": Client(page).get("/", base_url="http://localhost").get_data(as_text=True)}
        )
    assert "SQLALCHEMY_DATABASE_URI" in stream.getvalue()
    KEPT.events.append({"config": stream.getvalue()})


def sqlalchemy(driver: str) -> None:
    from ppg_integrations.sqlalchemy import create_engine

    engine = create_engine(driver=driver)
    with caught(), engine.connect():
        pass
    engine.dispose()


def sqlalchemy_asyncio(driver: str) -> None:
    from ppg_integrations.sqlalchemy import create_async_engine

    async def main() -> None:
        engine = create_async_engine(driver=driver)
        with caught():
            async with engine.connect():
                pass
        await engine.dispose()

    asyncio.run(main())


def pool() -> None:
    from ppg_integrations.flask import PPG
    from flask import Flask

    app = Flask("pool")
    ppg = PPG()
    ppg.init_app(app)
    with app.app_context():
        made = ppg.connection_pool(timeout=1.0)
        with caught(), made.connection():
            pass
        made.close()


def pool_asyncio() -> None:
    from ppg_integrations.flask import PPG
    from flask import Flask

    app = Flask("pool")
    ppg = PPG()
    ppg.init_app(app)

    async def main() -> None:
        with app.app_context():
            made = ppg.async_connection_pool(timeout=1.0)
            with caught():
                async with made.connection():
                    pass
            await made.close()

    asyncio.run(main())


def verb(*arguments: str) -> None:
    from ppg_integrations.cli import arguments as parser
    from ppg_integrations.cli import frontend
    from ppg_integrations.cli.screen import Screen

    options = vars(parser.parser("ppg-connect").parse_args(arguments))
    screen = Screen(sys.stderr, sys.stderr)
    with caught():
        status = frontend.perform(options, screen, program="ppg-connect", environ=os.environ)
        raise SystemError(f"it ended with {status}")  # some of them print what was wrong


@contextlib.contextmanager
def caught() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        sentry_sdk.capture_exception(error)
    else:
        raise AssertionError("it did not fail")


def resolving() -> None:
    from ppg_integrations import resolve

    with caught():
        resolve()
    with caught():
        resolve(os.environ["DATABASE_URL"])


def storing() -> None:
    """Each place in which a credential is kept, when it cannot be."""
    from ppg_integrations import PostgresURL, credential_cache, envfile
    from ppg_integrations.entry import Entry
    from ppg_integrations.journal import Journal
    from ppg_integrations.providers.base import Generated

    url = PostgresURL.parse(os.environ["DATABASE_URL"])
    path = Path("storing.env")
    values = {"DATABASE_URL": masked(url.reveal())}
    journal, slot = Journal(path), credential_cache.Slot("neon", "k" * 32)
    journal.prepare()
    sync = os.fsync

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "full", descriptor)

    os.fsync = full
    try:
        with caught():
            envfile.update(path, values)
        with caught():
            journal.record(Entry("neon", generated=Generated("c", "c", url, url)))
        with caught():
            slot.write("c", url, url)
    finally:
        os.fsync = sync
    for value in (f"${{{NEEDLE}", f"a\n{NEEDLE}"):
        value = masked(value)
        with caught():
            envfile.update(path, {"DATABASE_URL": value})
    path.write_text(f"A='open\nB={NEEDLE}\n")
    with caught():
        envfile.update(path, values)
    path.write_bytes(b"A=\xff" + NEEDLE.encode())
    with caught():
        envfile.read(path)
    with caught():
        envfile.check_writable(path)
    path.unlink()
    path.symlink_to("elsewhere")
    with caught():
        envfile.update(path, values)
    path.unlink()
    Path(journal.path).write_text(f"{{{NEEDLE}")
    with caught():
        journal.entries()


def settings() -> None:
    """As a settings module is imported."""
    from ppg_integrations.django import databases

    with caught():
        databases()


def main() -> None:
    warnings.simplefilter("ignore")
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    # Of a long mapping it would report ten items, and of what lies deeper nothing.
    serializer.MAX_DATABAG_BREADTH = 10_000
    serializer.MAX_DATABAG_DEPTH = 12
    sentry_sdk.init(
        "http://key@127.0.0.1/1",
        transport=KEPT,
        include_local_variables=True,
        send_default_pii=True,
        # Nothing is to be hidden by what it is called.
        event_scrubber=EventScrubber(denylist=[], pii_denylist=[]),
        max_value_length=100_000,
        traces_sample_rate=1.0,
    )
    answer = []
    functions: dict[str, Callable[..., None]] = globals()
    usual = dict(os.environ)
    for way, environ in json.load(sys.stdin):
        name, *more = way.split()
        os.environ.clear()
        os.environ.update({**usual, **environ})
        KEPT.events.clear()
        functions[name](*more)
        sentry_sdk.flush()
        errors = [each for each in KEPT.events if "exception" in each]
        found = sorted({place for each in KEPT.events for place in places(each)})
        answer.append([len(errors), found])
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
