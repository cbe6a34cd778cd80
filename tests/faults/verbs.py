"""Each verb, with each fault at each place that it asks: what comes of it."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.faults.stage import Done, Place, Runner, Stage


class Row(NamedTuple):
    """A verb, and where it meets the fault.

    Attributes:
        verb: what a user types; ``ID`` stands for a connection that nobody uses.
        place: where the fault is; None for everywhere at once.
        neon: with Neon's API and no ``.env``, instead of Prisma's.
    """

    verb: str
    place: Place | None
    neon: bool = False


ROWS = (
    Row("show", None),
    Row("show", "API", neon=True),
    Row("list", "API"),
    *(Row("create", place) for place in ("API", "pooled", "direct")),
    *(Row("rotate --grace 0", place) for place in ("API", "pooled", "direct")),
    Row("revoke ID", "API"),
    *(Row("doctor", place) for place in ("API", "pooled", "direct")),
    Row("run -- true", None),
    Row("local status", None),
)


@dataclass
class Outcome:
    """What a user sees.

    Attributes:
        status: the exit status.
        word: the type of the error; for ``doctor`` why an endpoint is unreachable.
        seconds: how long it took.
        complaints: what is wrong with it.
    """

    status: int
    word: str
    seconds: float
    message: str = ""
    complaints: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        seconds = math.ceil(self.seconds)
        return f"{self.word or 'done'} ({self.status}), {seconds} s"

    @property
    def what(self) -> str:
        """Without the seconds."""
        return str(self).rpartition(",")[0]


def prepared(stage: Stage, runner: Runner) -> None:
    """A stage with a pair in ``.env``."""
    done = runner(["create", "--json"], stage.folder, stage.environ)
    assert done.status == 0, done


def outcome(stage: Stage, row: Row, fault: str, runner: Runner) -> Outcome:
    """Does it, and puts the stage right again."""
    arguments = row.verb.replace("ID", _spare(stage, runner) if "ID" in row.verb else "").split()
    if "run" not in arguments:
        arguments.append("--json")
    before = stage.env_file.read_bytes() if stage.env_file.exists() else b""
    for place in stage.places if row.place is None else (row.place,):
        stage.spoil(place, fault)
    if row.neon:
        stage.forget()
    began = time.monotonic()
    done = runner(arguments, stage.folder, stage.hurried(row.place, fault))
    seconds = time.monotonic() - began
    if arguments[0] == "run":
        done = done._replace(out=done.out or "{}")
    word, message = said(done)
    result = Outcome(done.status, word, seconds, message)
    result.complaints = stage.complaints(done, before)
    changes = arguments[0] in ("create", "rotate", "revoke")
    if changes and done.status and before and stage.env_file.read_bytes() != before:
        # stored, and only the retiring of the old one is due
        if not stage.under_way():
            result.complaints.append("the file was changed, and the journal does not know")
    if changes and done.status:
        _goes_on(stage, arguments, runner, result)
    return result


def _goes_on(stage: Stage, arguments: list[str], runner: Runner, result: Outcome) -> None:
    """The next run of the same verb finishes the work."""
    done = runner(arguments, stage.folder, stage.environ)
    gone = arguments[0] == "revoke" and done.status == 1 and "no connection" in done.out
    if done.status and not gone:
        result.complaints.append(f"the next run fails: {done.out} {done.err}")
    if stage.under_way():
        result.complaints.append("something is still under way after the next run")


def _spare(stage: Stage, runner: Runner) -> str:
    other = stage.folder / "other"
    other.mkdir(exist_ok=True)
    done = runner(["create", "--json"], other, stage.environ)
    assert done.status == 0, done
    return json.loads(done.out)["connection"]["id"]


def said(done: Done) -> tuple[str, str]:
    document = json.loads(done.out) if done.out.startswith("{") else {}
    if "error" in document:
        error = document["error"]
        assert error["message"], done
        return error["type"], f"{error['message']}\n{error['hint']}"
    problems = [each for each in document.get("problems", ()) if each["severity"] == "error"]
    halves = (document[half] for half in ("pooled", "direct") if document.get(half))
    codes = sorted({half["error"]["code"] for half in halves if half.get("error")})
    message = "\n".join(f"{each['message']}\n{each['hint']}" for each in problems)
    words = [f"{each['id']}: {', '.join(codes)}" if codes else each["id"] for each in problems]
    return (words[0] if words else ""), message


def at_most(stage_limits: tuple[float, float] | None) -> float:
    """Seconds in which each verb has to end, its start included.

    A verb may ask the API, wait for the database, and ask the API again.
    """
    connect, timeout = stage_limits or (20.0, 30.0)
    return 2 * timeout + connect + 5.0
