"""The text of an engine's URL, for ``app.config``."""

from __future__ import annotations

from sqlalchemy import make_url

from ppg_integrations.secret import MaskedStr


class MaskedURI(MaskedStr):
    """A URL that any reader of texts can use, and that hides its password where it is shown.

    ``str``, ``format`` and ``%s`` give what they give of a ``sqlalchemy.URL``.
    The methods of texts, and JSON, see the password.
    """

    __slots__ = ()

    def __str__(self) -> str:
        return make_url("".join(self)).render_as_string()

    def __repr__(self) -> str:
        return repr(str(self))

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)
