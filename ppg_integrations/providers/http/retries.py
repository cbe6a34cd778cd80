"""When a request is sent again, and how long after."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenacity import RetryCallState

    from ..base import Progress
    from .deadline import Deadline
    from .verdict import Verdict

T = TypeVar("T")

#: Seconds: the first wait is up to this long, each later one up to twice the one before ...
FIRST = 0.5
#: ... and never longer than this, unless the server asks for more.
LONGEST: Final = 8.0
#: Tries in all, after failures that may last. What the provider calls safe is tried until the end.
TRIES: Final = 4
_SHOWN: Final = 0.5  # seconds; what waits longer says so


def persist(attempt: Callable[[], Verdict], deadline: Deadline, progress: Progress) -> Verdict:
    """Makes attempts until one is final, and returns the last one.

    A wait that ends after the deadline is not begun. Where the deadline cuts an attempt short, what
    the server had said before explains more than its silence: that is returned.
    """
    from tenacity import Retrying, retry_if_result, wait_random_exponential

    said: list[Verdict] = []

    def made() -> Verdict:
        verdict = attempt()
        if verdict.status:
            said[:] = [verdict]
        elif said and deadline.rest() <= 0:
            return replace(said[0], again=False, changed=said[0].changed or verdict.changed)
        return verdict

    backoff = wait_random_exponential(multiplier=FIRST, max=LONGEST)

    def wait(state: RetryCallState) -> float:
        asked = _verdict(state).after
        # A herd that is told the same second shall not come back in the same instant.
        return backoff(state) if asked is None else asked + min(backoff(state), asked / 10)

    def stop(state: RetryCallState) -> bool:
        enough = state.attempt_number >= TRIES and not _verdict(state).patient
        return enough or state.upcoming_sleep >= deadline.rest()

    def tell(state: RetryCallState) -> None:
        if state.upcoming_sleep > _SHOWN:
            error = _verdict(state).error
            assert error is not None
            progress(f"{error.message}; trying again in {state.upcoming_sleep:.1f} s")

    retrying = Retrying(
        retry=retry_if_result(lambda verdict: verdict.again),
        wait=wait,
        stop=stop,
        before_sleep=tell,
        sleep=time.sleep,
        retry_error_callback=_verdict,
    )
    return retrying(made)


def poll(ask: Callable[[], T | None], every: float, deadline: Deadline) -> T | None:
    """Asks until there is an answer; None where time is up before. What `ask` raises goes through.

    Args:
        every: seconds between two questions.
    """
    from tenacity import Retrying, retry_if_result, wait_fixed

    retrying = Retrying(
        retry=retry_if_result(lambda answer: answer is None),
        wait=wait_fixed(every),
        stop=lambda state: state.upcoming_sleep >= deadline.rest(),
        sleep=time.sleep,
        retry_error_callback=lambda _state: None,
    )
    return retrying(ask)


def _verdict(state: RetryCallState) -> Verdict:
    assert state.outcome is not None
    verdict: Verdict = state.outcome.result()
    return verdict
