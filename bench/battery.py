"""A battery of generated logs: is the diagnosis right, and does following its advice help?

Every log is written by a little training (`battery_world`), planted or healthy by construction
(`battery_planted`, `battery_healthy`, `battery_faults`), and stored as a real file in the habits of
several tools (`battery_files`). It is read and judged as a user would do it, and compared with what
an honest reader concludes. Where a scheme is recommended, the same team is trained from the same
start under both schemes.

    python bench/battery.py --out battery               # some 660 logs, a few minutes on one core
    python bench/battery.py --out battery --share .1    # a tenth of each kind
    python bench/battery.py --out battery --kind DEAD   # only kinds whose name contains a text
    python bench/battery.py --out battery --others      # and the advice under other schemes

It writes battery.json and battery.md into the folder. To add a kind, add a function to
`battery_kinds.PLAN`.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from battery_case import Case
from battery_files import Columns, log_of, mapping, styles_for, write
from battery_kinds import ADVICE_ONLY, cases, under_other_schemes
from battery_world import final, train
from counterpoint.credit import Scheme, catalogue, scheme_named
from counterpoint.diagnose import DiagnosisResult, diagnose
from counterpoint.readers import LogNotice, read_decisions
from counterpoint.stats import wilson_interval

SEEDS = 12
"""Paired trainings of a recommendation."""
UPDATES = 160
RATE = 2.0
"""Updates of a training and the size of a step: enough for a healthy team to come near the end."""
MARGIN = 0.01
"""Difference that counts, as a share of what training could gain. Two trainings that both end at
.999 of it differ by their last thousandths in the same direction for every seed; the strict count,
with no margin, stands beside it."""
STUDENT_95 = 2.201
"""Quantile .975 of Student's t with 11 degrees of freedom, for `SEEDS` differences."""

FAULT_CODES = {
    "repeated keys": ("two_runs", "repeated_keys"),
    "repeated rows": ("logged_twice", "two_runs", "repeated_keys"),
    "constant": ("constant",),
    "missing": ("all_missing",),
    "last row": ("last_row",),
    "groups of one": ("groups_of_one",),
    "one component": ("one_component",),
    "agent constant": ("agent_constant",),
    "agent missing": ("agent_missing",),
}
"""What is wrong with a log, in words of `battery_case.FAULTS`, to the codes that name it."""


@dataclass
class Advice:
    """What following a recommendation brought: paired differences with 95% intervals."""

    scheme: str
    reward: tuple[float, float, float]
    """Mean, low and high of the difference in final reward, over what training could gain."""
    planted: tuple[float, float, float]
    """The same for the share of hits of the agents that are planted and can learn."""
    everybody: tuple[float, float, float]
    """The same for all agents that can learn."""
    early: tuple[float, float, float]
    """The same as `everybody` after a quarter of the updates."""
    circular: bool
    """Whether the recommended scheme, judged on the same log, recommends the old one."""

    @property
    def pace(self) -> str:
        """Returns whether the team as a whole is ahead or behind after a quarter of the training,
        or neither. A team that is behind does not count as worse, since a larger step would make up
        for it.
        """
        if self.early[2] < -MARGIN:
            return "behind"
        return "ahead" if self.early[1] > MARGIN else "neither"

    def outcome_beyond(self, margin: float) -> str:
        """Returns better, equal or worse; it is worse if any of the three intervals lies below
        -margin.
        """
        three = (self.reward, self.planted, self.everybody)
        if any(high < -margin for _, _, high in three):
            return "worse"
        return "better" if any(low > margin for _, low, _ in three) else "equal"

    @property
    def outcome(self) -> str:
        """Returns the outcome that is counted."""
        return self.outcome_beyond(MARGIN)


@dataclass
class Result:
    """One log and what the diagnosis says of it."""

    kind: str
    scheme: str
    style: str
    seed: int
    rows: int
    healthy: bool
    error: str = ""
    wrong_causes: dict[str, tuple[str | None, list[str | None]]] = field(default_factory=dict)
    """Agent to the cause it was given and those that are right."""
    accused: bool = False
    verdict: str = ""
    wrong_verdict: bool = False
    contradiction: bool = False
    """Whether decoupling or regrouping is a no-op and another scheme is recommended."""
    wrong_fault: str = ""
    recommended: str | None = None
    wrong_advice: bool = False
    """Whether a scheme is recommended where none may be."""
    advice: Advice | None = None

    @property
    def right(self) -> bool:
        """Returns whether every agent has a right cause and the log's own fault is named."""
        return not (self.error or self.wrong_causes or self.wrong_fault or self.wrong_advice)


