"""What a transaction pooler refuses at connect, found before anybody connects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ppg_integrations.errors import ConfigurationError
from ppg_integrations.parameters import startup_options

if TYPE_CHECKING:
    from ppg_integrations.current import Endpoint

#: Startup parameters that poolers keep track of, or pass on:
#: https://www.pgbouncer.org/config.html#ignore_startup_parameters
_TRACKED: Final = frozenset(
    {"application_name", "client_encoding", "datestyle", "standard_conforming_strings", "timezone"}
)


def refuse(endpoint: Endpoint, arguments: Mapping[str, Any]) -> None:
    """Nothing, where what connects to an endpoint may do so with these arguments.

    Args:
        endpoint: where it leads.
        arguments: of the driver's ``connect``, as the user gave them.

    Raises:
        ConfigurationError: the endpoint is a pooler, and the arguments or the URL have startup
            options.
    """
    if endpoint.direct or endpoint.current.error is not None or endpoint.current.pair.one_endpoint:
        return
    pair = endpoint.current.pair
    own = arguments.get("options")
    found = startup_options(str(own or ""))
    where = 'connect_args["options"]'
    if not found and own is None:
        found = startup_options(pair.pooled.params.get("options", ""))
        where = str(pair.pooled_source)
    if not found:  # asyncpg's
        settings = arguments.get("server_settings") or {}
        found = [name for name in settings if str(name).lower() not in _TRACKED]
        where = 'connect_args["server_settings"]'
    if found:
        raise ConfigurationError(
            f"startup options for the pooled URL ({', '.join(map(str, found))}, from {where}): a "
            "transaction pooler refuses them at connect",
            hint="Give them to direct_options=, or set them for the role: "
            f"ALTER ROLE ... SET {found[0]} = ...",
        )
