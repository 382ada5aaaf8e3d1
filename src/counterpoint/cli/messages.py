"""One line of text on standard error."""

from __future__ import annotations

import sys

from counterpoint.machine.memory import available_memory
from counterpoint.machine.processes import available_workers
from counterpoint.machine.terminal import printable


def say(message: str) -> None:
    """Prints one line on standard error."""
    sys.stderr.write(printable(message) + "\n")
    sys.stderr.flush()


def say_note(line: str) -> None:
    """Prints one line about what was left out or is uncertain."""
    say(f"counterpoint: {line}")


def say_crowd(workers: int | None) -> None:
    """Prints what more processes than processors cost, and how much memory is left for them."""
    processors, room = available_workers(), available_memory()
    if workers is not None and workers > processors:
        left = "" if room is None else f"; {room / 1e9:.1f} GB are left"
        say(
            f"counterpoint: got {workers} workers and {processors} processors: more of them are no "
            f"faster, and each takes 50 MB or more, with torch 250 MB{left}"
        )


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
