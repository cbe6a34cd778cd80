"""The entries of ``DATABASES`` that a pair of URLs makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ppg_integrations import conversions
from ppg_integrations.encryption import secured
from ppg_integrations.errors import ConfigurationError
from ppg_integrations.parameters import SECRET, startup_options
from ppg_integrations.secret import MaskedStr
from ppg_integrations.urls import PostgresURL

from . import state

if TYPE_CHECKING:
    from ppg_integrations.pair import ConnectionPair, Source

    from .wishes import Aliases, Options, Wishes

Entry = dict[str, Any]

#: What of an entry another pair of the same database changes.
_PLACE: Final = ("HOST", "PORT", "USER", "PASSWORD", "NAME", "OPTIONS")
_ABSENT: Final = object()


def of_pair(
    pair: ConnectionPair,
    aliases: Aliases,
    wishes: Wishes,
    environ: Mapping[str, str],
    *,
    forced: bool,
) -> list[Entry]:
    """For a pair, in the order of the aliases.

    Args:
        forced: the pooled alias gets the direct parameters.

    Raises:
        ConfigurationError: the pair cannot be used with these wishes.
        MissingDirectURLError: it is forced, and has no direct URL.
    """
    if forced:
        first = _direct(pair.require_direct(), wishes)
    else:
        if not pair.one_endpoint:
            _refuse_session_state(pair.pooled, pair.pooled_source, aliases[0], wishes)
        first = _pooled(pair.pooled, wishes, environ)
    made = [first, _direct(pair.direct, wishes) if pair.direct else _unconfigured()]
    if pair.replica is not None:
        _refuse_session_state(pair.replica, pair.replica_source, aliases[2], wishes)
        made.append(_pooled(pair.replica, wishes, environ))
    return _tested(made, aliases, wishes)


def nowhere(aliases: Aliases, wishes: Wishes, environ: Mapping[str, str]) -> list[Entry]:
    """For no pair, with a real ENGINE: a test run will say where the two aliases lead."""
    url = PostgresURL.build(host="unconfigured.invalid", database="unconfigured")
    return _tested([_pooled(url, wishes, environ), _direct(url, wishes)], aliases, wishes)


def unconfigured(aliases: Aliases, wishes: Wishes | None) -> list[Entry]:
    """For no pair."""
    return _tested([_unconfigured(), _unconfigured()], aliases, wishes)


def _tested(made: list[Entry], aliases: Aliases, wishes: Wishes | None) -> list[Entry]:
    made[0]["TEST"] = dict(wishes.test) if wishes else {}
    # For a test run that this package does not route (see testing.py for those that it does).
    for other in made[1:]:
        other["TEST"] = {"MIRROR": aliases[0]}
    return made


def _pooled(url: PostgresURL, wishes: Wishes, environ: Mapping[str, str]) -> Entry:
    entry = _secured(url, wishes).django(
        engine=wishes.engine,
        conn_max_age=wishes.pooled_max_age(environ),
        conn_health_checks=True if wishes.health_checks is None else wishes.health_checks,
        # A server-side cursor outside a transaction is lost with the server connection.
        disable_server_side_cursors=True,
    )
    # prepare_threshold stays out: Django sets None itself on psycopg 3, and psycopg2 refuses it.
    pool = wishes.pool(environ)
    _set_options(entry, pool, _prepared(wishes), wishes.options, direct=False)
    return entry


def _direct(url: PostgresURL, wishes: Wishes) -> Entry:
    entry = _secured(url, wishes).django(
        engine=wishes.engine, conn_max_age=0, conn_health_checks=False
    )
    options = {name: value for name, value in wishes.options.items() if name != "pool"}
    _set_options(entry, options, wishes.direct_options, direct=True)
    return entry


def _prepared(wishes: Wishes) -> Options:
    if not wishes.connect.prepared:
        return {}
    from ppg_integrations import preparing

    return preparing.django_options()


def _secured(url: PostgresURL, wishes: Wishes) -> PostgresURL:
    return secured(url, wishes.connect.sslmode)


def _set_options(entry: Entry, *layers: Options, direct: bool) -> None:
    waits = conversions.patience(direct=direct)
    options: dict[str, Any] = {**waits, **entry.get("OPTIONS", {})}
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


def changes(
    live: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, Any]:
    """What makes an entry that is in use one of another pair.

    A value that is not the one we had set stays: a test runner's NAME, a project's own option.

    Args:
        live: the entry in use.
        before, after: as :func:`of_pair` makes it for the pair until now and for the other one.
    """
    if after["ENGINE"] == state.UNCONFIGURED:
        return {}  # what is known of the old pair serves better than nothing
    if before["ENGINE"] == state.UNCONFIGURED:
        is_ours = live.get("ENGINE") == state.UNCONFIGURED
        return {key: after[key] for key in after.keys() - {"TEST"}} if is_ours else {}
    found = {
        key: after[key] for key in _PLACE if key in live and live[key] == before[key] != after[key]
    }
    if "OPTIONS" in live and before["OPTIONS"] != after["OPTIONS"]:
        found["OPTIONS"] = _changed(live["OPTIONS"], before["OPTIONS"], after["OPTIONS"])
    return found


def _changed(
    live: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, Any]:
    # A new dictionary: another thread may be reading the old one.
    result = dict(live)
    for name in before.keys() | after.keys():
        if live.get(name, _ABSENT) == before.get(name, _ABSENT):
            if name in after:
                result[name] = after[name]
            else:
                result.pop(name, None)
    return result


def _unconfigured() -> Entry:
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
