"""``ppg-connect``, and what the frameworks' commands share with it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from ..errors import PPGError
from ..layers import PROGRAM


def main(argv: Sequence[str] | None = None) -> int:
    """The console script. Exit status: 0 done, 1 failed with an error of ours, 2 wrong usage."""
    try:
        return _main(argv)
    except KeyboardInterrupt:  # during the imports; :func:`.frontend.guarded` has the later ones
        return 130


def _main(argv: Sequence[str] | None) -> int:
    from . import arguments, frontend
    from .screen import Screen

    options = vars(arguments.parser(PROGRAM).parse_args(argv))
    screen = Screen(sys.stdout, sys.stderr)
    try:
        return frontend.guarded(
            screen,
            lambda: frontend.perform(options, screen, program=PROGRAM, environ=os.environ),
        )
    except PPGError as error:
        screen.error(error)
        return frontend.status_of(error)


__all__ = ["main"]
