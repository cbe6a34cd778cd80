"""A scratch project that works: its files, its database, its variables, its programs."""

from __future__ import annotations

import io
import json
import os
import re
import secrets
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

from ppg_integrations.cli import arguments, frontend
from ppg_integrations.cli.screen import Screen
from ppg_integrations import envfile
from ppg_integrations.providers.local.servers import LocalServers
from tests.docs.skeletons import Skeleton
from tests.docs.tools import Tools
from tests.providers.cases import Case, started
from tests.support.doubles.create_db import CreateDbDouble

#: Seconds for one block.
LIMIT = 60
#: The variable of each provider's token, and that of its API's address.
HOSTED = {
    "prisma": ("PRISMA_SERVICE_TOKEN", "PRISMA_API_URL"),
    "neon": ("NEON_API_KEY", "NEON_API_HOST"),
    "casedev": ("CASEDEV_API_KEY", "CASEDEV_BASE_URL"),
}
_STATE = ".page-state"
_URL = re.compile(r"postgres(?:ql)?://[^\s\"'@]*(pooled|direct)[^\s\"'@]*")
_TOKEN = re.compile(rf"\b({'|'.join(token for token, _ in HOSTED.values())})=(\"?)[^\s\"]*\.\.\.")
_ID = re.compile(r"\brevoke ID\b")


class Failed(Exception):
    """A block did not do what it should; the text is what it printed."""


