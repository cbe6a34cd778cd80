"""The page of the Python API: one directive of Sphinx for each public name."""

from __future__ import annotations

import importlib
import inspect
from typing import Final

from .docstrings import summary

#: Where public names are, and what the page says of each module.
MODULES: Final = {
    "ppg_integrations": "Without a framework.",
    "ppg_integrations.django": "For settings, commands and code of a Django project.",
    "ppg_integrations.flask": "For a Flask app.",
    "ppg_integrations.sqlalchemy": "Engines without a framework.",
}
#: pytest's fixtures, by the module that defines them.
FIXTURES: Final = {"ppg_integrations.pytest_plugin": ("ppg_database", "ppg_rollback")}
#: Public things that are reached by those, and no name of a module above.
REACHED: Final = (
    "ppg_integrations.flask.state.State",
    "ppg_integrations.advisory.AdvisoryLock",
    "ppg_integrations.flask.testing.test_databases",
    "ppg_integrations.flask.testing.rolled_back",
    "ppg_integrations.testdatabase.Databases",
    "ppg_integrations.endpoint.Endpoint",
    "ppg_integrations.endpoint.Destination",
    "ppg_integrations.listening.listen",
    "ppg_integrations.listening.Notification",
    "ppg_integrations.secret.Secret",
)


def page() -> str:
    """The page.

    Raises:
        ValueError: a public thing has no docstring.
    """
    parts = [
        (
            "# Python API\n\nThe public names, from their docstrings. What is not here is private,"
            " and may change with any version. Errors have [a page of their own](errors.md)."
        )
    ]
    for module, what in MODULES.items():
        parts.append(f"## `{module}`\n\n{what}")
        found = importlib.import_module(module)
        names = sorted(found.__all__, key=lambda name: _is_error(getattr(found, name)))
        parts += [_directive(module, name) for name in names]
    parts.append("## pytest\n\nFixtures, there wherever the package is installed.")
    for module, fixtures in FIXTURES.items():
        parts += [_fixture(module, name) for name in fixtures]
    parts.append("## Reached through these")
    for path in REACHED:
        module, _, name = path.rpartition(".")
        parts.append(_directive(module, name))
    return "\n\n".join(parts)


def _directive(module: str, name: str) -> str:
    thing = getattr(importlib.import_module(module), name)
    summary(thing)
    if _is_error(thing):
        kind, options = "autoexception", ["show-inheritance"]
    elif inspect.isclass(thing):
        kind, options = "autoclass", ["members", "inherited-members"]
    else:
        kind, options = "autofunction", []
    lines = [f".. {kind}:: {module}.{name}", *(f"   :{option}:" for option in options)]
    return "```{eval-rst}\n" + "\n".join(lines) + "\n```"


def _is_error(thing: object) -> bool:
    return inspect.isclass(thing) and issubclass(thing, BaseException)


def _fixture(module: str, name: str) -> str:
    return f"```{{eval-rst}}\n.. autofunction:: {module}.{name}\n```"
