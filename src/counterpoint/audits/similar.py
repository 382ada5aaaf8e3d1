"""Which messages are near duplicates, in any language: shingles of bytes, and small sketches.

Two texts are compared by the Jaccard similarity of their runs of `SHINGLE` bytes of UTF-8: eight
letters of English, and nearly three signs of Chinese. Of a long text a bottom-k sketch stands for
all of its shingles.

Source: Broder 1997 for shingles and sketches.
"""

from __future__ import annotations

import re
from collections import deque
from typing import NamedTuple

import numpy as np

SHINGLE = 8
"""The number of bytes in a row that are compared: one number of 64 bits."""
SKETCH = 64
"""The number of smallest hashes that are kept of a text."""
LONGEST = 1200
"""The most characters that are compared: of a longer text, half from each end."""
ALIKE = 0.8
"""The Jaccard similarity of near duplicates, whatever numbers are in them."""
REWORDED = 0.6
"""The Jaccard similarity of near duplicates whose numbers are the same, or that are so long that
numbers are not what they say."""
LONG = 200
"""The fewest characters of such a text."""
DIGITS = re.compile(r"\d+")
WINDOW = 16
"""The number of earlier different messages with which one is compared."""
ALL = 2**64
_EIGHT_BYTES = np.dtype("<u8")
_MIX = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)


def normal(text: str) -> str:
    """Returns the part of a text that is compared, with single spaces and without capitals."""
    if len(text) > LONGEST:
        text = text[: LONGEST // 2] + text[-LONGEST // 2 :]
    return " ".join(text.split()).casefold()


class Sketch(NamedTuple):
    """The hashes of a text's shingles: all of them, or the smallest."""

    hashes: frozenset[int]
    end: int
    """No hash up to here is left out."""


def sketch(text: str) -> Sketch:
    """Returns the smallest hashes of the shingles of a normal text; of a short text, of all."""
    raw = text.encode("utf-8", "surrogatepass")
    count = len(raw) - SHINGLE + 1
    if count < 1:
        return Sketch(frozenset({int.from_bytes(raw, "little")} if raw else ()), ALL)
    windows = np.ndarray((count,), _EIGHT_BYTES, raw, 0, (1,))  # they overlap, uncopied
    hashes = windows * _MIX  # an overflow wraps around, which a hash may
    hashes ^= hashes >> _HALF
    if count <= SKETCH:
        return Sketch(frozenset(hashes.tolist()), ALL)
    hashes.partition(SKETCH - 1)
    smallest = hashes[:SKETCH].tolist()
    return Sketch(frozenset(smallest), smallest[-1])


def similarity(one: Sketch, other: Sketch) -> float:
    """Returns the Jaccard similarity of two texts, from the hashes that both sketches cover."""
    both = len(one.hashes & other.hashes)
    either = len(one.hashes) + len(other.hashes) - both
    end = min(one.end, other.end)
    if end == ALL or 2 * both < min(len(one.hashes), len(other.hashes)):
        return both / either if either else 1.0  # exact, or far from alike
    beyond = sum(value > end for value in one.hashes ^ other.hashes)
    return both / (either - beyond)


def numbers(text: str) -> list[str]:
    """Returns the numbers in a text, in order."""
    return DIGITS.findall(text)


class Duplicates:
    """Finds for each text the first text that it repeats, among the last `WINDOW` different ones.

    `of` returns a number for each text: near duplicates have the same number.
    """

    def __init__(self, window: int = WINDOW) -> None:
        self.numbers: dict[str, int] = {}
        self.recent: deque[tuple[int, str]] = deque(maxlen=window)
        self.sketches: dict[int, Sketch] = {}

    def of(self, text: str) -> tuple[int, bool]:
        """Returns the number of a normal text, and whether it is new."""
        if (known := self.numbers.get(text)) is not None:
            return known, False
        number, mine = self._near(text)
        is_new = number is None
        number = len(self.numbers) if number is None else number
        self.numbers[text] = number
        if is_new:
            if len(self.recent) == self.recent.maxlen:
                self.sketches.pop(self.recent[0][0], None)
            self.recent.append((number, text))
            if mine is not None:
                self.sketches[number] = mine
        return number, is_new

    def _near(self, text: str) -> tuple[int | None, Sketch | None]:
        """Returns the number of the text that one repeats, and its sketch if that was needed."""
        low, high = len(text) * REWORDED, len(text) / REWORDED
        mine: Sketch | None = None
        for number, other in reversed(self.recent):
            if not low <= len(other) <= high:
                continue
            if mine is None:
                mine = sketch(text)
            if number not in self.sketches:
                self.sketches[number] = sketch(other)
            alike = similarity(mine, self.sketches[number])
            if alike < REWORDED:
                continue
            if alike >= ALIKE or len(text) >= LONG or numbers(text) == numbers(other):
                return number, mine
        return None, mine
