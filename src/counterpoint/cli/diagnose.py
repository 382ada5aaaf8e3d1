"""`counterpoint diagnose`: which agent collapses in a log of rewards, and why."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from msgspec.structs import replace

from counterpoint.cli.messages import say
from counterpoint.cli.results import finish
from counterpoint.diagnose import diagnose
from counterpoint.readers import LogNotice, LogWarning, read_decisions
from counterpoint.report.terminal.parts import diagnosis_parts
from counterpoint.results import DiagnosisResult
from counterpoint.settings import split_list, split_pairs

COLUMNS = "NAME=MEANING with commas between, such as uid=prompt,score=reward"


@dataclass(frozen=True)
class Diagnose:
    """Read a log of rewards and say which agent's learning signal collapses, and why.

    It reports first what is wrong with the log: no rewards, a constant reward, two runs in one
    file, too few rollouts for a verdict. Then it reports each agent's cause, how much of its signal
    the scheme keeps, and a scheme to use instead, if one is better on the same log. If all agents
    share one reward and are always present, decoupling provably changes nothing. Schemes with
    running statistics are recommended only in place of another such scheme, because their numbers
    depend on the history before the log.

    A log is JSON lines, CSV or .npz with one row a decision: prompt, rollout, agent, reward (or
    rewards: {component: number}), and optionally turn, role, context, step (the training update).
    The columns of TRL, verl, ms-swift, AReaL, ART, rLLM and verifiers are known by their names, and
    the meaning of each is printed.

    Examples:
      counterpoint diagnose rewards.jsonl
      counterpoint diagnose rewards.csv --scheme grpo --out diagnosis
      counterpoint diagnose rollouts.jsonl --columns uid=prompt,score=reward
      cat rewards.jsonl | counterpoint diagnose - --json
    """

    file: Annotated[str, tyro.conf.Positional]
    """The log; `-` reads standard input."""
    scheme: str = "mappo_pooled"
    """The scheme under which the agents of the log were trained; causes are computed for it."""
    columns: str = ""
    """The meaning of columns with other names, e.g. uid=prompt,score=reward,acc=ignore."""
    out: Path | None = None
    """Folder for report.html, results.json and run.json."""
    json: bool = False
    """Print the diagnosis as JSON alone."""

    def run(self) -> int:
        """Reads, diagnoses, saves and prints."""
        result = diagnosis_of(self.file, self.scheme, self.columns)
        finish(result, diagnosis_parts, self.out, self.json)
        return 0


def diagnosis_of(source: str | Path, scheme: str, columns: str = "") -> DiagnosisResult:
    """Returns the diagnosis of a log; how the log was read goes to standard error."""
    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always", LogWarning)
        mapping = split_pairs(split_list(columns), "--columns", COLUMNS)
        decisions = read_decisions(source, mapping or None)
    torn = [str(w.message) for w in met if not issubclass(w.category, LogNotice)]
    for message in (*torn, *decisions.notices):
        say(f"counterpoint: {message}")
    result = diagnose(decisions, scheme, rng=np.random.default_rng(0))
    name = "standard input" if source == "-" else Path(source).name
    return replace(result, source=name, config={"source": name, "scheme": scheme})
