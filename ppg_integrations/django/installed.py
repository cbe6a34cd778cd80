"""The one check that cannot wait for this package's app to be ready: whether it is one at all."""

from __future__ import annotations

import sys
from typing import Any

from . import state

TAG = "ppg"


def register() -> None:
    """Registers the check, where a command that runs checks has loaded them already.

    Settings are imported before that only by processes that run none, and those need not load them.
    """
    checks = sys.modules.get("django.core.checks")
    if checks is not None and hasattr(checks, "register"):  # it may be loading at the moment
        checks.register(check_installed, TAG)


def check_installed(**_: Any) -> list[Any]:
    """``databases()`` makes settings; the rest of this package is an app's."""
    from django.apps import apps
    from django.core.checks import Warning as CheckWarning

    from .findings import TABLE

    if apps.is_installed("ppg_integrations.django") or not state.registered():
        return []
    row = TABLE["ppg.W014"]
    return [CheckWarning(row.text, hint=row.hint, id="ppg.W014")]
