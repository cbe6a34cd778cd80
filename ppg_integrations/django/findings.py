"""The words of the system checks: one table of ids, texts and hints."""

from __future__ import annotations

from typing import Final, NamedTuple


class _Row(NamedTuple):
    text: str
    hint: str


#: The letter of the id is its level: Error, Warning, Info.
TABLE: Final = {
    "ppg.E001": _Row("{text}", "{hint}"),
    "ppg.E002": _Row(
        "the pooled alias {alias!r} has startup options, which a transaction pooler refuses at"
        " connect",
        "Move OPTIONS['options'] to the direct alias (direct_options=), or set them for the role:"
        " ALTER ROLE ... SET ...",
    ),
    "ppg.E003": _Row(
        "the pooled alias {alias!r} has OPTIONS['assume_role']: SET ROLE through a transaction"
        " pooler makes other clients run as that role, and this one as another",
        "Connect as the role itself, or assume it on the direct alias only.",
    ),
    "ppg.E004": _Row(
        "TEST['MIRROR'] of {alias!r} is {mirror!r}, which is the direct alias of the same database:"
        " Django's test runner stops with a circular dependency",
        "Take MIRROR out; the direct alias mirrors the pooled one.",
    ),
    "ppg.W001": _Row(
        "server-side cursors are on for the pooled alias {alias!r}: .iterator() outside a"
        " transaction loses its cursor",
        "Set DISABLE_SERVER_SIDE_CURSORS to True there. Large exports: .using() of the direct"
        " alias, or direct_session().",
    ),
    "ppg.W002": _Row(
        "the command {command!r} of {app} comes first, so it runs through the pooler",
        'Put "ppg_integrations.django" before {app!r} in INSTALLED_APPS.',
    ),
    "ppg.W003": _Row(
        "the direct alias {alias!r} goes to {host}, which is a pooled endpoint by its name",
        "Set {variable} to the direct URL.",
    ),
    "ppg.W004": _Row(
        "the pooled alias {alias!r} goes to {host}, which is a direct endpoint by its name: each"
        " idle client holds one of the server's connections",
        "Set {variable} to the pooled URL.",
    ),
    "ppg.W005": _Row(
        "the pooled alias {alias!r} has Django's native pool in front of the provider's pooler",
        "Under WSGI take OPTIONS['pool'] out, and let CONN_MAX_AGE keep connections: that is"
        " faster, and threads pass them on where there are too few. Under ASGI databases() finds"
        " out by itself that a pool is needed.",
    ),
    "ppg.W006": _Row(
        "ASGI_APPLICATION is set and CONN_MAX_AGE of {alias!r} is {age}: under ASGI nothing closes"
        " persistent connections, see Django's notes on persistent connections",
        "Leave conn_max_age out: under an ASGI server databases() then uses Django's native pool."
        " Under `runserver` of daphne, and with other threads than those of requests, say it:"
        " databases(asgi=True).",
    ),
    "ppg.W007": _Row(
        "CONN_HEALTH_CHECKS of {alias!r} is off while CONN_MAX_AGE is {age}: the first request"
        " after the provider closed an idle connection fails",
        "Leave conn_health_checks on: that is one look at the socket, and a round trip only where"
        " the connection was idle for longer than alive_window. Or set conn_max_age=0.",
    ),
    "ppg.W008": _Row(
        "OPTIONS['prepare_threshold'] of the pooled alias {alias!r} is {value}, with"
        " server_side_binding: a prepared statement is known to one server connection only, unless"
        " the pooler keeps track of it",
        "Take it out; Django's default, None, prepares nothing. Where `manage.py ppg_connect"
        " doctor` says that the pooler keeps prepared statements: databases(prepared=True).",
    ),
    "ppg.W009": _Row(
        "{app} needs a session of its own, and requests run through a transaction pooler: {why}",
        "{hint}",
    ),
    "ppg.W010": _Row("{text}", "{hint}"),
    "ppg.W011": _Row(
        "PPG_DIRECT_COMMANDS names {command!r}, and no installed app has that command",
        "Correct the name, or install the app.",
    ),
    "ppg.W012": _Row(
        "{alias!r} goes to {host} and not where databases() pointed it: direct commands leave it"
        " alone and run there",
        "Give databases() the URL (pooled=, direct=) instead of changing what it returns.",
    ),
    "ppg.W013": _Row("{text}", "{hint}"),
    "ppg.W014": _Row(
        "databases() is used, and ppg_integrations.django is no installed app: migrations run"
        " through the pooler, and no rotation is followed",
        'Put "ppg_integrations.django" first in INSTALLED_APPS.',
    ),
    "ppg.W015": _Row(
        "connections of {alias!r} are not prepared: a rotation needs a restart, and nothing waits"
        " for a database that wakes",
        "Another app replaces django.db.connections.create_connection, or keeps connections of its"
        " own: move it up in INSTALLED_APPS, before ppg_integrations.django.",
    ),
    "ppg.W016": _Row(
        "{other!r} ({other_source}) is the database of {alias!r} ({source}) once more: {database},"
        " for the user {user}, of {host}",
        "Variables of the environment win over an env_file: call databases(environ={{}}, ...) where"
        " the file of {other!r} is to count, or give it pooled= and direct=. Where one database is"
        ' meant: SILENCED_SYSTEM_CHECKS = ["ppg.W016"].',
    ),
    "ppg.I001": _Row("{text}", "{hint}"),
    "ppg.I002": _Row(
        "{alias!r} and {direct!r} are one endpoint, {host}: there is no pooler in between",
        "If the provider has one, set {variable} to its URL.",
    ),
}

