"""`TrainPlan`: a team of neural policies in a world of many steps, as plain data.

`loop.train_to_end` trains it; `policies.Learner` is what learns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import msgspec
import numpy as np

from counterpoint.arrays import Floats
from counterpoint.credit import Tally
from counterpoint.errors import CounterpointError, SettingError
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.snapshot import Snapshot
from counterpoint.train.loop import Row
from counterpoint.train.options import (
    budget_or_default,
    make_with_hints,
    measured_often,
    refuse_model,
    split_settings,
)
from counterpoint.train.ppo.credit_audit import credit_audit
from counterpoint.train.ppo.improve import Part
from counterpoint.train.ppo.learner import Estimate, Learner
from counterpoint.train.ppo.levels import Crediting
from counterpoint.train.ppo.probe import agent_numbers
from counterpoint.train.ppo.rollout import Batch, Player
from counterpoint.train.ppo.settings import PolicySettings
from counterpoint.train.ppo.snapshot import capture, restore
from counterpoint.worlds.foreign.names import is_foreign
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world
from counterpoint.worlds.sequential.permuted import by_name
from counterpoint.worlds.sequential.world import StepWorld, endless, stakes_of

CHECKPOINT_STEPS = 5_000
"""Most steps between two checkpoints, as far as a batch is not longer."""
LONGEST_EVALUATION = 20_000
"""Steps after which copies whose episode does not end are no longer waited for."""
PLAYED_TOGETHER = 500
"""Most steps of an evaluation that are in memory at once."""


@dataclass(frozen=True)
class TrainPlan:
    """What to train, as plain data.

    Raises:
        SettingError: a number out of its range.
    """

    world: str
    """Name of a sequential environment: see `find_world`."""
    scheme: str
    """Name of a scheme, or `counterfactual`."""
    seed: int = 0
    """Of everything: networks, world, actions, order."""
    budget: int = 100_000
    """Steps to play, all copies together; the last batch is played whole."""
    seconds: float | None = None
    """End after so many seconds of training, if that comes first."""
    world_settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the world, by name."""
    policy: PolicySettings = field(default_factory=PolicySettings)
    """How policies are built and trained."""
    episodes: int = 100
    """Fresh episodes in which the trained team is evaluated."""
    axis: ClassVar[str] = "step"

    def __post_init__(self) -> None:
        filled = self.policy.filled(
            python=is_foreign(self.world)
        )  # so that a run keeps its numbers
        object.__setattr__(self, "policy", filled)
        for name, low in (("seed", 0), ("budget", 1), ("episodes", 1)):
            if getattr(self, name) < low:
                raise SettingError(f"got {name}={getattr(self, name)}; wanted at least {low}")
        if self.seconds is not None and not self.seconds > 0:
            raise SettingError(f"got seconds={self.seconds}; wanted a positive number")

    @property
    def batch_steps(self) -> int:
        """Steps of one batch, all copies together."""
        return self.policy.copies * self.policy.steps

    def config(self) -> dict[str, Any]:
        """The plan ready for JSON."""
        return asdict(self)

    @classmethod
    def of(
        cls,
        world: str,
        scheme: str,
        *,
        seed: int,
        budget: int | None,
        seconds: float | None,
        given: Mapping[str, Any],
        model: str | None,
    ) -> TrainPlan:
        """Returns the plan with defaults in place of what is not given: see `plan_of`."""
        refuse_model(world, model)
        entry = find_world(world, Kind.SEQUENTIAL)
        own, policy = split_settings(entry, given)
        made = make_with_hints(entry, own)
        made.close()
        budget = budget_or_default(budget, python=made.python)
        if "diagnose_every" not in given:
            policy = measured_often(policy, budget, python=made.python)
        Crediting.of(scheme, made, policy)
        return cls(world, scheme, seed, budget, seconds, own, policy)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> TrainPlan:
        """The plan that `config` described.

        Raises:
            SettingError: it is none.
        """
        try:
            return msgspec.convert(dict(config), cls)
        except msgspec.ValidationError as error:
            if isinstance(error.__cause__, CounterpointError):
                raise error.__cause__ from None
            raise SettingError(f"got a configuration that is no training plan ({error})") from None

    def make_world(self, stream: int, copies: int) -> StepWorld:
        """Copies of the world with chance of their own for each `stream`; agents by name."""
        seed = int(np.random.SeedSequence([self.seed, stream]).generate_state(1)[0])
        entry = find_world(self.world, Kind.SEQUENTIAL)
        return by_name(entry.make(self.world_settings, copies, seed))

    def learner(self) -> Learner:
        """The untrained team, with the copies that it trains in."""
        world = self.make_world(0, self.policy.copies)
        return Learner(world, self.scheme, self.policy, self.seed, self.budget)

    def trainee(self) -> PolicyTrainee:
        """The same, as the loop sees it."""
        return PolicyTrainee(self, self.learner())

    def paid_returns(self, by_agent: Floats) -> float | None:
        """The return weighted by stakes, weights of mean 1; None where all agents' are equal.

        Where the reward is common, what is paid is proportional to the return, whatever the stakes.
        """
        world = self.make_world(0, 1)
        world.close()
        weights = stakes_of(world.settings.stakes, world.agents, world.roles)
        if world.settings.reward == "common" or np.ptp(weights) == 0:
            return None
        return float((by_agent.mean(axis=0) * weights).sum() / weights.mean())

    def without_return(self) -> str:
        """Why a trained team may have no return, and what to do about it."""
        world = self.make_world(0, 1)
        world.close()
        return (
            f"no episode of '{self.world}' ended in {LONGEST_EVALUATION:,} steps of evaluation; "
            f"{endless(world)}"
        )


