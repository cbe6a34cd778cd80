"""``flask ppg``: the verbs of ``ppg-connect``, on the app's own configuration."""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from quart import Quart

from ppg_integrations import PostgresURL, __version__, envfile, providers
from ppg_integrations.cli import main
from ppg_integrations.errors import MissingURLError, UsageError
from ppg_integrations.flask import PPG, call
from ppg_integrations.flask.cli import ppg
from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.local.servers import LocalServers
from tests.flask.command import FlaskCommand, Said, runner
from tests.flask.conftest import DIRECT, OTHER, POOLED, Made, urls, write_env
from tests.flask.projects import Project
from tests.support import terminal
from tests.support.doubles.accounts import Accounts
from tests.support.doubles.neon import NeonDouble
from tests.support.doubles.prisma import PrismaDouble
from tests.support.scripted import Desk, Scripted, drop

VERBS = ("create", "show", "list", "rotate", "revoke", "doctor", "run", "local")
PASSWORD = "sesame"
#: Prints what a program gets that `run` starts.
ENVIRON = "import json, os; print(json.dumps(dict(os.environ)))"


@pytest.fixture
def command(folder: Path, capfd: pytest.CaptureFixture[str]) -> FlaskCommand:
    return FlaskCommand(folder, capfd)


@pytest.fixture
def new_desk(
    servers: LocalServers, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Desk]]:
    """Makes the provider ``prisma`` a scripted one, whose desk is a new one at each call."""
    tokens = providers._PROVIDERS["prisma"].tokens
    row = providers._Row("tests.support.scripted:Scripted", tokens)
    monkeypatch.setitem(providers._PROVIDERS, "prisma", row)
    desks = []

    def new() -> Desk:
        desks.append(Desk(servers, f"t_{secrets.token_hex(4)}"))
        monkeypatch.setattr(Scripted, "desk", desks[-1], raising=False)
        return desks[-1]

    yield new
    for desk in desks:
        if desk.asked:
            drop(desk)


def one_error(said: Said) -> dict[str, str]:
    document = json.loads(said.out)
    assert list(document) == ["error"]
    error: dict[str, str] = document["error"]
    assert list(error) == ["type", "message", "hint"]
    return error


def environ_of(said: Said) -> dict[str, str]:
    found: dict[str, str] = json.loads(said.out)
    return found


# -- the same verbs -----------------------------------------------------------------------------


def normalised(text: str, folder: Path) -> str:
    """Without what is another at each call, and without the name of the program."""
    text = text.replace(str(folder), "FOLDER").replace("flask ppg", "ppg-connect")
    text = re.sub(r"\b[0-9a-f]{8}\b|(?<=_)[0-9a-f]{8}(?=\b|_)", "RANDOM", text)
    text = re.sub(r'"latency_ms": [\d.]+|[\d.]+ ms', "LATENCY", text)
    return re.sub(r'\d+ of \d+ connections|"(used|allowed)": \d+', "SLOTS", text)


