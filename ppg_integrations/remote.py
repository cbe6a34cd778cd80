"""Asks a provider's API for a pair: once on each machine, for all its processes."""

from __future__ import annotations

import time
from dataclasses import astuple
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from . import credential_cache, kept, names, providers
from .credential_cache import Slot
from .errors import (
    ConfigurationError,
    EnvFileError,
    PPGError,
    ProviderError,
    ProviderUnavailableError,
)
from .kept import Kept
from .pair import ConnectionPair, Source
from .providers import gitbranch
from .providers.base import Generated, Progress, silent
from .providers.target import target
from .remembered import when

if TYPE_CHECKING:
    from collections.abc import Mapping

    from filelock import BaseFileLock

    from .providers.base import Provider
    from .providers.settings import Settings

#: Seconds between two looks at what the process that holds the lock has found out.
_LOOK: Final = 0.2
_POLL: Final = 0.05
#: Seconds of waiting that take nothing off the deadline.
_SHORT: Final = 0.3
#: Seconds that an API is waited for at most where there is an older answer.
_PATIENCE: Final = 10.0


def resolve_remote(
    settings: Settings,
    provider: str,
    options: Mapping[str, str] = MappingProxyType({}),
    *,
    progress: Progress = silent,
) -> ConnectionPair:
    """The pair as the provider's API gives it, or gave it within the last hour.

    The answer is kept for the other processes of this user on this machine. Of those that ask at
    the same time one does; the others wait, and take its answer or its failure for their own. While
    the API is down an older answer serves, with a warning in the pair, after ten seconds at most;
    after a refusal none does.

    Args:
        settings: the environment and the ``.env`` file. ``PPG_RESOLVE=fresh`` passes over the
            cache; ``PPG_TIMEOUT`` limits all of this together, in seconds.
        provider: as in ``PPG_PROVIDER``; its token is set.
        options: ``project``, ``database``, ``branch`` and ``role``, before the variables.
        progress: told before anything that may take a while.

    Raises:
        ProviderError: the provider does not show it, or not now. Neither it nor its traceback holds
            the token.
        ConfigurationError: a variable holds what cannot be used.
    """
    try:
        return _Resolution(settings, provider, options, progress).pair()
    except PPGError as error:
        failure = error
    # Without the frames of the HTTP client: those have the token in their headers, and settings
    # modules fail under error reporters that print local variables.
    failure.__traceback__ = failure.__cause__ = failure.__context__ = None
    raise failure


