"""What a dump of the configuration would give away, hidden in place."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from ppg_integrations.parameters import SECRET
from ppg_integrations.secret import MaskedStr

from . import settings
from .config import BINDS, TOKENS, URLS

_ARGUMENTS: Final = "connect_args"
_SECRET: Final = URLS | TOKENS


def mask(config: MutableMapping[str, Any]) -> None:
    """Hides URLs and tokens in the ``repr`` of ``app.config``; the values stay what they are.

    Debug pages and error reporters print dictionaries, and variables of frames, by ``repr``.
    """
    config.update(variables(config))
    if isinstance(config.get(BINDS), Mapping):
        config[BINDS] = {key: bind(each) for key, each in config[BINDS].items()}
    if isinstance(config.get(settings.BINDS), Mapping):
        config[settings.BINDS] = {
            key: _engine(each) for key, each in config[settings.BINDS].items()
        }
    for name in (settings.URI, settings.OPTIONS):
        if config.get(name):
            config[name] = _engine(config[name])


def variables(config: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of this package in a mapping whose values are secrets, as such."""
    found = {name: config[name] for name in _SECRET if isinstance(config.get(name), str)}
    return {name: MaskedStr(value) for name, value in found.items()}


def bind(config: Any) -> Any:
    """A mapping of ``PPG_BINDS``. A text, which is an error that others name, may be a URL."""
    if isinstance(config, str):
        return MaskedStr(config)
    return {**config, **variables(config)} if isinstance(config, Mapping) else config


def _engine(value: Any) -> Any:
    """A URL, options of an engine, or both."""
    if isinstance(value, str):
        foreign = value.startswith("postgres") and not isinstance(value, MaskedStr)
        return MaskedStr(value) if foreign else value
    if not isinstance(value, Mapping):
        return value
    changes = {"url": _engine(value["url"])} if "url" in value else {}
    arguments = value.get(_ARGUMENTS)
    if isinstance(arguments, Mapping) and SECRET & arguments.keys():
        changes[_ARGUMENTS] = {
            name: MaskedStr(each) if name in SECRET else each for name, each in arguments.items()
        }
    return {**value, **changes} if changes else value
