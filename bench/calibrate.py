"""How often the diagnosis is right: false alarms, detections, coverage, on planted cases.

Every threshold in `counterpoint.diagnose` is a named constant; the tables written here say what
it costs and what it finds. Nothing is read from anywhere: logs are drawn, teams are trained.

    python bench/calibrate.py --out calibration            # about 4 minutes on one core
    python bench/calibrate.py --out calibration --share .1 # a tenth of the logs

It writes calibrate.json and calibrate.md into the folder. To add a planted case, add a line to
`PLANTED` and its clean twin to `CLEAN`.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.diagnose import (
    CAUSES,
    collapsed_updates,
    diagnose,
    drowning,
    gradient_statistics,
    signal_kept,
)
from counterpoint.diagnose.evidence import Evidence, signal_power
from counterpoint.diagnose.kept import LOW, kept_in_each
from counterpoint.records import Decisions
from counterpoint.stats import wilson_interval
from counterpoint.train import train
from counterpoint.train.tabular.telemetry import improvable_at
from counterpoint.worlds import find_world

Array = NDArray[Any]
Rng = np.random.Generator

SIZES = {"1 x 16 x 8": (1, 16, 8), "20 x 4 x 8": (20, 4, 8), "40 x 8 x 8": (40, 8, 8)}
"""Updates x prompts x rollouts of the planted logs."""


@dataclass(frozen=True)
class Case:
    """How a log is drawn. Agent a2 always acts, once, and nothing depends on it."""

    acts: str = "always"
    """When the others act: always, by rollout, by prompt, seldom, or by update."""
    mean: float = 0.0
    """Added to the reward, in deviations, where agent a0 acts."""
    spread: float = 1.0
    """Factor on the reward's deviation where agent a0 acts."""
    counts: float | None = None
    """Probability of acting twice where the reward is low, and 1 minus it where it is high."""
    own: float = 0.0
    """Deviation of a reward term of each agent's own."""
    role: float | None = None
    """Probability that roles are swapped where the reward is low, 1 minus it where it is high."""
    drift: float = 0.0
    """What the reward gains over the whole log, in deviations."""
    reward: str = "normal"
    """normal, rare (1 in 20 succeeds) or heavy (Student t, 3 degrees of freedom)."""
    uneven: bool = False
    """Whether the rollouts of a prompt are between 1 and 16 instead of 8."""
    agents: int = 3

    def draw(self, rng: Rng, steps: int, prompts: int, rollouts: int) -> Decisions:
        """Returns one log."""
        n = steps * prompts
        sizes = rng.integers(1, 2 * rollouts, n) if self.uneven else np.full(n, rollouts)
        block = np.repeat(np.arange(n), sizes)
        step, shape = block // prompts, (len(block), self.agents)
        acting: dict[str, Callable[[], Array]] = {
            "always": lambda: np.ones(shape, bool),
            "by rollout": lambda: rng.random(shape) < 0.5,
            "by prompt": lambda: (rng.random((n, self.agents)) < 0.5)[block],
            "seldom": lambda: rng.random(shape) < 0.06,
            "by update": lambda: (rng.random((steps, self.agents)) < 0.6)[step],
        }
        rewards_of: dict[str, Callable[[], Array]] = {
            "normal": lambda: rng.normal(size=len(block)) + 0.5 * rng.normal(size=n)[block],
            "rare": lambda: (rng.random(len(block)) < 0.05) * 1.0,
            "heavy": lambda: rng.standard_t(3, len(block)),
        }
        acts, noise = acting[self.acts](), rewards_of[self.reward]()
        acts[:, -1] = True
        value = noise * np.where(acts[:, 0], self.spread, 1.0) + self.mean * acts[:, 0]
        value = value + self.drift * step / steps
        high = value > np.median(value)
        times = np.ones(shape, int)
        if self.counts is not None:
            chance = np.where(high, 1 - self.counts, self.counts)[:, None]
            times = 1 + (rng.random(shape) < chance)
        times = times * acts
        rollout = np.repeat(np.arange(len(block)), times.sum(axis=1))
        agent = np.concatenate([np.repeat(np.arange(self.agents), row) for row in times])
        labels: dict[str, Array] = {"prompt": block[rollout], "rollout": rollout, "agent": agent}
        if self.role is not None:
            swapped = rng.random(len(block)) < np.where(high, 1 - self.role, self.role)
            labels["role"] = np.where(swapped[rollout] & (agent < 2), 1 - agent, agent)
        rewards = value[rollout] + self.own * rng.normal(size=len(agent))
        return Decisions(rewards[:, None], ("reward",), labels, step[rollout])


