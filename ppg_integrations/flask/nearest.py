"""The ``.env`` file of an app: the one that Flask's own command loads."""

from __future__ import annotations

import os
from collections.abc import Mapping

from dotenv import find_dotenv

from ppg_integrations import names
from ppg_integrations.places import DEFAULT_ENV_FILE, env_file_path


def env_file(
    argument: str | os.PathLike[str] | bool | None, environ: Mapping[str, str]
) -> str | None:
    """Absolute path of the file, which need not exist; None for none.

    Where nothing names one, it is that of the current folder or else the nearest above it, as
    Flask does it: https://flask.palletsprojects.com/en/stable/cli/#environment-variables-from-dotenv

    Args:
        argument: as ``env_file`` of :func:`ppg_integrations.resolve`.
        environ: may name it in ``PPG_ENV_FILE``.
    """
    if argument in (None, True) and not environ.get(names.ENV_FILE):
        try:
            argument = find_dotenv(DEFAULT_ENV_FILE, usecwd=True) or None
        except FileNotFoundError:  # the current folder has been deleted
            return None
    return env_file_path(argument, environ)
