"""``manage.py ppg_connect [VERB]``: the verbs of ``ppg-connect``, on the project's own settings."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ppg_integrations import loaded
from ppg_integrations.cli import arguments, frontend
from ppg_integrations.cli.screen import Screen
from ppg_integrations.django import checks, state
from ppg_integrations.errors import PPGError


class Command(BaseCommand):
    help = "Generate, prove and use the pooled and the direct connection of the database."
    # It is what mends a broken configuration, so nothing about that may stop it.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        arguments.add_verbs(parser, required=False)

    def handle(self, *_args: Any, **options: Any) -> None:
        registered = state.current()
        color = False if options["no_color"] else True if options["force_color"] else None
        screen = Screen(_plain(self.stdout), _plain(self.stderr), color=color)
        try:
            status = frontend.guarded(screen, lambda: _perform(options, screen, registered))
        except PPGError as error:
            raise CommandError(str(error), returncode=frontend.status_of(error)) from error
        if status:
            # What was wrong has been printed, and a second message would spoil --json.
            sys.exit(status)


def _perform(options: dict[str, Any], screen: Screen, registered: state.Registered | None) -> int:
    env_file = registered.env_file if registered else None
    return frontend.perform(
        options,
        screen,
        program="manage.py ppg_connect",
        # Settings that call load_dotenv() have put the file's into it, which nobody can unset. It
        # is their own file's also where the verb is about another one.
        environ=loaded.own(loaded.own(os.environ, env_file), options.get("env_file")),
        env_file=env_file,
        known_pair=registered.pair if registered else None,
        error=registered.error if registered else None,
        hazards=checks.hazards,
        migrates="manage.py migrate",
    )


def _plain(stream: Any) -> Any:
    """The stream inside Django's wrapper, which ends every write with a newline of its own."""
    return getattr(stream, "_out", stream)
