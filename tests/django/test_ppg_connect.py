"""``manage.py ppg_connect``: the same verbs, on the project's own settings."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

from ppg_integrations import PostgresURL, envfile
from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.local.provider import servers_of
from tests.django.project import Project

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


def test_doctor_names_the_hazards_of_the_settings(live: Project) -> None:
    live.settings("ASGI_APPLICATION = 'proj.asgi.application'\n")
    done = live.manage("ppg_connect", "doctor", "--json")
    (problem,) = json.loads(done.stdout)["problems"]
    assert (problem["id"], problem["severity"]) == ("ppg.W006", "warning")
    assert "conn_max_age=0" in problem["hint"]
    live.settings("DATABASES['default']['OPTIONS']['assume_role'] = 'r'\n")
    done = live.manage("ppg_connect", "doctor", status=1)
    assert done.stdout.index("error ppg.E003") < done.stdout.index("warning ppg.W006")


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
