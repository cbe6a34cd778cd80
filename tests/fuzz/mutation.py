"""Texts that are nearly right: a seed with a few edits, every choice made by one ``Random``."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

# Whatever a person, a shell, a browser or another program may leave in a text.
CHARACTERS = (
    "abcXYZ0189-._~!$'()*+,;=:@/?#[]%&|^`{}<>\\\" \t\r\n"
    "\x00\x01\x1b\x7f\x85\xa0\xad\u200b\u200e\u202e\u2028\u2044\ufeff\uff0f\uff20\u0430\u00e9\U0001f511\ud800"
)
LONG = 400  # one text in so many is made long, where a slow pattern shows


def mutant(random: Random, seeds: Sequence[str], tokens: Sequence[str]) -> str:
    """One of the seeds with one to six edits.

    Args:
        random: makes every choice, so that its seed makes the same text again.
        seeds: real shapes.
        tokens: what matters to the reader, inserted whole.
    """
    pick = random.random
    text = seeds[int(pick() * len(seeds))]
    for _ in range(1 + int(pick() * pick() * 6)):
        start = int(pick() * (len(text) + 1))
        # mostly short: what is cut out or repeated is a part of a part
        stop = min(len(text), start + 1 + int(pick() * pick() * 24))
        edit = int(pick() * 9)
        if edit <= 1:
            new = tokens[int(pick() * len(tokens))]
        elif edit <= 3:
            new = CHARACTERS[int(pick() * len(CHARACTERS))]
        elif edit == 4:
            new = ""
        elif edit == 5:
            new = text[start:stop] * 2
        elif edit == 6:
            new = "".join(
                [f"%{byte:02X}" for byte in text[start:stop].encode(errors="surrogatepass")]
            )
        elif edit == 7:
            new = text[start:stop].swapcase()
        else:
            other = seeds[int(pick() * len(seeds))]
            new = other[int(pick() * len(other)) :]
        kept = start if edit <= 3 and pick() < 0.6 else stop
        text = text[:start] + new + text[kept:]
    if pick() * LONG < 1:
        word = tokens[int(pick() * len(tokens))]
        at = int(pick() * (len(text) + 1))
        text = text[:at] + word * int(1 + pick() * 8_400 / len(word)) + text[at:]
    return text
