"""``SQLALCHEMY_DATABASE_URI`` and its kin: what Flask-SQLAlchemy builds its engines from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from ppg_integrations.errors import ConfigurationError, PPGError
from ppg_integrations.hostport import DEFAULT_PORT
from ppg_integrations.sqlalchemy.options import DRIVERS, engine_url

from .uri import MaskedURI

if TYPE_CHECKING:
    from ppg_integrations.current import CurrentPair
    from ppg_integrations.pair import ConnectionPair

    from .state import State

URI: Final = "SQLALCHEMY_DATABASE_URI"
OPTIONS: Final = "SQLALCHEMY_ENGINE_OPTIONS"
BINDS: Final = "SQLALCHEMY_BINDS"


def set_from(state: State, config: MutableMapping[str, Any]) -> None:
    """Sets what the app has not set itself, and merges options where that leads to our place.

    Args:
        state: of the app. Its ``manages`` says afterwards which engines are ours.
        config: ``app.config``.

    Raises:
        ConfigurationError: a setting cannot be used.
    """
    given: Mapping[str, Any] = config.get(OPTIONS) or {}
    if not isinstance(given, Mapping):
        raise ConfigurationError(  # without the value: options may hold a password
            f"{OPTIONS} is a {type(given).__name__}, and a dictionary is needed",
            hint=f'Such as {OPTIONS} = {{"pool_size": 10}}.',
        )
    uri = config.get(URI) or given.get("url")
    entries: dict[str | None, Any] = {**dict.fromkeys(state.binds), **(config.get(BINDS) or {})}
    # A default engine may stand among the binds, under None; the URI would be laid over it.
    is_bind = None in entries and not uri
    default = None if is_bind else _entry(state, None, {**given, "url": uri})
    manages: set[str | None] = set()
    for key, value in entries.items():
        if key is None and not is_bind:
            continue
        entry = _entry(state, key, value if isinstance(value, Mapping) else {"url": value})
        if entry is not None:
            entries[key] = entry
            manages.add(key)
    if default is not None:
        manages.add(None)
        config[URI] = default.pop("url")
        config[OPTIONS] = default
    if entries:
        config[BINDS] = entries
    state.manages = frozenset(manages)


def is_elsewhere(config: Mapping[str, Any]) -> bool:
    """Whether the app has set a database that is no PostgreSQL."""
    bind = (config.get(BINDS) or {}).get(None)
    uri = config.get(URI) or (bind.get("url") if isinstance(bind, Mapping) else bind)
    url = _parsed(uri, None) if uri else None
    return url is not None and url.get_backend_name() != "postgresql"


def _entry(state: State, key: str | None, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """An engine's URL and options; None where it leads to no place of ours."""
    options = {name: value for name, value in given.items() if name != "url"}
    own = given.get("url") or None
    if own is None:
        if key is not None and key not in state.binds:
            return None
        url = engine_url(state.endpoint(bind=key), state.driver_of(key))
        # Not the URL itself: other readers of these keys take a text, such as the env.py of
        # Flask-Migrate 2 and all who ask whether it begins with "sqlite".
        text = MaskedURI(url.render_as_string(hide_password=False))
        return {"url": text, **state.engine_options(bind=key, **options)}
    parsed = _parsed(own, key)
    driver = None if parsed is None else _driver(parsed)
    if parsed is None or driver is None:
        return None
    for bind in _order(state, key):
        if _is_at(parsed, state, bind):
            return {"url": own, **state.engine_options(bind=bind, driver=driver, **options)}
    return None


def _order(state: State, key: str | None) -> Iterator[str | None]:
    """Whose place an engine's URL may be: that of the same key first."""
    keys = [None, *state.binds]
    yield from sorted(keys, key=lambda each: each != key)


def _parsed(own: object, key: str | None) -> URL | None:
    if not isinstance(own, (str, URL)):
        return None  # Flask-SQLAlchemy says what is wrong with it
    try:
        url = make_url(own)
    except ArgumentError:
        return None  # as above
    if url.drivername == "postgres":
        raise ConfigurationError(
            f"{URI if key is None else f'{BINDS}[{key!r}]'} begins with postgres://, which "
            "SQLAlchemy does not know",
            hint="Leave it out: PPG sets it from DATABASE_URL. Or spell it postgresql+psycopg://.",
        )
    return url


def _driver(url: URL) -> str | None:
    """Which of our drivers the URL names."""
    if url.get_backend_name() != "postgresql":
        return None
    name = url.get_dialect().driver.removesuffix("_async")
    return name if name in DRIVERS else None


def _is_at(url: URL, state: State, bind: str | None) -> bool:
    current = state.current if bind is None else state.binds[bind]
    return _place(url) in _places(current)


def _places(current: CurrentPair) -> list[tuple[object, ...]]:
    """Where the pair leads, and where it would if no test database stood in for it."""
    places = []
    pairs: tuple[Callable[[], ConnectionPair], ...] = (lambda: current.pair, current.found)
    for pair in pairs:
        with suppress(PPGError):  # there is none
            places.append(_place(pair().pooled.sqlalchemy()))
    return places


def _place(url: URL) -> tuple[object, ...]:
    host = (url.host or "").lower()
    port = url.port or DEFAULT_PORT
    query = (url.query.get("host"), url.query.get("port"))  # sockets, several hosts
    return (host, port, url.username, url.database or url.username, *query)
