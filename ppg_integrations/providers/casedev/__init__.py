"""case.dev (https://case.dev): its API shows the secrets of branches that exist.

It has no way to change or end a credential. It left the SDK with version 0.72, so its routes may go
as well. ``provider`` is the way in; ``things`` are its projects and branches, ``uris`` the two URLs
of a branch; ``rules`` is what the API declares.
"""

from .provider import CasedevProvider

__all__ = ["CasedevProvider"]
