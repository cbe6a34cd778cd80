"""How connections are opened and kept, of what an app's configuration and files say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ppg_integrations import names
from ppg_integrations.connect_settings import ConnectSettings
from ppg_integrations.errors import ConfigurationError

if TYPE_CHECKING:
    from ppg_integrations.providers.settings import Settings


def connect_settings(settings: Settings) -> ConnectSettings:
    """Those of ``PPG_CONNECT_DEADLINE`` and its like.

    Raises:
        ConfigurationError: one cannot be used; it says where that is set.
    """
    found = {each.name: each for each in map(settings.find, names.CONNECT) if each is not None}
    try:
        return ConnectSettings.of({name: each.value for name, each in found.items()})
    except ConfigurationError as error:
        for name, each in found.items():
            if error.message.startswith(f"{name} "):
                error.message = each.source + error.message.removeprefix(name)
        raise
