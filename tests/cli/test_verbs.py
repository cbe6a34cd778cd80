"""``show``, ``doctor``, ``run`` and the command line itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ppg_integrations import __version__
from ppg_integrations.cli import main
from ppg_integrations.providers.base import Generated
from tests.support import terminal
from tests.support.tcp_proxy import TCPProxy

PASSWORD = "s3cr3t-Pa55"
NEON = f"postgresql://u:{PASSWORD}@ep-a-1.us-east-2.aws.neon.tech/neondb?sslmode=require"
NEON_POOLED = NEON.replace("ep-a-1", "ep-a-1-pooler")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def live(generated: Generated, monkeypatch: pytest.MonkeyPatch) -> Generated:
    monkeypatch.setenv("DATABASE_URL", generated.pooled.reveal())
    monkeypatch.setenv("DIRECT_URL", generated.direct.reveal())
    return generated


def secret(generated: Generated) -> str:
    assert generated.direct.password is not None
    return generated.direct.password.reveal()


# -- show -------------------------------------------------------------------------------------


def test_show_is_redacted_and_names_the_sources(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POSTGRES_URL", NEON_POOLED)
    assert main(["show"]) == 0
    printed = capsys.readouterr()
    assert "u:***@ep-a-1-pooler" in printed.out
    assert "POSTGRES_URL in the environment" in printed.out
    assert "derived from POSTGRES_URL in the environment" in printed.out
    assert PASSWORD not in printed.out + printed.err


def test_show_json_follows_the_contract(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", NEON)
    monkeypatch.setenv("DIRECT_URL", NEON_POOLED)
    assert main(["show", "--json"]) == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert list(document) == ["provider", "pooled", "direct", "env_file", "warnings"]
    assert document["provider"] == "neon"
    assert document["pooled"] == {
        "host": "ep-a-1-pooler.us-east-2.aws.neon.tech",
        "port": 5432,
        "source": "DIRECT_URL in the environment",
        "url": NEON_POOLED.replace(PASSWORD, "***"),
    }
    assert document["env_file"] == str(folder / ".env")
    assert len(document["warnings"]) == 1
    assert "swapped" in document["warnings"][0]
    assert "swapped" in printed.err
    assert PASSWORD not in printed.out + printed.err


def test_a_file_that_was_named_and_is_not_used_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The environment wins over any file, and its other names hide the file's, too."""
    other = folder / "other.env"
    other.write_text(f"DATABASE_URL={NEON_POOLED}\nDIRECT_URL={NEON}\n")

    def warnings(*arguments: str, status: int = 0) -> list[str]:
        assert main([*arguments, "--json"]) == status
        printed = capsys.readouterr()
        assert PASSWORD not in printed.out + printed.err
        document = json.loads(printed.out)
        if status:
            return [document["error"]["hint"]]
        texts: list[str] = document["warnings"]
        assert [line for line in printed.err.splitlines() if line.startswith("warning: ")] == [
            f"warning: {text}" for text in texts
        ]
        return texts

    assert warnings("show", "--env-file", "other.env") == []
    monkeypatch.setenv("DATABASE_URL", NEON_POOLED)
    assert warnings("show", "--env-file", "other.env") == [], "it is the same"
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("POSTGRES_URL", NEON_POOLED.replace("ep-a-1", "ep-b-2"))
    monkeypatch.setenv("DIRECT_URL", NEON.replace("ep-a-1", "ep-b-2"))
    assert warnings("show") == [], "of no file that was named"
    [text] = warnings("show", "--env-file", "other.env")
    assert f"not that of {other}" in text
    assert "POSTGRES_URL in the environment and DIRECT_URL in the environment win." in text
    command = "env -u POSTGRES_URL -u DIRECT_URL ppg-connect show --env-file other.env"
    assert text.endswith(f"`{command}`")
    [text] = warnings("show", "--env-file", "none.env")
    assert f"{folder / 'none.env'}, which --env-file names, does not exist" in text
    assert "env -u" not in text
    monkeypatch.delenv("DIRECT_URL")
    [hint] = warnings("show", "--env-file", "other.env", status=1)
    assert "POSTGRES_URL in the environment wins." in hint, "halves of two databases are no pair"
    assert "`env -u POSTGRES_URL ppg-connect show --env-file other.env`" in hint


