"""The pair of URLs of a role on a branch, as Neon's API gives them, cross-checked."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from ... import hosts
from ...errors import ConfigurationError, ProviderError
from ...names import CONNECTION, DIRECT, POOLED
from ...urls import PostgresURL
from ..base import Generated
from ..printable import printable, word
from .rules import CONSOLE, NAME, TITLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...pair import ConnectionPair
    from ...secret import Secret
    from ..api import API
    from ..settings import Settings
    from .branches import Branch, Compute
    from .projects import Project

#: The status of a password that Neon does not keep.
NOT_STORED: Final = 412
_BY_HAND: Final = f"Set {POOLED[0]} and {DIRECT[0]} by hand, to the two URLs from {CONSOLE}."


class Login(NamedTuple):
    """Who connects, and to what.

    Attributes:
        password: where it is known from another answer; the URLs then have this one.
        remember: the variables that lead to the same database again.
    """

    project: Project
    branch: Branch
    compute: Compute
    database: str
    role: str
    password: Secret | None = None
    remember: Mapping[str, str] = MappingProxyType({})


def label(role: str, branch: Branch) -> str:
    """What people call a connection."""
    return f"{printable(role)} on {branch.title}"


def generated(
    login: Login,
    pooled: PostgresURL,
    direct: PostgresURL,
    *,
    replica: PostgresURL | None = None,
    notes: tuple[str, ...] = (),
) -> Generated:
    """The login's connection."""
    connection = f"{login.branch.id}/{login.role}"
    name = label(login.role, login.branch)
    return Generated(connection, name, pooled, direct, notes, replica, login.remember)


def read(api: API, login: Login, settings: Settings) -> tuple[PostgresURL, PostgresURL]:
    """The pooled and the direct URL.

    Args:
        settings: for the next step, where there are none.

    Raises:
        ProviderError: Neon does not show the password, or its two answers do not fit together.
    """
    if login.project.stores_passwords:
        try:
            pooled, direct = _asked(api, login, pooled=True), _asked(api, login, pooled=False)
        except ProviderError as error:
            if error.status != NOT_STORED:
                raise
        else:
            _check(login, pooled, direct)
            password = login.password
            if password is not None:
                return pooled.replace(password=password), direct.replace(password=password)
            if pooled.password is not None and direct.password is not None:
                return pooled, direct
    return _from_host(login, settings)


def endpoints(
    api: API, login: Login, pair: ConnectionPair | None, settings: Settings
) -> tuple[PostgresURL, PostgresURL]:
    """The pair of a login whose password will be another one; its own password is of no account.

    Args:
        pair: the pair in use, which tells the pooled host of the same compute.
        settings: for the next step, where nothing tells.

    Raises:
        ProviderError: nothing tells both hosts, or Neon's two answers do not fit together.
    """
    try:
        pooled, direct = _asked(api, login, pooled=True), _asked(api, login, pooled=False)
    except ProviderError as error:
        if error.status != NOT_STORED:
            raise
    else:
        _check(login, pooled, direct)
        return pooled, direct
    direct = _direct(login)
    other = hosts.other_half(direct)
    if other is not None:
        return other, direct
    mine = None if pair is None else pair.direct
    if pair is not None and mine is not None and mine.host.lower() == direct.host.lower():
        names = {"user": login.role, "database": login.database}
        return pair.pooled.replace(**names), mine.replace(**names)
    raise _unknown_host(login.compute, settings)


def replica_endpoint(api: API, login: Login, settings: Settings) -> PostgresURL:
    """As :func:`endpoints`, of the read replica that is the login's compute."""
    try:
        url = _asked(api, login, pooled=True, endpoint=login.compute.id)
    except ProviderError as error:
        if error.status != NOT_STORED:
            raise
    else:
        _check_names(login, url)
        return url
    pooled = hosts.other_half(_direct(login))
    if pooled is None:
        raise _unknown_host(login.compute, settings)
    return pooled


def check_new_role(project: Project, compute: Compute) -> None:
    """Nothing, where the URLs of a role that is made now will be known.

    Raises:
        ProviderError: they will not; its password, shown once, would be lost.
    """
    if project.stores_passwords or hosts.other_half(_to(compute)) is not None:
        return
    raise ProviderError(
        f"{_unknown(compute)}: a new role's password, which is shown once, would be of no use",
        hint=f"Make the role in the console, and set {POOLED[0]} and {DIRECT[0]} to its two URLs: "
        f"{CONSOLE}/app/projects/{project.id}",
        provider=NAME,
    )


