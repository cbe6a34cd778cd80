"""Settings: from the environment first, then from ``.env``. The database's are PPG's to find."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

ROOT = Path(__file__).resolve().parent.parent


def from_environment(*, debug: bool) -> dict[str, Any]:
    env = {**dotenv_values(ROOT / ".env"), **os.environ}
    hosts = (env.get("TRUSTED_HOSTS") or "").replace(",", " ").split()
    return {
        # A new key at each start is fine for development (it only ends sessions). Without debug
        # there is none until SECRET_KEY is set, and no form works: several workers that each made
        # up a key of their own would not accept each other's forms.
        "SECRET_KEY": env.get("SECRET_KEY") or (secrets.token_urlsafe(32) if debug else None),
        "SESSION_COOKIE_SECURE": not debug,
        "SESSION_COOKIE_SAMESITE": "Lax",
        # Flask 3.1 answers requests for other hosts with 400; short links are shown with the host.
        "TRUSTED_HOSTS": hosts or None,
        # How many proxies are in front, each of which sets X-Forwarded-For, -Proto and -Host.
        "PROXIES": int(env.get("PROXIES") or 0),
        "PPG_ENV_FILE": ROOT / ".env",
    }
