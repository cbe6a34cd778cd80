"""One app: its state, from the arguments and ``app.config``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ppg_integrations import envfile, layers, loaded, names
from ppg_integrations.current import CurrentPair, follow
from ppg_integrations.errors import EnvFileError
from ppg_integrations.layers import Layered
from ppg_integrations.providers.settings import Settings

from . import binds as app_binds
from . import config as app_config
from . import nearest
from .state import State
from .wishes import Wishes

if TYPE_CHECKING:
    from .arguments import Arguments


def state_of(arguments: Arguments, config: Mapping[str, Any], *, asks: bool) -> State:
    """Reads the configuration and looks for the pairs; what is wrong with those, they say later.

    Args:
        arguments: which win.
        config: ``app.config``.
        asks: whether a provider's API may be asked where no URL is set.

    Raises:
        ConfigurationError: an argument or a key of the configuration cannot be used.
        DriverError: no driver is named, and none is installed.
    """
    environ = Layered(app_config.variables(config), os.environ)
    env_file = app_config.env_file(config) if arguments.env_file is None else arguments.env_file
    path = nearest.env_file(env_file, environ)
    environ = loaded.own(environ, path)
    file = _file(path)
    asked = environ if asks else layers.changed(environ, {names.RESOLVE: "never"})
    current = follow(
        arguments.pooled,
        arguments.direct,
        env_file=path or False,
        environ=asked,
        allow_mismatch=arguments.allow_mismatch,
    )
    binds: dict[str, CurrentPair] = {}
    wishes: dict[str | None, Wishes] = {None: _wishes(arguments, environ, file, path)}
    further = {**app_binds.checked(config.get(app_config.BINDS)), **arguments.binds}
    for key, own in further.items():
        bind = app_binds.Bind(key, own, asked, path, arguments.allow_mismatch)
        binds[key] = bind.follow()
        wishes[key] = _wishes(arguments, bind.environ, file, path)
    return State(current, binds, env_file=path, environ=environ, wishes=wishes)


def _wishes(
    arguments: Arguments, environ: Mapping[str, str], file: Mapping[str, str], path: str | None
) -> Wishes:
    return Wishes(
        Settings(environ, file, path),
        driver=arguments.driver,
        serverless=arguments.serverless,
        forced=names.truthy(environ.get(names.FORCE_DIRECT)),
        options=arguments.options,
        direct_options=arguments.direct_options,
    )


def _file(path: str | None) -> Mapping[str, str]:
    if path is None:
        return {}
    try:
        return envfile.read(path, quiet=True)
    except EnvFileError:  # is said where the pair is used
        return {}
