"""A copy of the example project that lives as long as the demo, and the commands run in it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ppg_integrations import ConnectionPair, PPGError, names, resolve
from ppg_integrations.providers.local.provider import servers_of
from ppg_integrations.providers.local.servers import LocalServers

from .example import Example

CHECKOUT: Final = Path(__file__).resolve().parents[2]
_SECONDS: Final = 120  # the longest that one command may take
_GRACE: Final = 10  # seconds that an interrupted command gets
#: Variables that would lead the demo to another database, or the example to other settings ...
_FOREIGN: Final = re.compile(
    "|".join(
        (
            *names.POOLED,
            *names.DIRECT,
            "(PG|PPG_|DJANGO_|FLASK_|GUNICORN_|PRISMA_|NEON_|CASEDEV_).*",
        )
    )
)
#: ... but for those that say where the servers' programs are.
_PROGRAMS: Final = re.compile("PPG_(PGBOUNCER|POSTGRES|LOCAL_).*")


class StepError(Exception):
    """A tool of the demo failed.

    Args:
        message: which one, and how.
        log: where its output is, if it printed any.
    """

    def __init__(self, message: str, log: Path | None = None) -> None:
        super().__init__(message)
        self.log = log


class Project:
    """The copy.

    Attributes:
        example: what it is a copy of.
        folder: the project's folder, with its own ``.env`` and ``.ppg``.
        logs: a folder with what each tool printed.
    """

    def __init__(self, example: Example, folder: Path, logs: Path) -> None:
        self.example = example
        self.folder = folder
        self.logs = logs
        self._key = secrets.token_urlsafe(48)
        self._given: dict[str, str] = {}

    @property
    def servers(self) -> LocalServers:
        return servers_of(self.folder)

    def pair(self) -> ConnectionPair:
        """What the file of the project says, whatever the environment does."""
        return resolve(env_file=self.folder / ".env", environ={})

    def give(self, variables: Mapping[str, str]) -> None:
        """Sets variables for every command from now on."""
        self._given.update(variables)

    def private(self, name: str) -> Path:
        """A folder beside the project that goes with it."""
        folder = self.logs.parent / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def forget_pair(self) -> None:
        """From now on there is no ``.env``."""
        (self.folder / ".env").unlink()

    def environ(self, extra: Mapping[str, str]) -> dict[str, str]:
        """The environment of a command: production settings, and no database but the file's."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if _PROGRAMS.fullmatch(name) or not _FOREIGN.fullmatch(name)
        }
        return {
            **inherited,
            **self.example.environ,
            "SECRET_KEY": self._key,
            "PYTHONUNBUFFERED": "1",
            # What create notes before it asks stays with the project, not with the user.
            "XDG_STATE_HOME": str(self.private("state")),
            **self._given,
            **extra,
        }

    def verb(
        self, *arguments: str, environ: Mapping[str, str] | None = None, status: int = 0
    ) -> str:
        """Runs a verb of ours; see :meth:`run`."""
        return self.run((*self.example.verbs[0], *arguments), environ=environ, status=status)

    def migrate(self, environ: Mapping[str, str] | None = None) -> str:
        """Applies the migrations; see :meth:`run`."""
        return self.run(self.example.migrate[0], environ=environ)

    def run(
        self, arguments: Sequence[str], *, environ: Mapping[str, str] | None = None, status: int = 0
    ) -> str:
        """Runs Python in the project; returns what it printed on standard output.

        Args:
            arguments: of Python.
            environ: variables on top of :meth:`environ`.
            status: the exit status that a good run has.

        Raises:
            StepError: it ended in another way.
        """
        words = [argument for argument in arguments if argument != "-m"]
        what = " ".join(words)
        log = self.log("-".join(word.strip("-") for word in words))
        with (
            log.open("w") as errors,
            subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.folder,
                env=self.environ(environ or {}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            ) as process,
        ):
            try:
                printed = process.communicate(timeout=_SECONDS)[0]
            except subprocess.TimeoutExpired:
                process.kill()
                raise StepError(f"{what} did not end within {_SECONDS} seconds", log) from None
            except BaseException:
                # Ctrl-C: a command that is starting servers has to be able to clear up.
                process.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_GRACE)
                process.kill()
                raise
            errors.write(printed)
        if process.returncode != status:
            raise StepError(f"{what} ended with status {process.returncode}, not {status}", log)
        return printed

    def doctor(
        self, environ: Mapping[str, str] | None = None, *, status: int = 0
    ) -> dict[str, Any]:
        """What ``doctor --json`` found."""
        text = self.verb("doctor", "--json", environ=environ, status=status)
        found: dict[str, Any] = json.loads(text)
        return found

    def log(self, name: str) -> Path:
        """A new file for the output of a tool."""
        number = len(list(self.logs.iterdir())) + 1
        return self.logs / f"{number:02}-{re.sub(r'[^a-z0-9_-]+', '_', name)}.log"

    def printed(self, name: str) -> str:
        """Everything that the latest tool of this name printed."""
        return max(self.logs.glob(f"*-{name}.log")).read_text(errors="replace")

    def keep_logs(self) -> Path:
        """Moves the logs to where they outlive the project."""
        root = self.logs.parent
        self.logs = self.logs.rename(root.with_name(f"{root.name}-logs"))
        return self.logs

    def redacted(self, text: str) -> str:
        """The text without the passwords of the pair; the tools hide them already."""
        with contextlib.suppress(PPGError):  # it may not have got as far as to have a pair
            pair = self.pair()
            for url in (pair.pooled, pair.require_direct()):
                if url.password:
                    text = text.replace(url.password.reveal(), "***")
        return text


@contextlib.contextmanager
def temporary_project(example: Example) -> Iterator[Project]:
    """A copy of an example below the checkout's ignored ``.ppg``.

    At the end its servers are stopped and everything is removed, but for logs that were kept.
    """
    place = CHECKOUT / ".ppg" / "demo"
    place.mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix="run-", dir=place))
    project = Project(example, root / example.folder, root / "logs")
    try:
        # An account that root drops to has to pass through, and sees nothing on its way.
        root.chmod(0o711)
        project.logs.mkdir(mode=0o700)
        ignored = shutil.ignore_patterns(".env", ".ppg", ".venv", "__pycache__", ".pytest_cache")
        source = CHECKOUT / "example_projects" / example.folder
        shutil.copytree(source, project.folder, ignore=ignored)
        yield project
    finally:
        project.servers.erase()
        shutil.rmtree(root)
