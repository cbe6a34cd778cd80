"""``local start``, ``local stop``, ``local status``: the embedded PostgreSQL and PgBouncer."""

from __future__ import annotations

from typing import Any

from .. import envfile, names
from ..errors import ConfigurationError
from ..providers.local.provider import servers_of
from ..providers.local.status import LocalStatus, ServerStatus
from ..urls import PostgresURL
from .context import Context


def start(context: Context) -> tuple[LocalStatus, tuple[str, ...]]:
    """Starts what is not running yet.

    Returns:
        The status, and what was changed in ``.env`` because a port had been taken by another
        program meanwhile.

    Raises:
        LocalServerError: it cannot be found or does not start.
    """
    status = servers_of(context.project_folder).start(progress=context.progress)
    return status, _follow(context, status)


def stop(context: Context) -> bool:
    """Stops both; True if anything was running. The data stays.

    Raises:
        LocalServerError: a server does not stop.
    """
    context.progress("stopping the embedded servers")
    return servers_of(context.project_folder).stop()


def status(context: Context) -> LocalStatus:
    """What is running, where."""
    return servers_of(context.project_folder).status()


def as_json(status: LocalStatus) -> dict[str, Any]:
    """The document of ``local start`` and ``local status``; null for what is not there."""

    def server(one: ServerStatus | None) -> dict[str, Any] | None:
        if one is None:
            return None
        return {"name": one.name, "version": one.version, "port": one.port, "pid": one.pid}

    return {
        "running": status.running,
        "postgres": server(status.postgres),
        "pooler": server(status.pooler),
        "tls": status.tls,
        "data": str(status.data),
        "notes": list(status.notes),
    }


def _follow(context: Context, status: LocalStatus) -> tuple[str, ...]:
    """Points the URLs in ``.env`` that named a port of ours to the port it moved to."""
    if not status.moved:
        return ()
    found = envfile.read(context.env_file)
    values = {}
    for name in (names.POOLED[0], names.DIRECT[0]):
        try:
            url = PostgresURL.parse(found.get(name, ""), source=name)
        except ConfigurationError:
            continue  # not ours to correct; whoever reads it will say what is wrong
        if url.host == "127.0.0.1" and url.port in status.moved:
            values[name] = url.replace(port=status.moved[url.port]).reveal()
    if values:
        # It holds these secrets already, so what git thinks of the file was settled before.
        envfile.update(context.env_file, values, allow_tracked=True)
    return tuple(f"{name} in {context.env_file} follows to the new port" for name in values)
