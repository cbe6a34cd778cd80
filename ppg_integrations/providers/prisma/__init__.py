"""Prisma Postgres (https://www.prisma.io/postgres): its API shows a secret once, when it is made.

``provider`` is the way in. ``places`` finds the project and the database that are meant; ``making``
makes them; ``credentials`` makes connections and reads the two URLs; ``lost`` finds out what became
of a request without an answer; ``usage`` reads the limits; ``rules`` is what its API declares.
Temporary databases, for which nobody needs an account, are in ``providers/prisma_temporary.py``.
"""

from .provider import PrismaProvider

__all__ = ["PrismaProvider"]
