"""The text of a ``.env`` file: python-dotenv cuts it into bindings, and reads ours again."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dotenv.parser import Binding

# The parts of an assignment, as dotenv.parser cuts it.
_HEAD: Final = re.compile(r"(\s*)((?:export[^\S\r\n]+)?)(?:'[^']+'|[^=\#\s]+)[^\S\r\n]*(=?)")
_QUOTED: Final = re.compile(r"""[^\S\r\n]*(['"])(?:\\.|(?!\1)[^\\])*\1""", re.DOTALL)
_COMMENT: Final = re.compile(r"[^\S\r\n]*(\#[^\r\n]*)?")
_BARE_COMMENT: Final = re.compile(r"[^\r\n]*?[^\S\r\n]+(\#[^\r\n]*)")
_LINE_END: Final = re.compile(r"(?:\r\n|\n|\r)?\Z")
_UNREAD: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)[^\S\r\n]*=")
_EXPORT: Final = re.compile(r"\s*export\s")


class WouldChangeMeaningError(ValueError):
    """No assignment can be written that leaves the rest of the text as it reads now."""

    def __init__(self, line: int | None) -> None:
        super().__init__(line)
        self.line = line  # of the first statement that python-dotenv cannot read


def values(text: str) -> dict[str, str | None]:
    """Name to value, the last assignment winning; None for a name that has no ``=``."""
    return {b.key: b.value for b in _bindings(text) if b.key is not None}


def unread(text: str) -> Iterator[tuple[int, str | None]]:
    """Line number of each statement that python-dotenv skips, and the name that it seems to set."""
    for binding in _bindings(text):
        if binding.error:
            assignment = _UNREAD.match(binding.original.string)
            yield _line(binding), assignment and assignment.group(1)


def has_export(text: str) -> bool:
    """Whether a line begins with ``export``."""
    return any(_EXPORT.match(b.original.string) for b in _bindings(text) if b.key is not None)


def line_end(text: str) -> str:
    """What ends the first line, and so shall end ours."""
    first = re.search(r"\r?\n", text)
    return first.group() if first else "\n"


def rewrite(text: str, wanted: Mapping[str, str], spelled: Mapping[str, str]) -> str:
    """The text with these assignments replaced, every one of each name, or added at its end.

    Args:
        text: what there is, with its own line endings.
        wanted: name to value, as readers shall get it.
        spelled: the same names to what stands behind the ``=``.

    Raises:
        WouldChangeMeaningError: read again, the new text does not say that, or says something
            else about other variables; so does a quote that was left open.
    """
    end = line_end(text)
    missing = dict(spelled)
    parts: list[str] = []
    for binding in _bindings(text):
        original = binding.original.string
        if binding.key is None or binding.key not in spelled:
            parts.append(original)
        else:
            missing.pop(binding.key, None)
            parts.append(_assign(original, binding.key, spelled[binding.key], end))
    new = "".join(parts)
    if missing and new and not new.endswith("\n"):
        new += end
    new += "".join(f"{name}={value}{end}" for name, value in missing.items())
    after = values(new)
    said = all(after.get(name) == value for name, value in wanted.items())
    if not said or _others(text, wanted) != _others(new, wanted):
        raise WouldChangeMeaningError(next((line for line, _ in unread(text)), None))
    return new


def _bindings(text: str) -> Iterator[Binding]:
    from dotenv.parser import parse_stream

    return parse_stream(io.StringIO(text))


def _assign(original: str, name: str, value: str, end: str) -> str:
    """One assignment with another value; ``NAME = x`` becomes ``NAME=x``, the way of sh.

    A comment behind the value moves above it: docker would take it for part of the value.
    """
    head = _HEAD.match(original)
    assert head is not None  # dotenv found a name there
    before, export, equals = head.groups()
    rest = original[head.end() :]
    quoted = _QUOTED.match(rest)
    if not equals:
        comment = _COMMENT.match(rest)
    elif quoted:
        comment = _COMMENT.match(rest, quoted.end())
    else:
        comment = _BARE_COMMENT.match(rest)
    indent = re.split(r"[\r\n]", before)[-1]
    above = f"{comment.group(1)}{end}{indent}" if comment and comment.group(1) else ""
    tail = _LINE_END.search(rest)
    return f"{before}{above}{export}{name}={value}{tail.group() if tail else ''}"


def _others(text: str, wanted: Mapping[str, str]) -> list[tuple[str, str | None]]:
    found = ((b.key, b.value) for b in _bindings(text))
    return [(key, value) for key, value in found if key is not None and key not in wanted]


def _line(binding: Binding) -> int:
    text, line = binding.original
    blank = text[: len(text) - len(text.lstrip())]
    return line + len(re.findall(r"\r\n|\n|\r", blank))
