"""Which messages are near duplicates, in any language: shingles of characters, and small sketches.

Two texts are compared by the Jaccard similarity of their runs of `SHINGLE` characters. Of a long
text a bottom-k sketch stands for all of its shingles.

Source: Broder 1997 for shingles and sketches.
"""

from __future__ import annotations

import re
from collections import deque

import numpy as np

SHINGLE = 5
"""The number of characters in a row that are compared."""
SKETCH = 128
"""The number of smallest hashes that are kept of a text."""
LONGEST = 2000
"""The most characters that are compared: of a longer text, half from each end."""
ALIKE = 0.85
"""The Jaccard similarity of near duplicates, whatever numbers are in them."""
REWORDED = 0.7
"""The Jaccard similarity of near duplicates whose numbers are the same, or that are so long that
numbers are not what they say."""
LONG = 200
"""The fewest characters of such a text."""
DIGITS = re.compile(r"\d+")
WINDOW = 32
"""The number of earlier different messages with which one is compared."""
_POWERS = np.array([1, 1000003, 998244353, 2654435761, 40503], dtype=np.uint64)
_MIX = np.uint64(0x9E3779B97F4A7C15)


def normal(text: str) -> str:
    """Returns the part of a text that is compared, with single spaces and without capitals."""
    if len(text) > LONGEST:
        text = text[: LONGEST // 2] + text[-LONGEST // 2 :]
    return " ".join(text.split()).casefold()


def sketch(text: str) -> frozenset[int]:
    """Returns the smallest hashes of the shingles of a normal text; of a short text, of all."""
    if len(text) < SHINGLE:
        return frozenset({hash(text)} if text else ())
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    codes = codes.astype(np.uint64)
    count = len(codes) - SHINGLE + 1
    hashes = codes[:count].copy()  # an overflow wraps around, which a hash may
    for i in range(1, SHINGLE):
        hashes += codes[i : i + count] * _POWERS[i]
    hashes ^= hashes >> np.uint64(29)
    hashes *= _MIX
    hashes ^= hashes >> np.uint64(32)
    if count > 2 * SKETCH:
        hashes = np.partition(hashes, 2 * SKETCH)[: 2 * SKETCH]
    return frozenset(np.unique(hashes)[:SKETCH].tolist())


def similarity(one: frozenset[int], other: frozenset[int]) -> float:
    """Returns the Jaccard similarity of two texts, estimated where a sketch is full."""
    if len(one) == len(other) == SKETCH:  # of the smallest of both together, how many both have
        both = one & other
        smallest = sorted(one | other)[:SKETCH]
        return sum(value in both for value in smallest) / SKETCH
    union = len(one | other)
    return len(one & other) / union if union else 1.0


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
        self.sketches: dict[int, frozenset[int]] = {}

    def of(self, text: str) -> tuple[int, bool]:
        """Returns the number of a normal text, and whether it is new."""
        if (known := self.numbers.get(text)) is not None:
            return known, False
        number = self._near(text)
        is_new = number is None
        number = len(self.numbers) if number is None else number
        self.numbers[text] = number
        if is_new:
            if len(self.recent) == self.recent.maxlen:
                self.sketches.pop(self.recent[0][0], None)
            self.recent.append((number, text))
        return number, is_new

    def _near(self, text: str) -> int | None:
        low, high = len(text) * REWORDED, len(text) / REWORDED
        mine: frozenset[int] | None = None
        for number, other in reversed(self.recent):
            if not low <= len(other) <= high:
                continue
            if mine is None:
                mine = sketch(text)
            if number not in self.sketches:
                self.sketches[number] = sketch(other)
            alike = similarity(mine, self.sketches[number])
            if alike >= ALIKE:
                return number
            if alike >= REWORDED and (len(text) >= LONG or numbers(text) == numbers(other)):
                return number
        return None