def resolve(name: str) -> Any:
    """Returns the scheme of a name, and `grpo_rows` also if the catalogue does not have it yet."""
    if name == "grpo_rows" and name not in catalogue():
        return Scheme(center_by=("prompt",))
    return scheme_named(name)


def draw(case: Case) -> Columns:
    """Returns the log of a case."""
    log = log_of(
        case.world, resolve(case.scheme), case.updates, case.rate, case.seed, actions=case.actions
    )
    if case.stepless:
        del log.labels["step"]
    if case.promptless:
        prompt = log.labels.pop("prompt")
        log.labels["rollout"] = log.labels["rollout"] + case.world.rollouts * prompt
    return log if case.spoil is None else case.spoil(log)


def saved(case: Case, folder: Path, name: str) -> tuple[Path, str, int]:
    """Writes the log of a case to a file, and returns path, style and number of rows."""
    log = draw(case)
    # a list, and a dump without rollouts, number rows anew and so hide that a log is broken
    unnumbered = () if case.spoil is None else ("groups", "trl", "verl")
    styles = [s for s in styles_for(log) if s not in unnumbered]
    style = styles[case.seed % len(styles)]
    return write(log, style, folder, name), style, len(log)


def diagnosed(path: Path, scheme: str, style: str = "") -> DiagnosisResult:
    """Returns the diagnosis of a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", LogNotice)
        log = read_decisions(path, mapping(path, style))
    return diagnose(log, resolve(scheme), rng=np.random.default_rng(0))


def judged(case: Case, path: Path, style: str, rows: int) -> Result:
    """Returns the diagnosis of a file beside the truth of its case."""
    result = Result(case.kind, case.scheme, style, case.seed, rows, case.healthy)
    try:
        diagnosis = diagnosed(path, case.scheme, style)
    except Exception as error:  # whatever is raised is a wrong answer, to be listed
        result.error = f"{type(error).__name__}: {error}"[:200]
        return result
    truth, planted = case.truth, case.truth.causes
    names = {"agent": case.world.agents[0]} if style in ("trl", "verl") else {}
    agents = {names.get(name, name): agent for name, agent in diagnosis.agents.items()}
    for name in case.world.agents:
        given = agents[name].cause if name in agents else None
        accepted = planted.get(name, truth.others)
        if given not in accepted:
            result.wrong_causes[name] = (given, list(accepted))
        result.accused |= given is not None
    result.verdict = diagnosis.decoupling.verdict
    result.wrong_verdict = bool(truth.verdicts) and result.verdict not in truth.verdicts
    result.wrong_fault = _wrong_fault(case, diagnosis)
    better = diagnosis.recommended
    result.recommended = None if better in (None, case.scheme, diagnosis.scheme) else better
    result.contradiction = result.recommended is not None and result.verdict != "matters"
    result.wrong_advice = truth.silent and result.recommended is not None
    return result


def _wrong_fault(case: Case, diagnosis: DiagnosisResult) -> str:
    """Returns what is wrong with the list of the log's faults, or an empty text."""
    codes = {fault.code for fault in diagnosis.log_faults}
    if case.truth.fault:
        wanted = FAULT_CODES.get(case.truth.fault, ())
        return "" if codes & set(wanted) else f"{case.truth.fault} is not named"
    allowed = FAULT_CODES.get("last row", ()) if case.world.paid == "last" else ()
    surplus = codes - set(allowed)
    return f"names {', '.join(sorted(surplus))}" if case.healthy and surplus else ""


