"""The app at hand, of Flask or of Quart."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from flask import current_app, has_app_context

from ppg_integrations.errors import ConfigurationError

if TYPE_CHECKING:
    from flask.sansio.app import App


def app() -> App:
    """The app whose context this is.

    Raises:
        ConfigurationError: this is in no app's context.
    """
    if has_app_context():
        return _object(current_app)
    quart = sys.modules.get("quart")
    if quart is not None and quart.has_app_context():
        return _object(quart.current_app)
    raise ConfigurationError(
        "this is outside of any app context, and PPG keeps each app's pair in the app",
        hint='Do it within `with app.app_context():`, or take it from app.extensions["ppg"].',
    )


def _object(proxy: Any) -> App:
    found: App = proxy._get_current_object()  # noqa: SLF001 - documented for extensions
    return found
