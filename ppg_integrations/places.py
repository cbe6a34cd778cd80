"""The places in which the variables of a pair are looked up: the environment, then the file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from . import layers, names
from .pair import Source
from .secret import MaskedMapping

if TYPE_CHECKING:
    from .providers.settings import Settings

DEFAULT_ENV_FILE: Final = ".env"


class Places:
    """The layers in which a name is looked up; the file is read only when it is asked.

    Args:
        environ: the environment.
        env_file: path of the file; None for none.
        quiet: without a warning for lines that cannot be read.
        program: how the user calls the verbs; as the environment tells, where None.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        env_file: str | None,
        *,
        quiet: bool = False,
        program: str | None = None,
    ) -> None:
        self.environ = MaskedMapping.of(environ)
        self.path = env_file
        self.program = program or layers.program(environ)
        self._quiet = quiet
        self._file: Mapping[str, str] | None = None

    def file(self) -> Mapping[str, str]:
        if self._file is None:
            self._file = {}
            if self.path is not None and os.path.exists(self.path):
                from . import envfile

                self._file = envfile.read(self.path, quiet=self._quiet)
        return self._file

    def known(self, name: str) -> str:
        """A value that costs no reading: of the environment, or of the file if it was read."""
        return self.environ.get(name) or (self._file or {}).get(name) or ""

    def source(self, name: str) -> str:
        """The name, and where :meth:`known` has its value from; for messages."""
        if self.environ.get(name) or self.path is None:
            return f"{name} in {layers.place(self.environ, name)}"
        return f"{name} in {self.path}"

    def candidates(self, wanted: tuple[str, ...], *, read: bool = True) -> list[tuple[str, Source]]:
        """Every value of these names in one layer: the first layer that has any wins.

        Args:
            read: False looks into the file only if it has been read already.
        """
        found = [
            (self.environ[name], self._source(name))
            for name in wanted
            if self.environ.get(name, "").strip()
        ]
        if not found and self.path is not None and (read or self._file is not None):
            found = [
                (self.file()[name], Source("file", name, self.path))
                for name in wanted
                if (self.file().get(name) or "").strip()
            ]
        return found

    def _source(self, name: str) -> Source:
        kind = layers.kind(self.environ, name)
        return Source(kind, name, layers.place(self.environ, name) if kind == "config" else "")

    def looked(self) -> str:
        """Where URLs are looked for, in words."""
        found = ["the environment"]
        if isinstance(self.environ, layers.Layered):
            found.insert(0, self.environ.title)
        if self.path is not None:
            exists = os.path.exists(self.path)
            found.append(self.path if exists else f"{self.path}, which does not exist")
        return " and ".join(filter(None, (", ".join(found[:-1]), found[-1])))

    def settings(self) -> Settings:
        """What a provider may read."""
        from .providers.settings import Settings

        return Settings(self.environ, self.file(), self.path, program=self.program)


def env_file_path(
    env_file: str | os.PathLike[str] | bool | None, environ: Mapping[str, str]
) -> str | None:
    """The absolute path of the ``.env`` file that an argument of :func:`resolve` means, if any."""
    if env_file is False:
        return None
    if env_file is None or env_file is True:
        env_file = environ.get(names.ENV_FILE) or DEFAULT_ENV_FILE
    try:
        return os.path.abspath(env_file)
    except FileNotFoundError:  # of the current folder, which somebody has deleted
        return None
