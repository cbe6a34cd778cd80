"""No block of a page escapes, and what should fail does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import DIRECTIVES, ELSEWHERE, blocks, pages
from tests.docs.page import LANGUAGES, Page
from tests.support.programs import ROOT

_FENCE = re.compile(r"^[ >]*(?:```|~~~)[ ]*([^\s`]+)", re.MULTILINE)


@pytest.mark.parametrize("page", pages())
def test_every_block_of_a_page_is_found_and_has_a_language_that_is_known(page):
    found = [block.language for block in blocks(page)]
    assert set(found) <= set(LANGUAGES), found
    # what looks like a fence to nothing but the eye is one to the parser
    fences = _FENCE.findall(Path(ROOT, page).read_text(encoding="utf-8"))
    fences = [each for each in fences if not each.startswith(DIRECTIVES)]
    assert sorted(each for each in found if each) == sorted(fences)


def test_there_are_pages():
    assert {"README.md", "CONTRIBUTING.md", "docs/quickstart.md", "docs/index.md"} <= {*pages()}
    assert len(pages()) > 30


@pytest.mark.parametrize(("page", "test"), ELSEWHERE.items())
def test_a_page_that_is_run_elsewhere_is(page, test):
    assert page in Path(ROOT, test).read_text(encoding="utf-8")


WRONG = {
    "a command fails": ("```sh\nfalse\n```", "exit status 1"),
    "a command of a pipe fails": ("```sh\nfalse | true\n```", "exit status 1"),
    "a variable is not set": ("```sh\necho $NOTHING\n```", "unbound"),
    "a name is not there": ("```python\nnothing\n```", "NameError"),
    "settings are wrong": ("```python\n# settings.py\nDATABASES = databases(pooled='x')\n```", "x"),
    "an extra is not there": ("```sh\npip install 'ppg-integrations[nothing]'\n```", "no extra"),
    "a package is not tested": ("```sh\npip install leftpad\n```", "does not name leftpad"),
    "a verb is not there": ("```sh\nppg-connect generate\n```", "invalid choice"),
    "an option is not there": ("```yaml\nrun: ppg-connect create --fast\n```", "--fast"),
    "yaml is none": ("```yaml\na: b: c\n```", "mapping values"),
    "a Dockerfile is none": ("```dockerfile\nFROM x\nRUNS y\n```", "RUNS y"),
    "a language is not known": ("```bash\ntrue\n```", "none of"),
    "it is indented": ("text\n\n    python x.py\n", "none of"),
    "it works and should fail": ("<!-- docs: fails -->\n```sh\ntrue\n```", "should fail"),
    "it fails otherwise": ('<!-- docs: fails="x y" -->\n```sh\necho z; false\n```', "say 'x y'"),
    "it prints something else": (
        "```sh\necho one; echo two\n```\n<!-- docs: output -->\n```text\ntwo\none\n```",
        "'one' was not printed",
    ),
    "a verb of dev.py": ("```sh\npython3 dev.py tests\n```", "no verb"),
    "an option of dev.py": ("```sh\npython3 dev.py test --fast\n```", "no option"),
    "a benchmark": ("```sh\npython3 dev.py bench nothing\n```", "no benchmark"),
    "an environment of tox": ("```sh\ntox -e py27\n```", "no environment"),
    "a file of the checkout": ("```sh\npython3 dev.py test -- tests/nothing\n```", "there is no"),
    "a server that does not start": ("```sh\ngunicorn nothing:app\n```", "ended by itself"),
    "a page that is an error": (
        "```python\n# urls.py\nfrom django.urls import path\n"
        "urlpatterns = [path('', lambda request: 1 / 0)]\n```\n"
        "```sh\npython manage.py runserver\n```",
        "answered 500",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_block_that_does_not_do_what_it_says_fails(case, tmp_path, servers, programs):
    text, wanted = WRONG[case]
    with pytest.raises(AssertionError) as caught:
        Page("docs/page.md", tmp_path, servers, programs).run(text)
    assert wanted in str(caught.value)
    assert str(caught.value).startswith("docs/page.md:")


def test_a_word_that_nobody_knows_is_no_directive(tmp_path, servers, programs):
    text = "<!-- docs: skip -->\n```sh\ntrue\n```"
    with pytest.raises(AssertionError, match="what is {'skip'}"):
        Page("docs/page.md", tmp_path, servers, programs).run(text)


def test_blocks_of_a_page_share_what_they_leave(tmp_path, servers, programs):
    Page("docs/page.md", tmp_path, servers, programs).run(
        """
```sh
mkdir deep && cd deep
export WORD=said
```
```python
import os

word, folder = os.environ["WORD"], os.path.basename(os.getcwd())
```
```python
assert (word, folder) == ("said", "deep")
assert await_it == 1 if (await_it := 1) else False
```
<!-- docs: project=plain -->
```sh
test "$(ls -A | grep -v -e .venv -e .ppg -e .env)" = ""
```
<!-- docs: project=django -->
```sh
test "$WORD" = said
cd ..
ls manage.py
```
"""
    )
