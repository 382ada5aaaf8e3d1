"""`counterpoint demo`: the headline comparison, then a diagnosis of a real team's log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.rule import Rule

from counterpoint.cli.diagnose import diagnosis_of
from counterpoint.cli.messages import say
from counterpoint.cli.progress import Bar
from counterpoint.cli.results import finish, prepare, save
from counterpoint.comparison import Plan, compare
from counterpoint.readers import example_log
from counterpoint.report.terminal.parts import comparison_parts, diagnosis_parts
from counterpoint.runs.executor import require_executor


@dataclass(frozen=True)
class Demo:
    """See what Counterpoint finds, in a minute and without data of your own.

    First a team of four: two agents live in a stable region, two in one whose rewards are ten
    times larger and noisier. One normalization for all drowns the quiet pair. Then the reward log
    of a real team of language models that never learned to talk.
    """

    out: Path = Path("counterpoint-out")
    """Folder for both reports."""
    seeds: int = 10
    """Number of seeds."""
    workers: int | None = None
    """Number of processes; default: one for each processor."""
    json: bool = False
    """Print both results as JSON alone."""

    def run(self) -> int:
        """Compares, diagnoses, saves both and prints both."""
        plan = Plan("regions", seeds=self.seeds)
        require_executor("processes", self.workers)
        regions, example = self.out / "regions", self.out / "example-log"
        prepare(regions)
        prepare(example)
        with Bar("comparing on regions") as report:
            comparison = compare(plan, workers=self.workers, on_progress=report)
        diagnosis = diagnosis_of(example_log(), "mappo_pooled")
        pages = save(comparison, regions), save(diagnosis, example)
        parts = (
            Rule("1. A team of four in two regions", align="left"),
            *comparison_parts(comparison),
            Rule("2. The reward log of two language models", align="left"),
            *diagnosis_parts(diagnosis),
        )
        results = {"comparison": comparison, "diagnosis": diagnosis}
        for page in pages:
            say(f"report: {page}")
        finish(results, lambda _: parts, None, self.json, "counterpoint diagnose LOG")
        return 0
