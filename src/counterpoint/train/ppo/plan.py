"""`TrainPlan`: a training of neural policies in a sequential environment, as plain data.

`loop.train_to_end` trains it; `learner.Learner` is the team that learns.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self

import numpy as np

from counterpoint.arrays import Floats, Ints
from counterpoint.errors import SettingError
from counterpoint.machine.memory import available_memory
from counterpoint.results.competition import Competition
from counterpoint.results.parts import Settings, encode_json
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.files import write_atomically
from counterpoint.runs.status import GAMES
from counterpoint.train.device import device_of
from counterpoint.train.loop import Trainer, Update
from counterpoint.train.ppo.competition.collector import CompetingCollector, side_returns
from counterpoint.train.ppo.competition.games import (
    RANDOM,
    TRAINED,
    Entrant,
    Pairing,
    play_games,
    rate_team,
    results_of,
)
from counterpoint.train.ppo.competition.guess import STARTS, with_sides
from counterpoint.train.ppo.improve import SetBatch
from counterpoint.train.ppo.learner import (
    COUNTERFACTUAL,
    HAPPO,
    HAPPO_SETTINGS,
    BatchEstimate,
    Crediting,
    Learner,
)
from counterpoint.train.ppo.memory import fitted, require_memory
from counterpoint.train.ppo.networks import sets_of
from counterpoint.train.ppo.probe import credit_audit, measure_policies
from counterpoint.train.ppo.rollout import Batch, RolloutCollector
from counterpoint.train.ppo.settings import (
    BEFORE,
    BUDGET,
    MEASUREMENTS,
    OF_SIDES,
    POLICY,
    PYTHON_BUDGET,
    PolicySettings,
    make_with_hints,
    note_clashes,
    prepared,
    refuse_model,
    shrinking,
    split_settings,
)
from counterpoint.train.scaling import normalized_numbers
from counterpoint.train.stepwise import Play, StepwisePlan, evaluated, first_episodes
from counterpoint.train.talk import EVERY, PolicyOf, Recorder, information_now
from counterpoint.worlds.foreign.names import is_foreign
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world
from counterpoint.worlds.sequential.channels import COPIES, find_channels, speakers_of
from counterpoint.worlds.sequential.sides import NONE, POINTS
from counterpoint.worlds.sequential.world import SequentialEntry, StepWorld

CHECKPOINT_STEPS = 5_000
"""Most steps between two checkpoints, as far as a batch is not longer."""


GAME_STREAM = 3
"""The first of the streams of starts of games: see `make_world`."""
GAME_DISCOUNT = 0.99
"""The discount of one's own moves in a game: it counts who wins, and hardly when."""
LEAST_UPDATES = 30
"""Updates that a small budget should have: see `with_enough_updates`."""
GREEDY_EPISODES = {False: 32, True: 8}
"""Episodes of a greedy evaluation, one in each copy, by whether the world is stepped in Python."""
GREEDY_SHARE = 0.03
"""Largest share of the training time that greedy evaluations take by default."""


def affordable_evaluations(world: StepWorld, policy: PolicySettings) -> int:
    """Returns the updates between greedy evaluations with which they take at most `GREEDY_SHARE`
    of the time; 0, for none, where nothing limits an episode.

    A step in Python costs the same in training and evaluation. In NumPy it costs about as much as
    an update spends on 0.15 of its steps, whatever the number of copies (measured: 0.08 to 0.13).
    """
    if world.horizon is None:
        return 0
    episodes = GREEDY_EPISODES[world.python]
    share = episodes / policy.copies if world.python else 0.15 * max(1, episodes / policy.copies)
    return math.ceil(share * world.horizon / policy.steps / GREEDY_SHARE)


