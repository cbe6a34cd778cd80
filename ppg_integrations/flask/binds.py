"""``PPG_BINDS``: the pairs of further databases."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from ppg_integrations import names
from ppg_integrations.current import CurrentPair
from ppg_integrations.errors import ConfigurationError, MissingURLError, PPGError
from ppg_integrations.layers import Layered
from ppg_integrations.pair import ConnectionPair
from ppg_integrations.places import Places, env_file_path
from ppg_integrations.resolve import look

from .config import BINDS, URLS, env_file, variables

_TARGETS: Final = frozenset(names.TARGET.values())


def title(key: str) -> str:
    """How a bind is called in messages."""
    return f"{BINDS}[{key!r}]"


def checked(binds: object) -> dict[str, Mapping[str, Any]]:
    """The mappings by bind key.

    Raises:
        ConfigurationError: it is no such mapping.
    """
    if binds is None:
        return {}
    if not isinstance(binds, Mapping):
        raise _wrong(BINDS, binds)
    for key, config in binds.items():
        if not isinstance(key, str) or not key:
            raise _wrong(f"a key of {BINDS}", key)
        if not isinstance(config, Mapping):
            raise _wrong(title(key), config)
    return dict(binds)


class Bind:
    """One of them, as its pair is found.

    Attributes:
        environ: its own mapping over what it shares with the app: all variables but those that
            name the app's pair.
    """

    def __init__(
        self,
        key: str,
        config: Mapping[str, Any],
        app: Layered,
        path: str | None,
        allow_mismatch: Collection[str],
    ) -> None:
        """Reads its mapping.

        Args:
            key: of the bind.
            config: its mapping.
            app: ``app.config`` over the environment.
            path: of the app's ``.env`` file.
            allow_mismatch: as for :func:`ppg_integrations.resolve`.

        Raises:
            ConfigurationError: a value of the mapping cannot be used.
        """
        own = variables(config, title(key))
        self._hidden = URLS | {names.CONNECTION, names.ENV_FILE}
        if _TARGETS & own.keys():
            self._hidden |= _TARGETS
        self.environ = Layered(own, self._shared(app), title(key))
        self._title = title(key)
        self._path = path
        self._own_path: str | None = None
        if own.get(names.ENV_FILE) and env_file(config) is not False:
            self._own_path = env_file_path(None, own)
        self._allow_mismatch = allow_mismatch

    def follow(self) -> CurrentPair:
        """Its pair, read anew when its store changes."""
        return CurrentPair(self._find, env_file=self._own_path or self._path)

    def _find(self) -> ConnectionPair:
        app_file = Places(self.environ, self._path, quiet=True).file()
        places = _Places(self.environ, self._own_path, self._path, self._shared(app_file))
        try:
            return look(places, allow_mismatch=self._allow_mismatch)
        except PPGError as error:
            error.message = f"{self._title}: {error.message}"
            if isinstance(error, MissingURLError):
                error.hint = (
                    f"Give {self._title} its {names.POOLED[0]} and {names.DIRECT[0]}, or the "
                    f"{names.ENV_FILE} of a file of its own that has them."
                )
            raise

    def _shared(self, layer: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in layer.items() if name not in self._hidden}


class _Places(Places):
    """The bind's own file over what the app's file shares."""

    def __init__(
        self,
        environ: Mapping[str, str],
        own: str | None,
        app: str | None,
        shared: Mapping[str, str],
    ) -> None:
        super().__init__(environ, own or app, quiet=True)
        self._has_own = own is not None
        self._shared = shared

    def file(self) -> Mapping[str, str]:
        return {**self._shared, **super().file()} if self._has_own else self._shared

    def looked(self) -> str:
        return f"it and {self.path}" if self._has_own else "it"


def _wrong(what: str, value: object) -> ConfigurationError:
    kind = "str" if isinstance(value, str) else type(value).__name__  # one that is masked, too
    return ConfigurationError(  # without the value, which may be a URL
        f"{what} is a {kind}, and each bind key needs a dictionary",
        hint=f'Such as {BINDS} = {{"analytics": {{"DATABASE_URL": ..., "DIRECT_URL": ...}}}}.',
    )
