"""A long run against one reader: ``python -m tests.fuzz.campaign urls --count 10000000``.

With ``--guided`` atheris chooses the inputs by what they reach in the code; it is not among the
test dependencies, because it has no wheels for every Python: ``pip install atheris``.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from types import ModuleType

TARGETS = ("urls", "envtexts", "answers", "commands")
#: seconds of processor time that one input may take
LIMIT = 0.1
_BITS = 28  # of the set that tells how many of the inputs were different


def load(name: str) -> ModuleType:
    return importlib.import_module(f"tests.fuzz.{name}")


def run(name: str, count: int, seed: int) -> str:
    """Tries `count` inputs; the sentence says how it went.

    Raises:
        SystemExit: an input broke a promise; the text shows it and how to make it again.
    """
    target, random = load(name), Random(seed)
    believed = getattr(target, "believed", None)
    seen, different, read = bytearray(1 << (_BITS - 3)), 0, 0
    slowest, slow = 0.0, ""
    start = time.monotonic()
    for number in range(1, count + 1):
        if number % 500_000 == 0:
            print(f"{number:,} inputs, {time.monotonic() - start:.0f} s", flush=True)
        if believed and number % 4 == 0:
            try:
                believed(random)
            except BaseException:
                print(f"input {number} of seed {seed}", file=sys.stderr)
                raise
            continue
        text = target.texts(random)
        place = hash(text) & ((1 << _BITS) - 1)
        if not seen[place >> 3] & (1 << (place & 7)):
            seen[place >> 3] |= 1 << (place & 7)
            different += 1
        before = time.thread_time()
        try:
            read += target.check(text, thorough=number % 1000 == 1)
        except BaseException:
            print(f"input {number} of seed {seed}: {text!r}", file=sys.stderr)
            raise
        took = time.thread_time() - before
        if took > slowest:
            slowest, slow = took, text
            if took > LIMIT:
                sys.exit(f"input {number} of seed {seed} took {took:.2f} s: {slow[:200]!r} ...")
    seconds = time.monotonic() - start
    return (
        f"{name}: {count:,} inputs from seed {seed} in {seconds:,.0f} s; at least {different:,} "
        f"different ones, {read:,} accepted; slowest {slowest * 1000:.0f} ms ({len(slow):,} characters)"
    )


def guided(name: str, seconds: int) -> None:
    """The same promises, with inputs that atheris chooses; it ends the process."""
    import atheris

    with atheris.instrument_imports(include=["ppg_integrations", "dotenv"]):
        target = load(name)

    def once(data: bytes) -> None:
        target.check(data.decode("utf-8", "surrogateescape"))

    with tempfile.TemporaryDirectory() as folder:
        corpus, words = Path(folder, "corpus"), Path(folder, "words")
        corpus.mkdir()
        for number, seed in enumerate(target.SEEDS):
            corpus.joinpath(str(number)).write_bytes(seed.encode("utf-8", "surrogateescape"))
        words.write_text(
            "".join(
                '"' + "".join(f"\\x{byte:02x}" for byte in token.encode()) + '"\n'
                for token in target.TOKENS
            )
        )
        options = [f"-max_total_time={seconds}", f"-dict={words}", "-max_len=2048", "-timeout=5"]
        atheris.Setup([sys.argv[0], *options, str(corpus)], once)
        atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.campaign")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--count", type=int, default=100_000, help="inputs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--guided", type=int, metavar="SECONDS", help="let atheris choose")
    options = parser.parse_args()
    if options.guided:
        guided(options.target, options.guided)
    else:
        print(run(options.target, options.count, options.seed))


if __name__ == "__main__":
    main()
