"""What a transaction pooler refuses at connect, found before anybody connects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from .errors import ConfigurationError
from .parameters import startup_options

if TYPE_CHECKING:
    from .endpoint import Endpoint

#: Startup parameters that poolers keep track of, or pass on:
#: https://www.pgbouncer.org/config.html#ignore_startup_parameters
_TRACKED: Final = frozenset(
    {"application_name", "client_encoding", "datestyle", "standard_conforming_strings", "timezone"}
)


def refuse(
    endpoint: Endpoint,
    arguments: Mapping[str, Any] | None,
    *,
    name: str = "connect_args",
    instead: str,
) -> None:
    """Nothing, where what connects to an endpoint may do so with these arguments.

    Args:
        endpoint: where it leads.
        arguments: of the driver's ``connect``, as the user gave them.
        name: what the user calls these.
        instead: where the user can give such options, for the hint.

    Raises:
        ConfigurationError: the endpoint is a pooler, and the arguments or the URL have startup
            options.
    """
    if endpoint.direct or endpoint.current.error is not None or endpoint.current.pair.one_endpoint:
        return
    pair = endpoint.current.pair
    arguments = arguments or {}
    own = arguments.get("options")
    found = startup_options(str(own or ""))
    where = f'{name}["options"]'
    if not found and own is None:
        found = startup_options(pair.pooled.params.get("options", ""))
        where = str(pair.pooled_source)
    if not found:  # asyncpg's
        settings = arguments.get("server_settings") or {}
        found = [name for name in settings if str(name).lower() not in _TRACKED]
        where = f'{name}["server_settings"]'
    if found:
        raise ConfigurationError(
            f"startup options for the pooled URL ({', '.join(map(str, found))}, from {where}): a "
            "transaction pooler refuses them at connect",
            hint=f"Give them to {instead}, or set them for the role: "
            f"ALTER ROLE ... SET {found[0]} = ...",
        )
