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
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
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

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# Classes of the standard library and of other packages: to link them, their inventories would have
# to be fetched. Whatever else is not found is an error.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(collections|contextlib|django|os|psycopg_pool|sqlalchemy)\..*"),
    # The same, where annotations name them without their module.
    (r"py:.*", r"App|AsyncEngine|CommandError|Engine|Flask|URL"),
    # Types of ours that nobody makes by hand: arguments of what the package itself makes.
    (r"py:.*", r"ConnectSettings|Layered|MASK|Opener|Wishes"),
]

#: What lies outside of this folder and has a page of its own here.
_PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing/index.md",
}
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


def setup(app: Sphinx) -> None:
    app.connect("source-read", _inside)
    app.add_lexer("dotenv", IniLexer)  # Pygments has none of that name
