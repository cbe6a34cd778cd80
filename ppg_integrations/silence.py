"""A pooler that does not answer, explained by what the server says to who asks it directly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .errors import ConnectError

if TYPE_CHECKING:
    from .pair import ConnectionPair

#: PgBouncer says neither of a login that its server refuses: it tries again, and lets clients wait.
_WAITING: Final = frozenset({"timeout", "upstream"})
#: What the server refuses, by the code of its answer; adding a row is the whole change.
_REFUSALS: Final = {
    "no-database": "has no database {database!r}",
    "no-role": "knows no user {user!r}",
    "wrong-password": "does not take the password of {user!r}",
}


def explained(
    pair: ConnectionPair, pooled: ConnectError, direct: ConnectError | None
) -> ConnectError:
    """Why the pooled endpoint was not reached: what the direct one was told, where that is why.

    Args:
        pooled, direct: what became of connecting to each; None where one was connected to.
    """
    why = _REFUSALS.get(direct.code) if direct is not None else None
    if pair.direct is None or direct is None or why is None or pooled.code not in _WAITING:
        return pooled
    one, two = pair.pooled, pair.direct
    if (one.dbname, one.user, one.password) != (two.dbname, two.user, two.password):
        return pooled  # the pooler asks for another login
    refusal = why.format(database=two.dbname, user=two.user)
    return ConnectError(
        f"{pooled.message}: the pooler cannot log in to the server, which {refusal}, as the direct "
        "endpoint shows",
        hint=direct.hint,
        code=direct.code,
    )
