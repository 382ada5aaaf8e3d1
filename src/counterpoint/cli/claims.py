"""`counterpoint claims`: claims about teams of agents, each settled by measurements."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from counterpoint.claims import CLAIMS, ClaimPlan, claim_named, kept_claim, settle
from counterpoint.cli.exits import kept
from counterpoint.cli.progress import Bar
from counterpoint.cli.results import command_line, finish, prepare, save
from counterpoint.errors import SettingError
from counterpoint.report.terminal.claims import claim_list, claim_parts, claims_parts

HOME = Path("counterpoint-out/claims")
"""Where the verdicts of a list are looked for, and where all are saved, without --out."""


@dataclass(frozen=True)
class Claims:
    """Settle claims about teams of agents, each in the smallest world in which its failure grows.

    A claim is measured over seeds: its effect, the same number in a control where nothing should
    happen, a remedy and its price, and the setting at which the claim turns false. The verdict is
    reproduced, conditional (it turns false at some setting), not reproduced, or cannot tell.

    Without a name the claims are listed, with the verdicts that are saved. With --all they are
    settled one after the other, about a minute each; what is finished is kept, so that the same
    command goes on where it was stopped.

    Examples:
      counterpoint claims
      counterpoint claims credit
      counterpoint claims agreement --seeds 20 --out agreement
      counterpoint claims agreement --large
      counterpoint claims --all --out claims
    """

    name: Annotated[str | None, tyro.conf.Positional] = None
    """The claim; without it, all are listed."""
    all: bool = False
    """Settle all claims, and write the overview."""
    seeds: int | None = None
    """Number of seeds; default: 10, or 30 with --large."""
    first: int = 0
    """The first seed; the others follow it."""
    large: bool = False
    """Measure what takes minutes: 30 seeds, and language models where a claim has them
    (agreement)."""
    out: Path | None = None
    """Folder for report.html, results.json and run.json; with --all, by default
    counterpoint-out/claims."""
    workers: int | None = None
    """Number of processes; default: one for each processor."""
    json: bool = False
    """Print the results as JSON alone."""

    def run(self) -> int:
        """Settles, saves and prints; or lists."""
        if self.name and self.all:
            raise SettingError(f"got claim {self.name!r} and --all; wanted one of them")
        plan = ClaimPlan.of(self.seeds, self.first, self.large)
        if self.name:
            claim_named(self.name)
            if self.out:
                prepare(self.out)
            with Bar(f"settling {self.name}") as report:
                claim = settle([self.name], plan, workers=self.workers, on_progress=report).claims[
                    0
                ]
            finish(claim, claim_parts, self.out, self.json, "counterpoint claims --all")
        elif self.all:
            out = self.out or HOME
            prepare(out)
            command = command_line("claims", "--all", *plan.options.split(), "--out", out)
            again = f"what is settled is kept in {out}; go on with: {command}"
            with kept(again, out), Bar("settling claims") as report:
                settled = settle(list(CLAIMS), plan, workers=self.workers, on_progress=report,
                                 folder=out)  # fmt: skip
            for claim in settled.claims:
                save(claim, out / claim.name)
            finish(settled, claims_parts, out, self.json)
        else:
            if self != Claims(out=self.out, json=self.json):
                raise SettingError("got options and no claim; wanted its name, or --all")
            out = self.out or HOME
            found = {name: kept_claim(name, None, out) for name in CLAIMS}
            verdicts = {name: one.verdict for name, one in found.items() if one is not None}
            rows = [{"name": name, "claim": one.claim, "verdict": verdicts.get(name)}
                    for name, one in CLAIMS.items()]  # fmt: skip
            finish(rows, claim_list, None, self.json, "counterpoint claims --all")
        return 0
