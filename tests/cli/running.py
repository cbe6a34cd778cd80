"""Runs verbs in this process, and reads what they left in ``.env``."""

from __future__ import annotations

from pathlib import Path

import pytest

from ppg_integrations import envfile
from ppg_integrations.cli import main
from ppg_integrations.urls import PostgresURL

Captured = pytest.CaptureFixture[str]


def url(shop: Path, name: str = "DIRECT_URL") -> PostgresURL:
    return PostgresURL.parse(envfile.read(shop / ".env")[name])


def id_in_file(shop: Path) -> str:
    return envfile.read(shop / ".env")["PPG_CONNECTION"].rpartition(":")[0]


def ppg(capsys: Captured, *arguments: str, status: int = 0) -> tuple[str, str]:
    """Runs a verb; what it printed on standard output and on standard error."""
    capsys.readouterr()
    assert main(arguments) == status, capsys.readouterr()
    printed = capsys.readouterr()
    return printed.out, printed.err
