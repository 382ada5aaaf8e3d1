"""What a terminal shows of what a training is expected to take."""

from __future__ import annotations

from rich.console import RenderableType

from counterpoint.report.terminal.tables import text_table
from counterpoint.results.estimate import Estimate


def estimate_parts(found: Estimate) -> list[RenderableType]:
    """Returns a table of an estimate, and a sentence about how sure it is."""
    repeat = "which come back" if found.come_back else "and others in each update"
    rows = (
        ("model", f"{found.parameters / 1e6:,.1f}M parameters, frozen"),
        ("adapters", f"{found.trained / 1e6:,.2f}M parameters, {found.adapter}"),
        ("an update", f"{found.episodes:,} episodes, {found.decisions:,} decisions"),
        ("prompts", f"{found.prompts:,} different ones, {repeat}"),
        (
            "length",
            f"{found.prompt_tokens:.0f} tokens on average, at most {found.longest_prompt:,} of "
            f"{found.most_tokens:,}",
        ),
        ("reading", f"{found.reading_seconds:.1f} s"),
        ("writing", f"{found.writing_seconds:.1f} s"),
        ("learning", f"{found.learning_seconds:.1f} s"),
        ("first update", f"{found.seconds:.1f} s"),
        (f"{found.updates:,} updates", f"{found.minutes:.1f} minutes"),
        ("memory", f"{found.memory_gb:.2f} GB"),
    )
    return [
        text_table(("what", "expected"), rows, title="Nothing was trained"),
        "Timed with a few prompts and tokens on this machine, for answers as long as they may be. "
        "Seconds are CPU-seconds: as many by the clock if no other program runs (on a GPU they are "
        "by the clock).",
    ]
