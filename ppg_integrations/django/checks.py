"""System checks: what the settings alone show to be wrong, and on demand what the servers show.

Each id is stable and may be silenced. The settings checks run with every ``manage.py check``; they
connect to nothing. ``manage.py check --database default --database direct`` (both aliases of a
pair) also probes the two endpoints. ``migrate`` names its own alias only, so it neither waits for
the probe nor is stopped by it: it has the pooler asked about prepared statements, where there are.

Hazards known to break behind a transaction pooler that settings do not show (temporary tables,
``LISTEN``, session locks in a project's own SQL) are no checks: docs and the probe name them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage
from django.db import connections

from ppg_integrations import hosts, names, preparing
from ppg_integrations.failures import address
from ppg_integrations.hostport import DEFAULT_PORT
from ppg_integrations.parameters import startup_options
from ppg_integrations.problems import Problem, Severity

from . import routing, state, swapping, wrapping
from .findings import PROBLEMS, SESSION_APPS, TABLE
from .settings import is_test_run
from .wishes import MAX_AGE, is_asgi

if TYPE_CHECKING:
    from ppg_integrations.doctor import Diagnosis

_SEVERITIES: Final[dict[str, Severity]] = {"E": "error", "W": "warning", "I": "info"}
#: Seconds for a pooler that `migrate` asks something.
_PATIENCE: Final = 10.0
_LEVELS: Final = {"E": checks.Error, "W": checks.Warning, "I": checks.Info}


def check_settings(
    databases: Iterable[str] | None = None, *, diagnosis: Diagnosis | None = None, **_: Any
) -> list[CheckMessage]:
    """Everything that shows without a connection.

    A missing URL is only a warning here: ``makemigrations`` and tests without a database need none.
    :func:`check_servers` makes it an error.

    Args:
        databases: aliases that are to be looked at more closely.
        diagnosis: what the servers of one of the pairs have said.
    """
    found = [*_commands(), *_session_apps(), *_shared()]
    asked = {*(databases or ())}
    if asked == {*connections}:
        asked = set()  # as Django from 6.1 on says it where none was named
    for entry in state.registered():
        pooled: list[CheckMessage] = []
        if routing.still_ours(entry) and entry.pair is not None:
            pooled += _pooled(entry, diagnosis)
        found += _pair(entry, asked, {str(message.id) for message in pooled})
        found += pooled
    return found


#: What ``doctor`` finds by itself.
_OF_THE_PAIR: Final = ("ppg.E001", "ppg.W010", "ppg.W013", "ppg.I001", "ppg.I002")


def hazards(diagnosis: Diagnosis) -> Iterator[Problem]:
    """The settings checks for ``doctor``, but for what it finds by itself in the pair of URLs."""
    for entry in state.registered():
        yield from _unkept(entry, diagnosis)
    for message in check_settings(diagnosis=diagnosis):
        if message.id not in _OF_THE_PAIR:
            severity = _SEVERITIES[str(message.id).removeprefix("ppg.")[0]]
            yield Problem(str(message.id), severity, message.msg, message.hint or "")


def check_servers(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """A missing URL of an alias that is asked about; the probe of a pair of which both are.

    Of the pooled alias alone: whether its pooler keeps what is prepared, where drivers prepare.

    ``migrate``, the test runner and ``check --database`` ask. Outside any of them Django calls this
    with no alias, or from 6.1 on not at all.
    """
    found: list[CheckMessage] = []
    asked = {*(databases or ())}
    for entry in state.registered():
        aliases = {entry.pooled_alias, entry.direct_alias}
        if asked & aliases:
            found += _missing(entry, "ppg.E001")
        if (
            aliases <= asked
            and entry.pair is not None
            and not swapping.is_swapped(entry.pooled_alias)
        ):
            from ppg_integrations.doctor import diagnose  # a probe and more, for this alone

            diagnosis = diagnose(entry.pair)
            diagnosis = diagnosis.with_problems(_unkept(entry, diagnosis))
            found += [_probed(*problem) for problem in diagnosis.problems]
        elif entry.pooled_alias in asked and not is_test_run():
            found += [_probed(*problem) for problem in _forgotten(entry)]
    return found


def _forgotten(entry: state.Registered) -> Iterator[Problem]:
    """Asks a pooler that is there about prepared statements, if nobody says that it keeps them."""
    pair = entry.pair
    if pair is None or _prepares(entry) is None or preparing.is_documented(pair):
        return
    from ppg_integrations.doctor import Diagnosis
    from ppg_integrations.probe import probe

    seen = probe(pair.pooled, timeout=_PATIENCE, source=str(pair.pooled_source))
    for found in _unkept(entry, Diagnosis(pair, seen, None, ())):
        if swapping.is_swapped(entry.pooled_alias):  # a migration, which needs no pooler
            found = found._replace(severity="warning")  # noqa: PLW2901
        yield found


def _probed(identity: str, severity: str, message: str, hint: str) -> CheckMessage:
    letter = severity[0].upper()
    return _LEVELS[letter](
        message, hint=hint or None, id=f"ppg.{letter}{PROBLEMS.get(identity, 100)}"
    )


def _message(identity: str, **fields: Any) -> CheckMessage:
    row = TABLE[identity]
    level = _LEVELS[identity.removeprefix("ppg.")[0]]
    return level(row.text.format(**fields), hint=row.hint.format(**fields), id=identity)


def _commands() -> Iterator[CheckMessage]:
    from django.core.management import get_commands

    from . import commands

    known = get_commands()
    for command, app in known.items():
        if command not in commands.DIRECT_COMMANDS or app == commands.APP:
            continue
        # An app before us may chain to the next one as we do: then its class is built on ours.
        if not issubclass(commands.command_class(app, command), commands.DirectCommand):
            yield _message("ppg.W002", command=command, app=app)
    for name in commands.named_commands():
        if name not in known:
            yield _message("ppg.W011", command=name)


def _session_apps() -> Iterator[CheckMessage]:
    pooled = any(
        entry.pair and not entry.pair.one_endpoint and not entry.forced
        for entry in state.registered()
    )
    for app, (why, hint) in SESSION_APPS.items():
        if pooled and apps.is_installed(app):
            yield _message("ppg.W009", app=app, why=why, hint=hint)


def _shared() -> Iterator[CheckMessage]:
    """Calls of ``databases()`` that were meant for two databases, and have found one."""
    seen: dict[tuple[object, ...], state.Registered] = {}
    for entry in state.registered():
        if entry.pair is None or not routing.still_ours(entry):
            continue
        pooled = entry.pair.pooled
        servers = tuple((each.host, each.port or DEFAULT_PORT) for each in pooled.hosts)
        first = seen.setdefault((servers, pooled.dbname, pooled.user), entry)
        if first is not entry and first.pair is not None:
            yield _message(
                "ppg.W016",
                alias=first.pooled_alias,
                source=first.pair.pooled_source,
                other=entry.pooled_alias,
                other_source=entry.pair.pooled_source,
                database=pooled.dbname,
                user=pooled.user,
                host=address(pooled),
            )


def _pair(entry: state.Registered, asked: set[str], said: set[str]) -> Iterator[CheckMessage]:
    alias = entry.pooled_alias
    values = swapping.at_rest(alias)
    if not asked & {alias, entry.direct_alias}:
        yield from _missing(entry, "ppg.W013")
    if values.get("TEST", {}).get("MIRROR") == entry.direct_alias:
        yield _message("ppg.E004", alias=alias, mirror=entry.direct_alias)
    if entry.direct_alias in connections.settings and not routing.still_ours(entry):
        yield _message("ppg.W012", alias=alias, host=values.get("HOST") or "another database")
    pair = entry.pair
    if pair is None:
        return
    for text in pair.warnings:
        if "ppg.W004" in said and text.startswith(f"{pair.pooled_source} is a direct URL"):
            continue  # the same in other words
        yield _message("ppg.W010", text=text, hint="`manage.py ppg_connect show` prints the pair.")
    missing = entry.problem(entry.direct_alias)
    if missing is not None:
        yield _message("ppg.I001", text=missing.message, hint=missing.hint)
    # Not on this machine: a developer's own PostgreSQL needs no pooler, nor a line at each command.
    if pair.one_endpoint and hosts.classify(pair.pooled.host).provider != "local":
        yield _message(
            "ppg.I002",
            alias=alias,
            direct=entry.direct_alias,
            host=pair.pooled.host,
            variable=names.POOLED[0],
        )


def _missing(entry: state.Registered, identity: str) -> Iterator[CheckMessage]:
    unconfigured = swapping.at_rest(entry.pooled_alias).get("ENGINE") == state.UNCONFIGURED
    if unconfigured and entry.error is not None:
        yield _message(identity, text=entry.error.message, hint=entry.error.hint)


def _prepares(entry: state.Registered) -> Any:
    """After how many times the pooled alias prepares a statement; None: never.

    Without server-side binding it never does, whatever ``prepare_threshold`` says: psycopg's
    client-side cursors prepare nothing.
    """
    if entry.forced or entry.pair is None or entry.pair.one_endpoint:
        return None  # a session of its own
    options = swapping.at_rest(entry.pooled_alias).get("OPTIONS", {})
    binds = options.get("server_side_binding") is True
    return options.get("prepare_threshold") if binds else None


def _unkept(entry: state.Registered, diagnosis: Diagnosis) -> tuple[Problem, ...]:
    """Statements that are prepared, for a pooler that was seen to forget them."""
    if entry.pair != diagnosis.pair or not routing.still_ours(entry):
        return ()
    wanted = _prepares(entry) is not None
    return preparing.lost(diagnosis.pair, diagnosis.pooled, wanted=wanted)


def _pooled(entry: state.Registered, diagnosis: Diagnosis | None) -> Iterator[CheckMessage]:
    """Hazards of the pooled alias, and the two hosts against what their names say."""
    alias = entry.pooled_alias
    values = swapping.at_rest(alias)
    age = values["CONN_MAX_AGE"]
    asgi = is_asgi() or bool(getattr(settings, "ASGI_APPLICATION", None))
    # Our own default is another one where an ASGI server imports the settings; here none does.
    if age != 0 and asgi and (is_asgi() or not (entry.usual_age and age == MAX_AGE)):
        yield _message("ppg.W006", alias=alias, age=age)
    if age != 0 and not values["CONN_HEALTH_CHECKS"]:
        yield _message("ppg.W007", alias=alias, age=age)
    yield from _hosts(entry)
    yield from _unprepared(entry)
    if entry.forced or (entry.pair and entry.pair.one_endpoint):
        return
    options = values["OPTIONS"]
    if startup_options(str(options.get("options") or "")):
        yield _message("ppg.E002", alias=alias)
    if options.get("assume_role"):
        yield _message("ppg.E003", alias=alias)
    if not values.get("DISABLE_SERVER_SIDE_CURSORS"):
        yield _message("ppg.W001", alias=alias)
    if options.get("pool") and not asgi:
        yield _message("ppg.W005", alias=alias)
    asked = diagnosis is not None and diagnosis.pair == entry.pair
    kept = diagnosis.pooled.prepared if asked and diagnosis else None
    # Whoever says databases(prepared=True) says that the pooler can.
    said = entry.connect_settings.prepared or (entry.pair and preparing.is_documented(entry.pair))
    if _prepares(entry) is not None and kept is None and not said:
        yield _message("ppg.W008", alias=alias, value=_prepares(entry))


def _unprepared(entry: state.Registered) -> Iterator[CheckMessage]:
    if wrapping.is_installed():
        return  # and no driver has to be loaded to see it
    for alias in entry.aliases:
        wrapper = connections[alias] if alias in connections.settings else None
        if (
            wrapper is not None
            and wrapper.vendor == "postgresql"
            and not wrapping.is_prepared(wrapper)
        ):
            yield _message("ppg.W015", alias=alias)


def _hosts(entry: state.Registered) -> Iterable[CheckMessage]:
    """The aliases as they are now; ``databases()`` itself would have put a swap right."""
    for identity, alias, wrong, variable in (
        ("ppg.W003", entry.direct_alias, "pooled", names.DIRECT[0]),
        ("ppg.W004", entry.pooled_alias, "direct", names.POOLED[0]),
    ):
        values = swapping.at_rest(alias)
        host, port = str(values.get("HOST", "")), str(values.get("PORT") or 5432)
        forced = entry.forced and alias == entry.pooled_alias
        if port.isdigit() and hosts.classify(host, int(port)).kind == wrong and not forced:
            yield _message(identity, alias=alias, host=host, variable=variable)
