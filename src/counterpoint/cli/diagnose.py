"""`counterpoint diagnose`: which agent collapses in a log of rewards, and why."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from counterpoint import __version__
from counterpoint.cli.messages import say
from counterpoint.cli.output import print_json, print_result
from counterpoint.cli.results import save
from counterpoint.diagnose import diagnose
from counterpoint.readers import LogNotice, LogWarning, read_decisions
from counterpoint.readers.names import parse_columns
from counterpoint.report import diagnosis_table


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
    """The scheme that the log was trained with: causes are judged against it."""
    columns: str = ""
    """The meaning of columns with other names, e.g. uid=prompt,score=reward,acc=ignore."""
    out: Path | None = None
    """Folder for report.html, results.json and run.json."""
    json: bool = False
    """Print the diagnosis as JSON alone."""

    def run(self) -> int:
        """Read, diagnose, save, print."""
        document = diagnosis_document(self.file, self.scheme, self.columns)
        saved = save(document, self.out) if self.out else None
        if self.json:
            print_json(document)
        else:
            print_result(diagnosis_table(document))
        if saved:
            say(f"report: {saved}")
        return 0


def diagnosis_document(source: str | Path, scheme: str, columns: str = "") -> dict[str, Any]:
    """The diagnosis of a log, as `--json` prints it."""
    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always", LogWarning)
        decisions = read_decisions(source, parse_columns(columns) if columns else None)
    torn = [str(w.message) for w in met if not issubclass(w.category, LogNotice)]
    for message in (*torn, *decisions.notices):
        say(f"counterpoint: {message}")
    found = diagnose(decisions, scheme, rng=np.random.default_rng(0)).to_json()
    name = "standard input" if source == "-" else Path(source).name
    config = {"source": name, "scheme": scheme}
    return {**found, "version": __version__, "source": name, "config": config}