class _Resolution:
    """One process that needs a pair."""

    def __init__(
        self, settings: Settings, name: str, options: Mapping[str, str], progress: Progress
    ) -> None:
        self._began = time.monotonic()
        self._timeout = settings.timeout
        self._settings = settings
        self._provider = providers.load(name, settings)
        self._target = target(self._provider, settings, options)
        self._fresh = settings.get(names.RESOLVE).lower() == "fresh"
        self._reads = "read" in self._provider.capabilities
        self._generates = not self._reads and names.truthy(settings.get(names.GENERATE))
        self._progress = progress
        self._said: list[str] = []
        wanted = settings.find(names.WITH_REPLICA)
        self._replica = wanted is not None and names.truthy(wanted.value)
        if self._replica and "replica" not in self._provider.capabilities:
            self._replica = False
            self._said.append(
                f"{self._provider.title} has no read replicas: {names.WITH_REPLICA} changes nothing"
            )

    def pair(self) -> ConnectionPair:
        if not (self._reads or self._generates):
            self._ask()  # which says why it cannot be
        try:
            slot = Slot(self._provider.name, self._key(), generated=self._generates)
        except EnvFileError as error:
            if self._generates:
                raise
            self._said.append(f"each process asks the API for itself: {error.message}")
            return self._as_pair(self._ask(), None)
        if self._older(slot) is not None:
            self._timeout = min(self._timeout, _PATIENCE)
        try:
            return self._shared(slot)
        except ProviderUnavailableError as error:
            older = self._older(slot)
            if older is None:
                raise
            self._said.append(
                f"{error.message}; the URLs that it gave at {when(older)} are used until it answers"
            )
            return self._as_pair(older, slot)

    def _key(self) -> str:
        provider = self._provider
        return kept.key(
            self._settings,
            astuple(self._target),
            api_variables=provider.api_variables,
            variables=[*provider.variables.values()],
            tokens=providers.tokens(provider.name),
            replica=self._replica,
            git_branch=self._git_branch(),
        )

    def _git_branch(self) -> str:
        """What ``auto`` means now: the next checkout asks another question."""
        if self._target.branch not in (gitbranch.AUTO, gitbranch.AUTO_OR_DEFAULT):
            return ""
        try:
            return gitbranch.current(self._settings, self._settings.folder).name
        except ConfigurationError:
            return ""  # an error to the provider, or a reason to take its default branch

    def _older(self, slot: Slot) -> Kept | None:
        return None if self._fresh and not self._generates else slot.read()

    def _known(self, slot: Slot) -> Kept | None:
        """An answer that makes ours superfluous; raises the failure that does.

        Whatever was found out after we began to wait is as good as if we had asked.
        """
        older = slot.read()
        if older is not None:
            lasts = self._generates or older.is_fresh()
            if self._is_since(older.clock) or (lasts and not self._fresh):
                return older
        failure = slot.failure()
        if failure is not None and self._is_since(failure.clock):
            raise failure.error
        return None

    def _is_since(self, clock: float) -> bool:
        # Not later than now either: the clock begins anew when the machine does.
        return self._began <= clock <= time.monotonic()

    def _shared(self, slot: Slot) -> ConnectionPair:
        older = self._known(slot)
        if older is not None:
            return self._as_pair(older, slot)
        lock = slot.lock()
        try:
            older = self._waited(slot, lock)
            return self._asked(slot) if older is None else self._as_pair(older, slot)
        finally:
            lock.release()

    def _waited(self, slot: Slot, lock: BaseFileLock) -> Kept | None:
        """What another process found out meanwhile; None when it is our turn to ask."""
        from filelock import Timeout

        while True:
            try:
                lock.acquire(timeout=_LOOK, poll_interval=_POLL)
            except Timeout:
                pass
            except (OSError, NotImplementedError):
                return None  # a file system without locks: each process asks for itself
            older = self._known(slot)
            if older is not None or lock.is_locked:
                return older
            if self._left() <= 0:
                raise ProviderUnavailableError(
                    f"another process asks {self._provider.title}'s API for the same pair, and had "
                    f"no answer within {self._timeout:g} s",
                    hint=f"Try again; {names.TIMEOUT}={self._timeout * 2:g} waits longer.",
                    provider=self._provider.name,
                )

    def _asked(self, slot: Slot) -> ConnectionPair:
        """Asks, for everybody who waits."""
        if self._generates:
            from . import machine

            found = machine.connection(
                slot,
                self._in_time(),
                self._target,
                self._said,
                self._progress,
                replica=self._replica,
            )
            return self._as_pair(found, slot)
        mark = credential_cache.mark(slot, self._provider.name)
        try:
            answer = self._ask()
        except PPGError as error:
            slot.note(error)
            if isinstance(error, ProviderError) and error.status == 401:
                slot.drop()
            raise
        try:
            slot.write(answer.id, answer.pooled, answer.direct, answer.replica, mark=mark)
        except EnvFileError as error:
            self._said.append(f"each process asks the API for itself: {error.message}")
            return self._as_pair(answer, None)
        return self._as_pair(answer, slot)

    def _ask(self) -> Generated:
        provider = self._in_time()
        self._progress(f"asking {provider.title}'s API for the pair")
        if self._replica:
            return provider.read(self._target, self._progress, replica=True)
        return provider.read(self._target, self._progress)

    def _in_time(self) -> Provider:
        """The provider, with the time that is left after waiting for another process."""
        left = self._left()
        if self._settings.timeout - left < _SHORT:
            return self._provider
        return providers.load(self._provider.name, self._settings.within(round(left, 1)))

    def _left(self) -> float:
        return max(0.0, self._began + self._timeout - time.monotonic())

    def _as_pair(self, found: Kept | Generated, slot: Slot | None) -> ConnectionPair:
        name, title = self._provider.name, self._provider.title
        if self._generates:
            source = Source("provider", name, slot.path if slot else "")
        else:
            cached = f"cached at {when(found)}" if isinstance(found, Kept) else ""
            source = Source("api", title, cached)
        return ConnectionPair(
            found.pooled,
            found.direct,
            source,
            source,
            name,
            tuple(self._said),
            self._settings.path,
            found.replica,
            source if found.replica else None,
            slot.path if slot else None,
        )