def test_a_missing_direct_half_is_null(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@db.example/d")
    assert main(["show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["direct"] is None
    assert main(["show"]) == 0
    assert "not set" in capsys.readouterr().out


def test_an_error_is_one_document_or_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--json"]) == 1
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert list(document) == ["error"]
    assert list(document["error"]) == ["type", "message", "hint"]
    assert document["error"]["type"] == "MissingURLError"
    assert main(["show"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: no database URL")
    assert len(printed.err.splitlines()) == 2


def test_reveal_into_a_pipe_takes_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", NEON_POOLED)
    assert main(["show", "--reveal"]) == 2
    printed = capsys.readouterr()
    assert PASSWORD not in printed.out + printed.err
    assert "--json" in printed.err
    assert main(["show", "--reveal", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["direct"]["url"] == NEON


def on_a_terminal(arguments: list[str], environ: dict[str, str]) -> str:
    argv = [sys.executable, "-m", "ppg_integrations", *arguments]
    status, shown = terminal.run(argv, environ=environ)
    assert status == 0
    return shown


def test_a_terminal_gets_colour_and_passwords_if_it_asks() -> None:
    environ = {**os.environ, "DATABASE_URL": NEON_POOLED}
    environ.pop("NO_COLOR", None)
    shown = on_a_terminal(["show", "--reveal"], environ)
    assert PASSWORD in shown
    assert "\x1b[" in shown
    assert PASSWORD not in on_a_terminal(["show"], environ)
    assert "\x1b[" not in on_a_terminal(["show"], {**environ, "NO_COLOR": "1"})


# -- doctor -----------------------------------------------------------------------------------


def test_doctor_tells_the_endpoints_apart(
    live: Generated, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document) == ["pooled", "direct", "problems"]
    for name, kind in (("pooled", "transaction-pooler"), ("direct", "direct")):
        endpoint = document[name]
        assert endpoint["kind"] == kind
        assert endpoint["tls"]["version"].startswith("TLSv1")
        assert endpoint["server_version"].split(".")[0].isdigit()
        assert endpoint["latency_ms"] > 0
        assert {"host", "port", "source", "url"} <= set(endpoint)
    assert main(["doctor"]) == 0
    printed = capsys.readouterr()
    assert secret(live) not in printed.out + printed.err
    assert "transaction-pooler" in printed.out
    folder.joinpath("other.env").write_text(f"DATABASE_URL={NEON_POOLED}\n")
    assert main(["doctor", "--strict", "--env-file", "other.env"]) == 1
    assert "doctor --env-file other.env`" in capsys.readouterr().err, "of another pair"


def test_doctor_reveals_only_when_asked(
    live: Generated, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--json"]) == 0
    assert secret(live) not in capsys.readouterr().out
    assert main(["doctor", "--json", "--reveal"]) == 0
    assert json.loads(capsys.readouterr().out)["direct"]["url"] == live.direct.reveal()


def test_doctor_finds_a_swap_that_host_names_do_not_show(
    live: Generated, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", live.direct.reveal())
    monkeypatch.setenv("DIRECT_URL", live.pooled.reveal())
    assert main(["doctor", "--json"]) == 1
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert list(problems[0]) == ["id", "severity", "message", "hint"]
    assert (problems[0]["id"], problems[0]["severity"]) == ("swapped", "error")
    assert "DATABASE_URL" in problems[0]["message"] + problems[0]["hint"]
    assert main(["doctor"]) == 1
    assert "swapped" in capsys.readouterr().out


def test_only_a_strict_doctor_fails_on_warnings(
    live: Generated, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--strict"]) == 0
    # One of the pair itself: a URL that was passed over.
    monkeypatch.setenv("POSTGRES_URL", live.pooled.reveal())
    monkeypatch.setenv("DATABASE_URL", "prisma://accelerate.prisma-data.net/?api_key=k3y")
    capsys.readouterr()
    assert main(["doctor"]) == 0
    assert capsys.readouterr().err.startswith("warning: ")
    assert main(["doctor", "--strict"]) == 1
    # One of what was found: no direct URL.
    monkeypatch.setenv("DATABASE_URL", live.pooled.reveal())
    monkeypatch.delenv("DIRECT_URL")
    capsys.readouterr()
    assert main(["doctor", "--json"]) == 0
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert (problem["id"], problem["severity"]) == ("no-direct-url", "warning")
    assert main(["doctor", "--strict", "--json"]) == 1


def test_doctor_of_a_server_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://u:{PASSWORD}@127.0.0.1:1/d")
    assert main(["doctor", "--json"]) == 1
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert document["pooled"]["kind"] == "unreachable"
    assert document["direct"] is None
    assert PASSWORD not in printed.out + printed.err


# -- run --------------------------------------------------------------------------------------


def ppg(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ppg_integrations", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        **options,  # type: ignore[call-overload]
    )


def test_run_reaches_the_direct_endpoint_with_nothing_secret_in_any_argument(
    live: Generated,
) -> None:
    misleading = dict.fromkeys(("PGHOST", "PGSERVICE", "PGHOSTADDR", "PGOPTIONS"), "elsewhere")
    code = (
        "import os, sys, time; print(os.environ['PGHOST'], os.environ['PGPORT'],"
        "os.environ['PPG_DIRECT'], sorted(n for n in os.environ if n.startswith('PG')),"
        "os.environ['PGPASSWORD'] == sys.stdin.readline().strip(), flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "ppg_integrations", "run", "--", sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **misleading},
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{secret(live)}\n")
        process.stdin.flush()
        said = process.stdout.readline()
        assert said.startswith(f"127.0.0.1 {live.direct.port} 1")
        assert said.strip().endswith("True")
        assert "PGSERVICE" not in said
        assert "PGHOSTADDR" not in said
        lines = [
            path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if readable(path)
        ]
        assert any(b"ppg_integrations" in line for line in lines)
        assert not any(secret(live).encode() in line for line in lines)
    finally:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for pid in children:
            os.kill(int(pid), signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM


def readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:  # it has ended meanwhile
        return False
    return True


def test_run_gives_the_tools_own_exit_status(live: Generated) -> None:
    done = ppg(
        "run", "psql", "-Atc", "SELECT count(*) FROM pg_stat_activity WHERE pid = pg_backend_pid()"
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert ppg("run", "--", sys.executable, "-c", "raise SystemExit(7)").returncode == 7
    assert ppg("run", "--", "sh", "-c", "exit 3").returncode == 3


def test_run_says_which_urls_of_the_file_the_environment_hides(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    live: Generated,  # sets both
) -> None:
    """A dump would be restored into the other one of two databases."""
    other = tmp_path / "other"
    other.write_text(
        "DATABASE_URL=postgresql://u@db.example/d\nDIRECT_URL=postgresql://u@db.example/d\n"
    )
    other.chmod(0o600)
    assert main(["run", "--env-file", str(other), "--", "true"]) == 0
    said = capfd.readouterr().err
    assert f"DIRECT_URL is also set in the environment, and wins over {other}" in said
    assert f"`env -u DATABASE_URL -u DIRECT_URL ppg-connect run --env-file {other} -- CMD`" in said
    monkeypatch.delenv("DIRECT_URL")
    monkeypatch.delenv("DATABASE_URL")
    assert main(["run", "--env-file", str(other), "--", "true"]) == 0
    said = capfd.readouterr().err
    assert "wins over" not in said
    assert "env -u" not in said


def test_run_errors(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@db.example/d")
    assert main(["run", "--", "true"]) == 1
    assert "DIRECT_URL" in capsys.readouterr().err
    monkeypatch.setenv("DIRECT_URL", "postgresql://u@db.example/d")
    assert main(["run"]) == 2
    assert main(["run", "--json", "--", "true"]) == 2
    assert "no program" in capsys.readouterr().err
    assert main(["run", "--", "no-such-tool-anywhere"]) == 1
    assert "no-such-tool-anywhere" in capsys.readouterr().err


# -- the command line -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["show", "--nonsense"], ["local"], ["revoke"]]
)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    done = ppg(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "usage:" in done.stderr


@pytest.mark.parametrize("verb", ["show", "doctor", "create"])
def test_a_provider_that_is_none_is_said(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", NEON_POOLED)
    assert main([verb, "--provider", "frob"]) == 2  # wrong usage, and not a wrong setting
    assert "prisma, neon, casedev, local" in capsys.readouterr().err
    monkeypatch.setenv("PPG_PROVIDER", "frob")
    assert main([verb]) == 1
    assert "prisma, neon, casedev, local" in capsys.readouterr().err


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    code = "import os, sys; os.chdir('gone'); os.rmdir('../gone'); os.execv(sys.executable, sys.argv[1:])"
    arguments = [sys.executable, "-m", "ppg_integrations", "show", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "folder has been deleted" in json.loads(done.stdout)["error"]["message"]


def test_ctrl_c_is_no_traceback() -> None:
    with TCPProxy(("127.0.0.1", 1), mode="blackhole") as silent:
        process = subprocess.Popen(
            [sys.executable, "-m", "ppg_integrations", "doctor"],
            env={**os.environ, "DATABASE_URL": f"postgresql://u@127.0.0.1:{silent.port}/d"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 20
        while not silent.accepted and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        waits = silent.accepted and process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert waits, err
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "interrupted" not in err  # nothing is under way


def test_ctrl_c_before_the_verb_begins_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ppg_integrations.cli.arguments.parser", interrupted)
    assert main(["show"]) == 130


def test_help_and_version_are_short() -> None:
    assert ppg("--version").stdout == f"ppg-connect {__version__}\n"
    shown = ppg("--help").stdout
    assert len(shown.splitlines()) < 25
    for verb in ("create", "show", "list", "rotate", "revoke", "doctor", "run", "local"):
        assert verb in shown


def test_options_may_stand_on_either_side_of_their_values(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "other.env").write_text(f"DATABASE_URL={NEON_POOLED}\n")
    assert main(["show", "--json", "--env-file", "other.env"]) == 0
    assert json.loads(capsys.readouterr().out)["env_file"] == str(folder / "other.env")
    monkeypatch.setenv("PPG_ENV_FILE", "other.env")
    assert main(["show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pooled"]["source"].endswith("other.env")


def test_a_reader_that_goes_away_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", NEON_POOLED)
    done = subprocess.run(
        f"'{sys.executable}' -m ppg_integrations show | true",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_progress_is_shown_only_when_a_step_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    from ppg_integrations.cli import screen as module
    from ppg_integrations.cli.screen import Screen

    monkeypatch.setattr(module, "PATIENCE", 0.5)
    out, err = io.StringIO(), io.StringIO()
    screen = Screen(out, err)
    screen.progress("quick")
    screen.quiet()
    time.sleep(0.7)
    assert err.getvalue() == ""
    screen.progress("slow")
    time.sleep(0.8)
    screen.line("done")
    assert err.getvalue() == "slow ...\n"
    assert out.getvalue() == "done\n"


def test_notes_that_follow_one_another_stand_together() -> None:
    import io
    from types import SimpleNamespace

    from ppg_integrations.cli import render
    from ppg_integrations.cli.screen import Screen
    from ppg_integrations.problems import problem

    usage = [problem("usage", provider="Prisma Postgres", text=text) for text in ("a", "b")]
    worse = problem("different-servers")
    out = io.StringIO()
    render.problems(Screen(out, out), SimpleNamespace(problems=(worse, *usage)))  # type: ignore[arg-type]
    assert [bool(line) for line in out.getvalue().splitlines()] == [
        *(False, True, True),
        *(False, True, True),
    ]


def test_the_help_says_what_becomes_of_a_name() -> None:
    for verb in ("create", "rotate"):
        shown = " ".join(ppg(verb, "--help").stdout.split())
        assert "begins; the host and a random part follow" in shown
