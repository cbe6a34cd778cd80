"""A run that ends at any step leaves what the next one finishes, and no credential unreported.

With Prisma's double, whose secrets are shown once; the verbs run in processes of their own.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from ppg_integrations import PostgresURL, envfile
from ppg_integrations.cli import main
from ppg_integrations.journal import Journal
from ppg_integrations.providers.local.servers import LocalServers
from tests.support.doubles.prisma import PrismaDouble
from tests.support.scripted import works

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
#: Calls after which something outside the process is, or may be, another than before.
_TELLING = ("replace", "send", "recv")


@dataclass
class Run:
    """What one run did."""

    status: int
    said: str
    steps: list[str]


class Crasher:
    """The program that runs verbs, see ``tests/support/crasher.py``."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.crasher"],
            cwd=folder,
            env={**os.environ, **environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(
        self, *argv: str, step: int | None = None, how: str = "kill", only: str = ""
    ) -> Run:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"argv": argv, "step": step, "how": how, "only": only}
        self._process.stdin.write(f"{json.dumps(order)}\n")
        self._process.stdin.flush()
        return Run(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.communicate(timeout=30)


@dataclass
class Shop:
    """A project whose database is Prisma's."""

    folder: Path
    double: PrismaDouble
    ppg: Crasher
    told: str = ""

    @property
    def env_file(self) -> Path:
        return self.folder / ".env"

    @property
    def alive(self) -> set[str]:
        return {each.id for each in self.double.workspace.connections}

    @property
    def in_use(self) -> str:
        return envfile.read(self.env_file)["PPG_CONNECTION"].rpartition(":")[0]

    def url(self, name: str) -> PostgresURL:
        return PostgresURL.parse(envfile.read(self.env_file)[name])

    def journal(self) -> Journal:
        return Journal(self.env_file)

    def start_again(self) -> None:
        """As it was before the first run."""
        self.env_file.unlink(missing_ok=True)
        for each in list(self.double.workspace.connections):
            self.double.workspace.remove_connection(each)
        for entry in self.journal().entries():
            self.journal().clear(entry.key)


@pytest.fixture
def shop(tmp_path: Path, servers: LocalServers) -> Iterator[Shop]:
    folder = tmp_path / "shop"
    folder.mkdir()
    with PrismaDouble(servers) as double:
        double.project("shop", "main")
        ppg = Crasher(
            folder,
            {
                "PRISMA_API_URL": double.url,
                "PRISMA_SERVICE_TOKEN": double.token,
                "PPG_TIMEOUT": "5",
            },
        )
        try:
            yield Shop(folder, double, ppg)
        finally:
            ppg.close()


def telling(steps: list[str]) -> list[int]:
    """The steps, from 1, before which a kill leaves something else than before another one.

    Those right after something was sent, answered or put in its place. What comes between two of them leaves
    nothing, and neither does what comes before the first thing that is written.
    """
    after = [index + 1 for index, name in enumerate(steps, 1) if name in _TELLING]
    return [1, *(step for step in after if "fsync" in steps[: step - 1] and step <= len(steps))]


def settle(shop: Shop) -> str:
    """If need be lets ten minutes pass, and another verb do its duty; what it said."""
    if not shop.journal().entries():
        return ""
    for entry in shop.journal().entries():
        intent = entry.intent and replace(entry.intent, created_at="2026-01-01T00:00:00+00:00")
        shop.journal().record(replace(entry, intent=intent))
    done = shop.ppg("revoke", "con_none")
    assert done.status == 1
    return done.said


def check(shop: Shop, done: Run) -> None:
    """After a run that was to put things right: it works, and nothing lives that was not told."""
    assert done.status == 0, done.said
    assert works(shop.url("DATABASE_URL"))
    assert works(shop.url("DIRECT_URL"))
    # A request may still have been at work when the next run looked for what it made.
    shop.told += done.said + settle(shop)
    assert shop.journal().entries() == ()
    assert {each for each in shop.alive if each not in shop.told} <= {shop.in_use}
    assert shop.in_use in shop.alive
    assert shop.double.token not in shop.told
    assert ":sk_" not in shop.told


@pytest.mark.parametrize("verb", ["create", "rotate"])
def test_a_kill_at_any_step_is_mended_by_the_next_run(shop: Shop, verb: str) -> None:
    whole = shop.ppg("create")
    if verb == "rotate":
        whole = shop.ppg(verb)
    assert whole.status == 0, whole.said
    steps = telling(whole.steps)
    if verb == "rotate":  # as far as the answer it is the same as create
        steps = [step for step in steps if whole.steps[:step].count("replace") > 1]
    assert len(steps) > 6
    for step in steps:
        if verb == "create":
            shop.start_again()
        killed = shop.ppg(verb, step=step)
        assert killed.status == -signal.SIGKILL
        done = shop.ppg(verb)
        check(shop, done)
        if verb == "rotate":
            assert shop.alive == {shop.in_use}


def test_a_rotation_that_was_killed_may_be_finished_by_create(shop: Shop) -> None:
    shop.ppg("create")
    steps = shop.ppg("rotate").steps
    replaced = [index for index, name in enumerate(steps, 1) if name == "replace"]
    for step in (replaced[1] + 1, replaced[2] + 1, replaced[3] + 1):  # answered, written, due
        assert shop.ppg("rotate", step=step).status == -signal.SIGKILL
        check(shop, shop.ppg("create"))


def test_a_kill_while_an_application_is_waited_for_is_mended_by_the_next_run(
    shop: Shop, servers: LocalServers
) -> None:
    """The old connection lives on, everybody says so, and it ends once it is unused."""
    shop.ppg("create")
    for look in (1, 2, 5):  # before the first look, and between two later ones
        old, url = shop.in_use, shop.url("DATABASE_URL")
        with psycopg.connect(**url.libpq(), autocommit=True, application_name="celery") as app:
            app.execute("SELECT 1")
            assert shop.ppg("rotate", step=look, only="connect").status == -signal.SIGKILL
            assert shop.alive == {old, shop.in_use}, shop.journal().entries()
            (entry,) = shop.journal().entries()
            assert (entry.stage, entry.retire) == ("stored", old)
            for verb in (("list",), ("revoke", "con_none")):
                told = f"{old}, which {entry.generated.id} has replaced, lives until nobody uses it"
                shop.told += (said := shop.ppg(*verb).said)
                assert told in said
            assert old in shop.alive
            app.execute("SELECT 1")
        with servers.connect() as admin:  # the pooler would keep its session
            end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s"
            admin.fetch(end, (url.user,))
        check(shop, shop.ppg("rotate"))
        assert old not in shop.alive


def test_what_comes_with_a_new_project_is_told_too(shop: Shop) -> None:
    """Its database has a connection of its own: a credential that nobody asked for."""

    def start_again() -> None:
        shop.start_again()
        for project in list(shop.double.workspace.projects):
            shop.double.workspace.remove_project(project)

    start_again()
    steps = shop.ppg("create", "--create").steps
    posted = [i + 3 for i in range(len(steps)) if steps[i : i + 3] == ["send", "send", "recv"]]
    ends = [index for index, name in enumerate(steps, 1) if name == "replace"]
    assert len(posted) == 2
    for step in (*posted, ends[-1] + 1):
        start_again()
        killed = shop.ppg("create", "--create", step=step)
        assert killed.status == -signal.SIGKILL
        shop.told += killed.said
        check(shop, shop.ppg("create", "--create"))
        assert len(shop.double.workspace.projects) == 1


def test_a_full_disk_at_any_write_is_mended_by_the_next_run(shop: Shop) -> None:
    steps = len(shop.ppg("create", how="full").steps)
    for step in range(1, steps + 1, 3):
        shop.start_again()
        shop.double.requests.clear()
        done = shop.ppg("create", step=step, how="full")
        posts = shop.double.count("POST")
        if done.status:
            assert done.status == 1
            assert "No space left on device" in done.said
            if not posts:
                assert shop.alive == set()
        check(shop, shop.ppg("create"))


@pytest.mark.parametrize("verb", ["create", "rotate"])
def test_an_answer_that_is_lost_is_told_by_all_and_settled_by_the_next(
    shop: Shop, verb: str
) -> None:
    shop.ppg("create")
    before = (shop.env_file.read_bytes(), shop.in_use)
    shop.double.fail("POST", "connections", cut="before", work=True)
    lost = shop.ppg(verb)
    assert lost.status == 1
    assert "the next run finds that out" in lost.said
    assert shop.env_file.read_bytes() == before[0]
    assert len(shop.alive) == 2
    (entry,) = shop.journal().entries()
    told = f"An interrupted {verb} asked prisma for the connection {entry.title}"
    for other in ("show", "list", "doctor"):
        done = shop.ppg(other)
        assert done.status == 0
        assert told in done.said
    done = shop.ppg(verb)
    assert "was revoked" in done.said
    check(shop, done)


def test_a_rotation_in_place_whose_answer_is_lost_is_done_once_more(shop: Shop) -> None:
    shop.ppg("create")
    first, old = shop.in_use, shop.url("DIRECT_URL")
    shop.double.fail("POST", "rotate", cut="before", work=True)
    assert shop.ppg("rotate", "--in-place").status == 1
    assert not works(old)
    done = shop.ppg("rotate", "--in-place")
    check(shop, done)
    assert "was changed once more" in done.said
    assert f"took up   {first}" in done.said
    assert shop.alive == {first}


def test_a_rotation_in_place_that_is_in_doubt_is_no_other_verbs_to_repeat(shop: Shop) -> None:
    shop.ppg("create")
    old = shop.url("DIRECT_URL")
    shop.double.fail("POST", "rotate", cut="before")  # and it has done nothing
    assert shop.ppg("rotate", "--in-place").status == 1
    posts = shop.double.count("POST", "rotate")
    assert "An interrupted rotate asked prisma for another password" in settle(shop)
    assert shop.double.count("POST", "rotate") == posts
    assert works(old)
    done = shop.ppg("rotate")
    assert "works: it stays" in done.said.replace("\n", " ")
    assert shop.double.count("POST", "rotate") == posts
    check(shop, done)


def test_ctrl_c_while_an_answer_is_awaited(shop: Shop) -> None:
    steps = shop.ppg("create").steps
    shop.start_again()
    posted = [index for index, pair in enumerate(zip(steps, steps[1:], strict=False), 1) if pair == ("send", "send")]  # fmt: skip
    stopped = shop.ppg("create", step=posted[0] + 2, how="int")
    assert stopped.status == 130
    assert "Traceback" not in stopped.said
    assert [each.stage for each in shop.journal().entries()] == ["asked"]
    check(shop, shop.ppg("create"))


@pytest.mark.parametrize("verb", ["create", "rotate"])
def test_of_two_runs_at_once_the_second_uses_what_the_first_has_stored(
    shop: Shop, verb: str
) -> None:
    assert shop.ppg("create").status == 0
    shop.double.requests.clear()
    shop.double.fail("POST", "connections", delay=0.9, work=True)
    environ = {
        **os.environ,
        "PRISMA_API_URL": shop.double.url,
        "PRISMA_SERVICE_TOKEN": shop.double.token,
        "PYTHONPATH": str(ROOT),
    }
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "ppg_integrations", verb, "--json"],
            cwd=shop.folder,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    printed = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0, 0], printed
    ids = {json.loads(out)["connection"]["id"] for out, _ in printed}
    assert ids == {shop.in_use}
    assert shop.double.count("POST", "connections") == 1
    waited = re.findall(r"another run is at work on .* \(process (\d+)", str(printed))
    assert set(waited) <= {str(process.pid) for process in running}
    assert len(waited) == 1
    assert "had just stored" in printed[0][1] + printed[1][1]


