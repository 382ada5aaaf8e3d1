"""Episodes whose numbers are worked out by hand, for the pages of an audit."""

from __future__ import annotations

from collections.abc import Iterator

from counterpoint.records import Episode, Event

STUCK = "I open the ledger again and look at the very same first row of it"


def timed() -> Episode:
    """Two members and a tool for 40 seconds: 1,100 tokens, 0.03 dollars, an error, a handoff."""
    events = (
        Event(0, "user", "message", "Sum the ledger.", seconds=1000.0),
        Event(1, "ann", "action", '{"path": "ledger.csv",\n "rows": 3}', tool="read",
              call="c1", seconds=1005.0, duration=2.0, tokens=100, tokens_in=400, cost=0.01),
        Event(2, "read", "message", "no such file", tool="read", call="c1", seconds=1007.0,
              error="FileNotFoundError"),
        Event(3, "ann", "handoff", "over to you", ("bob",), seconds=1010.0),
        Event(4, "bob", "message", "The sum is 7.", ("ann",), seconds=1030.0, duration=10.0,
              tokens=200, tokens_in=400, cost=0.02),
    )  # fmt: skip
    return Episode("ledger", events, ("ann", "bob"), ("user", "read"), task="sum",
                   success=1.0, ending="stop")  # fmt: skip


def looping(name: str, turns: int = 12) -> Episode:
    """One member says the same sentence again and again."""
    events = tuple(Event(t, "ann", "message", STUCK) for t in range(turns))
    return Episode(name, events, ("ann",), success=0.0)


def sound(name: str) -> Episode:
    """Three short messages without anything wrong."""
    words = ("first we count the blue stones", "there are four", "so the answer must be four")
    events = tuple(Event(t, ("ann", "bob")[t % 2], "message", text) for t, text in enumerate(words))
    return Episode(name, events, ("ann", "bob"), success=1.0)


def many(count: int) -> Iterator[Episode]:
    """Sound episodes; each fortieth is a loop."""
    for i in range(count):
        yield looping(f"run-{i}") if i % 40 == 7 else sound(f"run-{i}")
