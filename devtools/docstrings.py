"""Docstrings of the package as Markdown: their first sentences, and their sections."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

_ROLE = re.compile(r":\w+:`~?\.*([^`]*)`")
_CODE = re.compile(r"``([^`]*)``")
_SINGLE = re.compile(r"(?<!`)`([\w.]+)`(?!`)")
_SECTION = re.compile(r"^(Args|Attributes|Raises|Warns|Returns|Yields):\n", re.MULTILINE)
_ENTRY = re.compile(r"^    (\S[^:\n]*): *", re.MULTILINE)


class Entry(NamedTuple):
    """One entry of a section; several names may share one."""

    name: str
    text: str


def markdown(text: str) -> str:
    """One paragraph in one line, with Sphinx's roles as code."""
    line = " ".join(text.split())
    return _SINGLE.sub(r"`\1`", _CODE.sub(r"`\1`", _ROLE.sub(r"`\1`", line)))


def summary(thing: object) -> str:
    """What stands before the sections, its paragraphs apart; examples of code are left out.

    Raises:
        ValueError: there is none.
    """
    before = _SECTION.split(_of(thing), maxsplit=1)[0]
    paragraphs = [each for each in before.strip().split("\n\n") if not each.startswith("    ")]
    return "\n\n".join(map(markdown, paragraphs))


def prose(thing: object) -> str:
    """The same, with its examples.

    Raises:
        ValueError: there is none.
    """
    before = _SECTION.split(_of(thing), maxsplit=1)[0].strip()
    parts: list[str] = []
    for is_code, lines in groupby(before.split("\n\n"), lambda each: each.startswith("    ")):
        if is_code:
            code = textwrap.dedent("\n\n".join(lines)).rstrip()
            parts.append(f"```text\n{code}\n```")
        else:
            parts += (re.sub("::$", ":", markdown(each)) for each in lines)
    return "\n\n".join(parts)


def entries(thing: object, section: str) -> list[Entry]:
    """The entries of a section, in order; none where there is no such section."""
    parts = _SECTION.split(_of(thing))
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        if name == section:
            found = _ENTRY.split(body.split("\n\n")[0] if section == "Returns" else body)
            return [
                Entry(key, markdown(text))
                for key, text in zip(found[1::2], found[2::2], strict=True)
            ]
    return []


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _of(thing: object) -> str:
    found = inspect.getdoc(thing)
    if not found:
        raise ValueError(f"{thing!r} has no docstring")
    return found
