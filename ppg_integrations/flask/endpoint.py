"""The endpoints of an app: in a command, their errors are ones that click prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ppg_integrations.endpoint import Endpoint
from ppg_integrations.errors import PPGError

from .printable import printable

if TYPE_CHECKING:
    from ppg_integrations.endpoint import Destination


class AppEndpoint(Endpoint):
    """What the engines of an app ask.

    A command without a pair, or ``flask db upgrade`` without the direct URL, meets the error deep
    in an engine. It shall end with the message and the hint, and no traceback.
    """

    def destination(self) -> Destination:
        """As :meth:`.Endpoint.destination`.

        Raises:
            PPGError: as there. In a command it is a ``click.ClickException`` as well.
        """
        try:
            return super().destination()
        except PPGError as error:
            raise printable(error)  # noqa: B904 - it is the same one, or has it for its cause