class Scratch:
    """One project of a page. ``with`` ends its servers and drops its database.

    Args:
        name: its kind, and after a colon what tells it from others of that kind.
        provider: whose pair it has.
        empty: it has none yet.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        servers: LocalServers,
        tools: Tools,
        *,
        provider: str = "local",
        empty: bool = False,
    ) -> None:
        self.kind = name.partition(":")[0]
        self.home = folder / name.replace(":", "-")
        self.home.mkdir(parents=True)
        # The shared servers' own folder: they refuse a `.ppg` that is a link. Projects take turns.
        self.folder = servers.folder.parent.parent
        self.files = Skeleton(self.kind, self.folder)
        self.provider = provider
        self.printed = ""
        self._empty = empty
        self._servers = servers
        self._tools = tools
        self._stack = ExitStack()
        self._doubles: dict[str, Case] = {}
        self._session: subprocess.Popen[str] | None = None
        self._ready = False
        self._database = f"t_{secrets.token_hex(4)}"
        self._environ = {
            "PATH": tools.path,
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "PYTHONUNBUFFERED": "1",
            "PPG_DATABASE": self._database,
        }
        if "PYTHONDONTWRITEBYTECODE" in os.environ:
            self._environ["PYTHONDONTWRITEBYTECODE"] = "1"
        if provider != "local":
            del self._environ["PPG_DATABASE"]

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_session()
        self._stack.close()

    def aside(self) -> None:
        """Makes room for another project; names of Python blocks end with it."""
        self._end_session()
        parked = self.home / "parked"
        parked.mkdir()
        for path in self._own():
            shutil.move(path, parked / path.name)

    def back(self) -> None:
        """Takes its turn again."""
        parked = self.home / "parked"
        for path in list(parked.iterdir()):
            shutil.move(path, self.folder / path.name)
        parked.rmdir()

    def _own(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if path.name != ".ppg"]

    # What blocks ask for.

    def write(self, name: str, text: str) -> None:
        """A file; what it is part of must hold together afterwards."""
        if name.endswith(".env"):
            text = self._filled(text).replace("unset PPG_DATABASE\n", "")
        self.files.write(name, text)
        self._end_session()
        if name.endswith(".py"):
            self._prepare()
            if self.files.check:
                # With what earlier blocks have exported, and in the project's own folder.
                state = self.home / _STATE
                script = (
                    f"[ ! -f '{state}' ] || {{ . '{state}'; cd '{self.folder}'; }}; exec \"$@\""
                )
                self._run(["bash", "-c", script, "bash", *self.files.check])

    def sh(self, text: str) -> None:
        """A block of commands; folder and variables stay for the next."""
        self._prepare()
        state = self.home / _STATE
        before = state.read_text() if state.exists() else ""
        script = (
            f"set +u; [ -f '{state}' ] && . '{state}'\nset -eu -o pipefail\n"
            f'trap \'{{ export -p; printf "cd %q\\n" "$PWD"; }} > {state}\' EXIT\n'
            f"{self._filled(text)}"
        )
        try:
            self._run(["bash", "-c", script])
        finally:
            if state.exists() and state.read_text() != before:
                self._end_session()

    def python(self, page: str, line: int, text: str) -> None:
        """A block of Python where the project is set up."""
        self._prepare()
        if self._session is None:
            self._session = self._started()
        assert self._session.stdin is not None
        assert self._session.stdout is not None
        self._session.stdin.write(json.dumps({"page": page, "line": line, "text": text}) + "\n")
        self._session.stdin.flush()
        answer = self._session.stdout.readline()
        log = (self.home / "session.log").read_text()
        self.printed = log
        error = json.loads(answer)["error"] if answer else f"the interpreter has gone\n{log}"
        if error:
            raise Failed(error)

    def sql(self, text: str) -> None:
        """Statements, on the direct endpoint."""
        self._prepare()
        self._run(["ppg-connect", "run", "--", "psql", "-v", "ON_ERROR_STOP=1", "-c", text])

    # How it is made.

    def _prepare(self) -> None:
        if self._ready:
            return
        self._ready = True
        (self.folder / ".venv").mkdir(exist_ok=True)
        (self.folder / ".venv/bin").symlink_to(self._tools.folder)
        self._stack.callback(self._servers.drop, self._database)
        if self.provider != "local":
            self._double(self.provider)
        if not self._empty:
            if self.provider != "local":
                token, _ = HOSTED[self.provider]
                self._environ[token] = self._doubles[self.provider].double.token
            self._create(self.folder / ".env")

    def _create(self, env_file: Path, *more: str) -> None:
        """What ``ppg-connect create`` does, in this process."""
        command = ["create", "--provider", self.provider, "--env-file", str(env_file), *more]
        said = io.StringIO()
        options = vars(arguments.parser("ppg-connect").parse_args(command))
        frontend.perform(options, Screen(said, said), program="ppg-connect", environ=self._environ)

    def _double(self, name: str) -> Case:
        """The server that plays a provider's API; its address is in the environment from now on."""
        if name not in self._doubles:
            case = self._stack.enter_context(started(name, self._servers))
            self._doubles[name] = case
            self._environ[HOSTED[name][1]] = case.double.url
        return self._doubles[name]

    def _filled(self, text: str) -> str:
        """With real values for what a page leaves out."""
        if _TOKEN.search(text):  # the database of the local servers is none of that provider's
            text = f"unset PPG_DATABASE\n{_TOKEN.sub(self._token, text)}"
        text = _URL.sub(self._url, text)
        text = _ID.sub(self._revokable, text)
        if "--temporary" in text and "CREATE_DB_WORKER_URL" not in self._environ:
            double = self._stack.enter_context(CreateDbDouble(self._servers))
            self._environ["CREATE_DB_WORKER_URL"] = double.url
        return text

    def _token(self, found: re.Match[str]) -> str:
        provider = next(name for name, (token, _) in HOSTED.items() if token == found[1])
        return f"{found[1]}={found[2]}{self._double(provider).double.token}"

    def _url(self, found: re.Match[str]) -> str:
        pair = self.home / "placeholders.env"
        if not pair.exists():
            generated = self._servers.generate("typed", database=self._database)
            pair.write_text(
                f"pooled={generated.pooled.reveal()}\ndirect={generated.direct.reveal()}\n"
            )
        return dict(line.split("=", 1) for line in pair.read_text().splitlines())[found[1]]

    def _revokable(self, _: re.Match[str]) -> str:
        other = self.folder / "other.env"  # beside the servers
        self._create(other, *(["--role", "app2", "--create"] if self.provider == "neon" else []))
        id, _, _ = envfile.read(other)["PPG_CONNECTION"].rpartition(":")
        return f"revoke {id}"

    # Programs.

    def _run(self, argv: list[str]) -> None:
        try:
            done = subprocess.run(
                argv,
                cwd=self.folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=LIMIT,
            )
        except subprocess.TimeoutExpired as error:
            raise Failed(f"not done after {LIMIT} s\n{(error.stdout or b'').decode()}") from None
        self.printed = done.stdout
        if done.returncode:
            raise Failed(f"exit status {done.returncode}\n{done.stdout}")

    def _started(self) -> subprocess.Popen[str]:
        """An interpreter for the blocks, in the environment that the last commands left."""
        state = self.home / _STATE
        source = f". '{state}'; " if state.exists() else ""
        with (self.home / "session.log").open("w") as log:
            return subprocess.Popen(
                [
                    "bash",
                    "-c",
                    f'{source}exec python "$@"',
                    "-",
                    str(self._tools.session),
                    self.kind,
                    str(self.folder),
                ],
                cwd=self.folder,
                env=self._environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def _end_session(self) -> None:
        if self._session is not None:
            with self._session as session:
                session.stdin.close()
                session.wait(LIMIT)
            self._session = None
