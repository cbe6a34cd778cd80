"""SQLAlchemy engines whose connections lead where the pair leads when they are opened."""

from __future__ import annotations

from .engines import create_async_engine, create_engine

__all__ = ["create_async_engine", "create_engine"]
