"""Errors that end a command with their message and hint, where one is being run."""

from __future__ import annotations

from ppg_integrations.errors import PPGError


def printable(error: PPGError) -> PPGError:
    """The error; within a command of click, one that is a ``click.ClickException`` as well."""
    import click

    within = click.get_current_context(silent=True) is not None
    if not within or issubclass(type(error), click.ClickException):
        return error
    kind = _kind(type(error))
    found = kind.__new__(kind)
    found.args = error.args
    found.__dict__.update(error.__dict__, show_color=None)  # click's own __init__ sets that
    found.__cause__ = error
    return found


def _kind(kind: type[PPGError]) -> type[PPGError]:
    import click

    about = {"__module__": kind.__module__, "__doc__": kind.__doc__}
    return type(
        kind.__name__, (kind, click.ClickException), {**about, "format_message": kind.__str__}
    )