def with_enough_updates(policy: PolicySettings, budget: int, given: Settings) -> PolicySettings:
    """Returns the settings with copies halved until the budget has `LEAST_UPDATES` updates.

    With 128 copies, 12,000 steps make four updates of 3,200: spread then ends at -70 and foraging
    at 0.17, with 16 copies at -66 and 0.25 (3 seeds).

    Args:
        policy: filled settings.
        budget: steps of the training, all copies together.
        given: settings that the user gave. Given `copies` stay, and given `minibatches` too: copies
            are not halved further than they can be filled.
    """
    if "copies" in given:
        return policy
    while policy.copies > 1 and budget < LEAST_UPDATES * policy.copies * policy.steps:
        one = replace(policy, copies=policy.copies // 2, minibatches=1)
        minibatches = min(policy.minibatches, one.sequences)
        if "minibatches" in given and minibatches < policy.minibatches:
            break
        policy = replace(one, minibatches=minibatches)
    return policy


def discount_of(world: StepWorld, policy: PolicySettings) -> float:
    """Returns the discount for a world's horizon H: 1 - 1.25 / H, within [0.95, 0.995]; 0.95 where
    nothing limits an episode.

    It is 0.95 up to 25 steps. A longer episode would otherwise hide from its first decisions what
    they are worth at its end. It is `GAME_DISCOUNT` in a game that a side wins, loses or draws.
    """
    if policy.sides != NONE and policy.scoring == "game":
        return GAME_DISCOUNT
    if world.horizon is None:
        return PolicySettings.gamma
    return min(0.995, max(0.95, 1 - 1.25 / world.horizon))


@dataclass(frozen=True)
class TrainPlan(StepwisePlan):
    """A training of a team of neural policies, as plain data.

    Raises:
        SettingError: a number out of its range.
    """

    order = ("world", "scheme", "seed", "budget", "seconds", "world_settings", "policy", "episodes")

    budget: int = 100_000
    policy: PolicySettings = field(default_factory=PolicySettings)
    """How policies are built and trained."""

    def __post_init__(self) -> None:
        # Defaults are filled in now, so that a saved run keeps its numbers in later versions.
        filled = self.policy.filled(python=is_foreign(self.world))
        object.__setattr__(self, "policy", filled)
        super().__post_init__()

    @classmethod
    def from_config(cls, config: Settings) -> Self:
        if isinstance(policy := config.get("policy"), dict):
            config = {**config, "policy": {**BEFORE, **policy}}
        return super().from_config(config)

    @property
    def batch_steps(self) -> int:
        """Steps of one batch, all copies together."""
        return self.policy.copies * self.policy.steps

    @classmethod
    def of(
        cls, world: str, scheme: str, budget: int | None, given: Settings, model: str | None
    ) -> TrainPlan:
        refuse_model(world, model)
        entry = find_world(world, Kind.SEQUENTIAL)
        if scheme == HAPPO:
            given = {**HAPPO_SETTINGS, **given}
        own, policy = split_settings(entry, given, PolicySettings)
        made = make_with_hints(entry, own, POLICY)
        made.close()
        if not reads_state(policy, scheme):
            made.omit_state()
        shown = made
        made = prepared(made, policy)
        policy = replace(policy.filled(python=made.python), device=device_of(policy.device).type)
        require_speakers(entry, made, own, policy)
        if not normalized_numbers(made, policy.observations).any():
            policy = replace(policy, observations="raw")
        if not any(part.image for parts in made.seen_parts for part in parts):
            policy = replace(policy, images="flat", resize=0)
        if budget is None:
            budget = PYTHON_BUDGET if made.python else BUDGET
        if budget < 1:
            raise SettingError(f"got budget={budget}; wanted at least 1 step")
        policy = with_enough_updates(policy, budget, given)
        if "diagnose_every" not in given:
            # A small budget is measured more often: the first verdict comes with the tenth time.
            often = max(1, -(-budget // (policy.copies * policy.steps)) // MEASUREMENTS)
            policy = replace(policy, diagnose_every=min(policy.diagnose_every, often))
        policy, about_sides = with_sides(entry, own, policy, given, budget)
        policy, notes = fitted(made, policy, Crediting.of(scheme, made, policy), given)
        notes = (*note_clashes(entry, given, own), *shrinking(shown, made), *notes, *about_sides)
        if "gamma" not in given:
            policy = replace(policy, gamma=discount_of(made, policy))
        if "evaluate_every" not in given and policy.sides == NONE:
            policy = replace(policy, evaluate_every=affordable_evaluations(made, policy))
        notes = (*notes, *split_note(made, policy))
        return cls(world, scheme, budget=budget, world_settings=own, policy=policy, notes=notes)

    def make_world(self, stream: int, copies: int) -> StepWorld:
        return prepared(super().make_world(stream, copies), self.policy)

    @property
    def reads_state(self) -> bool:
        return reads_state(self.policy, self.scheme)

    def paid_returns(self, by_agent: Floats) -> float | None:
        if self.policy.sides != NONE:  # the return is in points, whatever the stakes
            return None
        return super().paid_returns(by_agent)

    def decisive(self) -> Settings:
        changing_nothing = ("evaluate_every", *(OF_SIDES if self.policy.sides == NONE else ()))
        left_out = {f"policy.{name}" for name in changing_nothing}
        return {path: x for path, x in super().decisive().items() if path not in left_out}

    def learner(self) -> Learner:
        """Returns the untrained team, with the copies in which it trains."""
        world = self.make_world(0, self.policy.copies)
        crediting = Crediting.of(self.scheme, world, self.policy)
        require_memory(world, self.policy, crediting, available_memory())
        channels = self.channels(world)
        return Learner(world, self.scheme, self.policy, self.seed, self.budget, channels)

    def trainer(self) -> PolicyTrainer:
        return PolicyTrainer(self, self.learner())


def require_speakers(
    entry: SequentialEntry, world: StepWorld, own: Settings, policy: PolicySettings
) -> None:
    """Raises SettingError if signalling is wanted in a world where nobody is heard, or if the
    speakers that its settings `own` name are not."""
    channels = find_channels(entry.make(own, COPIES)) if speakers_of(world) else ()
    if policy.signalling and not channels:
        raise SettingError(
            f"got signalling={policy.signalling} for world '{world.name}', in which no agent is "
            "known to speak; wanted speakers=NAME, the agents whose actions are messages (discrete "
            "ones), or no signalling"
        )


def reads_state(policy: PolicySettings, scheme: str) -> bool:
    """Returns whether anything reads the state of the world; if not, it need not be computed."""
    return policy.critic == "central" or scheme == COUNTERFACTUAL


def split_note(world: StepWorld, policy: PolicySettings) -> tuple[str, ...]:
    """Returns a sentence about networks that are one for each kind of actions, if there are any."""
    sets = [group for group in sets_of(world, policy) if group.kind]
    if not sets:
        return ()
    shared = "; ".join(
        f"{group.name}: {', '.join(world.agents[k] for k in group.members)}" for group in sets
    )
    return (
        f"agents that choose never share a network with agents that give numbers, so that "
        f"parameters={policy.parameters} means one for each kind ({shared})",
    )


def record(batch: Batch, recorder: Recorder) -> Recorder:
    """Returns the recorder, which has taken in the steps of a batch."""
    for t in range(len(batch.ended)):
        legal = None if batch.legal is None else batch.legal[:, t]
        seen, active = batch.seen[:, t], batch.active[:, t]
        recorder.add(seen, batch.action[:, t], active, legal, batch.ended[t])
    return recorder


class PolicyTrainer(Trainer):
    """A team of neural policies, as the training loop calls it."""

    learner: Learner
    between_checkpoints = CHECKPOINT_STEPS

    def __init__(self, plan: TrainPlan, learner: Learner) -> None:
        self.plan, self.learner = plan, learner
        self.competition: Competition | None = None
        """The games of the trained team, where sides play against each other."""
        self.greedy: RolloutCollector | None = None
        """What plays the greedy evaluations, made when the first one is due."""
        world = learner.world
        self.agents = world.agents
        self.references = world.references if learner.sides is None else POINTS
        pairs = zip(world.agents, world.actions, strict=True)
        self.continuous = frozenset(agent for agent, can in pairs if can.continuous)

    @property
    def steps(self) -> int:
        """Steps played so far, all copies together."""
        return self.learner.steps

    @property
    def policy(self) -> PolicyOf | None:
        """The team's policies; None if they remember more than they see."""
        remembers = self.learner.settings.memory != "none"
        return None if remembers else self.learner.team.probabilities

    def update(self, run: RunDirectory | None) -> Update:
        learner, every = self.learner, self.learner.settings.diagnose_every
        measured = None

        talk: dict[str, float] = {}
        due = every > 0 and learner.updates % every == 0
        heard = bool(learner.channels) and learner.updates % EVERY == 0

        def look(batch: Batch, estimate: BatchEstimate, batches: list[SetBatch]) -> None:
            nonlocal measured, talk
            if heard:
                talk = information_now(learner.channels, record(batch, Recorder()), self.policy)
            if not due:
                return
            measured = measure_policies(learner, batches, estimate.credited)
            if learner.world.settings.reward == "common":
                audit = credit_audit(batch, estimate.advantage, learner.settings.gamma)
                for numbers, correlation in zip(measured[0], audit, strict=True):
                    numbers["credit_correlation"] = correlation

        batch, losses = learner.update(look if due or heard else None)
        losses |= talk
        each = learner.settings.evaluate_every
        if each > 0 and learner.updates % each == 0 and learner.sides is None:
            losses |= self.greedy_return()
        returns = batch.returns
        mean = float(returns.mean()) if len(returns) else None
        if isinstance(learner.collector, CompetingCollector):
            losses |= side_returns(batch, learner.collector.sides)
            evaluated = each > 0 and learner.updates % each == 0
            mean = self.points_against_random(learner.collector) if evaluated else None
        return Update(len(returns), mean, losses, measured)

    def evaluate(self, should_stop: Callable[[], bool]) -> tuple[Floats, Floats] | None:
        """Returns the returns of fresh episodes: see `evaluated`. Actions are sampled.

        Where sides play against each other, they are the points of games against random actions.
        """
        plan, learner = self.plan, self.learner
        if isinstance(learner.collector, CompetingCollector):
            rated = rate_team(
                self._starts, learner.collector.pool, learner.settings,
                learner.collector.sides, self.agents, plan.episodes, plan.seed + 1, should_stop,
            )  # fmt: skip
            self.competition = None if rated is None else rated.competition
            return None if rated is None else (rated.points, rated.by_agent)

        def played_in(fresh: StepWorld, recorder: Recorder | None) -> Play:
            collector = RolloutCollector(fresh, learner.settings, plan.seed + 1)
            return partial(self._play, collector, recorder=recorder)

        usual = learner.collector.steps
        done = evaluated(
            plan, learner.world, learner.channels, played_in, self.policy, usual, should_stop
        )
        if done is None:
            return None
        self.messages = done.messages
        return done.returns, done.by_agent

    def greedy_return(self) -> dict[str, float]:
        """Returns the mean return of one episode in each copy of a world of its own, by name.

        Every evaluation plays the same episodes, whatever was played before. The result is empty if
        an episode does not end.
        """
        if self.greedy is None:
            fresh = self.plan.make_world(2, GREEDY_EPISODES[self.learner.world.python])
            self.greedy = RolloutCollector(fresh, self.learner.settings, 0, greedy=True)
        greedy = self.greedy
        greedy.begin(self.plan.seed)
        play = partial(self._play, greedy)
        kept = first_episodes(greedy.world, 1, play, greedy.steps)
        return {"greedy_return": float(np.sum(kept) / len(kept))} if kept else {}

    def points_against_random(self, collector: CompetingCollector) -> float | None:
        """Returns the mean points of the present team in games against random actions, always with
        the same starts; None if none ended. Its actions are sampled."""
        plan, learner = self.plan, self.learner
        pool, sides = collector.pool, collector.sides
        entrants = Entrant(RANDOM, None), Entrant(TRAINED, pool.with_team())
        returns = play_games(
            self._starts, pool, learner.settings, sides, entrants,
            [Pairing(1, 0, STARTS)], plan.seed,
        )  # fmt: skip
        assert returns is not None  # nothing asks it to stop
        points = results_of(returns, sides, learner.settings.scoring).scored
        return float(np.nanmean(points)) if not np.isnan(points).all() else None

    def _starts(self, wave: int, copies: int) -> StepWorld:
        """Returns copies of the world, always with the same starts for a wave."""
        return self.plan.make_world(GAME_STREAM + wave, copies)

    def save_artifacts(self, run: RunDirectory) -> None:
        if self.competition is not None:
            write_atomically(run.path / GAMES, encode_json(self.competition))
            run.seal_file(run.path / GAMES)

    def _play(
        self, collector: RolloutCollector, steps: int, recorder: Recorder | None = None
    ) -> tuple[Ints, Floats]:
        """Returns the copies and the agents' parts of the episodes that end in these steps."""
        batch = collector.play(self.learner.team, steps)
        if recorder is not None:
            record(batch, recorder)
        return batch.finished, batch.by_agent

    def notes(self) -> tuple[str, ...]:
        return (*self.learner.world.notes(), *self.learner.team.scales.notes())

    def close(self) -> None:
        """Closes the worlds."""
        self.learner.world.close()
        if self.greedy is not None:
            self.greedy.world.close()
