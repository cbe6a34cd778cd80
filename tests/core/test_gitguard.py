"""gitguard.py, asked about real repositories."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess

import pytest

from ppg_integrations import envfile, gitguard
from ppg_integrations.errors import EnvFileError
from ppg_integrations.gitguard import TrackedFileError

GIT = shutil.which("git")


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    return home


def git(folder, *arguments):
    identity = [
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.com",
        "-c",
        "protocol.file.allow=always",
    ]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q")
    return folder


def commit(folder, name, text=""):
    (folder / name).write_text(text)
    git(folder, "add", "-f", name)
    git(folder, "commit", "-qm", "c")


def path_with_only(tmp_path, monkeypatch, script=None):
    """A PATH with no git, or with this one."""
    folder = tmp_path / "bin"
    folder.mkdir()
    if script is not None:
        (folder / "git").write_text(script)
        (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def refusal(path):
    with pytest.raises(TrackedFileError) as caught:
        gitguard.check(path)
    assert str(path) in caught.value.message
    assert "--allow-tracked" in caught.value.hint
    gitguard.check(path, allow_tracked=True)
    return caught.value


def test_outside_any_work_tree(tmp_path):
    assert gitguard.standing(tmp_path / ".env").state == "outside"
    gitguard.check(tmp_path / ".env")


def test_a_new_project_is_refused_with_the_line_to_type(checkout):
    error = refusal(checkout / ".env")
    assert f"echo .env >> {checkout}/.gitignore" in error.hint
    assert "--gitignore" in error.hint
    line = next(line for line in error.hint.splitlines() if "echo" in line).partition(": ")[2]
    subprocess.run(line, shell=True, check=True)
    gitguard.check(checkout / ".env")


def test_the_hint_for_a_relative_path(checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    assert "echo .env >> .gitignore\n" in refusal(".env").hint


@pytest.mark.parametrize("ignore_file", [".gitignore", ".git/info/exclude"])
def test_ignored(checkout, ignore_file):
    (checkout / ignore_file).write_text(".env*\n!.env.example\n")
    (checkout / "sub").mkdir()
    for path in (
        checkout / ".env",
        checkout / "sub" / ".env",
        checkout / "sub" / "missing" / ".env",
    ):
        assert gitguard.standing(path).state == "ignored"
    assert gitguard.standing(checkout / ".env.example").state == "untracked"


def test_ignored_by_the_users_own_file(checkout, own_home):
    (own_home / "ignore").write_text(".env\n")
    (own_home / ".gitconfig").write_text(f"[core]\nexcludesFile = {own_home}/ignore\n")
    assert gitguard.standing(checkout / ".env").state == "ignored"


def test_tracked_even_if_ignored(checkout):
    (checkout / ".gitignore").write_text(".env\n")
    commit(checkout, ".env")
    error = refusal(checkout / ".env")
    assert "is tracked by git" in error.message
    assert "git rm --cached" in error.hint
    git(checkout, "rm", "-q", "--cached", ".env")
    assert gitguard.standing(checkout / ".env").state == "ignored"


def test_staged_is_tracked(checkout):
    (checkout / ".env").write_text("")
    git(checkout, "add", ".env")
    assert gitguard.standing(checkout / ".env").state == "tracked"


@pytest.mark.parametrize(
    "name", ["*.env", ":(top)x", "a b", "-q", "[x]", "ä", "#x", "!x", "x ", "a\\b"]
)
def test_names_are_taken_literally(checkout, name):
    commit(checkout, "x.env")
    path = checkout / name
    assert gitguard.standing(path).state == "untracked"
    assert gitguard.ignore(path) is True
    assert gitguard.standing(path).state == "ignored"
    assert gitguard.standing(checkout / "other").state == "untracked"
    (checkout / ".gitignore").unlink()
    commit(checkout, "./" + name)
    assert gitguard.standing(path).state == "tracked"


def test_through_a_linked_folder(checkout, tmp_path):
    (tmp_path / "link").symlink_to(checkout)
    assert gitguard.standing(tmp_path / "link" / ".env").state == "untracked"


def test_a_work_tree_and_a_submodule(checkout, tmp_path):
    commit(checkout, "x")
    git(checkout, "worktree", "add", "-q", str(tmp_path / "tree"))
    assert gitguard.standing(tmp_path / "tree" / ".env").state == "untracked"
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "submodule", "--quiet", "add", str(checkout), "sub")
    (outer / ".gitignore").write_text(".env\n")
    assert gitguard.standing(outer / ".env").state == "ignored"
    assert gitguard.standing(outer / "sub" / ".env").state == "untracked"
    shutil.rmtree(checkout)
    assert gitguard.standing(tmp_path / "tree" / ".env").state == "unknown"
    assert "not a git repository" in refusal(tmp_path / "tree" / ".env").message


def test_a_git_folder_that_is_no_repository_is_passed_over(checkout):
    (checkout / "sub" / ".git").mkdir(parents=True)
    assert gitguard.standing(checkout / "sub" / ".env").state == "untracked"


def test_a_hooks_environment_does_not_lead_elsewhere(checkout, tmp_path, monkeypatch):
    commit(checkout, "committed")
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    (other / ".gitignore").write_text(".env\n")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / "index"))
    assert gitguard.standing(checkout / ".env").state == "untracked"
    assert gitguard.standing(checkout / "committed").state == "tracked"


def test_a_repository_of_somebody_else(checkout, tmp_path, monkeypatch):
    (checkout / ".gitignore").write_text(".env\n")
    # What git takes for root in a user's checkout, for root and for everybody else.
    script = f'#!/bin/sh\nGIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec {GIT} "$@"\n'
    path_with_only(tmp_path, monkeypatch, script)
    refused = subprocess.run(["git", "status"], cwd=checkout, capture_output=True, text=True)
    assert "dubious ownership" in refused.stderr
    assert gitguard.standing(checkout / ".env").state == "ignored"
    assert gitguard.standing(checkout / "x").state == "untracked"


def test_its_configuration_runs_nothing(checkout, tmp_path):
    script = tmp_path / "monitor"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    script.chmod(0o755)
    commit(checkout, "x")
    git(checkout, "config", "core.fsmonitor", str(script))
    gitguard.standing(checkout / "x")
    gitguard.standing(checkout / ".env")
    assert not (tmp_path / "ran").exists()
    git(checkout, "status")
    assert (tmp_path / "ran").exists()


def test_no_git_on_path(checkout, tmp_path, monkeypatch):
    (checkout / ".gitignore").write_text(".env\n")
    path_with_only(tmp_path, monkeypatch)
    assert "no git on PATH" in refusal(checkout / ".env").message
    assert gitguard.standing(tmp_path / ".env").state == "outside"


def test_a_git_that_fails_hangs_or_does_not_start(checkout, tmp_path, monkeypatch):
    path_with_only(tmp_path, monkeypatch, "#!/bin/sh\necho 'fatal: broken' >&2; exit 128\n")
    assert "fatal: broken" in refusal(checkout / ".env").message
    monkeypatch.setattr(gitguard, "_TIMEOUT", 0.2)
    (tmp_path / "bin" / "git").write_text(
        f"#!/bin/sh\nexec {shutil.which('sleep', path='/bin:/usr/bin')} 20\n"
    )
    assert "did not answer" in refusal(checkout / ".env").message
    (tmp_path / "bin" / "git").write_text("#!/no/such/interpreter\n")
    assert "does not start" in refusal(checkout / ".env").message


# ignore() -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, b".env\n"),
        (b"", b".env\n"),
        (b"*.pyc", b"*.pyc\n.env\n"),
        (b"*.pyc\n", b"*.pyc\n.env\n"),
        (b"a\r\nb", b"a\r\nb\r\n.env\r\n"),
        (b"\xff\n!.env\n", b"\xff\n!.env\n.env\n"),
    ],
)
def test_ignore_adds_one_line(checkout, before, after):
    gitignore = checkout / ".gitignore"
    if before is not None:
        gitignore.write_bytes(before)
        gitignore.chmod(0o664)
    assert gitguard.ignore(checkout / ".env") is True
    assert gitignore.read_bytes() == after
    assert stat.S_IMODE(gitignore.stat().st_mode) == (0o644 if before is None else 0o664)
    gitguard.check(checkout / ".env")
    assert gitguard.ignore(checkout / ".env") is False
    assert gitignore.read_bytes() == after


def test_ignore_after_a_line_that_is_taken_back(checkout):
    (checkout / ".gitignore").write_text(".env\n!.env\n")
    assert gitguard.ignore(checkout / ".env") is True
    gitguard.check(checkout / ".env")


def test_ignore_leaves_alone_what_needs_nothing(checkout, tmp_path):
    assert gitguard.ignore(tmp_path / ".env") is False
    assert not (tmp_path / ".gitignore").exists()
    (checkout / ".gitignore").write_text("*.env\n")
    assert gitguard.ignore(checkout / ".env") is False
    assert (checkout / ".gitignore").read_text() == "*.env\n"


def test_ignore_does_not_help_a_tracked_file(checkout):
    commit(checkout, ".env")
    with pytest.raises(TrackedFileError, match="is tracked"):
        gitguard.ignore(checkout / ".env")
    assert not (checkout / ".gitignore").exists()


def test_ignore_without_git(checkout, tmp_path, monkeypatch):
    path_with_only(tmp_path, monkeypatch)
    assert gitguard.ignore(checkout / ".env") is True
    assert gitguard.ignore(checkout / ".env") is False
    assert (checkout / ".gitignore").read_text() == ".env\n"


def test_ignore_does_not_write_through_a_link(checkout, tmp_path):
    (tmp_path / "elsewhere").write_text("x\n")
    (checkout / ".gitignore").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EnvFileError, match="symbolic link"):
        gitguard.ignore(checkout / ".env")
    assert (tmp_path / "elsewhere").read_text() == "x\n"


# What envfile makes of it ---------------------------------------------------------------------


def test_envfile_refuses_and_can_be_told_to_write(checkout):
    path = checkout / ".env"
    for act in (envfile.check_writable, lambda p: envfile.update(p, {"A": "1"})):
        with pytest.raises(TrackedFileError):
            act(path)
    assert not path.exists()
    envfile.check_writable(path, allow_tracked=True)
    envfile.update(path, {"A": "1"}, allow_tracked=True)
    assert envfile.read(path) == {"A": "1"}


def test_envfile_after_ignore(checkout):
    gitguard.ignore(checkout / ".env")
    envfile.update(checkout / ".env", {"A": "1"})
    git(checkout, "add", ".")
    listed = subprocess.run(
        ["git", "ls-files"], cwd=checkout, capture_output=True, text=True, check=True
    )
    assert listed.stdout == ".gitignore\n"
