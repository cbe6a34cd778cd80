"""``create``: generate a connection, keep it, prove it, and only then put it to use.

The order is the promise: whatever fails, the credential that the provider showed once is on disk,
and the next run goes on from there.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace as replaced
from typing import Any, Final

from .. import doctor, drivers, envfile, hosts, names, providers
from ..errors import ConfigurationError, ConnectError
from ..journal import Entry, Journal
from ..pair import ConnectionPair, Source
from ..providers.base import Generated, GenerateRequest
from ..resolve import resolve
from ..urls import PostgresURL
from .context import Context
from .show import pair_json

# What a server says of a credential, or a database, that is not there any more.
_GONE: Final = ("wrong-password", "no-role", "no-database")


@dataclass(frozen=True)
class Created:
    """What ``create`` did.

    Attributes:
        pair: the pair that was written.
        connection_id, connection_name: what the provider calls the connection.
        diagnosis: the proof of both endpoints.
        written: names of the variables that were written.
        resumed: True where an earlier, interrupted run had generated it.
        notes: what else the user should know.
    """

    pair: ConnectionPair
    connection_id: str
    connection_name: str
    diagnosis: doctor.Diagnosis
    written: tuple[str, ...]
    resumed: bool
    notes: tuple[str, ...]

    def as_json(self, *, reveal: bool = False) -> dict[str, Any]:
        document = pair_json(self.pair, reveal=reveal)
        document["warnings"] += self.notes
        document["connection"] = {"id": self.connection_id, "name": self.connection_name}
        return document


def create(context: Context, *, allow_tracked: bool = False, replace: bool = False) -> Created:
    """Generates a connection, proves both endpoints, and writes the pair to ``.env``.

    Args:
        context: the settings of this call.
        allow_tracked: write the secret even into a file that git tracks or would track.
        replace: put the pair in the place of one that belongs to another provider.

    Raises:
        EnvFileError: the file may not be written; nothing was generated.
        ConfigurationError: no provider, or the file holds another provider's pair.
        ProviderError: the provider could not generate one.
        ConnectError: it was generated and kept, and does not work; run ``create`` again.
    """
    name = context.provider_name()
    provider = providers.load(name)
    envfile.check_writable(context.env_file, allow_tracked=allow_tracked)
    if not replace:
        _refuse_foreign_pair(context, name)
    journal = Journal(context.project_folder)
    journal.prepare()
    generated = _resume(context, journal, name)
    resumed = generated is not None
    if generated is None:
        request = GenerateRequest(
            **_request(context),
            create=context.create_missing,
            project_folder=context.project_folder,
        )
        generated = provider.generate(request, context.progress)
        journal.record(
            Entry(
                provider=name,
                id=generated.id,
                name=generated.name,
                pooled=generated.pooled,
                direct=generated.direct,
                env_file=str(context.env_file.absolute()),
                request=_request(context),
            )
        )
    context.progress("proving both endpoints")
    diagnosis = _prove(_pair_of(generated, name, context))
    values = _values(generated, name)
    update = envfile.update(context.env_file, values, allow_tracked=allow_tracked)
    journal.clear(generated.id)
    pair = _written_pair(context, name)
    return Created(
        pair,
        generated.id,
        generated.name,
        diagnosis,
        tuple(values),
        resumed,
        (*generated.notes, *update.notes, *_shadowed(context, values)),
    )


def _values(generated: Generated, provider: str) -> dict[str, str]:
    values = {
        names.POOLED[0]: generated.pooled.reveal(),
        names.DIRECT[0]: generated.direct.reveal(),
    }
    if _provider_of(generated.direct) != provider or provider == "local":
        # The hosts do not say it, so the file has to.
        values[names.PROVIDER] = provider
    return values


def _provider_of(url: PostgresURL) -> str | None:
    return hosts.classify(url.host, url.port).provider


def _refuse_foreign_pair(context: Context, provider: str) -> None:
    """A URL of another provider in the file may be the only copy of its password."""
    found: Mapping[str, str] = envfile.read(context.env_file)
    for variable in (names.POOLED[0], names.DIRECT[0]):
        if not found.get(variable, "").strip():
            continue
        try:
            url = PostgresURL.parse(found[variable], source=f"{variable} in {context.env_file}")
            # The host has the first word. Where it has none, the file's own name for the provider
            # counts, but "local" only for this machine, where a PostgreSQL may also be the user's.
            host = _provider_of(url)
            mine = host if host not in (None, "local") else found.get(names.PROVIDER, "")
            if mine == "local" != host:
                mine = ""
            what = f"the URL of {url.host or 'a local socket'}"
        except ConfigurationError:
            mine, what = "", "something that is not a PostgreSQL URL"
        if mine != provider:
            raise ConfigurationError(
                f"{variable} in {context.env_file} holds {what}, which create would overwrite",
                hint="Keep a copy if you need it and add --replace, or write to another file with "
                "--env-file.",
            )


def _request(context: Context) -> dict[str, str]:
    """What the user asked for, without what was left open."""
    options = ("name", "project", "database", "branch", "role", "region")
    return {name: value for name in options if (value := getattr(context, name))}


def _resume(context: Context, journal: Journal, provider: str) -> Generated | None:
    """The connection of an interrupted run, if there is one and it still lets us in."""
    entry = journal.pending(
        provider, env_file=str(context.env_file.absolute()), request=_request(context)
    )
    if entry is None:
        return None
    context.progress(f"taking up {entry.name or entry.id}, which an earlier run generated")
    found = Generated(entry.id, entry.name, entry.pooled, entry.direct)
    if provider == "local":
        found = _where_they_are_now(context, found)
    try:
        drivers.connect(found.direct).close()
    except ConnectError as error:
        if error.code not in _GONE:
            raise
        journal.clear(entry.id)
        return None
    return found


def _where_they_are_now(context: Context, found: Generated) -> Generated:
    """The embedded servers, started; another program may have taken their ports meanwhile."""
    from ..providers.local.provider import servers_of

    status = servers_of(context.project_folder).start(progress=context.progress)
    assert status.postgres is not None
    pooler = status.pooler or status.postgres
    return replaced(
        found,
        pooled=found.pooled.replace(port=pooler.port),
        direct=found.direct.replace(port=status.postgres.port),
    )


def _pair_of(generated: Generated, provider: str, context: Context) -> ConnectionPair:
    source = Source("provider", provider)
    return ConnectionPair(
        generated.pooled,
        generated.direct,
        source,
        source,
        provider,
        (),
        str(context.env_file.absolute()),
    )


def _prove(pair: ConnectionPair) -> doctor.Diagnosis:
    diagnosis = doctor.diagnose(pair)
    for problem in diagnosis.problems:
        if problem.severity == "error":
            raise ConnectError(
                f"the connection was generated and kept, and does not work yet: {problem.message}",
                hint=f"{problem.hint} Then run create again: it takes up the same one.".strip(),
            )
    return diagnosis


def _written_pair(context: Context, provider: str) -> ConnectionPair:
    """What was written, read back from the file: what everybody else will see."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return resolve(env_file=context.env_file, environ={}, provider=provider)


def _shadowed(context: Context, values: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        f"{name} is also set in the environment, and wins over {context.env_file}: unset it"
        for name in values
        if context.environ.get(name, values[name]) != values[name]
    )
