"""The Flask example works as its README says, on the real servers."""

from __future__ import annotations

import re

import pytest

from tests.examples.copies import ROOT, Copy

EXAMPLE = ROOT / "example_projects" / "flask_shortlinks"


class Shortlinks(Copy):
    def __init__(self, folder, **environ):
        # Flask-Migrate's env.py asks for the old name first.
        old = "ignore:'get_engine' is deprecated:DeprecationWarning"
        super().__init__(EXAMPLE, folder, warnings=[old], **environ)

    def flask(self, *command, status=0):
        return self.run("-m", "flask", *command, status=status)


@pytest.fixture
def shortlinks(tmp_path, generated):
    return Shortlinks(
        tmp_path,
        FLASK_DEBUG="1",
        DATABASE_URL=generated.pooled.reveal(),
        DIRECT_URL=generated.direct.reveal(),
    )


@pytest.fixture
def unconfigured(tmp_path):
    """No debug, no key, no URL: what an image build has."""
    return Shortlinks(tmp_path)


def test_its_own_tests_pass_and_use_the_direct_url_alone(shortlinks, servers, generated):
    before = servers.counters()
    output = shortlinks.run("-m", "pytest", "-q", "-p", "no:cacheprovider")
    found = re.search(r"(\d+) passed in", output)
    assert found, output
    assert int(found[1]) >= 11, output
    seen = servers.counters() - before
    assert seen.pooled_logins == 0
    assert seen.direct_logins > 0
    with servers.connect() as connection:
        left = f"test_{generated.pooled.database}%"
        assert connection.fetch("SELECT 1 FROM pg_database WHERE datname LIKE %s", (left,)) == []


def test_its_migrations_go_straight_to_a_table_with_rows(shortlinks, servers, generated):
    database = generated.pooled.database
    before = servers.counters(database)
    shortlinks.flask("db", "upgrade", "8c33bd40608f")
    with servers.connect(database) as connection:
        connection.execute(
            "INSERT INTO link (slug, target, clicks) VALUES ('a', 'https://a.example', 7)"
        )
    shortlinks.flask("db", "upgrade")
    assert "No new upgrade operations detected." in shortlinks.flask("db", "check")
    seen = servers.counters(database) - before
    assert (seen.pooled_logins, seen.direct_logins) == (0, 3)
    with servers.connect(database) as connection:
        assert connection.fetch("SELECT count FROM clicks") == [(7,)]


def test_its_requests_go_through_the_pooler(shortlinks, servers, generated):
    before = servers.counters(generated.pooled.database)
    code = (
        "from flask_migrate import upgrade\n"
        "from wsgi import app\n"
        "from shortlinks.models import add_link, db\n"
        "with app.app_context(): upgrade(); add_link('https://a.example', 'a-link'); db.session.commit()\n"
        "client = app.test_client()\n"
        "for _ in range(20): assert client.get('/a-link').location == 'https://a.example'\n"
        "print(client.get('/a-link.json').json['clicks'], client.get('/-/health').status_code)\n"
        "with app.app_context(): db.engine.dispose()\n"
    )
    assert "20 204\n" in shortlinks.run("-c", code)
    seen = servers.counters(generated.pooled.database) - before
    assert (seen.pooled_logins, seen.direct_logins) == (1, 1)
    assert seen.pooled_transactions >= 22


def test_an_image_can_be_built_without_any_setting(unconfigured):
    output = unconfigured.flask("routes")
    assert "/<slug:slug>+" in output
    assert "Set DATABASE_URL" in output  # a warning, and no more


SHOW = "from wsgi import app; print([app.config[key] for key in ('SECRET_KEY', 'TRUSTED_HOSTS')])"


def test_without_debug_there_is_no_key_that_everybody_knows(unconfigured):
    form = f"{SHOW}; app.testing = True; app.test_client().get('/')"
    output = unconfigured.run("-c", form, status=1)
    assert "[None, None]" in output
    assert "A secret key is required to use CSRF" in output


def test_the_file_configures_too_and_the_environment_wins(shortlinks):
    (shortlinks.folder / ".env").write_text("SECRET_KEY=of-the-file\nTRUSTED_HOSTS=a,b c\n")
    shortlinks.environ["SECRET_KEY"] = "of-the-environment"
    assert "['of-the-environment', ['a', 'b', 'c']]" in shortlinks.run("-c", SHOW)


def test_the_database_part_is_two_lines_more_than_without():
    text = (EXAMPLE / "shortlinks/__init__.py").read_text()
    calls = re.findall(r"^    ((?:ppg|db|migrate)\.\w+\(.*?\))", text, re.M)
    assert calls == [
        "ppg.init_app(app)",
        "db.init_app(app)",
        "migrate.init_app(app, db)",
        "ppg.init_migrate(migrate)",
    ]
    sources = [path.read_text() for path in (EXAMPLE / "shortlinks").rglob("*.py")]
    assert not any("SQLALCHEMY_" in source or "_URL" in source for source in sources)
    assert "ppg" not in (EXAMPLE / "migrations/env.py").read_text()


def test_the_readme_names_commands_and_extras_that_exist(unconfigured):
    text = (EXAMPLE / "README.md").read_text()
    lines = [line.split() for line in re.findall(r"^flask ([^#\n]+)", text, re.M)]
    assert {line[0] for line in lines} == {"ppg", "db", "run"}
    code = (
        "import sys; from wsgi import app; run = app.test_cli_runner().invoke\n"
        "print([run(args=[*line.split(), '--help']).exit_code for line in sys.argv[1:]])\n"
    )
    asked = sorted({" ".join(line[:2]) for line in lines if line[0] != "run"})
    assert f"{[0] * len(asked)}\n" in unconfigured.run("-c", code, *asked)
    assert len(asked) == 4
    project = (ROOT / "pyproject.toml").read_text()
    found = re.findall(r"ppg-integrations\[([^]]+)\]", (EXAMPLE / "requirements.txt").read_text())
    for extra in ",".join(found).split(","):
        assert re.search(rf"^{extra} = \[", project, re.M), extra


def test_nothing_secret_can_be_committed():
    ignored = (EXAMPLE / ".gitignore").read_text().splitlines()
    assert {".env", ".ppg/"} <= set(ignored)
