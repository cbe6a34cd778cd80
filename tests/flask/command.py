"""Flask's own command, in this process: its options, plugin commands, ``.env`` loading and all."""

from __future__ import annotations

import inspect
import os
import re
import secrets
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import flask.cli
import pytest
from click.testing import CliRunner

from ppg_integrations.sqlalchemy import plugin


class Said(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: str


def runner(app: Any) -> Any:
    """``app.test_cli_runner()``, whose results keep standard error apart, as click 8.2 always does."""
    apart = "mix_stderr" in inspect.signature(CliRunner).parameters
    return app.test_cli_runner(**({"mix_stderr": False} if apart else {}))


class FlaskCommand:
    """Calls ``flask`` in a folder, which is the current one."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capfd = capfd

    def app(self, code: str = "", **config: Any) -> str:
        """Writes a module with an app that uses ``PPG``.

        Args:
            code: instead of ``PPG(app)``.
            config: of the app.

        Returns:
            The module's name, for ``--app``.
        """
        head = (
            "import os, sys\n"
            "from flask import Flask\n"
            "from ppg_integrations.flask import PPG\n"
            "app = Flask('shop')\n"
            f"app.config.update({config!r})\n"
        )
        return self.module(head + textwrap.dedent(code or "PPG(app)"))

    def module(self, code: str) -> str:
        """Writes a module, and gives its name, which is nobody else's."""
        name = f"shop_{secrets.token_hex(4)}"
        (self.folder / f"{name}.py").write_text(code)
        return name

    def __call__(self, *arguments: str, status: int | None = 0) -> Said:
        """Runs ``flask ARGUMENTS``; ``status=None`` takes any exit status."""
        return self.run(lambda: flask.cli.cli.main([*arguments], prog_name="flask"), status)

    def ppg(self, *arguments: str, app: str = "", status: int | None = 0) -> Said:
        """Runs ``flask --app APP ppg ARGUMENTS``."""
        return self(*(["--app", app] if app else []), "ppg", *arguments, status=status)

    def run(self, call: Any, status: int | None) -> Said:
        """What a command line prints; `call` returns its exit status, or ends in ``sys.exit``."""
        self._capfd.readouterr()
        before, path = dict(os.environ), [*sys.path]
        try:
            code = call()
        except SystemExit as end:
            code = end.code
        finally:
            # What Flask and the app have set is gone with a real command.
            os.environ.clear()
            os.environ.update(before)
            sys.path[:] = path
            for engine in plugin.engines():
                if not engine.dialect.is_async:
                    engine.dispose()
        printed = self._capfd.readouterr()
        # A step that takes long is shown; on a busy machine that is any.
        err = re.sub(r"^(?!usage: ).* \.\.\.\n", "", printed.err, flags=re.MULTILINE)
        said = Said(int(code or 0), printed.out, err)
        assert status in (None, said.status), said
        return said
