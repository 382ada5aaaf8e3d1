"""What an attempt used of models: tokens and dollars, as a reply or a command says.

A command may write one small JSON file, `{"tokens": 1200, "dollars": 0.03}`, at the path in the
environment variable COUNTERPOINT_USAGE. What it does not say is unknown and is never 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from counterpoint.speakers.speaker import Reply

VARIABLE = "COUNTERPOINT_USAGE"
ABSENT = f"the command wrote no file at {VARIABLE}"
_MOST_BYTES = 10_000


@dataclass(frozen=True)
class Usage:
    """What was used; None is unknown."""

    tokens: int | None = 0
    """Tokens read and written."""
    dollars: float | None = 0.0
    """Dollars paid."""
    problem: str = ""
    """Why something is unknown."""

    def plus(self, reply: Reply) -> Usage:
        """Returns the usage with that of one more reply of a model."""
        counts = (self.tokens, reply.prompt_tokens, reply.completion_tokens)
        known = [count for count in counts if count is not None]
        tokens = sum(known) if len(known) == len(counts) else None
        cost = reply.cost_dollars
        dollars = None if cost is None or self.dollars is None else self.dollars + cost
        problem = "" if tokens is not None else "the server does not count tokens"
        return Usage(tokens, dollars, self.problem or problem)


def read_usage(data: bytes) -> Usage:
    """Returns the usage that a command wrote down.

    Args:
        data: content of its file; nothing where it wrote none.
    """
    if not data:
        return Usage(None, None, ABSENT)
    try:
        if len(data) > _MOST_BYTES:
            raise ValueError(f"got {len(data)} bytes, wanted at most {_MOST_BYTES}")
        table = msgspec.json.decode(data, type=dict[str, object])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return Usage(None, None, f"the file at {VARIABLE} is no JSON object ({error})")
    tokens, dollars = _amount(table.get("tokens")), _amount(table.get("dollars"))
    names = (("tokens", tokens), ("dollars", dollars))
    missing = [name for name, value in names if value is None]
    problem = f"the file at {VARIABLE} has no number of {' and '.join(missing)}" if missing else ""
    return Usage(None if tokens is None else round(tokens), dollars, problem)


def _amount(value: object) -> float | None:
    """Returns a finite number from 0, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 1e15 else None  # NaN is in no range
