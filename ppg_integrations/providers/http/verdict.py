"""What a reply, or the lack of one, means: an answer, an error, or another try."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ... import names
from ...errors import ProviderError, ProviderUnavailableError, joined
from ..printable import printable
from . import errortext, jsontext, redaction, retryafter

if TYPE_CHECKING:
    from ...secret import Secret
    from ..api import Rules
    from .call import Call
    from .deadline import Deadline
    from .exchange import Reply
    from .failures import Failure


@dataclass(frozen=True)
class Verdict:
    """Either an `error` or none, and then `data` is what the answer holds.

    Attributes:
        again: whether it may be sent again.
        patient: whether it may be sent again until the deadline.
        after: seconds that the server asks to wait before that.
        changed: whether something may have been changed.
    """

    status: int = 0
    request_id: str = ""
    data: dict[str, Any] = field(default_factory=dict, repr=False)
    error: ProviderError | None = None
    again: bool = False
    patient: bool = False
    after: float | None = None
    changed: bool = False


class Judge:
    """Judges the replies of one API.

    Args:
        rules: what its provider declares.
        host: where it is, with its port if that is not the usual one, for messages.
        token: to be taken out of whatever the server says.
        deadline: of everything.
    """

    def __init__(self, rules: Rules, host: str, token: Secret | None, deadline: Deadline) -> None:
        self._rules = rules
        self._host = printable(host)
        self._token = token
        self._deadline = deadline

    def waited(self, what: str) -> ProviderError:
        """The error for something that did not come to be in time."""
        return ProviderUnavailableError(
            f"{self._rules.title}: {what} took longer than {self._deadline.seconds:g} s",
            hint=f"Run this again: it goes on from here. {self._longer()}",
            provider=self._rules.provider,
        )

    def failed(self, call: Call, failure: Failure, seconds: float) -> Verdict:
        """`failure` came of `call` within a limit of `seconds`."""
        text = f"{self._subject()} {failure.text}"
        hint = failure.hint
        if failure.late:
            over = self._deadline.rest() <= 0
            text += f" within {round(self._deadline.seconds if over else seconds, 2):g} s"
            hint = hint or f"Try again. {self._longer()}"
        elif not hint:
            hint = "Try again in a minute." if failure.unavailable else self._is_it()
        kind = ProviderUnavailableError if failure.unavailable else ProviderError
        return Verdict(
            error=kind(f"{text} ({call.shown})", hint=hint, provider=self._rules.provider),
            again=failure.again and (call.reads or not failure.sent),
            changed=failure.sent and not call.reads,
        )

    def _is_it(self) -> str:
        return f"Is {self._host} the provider's API, and not a page or a proxy?"

    def _longer(self) -> str:
        seconds = min(max(1.0, 2 * self._deadline.seconds), 3600.0)
        return f"{names.TIMEOUT}={seconds:g} waits longer."

    def judge(self, call: Call, reply: Reply) -> Verdict:
        """What `reply` to `call` means."""
        status = reply.status
        given = (
            reply.headers.get(self._rules.request_id.lower(), "") if self._rules.request_id else ""
        )
        request_id = redaction.line(given, self._token, most=100)
        if 200 <= status < 300:
            return self._accepted(call, reply, request_id)
        safe = status in self._rules.retry_always
        passing = status in (408, 425, 429) or (status >= 500 and status != 501)
        unsure = (status >= 500 or status == 408) and not safe and not call.reads
        after = retryafter.seconds(reply.headers.get("retry-after", ""))
        return Verdict(
            status,
            request_id,
            error=self._refusal(call, reply, request_id, after if safe or passing else None),
            again=safe or (passing and call.reads),
            patient=safe,
            after=after,
            changed=unsure,
        )

    def _accepted(self, call: Call, reply: Reply, request_id: str) -> Verdict:
        data = jsontext.parse(reply.body) if reply.body.strip() else {}
        if not isinstance(data, str):
            return Verdict(reply.status, request_id, data=data, changed=not call.reads)
        error = self._error(
            ProviderError,
            f"{self._rules.title}'s answer to {call.shown} is {data}",
            reply,
            request_id,
            hint=self._is_it(),
        )
        return Verdict(reply.status, request_id, error=error, changed=not call.reads)

    def _refusal(
        self, call: Call, reply: Reply, request_id: str, after: float | None
    ) -> ProviderError:
        status = reply.status
        if 300 <= status < 400:
            return self._error(
                ProviderError,
                f"{self._subject()} redirected {call.shown} to {_target(reply)}, which was not "
                "followed: the token is not for other addresses",
                reply,
                request_id,
                hint=f"If the API has moved there, set {names.API_URL}.",
            )
        said = errortext.message(reply, self._token)
        text = f"{self._subject()} answered {status} to {call.shown}"
        text += f": {said}" if said else ""
        if status >= 500 and request_id:
            text += f" (request {request_id})"
        unavailable = status in self._rules.retry_always or status in (408, 425, 429)
        unavailable = unavailable or status >= 500
        later = "Try again in a minute." if unavailable and status != 501 else ""
        return self._error(
            ProviderUnavailableError if unavailable else ProviderError,
            text,
            reply,
            request_id,
            hint=joined(
                self._rules.hint(status, said) or hints_for(status, self._rules.provider),
                later if after is None else retryafter.advice(after),
            ),
        )

    def _error(
        self, kind: type[ProviderError], text: str, reply: Reply, request_id: str, *, hint: str
    ) -> ProviderError:
        return kind(
            text,
            hint=hint,
            provider=self._rules.provider,
            status=reply.status,
            request_id=request_id,
            body="" if _may_be_an_answer(reply) else redaction.body(reply.body, self._token),
        )

    def _subject(self) -> str:
        return f"{self._rules.title}'s API at {self._host}"


def hints_for(status: int, provider: str) -> str:
    """What to do about an error of that status, where the provider's module does not say.

    When to try again is told beside it.
    """
    from .. import NAMES, tokens

    variables = tokens(provider) if provider in NAMES else ()
    token = f"the token in {' or '.join(variables)}" if variables else "the token"
    if status == 401:
        return f"Is {token} complete and not revoked? Make a new one in the provider's console."
    if status == 403:
        return f"Give {token} the right to do this, or use another one."
    if status == 404:
        return f"Are {', '.join(names.TARGET.values())} right, and may {token} see that?"
    if status == 429:
        return "These were too many requests."
    if status in (408, 425) or status >= 500:
        return "This is the provider's trouble."
    return "Change what it names there, then run this again."


def _may_be_an_answer(reply: Reply) -> bool:
    """Whether secrets are what the body is made for. Then not even a redacted one is kept."""
    return 200 <= reply.status < 300 and reply.body.lstrip()[:1] in (b"{", b"[", b'"')


def _target(reply: Reply) -> str:
    """The host of a redirect, and nothing else of its address: the rest may hold a secret."""
    try:
        host = urlsplit(reply.headers.get("location", "")).hostname
    except ValueError:
        host = None
    return printable(host, most=100) if host else "another path"
