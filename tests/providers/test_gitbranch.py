"""The git branch: by the platform's variables, else by git, else an error."""

from __future__ import annotations

import os
import subprocess

import pytest

from ppg_integrations.errors import ConfigurationError
from ppg_integrations.providers import gitbranch
from ppg_integrations.providers.settings import Settings


def git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@t.invalid"]
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path):
    top = tmp_path / "shop"
    top.mkdir()
    git(top, "init", "--quiet", "--initial-branch", "feature/basket")
    return top


def current(environ, folder):
    return gitbranch.current(Settings(environ), folder)


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"GITHUB_HEAD_REF": "fix/a", "GITHUB_REF_NAME": "12/merge"}, "fix/a"),
        ({"GITHUB_HEAD_REF": "", "GITHUB_REF_NAME": "main", "GITHUB_REF_TYPE": "branch"}, "main"),
        ({"CI_COMMIT_REF_NAME": "dev"}, "dev"),
        ({"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "a", "CI_COMMIT_REF_NAME": "b"}, "a"),
        ({"VERCEL_GIT_COMMIT_REF": "dev"}, "dev"),
        ({"RENDER_GIT_BRANCH": "dev"}, "dev"),
        ({"RAILWAY_GIT_BRANCH": "dev"}, "dev"),
        ({"NETLIFY": "true", "BRANCH": "pull/12/head", "HEAD": "dev"}, "dev"),
        ({"NETLIFY": "true", "BRANCH": "dev"}, "dev"),
        ({"CF_PAGES_BRANCH": "dev"}, "dev"),
        ({"WORKERS_CI_BRANCH": "dev"}, "dev"),
        ({"HEROKU_BRANCH": "dev"}, "dev"),
        ({"HEROKU_TEST_RUN_BRANCH": "dev"}, "dev"),
        ({"CIRCLE_BRANCH": "dev"}, "dev"),
        ({"BITBUCKET_BRANCH": "dev"}, "dev"),
        ({"BUILDKITE_BRANCH": "dev"}, "dev"),
        ({"TF_BUILD": "True", "BUILD_SOURCEBRANCH": "refs/heads/a/b"}, "a/b"),
        ({"SYSTEM_PULLREQUEST_SOURCEBRANCH": "refs/heads/fix"}, "fix"),
        ({"TRAVIS_PULL_REQUEST_BRANCH": "fix", "TRAVIS_BRANCH": "main"}, "fix"),
        ({"APPVEYOR_REPO_BRANCH": "dev"}, "dev"),
    ],
)
def test_the_platform_has_the_first_word(environ, name, checkout):
    found = current(environ, checkout)
    assert found.name == name
    assert found.source.split()[0] in environ


@pytest.mark.parametrize(
    "environ",
    [
        {"GITHUB_REF_NAME": "v1", "GITHUB_REF_TYPE": "tag"},
        {"GITHUB_REF_NAME": "main"},
        {"CI_COMMIT_REF_NAME": "v1", "CI_COMMIT_TAG": "v1"},
        {"BUILDKITE_BRANCH": "v1", "BUILDKITE_TAG": "v1"},
        {"TF_BUILD": "True", "BUILD_SOURCEBRANCH": "refs/tags/v1"},
        {"TF_BUILD": "True", "BUILD_SOURCEBRANCH": "refs/pull/3/merge"},
        {"BRANCH": "somebody's own", "HEAD": "theirs"},
        {"VERCEL_GIT_COMMIT_REF": " "},
    ],
)
def test_tags_and_names_that_others_use_say_nothing(environ, checkout):
    assert current(environ, checkout).name == "feature/basket"


def test_git_tells_in_a_folder_below_and_before_the_first_commit(checkout):
    below = checkout / "web" / "app"
    below.mkdir(parents=True)
    found = current({}, below)
    assert found == ("feature/basket", f"git in {os.path.realpath(checkout)}")


def test_a_linked_work_tree_has_a_branch_of_its_own(checkout, tmp_path):
    git(checkout, "commit", "--quiet", "--allow-empty", "-m", "first")
    git(checkout, "worktree", "add", "--quiet", "-b", "other", str(tmp_path / "linked"))
    assert current({}, tmp_path / "linked").name == "other"


def test_a_detached_head_is_an_error_with_the_way_out(checkout):
    git(checkout, "commit", "--quiet", "--allow-empty", "-m", "first")
    git(checkout, "checkout", "--quiet", "--detach")
    with pytest.raises(ConfigurationError, match="detached HEAD") as raised:
        current({}, checkout)
    assert "PPG_BRANCH=NAME" in raised.value.hint


def test_no_work_tree_is_an_error(tmp_path):
    with pytest.raises(ConfigurationError, match="no git work tree"):
        current({}, tmp_path)


def test_no_git_is_an_error(checkout, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigurationError, match="no git on PATH"):
        current({}, checkout)


def test_a_hooks_variables_do_not_lead_elsewhere(checkout, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet", "--initial-branch", "elsewhere")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert current({}, checkout).name == "feature/basket"


def test_a_git_that_hangs_is_given_up(checkout, tmp_path, monkeypatch):
    from ppg_integrations import gitguard

    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(gitguard, "_TIMEOUT", 0.2)
    with pytest.raises(ConfigurationError, match="git does not answer"):
        current({}, checkout)