def followed(case: Case, path: Path, result: Result) -> Advice:
    """Trains the case's team under its scheme and under the recommended one."""
    name, world = str(result.recommended), case.world
    updates = max(UPDATES, 2 * (world.jump or 0))
    old, new = (
        train(world, resolve(scheme), SEEDS, updates, RATE) for scheme in (case.scheme, name)
    )
    able = [k for k in range(world.n_agents) if k not in world.fixed | world.lazy]
    sick = [k for k in able if world.agents[k] in case.truth.causes] or able
    first, best = (final(world, t, updates).reward for t in (world.start(1), world.best(1)))
    gain = max(float(best[0] - first[0]), 1e-9)
    hits = new[1].accuracy - old[1].accuracy
    early = new[0].accuracy - old[0].accuracy
    return Advice(
        name,
        interval((new[1].reward - old[1].reward) / gain),
        interval(hits[:, sick].mean(1)),
        interval(hits[:, able].mean(1)),
        interval(early[:, able].mean(1)),
        diagnosed(path, name, result.style).recommended == case.scheme,
    )


def interval(differences: Any) -> tuple[float, float, float]:
    """Returns the mean of paired differences with Student's 95% interval."""
    mean = float(np.mean(differences))
    half = STUDENT_95 * float(np.std(differences, ddof=1)) / math.sqrt(len(differences))
    return mean, mean - half, mean + half


def results(
    drawn: Iterable[Case], folder: Path, *, training: bool = True
) -> Iterator[tuple[Result, Path]]:
    """Judges every case, and follows its advice."""
    for number, case in enumerate(drawn):
        path, style, rows = saved(case, folder, f"log_{number:03d}")
        result = judged(case, path, style, rows)
        if training and result.recommended is not None:
            try:
                result.advice = followed(case, path, result)
            except Exception as error:  # a recommendation that cannot be used is a wrong answer
                result.error = f"{type(error).__name__}: {error}"[:200]
        yield result, path


