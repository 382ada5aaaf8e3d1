"""Trains a team that learns action values from replay. Read `ValueLearner.update` first.

One update: play T steps in every copy, with random actions now and then, and take a few gradient
steps on minibatches of the replay. `iql` learns a value for each agent, from its own reward. `vdn`
and `qmix` learn one value of the team, a sum or a monotone function of the agents' values, from the
sum of their rewards. So each agent acts on its own observation alone.

Networks predict values in units of the running mean and deviation of discounted rewards: see
`RewardScale`. The best action is the same in all units.

Source: Mnih et al. 2015 (replay, target network); van Hasselt et al. 2016 (double Q-learning);
    Lillicrap et al. 2016 (targets that move slowly).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from counterpoint.arrays import Bools, Floats, Ints, NamedArrays, generator_state
from counterpoint.credit import Tally
from counterpoint.errors import SettingError
from counterpoint.runs.checkpoint import Snapshot
from counterpoint.train.adam import Adam, as_vector, configure_threads
from counterpoint.train.ppo.learner import require_same_shapes
from counterpoint.train.ppo.rollout import below
from counterpoint.train.scaling import scales_of
from counterpoint.train.value.collector import OnStep, Played, ValueCollector
from counterpoint.train.value.networks import TeamValues, alone, left_at
from counterpoint.train.value.replay import Replay, Transitions
from counterpoint.train.value.settings import ValueSettings
from counterpoint.worlds.sequential.world import Step, StepWorld, View

LARGE = 10.0
"""Where a number of a state was ever larger, states are divided by the largest: the mixer's weights
are functions of the state, and those of pixels would leave the range in which a network learns."""


class RewardScale:
    """Running mean and deviation of discounted sums of rewards, for each of G deciders.

    A sum takes in a reward after each step, and is discounted at each decision. Truncation does not
    end it, since values are bootstrapped there.
    """

    NAMES = ("running", "count", "mean", "square")

    def __init__(self, deciders: int, copies: int, gamma: float, on: bool) -> None:
        self.gamma, self.on = gamma, on
        self.running = np.zeros((deciders, copies))
        self.count, self.mean, self.square = np.zeros((3, deciders))

    def update(self, reward: Floats, decided: Bools, over: Bools) -> None:
        """Takes in rewards [G, E]; `over` [G, E] starts the sum anew after them."""
        self.running *= np.where(decided, self.gamma, 1.0)
        self.running += reward
        self.count += self.running.shape[1]
        share = self.running.shape[1] / self.count
        self.mean += share * (self.running.mean(axis=1) - self.mean)
        self.square += share * ((self.running**2).mean(axis=1) - self.square)
        self.running[over] = 0.0

    def numbers(self) -> tuple[Tensor, Tensor]:
        """Returns mean and deviation [G, 1]; 0 and 1 where rewards do not vary."""
        variance = self.square - self.mean**2
        known = self.on & (variance > 1e-8 * self.square)
        mean, std = np.where(known, self.mean, 0.0), np.sqrt(np.where(known, variance, 1.0))
        return tuple(torch.from_numpy(x[:, None].astype(np.float32)) for x in (mean, std))

    def capture(self) -> NamedArrays:
        """Returns the numbers of the scale, by name."""
        return {name: getattr(self, name).copy() for name in self.NAMES}

    def restore(self, arrays: NamedArrays) -> None:
        """Resumes where `capture` was called."""
        for name in self.NAMES:
            setattr(self, name, np.array(arrays[name]))


class ValueLearner:
    """A team that learns action values: networks, targets, replay, and the copies it plays in.

    Args:
        world: where it plays.
        algorithm: `iql`, `vdn` or `qmix`.
        settings: how it learns.
        seed: of the networks, the actions and the draws from the replay.
        budget: steps that it will play, along which random actions become rare.

    Raises:
        SettingError: continuous actions.
    """

    def __init__(
        self, world: StepWorld, algorithm: str, settings: ValueSettings, seed: int, budget: int
    ) -> None:
        require_discrete(world, algorithm)
        configure_threads()
        settings = settings.filled(python=world.python)
        self.world, self.algorithm, self.settings = world, algorithm, settings
        memory = settings.hidden if settings.memory == "gru" else 0
        self.budget, self.collector = budget, ValueCollector(world, seed, memory)
        self.scales = scales_of(world, settings, torch.device("cpu"), state=algorithm == "qmix")
        self.team, self.target = (
            TeamValues(world, algorithm, settings, seed, self.scales.seen) for _ in range(2)
        )
        self.target_weights = as_vector(self.target.networks())
        self.adam = Adam(self.team.networks(), settings.max_norm)
        self.replay = Replay(
            world,
            settings.replay,
            together=self.team.mixer is not None,
            stateful=algorithm == "qmix",
            masked=self.collector.view.legal is not None,
            memory=memory,
        )
        deciders, copies = self.replay.pending.shape
        self.scale = RewardScale(deciders, copies, settings.gamma, settings.value_norm)
        self.look(self.collector.view)  # the first observations are the first statistics
        self.draws, self.largest = np.random.default_rng([seed, 3]), np.zeros(())
        self.tally = Tally()
        self.updates = 0

    @property
    def batch_steps(self) -> int:
        """Steps of one update, all copies together."""
        return self.settings.steps * self.world.copies

    @property
    def steps(self) -> int:
        """Steps played so far, all copies together."""
        return self.updates * self.batch_steps

    @property
    def epsilon(self) -> float:
        """The probability of a random action in the next update."""
        return self.settings.epsilon(self.steps / self.budget)

    def update(self, look: OnStep | None = None) -> tuple[Played, dict[str, float]]:
        """Plays a batch, and learns from the replay; returns what was played, and the metrics.

        Args:
            look: called with each step.
        """
        epsilon, before = self.epsilon, self.scales.clipped

        def take(view: View, actions: Ints, step: Step) -> None:
            self.take(view, actions, step)
            if look is not None:
                look(view, actions, step)

        played = self.collector.play(self.team, self.settings.steps, epsilon, take)
        metrics = self.improve()
        self.updates += 1
        if self.scales.clipped is not None and before is not None:
            metrics["clipped_inputs"] = float(self.scales.clipped - before)
        return played, {**metrics, "epsilon": epsilon}

    def take(self, view: View, actions: Ints, step: Step) -> None:
        """Takes a step into the replay, and what was seen and paid into their scales."""
        if self.replay.together:
            reward = team_reward(self.world, step.reward)
            acts = np.any(view.active, axis=1)[None]
            over = np.all(step.terminated, axis=1)[None]
        else:
            reward, acts, over = step.reward.T, view.active.T, step.terminated.T
        seat = self.collector
        self.replay.add(view, actions, step, reward, seat.memory, seat.first)
        self.look(view)
        self.scale.update(reward, acts, over)
        states = view.state, step.last.state
        self.largest = np.maximum(self.largest, max(abs(x).max(initial=0.0) for x in states))

    def look(self, view: View) -> None:
        """Takes what agents see into its scale."""
        seen, acts = view.seen.swapaxes(0, 1)[:, None], view.active.T[:, None]
        self.scales.update(seen, view.state[None], acts)

    def improve(self) -> dict[str, float]:
        """Takes the gradient steps of one update.

        Returns:
            Means over them: td_loss (squared error, in units of the returns' variance), and value
            (predicted, in the reward's unit).
        """
        settings, (mean, std) = self.settings, self.scale.numbers()
        mean, std = mean[..., None], std[..., None]
        losses, values = torch.zeros(()), torch.zeros(())
        count = max(1, settings.batch // settings.length)
        drawn = self.replay.draw(count * settings.passes, self.draws, settings.length)
        for batch in drawn.split(count):
            every, remembered = self.team(batch.seen, batch.memory, batch.keep)
            wanted = self.targets(batch, remembered, mean, std)
            self.adam.zero()
            taken = every.gather(-1, batch.action[..., None])[..., 0]
            value = self.team.mixed(taken, batch.acts, self.scaled(batch.state))
            ready = batch.ready.sum().clamp(min=1.0)
            loss = ((value - wanted) ** 2 * batch.ready).sum() / ready
            loss.backward()
            self.adam.step(settings.lr)
            self.target_weights.lerp_(self.adam.weights, settings.tau)
            losses += loss.detach()
            values += ((value.detach() * std + mean) * batch.ready).sum() / ready
        metrics = {"td_loss": losses, "value": values}
        return {name: float(x) / settings.passes for name, x in metrics.items()}

    def targets(
        self, batch: Transitions, remembered: Tensor | None, mean: Tensor, std: Tensor
    ) -> Tensor:
        """Returns [G, N, L], r + gamma Q'(next decision), in units of `mean` and `std` [G, 1, 1].

        Q' is the target network's value of the best legal actions, chosen by the present network
        (`double`) or by itself, and 0 where the episode ended for good. With memory, each network
        remembers what it makes of the same sequence up to there.

        Args:
            batch: the transitions.
            remembered: [A, N, L, H] what the present network remembers after each step; None
                without memory.
            mean: of discounted rewards.
            std: their deviation.
        """
        with torch.no_grad():
            seen = alone(batch.after_seen)
            legal = None if batch.after_legal is None else alone(batch.after_legal)
            own = its = keep = None
            if remembered is not None:
                _, unrolled = self.target(batch.seen, batch.memory, batch.keep)
                own, its = (left_at(x, batch.known_at) for x in (remembered, unrolled))
                keep = torch.ones(seen.shape[:3])
            values, _ = self.target(seen, its, keep, legal)
            if self.settings.double:
                best = self.team(seen, own, keep, legal)[0].argmax(-1, keepdim=True)
                after = values.gather(-1, best)[..., 0]
            else:
                after = values.max(dim=-1).values
            after = after.view_as(batch.after_acts)
            mixed = self.target.mixed(after, batch.after_acts, self.scaled(batch.after_state))
            expected = (mixed * std + mean) * (1.0 - batch.over)
            return (batch.reward + self.settings.gamma * expected - mean) / std

    def scaled(self, state: Tensor | None) -> Tensor | None:
        """Returns states [N, L, Z] as the mixer reads them: normalized where observations are, else
        see `LARGE`."""
        if state is not None and self.scales.state is not None:
            return self.scales.state.apply(state[None], 0)[0]
        if state is None or self.largest <= LARGE:
            return state
        return state / float(self.largest)

    def capture(self) -> Snapshot:
        """Returns everything that decides what the learner does next.

        The replay is left out at the end of the budget, when nothing is learned any more.
        """
        arrays, facts = self.collector.capture()
        arrays |= {f"adam.{name}": x for name, x in self.adam.capture().items()}
        arrays |= {f"scale.{name}": x for name, x in self.scale.capture().items()}
        arrays |= {f"inputs.{name}": x for name, x in self.scales.capture().items()}
        arrays["target"] = self.target_weights.numpy().copy()
        arrays["largest"] = np.array(self.largest, dtype=np.float64)
        if self.steps < self.budget:
            arrays |= {f"replay.{name}": x for name, x in self.replay.capture().items()}
        return Snapshot(
            arrays,
            {"updates": self.updates, "player": facts, "draws": generator_state(self.draws)},
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Resumes where `capture` was called on a learner of the same plan.

        Raises:
            StateError: the snapshot is that of another plan.
        """
        arrays, facts = snapshot.arrays, snapshot.facts
        require_same_shapes(arrays, self.capture().arrays, ("world.", "replay."))
        self.updates, self.largest = facts["updates"], np.array(arrays["largest"])
        self.adam.restore(below("adam", arrays))
        self.scale.restore(below("scale", arrays))
        self.scales.restore(below("inputs", arrays))
        self.target_weights.copy_(torch.from_numpy(np.array(arrays["target"])))
        if self.steps < self.budget:
            self.replay.restore(below("replay", arrays))
        self.draws.bit_generator.state = facts["draws"]
        self.collector.restore(arrays, facts["player"])


def require_discrete(world: StepWorld, algorithm: str) -> None:
    """Raises SettingError if the actions of any agent are continuous."""
    numbers = [a for a, can in zip(world.agents, world.actions, strict=True) if can.continuous]
    if numbers:
        of_some = "" if len(numbers) == len(world.agents) else f" of {', '.join(numbers)}"
        raise SettingError(
            f"got {algorithm} for world '{world.name}', where actions{of_some} are continuous; "
            "wanted discrete actions, which can be valued one by one: use a scheme, with which PPO "
            "learns"
        )


def team_reward(world: StepWorld, reward: Floats) -> Floats:
    """Returns [1, E], the reward of the team, of its agents' [E, A]: their sum.

    Where the reward is common, each agent is paid the sum already: the team is paid their mean.
    """
    common = world.settings.reward == "common"
    return np.asarray(reward.mean(axis=1) if common else reward.sum(axis=1))[None]
