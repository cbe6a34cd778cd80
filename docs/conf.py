"""How the site is built: ``sphinx-build -n -W --keep-going docs OUT``. Nothing is fetched."""

# ruff: noqa: INP001 - Sphinx reads it by its path

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pygments.lexers.configs import IniLexer

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ppg_integrations import __version__  # noqa: E402 - of this checkout

project = "ppg-integrations"
version = release = __version__
copyright = "the authors of ppg-integrations"  # noqa: A001 - Sphinx's name for it
html_title = f"{project} {version}"

extensions = [
    "myst_parser",
    "sphinx_design",
]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4  # links such as page.md#a-heading, as repository hosts make them
exclude_patterns = ["_build"]

highlight_language = "text"  # of blocks that name none: output
smartquotes = False  # they turn the dashes of options into other characters

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False

nitpicky = True  # a reference that leads nowhere is an error

#: What lies outside of this folder and has a page of its own here.
_PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing/index.md",
}
#: Between these comments a title, of the form of the first one, begins each tab.
_TABS = re.compile(r"<!-- tabs: ([a-z]+) -->")
_TITLE = re.compile(r"(\*\*|#+ )([^*#]+?)(?:\*\*)?")
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")


def _inside(app: Sphinx, docname: str, source: list[str]) -> None:
    """Turns links that lead out of this folder, for readers on a repository host, to what is here.

    Args:
        source: the page's text, changed in place. A link to a program or a folder of the checkout
            becomes its text.
    """
    page = Path(app.srcdir, docname).parent

    def turned(found: re.Match[str]) -> str:
        target = (page / found[2]).resolve()
        if target.is_relative_to(app.srcdir) or not target.is_relative_to(ROOT):
            return found[0]
        name = str(target.relative_to(ROOT))
        if name in _PAGES:
            up = "../" * docname.count("/")
            return f"[{found[1]}]({up}{_PAGES[name]}{found[3] or ''})"
        # One that leads nowhere is left for Sphinx to complain of.
        return found[1] if target.exists() else found[0]

    source[0] = _LINK.sub(turned, source[0])


def _tabs(_app: Sphinx, _docname: str, source: list[str]) -> None:
    """Makes tabs of what a repository host shows one below the other, under titles.

    Of a page: ``<!-- tabs: NAME -->``, a title (a heading, or a line in bold), what belongs to it,
    more of them, ``<!-- tabs: end -->``. Those of one name change together. Tabs may hold
    tabs, with titles of another form.

    Args:
        source: the page's text, changed in place.
    """
    lines: list[str] = []
    titles: list[str] = []  # the forms of those whose tabs are open, from the outermost on
    for line in source[0].splitlines():
        tabs, title = _TABS.fullmatch(line), _TITLE.fullmatch(line)
        opens = tabs is not None and tabs[1] != "end"
        depth = len(titles) + opens
        around, inside = ":" * (11 - 2 * depth), ":" * (10 - 2 * depth)
        if tabs and opens:
            lines += [f"{around}{{tab-set}}", f":sync-group: {tabs[1]}", ""]
            titles.append("")
        elif tabs:
            lines += [inside, around]
            titles.pop()
        elif titles and title and titles[-1] in ("", title[1]):
            if titles[-1]:
                lines.append(inside)
            titles[-1] = title[1]
            sync = title[2].lower().replace(" ", "-")
            lines += [f"{inside}{{tab-item}} {title[2]}", f":sync: {sync}", ""]
        else:
            lines.append(line)
    source[0] = "\n".join(lines) + "\n"


def setup(app: Sphinx) -> None:
    app.connect("source-read", _inside)
    app.connect("source-read", _tabs)
    app.add_lexer("dotenv", IniLexer)  # Pygments has none of that name
