"""Getting both servers up, whatever state the last run left behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from ...drivers import connect
from ...errors import LocalServerError
from ...urls import PostgresURL
from . import certificates, pgbouncer_binary, ports, postgres_binaries, processes, roles
from .pgbouncer import PgBouncer, Pool
from .postgres import ADMIN, PortTaken, Postgres
from .programs import version_number
from .status import LocalStatus, describe

if TYPE_CHECKING:
    from ..base import Progress
    from .account import Account
    from .files import Store

_PORT_TRIES: Final = 5


class Wish(NamedTuple):
    """What the caller asks for."""

    settings: Mapping[str, str]  # of postgresql.conf
    pool: Pool
    environ: Mapping[str, str]
    progress: Progress
    look_again: bool = False  # for a pooler, though PostgreSQL runs without one


def start(wish: Wish, store: Store, account: Account) -> LocalStatus:
    """Starts what does not run. The caller holds the lock.

    Raises:
        LocalServerError: PostgreSQL is not to be found, or one of the two does not start.
    """
    return _Start(wish, store, account).run()


class _Start:
    """One start: the state that it began with, and what it has to tell at its end."""

    def __init__(self, wish: Wish, store: Store, account: Account) -> None:
        self._wish = wish
        self._store = store
        self._account = account
        self._state = store.state()
        before = self._state.server_folder
        self._folder = store.make_server_folder(account, self._state)
        self._postgres = Postgres(self._folder)
        self._pooler = PgBouncer(self._folder)
        self._moved: dict[int, int] = {}
        self._notes: list[str] = []
        if self._state.server_folder != before:
            self._notes.append(
                f"The data lie in {self._folder}, because {account.name}, as whom the servers run, "
                f"cannot get at {store.folder}."
            )

    def run(self) -> LocalStatus:
        postgres = self._postgres.running()
        if postgres is not None and postgres.port not in (0, self._state.postgres_port):
            self._postgres.stop()  # nobody would find it
            postgres = None
        if postgres is None and not self._pooler.running():
            # Together or not at all: counters match the lines of one with those of the other.
            processes.rotate((self._postgres.log, self._pooler.log))
        if postgres is None or (not postgres.ready and not self._postgres.wait(postgres.pid)):
            self._start_postgres()
        pooler = self._pooler.running()
        if pooler and (not self._state.pooler_port or self._state.no_pooler):
            self._pooler.stop()
            pooler = 0
        # Looking for one may mean a fetch, which is not to be repeated with each `generate`.
        if not pooler and not (postgres and self._state.no_pooler and not self._wish.look_again):
            self._start_pooler()
        return describe(self._store, self._state, moved=self._moved, notes=tuple(self._notes))

    def _start_postgres(self) -> None:
        wish, postgres, state, account = self._wish, self._postgres, self._state, self._account
        install, version = postgres_binaries.find(
            wish.environ, account, self._folder, major=postgres.major()
        )
        if not postgres.major():
            passwords = self._store.passwords(make=True)
            wish.progress(f"making a data folder for PostgreSQL {version}")
            sync = wish.settings.get("fsync", "on") != "off"
            postgres.initialise(install, account, passwords["admin"], sync=sync)
        self._store.passwords()  # before a start that could not be used
        before = state.postgres_port, state.tls
        state.no_tls = ""
        certificate = None
        if not postgres.supports_tls(install, account):
            state.no_tls = f"{install.origin} is built without it"
        else:
            certificate = certificates.ensure(self._folder / "tls", account)
            if certificate is None:
                state.no_tls = 'it takes pip install "ppg-integrations[local]"'
        state.tls = certificate is not None
        wish.progress(f"starting PostgreSQL {version}")

        def attempt(port: int) -> None:
            state.postgres_port = port
            self._store.remember(state)  # first: we may be killed at any point from here on
            postgres.configure(account, port, certificate, wish.settings)
            postgres.start(install, account)

        state.postgres_version = version
        self._on_a_port("PostgreSQL", before[0], state.pooler_port, attempt)
        if before != (state.postgres_port, state.tls):
            self._pooler.stop()  # one that outlived the last server knows only how to reach that

    def _make_pooler_role(self) -> None:
        passwords = self._store.passwords()
        url = PostgresURL.build(
            host=ports.LOOPBACK,
            port=self._state.postgres_port,
            user=ADMIN,
            password=passwords["admin"],
            database="postgres",
            params={"sslmode": "require" if self._state.tls else "prefer"},
        )
        with connect(url, application_name="ppg local") as connection:
            roles.ensure_pooler_role(connection, passwords["pooler"])

    def _start_pooler(self) -> None:
        wish, state, account = self._wish, self._state, self._account
        found = pgbouncer_binary.find(wish.environ, account, self._folder, wish.progress)
        if not isinstance(found, str) and state.tls and "tls: " not in found[1].lower():
            found = f"{found[0].program} is built without TLS"
        if isinstance(found, str):
            if state.pooler_port and not state.no_pooler:
                self._moved[state.pooler_port] = state.postgres_port
            # Its port stays remembered, so that URLs are right again once it is back.
            state.no_pooler, state.pooler_version = found, ""
            self._store.remember(state)
            return
        self._make_pooler_role()
        install, text = found
        version = version_number(text)
        appeared, state.no_pooler = bool(state.no_pooler), ""
        tls = certificates.ensure(self._folder / "tls", account) if state.tls else None
        passwords = self._store.passwords()
        wish.progress(f"starting PgBouncer {version}")

        def attempt(port: int) -> None:
            state.pooler_port = port
            self._store.remember(state)
            self._pooler.configure(
                account,
                version,
                wish.pool,
                port=port,
                postgres_port=state.postgres_port,
                passwords=passwords,
                certificate=tls,
            )
            self._pooler.start(install, account, port)

        state.pooler_version = version
        self._on_a_port("PgBouncer", state.pooler_port, state.postgres_port, attempt)
        if appeared:
            self._notes.append(
                f"There is a pooler now, on port {state.pooler_port}. `local start` "
                "points the pooled URL of a .env file from before to it."
            )

    def _on_a_port(
        self, name: str, remembered: int, other: int, attempt: Callable[[int], None]
    ) -> None:
        """Starts a server on its remembered port, or on another one where that is taken."""
        port = remembered
        tried = {other}
        for _ in range(_PORT_TRIES):
            if not port or not ports.is_free(port):
                port = ports.choose(but=tried)
            if remembered and port != remembered:
                self._state.leave(remembered)  # the attempt writes it down
            try:
                attempt(port)
            except PortTaken:
                tried.add(port)
                port = 0
                continue
            if remembered and port != remembered:
                self._moved[remembered] = port
                text = (
                    f"{name} moved from port {remembered}, which another program uses, to {port}."
                )
                self._notes.append(text)
                self._wish.progress(text)
            return
        raise LocalServerError(f"{name} found {_PORT_TRIES} ports taken one after the other")
