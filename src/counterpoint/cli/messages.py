"""One line of text on standard error, and text that a terminal cannot obey."""

from __future__ import annotations

import json
import re
import sys

_ODD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Characters that move the cursor, turn the direction of text or cannot be seen; surrogates."""


def printable(text: str) -> str:
    """Returns the text with each character that a terminal could obey shown as a sign.

    Control characters, marks of direction and other characters without a picture become one sign
    each; line ends and tabs stay.
    """
    return _ODD.sub(lambda odd: chr(0x2400 + ord(odd[0])) if odd[0] < " " else "\ufffd", text)


def escaped(encoded: str) -> str:
    """Returns JSON with each character that a terminal could obey written as an escape."""
    return _ODD.sub(lambda odd: json.dumps(odd[0])[1:-1], encoded)


def say(message: str) -> None:
    """Prints one line on standard error."""
    sys.stderr.write(printable(message) + "\n")
    sys.stderr.flush()


def say_batch(budget: int, batch: int, axis: str = "step") -> None:
    """Prints how much is played if a budget is less than one batch: budgets are rounded up.

    A budget of updates is never less than one.
    """
    if budget < batch:
        say(f"counterpoint: got budget={budget}, less than a batch: one update of {batch} {axis}s")


def say_doubts(world: str, doubts: tuple[str, ...]) -> None:
    """Prints what looks like a mistake in a world of somebody else, and how much of it there is."""
    for doubt in doubts:
        say(f"counterpoint: warning: {world}: {doubt}")
    if doubts:
        warnings = "1 warning" if len(doubts) == 1 else f"{len(doubts)} warnings"
        say(f"counterpoint: {warnings} about {world}; --no-check plays without this check")


def say_limits(seconds: float | None, budget: int | None, default: int, axis: str = "step") -> None:
    """Prints that the default budget may end a training before its seconds are over."""
    if seconds is not None and budget is None:
        say(
            f"counterpoint: ends after {seconds:g} seconds, or after the default budget of "
            f"{default:,} {axis}s if that is earlier; --budget changes it"
        )
