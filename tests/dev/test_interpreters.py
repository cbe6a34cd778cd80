"""Interpreters are found where people have them, and packages come from where pip's would."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devtools import interpreters
from devtools.venv import Checkout
from tests.support.program import program


def test_they_come_from_the_running_one_path_and_pyenv_and_never_from_shims(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shims, path = tmp_path / ".pyenv" / "shims", tmp_path / "bin"
    pyenv = tmp_path / ".pyenv" / "versions"
    running = program(tmp_path / "own" / "python3.11", "echo 3.11")
    monkeypatch.setattr(interpreters, "base_python", lambda: str(running))
    program(shims / "python3.12", "echo 3.12")
    program(path / "python3.11", "echo 3.11")
    program(path / "python3.12", "exit 127")
    program(path / "python3.13", "echo 3.13")
    program(pyenv / "3.12.1" / "bin" / "python3.12", "echo 3.12")
    program(pyenv / "3.13.0" / "bin" / "python3.13", "echo 3.13")
    environ = {"PATH": f"{shims}:{path}", "HOME": str(tmp_path)}
    found = interpreters.find(environ)
    assert found["3.11"] == str(running)
    assert found["3.12"] == str(pyenv / "3.12.1" / "bin" / "python3.12")
    assert found["3.13"] == str(path / "python3.13")
    searched = interpreters.search_path(environ, found).split(":")
    assert [folder for folder in searched if folder.startswith(str(tmp_path))] == [
        str(running.parent),
        str(path),
        str(pyenv / "3.12.1" / "bin"),
    ]


def test_what_pip_is_configured_with_reaches_uv(checkout: Checkout) -> None:
    listing = (
        "global.index-url='https://a.example/simple'\n:env:.cert='/ca.pem'\n"
        "global.trusted-host='\\na.example\\nb.example'\ninstall.proxy='http://p:1'"
    )
    program(Path(checkout.python), f"cat <<'END'\n{listing}\nEND")
    environ = {"PATH": os.environ["PATH"]}
    assert interpreters.uv_settings(checkout, environ) == {
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_DEFAULT_INDEX": "https://a.example/simple",
        "SSL_CERT_FILE": "/ca.pem",
        "UV_INSECURE_HOST": "a.example b.example",
        "ALL_PROXY": "http://p:1",
    }
    own = {"UV_INDEX_URL": "", "SSL_CERT_FILE": "", "https_proxy": "", "UV_INSECURE_HOST": ""}
    assert interpreters.uv_settings(checkout, environ | own) == {"UV_PYTHON_DOWNLOADS": "never"}
