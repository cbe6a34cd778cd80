"""``databases()``: the ``DATABASES`` setting for a pair of URLs."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ppg_integrations import names
from ppg_integrations.conversions import CONNECT_TIMEOUT
from ppg_integrations.errors import (
    ConfigurationError,
    MissingURLError,
    PPGError,
    PPGWarning,
    ProviderError,
)
from ppg_integrations.pair import ConnectionPair, Source
from ppg_integrations.parameters import SECRET, startup_options
from ppg_integrations.places import env_file_path
from ppg_integrations.resolve import resolve
from ppg_integrations.secret import MaskedMapping, MaskedStr
from ppg_integrations.urls import PostgresURL

from . import state
from .wishes import Aliases, Options, Wishes, checked_aliases


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
    allow_mismatch: Collection[str] = (),
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
            default, and 0 on serverless platforms or with Django's native pool.
        conn_health_checks: of the pooled alias; on by default.
        options: merged into OPTIONS of both aliases, dictionaries in it too. ``pool`` goes to the
            pooled one only.
        direct_options: merged into OPTIONS of the direct alias last.
        test: TEST of the pooled alias. The direct one mirrors it.
        serverless: whether processes may be frozen between requests; found out by default.
        allow_mismatch: ``"user"``, ``"database"``, or both, where the two URLs differ in them on
            purpose.
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
        )
        urls = (pooled, direct, replica)
        if pooled is None and direct is None:  # else no API is asked
            state.raise_again((env_file, checked), environ)
        return _databases(env_file, checked, urls, environ, allow_mismatch, wishes)
    except PPGError as error:
        if checked is not None and _is_ppg_connect():
            return _registered(
                checked,
                [_unconfigured(), _unconfigured()],
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


def _databases(
    env_file: str | os.PathLike[str] | bool | None,
    aliases: Aliases,
    urls: tuple[str | PostgresURL | None, ...],
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
    forced = False
    missing: PPGError | None = None
    pair: ConnectionPair | None = None
    try:
        with warnings.catch_warnings():
            if _is_ppg_connect():
                warnings.simplefilter("ignore", PPGWarning)  # its verbs print them
            pair = resolve(
                urls[0],
                urls[1],
                replica=urls[2],
                env_file=env_file,
                environ=environ,
                allow_mismatch=allow_mismatch,
                stacklevel=4,  # the line that called databases()
            )
    except MissingURLError as error:
        missing = error
        if environ.get(names.TEST_PROVIDER):
            # The test run gives both aliases the embedded servers, which needs a real ENGINE.
            nowhere = PostgresURL.build(host="unconfigured.invalid", database="unconfigured")
            first, second = _pooled(nowhere, wishes, environ), _direct(nowhere, wishes)
        else:
            first, second = _unconfigured(), _unconfigured()
        entries = [first, second]
    else:
        forced = names.truthy(environ.get(names.FORCE_DIRECT))
        if forced:
            first = _direct(pair.require_direct(), wishes)
        else:
            if not pair.one_endpoint:
                _refuse_session_state(pair.pooled, pair.pooled_source, aliases[0], wishes)
            first = _pooled(pair.pooled, wishes, environ)
        second = _direct(pair.direct, wishes) if pair.direct else _unconfigured()
        entries = [first, second]
        if pair.replica is not None:
            _refuse_session_state(pair.replica, pair.replica_source, aliases[2], wishes)
            entries.append(_pooled(pair.replica, wishes, environ))
    first["TEST"] = dict(wishes.test)
    # For a test run that this package does not route (see testing.py for those that it does).
    for other in entries[1:]:
        other["TEST"] = {"MIRROR": aliases[0]}
    path = pair.env_file if pair else env_file_path(env_file, environ)
    return _registered(aliases, entries, pair=pair, error=missing, env_file=path, forced=forced)


def _registered(
    aliases: Aliases,
    entries: list[dict[str, Any]],
    *,
    env_file: str | None,
    pair: ConnectionPair | None = None,
    error: PPGError | None = None,
    forced: bool = False,
) -> dict[str, dict[str, Any]]:
    pooled, direct = (state.Place.of(entry) for entry in entries[:2])
    replica = aliases[2] if len(entries) > 2 else None
    state.register(
        state.Registered(*aliases[:2], pair, error, env_file, pooled, direct, forced, replica)
    )
    return dict(zip(aliases, entries, strict=False))


def _pooled(url: PostgresURL, wishes: Wishes, environ: Mapping[str, str]) -> dict[str, Any]:
    entry = url.django(
        engine=wishes.engine,
        conn_max_age=wishes.pooled_max_age(environ),
        conn_health_checks=True if wishes.health_checks is None else wishes.health_checks,
        # A server-side cursor outside a transaction is lost with the server connection.
        disable_server_side_cursors=True,
    )
    # prepare_threshold stays out: Django sets None itself on psycopg 3, and psycopg2 refuses it.
    _set_options(entry, wishes.options)
    return entry


def _direct(url: PostgresURL, wishes: Wishes) -> dict[str, Any]:
    entry = url.django(engine=wishes.engine, conn_max_age=0, conn_health_checks=False)
    options = {name: value for name, value in wishes.options.items() if name != "pool"}
    _set_options(entry, options, wishes.direct_options)
    return entry


def _set_options(entry: dict[str, Any], *layers: Options) -> None:
    options: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT, **entry.get("OPTIONS", {})}
    for layer in layers:
        options = merged(options, layer)
    for name in SECRET & options.keys():
        options[name] = MaskedStr(options[name])
    entry["OPTIONS"] = options


def merged(base: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """``extra`` laid over ``base``, dictionaries in them too; neither is changed or shared."""
    result = {
        name: merged(value, {}) if isinstance(value, Mapping) else value
        for name, value in base.items()
    }
    for name, value in extra.items():
        if isinstance(value, Mapping):
            before = result.get(name)
            result[name] = merged(before if isinstance(before, Mapping) else {}, value)
        else:
            result[name] = value
    return result


def _unconfigured() -> dict[str, Any]:
    return {"ENGINE": state.UNCONFIGURED}


def _refuse_session_state(
    url: PostgresURL, source: Source | None, alias: str, wishes: Wishes
) -> None:
    startup = wishes.options.get("options") or url.params.get("options") or ""
    where = "options=" if wishes.options.get("options") else str(source)
    if startup_options(str(startup)):
        raise ConfigurationError(
            f"startup options on the pooled alias {alias!r} (from {where}): a transaction pooler "
            "refuses them at connect",
            hint="Give them to direct_options=, or set them for the role: "
            "ALTER ROLE ... SET statement_timeout = ...",
        )
    if wishes.options.get("assume_role"):
        raise ConfigurationError(
            f"OPTIONS['assume_role'] on the pooled alias {alias!r}: SET ROLE through a transaction "
            "pooler makes other clients run as that role, and this one as another",
            hint="Connect as the role itself, or give assume_role to direct_options= only.",
        )
