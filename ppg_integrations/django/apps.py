"""The Django app. Its label is ``ppg``, which the ids of its system checks begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import AppConfig
from django.core.checks import Tags, register

from . import installed

if TYPE_CHECKING:
    from django.core.checks import CheckMessage


class PPGConfig(AppConfig):
    """Prepares connections, registers the system checks, routes the commands of other packages."""

    name = "ppg_integrations.django"
    label = "ppg"
    verbose_name = "Pooled and direct PostgreSQL"

    def ready(self) -> None:
        from . import commands, wrapping

        wrapping.install()
        register(_check_settings, installed.TAG)
        register(_check_servers, Tags.database)
        commands.route_optional()


# Servers run no checks, and their workers need not keep in memory what those need.
def _check_settings(**given: Any) -> list[CheckMessage]:
    from . import checks

    return checks.check_settings(**given)


def _check_servers(**given: Any) -> list[CheckMessage]:
    from . import checks

    return checks.check_servers(**given)
