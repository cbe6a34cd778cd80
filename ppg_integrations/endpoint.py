"""Where connections lead: one half of a pair, as it is when they are opened."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from .connect_settings import DEFAULT, ConnectSettings
from .encryption import secured

if TYPE_CHECKING:
    from .current import CurrentPair
    from .urls import PostgresURL


class Destination(NamedTuple):
    """Where a new connection leads.

    Attributes:
        url: the endpoint, encrypted as its host demands.
        kept: False if the connection may be used once, and must not stay in a pool.
    """

    url: PostgresURL
    kept: bool = True


class Endpoint:
    """One half of a pair, as something that connects asks for it: for each new connection."""

    def __init__(
        self,
        current: CurrentPair,
        *,
        direct: bool = False,
        diverted: Callable[[], bool] | None = None,
        settings: ConnectSettings = DEFAULT,
    ) -> None:
        """Looks at nothing yet.

        Args:
            current: the pair.
            direct: the direct half; the pooled one by default.
            diverted: says of the calling thread that what it connects to now is to be direct, for
                once.
            settings: how connections to it are opened and kept.
        """
        self.current = current
        self.direct = direct
        self.settings = settings
        self._diverted = diverted

    def destination(self) -> Destination:
        """Where a connection that is opened now leads.

        Raises:
            MissingDirectURLError: it would be the direct endpoint, which is not known.
            PPGError: there is no pair, or nothing to verify its certificate with.
        """
        pair = self.current.pair
        diverted = not self.direct and self.is_diverted()
        url = pair.require_direct() if self.direct or diverted else pair.pooled
        return Destination(secured(url, self.settings.sslmode), kept=not diverted)

    def is_diverted(self) -> bool:
        """Whether what the calling thread connects to now is to be direct, for once."""
        return self._diverted is not None and self._diverted()

    def __deepcopy__(self, _memo: object) -> Endpoint:
        return self  # a copy of a framework's configuration asks the same pair

    def __repr__(self) -> str:
        return f"<{'direct' if self.direct else 'pooled'} endpoint>"
