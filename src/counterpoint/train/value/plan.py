"""`ValuePlan`: a training of action values in a sequential environment, as plain data.

`loop.train_to_end` trains it; `learner.ValueLearner` is the team that learns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.errors import SettingError
from counterpoint.results.parts import Settings
from counterpoint.runs.directory import RunDirectory
from counterpoint.train.loop import Trainer, Update
from counterpoint.train.ppo.settings import (
    BUDGET,
    PYTHON_BUDGET,
    make_with_hints,
    refuse_model,
    split_settings,
)
from counterpoint.train.scaling import normalized_numbers
from counterpoint.train.stepwise import Play, StepwisePlan, evaluated
from counterpoint.train.talk import EVERY, PolicyOf, Recorder, information_now
from counterpoint.train.value.collector import ValueCollector, explored_probabilities
from counterpoint.train.value.learner import ValueLearner, require_discrete
from counterpoint.train.value.settings import BEFORE, VALUE, ValueSettings
from counterpoint.worlds.foreign.names import is_foreign
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world
from counterpoint.worlds.sequential.channels import speakers_of
from counterpoint.worlds.sequential.world import Singles, Step, StepWorld, View

CHECKPOINT_STEPS = 20_000
"""Most steps between two checkpoints: each has the whole replay, tens of megabytes."""


@dataclass(frozen=True)
class ValuePlan(StepwisePlan):
    """A training of a team that learns action values, as plain data.

    The algorithm stands in the place of the scheme: `iql`, `vdn` or `qmix`.

    Raises:
        SettingError: a number out of its range.
    """

    order = ("world", "scheme", "seed", "budget", "seconds", "world_settings", "value", "episodes")

    budget: int = BUDGET
    value: ValueSettings = field(default_factory=ValueSettings)
    """How networks are built and trained."""

    def __post_init__(self) -> None:
        # Defaults are filled in now, so that a saved run keeps its numbers in later versions.
        filled = self.value.filled(python=is_foreign(self.world))
        object.__setattr__(self, "value", filled)
        super().__post_init__()

    @classmethod
    def from_config(cls, config: Settings) -> Self:
        if isinstance(value := config.get("value"), dict):
            config = {**config, "value": {**BEFORE, **value}}
        return super().from_config(config)

    @property
    def batch_steps(self) -> int:
        """Steps of one update, all copies together."""
        return self.value.copies * self.value.steps

    @classmethod
    def of(
        cls, world: str, scheme: str, budget: int | None, given: Settings, model: str | None
    ) -> ValuePlan:
        refuse_model(world, model)
        entry = find_world(world, Kind.SEQUENTIAL)
        own, value = split_settings(entry, given, ValueSettings, f"{scheme} (action values)")
        made = make_with_hints(entry, own, VALUE)
        made.close()
        require_discrete(made, scheme)
        speakers_of(made)  # refused now, not at the end
        if budget is None:
            budget = PYTHON_BUDGET if made.python else BUDGET
        if budget < 1:
            raise SettingError(f"got budget={budget}; wanted at least 1 step")
        value = value.filled(python=made.python)
        if not normalized_numbers(made, value.observations).any():
            value = replace(value, observations="raw")
        return cls(world, scheme, budget=budget, world_settings=own, value=value)

    @property
    def reads_state(self) -> bool:
        return self.scheme == "qmix"

    def learner(self) -> ValueLearner:
        """Returns the untrained team, with the copies in which it trains."""
        world = self.make_world(0, self.value.copies)
        return ValueLearner(world, self.scheme, self.value, self.seed, self.budget)

    def trainer(self) -> ValueTrainer:
        return ValueTrainer(self, self.learner())


def record(recorder: Recorder, view: View, actions: Ints, step: Step) -> None:
    """Takes a step into the recorder: what was seen, the actions [E, A], and the result."""
    legal = None if view.legal is None else view.legal.swapaxes(0, 1)
    recorder.add(view.seen.swapaxes(0, 1), actions.T, view.active.T, legal, step.ended)


class ValueTrainer(Trainer):
    """A team that learns action values, as the training loop calls it."""

    learner: ValueLearner
    between_checkpoints = CHECKPOINT_STEPS
    continuous = frozenset[str]()

    def __init__(self, plan: ValuePlan, learner: ValueLearner) -> None:
        self.plan, self.learner = plan, learner
        self.agents, self.references = learner.world.agents, learner.world.references
        self.channels = plan.channels(learner.world)

    @property
    def steps(self) -> int:
        """Steps played so far, all copies together."""
        return self.learner.steps

    def update(self, run: RunDirectory | None) -> Update:
        """Makes one update. Its return is that of a team that still acts at random now and then; an
        agent's values have no advantages, so that nothing of it is measured."""
        learner, recorder = self.learner, Recorder()
        if self.channels and learner.updates % EVERY == 0:
            policy = self.policy(learner.epsilon)
            played, metrics = learner.update(partial(record, recorder))
            metrics |= information_now(self.channels, recorder, policy)
        else:
            played, metrics = learner.update()
        returns = played.by_agent.sum(axis=1)
        mean = float(returns.mean()) if len(returns) else None
        return Update(len(returns), mean, metrics, None)

    def evaluate(self, should_stop: Callable[[], bool]) -> tuple[Floats, Floats] | None:
        """Returns the returns of fresh episodes: see `evaluated`.

        The team plays as at the end of its budget, with `epsilon_end` random actions, without which
        a team that remembers nothing can stand still for ever (Mnih et al. 2015 evaluate so too).
        """
        plan, learner = self.plan, self.learner
        epsilon = learner.settings.epsilon_end

        def played_in(fresh: StepWorld, recorder: Recorder | None) -> Play:
            memory = learner.collector.memory.shape[-1]
            collector = ValueCollector(fresh, plan.seed + 1, memory)

            def play(steps: int) -> tuple[Ints, Floats]:
                on_step = None if recorder is None else partial(record, recorder)
                played = collector.play(learner.team, steps, epsilon, on_step)
                return played.finished, played.by_agent

            return play

        done = evaluated(
            plan, learner.world, self.channels, played_in, self.policy(epsilon),
            learner.settings.steps, should_stop,
        )  # fmt: skip
        if done is None:
            return None
        self.messages = done.messages
        return done.returns, done.by_agent

    def notes(self) -> tuple[str, ...]:
        return (*self.learner.world.notes(), *self.learner.scales.notes())

    def policy(self, epsilon: float) -> PolicyOf | None:
        """Returns the team's policies with this share of random actions; None if they remember."""
        learner = self.learner
        if learner.settings.memory != "none":
            return None

        def probabilities(agent: int, seen: Singles, legal: Bools | None) -> Floats:
            return explored_probabilities(learner.world, learner.team, agent, seen, legal, epsilon)

        return probabilities

    def close(self) -> None:
        """Closes the worlds."""
        self.learner.world.close()
