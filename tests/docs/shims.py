"""What some commands of a page do instead of what they say. Runs inside the zygote's children."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
#: Seconds that a server may take until it answers.
START = 30

# Flags of pip and uv, and those that take a value.
_FLAGS = {"-q", "-U", "--upgrade", "--no-cache-dir", "--dev", "--quiet"}
_OURS = re.compile(r"(devtools|benchmarks|tests\.fuzz)(\.|$)")
# Options of `flask` itself that take a value.
_OF_FLASK = ("-A", "--app", "-e", "--env-file")


def takes(name: str, arguments: list[str]) -> bool:
    """Whether the command is one of those here; it is done then.

    Raises:
        SystemExit: it is one, and wrong.
    """
    if name in ("python", "python3"):
        if arguments[:1] == ["-m"] and arguments[1:2] == ["pip"]:
            return takes("pip", arguments[2:])
        if arguments[:1] == ["-m"] and arguments[1:2] == ["pytest"]:
            return takes("pytest", arguments[2:])
        if arguments[:1] == ["-m"] and _OURS.match(arguments[1]):
            if not _in_checkout():
                raise SystemExit(f"{arguments[1]} is in a checkout only: docs: project=checkout")
            return _module(arguments[1], arguments[2:])
        if arguments[:1] == ["dev.py"]:
            return _dev(arguments[1:])
        if arguments[:1] == ["manage.py"] and arguments[1:2] == ["runserver"]:
            return _served(
                lambda port: _script("manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"),
                signal.SIGINT,
            )
        if arguments[:1] and arguments[0].startswith("benchmarks/"):
            return _known(arguments[0], arguments[1:])
    elif name == "pip" or (name == "uv" and arguments[:1] == ["pip"]):
        return installed(arguments if name == "pip" else arguments[1:])
    elif name == "uv" and arguments[:1] == ["add"]:
        return installed(["install", *arguments[1:]])
    elif name == "tox":
        return _tox(arguments)
    elif name == "pytest" and _in_checkout():
        return _paths(arguments)
    elif name == "flask" and _verb(arguments) == "run":
        return _served(
            lambda port: _console("flask", *arguments, "--port", str(port), "--no-reload"),
            signal.SIGINT,
        )
    elif name == "gunicorn":
        return _served(
            lambda port: _console("gunicorn", *arguments, "--bind", f"127.0.0.1:{port}"),
            signal.SIGTERM,
        )
    elif name == "uvicorn":
        return _served(
            lambda port: _console("uvicorn", *arguments, "--port", str(port)), signal.SIGINT
        )
    return False


def _verb(arguments: list[str]) -> str:
    """The command of ``flask``, past its own options."""
    words = iter(arguments)
    for word in words:
        if word in _OF_FLASK:
            next(words, "")
        elif not word.startswith("-"):
            return word
    return ""


def console_script(name: str) -> Callable[[], object]:
    """The function behind a program that an installed package brings."""
    (found,) = {
        each.value: each for each in entry_points(group="console_scripts", name=name)
    }.values()
    return found.load()


def _script(*argv: str) -> None:
    import runpy

    sys.path.insert(0, str(Path.cwd()))
    sys.argv = list(argv)
    runpy.run_path(argv[0], run_name="__main__")


def _console(*argv: str) -> None:
    sys.argv = list(argv)
    sys.exit(console_script(argv[0])())


def _served(start: Callable[[int], None], stop: int) -> bool:
    """Starts a server, has it answer one request, and stops it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    child = os.fork()
    if child == 0:
        signal.alarm(START * 2)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            start(port)
        except SystemExit as end:
            os._exit(end.code if isinstance(end.code, int) else 0 if end.code is None else 1)
        except KeyboardInterrupt:
            os._exit(0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    deadline = time.monotonic() + START
    status = 0
    while not status:
        ended, how = os.waitpid(child, os.WNOHANG)
        if ended:
            raise SystemExit(f"the server ended by itself: {os.waitstatus_to_exitcode(how)}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                status = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
            error.close()
        except OSError:
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
                raise SystemExit("the server did not answer") from None
            time.sleep(0.02)
    os.kill(child, stop)
    os.waitpid(child, 0)
    if status >= 500:
        raise SystemExit(f"the server answered {status}")
    return True


def _in_checkout() -> bool:
    return Path("pyproject.toml").exists() and Path("ppg_integrations").is_dir()


def _project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def installed(arguments: list[str], *, files: bool = True) -> bool:
    """``pip install``: what it names is there to be installed, as pyproject.toml knows it.

    Args:
        files: look into those that ``-r`` names.

    Raises:
        SystemExit: something is not.
    """
    if arguments[:1] != ["install"]:
        raise SystemExit(f"pip {arguments[:1]}: only `install` is known here")
    project = _project()
    extras = project["project"]["optional-dependencies"]
    groups = project["dependency-groups"]
    listed = [each for table in (*extras.values(), *groups.values()) for each in table]
    listed += project["project"]["dependencies"]
    known = {canonicalize_name(Requirement(each).name) for each in listed if isinstance(each, str)}
    words = iter(arguments[1:])
    for word in words:
        if word in _FLAGS:
            continue
        if word == "--group":
            group = next(words)
            if group not in groups:
                raise SystemExit(f"pyproject.toml has no group {group}")
            continue
        if word == "-r":
            name = next(words)
            for line in Path(name).read_text(encoding="utf-8").splitlines() if files else ():
                if line.strip() and not line.startswith("#"):
                    _requirement(line, extras, known)
            continue
        if word == "-e":
            word = next(words)
            path, _, more = word.partition("[")
            if path not in (".", "../.."):
                raise SystemExit(f"pip install -e {word}: no checkout")
            word = f"ppg-integrations[{more}" if more else "ppg-integrations"
        elif word.startswith("-"):
            raise SystemExit(f"pip install {word}: not known here")
        _requirement(word, extras, known)
    return True


def _requirement(text: str, extras: dict[str, object], known: set[str]) -> None:
    requirement = Requirement(text)
    name = canonicalize_name(requirement.name)
    if name == "ppg-integrations":
        wrong = requirement.extras - extras.keys()
        if wrong:
            raise SystemExit(f"ppg-integrations has no extra {', '.join(wrong)}")
    elif name not in known:
        raise SystemExit(f"pyproject.toml does not name {name}, so nothing tests it")


def _options(arguments: list[str], *sources: str) -> None:
    text = "".join((ROOT / source).read_text(encoding="utf-8") for source in sources)
    for word in arguments:
        option = word.split("=")[0]
        if option.startswith("-") and f'"{option}"' not in text:
            raise SystemExit(f"{sources[0]} has no option {option}")


def _dev(arguments: list[str]) -> bool:
    """``dev.py``: its verb and its options exist."""
    if arguments[:1] == ["bench"]:
        return _benchmarks(arguments[1:])
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    _options(arguments[:cut], "dev.py")
    if f'add_parser(\n        "{arguments[0]}"' not in (ROOT / "dev.py").read_text(
        encoding="utf-8"
    ):
        raise SystemExit(f"dev.py has no verb {arguments[0]}")
    return _paths(arguments[cut + 1 :])


def _benchmarks(arguments: list[str]) -> bool:
    sys.path.insert(0, str(ROOT))
    from benchmarks.options import NAMES

    _options(arguments, "benchmarks/options.py")
    words = iter(arguments)
    for word in words:
        if word == "--out":
            next(words)
        elif not word.startswith("-") and word not in NAMES:
            raise SystemExit(f"there is no benchmark {word}")
    return True


def _module(name: str, arguments: list[str]) -> bool:
    if name == "benchmarks":
        return _benchmarks(arguments)
    return _known(name.replace(".", "/") + ".py", arguments)


def _known(path: str, arguments: list[str]) -> bool:
    """A program of the checkout: it exists, and its options; so do the files that it is given."""
    if not (ROOT / path).is_file():
        raise SystemExit(f"there is no {path}")
    _options(arguments, path)
    return _paths([each for each in arguments if "/" in each])


def _tox(arguments: list[str]) -> bool:
    text = (ROOT / "tox.ini").read_text(encoding="utf-8")
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    for option, value in zip(arguments[:cut], arguments[1:cut]):
        for name in value.split(",") if option == "-e" else ():
            if not re.search(rf"^    {re.escape(name)}$", text, re.MULTILINE):
                raise SystemExit(f"tox.ini has no environment {name}")
    return True


def _paths(arguments: list[str]) -> bool:
    for word in arguments:
        if "/" in word and not word.startswith("-") and not (ROOT / word.split("::")[0]).exists():
            raise SystemExit(f"there is no {word}")
    return True
