"""``run -- CMD``: any tool on the direct endpoint, with the credentials in its environment."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence

from .. import encryption, layers, names
from ..errors import ConfigurationError, UsageError
from ..hosts import classify
from ..pair import ConnectionPair
from ..secret import masked_by_name
from ..urls import PostgresURL
from . import named_file
from .context import Context
from .handover import shadowed

# Of the caller's own libpq variables, those that would send the tool somewhere else.
_ELSEWHERE = (
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGUSER",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGDATABASE",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGOPTIONS",
)


def run(context: Context, command: Sequence[str]) -> int:
    """Runs a program with libpq's variables set to the direct endpoint.

    ``PPG_DIRECT=1`` is set too, so that a program built on this package's own settings goes
    direct as well. Where options name the database, the variables of its URLs are set too. Nothing
    secret stands in the program's arguments. URLs of the ``.env`` file that the environment hides
    are named first.

    Args:
        context: the settings of this call.
        command: the program and its arguments.

    Returns:
        The program's exit status; 128 + N where signal N ended it.

    Raises:
        MissingDirectURLError: the direct URL is not known.
        UsageError: no program was given.
        ConfigurationError: there is no program of that name, or nothing to verify the server's
            certificate with.
    """
    if not command:
        raise UsageError(
            "run was given no program",
            hint=f"For example: {context.program} run -- pg_dump --schema-only",
        )
    pair = named_file.pair(context, "run")
    direct = pair.require_direct()
    if not _names_the_database(context):
        for note in shadowed(context, _urls(context.file())):
            context.report(note)  # or a dump is restored into the other one of two databases
        if remedy := named_file.remedy(context, "run"):
            context.report(remedy)
    outer = layers.process(context.environ)
    environ = {key: value for key, value in outer.items() if key not in _ELSEWHERE}
    secured = encryption.secured(direct, encryption.least(), environ=outer)
    environ.update(secured.libpq_environ())
    if _names_the_database(context):
        environ.update(_variables(pair, direct))
    environ[names.FORCE_DIRECT] = "1"
    tools = _embedded_tools(context, direct)
    if tools:
        environ["PATH"] = os.pathsep.join((tools, environ.get("PATH", os.defpath)))
    environ = {name: masked_by_name(name, value) for name, value in environ.items()}
    program = _find(command[0], environ)
    # As a shell does: Ctrl-C is for the tool, which may want to cancel a query and go on.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        done = subprocess.run(
            [program, *command[1:]], env=environ, check=False, preexec_fn=_default_sigint
        )
    finally:
        signal.signal(signal.SIGINT, before)
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def _names_the_database(context: Context) -> bool:
    """Whether the options do."""
    return any(getattr(context, part) for part in (*names.TARGET, "provider"))


def _urls(values: Mapping[str, str]) -> dict[str, str]:
    return {name: values[name] for name in (*names.POOLED, *names.DIRECT) if values.get(name)}


def _variables(pair: ConnectionPair, direct: PostgresURL) -> dict[str, str]:
    """The pair by the names that settings read, so that they do not find the one of ``.env``.

    The other names are blank and not away: a ``.env`` that is loaded without overriding what is set
    would bring them back.
    """
    values = dict.fromkeys((*names.POOLED, *names.DIRECT, *names.REPLICA, names.CONNECTION), "")
    values[names.POOLED[0]] = pair.pooled.reveal()
    values[names.DIRECT[0]] = direct.reveal()
    if pair.replica is not None:
        values[names.REPLICA[0]] = pair.replica.reveal()
    if pair.provider:
        values[names.PROVIDER] = pair.provider
    return values


def _embedded_tools(context: Context, direct: PostgresURL) -> str:
    """The folder of the tools that came with the embedded server, if that is where we go.

    A distribution's pg_dump is as a rule older, and refuses a newer server.
    """
    if classify(direct.host, direct.port).provider != "local":
        return ""
    from ..providers.local import postgres_binaries
    from ..providers.local.provider import servers_of

    server = servers_of(context.project_folder).status().postgres
    if server is None or server.port != direct.port:
        return ""
    return str(postgres_binaries.tools(os.environ, server.version) or "")


def _default_sigint() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _find(name: str, environ: dict[str, str]) -> str:
    found = shutil.which(name, path=environ.get("PATH"))
    if found is None and os.sep not in name:
        # psql and pg_dump come with the embedded PostgreSQL: good enough where no other is there.
        from ..providers.local import postgres_binaries

        for install in postgres_binaries.candidates(environ):
            found = found or shutil.which(name, path=str(install.bin))
    if found is None:
        raise ConfigurationError(
            f"there is no program {name}",
            hint="Install it or give its full path. psql, pg_dump and pg_restore come with "
            'pip install "ppg-integrations[local]".',
        )
    return found