PLANTED = {
    "C1 by rollout, mean +.5": ("C1", Case("by rollout", mean=0.5)),
    "C1 by rollout, spread x2": ("C1", Case("by rollout", spread=2.0)),
    "C1 by prompt, mean +1": ("C1", Case("by prompt", mean=1.0)),
    "C1 by prompt, spread x3": ("C1", Case("by prompt", spread=3.0)),
    "C1 seldom, mean +1": ("C1", Case("seldom", mean=1.0)),
    "C2 twice with .65 v .35": ("C2", Case(counts=0.35)),
    "C3 own term of deviation .01": ("C3", Case(own=0.01)),
    "C5 role goes with success": ("C5", Case(role=0.35)),
    "C6 absent, drift +1": ("C6", Case("by update", drift=1.0)),
}
CLEAN = {
    "everybody present": Case(),
    "by rollout": Case("by rollout"),
    "by rollout, uneven": Case("by rollout", uneven=True),
    "by rollout, rare success": Case("by rollout", reward="rare"),
    "by rollout, heavy tails": Case("by rollout", reward="heavy"),
    "by prompt": Case("by prompt"),
    "by prompt, uneven": Case("by prompt", uneven=True),
    "by prompt, rare success": Case("by prompt", reward="rare"),
    "roles unrelated, uneven, rare": Case(role=0.5, uneven=True, reward="rare"),
    "counts unrelated, uneven, rare": Case(counts=0.5, uneven=True, reward="rare"),
    "seldom": Case("seldom"),
    "seldom, rare success": Case("seldom", reward="rare"),
    "counts unrelated": Case(counts=0.5),
    "roles unrelated": Case(role=0.5),
    "absent, no drift": Case("by update"),
    "drift, nobody absent": Case(drift=1.0),
}


@dataclass
class Table:
    """Rows of one measurement, and how they look in Markdown."""

    title: str
    caption: str
    rows: list[dict[str, Any]] = field(default_factory=list)

    def markdown(self) -> str:
        """Returns the table as text."""
        head = list(self.rows[0])
        lines = [head, ["---"] * len(head), *([_cell(r.get(k)) for k in head] for r in self.rows)]
        body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"## {self.title}\n\n{self.caption}\n\n{body}\n"


def conditions(share: float) -> list[Table]:
    """Returns how often each planted condition is detected, and the false alarms of each clean
    twin, by log size.
    """
    clean_count, planted_count = max(2, round(60 * share)), max(2, round(30 * share))
    table = Table(
        "Conditions found",
        f"Share of {planted_count} planted logs in which the condition is detected, at an error "
        "rate of .01; in brackets, the share in which another one is. Sizes are updates x prompts "
        "x rollouts.",
    )
    for name, (condition, case) in PLANTED.items():
        row: dict[str, Any] = {"planted": name}
        for size, shape in SIZES.items():
            seen = [_conditions(case, shape, [1, i]) for i in range(planted_count)]
            hit = np.mean([condition in s for s in seen])
            row[size] = f"{hit:.2f} ({np.mean([bool(s - {condition}) for s in seen]):.2f})"
        table.rows.append(row)
    alarms = Table(
        "False alarms",
        f"Share of {clean_count} logs a cell without any condition in which one is detected, at "
        "an error rate of .01.",
    )
    totals = dict.fromkeys(SIZES, 0)
    for offset, (name, case) in enumerate(CLEAN.items()):
        row = {"clean": name}
        for size, shape in SIZES.items():
            wrong = sum(bool(_conditions(case, shape, [2 + offset, i])) for i in range(clean_count))
            totals[size] += wrong
            row[size] = wrong / clean_count
        alarms.rows.append(row)
    n = clean_count * len(CLEAN)
    alarms.rows.append(
        {"clean": "all, with 95% interval"} | {s: _rate(k, n) for s, k in totals.items()}
    )
    return [table, alarms]


