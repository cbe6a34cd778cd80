"""The commands of ours that stand in a Dockerfile, a workflow or a configuration."""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import shlex

from ppg_integrations.cli import arguments
from tests.docs import shims

_INSTRUCTIONS = set(
    "ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL ONBUILD RUN SHELL STOPSIGNAL "
    "USER VOLUME WORKDIR".split()
)
_VERBS = re.compile(r"(?:ppg-connect|manage\.py ppg_connect|flask ppg|-m ppg_integrations)\b(.*)")
_PIP = re.compile(r"\bpip (install .*)")
_ENDS = {"&&", "||", ";", "|", ">", ">>", "&"}


def instructions(text: str) -> None:
    """Raises ValueError for a line of a Dockerfile that begins with no instruction."""
    for line in text.replace("\\\n", " ").splitlines():
        word = line.split(maxsplit=1)[:1]
        if word and not word[0].startswith("#") and word[0].upper() not in _INSTRUCTIONS:
            raise ValueError(f"no instruction of a Dockerfile: {line}")


def check(text: str) -> None:
    """Raises ValueError or SystemExit for a verb, an option or a requirement that is not there."""
    for line in text.replace("\\\n", " ").splitlines():
        # The exec form, and lists of YAML and JSON.
        plain = re.sub(r'[\[\]]|",|",? "', " ", line) if re.search(r'\["', line) else line
        for found in _VERBS.findall(plain):
            _parse(_words(found), with_shell="flask ppg" in plain)
        for found in _PIP.findall(plain):
            found = re.sub(r"-r \S+", "", found)  # a file of the reader's
            shims.installed(_words(found), files=False)


def _words(text: str) -> list[str]:
    words: list[str] = []
    try:
        split = shlex.split(text, comments=True)
    except ValueError:  # the quotation mark at its end belongs to what is around the command
        split = shlex.split(text.rstrip("\"'"), comments=True)
    for word in split:
        if word in _ENDS:
            break
        words.append(word.rstrip(";"))
    return words


def _parse(words: list[str], *, with_shell: bool) -> None:
    parser = argparse.ArgumentParser("ppg-connect")
    arguments.add_verbs(parser, required=False, with_shell=with_shell)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parser.parse_args(words)
    except SystemExit:
        raise ValueError(f"{words}: {said.getvalue()}") from None
