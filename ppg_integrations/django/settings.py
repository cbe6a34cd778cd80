"""``databases()``: the ``DATABASES`` setting for a pair of URLs."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from ppg_integrations import names
from ppg_integrations.errors import ConfigurationError, MissingURLError, PPGError, PPGWarning
from ppg_integrations.pair import ConnectionPair
from ppg_integrations.parameters import SECRET
from ppg_integrations.resolve import env_file_path, resolve
from ppg_integrations.secret import MaskedStr
from ppg_integrations.urls import PostgresURL

from . import state
from .wishes import Options, Wishes

#: In seconds. Databases that scale to zero need up to ten to wake.
CONNECT_TIMEOUT: Final = 10


def databases(
    env_file: str | os.PathLike[str] | bool | None = None,
    *,
    aliases: Sequence[str] = ("default", "direct"),
    pooled: str | PostgresURL | None = None,
    direct: str | PostgresURL | None = None,
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

    With no URL anywhere the settings still import, for commands that need no database
    (``collectstatic`` in an image build, ``ppg_connect create`` on the first day); whatever does
    use the database then fails with the names of the variables to set. Under ``manage.py
    ppg_connect`` they import with a URL or an argument that cannot be used, too: that command says
    what is wrong, and ``ppg_connect create`` can mend it.

    Args:
        env_file: a ``.env`` file to read after the environment; ``False`` for none. Where it is not
            given: ``PPG_ENV_FILE``, else ``.env`` in the working folder.
        aliases: the pooled and the direct one. Call again with others for a second database.
        pooled, direct: the URLs, where they are neither in the environment nor in the file.
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
            URLs belong to different databases; its cause is the error of this package.
    """
    environ = os.environ if environ is None else environ
    names_of_both: tuple[str, str] | None = None
    try:
        names_of_both = _checked_aliases(aliases)
        wishes = Wishes(
            engine,
            conn_max_age,
            conn_health_checks,
            options,
            direct_options,
            test,
            serverless,
        )
        return _databases(env_file, names_of_both, pooled, direct, environ, allow_mismatch, wishes)
    except PPGError as error:
        if names_of_both is not None and _is_ppg_connect():
            return _registered(
                names_of_both,
                (_unconfigured(), _unconfigured()),
                error=error,
                env_file=env_file_path(env_file, environ),
            )
        from django.core.exceptions import ImproperlyConfigured

        raise ImproperlyConfigured(str(error)) from error


def _is_ppg_connect() -> bool:
    """Whether this process is ``manage.py ppg_connect``.

    Nothing but the command line tells, while the settings are being imported: Django looks for the
    command afterwards. Where this is wrong, the settings behave as for every other command.
    """
    return sys.argv[1:2] == ["ppg_connect"]


def _databases(
    env_file: str | os.PathLike[str] | bool | None,
    aliases: tuple[str, str],
    pooled: str | PostgresURL | None,
    direct: str | PostgresURL | None,
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
                pooled,
                direct,
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
    else:
        forced = names.truthy(environ.get(names.FORCE_DIRECT))
        if forced:
            first = _direct(pair.require_direct(), wishes)
        else:
            _refuse_session_state(pair, aliases[0], wishes)
            first = _pooled(pair.pooled, wishes, environ)
        second = _direct(pair.direct, wishes) if pair.direct else _unconfigured()
    first["TEST"] = dict(wishes.test)
    # For a test run that this package does not route (see routing.py for those that it does).
    second["TEST"] = {"MIRROR": aliases[0]}
    path = pair.env_file if pair else env_file_path(env_file, environ)
    return _registered(
        aliases, (first, second), pair=pair, error=missing, env_file=path, forced=forced
    )


def _registered(
    aliases: tuple[str, str],
    entries: tuple[dict[str, Any], dict[str, Any]],
    *,
    env_file: str | None,
    pair: ConnectionPair | None = None,
    error: PPGError | None = None,
    forced: bool = False,
) -> dict[str, dict[str, Any]]:
    pooled, direct = (state.Place.of(entry) for entry in entries)
    state.register(state.Registered(*aliases, pair, error, env_file, pooled, direct, forced))
    return dict(zip(aliases, entries, strict=True))


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


def _refuse_session_state(pair: ConnectionPair, alias: str, wishes: Wishes) -> None:
    if pair.one_endpoint:
        return
    startup = wishes.options.get("options") or pair.pooled.params.get("options") or ""
    where = "options=" if wishes.options.get("options") else str(pair.pooled_source)
    if not neon_routing(str(startup)):
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


def neon_routing(startup: str) -> bool:
    """Whether startup options hold nothing but what Neon's proxy takes out before it connects.

    https://neon.com/docs/connect/connection-errors#the-endpoint-id-is-not-specified
    """
    return all(word.startswith(("endpoint=", "project=", "neon_")) for word in startup.split())


def _checked_aliases(aliases: Sequence[str]) -> tuple[str, str]:
    # A plain string is a sequence too: of its letters.
    if isinstance(aliases, str) or len({*aliases}) != 2 or len(aliases) != 2 or not all(aliases):
        raise ConfigurationError(
            f"aliases={aliases!r}: two different names are needed, the pooled one first",
            hint='Such as aliases=("default", "direct").',
        )
    return aliases[0], aliases[1]
