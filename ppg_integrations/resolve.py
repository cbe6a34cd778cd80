"""Finds the pair: arguments, then the environment, then the ``.env`` file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Mapping
from typing import Final

from . import hosts, names
from .errors import (
    AccelerateURLError,
    ConfigurationError,
    MismatchedPairError,
    MissingURLError,
    PPGWarning,
)
from .pair import ConnectionPair, Source
from .urls import PostgresURL

DEFAULT_ENV_FILE: Final = ".env"

_MISMATCHES: Final = ("user", "database")


class _Half:
    __slots__ = ("alone", "info", "source", "url")

    def __init__(self, url: PostgresURL, source: Source, *, alone: bool = False) -> None:
        self.url = url
        self.source = source
        self.alone = alone  # its server has no other endpoint: `prisma dev`
        self.info = hosts.classify(url.host, url.port)


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
    left, right = _arrange(first, second, said)
    if left is None:
        raise accelerate[0] if accelerate and not second else _missing(places, second)
    if right is not None:
        _check_same(left, right, _allowed(allow_mismatch, places))
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
) -> list[_Half]:
    """The usable ones; a hosted Accelerate URL is passed over, as the other half may do without."""
    halves: list[_Half] = []
    for value, source in found:
        if isinstance(value, PostgresURL):
            halves.append(_Half(value, source))
            continue
        try:
            if source.kind == "file" and "${" in value:
                # docker compose would fill it in; sh and `docker run --env-file` would not.
                raise ConfigurationError(
                    f"{source} has a ${{...}} in it, and nothing fills that in here",
                    hint="Write the whole URL out; a literal ${ in a password is %24%7B.",
                )
            url = PostgresURL.parse(value, source=str(source))
            halves.append(_Half(url, source, alone="prisma+postgres:" in value.lower()))
        except AccelerateURLError as error:
            accelerate.append(error)
        except ConfigurationError:
            if not halves:
                raise
            # A later name only matters where an earlier one turns out to hold the other half.
    return halves


def _arrange(
    pooled: list[_Half], direct: list[_Half], said: list[str]
) -> tuple[_Half | None, _Half | None]:
    """Which half is which, as far as the hosts tell."""
    left = pooled[0] if pooled else None
    right = direct[0] if direct else None
    if left and right and left.info.kind == "direct" and right.info.kind == "pooled":
        said.append(
            f"the two URLs are swapped: {left.source} is the direct one and {right.source} the "
            f"pooled one, by their hosts ({left.url.host}, {right.url.host}); they were put right, "
            f"change {left.source.name} and {right.source.name} around"
        )
        return right, left
    if left and left.info.kind == "direct":
        better = next((half for half in pooled[1:] if half.info.kind == "pooled"), None)
        if right is None:
            right = left
        better = better or _derived(left)
        if better is None:
            said.append(
                f"{left.source} is a direct URL, by its host ({left.url.host}): requests will use "
                f"up the server's connections; set {names.POOLED[0]} to the pooled URL"
            )
        else:
            said.append(
                f"{left.source} is the direct URL, by its host ({left.url.host}); requests use the "
                f"pooled one, {better.source}"
            )
            left = better
    if right and right.info.kind == "pooled":
        better = next((half for half in direct[1:] if half.info.kind == "direct"), None)
        better = better or _derived(right)
        if better is None:
            said.append(
                f"{right.source} is a pooled URL, by its host ({right.url.host}), and was passed "
                f"over; set {names.DIRECT[0]} to the direct one"
            )
        else:
            said.append(
                f"{right.source} is a pooled URL, by its host ({right.url.host}); migrations use "
                f"the direct one, {better.source}"
            )
        if left is None:
            left = right
        right = better
    if left is None and right is not None:
        left = _derived(right)
    elif right is None and left is not None:
        right = _derived(left)
    return left, right


def _derived(half: _Half) -> _Half | None:
    other = half.url if half.alone else hosts.other_half(half.url)
    if other is None:
        return None
    return _Half(other, Source("derived", half.source.name, str(half.source)))


def _missing(places: _Places, direct: list[_Half]) -> MissingURLError:
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


def _check_same(left: _Half, right: _Half, allowed: frozenset[str]) -> None:
    if hosts.same_server(left.url, right.url) is False and "database" not in allowed:
        raise _mismatch("belong to different servers", left, right, left.url.host, right.url.host)
    if left.url.dbname != right.url.dbname and "database" not in allowed:
        raise _mismatch(
            "name different databases", left, right, left.url.dbname, right.url.dbname, "database"
        )
    if hosts.role(left.url) != hosts.role(right.url) and "user" not in allowed:
        raise _mismatch("name different users", left, right, left.url.user, right.url.user, "user")


def _mismatch(
    what: str, left: _Half, right: _Half, one: str, two: str, word: str = "database"
) -> MismatchedPairError:
    return MismatchedPairError(
        f"{left.source} (pooled) and {right.source} (direct) {what}: "
        f"{one or 'none'} and {two or 'none'}",
        hint=f"Take both from the same page of the provider's console. If the difference is meant, "
        f"allow it with allow_mismatch=[{word!r}] or {names.ALLOW_MISMATCH}={word}.",
    )
