"""What every verb is told: which files, which provider, which database."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from .. import in_use, layers, names
from ..errors import ConfigurationError, MissingURLError, UsageError
from ..pair import ConnectionPair
from ..places import DEFAULT_ENV_FILE, Places
from ..providers.base import GenerateRequest, Progress, Provider, Target, silent
from ..providers.settings import Settings
from ..resolve import look
from .options import check, check_owner, check_shows

#: Whose temporary databases there are.
TEMPORARY: Final = "prisma"
#: The options that say what is asked of a provider.
_REQUEST: Final = ("name", "project", "database", "branch", "role", "region")


@dataclass(frozen=True)
class Context:
    """The settings of one call of a verb.

    Attributes:
        env_file: path of the ``.env`` file, read and written.
        provider, project, database, branch, role, name, region: the options of the same names.
        create_missing: make what does not exist yet (``--create``).
        replica: write the URL of a read replica too.
        temporary: a temporary database, for which no account is needed.
        program: how the user calls us, for the next command to type.
        file_option: `` --env-file PATH``, where another file is the usual; else empty.
        file_named: it was typed, be it the usual one.
        environ: the process environment.
        known_pair: the pair that a framework's settings have resolved already.
        progress: told what is being done, before each step that may take a while.
        report: told what the user should know whatever becomes of the verb, a line each.
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
    replica: bool = False
    temporary: bool = False
    program: str = "ppg-connect"
    file_option: str = ""
    file_named: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    known_pair: ConnectionPair | None = None
    progress: Progress = field(default=silent, repr=False)
    report: Progress = field(default=silent, repr=False)

    @property
    def project_folder(self) -> Path:
        """The folder of the ``.env`` file; ``.ppg`` lies in it."""
        return self.env_file.absolute().parent

    def command(self, verb: str) -> str:
        """The next command to type, for the same file; `verb` with its other arguments."""
        return f"{self.program} {verb}{self.file_option}"

    @property
    def settings(self) -> Settings:
        """The environment over the ``.env`` file, as that is now.

        Raises:
            EnvFileError: the file cannot be read.
        """
        return Settings(self.environ, self.file(), str(self.env_file), program=self.program)

    def file(self) -> Mapping[str, str]:
        """The variables of the ``.env`` file, as that is now.

        Raises:
            EnvFileError: the file cannot be read.
        """
        from .. import envfile

        return envfile.read(self.env_file, quiet=True)  # resolving the pair names what is skipped

    @property
    def options(self) -> Mapping[str, str]:
        """What the user asked for by options, without what was left open."""
        given = {name: value for name in _REQUEST if (value := getattr(self, name))}
        flags = {name: "yes" for name in ("replica", "temporary") if getattr(self, name)}
        return {**given, **flags}

    def wanted(self, provider: Provider) -> Mapping[str, str]:
        """The same, with the target that the variables say.

        Raises:
            ConfigurationError: as :meth:`target`.
        """
        target = asdict(self.target(provider))
        return {**self.options, **{part: value for part, value in target.items() if value}}

    def pair(self) -> ConnectionPair:
        """The pair in use, or the one that the options name, where its provider shows secrets.

        What is wrong with it stands in its ``warnings``, which the front end prints.

        Raises:
            ConfigurationError: there is none, or it cannot be used.
            UsageError: the options name one that nobody shows, or another provider's.
            ProviderError: it would be the API's, and that does not give it.
        """
        from .. import providers

        settings = self.settings
        named = {part: value for part in names.TARGET if (value := getattr(self, part))}
        name = self.provider_name() if named else self.provider or providers.detect_in(settings)
        providers.check(name)
        if name and (named or self.provider):
            check(self, providers.load(name, settings))
        if name and named:
            check_shows(self, providers.load(name, settings))
            from ..remote import resolve_remote

            return resolve_remote(settings, name, named, progress=self.progress)
        pair = self.known_pair or look(self._places(self.environ), provider=self.provider)
        check_owner(self, pair)
        return pair

    def pair_that_is_set(self) -> ConnectionPair | None:
        """The pair in use, if its URLs are set somewhere; no API is asked.

        Raises:
            ConfigurationError: it cannot be used.
        """
        return self.known_pair or self._resolved(
            layers.changed(self.environ, {names.RESOLVE: "never"})
        )

    def pair_in_file(self) -> ConnectionPair | None:
        """The pair that the ``.env`` file holds, which is what ``create`` writes; None if none.

        Its replica does not count: the next ``create`` mends one that is refused.

        Raises:
            ConfigurationError: it cannot be used.
        """
        return self._without_replica({names.RESOLVE: "never"})

    def whole_pair_in_file(self) -> ConnectionPair | None:
        """The same, and its replica has to be one too. Raises as :meth:`pair_in_file`."""
        return self._resolved({names.RESOLVE: "never"})

    def pair_in_environment(self) -> ConnectionPair | None:
        """The pair that the environment holds, which wins over the file; None if it holds none."""
        environ = layers.changed(self.environ, {names.RESOLVE: "never"})
        try:
            return self._without_replica(environ, file=False)
        except ConfigurationError:  # what is wrong with it is said where it is used
            return None

    def _resolved(self, environ: Mapping[str, str], *, file: bool = True) -> ConnectionPair | None:
        named = self.settings.get(names.PROVIDER)
        try:
            return look(self._places(environ, file=file), provider=named or None)
        except MissingURLError:
            return None

    def _places(self, environ: Mapping[str, str], *, file: bool = True) -> Places:
        path = str(self.env_file.absolute()) if file else None
        return Places(environ, path, quiet=True, program=self.program)

    def _without_replica(
        self, environ: Mapping[str, str], *, file: bool = True
    ) -> ConnectionPair | None:
        """The pair, whatever may be wrong with its replica."""
        try:
            return self._resolved(environ, file=file)
        except ConfigurationError as error:
            values = {**(self.file() if file else {}), **environ}
            replicas = [values.pop(name, "") for name in names.REPLICA]
            if not any(replicas):
                raise
            try:
                return self._resolved(values, file=False)
            except ConfigurationError:
                raise error from None

    def in_use(self, pair: ConnectionPair | None) -> str:
        """The id of the connection that `pair` is; empty where that is not known."""
        return next(iter(self.marked(pair)), "")

    def marked(self, pair: ConnectionPair | None) -> tuple[str, ...]:
        """The ids that ``PPG_CONNECTION`` gives `pair`: for the file's URLs only the file's own."""
        if pair is None:
            return ()
        kinds = {source.kind for source in (pair.pooled_source, pair.direct_source) if source}
        layers = (self.file(),) if kinds <= {"file", "derived"} else (self.environ, self.file())
        marks = (each.get(names.CONNECTION, "") for each in layers)
        return tuple(filter(None, (in_use.connection_in_use(mark, pair) for mark in marks)))

    def provider_name(self) -> str:
        """The provider to ask: the option, ``PPG_PROVIDER``, or the token's.

        Raises:
            ConfigurationError: nothing names one.
        """
        from .. import providers

        if self.temporary and not self.provider:
            return TEMPORARY
        settings = self.settings
        name = self.provider or providers.detect_in(settings)
        if name or providers.tokens_in(settings):
            return name or providers.require(settings)
        tokens = [providers.tokens(each)[0] for each in providers.NAMES if providers.tokens(each)]
        raise ConfigurationError(
            f"no provider: neither --provider nor {names.PROVIDER} names one, and no provider's "
            "token is set",
            hint=f"Set {', '.join(tokens[:-1])} or {tokens[-1]}. Without an account: "
            f"{self.command('create --temporary')} makes a database that lives for a day, and "
            f"{self.command('create --provider local')} starts the embedded PostgreSQL.",
        )

    def load(self, name: str, *, temporary: bool | None = None) -> Provider:
        """The provider called `name`, with the settings of this call.

        Args:
            temporary: the one of temporary databases; as the option says by default.

        Raises:
            ConfigurationError: there is none of that name.
            UsageError: it has no temporary databases.
        """
        from .. import providers

        if not (self.temporary if temporary is None else temporary):
            return providers.load(name, self.settings)
        if name != TEMPORARY:
            raise UsageError(
                f"--temporary is for the temporary databases of {TEMPORARY}, not for {name}"
            )
        from ..providers.prisma_temporary import TemporaryProvider

        return TemporaryProvider(self.settings)

    def target(self, provider: Provider, options: Mapping[str, str] | None = None) -> Target:
        """Which database is meant, for this provider.

        Args:
            options: those of an earlier run; this one's by default.

        Raises:
            ConfigurationError: one of its parts cannot be a name.
        """
        from ..providers.target import target

        given = self.options if options is None else options
        return target(provider, self._settings_for(provider), given)

    def _settings_for(self, provider: Provider) -> Settings:
        """The settings, without what the file says of another provider's database."""
        settings = self.settings
        try:
            pair = self.pair_in_file()
        except ConfigurationError:  # what is wrong with it is said where it is used
            pair = None
        if pair is None or pair.provider in (None, provider.name):
            return settings
        return settings.without(*names.TARGET.values())

    def request(self, provider: Provider) -> GenerateRequest:
        """What is asked of this provider.

        Raises:
            ConfigurationError: as :meth:`target`.
        """
        from ..providers.labels import label
        from ..providers.target import checked

        name = checked(self.name or "", "--name")
        if "servers" not in provider.capabilities:
            # A role on our own servers has a random part anyway.
            name = label(name or self.project_folder.name)
        return GenerateRequest(
            name=name,
            target=self.target(provider),
            region=checked(self.region or "", "--region"),
            create=self.create_missing,
            replica=self.replica,
            project_folder=self.project_folder,
        )