#: App, what it does with a session, and what to do instead.
SESSION_APPS: Final = {
    "django_tenants": (
        "it sets search_path for the session, so one tenant may read another's rows",
        (
            "Leave TENANT_LIMIT_SET_CALLS off and turn ATOMIC_REQUESTS on, which covers the view"
            " alone: middleware and the saving of sessions run outside it, so keep"
            " django.contrib.sessions in SHARED_APPS only. To cover all of a request, give it a"
            " session pooler or the direct URL."
        ),
    ),
    "pgpubsub": ("it waits for LISTEN", 'Add "listen" to PPG_DIRECT_COMMANDS.'),
    "channels_postgres": ("it waits for LISTEN", "Give CHANNEL_LAYERS the direct alias's values."),
    "procrastinate.contrib.django": (
        "its worker waits for LISTEN and holds session locks",
        (
            'Set PROCRASTINATE_DATABASE_ALIAS = "direct" for the worker. A task that is a long job'
            " takes direct_session()."
        ),
    ),
    "pglock": (
        "session advisory locks do not exclude anybody there",
        "Take locks with advisory_lock() of ppg_integrations.django, or transaction-level ones.",
    ),
}

#: Numbers of the probe's findings (ids in ppg_integrations.problems). The letter before it is the
#: severity of the case at hand.
PROBLEMS: Final = {
    "unreachable": 101,
    "swapped": 102,
    "direct-is-pooler": 103,
    "direct-is-session-pooler": 104,
    "statement-pooler": 105,
    "pooled-is-direct": 106,
    "pooled-is-session-pooler": 107,
    "pooled-is-proxy": 108,
    "same-endpoint": 109,
    "no-direct-url": 110,
    "different-servers": 111,
    "databases-differ": 112,
    "users-differ": 113,
    "versions-differ": 114,
    "in-recovery": 115,
    "slots-low": 116,
    "tls-off": 117,
    "tls-optional": 118,
    "tls-unverified": 119,
    "tls-not-enforced": 120,
    "startup-parameters": 121,
    "short-connect-timeout": 122,
    "usage": 123,
    "usage-blocked": 124,
    "usage-unknown": 125,
    "replica-unreachable": 126,
    "woke-up": 127,
    "prepared-lost": 128,
}
