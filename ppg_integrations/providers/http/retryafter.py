"""The ``Retry-After`` header: seconds, or a date (RFC 9110, section 10.2.3)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Final

_MOST: Final = 10**8  # seconds, three years: "never"


def seconds(value: str) -> float | None:
    """How long the server asks to wait; None where it does not say, or not so that it is clear."""
    value = value.strip()
    if re.fullmatch(r"[0-9]+", value):
        return float(min(int(value[:10]), _MOST))
    try:
        when = parsedate_to_datetime(value)
        when = when if when.tzinfo else when.replace(tzinfo=timezone.utc)
        rest = (when - datetime.now(timezone.utc)).total_seconds()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return min(max(0.0, rest), float(_MOST))


def advice(wait: float) -> str:
    """That wait as a sentence for people."""
    if wait >= _MOST:
        return "It asks not to come back for years."
    when = datetime.now(timezone.utc) + timedelta(seconds=wait)
    return f"It asks to come back in {wait:.0f} s, at {when:%Y-%m-%d %H:%M:%S} UTC."
