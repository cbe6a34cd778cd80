"""The app as ``flask ppg`` finds it, whatever may be wrong with it."""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
import traceback
from typing import TYPE_CHECKING, Final, NamedTuple

from flask import has_app_context
from flask.cli import NoAppException, ScriptInfo
from flask.globals import app_ctx

from ppg_integrations.errors import ConfigurationError, MissingURLError, PPGError
from ppg_integrations.problems import Problem, problem

from .cli import loading
from .findings import TABLE

if TYPE_CHECKING:
    import click
    from flask import Flask

    from .state import State

#: What Flask looks for where nothing names an app.
_USUAL: Final = ("wsgi.py", "app.py")
_INSTEAD: Final = ": the environment and the .env file are used instead of its configuration"


class Loaded(NamedTuple):
    """What there is of the app.

    Attributes:
        app: None where it cannot be loaded.
        state: what ``PPG`` knows of it, even if loading it failed after that.
        error: why its configuration cannot be used.
        failure: that it cannot be loaded, and why.
        note: that there is none, or none that uses this package; a line.
    """

    app: Flask | None = None
    state: State | None = None
    error: PPGError | None = None
    failure: Problem | None = None
    note: str = ""


def load(ctx: click.Context) -> Loaded:
    """Loads the app that Flask's command would use.

    The verbs do their work without an app, too, so nothing that is wrong with it is raised. What it
    prints meanwhile goes to standard error.
    """
    if has_app_context():
        return _with_state(app_ctx.app)
    before = _states()
    # Quart has a ScriptInfo of its own.
    info = ctx.obj if hasattr(ctx.obj, "load_app") else ctx.ensure_object(ScriptInfo)
    try:
        with loading(), contextlib.redirect_stdout(sys.stderr):
            app = info.load_app()
    except NoAppException as error:
        if info.app_import_path or info.create_app or any(map(os.path.exists, _USUAL)):
            return Loaded(failure=_failure(error, _INSTEAD))
        return Loaded(
            note="no Flask app is named (--app, FLASK_APP) or found here: the environment and the "
            ".env file are used"
        )
    # An app may run into anything, and ask sys.exit() for it; none of that may keep the verbs from
    # putting its database right.
    except (Exception, SystemExit) as error:  # noqa: BLE001  # it is said
        return _failed(error, before)
    return _with_state(app)


def _with_state(app: Flask) -> Loaded:
    state = app.extensions.get("ppg")
    if state is not None:
        return Loaded(app, state)
    return Loaded(
        app,
        note=f"the app {app.name} has no PPG (ppg.init_app(app)): the environment and the .env "
        "file are used",
    )


def _failed(error: BaseException, before: list[State]) -> Loaded:
    # What failed may have come after PPG, such as a db.create_all() without a database.
    new = [state for state in _states() if not any(state is each for each in before)]
    state = new[0] if len(new) == 1 else None
    wrong = error if isinstance(error, ConfigurationError) else None
    if state is not None and isinstance(error, MissingURLError):
        return Loaded(state=state, error=error)  # the verbs say more
    failure = _failure(error, _INSTEAD if state is None else "")
    return Loaded(state=state, error=wrong, failure=failure)


def _failure(error: BaseException, instead: str) -> Problem:
    return problem("app-not-loaded", table=TABLE, why=f"({_what(error)}){instead}")


def _states() -> list[State]:
    """Those of all apps. Where nobody uses ``PPG``, they are not imported for it."""
    module = sys.modules.get("ppg_integrations.flask.state")
    return [] if module is None else module.states()


def _what(error: BaseException) -> str:
    """What it is, and where. Its text only if that is of code: a URL may stand in any other."""
    if isinstance(error, NoAppException):
        if not isinstance(error.__context__, ImportError):
            return error.format_message().splitlines()[0].rstrip(".")
        error = error.__context__
    if isinstance(error, PPGError):
        return error.message
    name = type(error).__name__
    if isinstance(error, (ImportError, SyntaxError)):
        name += f": {error}".splitlines()[0]
    return f"{name}{_where(error)}"


def _where(error: BaseException) -> str:
    """The line of the app that it came from."""
    paths = sysconfig.get_paths()
    libraries = (
        *(paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        os.path.dirname(os.path.dirname(__file__)),
        "<",
    )
    own = [
        f" in {frame.f_globals.get('__name__')}, line {line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not frame.f_code.co_filename.startswith(libraries)
    ]
    return own[-1] if own else ""
