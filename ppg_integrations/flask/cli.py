"""``flask ppg VERB``: the verbs of ``ppg-connect``, on the app's own configuration.

Flask imports this module for every command that is run in its environment, whatever the app: all
but click, which is there by then, is imported where it is used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

#: How the user calls this, for the next command to type.
PROGRAM: Final = "flask ppg"

_within: Final = ContextVar("within_ppg", default=False)


def within_ppg() -> bool:
    """Whether it is ``flask ppg`` that loads the app.

    That says itself what is wrong with the configuration, and may be there to mend it: nothing of
    it shall stop the app from being loaded, and no API be asked on the way.
    """
    return _within.get()


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Makes :func:`within_ppg` true in this thread."""
    token = _within.set(True)
    try:
        yield
    finally:
        _within.reset(token)


class _Verbs(click.Command):
    """Hands on all it is given: argparse knows the verbs, and prints their help."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.args = list(args)
        return ctx.args

    def invoke(self, ctx: click.Context) -> Any:
        from .call import perform

        ctx.exit(perform(ctx))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        if ctx.args:
            return []
        from click.shell_completion import CompletionItem

        from .call import offered

        return [
            CompletionItem(name, help=text)
            for name, text in offered().items()
            if name.startswith(incomplete)
        ]


ppg: Final = _Verbs(
    "ppg",
    short_help="Generate, prove and use the database's two URLs.",
    add_help_option=False,
)
