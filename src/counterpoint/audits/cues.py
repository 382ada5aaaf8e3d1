"""Word lists of audits, version 2. A cue is a whole phrase; upper and lower case are the same.

A cue shows that words are there, never what their author meant.
"""

from __future__ import annotations

import re

VERSION = 2
REST = (
    r"take a break", r"taking a break", r"have a rest", r"take a rest", r"let'?s (stop|rest|pause)",
    r"call it a day", r"we can stop (here|now)", r"i('ll| will) stop (here|now)",
    r"no need to (continue|go on)", r"nothing (more|else|left) to do", r"enough for (today|now)",
)  # fmt: skip
"""Proposals to stop working."""
WAITING = (
    r"i('m| am) waiting", r"i('ll| will) wait", r"waiting for", r"standing by", r"stand by",
    r"let me know when", r"ready when you are", r"awaiting",
)  # fmt: skip
"""A member that does nothing until another one acts."""
TO_SOMEBODY = (
    r"(many )?thanks?( you)?( again| so much| very much| a lot| all)?", r"(good)?bye( all)?",
    r"you('re| are)( very| most)? welcome", r"(well done|(nice|great|good) (work|job))", r"cheers",
)  # fmt: skip
"""Courtesies behind which a name may stand: "Thank you so much, reviewer!"."""
COURTESIES = (
    r"ok(ay)?", r"sure", r"great", r"noted", r"understood", r"agreed", r"sounds good", r"got it",
    r"done", r"yes", r"no", r"perfect", r"alright", r"will do", r"good", r"fine", r"right",
    r"excellent", r"(my|a) pleasure", r"no problem", r"any ?time", r"pass", r"see you",
    r"(i('m| am) )?(glad|happy|here|ready)( to help)?( when needed| any ?time)?",
    r"nothing( else)? (to (do|add|say)|from me)( for me)?",
)  # fmt: skip
"""What is polite and says nothing."""
EMPTY = re.compile(
    r"^\W*+(?:(?:(?>" + "|".join(TO_SOMEBODY) + r")\b(?>(?:, ?@?[^\W\d]\w*+(?=\W*+$))?)"
    r"|(?>" + "|".join(sorted(COURTESIES, key=len, reverse=True)) + r")\b)\W*+)*+$",
    re.IGNORECASE,
)
"""An empty message, or a message of courtesies alone."""


def _phrases(*lists: tuple[str, ...]) -> str:
    """Returns an expression for any phrase of lists; each phrase starts with a letter."""
    phrases = [phrase for each in lists for phrase in each]
    first = "".join(sorted({phrase[0] for phrase in phrases}))  # most words start differently
    return rf"\b(?=[{first}])(?:{'|'.join(phrases)})\b"


_REST = re.compile(_phrases(REST), re.IGNORECASE)
_WAITING = re.compile(_phrases(WAITING), re.IGNORECASE)
_REST_OR_WAITING = re.compile(_phrases(REST, WAITING), re.IGNORECASE)
LONGEST_IDLE = 200
"""The most characters of an idle message: a longer one has content, whatever cue is in it."""


LIMIT = re.compile(
    r"(?<![a-z])(?:max(?!imal)|limit|stall|out of (?:budget|tokens|time|turns))"
    r"|time[ _-]?out|timed out|exceed|deadline|too many|limit(?:s| reached)?$",
    re.IGNORECASE,
)
"""An episode that was ended from outside, in the words of its `ending`."""
BROKEN = re.compile(
    r"(?<!no )(?<!\b0 )(?<!without )(?:error|exception|traceback|fail|abort|cancel|crash|killed"
    r"|interrupt)",
    re.IGNORECASE,
)
"""An episode that broke off, in the words of its `ending`."""


def is_limit(ending: str) -> bool:
    """Returns whether a limit ended an episode."""
    return LIMIT.search(ending[:500]) is not None


def is_broken(ending: str) -> bool:
    """Returns whether an error ended an episode."""
    return BROKEN.search(ending[:500]) is not None


def proposes_rest(text: str) -> bool:
    """Returns whether a text has a proposal to stop."""
    return len(text) <= LONGEST_IDLE and _REST.search(text) is not None


def waits(text: str) -> bool:
    """Returns whether the author of a text waits."""
    return len(text) <= LONGEST_IDLE and _WAITING.search(text) is not None


def says_nothing(text: str) -> bool:
    """Returns whether a message is empty, a courtesy, a rest or a wait."""
    return len(text) <= LONGEST_IDLE and (
        EMPTY.match(text) is not None or _REST_OR_WAITING.search(text) is not None
    )