def _conditions(case: Case, shape: tuple[int, int, int], seed: list[int]) -> set[str]:
    rng = np.random.default_rng([*seed, *shape])
    return set(diagnose(case.draw(rng, *shape), "mappo_pooled", rng=rng).decoupling.conditions)


def cosine(share: float) -> list[Table]:
    """Returns the coverage of the half-batch cosine's interval, and how often it detects a planted
    signal.
    """
    teams = max(100, round(2000 * share))
    table = Table(
        "Interval of the half-batch cosine",
        f"{teams} gradients a cell. `pure noise` is the share whose 95% interval leaves out 0 "
        "(4.7% by design with 8 micro-batches); `detected` the share above 0 at a signal-to-noise "
        "power of 1 and 4, `covered` the share whose interval has the true one.",
    )
    noises: dict[str, Callable[[Rng, tuple[int, ...]], Array]] = {
        "normal": lambda rng, shape: rng.normal(size=shape),
        "decaying spectrum": lambda rng, shape: (
            rng.normal(size=shape) / np.arange(1, shape[-1] + 1)
        ),
        "a third of micro-batches empty": lambda rng, shape: (
            rng.normal(size=shape) * (rng.random((*shape[:-1], 1)) < 2 / 3)
        ),
        "heavy tails (t, 3)": lambda rng, shape: rng.standard_t(3, shape),
        "skewed (exponential)": lambda rng, shape: rng.exponential(size=shape) - 1,
    }
    for count in (8, 16):
        for parameters in (4, 64):
            for name, draw in noises.items():
                rng = np.random.default_rng([count, parameters])
                g = draw(rng, (teams, count, 1, parameters))
                power = (g**2).sum(axis=-1).mean()
                row: dict[str, Any] = {
                    "micro-batches": count, "parameters": parameters, "noise": name
                }  # fmt: skip
                for snr in (0.0, 1.0, 4.0):
                    way = rng.normal(size=(teams, 1, 1, parameters))
                    way *= np.sqrt(snr * power / count) / np.linalg.norm(
                        way, axis=-1, keepdims=True
                    )
                    s = gradient_statistics(g + way)
                    if snr == 0:
                        row["pure noise"] = np.mean((s.cosine_low > 0) | (s.cosine_high < 0))
                        continue
                    row[f"detected, SNR {snr:g}"] = np.mean(s.cosine_low > 0)
                    row[f"covered, SNR {snr:g}"] = np.mean((s.snr_low <= snr) & (s.snr_high >= snr))
                table.rows.append(row)
    return [table]


HEALTHY = {
    "regions": "mappo_per_agent",
    "homogeneous": "mappo_pooled",
    "variable_calls": "mappo_pooled",
    "idle_then_needed": "mappo_pooled",
    "all_hands": "grpo",
    "unequal_stakes": "grpo",
}
"""Worlds, and statistics that fit the way in which their rewards vary."""


