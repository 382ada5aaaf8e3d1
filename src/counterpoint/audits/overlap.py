"""How many words, and how many runs of words, texts share: all texts of an episode at once.

Each word is a number, its hash, so that counting is sorting. Start at `hashed`.

Source: Karp and Rabin 1987 for the hash of a word, a polynomial of its bytes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Ints

WORD = re.compile(r"\w+")
_SPACED = "".join(letter if WORD.match(letter) else " " for letter in map(chr, range(128)))
_BASE, _MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)
_POWERS = np.full(2**16, _BASE).cumprod()
"""Enough powers of the base for most episodes."""


class Words(NamedTuple):
    """The words of several texts, or the runs of words in them, text by text."""

    keys: NDArray[np.uint64]
    """[N] the hash of each."""
    texts: Ints
    """[N] the number of its text."""
    total: int
    """The number of texts."""


def spaced(text: str) -> str:
    """Returns the words of a text in lower case, with nothing but spaces between them.

    A word is a run of letters, digits and underscores.
    """
    text = text.lower()
    # ASCII in a tenth of the time
    return text.translate(_SPACED) if text.isascii() else " ".join(WORD.findall(text))


def hashed(texts: Sequence[str]) -> Words:
    """Returns the words of texts."""
    whole = "".join(f" {spaced(text)}\n" for text in texts) or " \n"
    letters = np.frombuffer(whole.encode("utf-8", "surrogatepass"), np.uint8)
    is_letter = letters > ord(" ")
    edges = np.flatnonzero(is_letter[1:] != is_letter[:-1])
    starts, ends = edges[::2], edges[1::2]
    size = len(letters)
    powers = _POWERS[:size] if size <= len(_POWERS) else np.full(size, _BASE).cumprod()
    sums = (letters * powers).cumsum()
    keys = (sums[ends] - sums[starts]) * powers[-1 - starts]  # the same wherever a word stands
    keys ^= keys >> _HALF  # else the runs of words would be polynomials of letters as well
    number = np.searchsorted(np.flatnonzero(letters == ord("\n")), starts)
    return Words(keys, number, len(texts))


def chosen(words: Words, texts: Ints) -> Words:
    """Returns the words of some texts, given by their numbers in order, and numbers them anew."""
    number = np.full(words.total, -1)
    number[texts] = np.arange(len(texts))
    new = number[words.texts]
    return Words(words.keys[new >= 0], new[new >= 0], len(texts))


def runs(words: Words, length: int) -> Words:
    """Returns the runs of `length` words, each of which is within one text."""
    count = max(0, len(words.keys) - length + 1)
    keys = words.keys[:count]
    for i in range(1, length):
        keys = keys * _MIX + words.keys[i : count + i]
    first, last = words.texts[:count], words.texts[length - 1 :]
    is_within = first == last
    return Words(keys[is_within], first[is_within], words.total)


def shared(words: Words, back: int) -> Ints:
    """Returns [back + 1, texts] how many different words a text shares with an earlier one.

    Row `d` is about each text and the one `d` before it. Row 0 is how many words a text has.
    """
    # the number of the text takes the place of the lowest bits of a hash: one sort brings equal
    # words together, in the order of their texts
    low = np.uint64(2 ** words.total.bit_length() - 1)
    each = np.sort((words.keys & ~low) | words.texts.astype(np.uint64))
    each = np.concatenate((each[:1], each[1:][each[1:] != each[:-1]]))
    keys, texts = each & ~low, (each & low).astype(np.int64)
    counts = np.zeros((back + 1, words.total), dtype=np.int64)
    counts[0] = np.bincount(texts, minlength=words.total)
    for step in range(1, back + 1):
        at = np.flatnonzero(keys[step:] == keys[: len(keys) - step])
        if not len(at):
            break
        later = texts[at + step]
        apart = later - texts[at]
        near = apart <= back
        pairs = apart[near] * words.total + later[near]
        counts += np.bincount(pairs, minlength=counts.size).reshape(counts.shape)
    return counts