def read_replica(api: API, login: Login, settings: Settings) -> PostgresURL:
    """The pooled URL of the read replica that is the login's compute.

    Raises:
        ProviderError: Neon does not show the password, or gives another role or database.
    """
    if not login.project.stores_passwords:
        return _from_host(login, settings)[0]
    url = _asked(api, login, pooled=True, endpoint=login.compute.id)
    _check_names(login, url)
    if login.password is None and url.password is None:
        raise _not_stored(login, settings)
    return url if login.password is None else url.replace(password=login.password)


def _asked(api: API, login: Login, *, pooled: bool, endpoint: str = "") -> PostgresURL:
    query: dict[str, str | int | bool] = {
        "branch_id": login.branch.id,
        "database_name": login.database,
        "role_name": login.role,
        "pooled": pooled,
    }
    if endpoint:
        query["endpoint_id"] = endpoint
    answer = api.get("projects", login.project.id, "connection_uri", query=query)
    source = f"{TITLE}'s {'pooled' if pooled else 'direct'} URI"
    # The error is raised below, outside of its handler and with no variable that holds the URI.
    try:
        return PostgresURL.parse(answer.fields.text("uri"), source=source)
    except ConfigurationError as error:
        reason = error.message
    raise ProviderError(reason, hint=_BY_HAND, provider=NAME)


def _from_host(login: Login, settings: Settings) -> tuple[PostgresURL, PostgresURL]:
    """The URLs where Neon shows none, by the rule of its host names."""
    if login.password is None:
        raise _not_stored(login, settings)
    direct = _direct(login).replace(password=login.password)
    pooled = hosts.other_half(direct)
    if pooled is None:
        raise _unknown_host(login.compute, settings)
    return pooled, direct


def _direct(login: Login) -> PostgresURL:
    return _to(login.compute).replace(user=login.role, database=login.database)


def _to(compute: Compute) -> PostgresURL:
    return PostgresURL.build(host=compute.host, params={"sslmode": "require"})


def _unknown(compute: Compute) -> str:
    return (
        f"{TITLE} shows no URL where passwords are not stored, and the host "
        f"{printable(compute.host)} does not tell what the pooled one is"
    )


def _unknown_host(compute: Compute, settings: Settings) -> ProviderError:
    return ProviderError(
        _unknown(compute),
        hint=f"Set {POOLED[0]} and {DIRECT[0]} to the role's two URLs from {CONSOLE}, with any "
        f"password. Then `{settings.program} rotate` keeps their hosts, and sets a new password.",
        provider=NAME,
    )


def _not_stored(login: Login, settings: Settings) -> ProviderError:
    """Each way out leads on: a role in use is reset, and beside it another one is made."""
    connection = f"{login.branch.id}/{login.role}"
    used = settings.get(CONNECTION).rpartition(":")[0]
    role = f"{settings.program} create --branch {word(login.branch.name)} --role NAME --create"
    if hosts.other_half(_to(login.compute)) is None:
        hint = _unknown_host(login.compute, settings).hint
    elif used not in ("", connection):
        hint = f"Make a role for yourself, whose password is shown once: {role}"
    else:
        target = f"--branch {word(login.branch.name)} --role {word(login.role)}"
        hint = (
            "Make a role for yourself, whose password is shown once, with "
            f"`{role}`. Or reset this one's, which ends the old one: {settings.program} rotate "
            f"{target}"
        )
    return ProviderError(
        f"{TITLE} does not show the password of the role {printable(login.role)}: the project "
        f"{login.project.title} does not store passwords",
        hint=hint,
        provider=NAME,
        status=NOT_STORED,
    )


def _check(login: Login, pooled: PostgresURL, direct: PostgresURL) -> None:
    """Two answers that contradict each other are used by nobody."""
    _check_names(login, pooled)
    _check_names(login, direct)
    one, two = ((url.host.lower(), url.port) for url in (pooled, direct))
    providers = {hosts.classify(*one).provider, hosts.classify(*two).provider}
    first, dot, rest = two[0].partition(".")
    fits = one == (f"{first}-pooler{dot}{rest}", two[1]) if NAME in providers else one != two
    if not fits:
        raise ProviderError(
            f"{TITLE}'s pooled URI has the host {printable(one[0])}:{one[1]} and its direct one "
            f"{printable(two[0])}:{two[1]}: these are not the two endpoints of one database",
            hint=_BY_HAND,
            provider=NAME,
        )


def _check_names(login: Login, url: PostgresURL) -> None:
    if (url.user, url.database) != (login.role, login.database):
        raise ProviderError(
            f"{TITLE} was asked for the role {printable(login.role)} and the database "
            f"{printable(login.database)}, and its URI has {printable(url.user) or 'no role'} and "
            f"{printable(url.database) or 'no database'}",
            hint=_BY_HAND,
            provider=NAME,
        )
