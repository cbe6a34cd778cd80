"""Writes the generated pages of docs/reference: ``python3 -m devtools.reference [--check]``.

They are made from the code (parsers, tables, signatures, docstrings), committed for readers of the
checkout, and compared by a test. Needs Django, Flask and a driver, as ``tox -e docs`` has them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from . import reference_api, reference_tables, reference_variables, reference_verbs

FOLDER: Final = Path(__file__).resolve().parent.parent / "docs" / "reference"
NOTICE: Final = "<!-- Made by `python3 -m devtools.reference`; edit the code instead. -->"
PAGES: Final[dict[str, Callable[[], str]]] = {
    "verbs": reference_verbs.page,
    "variables": reference_variables.page,
    "settings": reference_tables.settings_page,
    "checks": reference_tables.checks_page,
    "errors": reference_tables.errors_page,
    "api": reference_api.page,
}


def made() -> dict[Path, str]:
    """Each page's path and text."""
    return {FOLDER / f"{name}.md": f"{NOTICE}\n\n{page()}\n" for name, page in PAGES.items()}


def stale() -> list[str]:
    """The names of the pages that are not what the code says."""
    return [
        path.name
        for path, text in made().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]


def main(arguments: list[str]) -> int:
    """Exit status: 0, or 1 where ``--check`` finds a page that is not up to date."""
    parser = argparse.ArgumentParser(prog="python3 -m devtools.reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    if parser.parse_args(arguments).check:
        found = stale()
        if found:
            print(f"not up to date: {', '.join(found)}; run python3 -m devtools.reference")
        return int(bool(found))
    for path, text in made().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
