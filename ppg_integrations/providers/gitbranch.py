"""The git branch that is being worked on, built or deployed: what ``PPG_BRANCH=auto`` means."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Final, NamedTuple

from .. import gitguard
from ..errors import ConfigurationError

if TYPE_CHECKING:
    from .settings import Settings

#: The values of ``--branch`` and ``PPG_BRANCH`` that ask for the git branch. With the second one a
#: provider may fall back to its default branch.
AUTO: Final = "auto"
AUTO_OR_DEFAULT: Final = "auto-or-default"

_HEADS: Final = "refs/heads/"


class _Row(NamedTuple):
    """A variable that a platform sets.

    Attributes:
        variable: holds the branch.
        where: its platform, for messages.
        mark: ``NAME`` must be set, or ``NAME=value`` must be so, or ``!NAME`` must not be set.
    """

    variable: str
    where: str
    mark: str = ""


# For a pull request it is the branch that asks to be merged; for a tag, none. Two variables of a
# platform stand in the order in which they win. Names that others use too need the platform's mark.
# GitHub: https://docs.github.com/actions/reference/variables-reference (for a pull request,
# GITHUB_REF_NAME is "12/merge"). GitLab: https://docs.gitlab.com/ci/variables/predefined_variables
# Netlify: https://docs.netlify.com/build/configure-builds/environment-variables (BRANCH is
# "pull/12/head" for a deploy preview, HEAD is the branch's name). Azure, AppVeyor, Travis and the
# others: as https://github.com/semantic-release/env-ci reads them.
_ROWS: Final = (
    _Row("GITHUB_HEAD_REF", "GitHub Actions"),
    _Row("GITHUB_REF_NAME", "GitHub Actions", "GITHUB_REF_TYPE=branch"),
    _Row("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "GitLab CI"),
    _Row("CI_COMMIT_REF_NAME", "GitLab CI", "!CI_COMMIT_TAG"),
    _Row("VERCEL_GIT_COMMIT_REF", "Vercel"),
    _Row("RENDER_GIT_BRANCH", "Render"),
    _Row("RAILWAY_GIT_BRANCH", "Railway"),
    _Row("HEAD", "Netlify", "NETLIFY"),
    _Row("BRANCH", "Netlify", "NETLIFY"),
    _Row("CF_PAGES_BRANCH", "Cloudflare Pages"),
    _Row("WORKERS_CI_BRANCH", "Cloudflare Workers Builds"),
    _Row("HEROKU_BRANCH", "Heroku"),
    _Row("HEROKU_TEST_RUN_BRANCH", "Heroku CI"),
    _Row("CIRCLE_BRANCH", "CircleCI"),
    _Row("BITBUCKET_BRANCH", "Bitbucket Pipelines"),
    _Row("BUILDKITE_BRANCH", "Buildkite", "!BUILDKITE_TAG"),
    _Row("SYSTEM_PULLREQUEST_SOURCEBRANCH", "Azure Pipelines"),
    _Row("BUILD_SOURCEBRANCH", "Azure Pipelines", "TF_BUILD"),
    _Row("TRAVIS_PULL_REQUEST_BRANCH", "Travis CI"),
    _Row("TRAVIS_BRANCH", "Travis CI", "!TRAVIS_TAG"),
    _Row("APPVEYOR_PULL_REQUEST_HEAD_REPO_BRANCH", "AppVeyor"),
    _Row("APPVEYOR_REPO_BRANCH", "AppVeyor", "!APPVEYOR_REPO_TAG_NAME"),
)


class GitBranch(NamedTuple):
    """A branch's name, and where it was read."""

    name: str
    source: str


def current(settings: Settings, folder: str | os.PathLike[str] = "") -> GitBranch:
    """The git branch, by the platform's variables first, because a CI checks out a commit.

    Args:
        settings: the variables.
        folder: in the work tree to ask; the working directory by default.

    Raises:
        ConfigurationError: nothing tells, or no branch is checked out.
    """
    for variable, where, mark in _ROWS:
        value = settings.get(variable)
        if not value or not _holds(settings, mark):
            continue
        if value.startswith("refs/") and not value.startswith(_HEADS):
            continue  # a tag, or a merge that is only tried
        return GitBranch(value.removeprefix(_HEADS), f"{variable} of {where}")
    return _checked_out(os.path.realpath(folder or "."))


def _holds(settings: Settings, mark: str) -> bool:
    if mark.startswith("!"):
        return not settings.get(mark[1:])
    name, equals, value = mark.partition("=")
    return not name or (settings.get(name) == value if equals else bool(settings.get(name)))


def _checked_out(start: str) -> GitBranch:
    """What git says; each ``.git`` up the tree is named to it, as `gitguard` explains."""
    reason = f"{start} is in no git work tree"
    for top in gitguard.folders_up(start):
        git_dir = os.path.join(top, ".git")
        if not os.path.lexists(git_dir):
            continue
        if shutil.which("git") is None:
            reason = f"{top} is a git work tree, and there is no git on PATH"
            break
        command = ["git", "--git-dir", git_dir, "symbolic-ref", "--quiet", "HEAD"]
        try:
            answer = gitguard.run(command)
        except (subprocess.TimeoutExpired, OSError):
            reason = f"git does not answer in {top}"
            break
        head = answer.stdout.removesuffix("\n")
        if answer.returncode == 0 and head.startswith(_HEADS):
            return GitBranch(head.removeprefix(_HEADS), f"git in {top}")
        if answer.returncode in {0, 1}:
            reason = f"no branch is checked out in {top} (a detached HEAD)"
            break
        reason = f"git does not read {git_dir}"
    raise ConfigurationError(
        f"the git branch is not known: {reason}",
        hint="Name the database's branch: --branch NAME, or PPG_BRANCH=NAME.",
    )
