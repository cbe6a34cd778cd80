"""``ppg-connect``, and what the frameworks' commands share with it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ..errors import PPGError


def main(argv: Sequence[str] | None = None) -> int:
    """The console script. Exit status: 0 done, 1 failed with an error of ours, 2 wrong usage."""
    from . import arguments, frontend
    from .screen import Screen

    parser = argparse.ArgumentParser(
        prog="ppg-connect",
        description="Generate, prove and use the pooled and the direct connection of a database.",
    )
    from .. import __version__

    parser.add_argument("--version", action="version", version=f"ppg-connect {__version__}")
    arguments.add_verbs(parser, required=True)
    options = vars(parser.parse_args(argv))
    screen = Screen(sys.stdout, sys.stderr)
    try:
        return frontend.guarded(
            screen,
            lambda: frontend.perform(options, screen, program="ppg-connect", environ=os.environ),
        )
    except PPGError as error:
        screen.error(error)
        return frontend.status_of(error)


__all__ = ["main"]
