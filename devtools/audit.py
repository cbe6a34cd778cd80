"""Whether a version that CI installs has a known vulnerability: ``tox -e audit``.

pip-audit asks the index about each pin of ``requirements``, whatever Python and system it is for.
Those of ``lowest.txt`` are left out: a minimum is what works, and nobody is told to stay there.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import requests
from packaging.version import Version
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

FOLDER = Path(__file__).resolve().parents[1] / "requirements"

#: The id of a vulnerability, as the index has it, and why it cannot hurt here. Nothing else is let
#: through, and what is found no more has to leave this table.
WAIVED: Final[dict[str, str]] = {}

#: It has a vulnerability that its authors will not mend: an index that does not say so says
#: nothing of the others either.
KNOWN: Final = ("ecdsa", "0.19.2")

_AT_ONCE = 8  # questions to the index
_TIMEOUT = 30  # seconds for each


#: A name that is not found, a connection that is cut: once in hundreds of questions is no failure.
_AGAIN = Retry(total=5, backoff_factor=0.3, status_forcelist=(429, 502, 503, 504))


class Pin(NamedTuple):
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class Answer(NamedTuple):
    """What the index says of one pin."""

    pin: Pin
    #: the names of each vulnerability, the index's own first; None where it could not tell
    found: tuple[tuple[str, ...], ...] | None


class Unreachable(Exception):  # noqa: N818  (what it means is main's decision)
    """The index gave no answer that can be read."""


def pins(paths: Iterable[Path]) -> list[Pin]:
    """What the files pin, for every Python and system."""
    texts = (path.read_text() for path in paths)
    return sorted(
        {Pin(*pair) for text in texts for pair in re.findall(r"(?m)^([\w.-]+)==([^\s;]+)", text)}
    )


def patient(session: requests.Session) -> requests.Session:
    """Has it ask again; nor is anything taken from a cache."""
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=_AGAIN))
    return session


def newest(response: Any, *_: Any, **options: Any) -> Any:
    """Answers for a version from its project's page, where an index has no page for each version.

    Only a version that is the newest can be told that way: the page speaks of no other one.
    """
    page, _, rest = response.url.rpartition("/json")
    project, _, version = page.rpartition("/")
    if response.status_code != requests.codes.not_found or rest or project.count("/") < 4:
        return response
    with patient(requests.Session()) as session:
        other = session.get(f"{project}/json", timeout=options.get("timeout", _TIMEOUT))
        if other.ok and Version(other.json()["info"]["version"]) == Version(version):
            return other
    return response


def ask(pins: Iterable[Pin]) -> list[Answer]:
    """What the index knows of each pin.

    Raises:
        Unreachable: it did not answer, or knows of no vulnerabilities at all.
    """
    # Here, so that the rest is tested where pip-audit is not installed.
    from pip_audit._service.interface import ConnectionError as NoConnection
    from pip_audit._service.interface import ResolvedDependency, ServiceError
    from pip_audit._service.pypi import PyPIService

    service = PyPIService(timeout=_TIMEOUT)
    patient(service.session).hooks["response"].append(newest)

    def one(pin: Pin) -> Answer:
        try:
            told, results = service.query(ResolvedDependency(pin.name, Version(pin.version)))
        except (NoConnection, ServiceError, requests.RequestException, ValueError) as error:
            raise Unreachable(f"{pin}: {error or type(error).__name__}") from error
        if told.is_skipped():
            return Answer(pin, None)
        return Answer(pin, tuple((each.id, *sorted(each.aliases)) for each in results))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        first, *others = pool.map(one, [Pin(*KNOWN), *pins])
    if first.found == ():
        raise Unreachable(f"vulnerabilities: it knows none of {first.pin}, which has one")
    return others


def judge(answers: Iterable[Answer], waived: dict[str, str]) -> tuple[list[str], list[Pin]]:
    """Sentences that fail the run, and the pins of which nothing is known."""
    known = list(answers)
    unknown = [answer.pin for answer in known if answer.found is None]
    bad: list[str] = []
    used: set[str] = set()
    for pin, found in known:
        for names in found or ():
            reasons = used & set(names) or waived.keys() & set(names)
            used |= reasons
            if not reasons:
                bad.append(f"{pin} has a known vulnerability: {', '.join(names)}")
    if not unknown:
        bad += [f"{name} is waived and found no more: take it out" for name in waived.keys() - used]
    bad += [f"{name} is waived without a reason" for name, why in waived.items() if not why.strip()]
    return sorted(set(bad)), unknown


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m devtools.audit")
    parser.add_argument("--complete", action="store_true", help="fail if a pin cannot be judged")
    parser.add_argument("files", nargs="*", type=Path, help="other files of pins")
    options = parser.parse_args(arguments)
    files = options.files or [path for path in FOLDER.iterdir() if path.name != "lowest.txt"]
    asked = pins(files)
    try:
        answers = ask(asked)
    except Unreachable as error:
        # Who works offline goes on; CI has just installed from that index.
        print(f"NOT AUDITED: the index cannot be asked about {error}", file=sys.stderr)
        return int(options.complete or os.environ.get("CI", "").lower() in ("1", "true"))
    bad, unknown = judge(answers, WAIVED)
    print(*bad, sep="\n", end="\n" if bad else "")
    print(
        f"{len(asked) - len(unknown)} of {len(asked)} pins are judged, {len(bad)} to be dealt with"
    )
    if unknown:
        print(
            "NOT AUDITED, because this index tells about newest versions only: "
            + ", ".join(map(str, unknown))
        )
    return int(bool(bad) or (options.complete and bool(unknown)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
