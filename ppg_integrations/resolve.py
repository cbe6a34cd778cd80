"""Finds the pair: arguments, the environment, the ``.env`` file, and then the provider's API."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Mapping
from typing import Final

from . import arrange, names
from .arrange import Half
from .errors import AccelerateURLError, ConfigurationError, PPGWarning
from .pair import ConnectionPair, Source
from .places import Places, env_file_path
from .secret import masked
from .urls import PostgresURL

_MISMATCHES: Final = ("user", "database")


def resolve(
    pooled: str | PostgresURL | None = None,
    direct: str | PostgresURL | None = None,
    *,
    replica: str | PostgresURL | None = None,
    env_file: str | os.PathLike[str] | bool | None = None,
    environ: Mapping[str, str] | None = None,
    provider: str | None = None,
    target: Mapping[str, str] | None = None,
    allow_mismatch: Collection[str] = (),
    stacklevel: int = 2,
) -> ConnectionPair:
    """The pair of URLs, each from the first place that has it.

    The places are the arguments, the environment, and the ``.env`` file; the names are those of
    ``ppg_integrations.names``. Then the hosts decide: a pair that they prove to be swapped is
    put right, and a missing half is completed where a host makes it certain.

    Where no place has any URL, and a provider is named or its token set, its API is asked, or the
    cache of its answers. That may take as long as ``PPG_TIMEOUT`` says, 30 seconds by default:
    inside an event loop use :func:`aresolve`.
    ``PPG_RESOLVE=never`` asks nobody.

    Args:
        pooled: the URL for requests.
        direct: the URL for migrations and their kind.
        replica: the pooled URL of a read replica. With `pooled` or `direct` given, the variables of
            a replica are not looked at: they would be another database's.
        env_file: path of the ``.env`` file; None for ``PPG_ENV_FILE`` or ``.env`` in the current
            folder; False for none. A file that does not exist is no error.
        environ: the environment; ``os.environ`` where None.
        provider: who runs the server, where hosts do not tell; else ``PPG_PROVIDER``.
        target: which database an API is asked for, of ``project``, ``database``, ``branch`` and
            ``role``; else ``PPG_PROJECT`` and its kind.
        allow_mismatch: what may differ between the halves, of ``"user"`` (a role of its own for
            migrations) and ``"database"``; also ``PPG_ALLOW_MISMATCH``.
        stacklevel: whose line a warning names, as in ``warnings.warn``.

    Warns:
        PPGWarning: something was put right, or looks wrong and still works.

    Raises:
        MissingURLError: no pooled URL was found or could be derived.
        MismatchedPairError: the halves belong to different databases or users, or the replica does.
        ConfigurationError: an address stands in the place of a host name that the provider needs.
        URLError: one of the URLs cannot be used.
        EnvFileError: the file exists and cannot be read.
        ProviderError: the provider's API gives no pair, or not within the deadline.
    """
    pooled, direct, replica = masked(pooled), masked(direct), masked(replica)
    places = _places(env_file, environ)
    del environ
    pair = look(places, pooled, direct, replica, provider, target, allow_mismatch)
    for text in pair.warnings:
        warnings.warn(text, PPGWarning, stacklevel=stacklevel)
    return pair


async def aresolve(
    pooled: str | PostgresURL | None = None,
    direct: str | PostgresURL | None = None,
    *,
    replica: str | PostgresURL | None = None,
    env_file: str | os.PathLike[str] | bool | None = None,
    environ: Mapping[str, str] | None = None,
    provider: str | None = None,
    target: Mapping[str, str] | None = None,
    allow_mismatch: Collection[str] = (),
    stacklevel: int = 2,
) -> ConnectionPair:
    """:func:`resolve` in a thread, so that an event loop goes on while an API is asked.

    For what runs in the loop: the lifespan of an ASGI application, a worker's start-up. Settings
    modules are imported before there is one to hold up, and stay with ``databases()``.
    """
    from asyncio import to_thread

    pooled, direct, replica = masked(pooled), masked(direct), masked(replica)
    places = _places(env_file, environ)
    del environ
    pair = await to_thread(look, places, pooled, direct, replica, provider, target, allow_mismatch)
    for text in pair.warnings:  # here, where stacklevel counts the frames of who awaits
        warnings.warn(text, PPGWarning, stacklevel=stacklevel)
    return pair


def _places(
    env_file: str | os.PathLike[str] | bool | None, environ: Mapping[str, str] | None
) -> Places:
    # A function of its own: no frame that an error passes through shall have the environment,
    # tokens and all, in a variable. Error reporters print those.
    if environ is None:
        environ = os.environ
    return Places(environ, env_file_path(env_file, environ))


def look(
    places: Places,
    pooled: str | PostgresURL | None = None,
    direct: str | PostgresURL | None = None,
    replica: str | PostgresURL | None = None,
    provider: str | None = None,
    target: Mapping[str, str] | None = None,
    allow_mismatch: Collection[str] = (),
) -> ConnectionPair:
    """:func:`resolve` without its warnings, which stand in the pair.

    Args:
        places: where the variables are looked up.
        pooled, direct, replica, provider, target, allow_mismatch: as there.

    Raises:
        PPGError: as there.
    """
    said: list[str] = []
    store: str | None = None
    accelerate: list[AccelerateURLError] = []
    first = _parse(_candidates(pooled, "pooled", names.POOLED, places), accelerate)
    second = _parse(_candidates(direct, "direct", names.DIRECT, places), accelerate)
    if first or second or accelerate:
        third = _replica(replica, places, alone=pooled is None and direct is None)
    else:
        from . import fallback

        asked = fallback.ask(places, provider, target)
        provider, store = asked.provider, asked.store
        said += asked.warnings
        first = _halves(asked.pooled, asked.pooled_source)
        second = _halves(asked.direct, asked.direct_source)
        third = _halves(asked.replica, asked.replica_source)
    said += [f"{error.message}; it was passed over" for error in accelerate]
    left, right = arrange.arrange(first, second, said)
    if left is None:
        if accelerate and not second:
            raise accelerate[0]
        from . import fallback

        raise fallback.missing(places, second)
    reads = arrange.arrange_replica(third, said) if third else None
    provider = provider or places.known(names.PROVIDER) or left.info.provider
    arrange.check_names([half for half in (left, right, reads) if half], provider or "")
    if right is not None:
        arrange.check_same(left, right, _allowed(allow_mismatch, places))
    if reads is not None:
        arrange.check_replica(reads, left, right, _allowed(allow_mismatch, places))
    for half in (left, right, reads):
        if half is not None and half.source.kind != "derived":
            said += [f"{half.source}: {text}" for text in half.url.warnings]
            if half.source.kind == "file":
                store = places.path
    return ConnectionPair(
        left.url,
        right.url if right else None,
        left.source,
        right.source if right else None,
        provider,
        tuple(dict.fromkeys(said)),
        places.path,
        reads.url if reads else None,
        reads.source if reads else None,
        store,
    )


def _candidates(
    argument: str | PostgresURL | None, name: str, wanted: tuple[str, ...], places: Places
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


def _replica(argument: str | PostgresURL | None, places: Places, *, alone: bool) -> list[Half]:
    found: list[tuple[str | PostgresURL, Source]] = []
    if argument is not None:
        found = [(argument, Source("argument", "replica"))]
    elif alone:
        # Of a file only where the pair has had to be looked for in it: nothing is read for this.
        found = [*places.candidates(names.REPLICA, read=False)]
    return _parse(found, [])


def _halves(url: PostgresURL | None, source: Source | None) -> list[Half]:
    return [] if url is None or source is None else [Half(url, source)]


def _allowed(allow: Collection[str], places: Places) -> frozenset[str]:
    if isinstance(allow, str):
        allow = (allow,)
    words = {word.strip() for word in places.known(names.ALLOW_MISMATCH).split(",")}
    allowed = frozenset({*allow, *words} - {""})
    unknown = sorted(allowed.difference(_MISMATCHES))
    if unknown:
        raise ConfigurationError(
            f"{', '.join(unknown)}: not something that a pair can differ in",
            hint=f"allow_mismatch and {names.ALLOW_MISMATCH} take {' and '.join(_MISMATCHES)}.",
        )
    return allowed
