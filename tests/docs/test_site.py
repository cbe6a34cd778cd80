"""The site's own pages lead to all the others. The build itself is a command of tox."""

from __future__ import annotations

import re
import sys
from types import SimpleNamespace

import pytest

from tests.support.programs import ROOT

DOCS = ROOT / "docs"
SECTIONS = ("how-to", "reference", "explanation")


@pytest.mark.parametrize("section", SECTIONS)
def test_each_page_of_a_section_has_a_line_in_its_index(section):
    index = (DOCS / section / "index.md").read_text(encoding="utf-8")
    lines = re.findall(r"^- \[[^]]+\]\(([\w-]+\.md)\): .+$", index, re.MULTILINE)
    pages = {path.name for path in (DOCS / section).glob("*.md")} - {"index.md"}
    assert sorted(lines) == sorted(pages)  # and none twice


def test_the_front_page_is_short_and_leads_to_each_section():
    front = (DOCS / "index.md").read_text(encoding="utf-8")
    assert {f"{section}/index.md" for section in SECTIONS} <= {*re.findall(r"\]\(([^)]+)\)", front)}
    assert len(front.splitlines()) < 50


@pytest.fixture
def conf(monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path[:])
    space = {"__file__": str(DOCS / "conf.py")}
    exec((DOCS / "conf.py").read_text(encoding="utf-8"), space)
    return space


@pytest.mark.parametrize(
    ("link", "becomes"),
    [
        ("[a](../../README.md)", "[a](../index.md)"),
        ("[a](../../CHANGELOG.md#010)", "[a](../changelog.md#010)"),
        ("[a](../../CONTRIBUTING.md)", "[a](../contributing/index.md)"),
        ("[the `demo`](../../example_projects)", "the `demo`"),
        ("[a](../../nothing.py)", "[a](../../nothing.py)"),  # Sphinx complains
        ("[a](../quickstart.md#x)", "[a](../quickstart.md#x)"),
        ("[a](https://example.com/x)", "[a](https://example.com/x)"),
        ("![a](../routes.svg)", "![a](../routes.svg)"),
    ],
)
def test_links_that_lead_out_of_the_folder_lead_to_what_the_site_has(conf, link, becomes):
    source = [f"See {link}."]
    conf["_inside"](SimpleNamespace(srcdir=DOCS), "how-to/page", source)
    assert source == [f"See {becomes}."]


def test_titles_between_two_comments_become_tabs_also_inside_of_tabs(conf):
    source = [
        "## Before\n<!-- tabs: where -->\n### Here\na\n<!-- tabs: how -->\n**One way**\n```sh\n# b\n```\n"
        "**Other**\n**c** d\n<!-- tabs: end -->\n### There\ne\n<!-- tabs: end -->\n**After**"
    ]
    conf["_tabs"](None, "page", source)
    assert [line for line in source[0].splitlines() if line] == [
        "## Before",
        ":::::::::{tab-set}",
        ":sync-group: where",
        "::::::::{tab-item} Here",
        ":sync: here",
        "a",
        ":::::::{tab-set}",
        ":sync-group: how",
        "::::::{tab-item} One way",
        ":sync: one-way",
        *("```sh", "# b", "```"),
        "::::::",
        "::::::{tab-item} Other",
        ":sync: other",
        "**c** d",
        *("::::::", ":::::::", "::::::::"),
        "::::::::{tab-item} There",
        ":sync: there",
        "e",
        *("::::::::", ":::::::::"),
        "**After**",
    ]


@pytest.mark.parametrize("provider", ["Embedded", "Prisma Postgres", "Neon", "case.dev"])
@pytest.mark.parametrize("command", ["python manage.py ppg_connect", "flask ppg"])
def test_the_quickstart_has_each_framework_at_each_provider(provider, command):
    text = (DOCS / "quickstart.md").read_text(encoding="utf-8")
    section = text.partition(f"### {provider}\n")[2].partition("\n##")[0]
    assert len(re.findall(rf"^{command} create --", section, re.MULTILINE)) == 1


def test_every_page_on_a_repository_host_leads_somewhere():
    for path in [*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\((?!\w+:|#)([^)\s#]+)", text):
            assert (path.parent / target).exists(), f"{path.relative_to(ROOT)}: {target}"
