"""The example project works as its README says, on the real servers."""

from __future__ import annotations

import ast
import re

import pytest

from tests.examples.copies import ROOT, Copy

EXAMPLE = ROOT / "example_projects" / "django_guestbook"


@pytest.fixture
def guestbook(tmp_path, generated):
    return Copy(
        EXAMPLE,
        tmp_path,
        DEBUG="1",
        DATABASE_URL=generated.pooled.reveal(),
        DIRECT_URL=generated.direct.reveal(),
    )


@pytest.fixture
def unconfigured(tmp_path):
    """No DEBUG, no key, no URL: what an image build has."""
    return Copy(EXAMPLE, tmp_path)


@pytest.mark.parametrize(
    ("runner", "passed"),
    [
        (("manage.py", "test"), r"Ran (\d+) tests in .*\n\nOK\n"),
        (("-m", "pytest", "-q", "-p", "no:cacheprovider"), r"(\d+) passed in"),
    ],
    ids=["manage.py", "pytest"],
)
def test_its_own_tests_pass_and_use_the_direct_url_alone(
    guestbook, servers, generated, runner, passed
):
    before = servers.counters()
    output = guestbook.run(*runner)
    found = re.search(passed, output)
    assert found, output
    assert int(found[1]) >= 11, output
    seen = servers.counters() - before
    assert seen.pooled_logins == 0
    assert seen.direct_logins > 0
    with servers.connect() as connection:
        left = f"test_{generated.pooled.database}%"
        assert connection.fetch("SELECT 1 FROM pg_database WHERE datname LIKE %s", (left,)) == []


def test_the_data_migration_that_hangs_elsewhere_runs_on_a_table_with_rows(
    guestbook, servers, generated
):
    guestbook.run("manage.py", "migrate", "guestbook", "0001")
    with servers.connect(generated.pooled.database) as connection:
        connection.execute(
            "INSERT INTO guestbook_entry (name, message, created_at) VALUES ('Ada', 'Early.', now())"
        )
    before = servers.counters(generated.pooled.database)
    assert "WARNINGS" not in guestbook.run("manage.py", "migrate")
    assert (servers.counters(generated.pooled.database) - before).pooled_logins == 0
    with servers.connect(generated.pooled.database) as connection:
        rows = connection.fetch(
            "SELECT h.slug FROM guestbook_entry e JOIN guestbook_house h ON h.id = e.house_id"
        )
    assert rows == [("lighthouse",)]


def test_no_check_complains(guestbook):
    assert "no issues" in guestbook.run("manage.py", "check", "--fail-level", "DEBUG")


def test_an_image_can_be_built_without_any_setting(unconfigured):
    unconfigured.run("manage.py", "collectstatic", "--no-input", "--dry-run")


def test_without_debug_there_is_no_key_that_everybody_knows(unconfigured):
    output = unconfigured.run(
        "manage.py",
        "shell",
        "-c",
        "from django.conf import settings; settings.SECRET_KEY",
        status=1,
    )
    assert "The SECRET_KEY setting must not be empty" in output


def test_the_file_configures_too_and_the_environment_wins(guestbook):
    (guestbook.folder / ".env").write_text("DEBUG=0\nSECRET_KEY=of-the-file\nALLOWED_HOSTS=a,b c\n")
    show = "from django.conf import settings as s; print([s.DEBUG, s.SECRET_KEY, s.ALLOWED_HOSTS])"
    printed = guestbook.run("manage.py", "shell", "-c", show)
    assert "[True, 'of-the-file', ['a', 'b', 'c']]" in printed


def test_the_database_part_of_the_settings_is_three_lines():
    text = (EXAMPLE / "config/settings.py").read_text()
    # the import, the app, DATABASES: their own statements, and nothing about databases beside them
    lines = [
        line.strip() for line in text.splitlines() if re.search("ppg_integrations|DATABASES", line)
    ]
    assert len(lines) == 3, lines
    assigned = {
        target.id: ast.unparse(statement.value)
        for statement in ast.parse(text).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    assert assigned["DATABASES"] == "databases(env_file=BASE_DIR / '.env')"
    assert ast.literal_eval(assigned["INSTALLED_APPS"])[0] == "ppg_integrations.django"
    assert not {"DATABASE_ROUTERS", "MIDDLEWARE_CLASSES", "TEST_RUNNER"} & assigned.keys()


def test_the_readme_names_commands_and_extras_that_exist(unconfigured):
    text = (EXAMPLE / "README.md").read_text()
    lines = [line.split() for line in re.findall(r"^python manage\.py ([^#\n]+)", text, re.M)]
    known = unconfigured.run("manage.py", "help", "--commands").split()
    assert {line[0] for line in lines} <= set(known)
    verbs = [line for line in lines if line[0] == "ppg_connect"]
    assert len(verbs) == 2
    for verb in verbs:
        unconfigured.run("manage.py", *verb, "--help")
    project = (ROOT / "pyproject.toml").read_text()
    for extras in re.findall(
        r"ppg-integrations\[([^]]+)\]", text + (EXAMPLE / "requirements.txt").read_text()
    ):
        for extra in extras.split(","):
            assert re.search(rf"^{extra} = \[", project, re.M), extra


def test_nothing_secret_can_be_committed():
    ignored = (EXAMPLE / ".gitignore").read_text().splitlines()
    assert {".env", ".ppg/"} <= set(ignored)