def agrees_on_the_command_line(path: Path, result: Result) -> bool:
    """Returns whether `counterpoint diagnose PATH --json` says the same as the library."""
    command = [sys.executable, "-m", "counterpoint", "diagnose", str(path), "--json"]
    if columns := mapping(path, result.style):
        command += ["--columns", ",".join(f"{k}={v}" for k, v in columns.items())]
    done = subprocess.run(
        [*command, "--scheme", result.scheme], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return False
    printed = json.loads(done.stdout)
    same = diagnosed(path, result.scheme, result.style)
    return all(
        printed["agents"][name]["cause"] == agent.cause for name, agent in same.agents.items()
    )


# --- the table ------------------------------------------------------------------------------


def summary(judgements: list[Result]) -> dict[str, Any]:
    """Returns the numbers of the headline."""
    known = [r for r in judgements if r.kind != ADVICE_ONLY]
    healthy = [r for r in known if r.healthy]
    advised = [r for r in judgements if r.advice is not None]
    outcomes = [r.advice.outcome for r in advised if r.advice is not None]
    return {
        "logs": len(known),
        "right": sum(r.right for r in known),
        "healthy": len(healthy),
        "healthy_accused": sum(r.accused for r in healthy),
        "errors": sum(bool(r.error) for r in judgements),
        "wrong_verdicts": sum(r.wrong_verdict for r in judgements),
        "contradictions": sum(r.contradiction for r in judgements),
        "followed": len(advised),
        **{name: outcomes.count(name) for name in ("better", "equal", "worse")},
        "worse_without_margin": sum(
            r.advice.outcome_beyond(1e-9) == "worse" for r in advised if r.advice is not None
        ),
        "behind": sum(r.advice.pace == "behind" for r in advised if r.advice is not None),
        "circular": sum(r.advice.circular for r in advised if r.advice is not None),
    }


INTRODUCTION = """## A battery of planted and healthy logs

Every log is written by a little training of tabular policies and stored as a file: JSON lines, CSV,
NumPy archives or groups, with numbers or text for ids, with or without step, turn and prompt. What
is planted is far stronger than any reasonable threshold, and where two readings are honest both
count as right (`bench/battery_planted.py` gives the reasons). `right` means that every agent has a
right cause, a fault of the log itself is named, and nothing is recommended where nothing may be.
Each recommendation is followed: the same team is trained with {seeds} paired seeds under both
schemes. `worse` means that a 95% interval lies below 0 by more than {margin:.0%} of what training
could gain, in final reward, in the hits of the planted agents, or in everybody's. `ahead` and
`behind` count teams after a quarter of the training. The last kind takes every log that is not
broken and writes and judges it under a scheme that nobody planted anything for; only the advice
counts there. A verdict "no-op" beside a recommendation is listed and not counted as wrong: the
advice there is to regroup, while decoupling by agent alone changes nothing.
"""


COLUMNS = (
    "kind", "logs", "right", "what is wrong", "advised", "better", "equal", "worse", "ahead",
    "behind",
)  # fmt: skip


def table(judgements: list[Result]) -> str:
    """Returns the page: a headline, and a line for each kind."""
    s = summary(judgements)
    share = wilson_interval(s["right"], s["logs"])
    lines = [
        INTRODUCTION.format(seeds=SEEDS, margin=MARGIN),
        f"**{s['right']} of {s['logs']} logs are judged right** "
        f"({share.value:.3f} [{share.low:.3f}, {share.high:.3f}]). "
        f"{s['healthy_accused']} of {s['healthy']} healthy logs have an agent accused. "
        f"Of {s['followed']} recommendations that were followed, {s['better']} are better, "
        f"{s['equal']} equal and {s['worse']} worse ({s['worse_without_margin']} if every "
        f"thousandth counts); {s['circular']} lead back to the old scheme.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|" + " --- |" * len(COLUMNS),
    ]
    for kind in dict.fromkeys(r.kind for r in judgements):
        rows = [r for r in judgements if r.kind == kind]
        outcomes = [r.advice.outcome for r in rows if r.advice is not None]
        counts = " | ".join(str(outcomes.count(name)) for name in ("better", "equal", "worse"))
        paces = [r.advice.pace for r in rows if r.advice is not None]
        lines.append(
            f"| {kind} | {len(rows)} | {_right(rows)} | {_wrong(rows)} | "
            f"{len(outcomes)} | {counts} | {paces.count('ahead')} | {paces.count('behind')} |"
        )
    return "\n".join(lines) + "\n"


def _right(rows: list[Result]) -> str:
    return "-" if rows[0].kind == ADVICE_ONLY else str(sum(r.right for r in rows))


def _wrong(rows: list[Result]) -> str:
    reasons: dict[str, int] = {}
    for row in rows:
        mistakes = {f"{given or 'no cause'} for {'/'.join(c or 'none' for c in right)}"
                for given, right in row.wrong_causes.values()}  # fmt: skip
        mistakes |= {reason for reason in (row.error[:60], row.wrong_fault) if reason}
        if row.wrong_advice:
            mistakes.add(f"recommends {row.recommended}")
        if row.contradiction:
            mistakes.add(f"verdict {row.verdict} beside a recommendation")
        if row.wrong_verdict:
            mistakes.add(f"verdict {row.verdict}")
        for reason in mistakes:
            reasons[reason] = reasons.get(reason, 0) + 1
    return "; ".join(f"{reason} ({count})" for reason, count in reasons.items()) or "-"


def main() -> None:
    """Draws, judges, trains and writes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables")
    parser.add_argument("--share", type=float, default=1.0, help="share of the logs of each kind")
    parser.add_argument("--kind", default="", help="only kinds whose name contains this text")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other logs")
    parser.add_argument("--no-training", action="store_true", help="do not follow the advice")
    parser.add_argument("--others", action="store_true", help="judge under other schemes as well")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    start, judgements, agreed = time.perf_counter(), [], []
    drawn = [c for c in cases(options.share, options.seed) if options.kind in c.kind]
    drawn += list(under_other_schemes(drawn)) if options.others else []
    with tempfile.TemporaryDirectory() as folder:
        for i, (result, path) in enumerate(
            results(drawn, Path(folder), training=not options.no_training)
        ):
            judgements.append(result)
            if i % 25 == 0 and not result.error and result.scheme in catalogue():
                agreed.append(agrees_on_the_command_line(path, result))
                if not agreed[-1]:
                    print("the command line differs on", result.kind, result.style, result.scheme)
    text = table(judgements) + (
        f"\nThe command line agrees on {sum(agreed)} of {len(agreed)} logs tried. "
        f"The battery took {time.perf_counter() - start:.0f} seconds.\n"
    )
    records = [
        asdict(r) | {"outcome": r.advice.outcome if r.advice else None, "right": r.right}
        for r in judgements
    ]
    saved_as = {"summary": summary(judgements), "logs": records}
    (options.out / "battery.json").write_text(json.dumps(saved_as, indent=1))
    (options.out / "battery.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