def kept(share: float) -> list[Table]:
    """Returns the false alarms of `signal_kept` on healthy trainings, and what it says of planted
    losses.
    """
    seeds = range(max(2, round(5 * share)))
    alarms = Table(
        "Healthy trainings called collapsed",
        f"{len(seeds)} trainings a row, each judged alone. `kept` is over all of them; `known` is "
        "how many of their agents get a number, `called` how many of all agents have a whole "
        "interval below a quarter, `windows` the share of updates in a collapsed window.",
    )
    total = called = 0
    for name, scheme in HEALTHY.items():
        done = train(find_world(name).make({}), scheme, seeds)
        improvable = improvable_at(done.accuracy)
        each = kept_in_each(done.evidence, improvable)
        over = signal_kept(done.evidence, improvable).value
        total, called = total + each.value.size, called + int((each.high < LOW).sum())
        alarms.rows.append({
            "world": name, "scheme": scheme, "lowest kept": float(np.nanmin(over)),
            "known": f"{int(np.isfinite(each.value).sum())} of {each.value.size}",
            "called": int((each.high < LOW).sum()), "windows": float(done.collapsed.mean()),
        })  # fmt: skip
    alarms.rows.append({"world": "all, with 95% interval", "called": _rate(called, total)})
    teams = max(50, round(1000 * share))
    planted = Table(
        "Planted losses",
        f"{teams} agents a row with normal noise in 20 parameters, 8 micro-batches, and the same "
        "SNR all along: 60 measured updates under two candidates, of which the scheme keeps the "
        "planted share. `known` get a number, `covered` have it in their interval; `called` have "
        "a whole interval below a quarter, `windows` are updates in a collapsed window.",
    )
    for best in (0.0, 0.1, 0.5, 2.0):
        for ratio in (1.0, 0.5, 0.1, 0.01) if best else (1.0,):
            evidence = _planted(np.random.default_rng(0), (best * ratio, best), teams)
            there = np.ones(evidence.signal[..., 0, :].shape, dtype=bool)
            each = kept_in_each(evidence, there)
            known = np.isfinite(each.value)
            inside = (each.low <= ratio + 1e-9) & (each.high >= ratio - 1e-9)
            planted.rows.append({
                "best SNR": best, "kept": ratio if best else None, "known": float(known.mean()),
                "covered": float(inside[known].mean()) if best and known.any() else None,
                "called": float((each.high < LOW).mean()),
                "windows": float(collapsed_updates(evidence, there).mean()),
            })  # fmt: skip
    return [alarms, planted]


def _planted(rng: Rng, snr: tuple[float, ...], teams: int) -> Evidence:
    """Returns evidence [teams, 60, V, 1] of candidates with these SNRs, from the same noise."""
    micro, size = 8, 20
    noise = rng.normal(size=(teams, 60, micro, 1, size))
    parts = []
    for value in snr:
        signal = np.zeros(size)
        signal[0] = math.sqrt(value * size / micro)
        gradients = noise + signal
        power, each = signal_power(gradients), np.einsum("stmad,stmad->sta", gradients, gradients)
        parts.append((power, np.maximum(each / micro - power / micro, 0.0)))
    power, level = (np.stack(part, axis=2) for part in zip(*parts, strict=True))
    return Evidence(power, level, level, power)


