"""The page of the Python API: signatures and docstrings of the public names, as Markdown."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any, Final

from .docstrings import entries, prose, summary

#: Where public names are, and what the page says of each module.
MODULES: Final = {
    "ppg_integrations": "Without a framework.",
    "ppg_integrations.django": "For settings, commands and code of a Django project.",
    "ppg_integrations.flask": "For a Flask app.",
    "ppg_integrations.sqlalchemy": "Engines without a framework.",
    "ppg_integrations.direct": "LISTEN, advisory locks and long jobs without a framework.",
}
#: pytest's fixtures, by the module that defines them.
FIXTURES: Final = {"ppg_integrations.pytest_plugin": ("ppg_database", "ppg_rollback")}
#: Public things that are reached by those, and no name of a module above.
REACHED: Final = (
    "ppg_integrations.flask.state.State",
    "ppg_integrations.flask.testing.test_databases",
    "ppg_integrations.flask.testing.rolled_back",
    "ppg_integrations.testdatabase.Databases",
    "ppg_integrations.endpoint.Endpoint",
    "ppg_integrations.endpoint.Destination",
    "ppg_integrations.listening.listen",
    "ppg_integrations.secret.Secret",
)
#: Whose arguments have a table on another page.
_TOLD: Final = {
    "ppg_integrations.django.databases": "settings.md#django-databases",
    "ppg_integrations.flask.PPG": "settings.md#flask-ppg",
}
#: Characters of a line of code.
_WIDTH: Final = 88


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
        failing = [name for name in found.__all__ if _is_error(getattr(found, name))]
        for name in found.__all__:
            if name not in failing:
                parts += _thing(f"{module}.{name}", name)
        if failing:
            parts.append(f"Errors and warnings: {', '.join(f'`{name}`' for name in failing)}.")
    parts.append("## pytest\n\nFixtures, there wherever the package is installed.")
    for module, fixtures in FIXTURES.items():
        for name in fixtures:
            parts += [f"### `{name}`", prose(getattr(importlib.import_module(module), name))]
    parts.append("## Reached through these")
    for path in REACHED:
        parts += _thing(path, path, made=False)
    return "\n\n".join(parts)


def _thing(path: str, title: str, *, made: bool = True) -> Iterator[str]:
    """What the page has of a function or a class.

    Args:
        path: to import it by.
        title: of its heading.
        made: whether users call it, where it is a class.
    """
    module, _, name = path.rpartition(".")
    thing = getattr(importlib.import_module(module), name)
    yield f"### `{title}`"
    is_class = inspect.isclass(thing)
    if is_class and (issubclass(thing, tuple) or thing.__init__ is object.__init__):
        made = False
    is_called = made or not is_class
    if is_called:
        yield f"```text\n{signature(thing, name)}\n```"
    yield prose(thing)
    if is_class:
        yield from _listed("Attributes", thing)
    if path in _TOLD:
        yield f"[Its arguments]({_TOLD[path]})."
    elif is_called:
        # A class is called with the arguments of its __init__, where that says what they are.
        told = thing.__init__ if is_class and thing.__init__.__doc__ else thing
        yield from _listed("Arguments", told)
        yield from _listed("Raises", told)
    if is_class:
        yield from map("\n".join, _members(thing))


def _listed(title: str, thing: object) -> Iterator[str]:
    """A section of a docstring."""
    found = entries(thing, "Args" if title == "Arguments" else title)
    if found:
        lines = (f"- {_names(each.name)}: {each.text}" for each in found)
        yield f"{title}:\n\n" + "\n".join(lines)


def _names(text: str) -> str:
    return ", ".join(f"`{name}`" for name in text.split(", "))


def _members(kind: type) -> Iterator[list[str]]:
    """A list item for each public method and property, those of bases of ours too."""
    seen: set[str] = set()
    found: list[str] = []
    for base in kind.__mro__:
        if not base.__module__.startswith("ppg_integrations"):
            continue
        for name, value in vars(base).items():
            is_method = isinstance(value, (classmethod, staticmethod)) or inspect.isfunction(value)
            is_member = is_method or isinstance(value, property)
            if name.startswith("_") or name in seen or not is_member:
                continue
            seen.add(name)
            member = getattr(kind, name) if is_method else inspect.getattr_static(kind, name)
            title = signature(member, name, brief=True) if is_method else name
            text = summary(member).replace("\n\n", " ")
            found.append(f"- `{title}`: {text}")
            told = entries(member, "Args") if is_method else ()
            found += (f"  - {_names(each.name)}: {each.text}" for each in told)
    if found:
        yield ["Members:", "", *found]


def signature(thing: Any, name: str, *, brief: bool = False) -> str:
    """How a thing is called, in one line, or with a line for each parameter.

    Args:
        brief: in one line, without types.
    """
    found = inspect.signature(thing)
    parameters = [each for each in found.parameters.values() if each.name != "self"]
    parts: list[str] = []
    keywords = inspect.Parameter.KEYWORD_ONLY
    for number, each in enumerate(parameters):
        before = parameters[number - 1].kind if number else None
        if each.kind is keywords and before not in (keywords, inspect.Parameter.VAR_POSITIONAL):
            parts.append("*")
        parts.append(_parameter(each, typed=not brief))
    gives = found.return_annotation
    silent = brief or gives in (inspect.Signature.empty, None, "None")
    end = ")" if silent else f") -> {_text(gives)}"
    line = f"{name}({', '.join(parts)}{end}"
    if brief or len(line) <= _WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {part}," for part in parts), end])


def _parameter(parameter: inspect.Parameter, *, typed: bool) -> str:
    text = parameter.name
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        text = f"*{text}"
    elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
        text = f"**{text}"
    spaced = typed and parameter.annotation is not inspect.Parameter.empty
    if spaced:
        text += f": {_text(parameter.annotation)}"
    if parameter.default is not inspect.Parameter.empty:
        text += f" = {parameter.default!r}" if spaced else f"={parameter.default!r}"
    return text


def _text(annotation: object) -> str:
    return annotation if isinstance(annotation, str) else str(inspect.formatannotation(annotation))


def _is_error(thing: object) -> bool:
    return inspect.isclass(thing) and issubclass(thing, BaseException)