def test_every_verb_says_and_does_the_same(
    command: FlaskCommand,
    folder: Path,
    new_desk: Callable[[], Desk],
    generated: Generated,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PRISMA_SERVICE_TOKEN", "tok")
    app = command.app()
    monkeypatch.setenv("PYTHONPATH", str(folder))  # of the module, from the folders below

    def by_flask(*arguments: str) -> Said:
        return command("--app", app, "ppg", *arguments, status=None)

    def by_itself(*arguments: str) -> Said:
        return command.run(lambda: main([*arguments]), None)

    def transcript(name: str, call: Callable[..., Said]) -> list[tuple[tuple[str, ...], Said]]:
        """What a user sees who does all there is to do."""
        where = folder / name / "shop"
        where.mkdir(parents=True)
        monkeypatch.chdir(where)
        monkeypatch.syspath_prepend(str(folder))
        desk = new_desk()
        done = []

        def typed(*arguments: str) -> None:
            said = call(*arguments)
            parts = (normalised(part, where) for part in said[1:])
            done.append((arguments, Said(said.status, *parts)))

        typed("show")
        typed("create", "--json")
        first = next(iter(desk.alive))
        typed("create", "--name", "again")
        second = [*desk.alive][-1]
        typed("list")
        typed("list", "--json")
        for arguments in (
            ("show",),
            ("show", "--json"),
            ("show", "--reveal"),
            ("doctor",),
            ("doctor", "--json"),
            ("run", "--", sys.executable, "-c", "raise SystemExit(7)"),
            ("run", "--", "no-such-tool-anywhere"),
            ("run",),
            ("run", "--json", "--", "true"),
            ("show", "--provider", "neon"),
            ("show", "--provider", "frob"),
            ("create", "--branch", "dev"),
            ("revoke", "con_none"),
            ("local", "status"),
        ):
            typed(*arguments)
        for arguments in (("revoke", second), ("revoke", first), ("revoke", first, "--json")):
            typed(*arguments)
            ids = (each.replace(first, "FIRST").replace(second, "SECOND") for each in done[-1][0])
            done[-1] = (tuple(ids), done[-1][1])
        typed("rotate")
        typed("rotate", "--json")
        return done

    expected = transcript("one", by_itself)
    assert transcript("two", by_flask) == expected
    statuses = {said.status for _, said in expected}
    assert statuses == {0, 1, 2, 7}
    outs = "".join(said.out for _, said in expected)
    assert outs.count('"connection"') == 2


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_the_same_options_and_help(verb: str, command: FlaskCommand) -> None:
    mine = command("ppg", verb, "--help")
    its = command.run(lambda: main([verb, "--help"]), 0)
    assert mine.out.startswith(f"usage: flask ppg {verb} ")
    assert mine.out.replace("flask ppg", "ppg-connect").split() == its.out.split()


def test_the_help_names_the_verbs_and_is_short(command: FlaskCommand) -> None:
    shown = command("ppg", "--help").out
    assert shown.startswith("usage: flask ppg ")
    assert len(shown.splitlines()) < 26
    for verb in (*VERBS, "shell"):
        assert re.search(rf"^ +{verb} ", shown, re.MULTILINE)
    assert command("ppg", "--version").out == f"flask ppg {__version__}\n"
    lines = command("--app", command.app(), "--help").out.splitlines()
    (line,) = (line for line in lines if line.startswith("  ppg"))
    assert line.endswith(".")  # click has not cut it off
    assert not line.endswith("...")


@pytest.mark.parametrize(
    "arguments",
    [[], ["nonsense"], ["show", "--nonsense"], ["local"], ["revoke"], ["shell", "--reveal"]],
)
def test_wrong_usage_is_2(arguments: list[str], command: FlaskCommand) -> None:
    said = command.ppg(*arguments, app=command.app(DATABASE_URL=POOLED), status=2)
    assert said.out == ""
    assert said.err.count("usage: flask ppg") == (arguments != ["shell", "--reveal"])


def test_the_verbs_are_completed(
    command: FlaskCommand, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def completed(typed: str) -> list[str]:
        monkeypatch.setenv("_FLASK_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", typed)
        monkeypatch.setenv("COMP_CWORD", str(len(typed.split(" ")) - 1))
        return [line.partition(",")[2] for line in command(status=None).out.split()]

    assert completed("flask ppg ") == [*VERBS[:-1], "shell", "local"]
    assert completed("flask ppg ro") == ["rotate"]
    assert completed("flask ppg create --") == []


# -- the app's own configuration ------------------------------------------------------------------


def test_app_config_is_what_is_shown(
    command: FlaskCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", OTHER)
    said = command.ppg("show", "--json", app=command.app(DATABASE_URL=POOLED))
    shown = json.loads(said.out)
    assert list(shown) == ["provider", "pooled", "direct", "env_file", "warnings"]
    assert shown["pooled"]["source"] == "DATABASE_URL in app.config"
    assert shown["pooled"]["url"] == POOLED.replace(PASSWORD, "***")
    assert said.err == ""
    revealed = command.ppg("show", "--json", "--reveal", app=command.app(DATABASE_URL=POOLED))
    assert json.loads(revealed.out)["direct"]["url"] == DIRECT


def test_arguments_of_ppg_are_what_is_shown(command: FlaskCommand) -> None:
    app = command.app(f"PPG(app, pooled={POOLED!r}, direct={DIRECT!r})")
    shown = json.loads(command.ppg("show", "--json", app=app).out)
    assert shown["direct"]["source"] == "the argument direct"


def test_what_was_put_right_is_said_once(command: FlaskCommand) -> None:
    said = command.ppg("show", app=command.app(DATABASE_URL=DIRECT, DIRECT_URL=POOLED))
    assert said.err.count("swapped") == 1
    assert said.err.startswith("warning: ")


def test_the_apps_file_is_written_and_read(
    command: FlaskCommand, folder: Path, new_desk: Callable[[], Desk]
) -> None:
    new_desk()
    path = folder / "conf" / "dev.env"
    path.parent.mkdir()
    app = command.app(PPG_ENV_FILE=str(path), PRISMA_SERVICE_TOKEN="t0ken-of-config")
    missing = command.ppg(
        "show", "--env-file", "nowhere.env", "--provider", "local", app=app, status=1
    )
    assert "`flask ppg create`" in missing.err
    created = command.ppg("create", app=app)
    assert created.out.endswith("Next: flask ppg doctor\n")
    assert "DATABASE_URL" in envfile.read(path)
    assert not (folder / ".env").exists()
    assert json.loads(command.ppg("show", "--json", app=app).out)["env_file"] == str(path)
    assert " in use\n" in command.ppg("list", app=app).out


def test_an_option_names_another_file_than_the_one_flask_has_loaded(
    command: FlaskCommand, folder: Path
) -> None:
    (folder / ".env").write_text(f"DATABASE_URL={POOLED}\n")
    (folder / "other.env").write_text(f"DATABASE_URL={OTHER}\n")
    for app in (command.app(), command.app("pass")):
        shown = json.loads(command.ppg("show", "--json", app=app).out)
        assert shown["pooled"]["source"] == f"DATABASE_URL in {folder / '.env'}"
    (folder / ".flaskenv").write_text(f"DATABASE_URL_POOLED={POOLED}\n")
    for app in (command.app(), command.app("pass")):
        said = command.ppg("show", "--json", "--env-file", "other.env", app=app)
        assert json.loads(said.out)["pooled"]["url"] == OTHER.replace("secret", "***")
        assert "warning: " not in said.err


def test_a_file_that_is_named_and_that_the_configuration_hides_is_said(
    command: FlaskCommand, folder: Path
) -> None:
    """No variable is in its way that could be unset."""
    (folder / "other.env").write_text(f"DATABASE_URL={OTHER}\n")
    said = command.ppg("show", "--env-file", "other.env", app=command.app(DATABASE_URL=POOLED))
    assert "DATABASE_URL in app.config wins." in said.err
    assert "`ppg-connect show --env-file other.env`" in said.err


def test_what_flask_has_loaded_is_no_reason_to_unset_anything(
    command: FlaskCommand, folder: Path, new_desk: Callable[[], Desk]
) -> None:
    desk = new_desk()
    (folder / ".env").write_text("PRISMA_SERVICE_TOKEN=t0ken-of-file\n")
    app = command.app()
    command.ppg("create", app=app)
    (first,) = desk.alive
    said = command.ppg("rotate", app=app)
    assert "unset" not in said.err + said.out
    assert first not in desk.alive
    # What is really set elsewhere is another matter.
    said = command.ppg("rotate", app=command.app(DATABASE_URL=POOLED))
    assert "DATABASE_URL is also set in app.config" in said.err


@pytest.mark.once
def test_flasks_own_env_file_is_not_the_one_that_is_written(
    command: FlaskCommand, folder: Path, new_desk: Callable[[], Desk]
) -> None:
    new_desk()
    (folder / "secrets.env").write_text("PRISMA_SERVICE_TOKEN=t0ken-of-file\n")
    app = command.app()
    said = command("--env-file", "secrets.env", "--app", app, "ppg", "create")
    assert "flask ppg create --env-file PATH" in said.err
    assert "DATABASE_URL" in envfile.read(folder / ".env")
    for quiet in (
        ("--env-file", "secrets.env", "--app", app, "ppg", "show"),
        ("--env-file", "secrets.env", "--app", app, "ppg", "rotate", "--env-file", ".env"),
    ):
        assert "--env-file" not in command(*quiet).err
    # Named twice, it is the file and not the environment that has the URLs.
    twice = ("--env-file", "secrets.env", "--app", app, "ppg")
    for verb in ("create", "rotate"):
        assert "unset" not in command(*twice, verb, "--env-file", "secrets.env").err


def test_an_app_that_reads_no_file_is_told_of(
    command: FlaskCommand, folder: Path, new_desk: Callable[[], Desk]
) -> None:
    new_desk()
    (folder / ".env").write_text("PRISMA_SERVICE_TOKEN=t0ken-of-file\n")
    app = command.app(PPG_ENV_FILE=False)
    words = "note: the app reads no .env file"
    assert words in command.ppg("create", app=app).err
    assert "DATABASE_URL" in envfile.read(folder / ".env")
    assert words not in command.ppg("rotate", "--env-file", ".env", app=app).err


def test_the_app_that_is_named_is_the_one(command: FlaskCommand) -> None:
    app = command.app(
        f"""
        PPG(app)
        other = Flask("other")
        other.config["DATABASE_URL"] = {OTHER!r}
        PPG(other)
        """,
        DATABASE_URL=POOLED,
    )
    assert "cool-rain" in command.ppg("show", app=app).out
    assert "dry-sand" in command.ppg("show", app=f"{app}:other").out


def test_what_the_app_prints_does_not_spoil_the_document(command: FlaskCommand) -> None:
    app = command.app("print('here I am')\nPPG(app)", DATABASE_URL=POOLED)
    said = command.ppg("show", "--json", app=app)
    assert json.loads(said.out)["provider"] == "neon"
    assert said.err == "here I am\n"


def test_no_api_is_asked_while_the_app_is_loaded(
    command: FlaskCommand,
    servers: LocalServers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with Accounts(servers) as accounts, NeonDouble(accounts) as double:
        app = command.app(NEON_API_HOST=double.url, NEON_API_KEY=double.token)
        command.ppg("local", "status", app=app)
        assert double.requests == []
        # A token is enough for those that need a pair, and no URL has to be set.
        assert "Neon's API" in command.ppg("show", app=app).out
        said = command.ppg("run", "--", sys.executable, "-c", ENVIRON, app=app)
        given = environ_of(said)
        assert given["PGPORT"] == str(servers.status().postgres.port)
        assert "PPG_RESOLVE" not in given
        assert "NEON_API_KEY" not in given


# -- what `run` and `shell` start -----------------------------------------------------------------


def test_children_get_the_environment_and_not_what_flask_has_loaded(
    command: FlaskCommand, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = f"DATABASE_URL={POOLED}\nSECRET_KEY=of-the-file\nPRISMA_SERVICE_TOKEN=t0ken\n"
    (folder / ".env").write_text(write)
    monkeypatch.setenv("COLOUR", "blue")
    monkeypatch.setenv("PGSERVICE", "elsewhere")
    app = command.app(NEON_API_KEY="t0ken-of-config", PPG_PROJECT="of-config")
    for name in (app, command.app("pass"), ""):
        given = environ_of(command.ppg("run", "--", sys.executable, "-c", ENVIRON, app=name))
        assert given["PGHOST"] == "ep-cool-rain.eu-central-1.aws.neon.tech"
        assert given["PPG_DIRECT"] == "1"
        assert given["COLOUR"] == "blue"
        unwanted = {"DATABASE_URL", "SECRET_KEY", "PRISMA_SERVICE_TOKEN", "NEON_API_KEY"}
        unwanted |= {"PPG_PROJECT", "PPG_RESOLVE", "PGSERVICE", "FLASK_RUN_FROM_CLI"}
        assert not unwanted & given.keys()


@pytest.mark.once
def test_a_child_of_the_app_goes_direct(env_file: Path, generated: Generated) -> None:
    project = Project(env_file.parent, None)
    code = (
        "from shop import create_app, db\n"
        "with create_app().app_context(), db.engine.connect() as connection:\n"
        "    print(connection.connection.driver_connection.info.port)"
    )
    done = project.flask("ppg", "run", "--", sys.executable, "-c", code)
    assert done.stdout == f"{generated.direct.port}\n"


def test_shell_is_psql_on_direct(
    command: FlaskCommand, env_file: Path, generated: Generated
) -> None:
    app = command.app()
    said = command.ppg("shell", "--", "-Atc", r"\echo :PORT :USER", app=app)
    assert said.out == f"{generated.direct.port} {generated.direct.user}\n"
    assert command.ppg("shell", "--", "-qc", "nonsense", app=app, status=1).err.startswith("ERROR")
    refused = command.ppg("shell", "--json", app=app, status=2)
    assert one_error(refused)["message"].startswith("shell prints what the program prints")


# -- an app with something wrong --------------------------------------------------------------------

MALFORMED = "postgres://u:s3cret@h:abc/"


@pytest.mark.parametrize("verb", ["show", "doctor", "run", "shell"])
@pytest.mark.parametrize(
    ("code", "config", "kind", "words"),
    [
        ("", {"DATABASE_URL": MALFORMED}, "URLError", "DATABASE_URL in app.config"),
        (f"PPG(app, pooled={MALFORMED!r})", {}, "URLError", "the argument pooled"),
        ("", {"PPG_BINDS": 3}, "ConfigurationError", "PPG_BINDS is a int"),
        (
            "app.extensions['sqlalchemy'] = None\nPPG(app)",
            {},
            "ConfigurationError",
            "db.init_app(app) came before",
        ),
    ],
    ids=["config", "argument", "type", "order"],
)
def test_what_is_wrong_with_the_configuration_is_the_error(
    code: str, config: dict[str, object], kind: str, words: str, verb: str, command: FlaskCommand
) -> None:
    app = command.app(code, **config)
    rest = ["--", "-c", "true"] if verb in ("run", "shell") else []
    plain = command.ppg(verb, *rest, app=app, status=1)
    assert plain.out == ""
    assert plain.err.startswith("error: ")
    assert words in plain.err
    assert "s3cret" not in plain.err
    if not rest:
        said = command.ppg(verb, "--json", app=app, status=1)
        assert one_error(said)["type"] == kind
        assert said.err == ""
    # Another file is no matter of the app's.
    (command.folder / "other.env").write_text(f"DATABASE_URL={POOLED}\n")
    if verb == "show" and "DATABASE_URL" not in config:
        assert "cool-rain" in command.ppg(verb, "--env-file", "other.env", app=app).out


@pytest.mark.once
@pytest.mark.parametrize(
    ("code", "config"),
    [(f"PPG(app, pooled={MALFORMED!r})", {}), ("", {"PPG_BINDS": 3})],
    ids=["pair", "type"],
)
def test_it_does_not_keep_create_from_its_work(
    code: str,
    config: dict[str, object],
    command: FlaskCommand,
    new_desk: Callable[[], Desk],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    new_desk()
    monkeypatch.setenv("PRISMA_SERVICE_TOKEN", "tok")
    app = command.app(code, **config)
    created = json.loads(command.ppg("create", "--json", app=app).out)
    assert created["connection"]["id"].startswith("con_")
    assert [
        each["in_use"]
        for each in json.loads(command.ppg("list", "--json", app=app).out)["connections"]
    ] == [True]


SECRET = "postgresql://ada:s3cret@h/d"


@pytest.mark.parametrize(
    ("code", "what"),
    [
        (f"raise KeyError({SECRET!r})", "KeyError in {name}, line 6"),
        (f"sys.exit({SECRET!r})", "SystemExit in {name}, line 6"),
        (
            "import no_such_module",
            "ModuleNotFoundError: No module named 'no_such_module' in {name}",
        ),
        ("def f(:", "SyntaxError: invalid syntax ({name}.py, line 6)"),
        (
            f"import sqlalchemy\nsqlalchemy.make_url({SECRET.partition('//')[2]!r})",
            "ArgumentError in {name}, line 7",
        ),
        ("del app", "Failed to find Flask application or factory in module '{name}'"),
    ],
    ids=["error", "exit", "import", "syntax", "library", "no app"],
)
def test_an_app_that_cannot_be_loaded_is_one_line(
    code: str, what: str, command: FlaskCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", POOLED)
    app = command.app(code)
    said = command.ppg("show", "--json", app=app)
    assert json.loads(said.out)["pooled"]["source"] == "DATABASE_URL in the environment"
    (line,) = said.err.splitlines()
    assert line.startswith(f"warning: the app cannot be loaded ({what.format(name=app)}")
    assert line.endswith("the environment and the .env file are used instead of its configuration")
    assert "s3cret" not in said.err


def test_an_app_that_is_not_there_is_said(
    command: FlaskCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", POOLED)
    said = command.ppg("show", app="no_such_module_at_all")
    assert said.err.startswith("warning: the app cannot be loaded (ModuleNotFoundError")
    said = command.ppg("show", app=f"{command.app()}:nothing")
    assert "Failed to find attribute 'nothing'" in said.err
    assert command.ppg("show", app=command.app("pass")).err.startswith(
        "note: the app shop has no PPG"
    )
    said = command.ppg("show", "--json")
    assert said.err.startswith("note: no Flask app is named (--app, FLASK_APP) or found here")
    assert json.loads(said.out)["provider"] == "neon"
    # One that lies where Flask looks is meant, too.
    (command.folder / "wsgi.py").write_text("import no_such_module\n")
    assert command.ppg("show").err.startswith("warning: the app cannot be loaded")


CREATES_TABLES = """
from flask_sqlalchemy import SQLAlchemy
PPG(app)
db = SQLAlchemy(app)
class Item(db.Model):
    id = db.Column(db.Integer, primary_key=True)
with app.app_context():
    db.create_all()
"""


def test_an_app_that_needs_its_database_to_be_loaded_gets_one(
    command: FlaskCommand, folder: Path, new_desk: Callable[[], Desk]
) -> None:
    """`db.create_all()` in a factory, on the first day."""
    new_desk()
    path = folder / "dev.env"
    app = command.app(CREATES_TABLES, PPG_ENV_FILE=str(path), PRISMA_SERVICE_TOKEN="t0ken")
    missing = command.ppg("show", app=app, status=1)
    assert missing.err.startswith("error: ")
    assert "warning" not in missing.err
    command.ppg("create", app=app)
    assert "DATABASE_URL" in envfile.read(path)
    said = command.ppg("doctor", app=app)
    assert "no problems" in said.out
    assert said.err == ""
    # A database that is away is none of PPG's configuration.
    gone = command.app(CREATES_TABLES, DATABASE_URL="postgresql://u:s3cret@127.0.0.1:1/d")
    said = command.ppg("doctor", "--json", app=gone, status=1)
    document = json.loads(said.out)
    assert document["pooled"]["kind"] == "unreachable"
    (problem,) = (each for each in document["problems"] if each["id"] == "app-not-loaded")
    assert problem["message"].startswith("the app cannot be loaded (OperationalError in ")
    assert "s3cret" not in said.err + problem["message"]


def test_doctor_says_of_an_app_that_cannot_be_loaded(
    command: FlaskCommand, generated: Generated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gate of a deployment is `doctor --strict`."""
    app = command.app(f"raise KeyError({SECRET!r})")
    # With nothing to ask, there is no list to put it into.
    said = command.ppg("doctor", app=app, status=1)
    assert said.err.startswith("warning: the app cannot be loaded (KeyError in ")
    monkeypatch.setenv("DATABASE_URL", generated.pooled.reveal())
    monkeypatch.setenv("DIRECT_URL", generated.direct.reveal())
    said = command.ppg("doctor", app=app)
    assert "warning app-not-loaded: the app cannot be loaded (KeyError in" in said.out
    assert "no problems" not in said.out
    assert said.err == ""
    said = command.ppg("doctor", "--strict", app=app, status=1)
    assert "s3cret" not in said.out + said.err
    said = command.ppg("doctor", "--strict", "--json", app=app, status=1)
    (problem,) = json.loads(said.out)["problems"]
    assert (problem["id"], problem["severity"]) == ("app-not-loaded", "warning")


# -- errors, and how they end -----------------------------------------------------------------------


def test_a_missing_url_says_flask_ppg_create(make_app: Callable[..., Made]) -> None:
    made = make_app()
    with pytest.raises(MissingURLError) as caught:
        made.scalar("SELECT 1")
    assert "`flask ppg create`" in caught.value.hint
    assert "ppg-connect" not in str(caught.value)
    assert "manage.py" not in str(caught.value)


def test_errors_are_clicks_with_ours_as_their_cause(folder: Path) -> None:
    app = Flask("shop")
    PPG(app)
    commands = runner(app)
    for arguments, kind, status in ((["show"], MissingURLError, 1), (["run"], UsageError, 2)):
        result = commands.invoke(args=["ppg", *arguments], standalone_mode=False)
        assert isinstance(result.exception, click.ClickException)
        assert isinstance(result.exception.__cause__, kind)
        assert result.exception.exit_code == status
        assert commands.invoke(args=["ppg", *arguments]).exit_code == status


def test_it_is_one_of_the_apps_own_commands(folder: Path) -> None:
    app = Flask("shop")
    app.config["DATABASE_URL"] = POOLED
    PPG(app)
    assert app.cli.commands["ppg"] is ppg
    result = runner(app).invoke(args=["ppg", "show", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["pooled"]["source"] == "DATABASE_URL in app.config"
    with app.app_context():
        result = click.testing.CliRunner().invoke(ppg, ["show", "--json"])
    assert json.loads(result.stdout)["pooled"]["source"] == "DATABASE_URL in app.config"


def test_quart_has_it_too(folder: Path) -> None:
    app = Quart("shop")
    app.config["DATABASE_URL"] = POOLED
    PPG(app)
    result = runner(app).invoke(args=["ppg", "show", "--json"])
    assert json.loads(result.stdout)["pooled"]["source"] == "DATABASE_URL in app.config"


@pytest.mark.parametrize("code", ["raise KeyboardInterrupt", "PPG(app)"], ids=["loading", "verb"])
def test_ctrl_c_is_130(code: str, command: FlaskCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_context: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ppg_integrations.verbs.show.show", interrupted)
    said = command.ppg("show", app=command.app(code), status=130)
    assert said.err == said.out == ""


@pytest.mark.once
def test_a_reader_that_has_gone_is_no_traceback(folder: Path) -> None:
    project = Project(folder, None)
    pipe = f"{sys.executable} -m flask ppg show --json | true; exit ${{PIPESTATUS[0]}}"
    done = project.run("bash", "-c", pipe, status=1, DATABASE_URL=POOLED)
    assert done.stderr == ""


def on_a_terminal(project: Project, *arguments: str, **environ: str) -> str:
    status, shown = terminal.run(
        [sys.executable, "-m", "flask", *arguments],
        folder=project.folder,
        environ={**project.environ, **environ},
    )
    assert status == 0
    return shown


@pytest.mark.once
def test_a_terminal_gets_colour_and_passwords_if_it_asks(folder: Path) -> None:
    project = Project(folder, None)
    shown = on_a_terminal(project, "ppg", "show", "--reveal", DATABASE_URL=POOLED)
    assert PASSWORD in shown
    assert "\x1b[" in shown
    shown = on_a_terminal(project, "ppg", "show", DATABASE_URL=POOLED, NO_COLOR="1")
    assert PASSWORD not in shown
    assert "\x1b[" not in shown


def test_it_works_without_sqlalchemy(folder: Path) -> None:
    code = (
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "import flask.cli; flask.cli.cli.main(['ppg', 'show'], prog_name='flask')"
    )
    done = Project(folder, None).run(
        sys.executable, "-c", code, DATABASE_URL=POOLED, FLASK_APP=None
    )
    assert "cool-rain" in done.stdout


def test_the_command_costs_other_commands_next_to_nothing(folder: Path) -> None:
    code = (
        "import sys, flask.cli; before = {*sys.modules}; import ppg_integrations.flask.cli\n"
        "print(*sorted({*sys.modules} - before))"
    )
    done = Project(folder, None).run(sys.executable, "-c", code)
    heavy = ("sqlalchemy", "httpx", "psycopg", "dotenv", "django")
    heavy += ("ppg_integrations.verbs", "ppg_integrations.cli", "ppg_integrations.providers")
    found = done.stdout.split()
    assert "ppg_integrations.flask.cli" in found
    assert not [name for name in found if name.startswith(heavy)]
    assert len(found) < 25


# -- a provider, from the first day on ----------------------------------------------------------------


@pytest.mark.once
def test_from_the_first_day_on_by_the_real_command(folder: Path, servers: LocalServers) -> None:
    """A token in `.env` and nothing else; then what to type next, each time."""
    project = Project(folder, None)
    with PrismaDouble(servers) as double:
        double.project("shop", "main")
        project.write(".env", f"PRISMA_API_URL={double.url}\nPRISMA_SERVICE_TOKEN={double.token}\n")
        missing = project.flask("ppg", "show", status=1)
        assert "`flask ppg create` makes a connection" in missing.stderr
        assert "Traceback" not in missing.stderr
        (folder / "migrations").mkdir()
        created = project.flask("ppg", "create")
        assert created.stdout.endswith("Next: flask db upgrade\n")
        (first,) = [each.id for each in double.workspace.connections]
        refused = project.flask("ppg", "revoke", first, status=1)
        assert f"error: {first} is in use" in refused.stderr
        assert "`flask ppg rotate`" in refused.stderr
        assert "unset" not in project.flask("ppg", "rotate").stderr
        (second,) = [each.id for each in double.workspace.connections]
        assert second != first


def test_where_nothing_is_migrated_yet_the_next_step_begins_with_that(folder: Path) -> None:
    app = Flask("shop")
    assert call._migrates(None) == call._migrates(app) == ""
    Migrate(app, SQLAlchemy())
    assert call._migrates(app) == "flask db init, flask db migrate, and flask db upgrade"
    (folder / "migrations").mkdir()
    assert call._migrates(app) == "flask db upgrade"


@pytest.mark.once
def test_no_secret_shows_at_any_level(
    command: FlaskCommand,
    folder: Path,
    servers: LocalServers,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    said = ""
    with PrismaDouble(servers) as double:
        double.project("shop", "main")
        known = {double.token}
        app = command.app(
            "PPG(app)\nfrom flask_sqlalchemy import SQLAlchemy\nSQLAlchemy(app)",
            PRISMA_API_URL=double.url,
            PRISMA_SERVICE_TOKEN=double.token,
        )
        for arguments, status in (
            (("show",), 1),
            (("create",), 0),
            (("show",), 0),
            (("list", "--json"), 0),
            (("rotate",), 0),
            (("doctor", "--json"), 0),
            (("run", "--", "true"), 0),
            (("shell", "--", "-qc", "SELECT 1"), 0),
            (("revoke", "con_none"), 1),
            (("create", "--json"), 0),
            (("local", "status"), 0),
        ):
            said += "".join(command.ppg(*arguments, app=app, status=status)[1:])
            if (folder / ".env").exists():
                for name in ("DATABASE_URL", "DIRECT_URL"):
                    url = PostgresURL.parse(envfile.read(folder / ".env")[name])
                    assert url.password is not None
                    known |= {url.reveal(), url.password.reveal()}
    assert any(record.levelno == logging.DEBUG for record in caplog.records)  # somebody did log
    assert len(known) >= 10
    assert not [secret[:6] for secret in known if secret in said + caplog.text]
