"""Which management commands run on the direct endpoint, and how they get there.

``get_commands()`` lets the first app in INSTALLED_APPS win and knows no chaining, so each of our
command modules looks for the class that would have won without us, and mixes :class:`DirectCommand`
in front of it. That way django-tenants' ``migrate`` keeps being django-tenants'.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from django.apps import apps

from ppg_integrations.errors import PPGError

from . import routing, state

if TYPE_CHECKING:
    from django.core.management.base import BaseCommand

    _Base = BaseCommand
else:
    _Base = object

APP: Final = "ppg_integrations.django"

#: The commands this app overrides, each with the reason. A row here and a module of the same name
#: in management/commands is the whole change.
DIRECT_COMMANDS: Final = {
    "migrate": "DDL, long transactions, CREATE INDEX CONCURRENTLY, session settings",
    "dbshell": "an interactive session: SET, temporary tables, LISTEN",
    "test": "CREATE and DROP DATABASE; a pooler keeps connections to what is to be dropped",
    "testserver": "as test",
    "flush": "TRUNCATE and the post_migrate signal",
    "loaddata": "one long transaction, SET CONSTRAINTS, sequence resets",
    "dumpdata": "server-side cursors keep its memory flat",
    "createcachetable": "DDL",
    "inspectdb": "the same view of the catalog as dbshell",
    "showmigrations": "the role that owns the migration ledger may be the direct one",
    "sqlmigrate": "as showmigrations",
    "sqlflush": "as showmigrations",
}

#: Commands of other packages that are routed where the package is installed: app and command.
#: More names: the setting PPG_DIRECT_COMMANDS.
OPTIONAL_COMMANDS: Final = (
    ("django_tenants", "migrate_schemas"),
    ("django_tenants", "create_tenant"),
    ("django_tenants", "clone_tenant"),
    ("django_tenants", "create_missing_schemas"),
    ("django_tenants", "rename_schema"),
    ("django_tenants", "delete_tenant"),
)


class DirectCommand(_Base):
    """Mixin for a management command that has to run on the direct endpoint.

    Put it in front of the command class::

        class Command(DirectCommand, BaseCommand): ...

    ``--database``, where the command has that option, says which pair: the pooled alias and the
    direct one mean the same, and the command always sees the pooled one, so that whatever says
    ``using`` and whatever does not meet on one connection. A command without the option runs with
    every pair on its direct endpoint.

    Raises:
        CommandError: from any error of this package, which stays its cause.
    """

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Django's own, while the aliases of the pairs are exchanged."""
        try:
            with ExitStack() as stack:
                for entry in self._pairs(options):
                    outcome = stack.enter_context(routing.route(entry))
                    self._tell(entry, outcome, options)
                return super().execute(*args, **options)
        except PPGError as error:
            raise _command_error(error) from error

    def _pairs(self, options: dict[str, Any]) -> Iterable[state.Registered]:
        """The pairs that the options name; rewrites direct aliases there to pooled ones."""
        named = options.get("database")
        if named is None:
            return state.registered()
        aliases = [named] if isinstance(named, str) else [*named]
        entries = {alias: state.find(alias) for alias in aliases}
        pooled = [entry.pooled_alias if entry else alias for alias, entry in entries.items()]
        options["database"] = pooled[0] if isinstance(named, str) else pooled
        return [entry for entry in entries.values() if entry]

    def _tell(
        self, entry: state.Registered, outcome: routing.Outcome, options: dict[str, Any]
    ) -> None:
        text = {
            "one endpoint": "and its direct alias are one endpoint, nothing to route",
            "not ours": "was changed after databases() had made it, and is left alone",
            "in a transaction": "is in a transaction, and stays on its connection",
        }.get(outcome)
        least = 2
        if outcome == "not ours" and routing.may_be_pooled(entry):
            text = (
                "was changed after databases() had made it: this runs there, maybe through a pooler"
            )
            least = 1
        # Some commands write their result to standard output.
        if text is not None and int(options.get("verbosity") or 0) >= least:
            stream = options.get("stderr") or self.stderr
            stream.write(f"{entry.pooled_alias} {text}\n")


