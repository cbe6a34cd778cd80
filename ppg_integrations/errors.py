"""Every error this package raises on purpose.

One base, :class:`PPGError`, so that a caller can catch all of them; named leaves for those who want
to tell them apart. Each carries ``hint``: the next thing to type or to set. No message ever holds a
secret: whoever builds one passes redacted values.
"""

from __future__ import annotations

from typing import Final

# C0 without tab and line feed, DEL, C1, and what turns the direction of a text around.
_STEERING: Final = dict.fromkeys(
    (*range(9), *range(11, 32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)),
    "?",
)


def harmless(text: str) -> str:
    """A text that may repeat somebody else's, without the characters that steer a terminal."""
    return text.translate(_STEERING)


class PPGError(Exception):
    """Base of all errors of ppg_integrations.

    Args:
        message: what was wrong and where the value came from, without secrets.
        hint: what to do next, in one or two sentences; empty where the message says it all.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = harmless(message)
        self.hint = harmless(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def also(self, text: str) -> None:
        """Adds to the hint what else there is to do or to know."""
        self.hint = joined(self.hint, text)

    def __reduce__(self) -> tuple[object, ...]:
        # BaseException would call cls(*args) and lose the keyword-only hint.
        return (_rebuild, (type(self), self.message, self.hint, self.__dict__))


def joined(*texts: str) -> str:
    """Sentences one after the other; what ends in no full stop, such as a URL, ends its line."""
    result = ""
    for text in filter(None, texts):
        glue = "" if not result else " " if result.endswith((".", "!", "?")) else "\n"
        result = f"{result}{glue}{text}"
    return result


def _rebuild(kind: type[PPGError], message: str, hint: str, state: dict[str, object]) -> PPGError:
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    error.message = message
    error.hint = hint
    error.__dict__.update(state)
    return error


class ConfigurationError(PPGError):
    """A setting, variable, argument or file says something that cannot be used."""


class UsageError(ConfigurationError):
    """A verb was called in a way that means nothing; the exit status is 2."""


class URLError(ConfigurationError):
    """A text is no PostgreSQL URL, or one that this package refuses; never repeats the text."""


class AccelerateURLError(URLError):
    """A URL of Prisma Accelerate: an HTTP protocol that no PostgreSQL driver speaks."""


class MissingURLError(ConfigurationError):
    """No pooled URL was found in any of the places looked at."""


class MissingDirectURLError(ConfigurationError):
    """Something needs the direct URL, and it is neither set nor certain from the pooled one."""


class MismatchedPairError(ConfigurationError):
    """The pooled and the direct URL name different databases, branches or users."""


class SwappedEndpointsError(ConfigurationError):
    """Live servers show that a new pair's URLs have changed places, and again when put right."""


class EnvFileError(PPGError):
    """A ``.env`` file could not be read, or may not be written."""


class ProviderError(PPGError):
    """The provider could not do what was asked of it.

    Attributes:
        provider: its name, as in ``PPG_PROVIDER``.
        status: the HTTP status of its answer; None where there was none.
        request_id: what the provider calls the request, for its support; often empty.
        body: the beginning of the answer, redacted.
        nothing_done: False where the request may have done its work although no answer says so.
    """

    provider: str = ""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        provider: str = "",
        status: int | None = None,
        request_id: str = "",
        body: str = "",
        nothing_done: bool = True,
    ) -> None:
        super().__init__(message, hint=hint)
        self.provider = provider or type(self).provider
        self.status = status
        self.request_id = request_id
        self.body = body
        self.nothing_done = nothing_done


class ProviderUnavailableError(ProviderError):
    """The provider's API did not answer in time, or said that it cannot now: try again later."""


class UnsupportedError(ProviderError):
    """The provider has no such thing; its console may."""


class ChoiceError(ProviderError):
    """Several things could be meant, and nothing says which.

    Attributes:
        option: the option that tells, without its dashes: ``project``, ``database``, ...
        choices: an id and a name for each.
    """

    def __init__(
        self,
        message: str,
        *,
        option: str,
        choices: tuple[tuple[str, str], ...],
        hint: str = "",
        provider: str = "",
    ) -> None:
        super().__init__(message, hint=hint, provider=provider)
        self.option = option
        self.choices = choices


class LocalServerError(ProviderError):
    """The embedded PostgreSQL or its PgBouncer could not be found, started or stopped."""

    provider = "local"


class DriverError(PPGError):
    """No PostgreSQL driver is installed, and the task at hand needs one."""


class ConnectError(PPGError):
    """A server could not be reached or refused the login; the driver's text, redacted, is kept.

    ``code`` is a stable word for the cause (``wrong-password``, ``refused``, ``timeout``, ...; the
    table is in ``failures.py``), empty where the text is not a known one.
    """

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class QueryError(PPGError):
    """A server refused a statement. ``sqlstate`` is its five-character code, empty if it gave none.

    Holds the server's primary message only: the rest (``LINE 1: ...``) repeats the statement, which
    may be the one that sets a password.
    """

    def __init__(self, message: str, *, hint: str = "", sqlstate: str = "") -> None:
        super().__init__(message, hint=hint)
        self.sqlstate = sqlstate


class LockNotAvailableError(PPGError):
    """An advisory lock is held by another session, and was not released in time."""


class LockLostError(PPGError):
    """The session that held an advisory lock has ended before the work under it was over."""


class PPGWarning(UserWarning):
    """Something was put right, or looks wrong and still works. Shown once for each place."""
