"""One-word answers from a model that writes text: how to ask, and what counts as an answer."""

from __future__ import annotations

import string
from collections.abc import Sequence

from counterpoint.speakers.speaker import Message

AROUND = string.punctuation + string.whitespace + "\u00a0\u2018\u2019\u201c\u201d\u00ab\u00bb\u3002"
"""What may stand around a word: white space, ASCII punctuation, quotation marks."""


def ask_for_a_word(messages: Sequence[Message], words: Sequence[str]) -> tuple[Message, ...]:
    """The conversation with a line, at its end, that says which answers are legal.

    It goes into the last message of the user, since not every chat template takes two in a row, or
    a system message.
    """
    *before, last = messages
    line = f"Answer with exactly one of these, and nothing else: {', '.join(words)}"
    if last.role == "user":
        return (*before, Message("user", f"{last.content}\n\n{line}"))
    return (*messages, Message("user", line))


def ask_again(asked: Sequence[Message], refused: str, words: Sequence[str]) -> tuple[Message, ...]:
    """The conversation after an answer that was none of the words."""
    if not refused.strip():
        return tuple(asked)
    line = f"That is none of them. Write one of these, and nothing else: {', '.join(words)}"
    return (*asked, Message("assistant", refused), Message("user", line))


def legal_word(text: str, words: Sequence[str]) -> str | None:
    """The one of the words that a text is, else None.

    White space, case and punctuation at the ends do not count, unless two words differ in nothing
    else: with the words `C` and `C++` the text `C++` is the second, and `c.` is none.
    """
    if text.strip() in words:
        return text.strip()
    alike = [word for word in words if _bare(word) == _bare(text)]
    return alike[0] if len(alike) == 1 else None


def _bare(text: str) -> str:
    return (text.strip(AROUND) or text.strip()).casefold()
