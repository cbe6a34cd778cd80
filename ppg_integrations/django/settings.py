"""``databases()``: the ``DATABASES`` setting for a pair of URLs."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ppg_integrations import names
from ppg_integrations.connect_settings import DEFAULT
from ppg_integrations.errors import (
    ConfigurationError,
    MissingURLError,
    PPGError,
    PPGWarning,
    ProviderError,
)
from ppg_integrations.pair import ConnectionPair
from ppg_integrations.places import Places, env_file_path
from ppg_integrations.resolve import look
from ppg_integrations.secret import MaskedMapping
from ppg_integrations.urls import PostgresURL

from . import entries, installed, state
from .wishes import Aliases, Options, Wishes, checked_aliases

if TYPE_CHECKING:
    from ppg_integrations.current import CurrentPair


def databases(
    env_file: str | os.PathLike[str] | bool | None = None,
    *,
    aliases: Sequence[str] = ("default", "direct"),
    pooled: str | PostgresURL | None = None,
    direct: str | PostgresURL | None = None,
    replica: str | PostgresURL | None = None,
    engine: str | None = None,
    conn_max_age: float | None = None,
    conn_health_checks: bool | None = None,
    options: Options | None = None,
    direct_options: Options | None = None,
    test: Options | None = None,
    serverless: bool | None = None,
    asgi: bool | None = None,
    allow_mismatch: Collection[str] = (),
    connect_deadline: float | None = None,
    alive_window: float | None = None,
    sslmode: str | None = None,
    prepared: bool | None = None,
    environ: Mapping[str, str] | None = None,
) -> dict[str, dict[str, Any]]:
    """``DATABASES`` for one pair of URLs: ``{"default": <pooled>, "direct": <direct>}``.

    A third alias, ``replica``, is there where a read replica is known. No command of this package
    is routed to it, and in a test run it leads where ``default`` does.

    With no URL anywhere, but the token of a provider, that provider's API is asked, or the cache of
    its answers (``PPG_RESOLVE``, ``PPG_TIMEOUT``); not under ``manage.py ppg_connect``, whose verbs
    ask by themselves. With neither, or with ``PPG_RESOLVE=never``, the settings still import, for
    commands that need no database
    (``collectstatic`` in an image build, ``ppg_connect create`` on the first day); whatever does
    use the database then fails with the names of the variables to set. Under ``manage.py
    ppg_connect`` they import with a URL or an argument that cannot be used, too: that command says
    what is wrong, and ``ppg_connect create`` can mend it.

    Args:
        env_file: a ``.env`` file to read after the environment; ``False`` for none. Where it is not
            given: ``PPG_ENV_FILE``, else ``.env`` in the working folder.
        aliases: the pooled and the direct one, and that of a replica if it shall not be called
            ``replica`` (``<pooled>_replica`` beside a pooled one that is not ``default``). Call
            again with others for a second database.
        pooled, direct, replica: the URLs, where they are neither in the environment nor in the
            file. A replica in those counts only where the pair comes from there, too.
        engine: any PostgreSQL ENGINE, of PostGIS or django-tenants say. Django's own by default.
        conn_max_age: seconds for which requests keep a connection, ``math.inf`` for ever; 60 by
            default, and 0 on serverless platforms, under ASGI, or with Django's native pool.
        conn_health_checks: of the pooled alias; on by default.
        options: merged into OPTIONS of both aliases, dictionaries in it too. ``pool`` goes to the
            pooled one only.
        direct_options: merged into OPTIONS of the direct alias last.
        test: TEST of the pooled alias. The direct one mirrors it.
        serverless: whether processes may be frozen between requests; found out by default.
        asgi: whether an ASGI server imports the settings; found out by default. Requests then have
            connections from Django's native pool, of 10 at most in each process, where psycopg 3
            and psycopg_pool are installed and `engine` is Django's; else each opens its own.
        allow_mismatch: ``"user"``, ``"database"``, or both, where the two URLs differ in them on
            purpose.
        connect_deadline: seconds for opening one connection while the server wakes, restarts or is
            full, all attempts together; ``PPG_CONNECT_DEADLINE``, else 20. 0 makes one attempt.
        alive_window: seconds after its last use for which a connection counts as alive without a
            health check; ``PPG_ALIVE_WINDOW``, else 5. 0 checks it in each request.
        sslmode: the least one of URLs that lead to another machine (``require``, ``verify-ca`` or
            ``verify-full``); ``PPG_SSLMODE``, else what their hosts demand.
        prepared: whether statements are prepared behind the pooler, which has to keep track of
            them (``ppg_connect doctor`` asks it); ``PPG_PREPARED``, else False. Needs psycopg 3.
        environ: read instead of ``os.environ``.

    Raises:
        django.core.exceptions.ImproperlyConfigured: a URL or an argument cannot be used, or the two
            URLs belong to different databases, or the provider's API gives no pair in time; its
            cause is the error of this package.
    """
    environ = _variables(environ)
    checked: Aliases | None = None
    try:
        checked = checked_aliases(aliases)
        wishes = Wishes(
            engine,
            conn_max_age,
            conn_health_checks,
            options,
            direct_options,
            test,
            serverless,
            (connect_deadline, alive_window, sslmode, prepared),
            asgi,
        )
        urls = (pooled, direct, replica)
        if pooled is None and direct is None:  # else no API is asked
            state.raise_again((env_file, checked), environ)
        return _databases(env_file, checked, urls, environ, allow_mismatch, wishes)
    except PPGError as error:
        if checked is not None and _is_ppg_connect():
            return _registered(
                checked,
                entries.unconfigured(checked, None),
                None,
                error=error,
                env_file=env_file_path(env_file, environ),
            )
        if isinstance(error, ProviderError) and pooled is None and direct is None:
            state.fail((env_file, checked), environ, error)
        from django.core.exceptions import ImproperlyConfigured

        raise ImproperlyConfigured(str(error)) from error


def _variables(environ: Mapping[str, str] | None) -> Mapping[str, str]:
    if environ is None:
        environ = os.environ
    if _is_ppg_connect():
        # Its verbs ask the API where they need it. `create` shall not first wait for a pair that it
        # is about to replace, nor fail because there is none yet.
        environ = {**environ, names.RESOLVE: "never"}
    return MaskedMapping(environ)


def _is_ppg_connect() -> bool:
    """Whether this process is ``manage.py ppg_connect``.

    Nothing but the command line tells, while the settings are being imported: Django looks for the
    command afterwards. Where this is wrong, the settings behave as for every other command.
    """
    return sys.argv[1:2] == ["ppg_connect"]


def is_test_run() -> bool:
    """Whether :func:`.testing.tests_on_direct` is going to route this process; told as above."""
    return sys.argv[1:2] in (["test"], ["testserver"]) or "pytest" in sys.modules


def _databases(
    env_file: str | os.PathLike[str] | bool | None,
    aliases: Aliases,
    urls: tuple[str | PostgresURL | None, str | PostgresURL | None, str | PostgresURL | None],
    environ: Mapping[str, str],
    allow_mismatch: Collection[str],
    wishes: Wishes,
) -> dict[str, dict[str, Any]]:
    if wishes.test.get("MIRROR") == aliases[1]:
        raise ConfigurationError(
            f"test={{'MIRROR': {aliases[1]!r}}} makes a circle: {aliases[1]!r} mirrors "
            f"{aliases[0]!r} already",
            hint="Leave MIRROR out.",
        )
    pooled, direct, replica = urls
    path = env_file_path(env_file, environ)
    is_quiet = _is_ppg_connect()  # its verbs print the warnings
    places = Places(environ, path, quiet=is_quiet)
    missing: MissingURLError | None = None
    pair: ConnectionPair | None = None
    try:
        pair = look(places, pooled, direct, replica, allow_mismatch=allow_mismatch)
    except MissingURLError as error:
        missing = error
    if pair is not None and not is_quiet:
        for text in pair.warnings:
            warnings.warn(text, PPGWarning, stacklevel=3)  # the line that called databases()
    # Of the file's variables, those of a file that had to be read for the URLs.
    wishes.settle({name: places.known(name) for name in names.CONNECT}, places.source)
    if pair is None:
        # Of a file for test runs alone: everybody else is to be told that there is no URL.
        if environ.get(names.TEST_PROVIDER) or (
            is_test_run() and places.known(names.TEST_PROVIDER)
        ):
            # The test run gives both aliases the embedded servers, which needs a real ENGINE.
            made = entries.nowhere(aliases, wishes, environ)
        else:
            made = entries.unconfigured(aliases, wishes)
        return _registered(aliases, made, wishes, error=missing, env_file=path)

    forced = names.truthy(environ.get(names.FORCE_DIRECT))

    def remake(pair: ConnectionPair) -> list[dict[str, Any]]:
        return entries.of_pair(pair, aliases, wishes, environ, forced=forced)

    def follow(known: ConnectionPair) -> CurrentPair:
        from ppg_integrations import current

        return current.follow(
            pooled,
            direct,
            replica=replica,
            env_file=env_file if path is None else path,
            environ=environ,
            allow_mismatch=allow_mismatch,
            known=known,
        )

    return _registered(
        aliases,
        remake(pair),
        wishes,
        pair=pair,
        env_file=pair.env_file,
        forced=forced,
        source=state.Source(remake, follow),
    )


def _registered(
    aliases: Aliases,
    made: list[dict[str, Any]],
    wishes: Wishes | None,
    *,
    env_file: str | None,
    pair: ConnectionPair | None = None,
    error: PPGError | None = None,
    forced: bool = False,
    source: state.Source | None = None,
) -> dict[str, dict[str, Any]]:
    installed.register()
    pooled, direct = (state.Place.of(entry) for entry in made[:2])
    state.register(
        state.Registered(
            *aliases[:2],
            pair,
            error,
            env_file,
            pooled,
            direct,
            forced,
            aliases[2] if len(made) > 2 else None,
            wishes.connect if wishes else DEFAULT,
            source,
            wishes is not None and wishes.max_age is None,
        )
    )
    return dict(zip(aliases, made, strict=False))
