"""What a judge does not read of the runs, in sentences: `unseen_lines`."""

from __future__ import annotations

from collections.abc import Mapping

from counterpoint.marks import counted_kinds
from counterpoint.report.toolkit.frame import Fact
from counterpoint.report.toolkit.numerals import counted
from counterpoint.results.ranking import UnseenTotal


def unseen_lines(unseen: UnseenTotal | None, settings: Mapping[str, object]) -> list[str]:
    """Returns a sentence for each kind of thing that the judge does not read, and what to do.

    Args:
        unseen: what it does not read; None for results of earlier versions, which do not say it.
        settings: the settings of the questions.
    """
    if unseen is None:
        return []
    lines = []
    of_all = f"of {counted(unseen.runs, 'run')}"
    if unseen.cut_runs:
        longest = settings.get("longest")
        limit = f" to {longest:,} characters" if isinstance(longest, int) else ""
        were = "was" if unseen.cut_runs == 1 else "were"
        lines.append(
            f"{unseen.cut_runs:,} {of_all} {were} cut{limit} "
            f"({unseen.cut_characters:,} left out): --set longest={unseen.longest}"
        )
    if unseen.parts:
        stand = "stands as a mark" if sum(unseen.parts.values()) == 1 else "stand as marks"
        lines.append(f"{counted_kinds(unseen.parts)} {stand}: the judge reads text alone")
    if unseen.reasoning:
        was = "was" if unseen.reasoning == 1 else "were"
        texts = counted(unseen.reasoning, "reasoning text")
        lines.append(f"{texts} {was} not shown: --set reasoning=true")
    if unseen.invisible_characters:
        was = "was" if unseen.invisible_characters == 1 else "were"
        count = counted(unseen.invisible_characters, "invisible character")
        lines.append(f"{count} {was} taken out")
    if unseen.empty_runs:
        verb = "has no text" if unseen.empty_runs == 1 else "have no text"
        lines.append(f"{unseen.empty_runs:,} {of_all} {verb}")
    if unseen.alike_runs:
        verb = "differs" if unseen.alike_runs == 1 else "differ"
        lines.append(f"{unseen.alike_runs:,} {of_all} {verb} from another only in that")
    return lines


def unseen_facts(unseen: UnseenTotal | None, settings: Mapping[str, object]) -> list[Fact]:
    """Returns the sentences as a fact of a headline; none if the judge reads everything."""
    first, *others = unseen_lines(unseen, settings) or [""]
    return [Fact("Not read", first, "; ".join(others))] if first else []


def remedy(unseen: UnseenTotal | None) -> str:
    """Returns the setting that shows what was not shown; empty if none does."""
    if unseen is not None and unseen.reasoning:
        return "reasoning=true"
    return f"longest={unseen.longest}" if unseen is not None and unseen.longest else ""
