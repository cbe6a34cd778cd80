"""From the text somebody pasted to the parts of a PostgreSQL URL.

Tolerant where the meaning is certain (quotes, a whole ``psql '...'`` line, special characters in a
password that were not percent-encoded) and an error where it is not. The grammar is libpq's, see
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .errors import URLError

if TYPE_CHECKING:
    import re
    from typing import NoReturn

MAX_LENGTH: Final = 8_192  # characters

_SHAPE: Final = "postgresql://USER:PASSWORD@HOST:5432/DATABASE"
_SCHEMES: Final = frozenset({"postgres", "postgresql", "pgsql", "psql", "postgis"})
_OTHER_DATABASES: Final = frozenset(
    "cockroachdb file http https jdbc mariadb mongodb mongodb+srv mssql mysql mysql2 oracle redis "
    "rediss sqlite sqlserver".split()
)

_INVISIBLE: Final = "\ufeff\u200b\u200c\u200d\u2060"

# Patterns are text, and compiled where they are used, as :mod:`re` itself is only loaded there: a
# plain URL needs none of them, and every settings import would pay for them.
_ASSIGNMENT: Final = r"(?:export\s+)?[A-Z][A-Z0-9_]*\s*=\s*(?=\S)"
_BAD_ESCAPE: Final = r"(?s:.*?)%(?![0-9a-fA-F]{2})"
_PARAMETERS: Final = r"[A-Za-z_]+=[^&]*(?:&[A-Za-z_]+=[^&]*)*"
_NAME: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.])?"
_ONE: Final = rf"(?:\[[^\[\]@/?#,]+\]|{_NAME}|%(?:2[Ff]|40)[^@/?#:,\[\]]*)(?::[0-9]{{1,5}})?"
# What may follow the "@" of a URL whose password was not percent-encoded: strict, so that a second
# "@" inside the password is not taken for the end of it.
_TAIL: Final = (
    rf"(?P<hosts>{_ONE}(?:,{_ONE})*)(?:/(?P<db>[^/?#@]*))?"
    r"(?:\?(?P<query>[A-Za-z_]+=[^&?#@]*(?:&[A-Za-z_]+=[^&?#@]*)*)?)?"
)


class Parts:
    """The decoded parts. A port of ``None`` was not given; a host may be a socket folder."""

    __slots__ = ("database", "hosts", "password", "query", "unencoded", "user")

    def __init__(
        self,
        user: str,
        password: str,
        hosts: tuple[tuple[str, int | None], ...],
        database: str,
        query: tuple[tuple[str, str], ...],
        *,
        unencoded: bool,
    ) -> None:
        self.user = user
        self.password = password
        self.hosts = hosts
        self.database = database
        self.query = query
        self.unencoded = unencoded


def _match(pattern: str, text: str) -> re.Match[str] | None:
    import re

    return re.match(pattern, text)


def clean(text: object, subject: str) -> str:
    """The text without what people paste around a URL.

    Raises:
        URLError: it is no text, empty, too long, or has blanks or control characters inside.
    """
    if not isinstance(text, str):
        raise URLError(
            f"{subject} is a {type(text).__name__}, not a text", hint=f"Give a URL: {_SHAPE}"
        )
    check_length(text, subject)
    before = None
    while text != before:
        before = text
        text = text.strip().strip(_INVISIBLE)
        for quote in ("'", '"', "`"):
            if len(text) > 1 and text[0] == text[-1] == quote:
                text = text[1:-1]
        text = text.removeprefix("psql ")
        text = text.removesuffix(";")
        if not text.startswith("postgres"):
            match = _match(_ASSIGNMENT, text)
            if match and "://" in text[match.end() :]:
                text = text[match.end() :]
    if not text:
        raise URLError(f"{subject} is empty", hint=f"Set it to a URL such as {_SHAPE}")
    if " " in text or not text.isprintable():
        raise URLError(
            f"{subject} has a blank or a control character inside",
            hint="Paste the URL in one piece; a blank in a password is written %20.",
        )
    return text


def check_length(text: str, subject: str) -> None:
    """Both as it was pasted and as it is written down, so that what is written is read again.

    Raises:
        URLError: it is too long.
    """
    if len(text) > MAX_LENGTH:
        raise URLError(f"{subject} is longer than {MAX_LENGTH} characters and can be no URL")


def split(text: str, subject: str) -> Parts:
    """The parts of a cleaned text.

    Raises:
        URLError: it is no PostgreSQL URL, or can be read in two ways.
    """
    scheme, separator, rest = text.partition("://")
    family, _, driver = scheme.lower().partition("+")
    if not separator or family not in _SCHEMES or not (driver.isalnum() or not driver):
        _refuse_scheme(text, subject)
    end = min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))
    authority, tail = rest[:end], rest[end:]
    userinfo, _, hosts = authority.rpartition("@")
    path, _, query = tail.partition("?")
    unencoded = False
    if (
        "@" in path
        or "#" in tail
        or (hosts and not all(map(_plausible, hosts.split(","))))
        or ("@" in query and not _match(_PARAMETERS + r"\Z", query))
    ):
        userinfo, hosts, path, query = _unencoded(rest, subject)
        unencoded = True
    elif "@" in userinfo:
        unencoded = True
    user, _, password = userinfo.partition(":")
    return Parts(
        _decode(user, "the user name", subject),
        _decode(password, "the password", subject),
        tuple(_host(one, subject) for one in hosts.split(",")) if hosts else (),
        _decode(path[1:], "the database name", subject),
        _query(query, subject),
        unencoded=unencoded,
    )


def _refuse_scheme(text: str, subject: str) -> NoReturn:
    name = text.partition(":")[0].lower()
    if name in _OTHER_DATABASES or name.partition("+")[0] in _OTHER_DATABASES:
        what = f"{subject} starts with {name}:, which is not PostgreSQL"
    elif _match(r"\w+\s*=", text):
        what = f"{subject} is in libpq's keyword form, not a URL"
    elif _match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        what = f"{subject} has an unknown scheme"
    else:
        what = f"{subject} is not a URL: it does not start with postgresql://"
    raise URLError(what, hint=f"Write it as {_SHAPE}")


def _unencoded(rest: str, subject: str) -> tuple[str, str, str, str]:
    """Reads ``user:p/a@s#s@host/db``, where only the last part can be what it looks like."""
    # The tail holds no "@", so the last one is the only place where the password can end.
    at = rest.rfind("@")
    match = _match(_TAIL + r"\Z", rest[at + 1 :]) if ":" in rest[: max(at, 0)] else None
    if match is None:
        raise URLError(
            f"{subject} is not a PostgreSQL URL: its user, host or port cannot be made out",
            hint=f"The form is {_SHAPE}. Percent-encode special characters in the password: "
            "@ is %40, : is %3A, / is %2F, ? is %3F, # is %23, % is %25.",
        )
    return rest[:at], match["hosts"], "/" + (match["db"] or ""), match["query"] or ""