def test_what_cannot_be_written_is_found_out_before_anything_is_asked(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop.folder)
    monkeypatch.setenv("PRISMA_API_URL", shop.double.url)
    monkeypatch.setenv("PRISMA_SERVICE_TOKEN", shop.double.token)

    def refused(words: str, *verbs: str) -> None:
        for verb in verbs or ("create", "rotate"):
            assert main([verb, *(["con_x"] if verb == "revoke" else [])]) == 1
            assert words in capsys.readouterr().err
        assert shop.double.requests == []

    with monkeypatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", "/dev/null/state")
        refused("XDG_STATE_HOME", "create", "rotate", "revoke")
    with monkeypatch.context() as patch:
        # Root may write everywhere: what the system would say is said for it.
        access = os.access
        patch.setattr(
            "ppg_integrations.atomicfile.os.access",
            lambda path, mode: access(path, mode) and str(path) != str(shop.folder),
        )
        refused("the folder is not writable")
    shop.env_file.symlink_to(shop.folder / "elsewhere")
    refused("is a symbolic link")
    shop.env_file.unlink()
    subprocess.run(["git", "init", "-q"], cwd=shop.folder, check=True)
    refused("is not ignored by git")
    shop.env_file.write_text("A=1\n")
    subprocess.run(["git", "add", "-f", ".env"], cwd=shop.folder, check=True)
    refused("is tracked by git")
