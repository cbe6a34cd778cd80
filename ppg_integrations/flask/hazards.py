"""What an app's configuration shows to be wrong, without a connection: for ``flask ppg doctor``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ppg_integrations import hosts, preparing
from ppg_integrations.problems import Problem, problem

from . import migrate
from .cli import loading
from .findings import TABLE
from .settings import BINDS, OPTIONS, URI

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import URL, Engine

    from ppg_integrations.current import CurrentPair
    from ppg_integrations.doctor import Diagnosis
    from ppg_integrations.endpoint import Endpoint

    from .state import State


class _Engine(NamedTuple):
    """What Flask-SQLAlchemy builds an engine from.

    Attributes:
        key: of the bind; None for the default.
        url: where it leads, as configured.
        options: of ``create_engine``.
    """

    key: str | None
    url: URL
    options: Mapping[str, Any]

    def __str__(self) -> str:
        return URI if self.key is None else f"{BINDS}[{self.key!r}]"

    @property
    def ours(self) -> bool:
        """Whether it asks our endpoint at each connect."""
        return "ppg" in (self.options.get("plugins") or ())

    @property
    def place(self) -> str:
        """Where it leads, for people."""
        if self.url.get_backend_name() != "postgresql":
            return self.url.get_backend_name()
        return f"{self.url.host or 'the local socket'}, database {self.url.database or '(default)'}"


def hazards(app: Flask, state: State, diagnosis: Diagnosis | None = None) -> Iterator[Problem]:
    """All of them, but for those of the pair's URLs.

    Args:
        app: its engines are looked at, if Flask-SQLAlchemy has made them.
        state: of the app.
        diagnosis: what the servers of one of the app's pairs have said.
    """
    for engine in _configured(app):
        if engine.ours:
            yield from _of_ours(app, state, engine, diagnosis)
        else:
            yield from _of_another(state, engine)
    pair = None if state.current.error else state.pair
    if "migrate" in app.extensions and not migrate.routed(app) and not (pair and pair.one_endpoint):
        yield problem("migrate-pooled", table=TABLE)


def _configured(app: Flask) -> Iterator[_Engine]:
    if "sqlalchemy" not in app.extensions:
        return  # nothing reads these keys
    options = app.config.get(OPTIONS) or {}
    default = {**options, "url": app.config.get(URI) or options.get("url")}
    entries: dict[str | None, Any] = {None: default, **(app.config.get(BINDS) or {})}
    for key, value in entries.items():
        entry = value if isinstance(value, Mapping) else {"url": value}
        url = _parsed(entry.get("url"))
        if url is not None:
            yield _Engine(key, url, entry)


def _parsed(url: Any) -> URL | None:
    from sqlalchemy import make_url

    # With Flask-SQLAlchemy in the app it is one that SQLAlchemy takes, or there is none.
    return make_url(url) if url else None


def _of_another(state: State, engine: _Engine) -> Iterator[Problem]:
    """Hazards of an engine that PPG leaves alone."""
    postgresql = engine.url.get_backend_name() == "postgresql"
    known = postgresql and _leads_to_ours(state, engine.url)
    if known or (postgresql and _is_pooled(engine.url)):
        key = engine.key
        hint = "Take it out, or keep PPG's options: change them before ppg.init_app(app)."
        if not known and key is not None:
            hint = f"Put its two URLs into PPG_BINDS[{key!r}], and take it out here."
        yield problem("engine-unmanaged", table=TABLE, engine=engine, place=engine.place, hint=hint)
    elif engine.key is None:
        yield problem("engine-elsewhere", table=TABLE, engine=engine, place=engine.place)
    elif postgresql:
        yield problem("bind-elsewhere", table=TABLE, engine=engine, place=engine.place)


def _leads_to_ours(state: State, url: URL) -> bool:
    """Whether it is a pooler of ours."""
    pairs: list[CurrentPair] = [state.current, *state.binds.values()]
    places = [
        (each.pair.pooled.host, each.pair.pooled.port)
        for each in pairs
        if each.error is None and not each.pair.one_endpoint
    ]
    return ((url.host or "").lower(), url.port or 5432) in places


def _is_pooled(url: URL) -> bool:
    return hosts.classify(url.host or "", url.port or 5432).kind == "pooled"


def _of_ours(
    app: Flask, state: State, engine: _Engine, diagnosis: Diagnosis | None
) -> Iterator[Problem]:
    yield from _overridden(app, engine)
    endpoint: Endpoint = engine.options["ppg"]
    if endpoint.direct:
        return
    current = endpoint.current
    if current.error is None and not current.pair.one_endpoint:
        yield from _prepared(engine, endpoint, diagnosis)
    made = _made(app, engine.key)
    if made is not None:
        bind = next((key for key, each in state.binds.items() if each is current), None)
        with loading():  # what the pooler would refuse is shown, by the hazards of the pair's URLs
            own = state.engine_options(bind=bind)
        yield from _pool(own, engine, made)


def _prepared(
    engine: _Engine, endpoint: Endpoint, diagnosis: Diagnosis | None
) -> Iterator[Problem]:
    arguments = engine.options.get("connect_args") or {}
    value = arguments.get("prepare_threshold", preparing.THRESHOLD)
    if engine.url.get_dialect().driver != "psycopg" or value is None:
        return
    pair, kept = endpoint.current.pair, None
    if diagnosis is not None and diagnosis.pair == pair:
        kept = diagnosis.pooled.prepared
        yield from preparing.lost(pair, diagnosis.pooled, wanted=True)
    # Whoever sets PPG_PREPARED says that the pooler can.
    said = endpoint.settings.prepared or preparing.is_documented(pair)
    if kept is None and not said:
        yield problem("prepared-statements", table=TABLE, engine=engine, value=value)


def _overridden(app: Flask, engine: _Engine) -> Iterator[Problem]:
    # Flask-SQLAlchemy keeps them nowhere else. It lays SQLALCHEMY_ENGINE_OPTIONS over them.
    wanted: Mapping[str, Any] = getattr(app.extensions["sqlalchemy"], "_engine_options", {})
    lost = [name for name in wanted if engine.options.get(name, wanted[name]) != wanted[name]]
    if lost:
        yield problem("options-overridden", table=TABLE, engine=engine, options=", ".join(lost))


def _made(app: Flask, key: str | None) -> Engine | None:
    """The engine that Flask-SQLAlchemy has made."""
    with app.app_context():
        found: Engine | None = app.extensions["sqlalchemy"].engines.get(key)
        return found


def _pool(own: Mapping[str, Any], engine: _Engine, made: Engine) -> Iterator[Problem]:
    """Whether the pool is one of the kind that `own`, our options, ask for."""
    from sqlalchemy import NullPool

    keeps = not issubclass(own.get("poolclass") or object, NullPool)
    if isinstance(made.pool, NullPool) and keeps:
        yield problem("pool-off", table=TABLE, engine=engine)
    elif not isinstance(made.pool, NullPool) and not keeps:
        pool = type(made.pool).__name__
        yield problem("pool-when-serverless", table=TABLE, engine=engine, pool=pool)
