"""No secret shows: every verb by the real command line, with every logger at DEBUG."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ppg_integrations import PostgresURL, envfile
from ppg_integrations.providers.local.servers import LocalServers
from tests.support.doubles.accounts import Accounts
from tests.support.doubles.base import Double
from tests.support.doubles.neon import NeonDouble
from tests.support.doubles.prisma import PrismaDouble

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
#: What Python runs before anything else: whoever logs, logs it all.
_LOUD = "import logging\nlogging.basicConfig(level=logging.DEBUG)\n"


@pytest.fixture(params=["prisma", "neon"])
def double(
    request: pytest.FixtureRequest, shop: Path, servers: LocalServers
) -> Iterator[PrismaDouble | NeonDouble]:
    with Accounts(servers) as accounts:
        with PrismaDouble(accounts) if request.param == "prisma" else NeonDouble(accounts) as made:
            if isinstance(made, PrismaDouble):
                made.project("shop", "main")
            yield made


class Runner:
    """Runs verbs, and keeps what they say and what secrets there were."""

    def __init__(self, double: PrismaDouble | NeonDouble, shop: Path, home: Path) -> None:
        loud = home / "loud"
        loud.mkdir()
        (loud / "sitecustomize.py").write_text(_LOUD)
        self.home, self.env_file = home, shop / ".env"
        self.said = ""
        self.secrets = {double.token}
        base = "PRISMA_API_URL" if isinstance(double, PrismaDouble) else "NEON_API_HOST"
        token = "PRISMA_SERVICE_TOKEN" if isinstance(double, PrismaDouble) else "NEON_API_KEY"
        folders = {f"XDG_{name}_HOME": str(home / name) for name in ("CACHE", "STATE", "CONFIG")}
        path = os.pathsep.join((str(loud), str(ROOT)))
        self.environ = {
            **os.environ,
            **folders,
            "HOME": str(home),
            "PYTHONPATH": path,
            "PPG_TIMEOUT": "5",
            base: double.url,
            token: double.token,
        }

    def __call__(self, *arguments: str, status: int = 0, **environ: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "ppg_integrations", *arguments],
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == status, done.stderr
        self.said += done.stdout + done.stderr
        self.learn()
        return done.stdout + done.stderr

    def learn(self) -> None:
        """The secrets of the pair in use: the password, and each URL."""
        values = envfile.read(self.env_file)
        for name in ("DATABASE_URL", "DIRECT_URL", "REPLICA_URL"):
            url = PostgresURL.parse(values[name]) if values.get(name) else None
            if url is not None and url.password is not None:
                self.secrets |= {values[name], url.password.reveal()}

    def files(self) -> dict[str, str]:
        """What lies about, but for where secrets belong."""
        ours = (self.home / "CACHE/ppg-integrations/pairs", self.home / "STATE")
        return {
            str(path): path.read_bytes().decode(errors="replace")
            for path in (*self.home.rglob("*"), *self.env_file.parent.rglob("*"))
            if path.is_file()
            and path != self.env_file
            and not any(folder in path.parents for folder in ours)
        }


def test_no_secret_shows_at_any_level(
    double: PrismaDouble | NeonDouble, shop: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    run = Runner(double, shop, home)
    run("create")
    for arguments in (
        ("show",),
        ("list", "--json"),
        ("rotate",),
        ("doctor", "--json"),
        ("create", "--json"),
        ("run", "--", "true"),
        ("local", "status"),
    ):
        run(*arguments)
    if isinstance(double, NeonDouble):
        run("create", "--replica", "--role", "web", "--create")
        run("show", "--branch", "main")
    run("revoke", "con_none", status=1)
    # What goes wrong at the API, and what is wrong with the token.
    fail = Double.fail
    fail(double, "POST", cut="before", work=True)
    run("rotate", status=1)
    run("list")
    run("rotate")
    wrong = {"PRISMA_SERVICE_TOKEN": "wr0ng-t0ken", "NEON_API_KEY": "wr0ng-t0ken"}
    run("list", status=1, **wrong)
    run.secrets.add("wr0ng-t0ken")
    assert "DEBUG:" in run.said  # somebody did log: this test can fail
    assert len(run.secrets) >= 8
    shown = {"the output": run.said, **run.files()}
    leaks = {
        where: [secret[:6] for secret in run.secrets if secret in text]
        for where, text in shown.items()
    }
    assert not any(leaks.values()), leaks