def causes(share: float) -> list[Table]:
    """Causes against the harm that they stand for, in the regions world at growing scales."""
    seeds = range(max(2, round(10 * share)))
    sweep = Table(
        "Quiet agents beside loud ones (regions, pooled statistics)",
        f"{len(seeds)} seeds. `harm` is what the quiet pair's final accuracy loses against "
        "statistics of its own; inflation and drowning are averaged over the run; `kept` is the "
        "quiet pair's mean signal kept, `collapsed` the share of updates, and the causes are "
        "those given to collapsed updates.",
    )
    runs: dict[str, list[tuple[Array, Array, Array]]] = {"shared": [], "separate": []}
    for parameters in runs:
        for scale in (1, 1.5, 2, 3, 4, 6, 10, 30, 100):
            world = find_world("regions").make({"scale": scale, "parameters": parameters})
            pooled, own = (
                train(world, name, seeds) for name in ("mappo_pooled", "mappo_per_agent")
            )
            harm = (own.accuracy - pooled.accuracy)[:, -1, :2].mean(axis=1)
            numbers = {
                name: np.nanmean(pooled.rewards[name], axis=1)
                for name in ("signal_share", "norm_inflation", "participation")
            }
            quiet = drowning(numbers["signal_share"], numbers["participation"])[:, :2].mean(axis=1)
            cost = (numbers["norm_inflation"] / numbers["signal_share"])[:, :2].mean(axis=1)
            runs[parameters].append((harm, cost, quiet))
            named = pooled.causes[..., :2][pooled.collapsed[..., :2]]
            sweep.rows.append({
                "parameters": parameters, "scale": scale, "harm": float(harm.mean()),
                "inflation": float(np.median(cost)), "drowning": float(np.median(quiet)),
                "kept": float(signal_kept(
                    pooled.evidence, improvable_at(pooled.accuracy)).value[:2].mean()),
                "collapsed": float(pooled.collapsed[..., :2].mean()),
                **{c: float(np.mean(named == CAUSES.index(c))) if named.size else None
                   for c in ("DROWNED", "OFFSET")},
            })  # fmt: skip
    return [sweep, _thresholds(runs), _named(max(4, round(40 * share)))]


def _thresholds(runs: dict[str, list[tuple[Array, Array, Array]]]) -> Table:
    """Returns what other thresholds would have named, against the harm that was done."""
    table = Table(
        "Thresholds for rewards alone",
        "Of the runs above, the share whose quiet pair is named at each threshold: of those that "
        "lose less than .05 accuracy, and of those that lose more than .15. Separate tables with "
        "Adam hide a constant factor, which rewards cannot show (C7).",
    )
    for parameters, results in runs.items():
        harm, cost, quiet = (np.concatenate(column) for column in zip(*results, strict=True))
        for name, numbers, limits in (
            ("inflation", cost, (2, 4, 8, 16, 32)),
            ("drowning", quiet, (10, 25, 50, 100, 200)),
        ):
            for limit in limits:
                table.rows.append({
                    "parameters": parameters, "number": name, "threshold": limit,
                    "harmless runs": _share(numbers[harm < 0.05] >= limit),
                    "harmful runs": _share(numbers[harm > 0.15] >= limit),
                })  # fmt: skip
    return table


def _share(named: Array) -> str:
    return f"{named.mean():.2f} of {named.size}" if named.size else "-"


def _named(count: int) -> Table:
    """Causes named from logs alone, planted and clean."""
    table = Table(
        "Causes from a log alone",
        f"Share of {count} logs (20 updates x 8 prompts x 8 rollouts) in which agent a0 gets the "
        "cause, and in which anybody gets another one.",
    )
    shape = (20, 8, 8)
    cases: list[tuple[str, str, str, Callable[[Rng], Decisions]]] = [
        ("OFFSET", "own offset 7", "mappo_pooled", lambda r: _offset(r, shape, 7.0)),
        ("OFFSET", "own offset 10", "mappo_pooled", lambda r: _offset(r, shape, 10.0)),
        ("", "own offset .5", "mappo_pooled", lambda r: _offset(r, shape, 0.5)),
        ("", "own offset 10", "mappo_per_agent", lambda r: _offset(r, shape, 10.0)),
        ("DROWNED", "quiet, others x20", "mappo_pooled", lambda r: _loud(r, shape, 20.0)),
        ("", "quiet, others x2", "mappo_pooled", lambda r: _loud(r, shape, 2.0)),
        ("", "quiet, others x20", "agent_wise", lambda r: _loud(r, shape, 20.0)),
        ("DEAD", "all of 8 must be right, p .5", "grpo", lambda r: _all_hands(r, shape, 8)),
        ("", "all of 2 must be right, p .5", "grpo", lambda r: _all_hands(r, shape, 2)),
        ("SPIKY", "reward jumps by 50", "group_reward_decoupled", lambda r: _jump(r, shape, 50.0)),
        ("", "no jump", "group_reward_decoupled", lambda r: _jump(r, shape, 0.0)),
        ("", "seldom called", "grpo", lambda r: Case("seldom").draw(r, *shape)),
        ("", "seldom called", "mappo_pooled", lambda r: Case("seldom").draw(r, *shape)),
    ]
    for cause, name, scheme, draw in cases:
        hits = others = 0
        for i in range(count):
            diagnosis = diagnose(
                draw(np.random.default_rng([3, i])), scheme, rng=np.random.default_rng(i)
            )
            given = [agent.cause for agent in diagnosis.agents.values()]
            hits += bool(cause) and given[0] == cause
            others += any(c not in (None, cause) for c in given)
        table.rows.append({
            "planted": cause or "nothing", "log": name, "scheme": scheme,
            "found": hits / count if cause else None, "another": others / count,
        })  # fmt: skip
    return table


