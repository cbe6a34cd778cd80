"""A page's blocks, run from top to bottom."""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import yaml
from dotenv.parser import parse_stream

from ppg_integrations.providers.local.servers import LocalServers
from tests.docs import embedded
from tests.docs.blocks import ELSEWHERE, Block, blocks
from tests.docs.scratch import Failed, Scratch
from tests.docs.tools import Tools

#: What is read and not run. Output, and other programs' configuration, is `text`.
DATA = ("yaml", "toml", "json", "ini", "dotenv", "dockerfile")
SHOWN = ("text", "")
LANGUAGES = ("python", "sh", "sql", *DATA, *SHOWN)


class Page:
    """One run of one page."""

    def __init__(self, page: str, folder: Path, servers: LocalServers, tools: Tools) -> None:
        self.page = page
        self._folder = folder
        self._servers = servers
        self._tools = tools
        self._scratches: dict[tuple[str, str, bool], Scratch] = {}
        self._stack = ExitStack()
        self._kind = kind(page)
        self._scratch: Scratch | None = None
        self._failed = ""

    def run(self, text: str | None = None) -> None:
        """Runs its blocks.

        Raises:
            AssertionError: one does not do what it should; the message begins with page and line.
        """
        with self._stack:
            self._stack.callback(self._cleared)
            for block in blocks(self.page, text):
                try:
                    self._block(block)
                except Failed as error:
                    raise AssertionError(f"{block}: {error}\n\n{block.text}") from None

    def _block(self, block: Block) -> None:
        if block.language not in LANGUAGES:
            raise Failed(f"{block.language!r} is none of {', '.join(LANGUAGES)}")
        if "output" in block.says:
            self._compare(block)
            return
        if block.language in SHOWN and not block.file:
            return
        if block.language == "python" and self.page in ELSEWHERE:
            return
        scratch = self._chosen(block)
        if "fails" not in block.says:
            self._act(scratch, block)
            return
        try:
            self._act(scratch, block)
        except Failed as error:
            self._failed = str(error)
            wanted = block.says["fails"]
            if _squeezed(wanted) not in _squeezed(self._failed):
                raise Failed(f"it fails, and does not say {wanted!r}:\n{error}") from None
        else:
            raise Failed(f"it works, and should fail:\n{scratch.printed}")

    def _act(self, scratch: Scratch, block: Block) -> None:
        self._failed = ""
        if block.language in DATA:
            _parsed(block)
        if block.file:
            scratch.write(block.file, block.text)
        elif block.language == "sh":
            scratch.sh(block.text)
        elif block.language == "python":
            scratch.python(block.page, block.line, block.text)
        elif block.language == "sql":
            scratch.sql(block.text)

    def _chosen(self, block: Block) -> Scratch:
        """The project that a block is for."""
        says = block.says
        if self._scratch is not None and not says.keys() & {"project", "provider", "start"}:
            return self._scratch
        name = says.get("project", self._kind)
        key = (name, says.get("provider", ""), says.get("start") == "empty")
        if key[1:] == ("", False):  # a name alone goes back to what it was
            key = next((each for each in self._scratches if each[0] == name), key)
        chosen = self._scratches.get(key)
        if chosen is not None and chosen is self._scratch:
            return chosen
        if self._scratch is not None:
            self._scratch.aside()
        if chosen is None:
            folder = self._folder / str(len(self._scratches))
            provider = key[1] or "local"
            made = Scratch(
                name, folder, self._servers, self._tools, provider=provider, empty=key[2]
            )
            self._scratches[key] = chosen = self._stack.enter_context(made)
        else:
            chosen.back()
        self._scratch = chosen
        return chosen

    def _cleared(self) -> None:
        if self._scratch is not None:
            self._scratch.aside()

    def _compare(self, block: Block) -> None:
        """A text block is what the block before it printed; ``...`` stands for anything."""
        printed = self._failed or (self._scratch.printed if self._scratch else "")
        rest = _squeezed(printed)
        for line in block.text.splitlines():
            parts = [re.escape(_squeezed(part)) for part in re.split(r"\.\.\.|…", line)]
            found = re.search(".*?".join(parts), rest, re.DOTALL)
            if found is None:
                raise Failed(f"{line!r} was not printed, or not there:\n{printed}")
            rest = rest[found.end() :]


def kind(page: str) -> str:
    """What kind of project a page that says nothing is about."""
    if page.startswith("docs/contributing/") or page == "CONTRIBUTING.md":
        return "checkout"
    for name, found in {"guestbook": "guestbook", "shortlinks": "shortlinks"}.items():
        if page.startswith("example_projects/") and name in page:
            return found
    return "flask" if "flask" in page else "django"


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _parsed(block: Block) -> None:
    """Reads data as its language wants it, and the commands of ours that stand in it."""
    read: dict[str, Callable[[str], object]] = {
        "yaml": lambda text: list(yaml.safe_load_all(text)),
        "toml": tomllib.loads,
        "json": json.loads,
        "ini": lambda text: configparser.ConfigParser(allow_no_value=True).read_string(text),
        "dotenv": _dotenv,
        "dockerfile": embedded.instructions,
    }
    try:
        read[block.language](block.text)
        embedded.check(block.text)
    except (ValueError, yaml.YAMLError, configparser.Error, SystemExit) as error:
        raise Failed(str(error)) from error


def _dotenv(text: str) -> None:
    import io

    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            raise ValueError(f"no line of a .env file: {binding.original.string}")
