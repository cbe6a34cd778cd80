"""The code blocks of a Markdown page, with what the comments before them say."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt

from tests.support.programs import ROOT

_COMMENT = re.compile(r"<!--\s*docs:(.*?)-->", re.DOTALL)
_FILE = re.compile(r"# ((?:[\w.-]+/)*(?:[\w-]*\.\w+|Dockerfile|Makefile|Procfile))\s*")
#: What a comment may say: for this block and those after it, or for one.
LASTING = ("project", "provider", "start")
ONCE = ("fails", "output", "file")

#: What Sphinx does, and no code.
DIRECTIVES = ("{toctree}", "{include}", "{eval-rst}")

#: Pages whose Python another test runs; it has to name the page.
ELSEWHERE = {"docs/contributing/adding-a-provider.md": "tests/providers/test_adding.py"}


@dataclass(frozen=True)
class Block:
    """One block.

    Attributes:
        line: of its first line of code, in the page.
        text: without the indentation of what it stands in.
        says: the words of the comment before it; those without ``=`` are empty.
    """

    page: str
    line: int
    language: str
    text: str
    says: dict[str, str] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """The path of the file that it is; empty for a block that is none."""
        named = _FILE.fullmatch(self.text.split("\n", 1)[0])
        return self.says.get("file") or (named[1] if named and self.language != "text" else "")

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """Every page whose blocks are run, relative to the checkout."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    found += (ROOT / "example_projects").glob("*/README.md")
    return sorted(str(path.relative_to(ROOT)) for path in found if "_build" not in path.parts)


def blocks(page: str, text: str | None = None) -> Iterator[Block]:
    """Its blocks, from top to bottom.

    Raises:
        AssertionError: a comment says a word that nobody knows.
    """
    if text is None:
        text = Path(ROOT, page).read_text(encoding="utf-8")
    says: dict[str, str] = {}
    # Without plug-ins: `:::` of a tab is a paragraph then, and what stands in it is found.
    for token in MarkdownIt("commonmark").parse(text):
        if token.type == "html_block":
            for comment in _COMMENT.findall(token.content):
                words = (each.partition("=") for each in shlex.split(comment))
                said = {name: value for name, _, value in words}
                unknown = said.keys() - {*LASTING, *ONCE}
                assert not unknown, f"{page}:{token.map[0] + 1}: what is {unknown}?"
                says |= said
        elif token.type == "fence":
            language = token.info.strip()
            if language.startswith(DIRECTIVES):
                continue
            yield Block(page, token.map[0] + 2, language, token.content, says)
            says = {}
        elif token.type == "code_block":
            yield Block(page, token.map[0] + 1, "(indented)", token.content, says)
            says = {}