def _offset(rng: Rng, shape: tuple[int, int, int], size: float) -> Decisions:
    """Returns a log of two agents, one of which gets a constant extra reward."""
    base = Case(agents=2).draw(rng, *shape)
    extra = size * (base.labels["agent"] == 0)
    return Decisions(base.rewards + extra[:, None], ("reward",), base.labels, base.step)


def _loud(rng: Rng, shape: tuple[int, int, int], scale: float) -> Decisions:
    """Agent a0 is alone in half of the prompts; in the others a1 and a2 are, with loud rewards."""
    base = Case(agents=3).draw(rng, *shape)
    quiet = base.labels["prompt"] % 2 == 0
    keep = quiet == (base.labels["agent"] == 0)
    rewards = base.rewards * np.where(quiet, 1.0, scale)[:, None]
    labels = {name: np.asarray(column)[keep] for name, column in base.labels.items()}
    assert base.step is not None
    return Decisions(rewards[keep], ("reward",), labels, base.step[keep])


def _all_hands(rng: Rng, shape: tuple[int, int, int], agents: int) -> Decisions:
    """Reward 1 only if all agents are right, each with probability one half."""
    base = Case(agents=agents).draw(rng, *shape)
    right = rng.random(base.labels["rollout"].max() + 1) < 0.5**agents
    rewards = right[base.labels["rollout"]].astype(np.float64)
    return Decisions(rewards[:, None], ("reward",), base.labels, base.step)


def _jump(rng: Rng, shape: tuple[int, int, int], size: float) -> Decisions:
    """Rewards that jump once, in the middle of the log."""
    base = Case(agents=2).draw(rng, *shape)
    assert base.step is not None
    late = size * (base.step >= shape[0] // 2)
    return Decisions(base.rewards + late[:, None], ("reward",), base.labels, base.step)


def _rate(successes: int, n: int) -> str:
    interval = wilson_interval(successes, n)
    return f"{successes / n:.4f} [{interval.low:.4f}, {interval.high:.4f}]"


def _cell(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return "-" if math.isnan(value) else f"{value:.3g}"
    return "-" if value is None else str(value)


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the two files")
    parser.add_argument("--share", type=float, default=1.0, help="share of the logs and seeds")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    tables = []
    for part in (cosine, kept, causes, conditions):
        start = time.perf_counter()
        tables += part(options.share)
        print(f"{part.__name__}: {time.perf_counter() - start:.0f} s", flush=True)
    document = {t.title: {"caption": t.caption, "rows": t.rows} for t in tables}
    text = "# Calibration of the diagnosis\n\n" + "\n".join(t.markdown() for t in tables)
    (options.out / "calibrate.json").write_text(json.dumps(document, indent=1, default=float))
    (options.out / "calibrate.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
