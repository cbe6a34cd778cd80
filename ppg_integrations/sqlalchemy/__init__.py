"""SQLAlchemy engines whose connections lead where the pair leads when they are opened."""

from __future__ import annotations

from .engines import create_async_engine, create_engine
from .options import default_driver, engine_options, engine_url

__all__ = [
    "create_async_engine",
    "create_engine",
    "default_driver",
    "engine_options",
    "engine_url",
]
