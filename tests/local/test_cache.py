"""The cache folder holds a program that is run: nobody else may have had a hand in it."""

from __future__ import annotations

import os
import stat

import pytest

from ppg_integrations import lock
from ppg_integrations.errors import LocalServerError
from ppg_integrations.providers.local import debian
from tests.support.programs import run_python


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def fetches(monkeypatch):
    """Counts fetches; each one makes a stand-in for the program."""
    seen = []

    def unpack(folder):
        seen.append(folder)
        program = folder / "root/usr/sbin/pgbouncer"
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\necho PgBouncer 1.25\n")
        program.chmod(0o777)

    monkeypatch.setattr(debian, "_unpack", unpack)
    return seen


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o077, 0o777])
def test_every_level_that_we_make_is_private(project, umask):
    code = """
import os, sys
os.umask(int(sys.argv[2]))
os.environ["XDG_CACHE_HOME"] = sys.argv[1]
from ppg_integrations import lock
print(lock.cache_folder("locks"))
with lock.holding(sys.argv[1] + "/file"):
    pass
"""
    run_python(code, project / "a/b", umask)
    made = [project / "a", *(project / "a").rglob("*")]
    assert {path.name for path in made if path.is_dir()} == {"a", "b", "ppg-integrations", "locks"}
    for path in made:
        if path.is_dir():
            assert mode(path) == 0o700, path
        else:
            assert mode(path) & 0o077 == 0, path


def test_a_folder_of_ours_that_others_may_write_to_is_closed(project):
    for name in ("cache", "locks"):
        (project / name).mkdir()
        (project / name).chmod(0o777)
        assert lock.make_own(project / name)
        assert mode(project / name) == 0o755
    (project / "link").symlink_to(project / "cache")
    assert not lock.make_own(project / "link")


def test_what_was_fetched_is_closed_to_others_under_any_umask(project, fetches):
    before = os.umask(0)
    try:
        install = debian.fetch(lambda text: None, cache=project / "deep/cache")
    finally:
        os.umask(before)
    for path in (project / "deep", *(project / "deep").rglob("*")):
        assert not mode(path) & 0o022, path
    assert mode(project / "deep/cache/pgbouncer.lock") == 0o600
    assert debian.is_trusted(install.trees[0])


@pytest.mark.parametrize("which", ["program", "folder", "root"])
def test_a_program_that_others_could_have_changed_is_fetched_anew(project, fetches, which):
    install = debian.fetch(lambda text: None, cache=project / "cache")
    paths = {
        "program": install.program,
        "folder": install.program.parent,
        "root": install.trees[0],
    }
    install.program.write_text("#!/bin/sh\necho gotcha\n")
    paths[which].chmod(0o777)
    again = debian.fetch(lambda text: None, cache=project / "cache")
    assert again == install
    assert len(fetches) == 2
    assert "gotcha" not in again.program.read_text()
    assert sorted(path.name[:10] for path in (project / "cache").iterdir()) == [
        "pgbouncer-",
        "pgbouncer.",
    ]
    assert debian.fetch(lambda text: None, cache=project / "cache") == install
    assert len(fetches) == 2


def test_a_program_of_another_user_is_not_run(project, fetches, monkeypatch):
    install = debian.fetch(lambda text: None, cache=project / "cache")
    uid = os.geteuid()
    monkeypatch.setattr(debian.os, "geteuid", lambda: uid + 1)
    assert debian.is_trusted(install.trees[0]) == (uid == 0)
    with pytest.raises(LocalServerError, match="is not a folder of ours"):
        debian.fetch(lambda text: None, cache=project / "cache")
