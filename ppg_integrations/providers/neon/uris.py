"""The pair of URLs of a role on a branch, as Neon's API gives them, cross-checked."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from ... import hosts
from ...errors import ConfigurationError, ProviderError
from ...urls import PostgresURL
from .rules import NAME, TITLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...secret import Secret
    from ..api import API
    from .branches import Branch, Compute
    from .projects import Project

#: The status of a password that Neon does not keep.
NOT_STORED: Final = 412


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


def read(api: API, login: Login) -> tuple[PostgresURL, PostgresURL]:
    """The pooled and the direct URL.

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
            return pooled, direct
    return _from_host(login)


def read_replica(api: API, login: Login) -> PostgresURL:
    """The pooled URL of the read replica that is the login's compute.

    Raises:
        ProviderError: Neon does not show the password, or gives another role or database.
    """
    if not login.project.stores_passwords:
        return _from_host(login)[0]
    url = _asked(api, login, pooled=True, endpoint=login.compute.id)
    _check_names(login, url)
    return url


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
        url = PostgresURL.parse(answer.fields.text("uri"), source=source)
    except ConfigurationError as error:
        reason = error.message
    else:
        if login.password is not None:
            return url.replace(password=login.password)
        if url.password is not None:
            return url
        raise _not_stored(login)
    raise ProviderError(reason, provider=NAME)


def _from_host(login: Login) -> tuple[PostgresURL, PostgresURL]:
    """The URLs where Neon shows none, by the rule of its host names."""
    if login.password is None:
        raise _not_stored(login)
    direct = PostgresURL.build(
        host=login.compute.host,
        user=login.role,
        password=login.password,
        database=login.database,
        params={"sslmode": "require"},
    )
    pooled = hosts.other_half(direct)
    if pooled is None:
        raise ProviderError(
            f"{TITLE} shows no URL of the role {login.role}, and its host {direct.host} does not "
            "tell what the pooled one is",
            hint="Set DATABASE_URL and DIRECT_URL by hand, from the console.",
            provider=NAME,
        )
    return pooled, direct


def _not_stored(login: Login) -> ProviderError:
    return ProviderError(
        f"{TITLE} does not show the password of the role {login.role}: the project "
        f"{login.project.name} does not store passwords",
        hint="Reset it, which ends the old one: ppg-connect rotate. Or set DATABASE_URL and "
        "DIRECT_URL by hand.",
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
            f"{TITLE}'s pooled URI has the host {one[0]}:{one[1]} and its direct one "
            f"{two[0]}:{two[1]}: these are not the two endpoints of one database",
            hint="Set DATABASE_URL and DIRECT_URL by hand, from the console.",
            provider=NAME,
        )


def _check_names(login: Login, url: PostgresURL) -> None:
    if (url.user, url.database) != (login.role, login.database):
        raise ProviderError(
            f"{TITLE} was asked for the role {login.role} and the database {login.database}, and "
            f"its URI has {url.user or 'no role'} and {url.database or 'no database'}",
            hint="Set DATABASE_URL and DIRECT_URL by hand, from the console.",
            provider=NAME,
        )