class PolicyTrainee:
    """A team of neural policies, as the loop sees it."""

    between_checkpoints = CHECKPOINT_STEPS

    def __init__(self, plan: TrainPlan, learner: Learner) -> None:
        self.plan, self.learner = plan, learner
        world = learner.world
        self.agents, self.references = world.agents, world.references
        self.continuous = world.actions[0].continuous

    @property
    def steps(self) -> int:
        """Steps played so far, all copies together."""
        return self.learner.steps

    @property
    def tally(self) -> Tally:
        """Edge cases that normalization met."""
        return self.learner.tally

    def update(self, run: RunDirectory | None) -> tuple[Row, dict[str, Any] | None, Row | None]:
        """One update of the learner: its row, and what was measured of agents and team."""
        learner, every = self.learner, self.learner.settings.diagnose_every
        measured = None

        def look(batch: Batch, estimate: Estimate, parts: list[Part]) -> None:
            nonlocal measured
            scheme, copies = learner.crediting.scheme, learner.world.copies
            measured = agent_numbers(
                learner.team,
                parts,
                estimate.credited,
                scheme,
                copies,
                level=learner.crediting.level,
                entropy=learner.settings.entropy,
            )
            if learner.world.settings.reward == "common":
                audit = credit_audit(batch, estimate.advantage, learner.settings.gamma)
                for numbers, correlation in zip(measured[0], audit, strict=True):
                    numbers["credit_correlation"] = correlation

        due = every > 0 and learner.updates % every == 0
        batch, losses = learner.update(look if due else None)
        returns = batch.returns
        row: Row = {
            "step": learner.steps,
            "update": learner.updates,
            "episodes": len(returns),
            "return": float(returns.mean()) if len(returns) else None,
            **losses,
        }
        if measured is None:
            return row, None, None
        return row, dict(zip(self.agents, measured[0], strict=True)), measured[1]

    def evaluate(self, asked_to_stop: Callable[[], bool]) -> tuple[Floats, Floats] | None:
        """Returns of fresh episodes, and each agent's part in them."""
        by_agent = evaluate(self.plan, self.learner, asked_to_stop)
        return None if by_agent is None else (by_agent.sum(axis=-1), by_agent)

    def capture(self) -> Snapshot:
        """Everything that decides what the learner does next."""
        return capture(self.learner)

    def restore(self, snapshot: Snapshot) -> None:
        """Go on where `capture` was called."""
        restore(self.learner, snapshot)

    def leave(self, run: RunDirectory) -> None:
        """Nothing beside the checkpoints."""

    def close(self) -> None:
        """Let go of the worlds."""
        self.learner.world.close()


def evaluate(
    plan: TrainPlan, learner: Learner, asked_to_stop: Callable[[], bool] = lambda: False
) -> Floats | None:
    """[n, A] returns of fresh episodes, by agent: as many of each copy, its first ones.

    Actions are sampled. None where it is asked to stop before the episodes have ended.
    """
    world = learner.world
    copies = min(plan.episodes, world.copies if world.python else plan.episodes)
    each = -(-plan.episodes // copies)
    fresh = plan.make_world(1, copies)
    player = Player(fresh, learner.settings, plan.seed + 1)
    found: list[list[Floats]] = [[] for _ in range(copies)]
    played = 0
    batch_steps = min(world.horizon or learner.player.steps, PLAYED_TOGETHER, LONGEST_EVALUATION)
    while min(map(len, found)) < each and played < LONGEST_EVALUATION and not asked_to_stop():
        batch = player.play(learner.team, batch_steps)
        played += batch_steps
        for copy, values in zip(batch.finished, batch.by_agent, strict=True):
            found[copy].append(values)
    fresh.close()
    if asked_to_stop() and min(map(len, found)) < each:
        return None
    kept = [values for several in found for values in several[:each]]
    return np.array(kept).reshape(len(kept), len(world.agents))
