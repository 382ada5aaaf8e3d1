"""`compare`: any schemes x seeds on a world, paired seeds, a control, and the verdict.

Read `compare` top to bottom. It returns the document that the terminal prints, `--json` writes and
the report draws; `summary.py` says what its numbers are, `verdict.py` what follows from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import Any

from counterpoint import __version__
from counterpoint.credit import Scheme
from counterpoint.errors import SettingError
from counterpoint.experiments.control import control_document
from counterpoint.experiments.pairs import pair_of
from counterpoint.experiments.probe import probe
from counterpoint.experiments.summary import differences, scheme_document
from counterpoint.experiments.verdict import verdict
from counterpoint.runs.executor import Advance, available_workers, run_tasks
from counterpoint.train.arms import arm
from counterpoint.train.linear import Training, joined, train
from counterpoint.worlds import make

SCHEMA = "counterpoint.comparison/1"

MOST_SEEDS = 10_000

DEFAULT_SCHEMES = ("mappo_pooled", "happo_per_agent", "group_reward_decoupled", "grpo")
"""Pooled, decoupled, decoupled with memory, grouped; a counterfactual joins where there is one."""


@dataclass(frozen=True)
class Plan:
    """What to compare.

    Raises:
        UnknownNameError: no world, setting, scheme or baseline of that name.
        SettingError: a setting out of range, a scheme named twice, or fewer than one seed.
        SchemeError: a baseline that this world cannot answer.
    """

    world: str
    """Name of a world: see `counterpoint worlds`."""
    schemes: tuple[str, ...] = ()
    """Names of schemes and baselines; empty takes `DEFAULT_SCHEMES` and the counterfactual."""
    seeds: int = 10
    """How many seeds, from 0 on; every scheme meets the same ones."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the world, by name; text is converted."""
    control: bool = True
    """Also run the world's control, in which decoupling can do nothing, where it has one."""

    def __post_init__(self) -> None:
        world = make(self.world, self.settings)
        for name in self.schemes:
            arm(name, world)
        if len(set(self.schemes)) < len(self.schemes):
            raise SettingError(f"got schemes {', '.join(self.schemes)}; wanted each of them once")
        if not 1 <= self.seeds <= MOST_SEEDS:
            raise SettingError(f"got {self.seeds} seeds; wanted at least 1, at most {MOST_SEEDS}")


@dataclass(frozen=True)
class Arm:
    """One scheme on one world over some seeds: a task for any executor."""

    world: str
    settings: Mapping[str, Any]
    scheme: str | Scheme
    seeds: range

    def __call__(self, advance: Advance) -> Training:
        world = make(self.world, self.settings)
        return train(world, self.scheme, self.seeds, on_update=lambda update: advance())

    def parts(self, count: int) -> list[Arm]:
        """The same arm as at most `count` arms with seeds of their own."""
        count = min(count, len(self.seeds))
        cuts = [len(self.seeds) * i // count for i in range(count + 1)]
        return [replace(self, seeds=self.seeds[start:end]) for start, end in pairwise(cuts)]


def compare(
    plan: Plan,
    *,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Train a team under each scheme and say which agent collapsed, why, and what to use.

    The same plan gives the same document, whatever the number of workers.

    Args:
        plan: what to compare.
        workers: processes; None takes one for each processor.
        on_progress: called with the policy updates done so far and in all.

    Returns:
        The comparison document (schema `counterpoint.comparison/1`): plain values, ready for JSON.

    Raises:
        SettingError: fewer than one worker.
    """
    if workers is not None and workers < 1:
        raise SettingError(f"got {workers} workers; wanted at least 1")
    world = make(plan.world, plan.settings)
    extra = tuple(name for name in ("counterfactual",) if name in world.baselines)
    schemes = plan.schemes or (*DEFAULT_SCHEMES, *extra)
    pair, seeds = pair_of(schemes), range(plan.seeds)
    arms = [Arm(plan.world, plan.settings, name, seeds) for name in schemes]
    apart = {**plan.settings, **(world.control or {})}
    if plan.control and world.control is not None:
        arms += [Arm(plan.world, apart, scheme, seeds) for scheme in pair.schemes]
    trainings = _train_all(arms, workers, world.settings.updates, on_progress)

    trained = dict(zip(schemes, trainings, strict=False))
    documents = {name: scheme_document(name, done) for name, done in trained.items()}
    compared = differences(trained, pair)
    control = trainings[len(schemes) :]
    return {
        "schema": SCHEMA,
        "version": __version__,
        "world": world.name,
        "summary": world.summary,
        "config": {
            "world": world.name,
            "schemes": list(schemes),
            "seeds": plan.seeds,
            "control": plan.control,
            "settings": asdict(world.settings),
        },
        "seeds": list(seeds),
        "agents": list(world.agents),
        "references": {"random": world.random, "optimal": world.optimal},
        "schemes": documents,
        "differences": compared,
        "control": control_document(make(plan.world, apart), pair, control) if control else None,
        "verdict": verdict(documents, compared, pair, probe(world, pair.reference)),
    }


def _train_all(
    arms: Sequence[Arm],
    workers: int | None,
    updates: int,
    on_progress: Callable[[int, int], None] | None,
) -> list[Training]:
    """Every arm trained; seeds are split where there are more workers than arms."""
    workers = available_workers() if workers is None else workers
    split = [arm.parts(-(-workers // len(arms))) for arm in arms]
    tasks = [part for parts in split for part in parts]
    total = updates * len(tasks)
    report = (lambda done: on_progress(done, total)) if on_progress else None
    results = iter(run_tasks(tasks, workers=workers, on_progress=report))
    return [joined([next(results) for _ in parts]) for parts in split]
