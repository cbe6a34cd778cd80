"""``doctor``: the pair in use, asked on the live servers."""

from __future__ import annotations

from .. import doctor
from .context import Context


def diagnose(context: Context) -> doctor.Diagnosis:
    """Probes both endpoints and says what is wrong with them.

    Raises:
        ConfigurationError: there is no pair to probe.
        DriverError: no PostgreSQL driver is installed.
    """
    pair = context.pair()
    context.progress("asking both endpoints")
    return doctor.diagnose(pair)
