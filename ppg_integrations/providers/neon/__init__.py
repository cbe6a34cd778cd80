"""Neon (https://neon.com): its API shows the secrets of connections that exist.

``provider`` is the way in. ``place`` finds the project, branch, database, role and compute that
are meant, with ``projects`` and ``branches``; ``making`` makes what is missing; ``uris`` reads the
pair; ``operations`` waits; ``rotating`` sets passwords; ``retiring`` ends roles and branches;
``settling`` finds out what became of a request; ``rules`` is what the API declares.
"""

from .provider import NeonProvider

__all__ = ["NeonProvider"]
