"""The environment with a framework's configuration over it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, overload

from . import names
from .secret import MaskedMapping

#: Names that mean one thing: a layer that has any of them hides all of them in the one below.
_GROUPS: Final = (names.POOLED, names.DIRECT, names.REPLICA)

#: How users call the verbs where no framework does it for them.
PROGRAM: Final = "ppg-connect"

Kind = Literal["config", "environment"]


class Layered(MaskedMapping):
    """Variables by name, as if all stood in one environment; its ``repr`` shows none of them.

    Attributes:
        config: what a framework's configuration sets, by the same names.
        environ: the environment of the process.
        title: what the configuration is called in messages.
    """

    __slots__ = ("config", "environ", "title")

    def __init__(
        self, config: Mapping[str, str], environ: Mapping[str, str], title: str = "app.config"
    ) -> None:
        config = {name: value for name, value in config.items() if value.strip()}
        hidden = {
            name for group in _GROUPS if any(map(config.get, group)) for name in group
        } - config.keys()
        below = {name: value for name, value in environ.items() if name not in hidden}
        super().__init__({**below, **config})
        self.config = MaskedMapping(config)
        self.environ = MaskedMapping(environ)
        self.title = title

    def replace(self, config: Mapping[str, str], environ: Mapping[str, str]) -> Layered:
        """The same with other layers."""
        return Layered(config, environ, self.title)


def kind(environ: Mapping[str, str], name: str) -> Kind:
    """Which of the two a variable is set in."""
    return "config" if isinstance(environ, Layered) and name in environ.config else "environment"


def place(environ: Mapping[str, str], name: str) -> str:
    """The same in words, for messages."""
    if isinstance(environ, Layered) and name in environ.config:
        return environ.title
    return "the environment"


def process(environ: Mapping[str, str]) -> Mapping[str, str]:
    """The layer that is the environment of the process, which is what its children get."""
    return environ.environ if isinstance(environ, Layered) else environ


def program(environ: Mapping[str, str]) -> str:
    """How whoever set these calls the verbs, for the next command to type."""
    return "flask ppg" if isinstance(environ, Layered) else PROGRAM


@overload
def changed(environ: Layered, changes: Mapping[str, str]) -> Layered: ...
@overload
def changed(environ: Mapping[str, str], changes: Mapping[str, str]) -> Mapping[str, str]: ...
def changed(environ: Mapping[str, str], changes: Mapping[str, str]) -> Mapping[str, str]:
    """A copy with other values, which is layered if the original is."""
    if isinstance(environ, Layered):
        config = {name: value for name, value in environ.config.items() if name not in changes}
        return environ.replace(config, {**environ.environ, **changes})
    return {**environ, **changes}
