"""A conversation with a provider's API: one policy for time, retries, limits and errors.

Importing this costs nothing; the HTTP client is imported by the first request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

from ..errors import ProviderError, ProviderUnavailableError
from . import apibase
from .base import Progress, silent
from .fields import Conversation, Fields, Origin
from .http import retries
from .http.call import Call, call
from .http.deadline import Deadline
from .http.failures import Failure, late
from .http.verdict import Judge, Verdict

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..secret import Secret
    from .http.exchange import Exchange

T = TypeVar("T")
Query = Mapping[str, "str | int | bool"]

_NONE: Final[Query] = MappingProxyType({})
_TRY: Final = 10.0  # seconds for one try of a request that may be sent again
_PAGES: Final = 100
_CURSOR: Final = 2_000  # characters


def no_hint(_status: int, _message: str) -> str:
    """For providers that know no more of an error than its status says."""
    return ""


class Rules(NamedTuple):
    """What a provider declares about its API.

    Attributes:
        provider: as in ``PPG_PROVIDER``.
        title: its name, for people.
        retry_always: statuses which mean that nothing was done, so that every method may be sent
            again; after others, and after network faults, only GET is.
        request_id: header of an answer by which the provider's support finds the request.
        hint: what to do about an error, from its status and the provider's redacted message;
            ``""`` where there is nothing better to say than the usual. When to try again is told
            beside it.
    """

    provider: str
    title: str
    retry_always: frozenset[int] = frozenset()
    request_id: str = ""
    hint: Callable[[int, str], str] = no_hint


class Answer(NamedTuple):
    """A successful answer. One without a body has no fields."""

    status: int
    fields: Fields


class API:
    """One verb's, or one resolution's, conversation with a provider; a context manager.

    Not for several threads at once, but nothing is shared between two of them. As soon as a request
    may have changed something, every later error says so by ``nothing_done=False``, those of the
    :class:`Fields` included, until :meth:`answered` is called.

    Args:
        rules: what the provider declares.
        base: URL of the API, from :func:`~ppg_integrations.providers.apibase.api_base`.
        token: for the Authorization header; None for an API without one.
        timeout: seconds for all requests together, from now on; or a deadline that runs already.
        progress: told of waits.

    Raises:
        ConfigurationError: no header can carry the token, or `base` is no address to send it to.
    """

    def __init__(
        self,
        rules: Rules,
        base: str,
        token: Secret | None,
        *,
        timeout: float | Deadline,
        progress: Progress = silent,
    ) -> None:
        from .http.exchange import Exchange

        apibase.check(base, f"the address of {rules.title}'s API")
        self._rules = rules
        self._base = base
        self._progress = progress
        self._deadline = timeout if isinstance(timeout, Deadline) else Deadline(timeout)
        self._conversation = Conversation(rules.provider, rules.title)
        self._exchange: Exchange = Exchange(base, token)
        self._judge = Judge(rules, urlsplit(base).netloc, token, self._deadline)

    def get(self, *path: str, query: Query = _NONE) -> Answer:
        """Reads something.

        Args:
            path: segments below the base URL, not encoded.
            query: parameters; a bool is sent as ``true`` or ``false``.

        Raises:
            ProviderError: the provider refused, or its answer is unusable.
            ProviderUnavailableError: it did not answer in time, or cannot now.
            ConfigurationError: a segment cannot be one, or a variable for proxies or certificates
                is wrong.
        """
        return self._request(call("GET", self._base, path, query))

    def post(
        self, *path: str, query: Query = _NONE, json: Mapping[str, Any] | None = None
    ) -> Answer:
        """Makes or changes something. Raises as :meth:`get`; see ``nothing_done`` there.

        Args:
            json: the body; none where it is None.
        """
        return self._request(call("POST", self._base, path, query, json))

    def delete(self, *path: str, query: Query = _NONE) -> Answer:
        """Ends something. Raises as :meth:`get`; see ``nothing_done`` there."""
        return self._request(call("DELETE", self._base, path, query))

    def pages(
        self,
        *path: str,
        query: Query = _NONE,
        items: str,
        cursor: tuple[str, ...],
        more: tuple[str, ...] = (),
    ) -> Iterator[Fields]:
        """Everything in a list that comes in pages. Ends with any server, also one that loops.

        What has an ``id`` comes once: lists shift while they are read, and some servers repeat the
        last item on the next page.

        Args:
            items: member of each answer that holds the list.
            cursor: path of the next page's cursor, which is sent back as ``cursor``.
            more: path of a flag that has to be true for another page; empty where there is none.

        Raises:
            ProviderError: as :meth:`get`; or there are more than 100 pages.
        """
        seen: set[str] = set()
        given: set[str] = set()
        after = ""
        before: tuple[Fields, ...] = ()
        for _ in range(_PAGES):
            fields = self.get(*path, query={**query, "cursor": after} if after else query).fields
            page = fields.each(items)
            if page == before:  # a server that does not look at the cursor
                return
            for each in page:
                if not each.identity or each.identity not in given:
                    given.add(each.identity)
                    yield each
            before = page
            after = fields.maybe_text(*cursor)
            last = not page or not after or after in seen or len(after) > _CURSOR
            if last or (more and not fields.maybe_flag(*more)):
                return
            seen.add(after)
        raise ProviderError(
            f"{self._rules.title}'s list of {items} goes on after {_PAGES} pages",
            hint="Name the one that is meant by its id.",
            provider=self._rules.provider,
            nothing_done=not self._conversation.changed,
        )

    def until(self, poll: Callable[[], T | None], *, what: str, every: float = 1.0) -> T:
        """Waits for something that takes its time.

        Args:
            poll: asks for it; None means not yet.
            what: for `progress`, and for the error: "waiting for the database".
            every: seconds between two questions.

        Raises:
            ProviderUnavailableError: it did not come to be before the deadline.
        """
        self._progress(what)
        try:
            found = retries.poll(poll, every, self._deadline)
        except ProviderUnavailableError:
            if self._deadline.rest() > 0:
                raise
            found = None
        if found is None:
            raise self._marked(self._judge.waited(what))
        return found

    def answered(self) -> None:
        """The answer to the latest change has been understood: nothing is left to be found out."""
        self._conversation.changed = False

    def close(self) -> None:
        """Closes the connections; the next request would open new ones."""
        self._exchange.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _request(self, call: Call) -> Answer:
        verdict = retries.persist(lambda: self._attempt(call), self._deadline, self._progress)
        self._conversation.changed |= verdict.changed
        if verdict.error is not None:
            raise self._marked(verdict.error)
        origin = Origin(self._conversation, call.shown, verdict.status, verdict.request_id)
        return Answer(verdict.status, Fields(verdict.data, origin))

    def _attempt(self, call: Call) -> Verdict:
        rest = self._deadline.rest()
        # What cannot be sent again is waited for: giving up on it early helps nobody.
        seconds = min(_TRY, rest) if call.reads else rest
        reply = self._exchange.send(call, seconds) if rest > 0 else late(sent=False)
        if isinstance(reply, Failure):
            return self._judge.failed(call, reply, seconds)
        return self._judge.judge(call, reply)

    def _marked(self, error: ProviderError) -> ProviderError:
        error.nothing_done = not self._conversation.changed
        return error
