"""What the demo has to know of an example project: one object for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .burst import Guest


class Example(NamedTuple):
    """An example project.

    Attributes:
        framework: its name, for people; ``--framework`` takes it in small letters.
        folder: below ``example_projects``.
        verbs: how the verbs are called, as arguments of Python; then as people say it.
        migrate: the same for the command that applies the migrations.
        environ: the settings of a production on this machine.
        guest: one client of a burst.
        writes: what the guests write.
        stored: the statement that counts it.
    """

    framework: str
    folder: str
    verbs: tuple[tuple[str, ...], str]
    migrate: tuple[tuple[str, ...], str]
    environ: Mapping[str, str]
    guest: type[Guest]
    writes: str
    stored: str
