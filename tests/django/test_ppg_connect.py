"""``manage.py ppg_connect``: the same verbs, on the project's own settings."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ppg_integrations import PostgresURL, envfile
from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.local.provider import servers_of
from ppg_integrations.providers.local.servers import LocalServers
from tests.django.project import Project
from tests.support.doubles.prisma import PrismaDouble

OTHER = "postgresql://u@db.example/d"
KEYS = ["provider", "pooled", "direct", "env_file", "warnings"]


@pytest.fixture
def live(tmp_path: Path, generated: Generated) -> Project:
    return Project(tmp_path / "live", generated)


def test_from_the_first_day_to_a_migrated_database(tmp_path: Path) -> None:
    """No URL anywhere: the settings import, create writes the file they read, migrate works."""
    project = Project(tmp_path / "shop_project", None)
    env_file = project.folder / "conf" / "dev.env"
    env_file.parent.mkdir()
    project.settings('DATABASES = databases(env_file=BASE_DIR / "conf" / "dev.env")\n')
    try:
        missing = project.manage("ppg_connect", "show", status=1)
        assert "DATABASE_URL" in missing.stderr
        assert "ppg_connect create" in missing.stderr
        assert "Traceback" not in missing.stderr
        created = project.manage("ppg_connect", "--provider", "local")  # create is the default
        assert "manage.py migrate" in created.stdout
        assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
        assert (env_file.parent / ".ppg").is_dir()
        password = PostgresURL.parse(envfile.read(env_file)["DIRECT_URL"]).password
        assert password is not None
        assert password.reveal() not in created.stdout + created.stderr
        project.manage("migrate", "--verbosity", "0")
        shown = json.loads(project.manage("ppg_connect", "show", "--json").stdout)
        assert list(shown) == KEYS
        assert shown["env_file"] == str(env_file)
        assert shown["provider"] == "local"
        doctor = project.manage("ppg_connect", "doctor")
        assert "transaction-pooler" in doctor.stdout
        again = json.loads(project.manage("ppg_connect", "create", "--json").stdout)
        assert list(again) == [*KEYS, "connection"]
        # The second role may change what the first one's migrations made.
        table = "ALTER TABLE shop_item ADD COLUMN more int"
        project.manage("dbshell", "--", "-qc", table)
        status = json.loads(project.manage("ppg_connect", "local", "status", "--json").stdout)
        assert status["running"] is True
        assert project.manage("ppg_connect", "local", "stop").stdout == "stopped\n"
    finally:
        servers_of(env_file.parent).erase()


@pytest.mark.once
def test_doctor_and_show_mean_the_pair_in_the_settings(live: Project) -> None:
    assert live.generated is not None
    live.settings(
        f"""
        DATABASES = databases(pooled={live.generated.direct.reveal()!r},
                              direct={live.generated.pooled.reveal()!r})
        """
    )
    shown = json.loads(live.manage("ppg_connect", "show", "--json").stdout)
    assert shown["pooled"]["source"] == "the argument pooled"
    assert shown["pooled"]["port"] == live.generated.direct.port
    done = live.manage("ppg_connect", "doctor", "--json", status=1)
    assert json.loads(done.stdout)["problems"][0]["id"] == "swapped"


@pytest.mark.once
def test_doctor_names_the_hazards_of_the_settings(live: Project) -> None:
    live.settings("ASGI_APPLICATION = 'proj.asgi.application'\n")
    live.settings("DATABASES = databases(conn_max_age=30)\n")
    done = live.manage("ppg_connect", "doctor", "--json")
    (problem,) = json.loads(done.stdout)["problems"]
    assert (problem["id"], problem["severity"]) == ("ppg.W006", "warning")
    assert "conn_max_age" in problem["hint"]
    assert "warning ppg.W006" in live.manage("ppg_connect", "doctor", "--strict", status=1).stdout
    live.settings("DATABASES['default']['OPTIONS']['assume_role'] = 'r'\n")
    done = live.manage("ppg_connect", "doctor", status=1)
    assert done.stdout.index("error ppg.E003") < done.stdout.index("warning ppg.W006")


@pytest.mark.once
def test_run_and_its_exit_status(live: Project) -> None:
    assert live.generated is not None
    code = "import os; print(os.environ['PGPORT']); raise SystemExit(5)"
    done = live.manage("ppg_connect", "run", "--", "python3", "-c", code, status=5)
    assert done.stdout == f"{live.generated.direct.port}\n"


def test_an_unwrapped_command_goes_direct_inside_run(live: Project) -> None:
    assert live.generated is not None
    code = "from django.db import connection; print(connection.settings_dict['PORT'])"
    command = (sys.executable, "manage.py", "shell", "-c", code)
    done = live.manage("ppg_connect", "run", "--", *command)
    assert done.stdout.splitlines()[-1] == str(live.generated.direct.port)


def test_wrong_usage_and_errors(live: Project) -> None:
    assert "usage:" in live.manage("ppg_connect", "nonsense", status=2).stderr
    error = live.manage("ppg_connect", "create", "--provider", "neon", "--json", status=1)
    assert list(json.loads(error.stdout)["error"]) == ["type", "message", "hint"]
    plain = live.manage("ppg_connect", "create", "--provider", "neon", status=1)
    assert plain.stderr.startswith("CommandError:")
    assert plain.stdout == ""


MALFORMED: dict[str, Any] = {"DATABASE_URL": "postgres://u:s3cret@h:abc/"}
MISMATCHED: dict[str, Any] = {
    "DATABASE_URL": "postgres://u:s3cret@pooler.invalid/app",
    "DIRECT_URL": "postgres://u:s3cret@server.invalid/other",
}


def one_error(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    document = json.loads(done.stdout)
    assert list(document) == ["error"]
    assert done.stderr == ""
    assert "s3cret" not in done.stdout
    error: dict[str, str] = document["error"]
    return error


@pytest.mark.once
@pytest.mark.parametrize("verb", ["show", "doctor"])
@pytest.mark.parametrize(
    ("environ", "kind"), [(MALFORMED, "URLError"), (MISMATCHED, "MismatchedPairError")]
)
def test_a_pair_that_cannot_be_used_is_a_document(
    tmp_path: Path, environ: dict[str, Any], kind: str, verb: str
) -> None:
    bare = Project(tmp_path, None)
    error = one_error(bare.manage("ppg_connect", verb, "--json", status=1, **environ))
    assert error["type"] == kind
    assert "DATABASE_URL" in error["message"]
    plain = bare.manage("ppg_connect", verb, status=1, **environ)
    assert plain.stderr.startswith("CommandError: DATABASE_URL")
    assert plain.stdout == ""
    # Every other command still refuses to start.
    refused = bare.manage("check", status=1, **environ)
    assert "ImproperlyConfigured: DATABASE_URL" in refused.stderr


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("pooled='postgres://u:s3cret@h:abc/'", "the argument pooled"),
        ("options='x'", "options is a str"),
    ],
)
def test_an_argument_of_the_settings_is_what_is_named(
    live: Project, argument: str, words: str
) -> None:
    live.settings(f"DATABASES = databases({argument})\n")
    error = one_error(live.manage("ppg_connect", "show", "--json", status=1))
    assert words in error["message"]


@pytest.mark.once
def test_create_mends_a_broken_file_if_it_may_replace_it(tmp_path: Path) -> None:
    project = Project(tmp_path / "broken", None)
    env_file = project.write(".env", f"DATABASE_URL={MALFORMED['DATABASE_URL']}\n")
    try:
        create = ("ppg_connect", "create", "--provider", "local", "--json")
        assert "--replace" in one_error(project.manage(*create, status=1))["hint"]
        assert "abc" in env_file.read_text()
        assert "connection" in json.loads(project.manage(*create, "--replace").stdout)
        project.manage("migrate", "--verbosity", "0")
    finally:
        servers_of(project.folder).erase()


def test_what_was_put_right_is_said_once(tmp_path: Path) -> None:
    neon = "postgres://u:p@ep-a-1{}.us-east-2.aws.neon.tech/app?sslmode=require"
    swapped: dict[str, Any] = {
        "DATABASE_URL": neon.format(""),
        "DIRECT_URL": neon.format("-pooler"),
    }
    done = Project(tmp_path, None).manage("ppg_connect", "show", **swapped)
    assert done.stderr.count("swapped") == 1
    assert done.stderr.startswith("warning: ")


def test_a_reader_that_has_gone_is_no_traceback(live: Project) -> None:
    pipe = f"{sys.executable} manage.py ppg_connect show --json | true; exit ${{PIPESTATUS[0]}}"
    done = live.run("bash", "-c", pipe, status=1)
    assert done.stderr == ""


def test_ctrl_c_is_no_traceback(live: Project) -> None:
    live.settings(
        """
        import os, signal
        from ppg_integrations.verbs import show
        show.show = lambda context: os.kill(os.getpid(), signal.SIGINT)
        """
    )
    done = live.manage("ppg_connect", "show", status=130)
    assert done.stderr == ""


def test_wrong_usage_is_status_2(live: Project) -> None:
    done = live.manage("ppg_connect", "run", status=2)
    assert done.stderr.startswith("CommandError: run was given no program")
    assert "--reveal" in live.manage("ppg_connect", "show", "--reveal", status=2).stderr


def test_it_can_be_called_from_python(live: Project) -> None:
    said = live.python(
        """
        import io
        out = io.StringIO()
        call_command("ppg_connect", "show", "--json", stdout=out)
        result(json.loads(out.getvalue())["provider"])
        """
    )
    assert said == "local"


@pytest.mark.once
def test_the_provider_verbs_by_manage_py(tmp_path: Path, servers: LocalServers) -> None:
    """A token and nothing else: create, list, rotate and revoke, with the commands to type."""
    project = Project(tmp_path / "shop_project", None)
    with PrismaDouble(servers) as double:
        double.project("shop", "main")
        api: dict[str, Any] = {
            "PRISMA_API_URL": double.url,
            "PRISMA_SERVICE_TOKEN": double.token,
        }
        created = project.manage("ppg_connect", **api)
        assert "manage.py migrate" in created.stdout
        (first,) = [each.id for each in double.workspace.connections]
        refused = project.manage("ppg_connect", "revoke", first, status=1, **api)
        assert refused.stderr.startswith(f"CommandError: {first} is in use")
        assert "`manage.py ppg_connect rotate`" in refused.stderr
        again = project.manage("ppg_connect", "create", "--json", **api)
        assert f"manage.py ppg_connect revoke {first}" in again.stderr
        second = json.loads(again.stdout)["connection"]["id"]
        listed = json.loads(project.manage("ppg_connect", "list", "--json", **api).stdout)
        assert [(each["id"], each["in_use"]) for each in listed["connections"]] == [
            (first, False),
            (second, True),
        ]
        assert project.manage("ppg_connect", "revoke", first, **api).stdout == f"revoked {first}\n"
        project.manage("ppg_connect", "rotate", **api)
        (third,) = [each.id for each in double.workspace.connections]
        assert third not in (first, second)
        project.manage("migrate", "--verbosity", "0")
        # What settings have loaded from the file is nobody's to unset.
        project.settings("from dotenv import load_dotenv\nload_dotenv(BASE_DIR / '.env')\n")
        done = project.manage("ppg_connect", "rotate", "--grace", "0", **api)
        assert "unset" not in (done.stdout + done.stderr).lower()
        (fourth,) = [each.id for each in double.workspace.connections]
        assert fourth != third
        # Nor is it in the way of another file.
        other = project.write("other.env", f"DATABASE_URL={OTHER}\n")
        done = project.manage("ppg_connect", "show", "--json", "--env-file", "other.env")
        assert json.loads(done.stdout)["pooled"]["source"] == f"DATABASE_URL in {other}"
        assert "warning" not in done.stderr