class _DirectTestCommand(DirectCommand):
    """``test`` and ``testserver``: more than one alias, and a database to be made."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        from .testing import tests_on_direct

        try:
            for entry in state.registered():
                if not routing.still_ours(entry):
                    self._tell(entry, "not ours", options)
            with tests_on_direct():
                return super(DirectCommand, self).execute(*args, **options)
        except PPGError as error:
            raise _command_error(error) from error


def _command_error(error: PPGError) -> Exception:
    # Here, because a web process imports this module and runs no command.
    from django.core.management.base import CommandError

    return CommandError(str(error))


def direct_command(module: str) -> type[BaseCommand]:
    """The ``Command`` of a command module, chained to the next app's command of the same name.

    Args:
        module: ``__name__`` of the module, ``<app>.management.commands.<name>``.
    """
    app, _, name = module.partition(".management.commands.")
    mixin = _DirectTestCommand if name in ("test", "testserver") else DirectCommand
    return _mixed(mixin, next_command(name, after=app), module)


def next_command(name: str, *, after: str) -> type[BaseCommand]:
    """The class that would be command ``name`` if the apps up to ``after`` were not installed."""
    configs = [*apps.get_app_configs()]
    position = next((i for i, config in enumerate(configs) if config.name == after), -1)
    for config in configs[position + 1 :]:
        if name in _commands_in(config.path):
            return command_class(config.name, name)
    return command_class("django.core", name)


def route_optional() -> None:
    """Routes the commands of other packages, and those that PPG_DIRECT_COMMANDS names.

    There is no hook for this. ``get_commands()`` gives the one cached dictionary, of command name
    to app, that both ``manage.py`` and ``call_command`` look into; its value becomes the name of a
    package that exists only in ``sys.modules`` and makes the mixed class when it is asked for
    ``Command``. (A command *instance* may stand there too, but ``manage.py help`` breaks on it.)
    """
    wanted = [name for app, name in OPTIONAL_COMMANDS if apps.is_installed(app)]
    wanted += named_commands()
    if not wanted:
        return  # importing django.core.management costs a web process more than it has to pay
    from django.core.management import get_commands

    known = get_commands()
    for name in dict.fromkeys(wanted):
        if name not in known or name in DIRECT_COMMANDS:
            continue
        app = known[name]
        label = app.rpartition(".")[2]  # the heading under which `manage.py help` lists it
        package = f"{APP}.routed.{label}"
        module = _RoutedModule(f"{package}.management.commands.{name}", app)
        sys.modules[module.__name__] = module
        known[name] = package


def named_commands() -> list[str]:
    """The setting PPG_DIRECT_COMMANDS: names of further commands that run direct."""
    from django.conf import settings

    return [*getattr(settings, "PPG_DIRECT_COMMANDS", ())]


class _RoutedModule(ModuleType):
    """Stands for the command module of another app, and imports it on first use."""

    def __init__(self, name: str, app: str) -> None:
        super().__init__(name, f"A command of {app}, on the direct endpoint.")
        self._app = app

    def __getattr__(self, attribute: str) -> Any:
        if attribute != "Command":
            raise AttributeError(f"module {self.__name__!r} has no attribute {attribute!r}")
        name = self.__name__.rpartition(".")[2]
        command = _mixed(DirectCommand, command_class(self._app, name), self.__name__)
        self.Command = command
        return command


def _mixed(
    mixin: type[DirectCommand], command: type[BaseCommand], module: str
) -> type[BaseCommand]:
    if issubclass(command, DirectCommand):
        return command
    return type("Command", (mixin, command), {"__module__": module, "__doc__": command.__doc__})


def _commands_in(path: str) -> list[str]:
    from django.core.management import find_commands

    return find_commands(os.path.join(path, "management"))


def command_class(app: str, name: str) -> type[BaseCommand]:
    """The class of an app's command."""
    command: type[BaseCommand] = import_module(f"{app}.management.commands.{name}").Command
    return command
