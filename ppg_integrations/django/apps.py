"""The Django app. Its label is ``ppg``, which the ids of its system checks begin with."""

from __future__ import annotations

from django.apps import AppConfig


class PPGConfig(AppConfig):
    """Prepares connections, registers the system checks, routes the commands of other packages."""

    name = "ppg_integrations.django"
    label = "ppg"
    verbose_name = "Pooled and direct PostgreSQL"

    def ready(self) -> None:
        from . import checks, commands, wrapping

        wrapping.install()
        checks.register()
        commands.route_optional()