def _decode(text: str, part: str, subject: str) -> str:
    if "%" not in text or _match(_BAD_ESCAPE, text):
        value = text  # a lone % shows that nothing in it was encoded
    else:
        from urllib.parse import unquote_to_bytes

        try:
            value = unquote_to_bytes(text).decode("utf-8")
        except UnicodeDecodeError:
            raise URLError(
                f"{part} in {subject} is percent-encoded in something other than UTF-8",
                hint="Encode it again, for example with urllib.parse.quote(password, safe='').",
            ) from None
    if "\x00" in value:
        raise URLError(f"{part} in {subject} holds a NUL, which PostgreSQL does not allow")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise URLError(f"{part} in {subject} is not valid Unicode text") from None
    return value


def _plausible(text: str) -> bool:
    """Whether this looks like one host with or without a port: what it holds is checked later."""
    if text.startswith("["):
        _, _, port = text.rpartition("]")
        return port in ("", ":") or (port[0] == ":" and _is_port(port[1:]))
    name, _, port = text.partition(":")
    return (_is_name(name) or _is_socket(name)) and (not port or _is_port(port))


def _is_name(text: str) -> bool:
    plain = text.replace("-", "").replace(".", "").replace("_", "")
    return text.isascii() and plain.isalnum() and text[0] not in "-." and text[-1] != "-"


def _is_socket(text: str) -> bool:
    """Whether it begins with a percent-encoded "/" or "@": a folder, or no place in the files."""
    return text[:3].upper() in ("%2F", "%40")


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5


def _host(text: str, subject: str) -> tuple[str, int | None]:
    if text.startswith("["):
        name, _, port = text.rpartition("]")
        name, port = f"{name}]", port[1:]
    else:
        name, _, port = text.partition(":")
    return host(name, subject), check_port(port, subject) if port else None


def host(text: str, subject: str) -> str:
    """One host name, address (with or without brackets) or socket folder.

    Raises:
        URLError: it is none of these.
    """
    if text.startswith("["):
        text = _decode(text.removeprefix("[").removesuffix("]"), "the address", subject)
    elif _is_socket(text):
        text = _decode(text, "the socket folder", subject)
    if text.startswith(("/", "@")):
        if "\x00" in text or "," in text:
            raise URLError(f"the socket folder in {subject} is no path")
        return text
    if ":" in text:
        import ipaddress

        try:
            ipaddress.IPv6Address(text)
        except ValueError:
            raise URLError(
                f"{subject} has a host that is no IPv6 address",
                hint="An IPv6 address stands in brackets: postgresql://USER:PASSWORD@[::1]:5432/DB",
            ) from None
        return text
    if not text or not _is_name(text):
        raise URLError(f"{subject} has no valid host", hint=f"The form is {_SHAPE}")
    return text


def check_port(text: str, subject: str) -> int:
    """A port as a number.

    Raises:
        URLError: it is not between 1 and 65535.
    """
    if not (_is_port(text) and 1 <= int(text) <= 65535):
        raise URLError(f"{subject} has a port that is not between 1 and 65535")
    return int(text)


def _query(text: str, subject: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for item in text.split("&"):
        if not item:
            continue
        name, equals, value = item.partition("=")
        if not equals:
            raise URLError(
                f"{subject} has a parameter without a value",
                hint="An & or ? inside the password has to be written %26 or %3F.",
            )
        what = "a parameter"
        pairs.append((_decode(name, what, subject), _decode(value, what, subject)))
    return tuple(pairs)
