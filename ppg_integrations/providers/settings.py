"""The variables a provider reads: the environment first, then the ``.env`` file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from .. import layers, names
from ..errors import ConfigurationError
from ..secret import MaskedMapping, Secret, masked_by_name

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds, where ``PPG_TIMEOUT`` says nothing.
TIMEOUT: Final = 30.0
_MOST: Final = 3600.0


class Found:
    """A variable that is set. Its ``value`` may be a secret; ``source`` never holds one."""

    __slots__ = ("in_file", "name", "source", "value")

    def __init__(self, name: str, value: str, source: str, *, in_file: bool = False) -> None:
        self.name = name
        self.value = value
        self.source = source
        self.in_file = in_file


class Settings:
    """What is set, by name. A blank value counts as none.

    Args:
        environ: the process environment.
        file: the variables of the ``.env`` file.
        path: of that file, for messages.
        program: how the user calls us, for the next command to type.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        file: Mapping[str, str] | None = None,
        path: str | None = None,
        *,
        program: str = layers.PROGRAM,
    ) -> None:
        self._environ = MaskedMapping.of(environ)
        self._file = MaskedMapping.of(file or {})
        self._most = _MOST
        self.path = path
        self.program = program

    def within(self, seconds: float) -> Settings:
        """The same, with no more time than is left of a deadline that runs already, in seconds."""
        return self._with(self._file, seconds)

    def without(self, *names: str) -> Settings:
        """The same, without these variables of the file."""
        file = {name: value for name, value in self._file.items() if name not in names}
        return self._with(file, self._most)

    def _with(self, file: Mapping[str, str], most: float) -> Settings:
        settings = Settings(self._environ, file, self.path, program=self.program)
        settings._most = most
        return settings

    def find(self, *wanted: str) -> Found | None:
        """The first of these names that the environment has, else the first that the file has."""
        for name in wanted:
            value = (self._environ.get(name) or "").strip()
            if value:
                place = layers.place(self._environ, name)
                return Found(name, masked_by_name(name, value), f"{name} in {place}")
        for name in wanted:
            value = (self._file.get(name) or "").strip()
            if value:
                source = f"{name} in {self.path}"
                return Found(name, masked_by_name(name, value), source, in_file=True)
        return None

    def get(self, *wanted: str) -> str:
        """The value that :meth:`find` finds, or an empty text."""
        found = self.find(*wanted)
        return found.value if found else ""

    def token(self, *wanted: str) -> Secret:
        """An API token.

        Raises:
            ConfigurationError: none is set, or it holds what no HTTP header can carry.
        """
        found = self.find(*wanted)
        if found is None:
            raise ConfigurationError(
                f"no API token: {' and '.join(wanted)} {'is' if len(wanted) == 1 else 'are'} unset",
                hint=f"Make one in the provider's console and set {wanted[0]}.",
            )
        if not all("!" <= character <= "~" for character in found.value):
            raise ConfigurationError(
                f"{found.source} holds a space, a control character or a letter beyond ASCII, "
                "which no API token has",
                hint="Copy it once more; is a quote or a line break in it?",
            )
        return Secret(found.value)

    @property
    def folder(self) -> str:
        """The folder of the ``.env`` file, absolute; the working folder where none is known."""
        return os.path.dirname(os.path.abspath(self.path or ".env"))

    @property
    def timeout(self) -> float:
        """Seconds for all the API work of one verb, or of one resolution.

        Raises:
            ConfigurationError: ``PPG_TIMEOUT`` is no number of seconds.
        """
        found = self.find(names.TIMEOUT)
        if found is None:
            return min(TIMEOUT, self._most)
        try:
            seconds = float(found.value)
        except ValueError:
            seconds = -1.0
        if not 0 < seconds <= _MOST:
            raise ConfigurationError(
                f"{found.source} is {found.value!r:.40}, which is no number of seconds from 0 to "
                f"{_MOST:g}",
                hint=f"Such as {names.TIMEOUT}={TIMEOUT:g}.",
            )
        return min(seconds, self._most)
