"""``local start``, ``local stop``, ``local status``: the embedded PostgreSQL and PgBouncer."""

from __future__ import annotations

import contextlib
from typing import Any

from .. import envfile, names
from ..errors import ConfigurationError, EnvFileError
from ..providers.local.provider import servers_of
from ..providers.local.status import LocalStatus, ServerStatus
from ..secret import masked
from ..urls import PostgresURL
from .context import Context


def start(context: Context) -> tuple[LocalStatus, tuple[str, ...]]:
    """Starts what is not running yet.

    Returns:
        The status, and what was changed in ``.env`` because a server has another port now than
        the file says, or because the pooler has gone or come back.

    Raises:
        LocalServerError: it cannot be found or does not start.
        EnvFileError: it runs, and the file has to be changed and cannot be.
    """
    servers = servers_of(context.project_folder)
    status = servers.start(progress=context.progress, look_again=True)
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
    """Points the URLs of our roles in ``.env`` to the servers' ports of today.

    Whatever the file still names: a port that was given up at an earlier start, PostgreSQL's own
    from a time without a pooler, or the pooler's while there is none.
    """
    try:
        found = envfile.read(context.env_file)
    except EnvFileError as error:
        # The servers run; whoever needs the file will say so too.
        return (f"{context.env_file} was left as it is: {error.message}",)
    urls = {}
    for name in (*names.POOLED, *names.DIRECT):
        with contextlib.suppress(ConfigurationError):  # whoever reads it will say what is wrong
            urls[name] = PostgresURL.parse(found.get(name, ""), source=name)
    asked = [(url, name in names.POOLED) for name, url in urls.items()]
    current = servers_of(context.project_folder).current(asked)
    changed = {
        name: url
        for (name, before), url in zip(urls.items(), current, strict=True)
        if url != before
    }
    if changed:
        values = {name: masked(url.reveal()) for name, url in changed.items()}
        # It holds these secrets already, so what git thinks of the file was settled before.
        envfile.update(context.env_file, values, allow_tracked=True)
    pooler = status.pooler
    notes = []
    for name, url in changed.items():
        if name in names.DIRECT:
            where = "names PostgreSQL"
        elif pooler is not None:
            where = "goes through PgBouncer"
        else:
            where = "names PostgreSQL itself, as long as there is no pooler"
        notes.append(f"{name} in {context.env_file} was changed: it {where}, on port {url.port}.")
    return tuple(notes)
