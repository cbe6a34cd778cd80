"""Finds the pair: arguments, then the environment, then the ``.env`` file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Mapping
from typing import Final

from . import arrange, names
from .arrange import Half
from .errors import (
    AccelerateURLError,
    ConfigurationError,
    MissingURLError,
    PPGWarning,
)
from .pair import ConnectionPair, Source
from .urls import PostgresURL

DEFAULT_ENV_FILE: Final = ".env"

_MISMATCHES: Final = ("user", "database")


class _Places:
    """The layers in which a name is looked up; the file is read only when it is asked."""

    def __init__(self, environ: Mapping[str, str], env_file: str | None) -> None:
        self.environ = environ
        self.path = env_file
        self._file: Mapping[str, str] | None = None

    def file(self) -> Mapping[str, str]:
        if self._file is None:
            self._file = {}
            if self.path is not None and os.path.exists(self.path):
                from . import envfile

                self._file = envfile.read(self.path)
        return self._file

    def known(self, name: str) -> str:
        """A value that costs no reading: of the environment, or of the file if it was read."""
        return self.environ.get(name) or (self._file or {}).get(name) or ""

    def candidates(self, wanted: tuple[str, ...]) -> list[tuple[str, Source]]:
        """Every value of these names in one layer: the first layer that has any wins."""
        found = [
            (self.environ[name], Source("environment", name))
            for name in wanted
            if self.environ.get(name, "").strip()
        ]
        if not found and self.path is not None:
            found = [
                (self.file()[name], Source("file", name, self.path))
                for name in wanted
                if (self.file().get(name) or "").strip()
            ]
        return found


def resolve(
    pooled: str | PostgresURL | None = None,
    direct: str | PostgresURL | None = None,
    *,
    env_file: str | os.PathLike[str] | bool | None = None,
    environ: Mapping[str, str] | None = None,
    provider: str | None = None,
    allow_mismatch: Collection[str] = (),
    stacklevel: int = 2,
) -> ConnectionPair:
    """The pair of URLs, each from the first place that has it.

    The places are the arguments, the environment, and the ``.env`` file; the names are those of
    :mod:`ppg_integrations.names`. Then the hosts decide: a pair that they prove to be swapped is
    put right, and a missing half is completed where a host makes it certain.

    Args:
        pooled: the URL for requests.
        direct: the URL for migrations and their kind.
        env_file: path of the ``.env`` file; None for ``PPG_ENV_FILE`` or ``.env`` in the current
            folder; False for none. A file that does not exist is no error.
        environ: the environment; ``os.environ`` where None.
        provider: who runs the server, where hosts do not tell; else ``PPG_PROVIDER``.
        allow_mismatch: what may differ between the halves, of ``"user"`` (a role of its own for
            migrations) and ``"database"``; also ``PPG_ALLOW_MISMATCH``.
        stacklevel: whose line a warning names, as in ``warnings.warn``.

    Warns:
        PPGWarning: something was put right, or looks wrong and still works.

    Raises:
        MissingURLError: no pooled URL was found or could be derived.
        MismatchedPairError: the halves belong to different databases or users.
        URLError: one of the URLs cannot be used.
        EnvFileError: the file exists and cannot be read.
    """
    if environ is None:
        environ = os.environ
    places = _Places(environ, env_file_path(env_file, environ))
    said: list[str] = []
    accelerate: list[AccelerateURLError] = []
    first = _parse(_candidates(pooled, "pooled", names.POOLED, places), accelerate)
    second = _parse(_candidates(direct, "direct", names.DIRECT, places), accelerate)
    said += [f"{error.message}; it was passed over" for error in accelerate]
    left, right = arrange.arrange(first, second, said)
    if left is None:
        raise accelerate[0] if accelerate and not second else _missing(places, second)
    if right is not None:
        arrange.check_same(left, right, _allowed(allow_mismatch, places))
    for half in (left, right):
        if half is not None and half.source.kind != "derived":
            said += [f"{half.source}: {text}" for text in half.url.warnings]
    for text in dict.fromkeys(said):
        warnings.warn(text, PPGWarning, stacklevel=stacklevel)
    return ConnectionPair(
        left.url,
        right.url if right else None,
        left.source,
        right.source if right else None,
        provider or places.known(names.PROVIDER) or left.info.provider,
        tuple(dict.fromkeys(said)),
        places.path,
    )


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


def _candidates(
    argument: str | PostgresURL | None, name: str, wanted: tuple[str, ...], places: _Places
) -> list[tuple[str | PostgresURL, Source]]:
    if argument is not None:
        return [(argument, Source("argument", name))]
    return [*places.candidates(wanted)]


def _parse(
    found: list[tuple[str | PostgresURL, Source]], accelerate: list[AccelerateURLError]
) -> list[Half]:
    """The usable ones; a hosted Accelerate URL is passed over, as the other half may do without."""
    halves: list[Half] = []
    for value, source in found:
        if isinstance(value, PostgresURL):
            halves.append(Half(value, source))
            continue
        try:
            if source.kind == "file" and "${" in value:
                # docker compose would fill it in; sh and `docker run --env-file` would not.
                raise ConfigurationError(
                    f"{source} has a ${{...}} in it, and nothing fills that in here",
                    hint="Write the whole URL out; a literal ${ in a password is %24%7B.",
                )
            url = PostgresURL.parse(value, source=str(source))
            halves.append(Half(url, source, alone="prisma+postgres:" in value.lower()))
        except AccelerateURLError as error:
            accelerate.append(error)
        except ConfigurationError:
            if not halves:
                raise
            # A later name only matters where an earlier one turns out to hold the other half.
    return halves


def _missing(places: _Places, direct: list[Half]) -> MissingURLError:
    looked = "the environment"
    if places.path is not None:
        exists = os.path.exists(places.path)
        looked += f" and {places.path}" + ("" if exists else ", which does not exist")
    if direct:
        return MissingURLError(
            f"only a direct URL is known ({direct[0].source}), and its host "
            f"({direct[0].url.host or 'the local socket'}) does not tell what the pooled one is; "
            f"looked for {', '.join(names.POOLED)} in {looked}",
            hint=f"Set {names.POOLED[0]} to the pooled URL of the same database. If there is no "
            "pooler, set it to the direct URL too.",
        )
    return MissingURLError(
        f"no database URL: looked for {', '.join(names.POOLED)} in {looked}",
        hint=f"Set {names.POOLED[0]} (pooled) and {names.DIRECT[0]} (direct) to the two URLs that "
        "your provider's console shows, or generate a pair with `ppg-connect create` "
        "(`manage.py ppg_connect create` in Django); `--provider local` needs no account.",
    )


def _allowed(allow: Collection[str], places: _Places) -> frozenset[str]:
    if isinstance(allow, str):
        allow = (allow,)
    words = {word.strip() for word in places.environ.get(names.ALLOW_MISMATCH, "").split(",")}
    allowed = frozenset({*allow, *words} - {""})
    unknown = sorted(allowed.difference(_MISMATCHES))
    if unknown:
        raise ConfigurationError(
            f"{', '.join(unknown)}: not something that a pair can differ in",
            hint=f"allow_mismatch and {names.ALLOW_MISMATCH} take {' and '.join(_MISMATCHES)}.",
        )
    return allowed
