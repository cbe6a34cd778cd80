"""What every verb is told: which files, which provider, which database."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .. import names
from ..errors import ConfigurationError
from ..pair import ConnectionPair
from ..providers.base import Progress, silent
from ..resolve import DEFAULT_ENV_FILE, resolve


@dataclass(frozen=True)
class Context:
    """The settings of one call of a verb.

    Attributes:
        env_file: path of the ``.env`` file, read and written.
        provider, project, database, branch, role, name, region: the options of the same names.
        create_missing: make what does not exist yet (``--create``).
        environ: the process environment.
        known_pair: the pair that a framework's settings have resolved already.
        progress: told what is being done, before each step that may take a while.
    """

    env_file: Path = Path(DEFAULT_ENV_FILE)
    provider: str | None = None
    project: str | None = None
    database: str | None = None
    branch: str | None = None
    role: str | None = None
    name: str | None = None
    region: str | None = None
    create_missing: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    known_pair: ConnectionPair | None = None
    progress: Progress = field(default=silent, repr=False)

    @property
    def project_folder(self) -> Path:
        """The folder of the ``.env`` file; ``.ppg`` lies in it."""
        return self.env_file.absolute().parent

    def pair(self) -> ConnectionPair:
        """The pair in use; what is wrong with it stands in its ``warnings``.

        Raises:
            ConfigurationError: there is none, or it cannot be used.
        """
        from .. import providers

        providers.check(self.provider or providers.detect(self.environ))
        if self.known_pair is not None:
            return self.known_pair
        with warnings.catch_warnings():
            # The front end prints pair.warnings itself.
            warnings.simplefilter("ignore")
            return resolve(env_file=self.env_file, environ=self.environ, provider=self.provider)

    def provider_name(self) -> str:
        """The provider that is to generate: the option, ``PPG_PROVIDER``, or the token's.

        Raises:
            ConfigurationError: nothing names one.
        """
        from .. import envfile, providers

        found = self.provider or providers.detect(self.environ)
        if not found:
            found = envfile.read(self.env_file).get(names.PROVIDER, "")
        if not found:
            raise ConfigurationError(
                f"no provider: neither --provider nor {names.PROVIDER} names one, and no "
                "provider's token is set",
                hint="For the embedded PostgreSQL, which needs no account: --provider local.",
            )
        return found
