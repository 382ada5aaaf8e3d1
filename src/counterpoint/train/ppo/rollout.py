"""`RolloutCollector`: plays T steps of every copy under the present policies.

Start with `RolloutCollector.play`. A `Batch` is agent-major and time-major, [A, T, E, ...], so that
the agents of one network are slices of it. One NumPy generator draws all actions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, NotRequired, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from counterpoint.arrays import Bools, Floats, GeneratorState, Ints, NamedArrays, generator_state
from counterpoint.errors import WorldError
from counterpoint.train.ppo.networks import TeamNetworks, log_density, memory_of
from counterpoint.train.ppo.settings import PolicySettings
from counterpoint.worlds.sequential.actions import most_choices, most_numbers
from counterpoint.worlds.sequential.world import CapturedFacts, Singles, StepWorld, View


@dataclass(frozen=True)
class Seats:
    """Who played in each copy, where past selves of a team play too."""

    opponent: NDArray[np.int64]
    """[T, E] number of the past self; -1 where the present policies played all sides."""
    side: NDArray[np.int64]
    """[T, E] the side that the present policies played against it."""
    learned: Bools
    """[A, T, E] whether the present policies played the agent."""


@dataclass
class Batch:
    """T steps of E copies; entries of agents that did not decide have no meaning."""

    seen: Singles
    """[A, T+1, E, D] observations, those after the last step too."""
    state: Singles
    """[T+1, E, Z] input of a centralized critic."""
    active: Bools
    """[A, T+1, E] whether the agent decided."""
    legal: Bools | None
    """[A, T, E, M] legal actions, or None where all always were."""
    action: NDArray[Any]
    """[A, T, E] choices where all agents choose. Else [A, T, E, U] floats: the numbers of an agent
    before they were put within bounds, or the choice of one that chooses, in each place."""
    log_prob: Singles
    """[A, T, E] log-probability, or density, of the action when it was taken."""
    probs: Singles | None
    """[A, T, E, M] probabilities of all actions, if they are asked for."""
    reward: Floats
    """[A, T, E] rewards paid to agents."""
    own: Floats
    """[A, T, E] the world's own rewards."""
    components: Floats | None
    """[A, T, E, K] parts of the reward, where there are several."""
    terminated: Bools
    """[A, T, E] whether the agent's episode ended here for good."""
    ended: Bools
    """[T, E] whether the episode ended with this step."""
    starts: Bools
    """[T+1, E] whether the step is the first of an episode."""
    last: dict[int, View]
    """Last view of the episodes that ended at a step: step to view."""
    hidden: Singles
    """[A, E, H] memory of the actors before the first step."""
    episode: NDArray[np.int64]
    """[T, E] number of the episode of its copy, counted from the start of the training."""
    clock: NDArray[np.int64]
    """[T, E] step of the episode."""
    returns: Floats
    """[R] returns of the episodes that ended in this batch, in the world's own unit."""
    by_agent: Floats
    """[R, A] the agents' parts in them."""
    finished: Ints
    """[R] their copies."""
    seats: Seats | None = None
    """Who played; None where the present policies played all agents."""

    @property
    def decided(self) -> Bools:
        """[A, T, E] whether the agent decided, by the present policies: what is learned from."""
        active = self.active[:, : len(self.ended)]
        return active if self.seats is None else active & self.seats.learned


class CollectorFacts(TypedDict):
    """What arrays cannot hold of a captured collector."""

    world: CapturedFacts
    actions: GeneratorState
    pool: NotRequired[GeneratorState]
    """Of the draws of opponents, where past selves play."""


class RolloutCollector:
    """Collects rollouts; holds the view, memories and running returns between batches.

    Args:
        world: where it plays.
        settings: steps of a batch, and whether policies have memory.
        seed: of the actions.
        probs: whether batches have the probabilities of all actions.
        greedy: whether the most probable action is taken, or the mean if actions are continuous.
            Nothing is drawn then, and batches have no log-probabilities.
    """

    def __init__(
        self,
        world: StepWorld,
        settings: PolicySettings,
        seed: int,
        *,
        probs: bool = False,
        greedy: bool = False,
    ) -> None:
        self.world, self.settings, self.probs, self.greedy = world, settings, probs, greedy
        self.rng = np.random.default_rng([seed, 2])
        self.steps, self.chooses = settings.steps, most_choices(world.actions) > 0
        self.begin(None)

    def begin(self, seed: int | None) -> None:
        """Starts new episodes in all copies; with a seed, always the same ones."""
        world, settings = self.world, self.settings
        self.view = world.reset(seed)
        e, a = world.copies, len(world.agents)
        self.first = np.ones(e, dtype=bool)
        self.running, self.episode, self.clock = np.zeros(e), np.zeros(e, int), np.zeros(e, int)
        self.by_agent = np.zeros((e, a))
        size = settings.hidden if settings.memory == "gru" else 0
        self.hidden: Singles = np.zeros((a, e, size), dtype=np.float32)

    def play(self, team: TeamNetworks, steps: int | None = None) -> Batch:
        """Plays the next T steps of every copy.

        Raises:
            WorldError: a reward or an observation is not finite.
        """
        world, t = self.world, steps or self.steps
        batch = self._empty(t)
        returns, finished = [np.zeros(0)], [np.zeros(0, dtype=np.int64)]
        by_agent = [self.by_agent[:0].copy()]
        for i in range(t):
            self._look(batch, i)
            actions = self._act(team, batch, i)
            done = world.step(actions)
            batch.reward[:, i], batch.own[:, i] = done.reward.T, done.own.T
            batch.terminated[:, i], batch.ended[i] = done.terminated.T, done.ended
            if batch.components is not None and done.components is not None:
                batch.components[:, i] = done.components.swapaxes(0, 1)
            self.running += done.own.sum(axis=-1)
            self.by_agent += done.own
            self.clock += 1
            self.view, self.first = done.view, done.ended
            if done.ended.any():
                batch.last[i] = done.last
                returns.append(self.running[done.ended])
                by_agent.append(self.by_agent[done.ended])
                finished.append(np.flatnonzero(done.ended))
                self.running[done.ended], self.clock[done.ended] = 0.0, 0
                self.by_agent[done.ended] = 0.0
                self.episode[done.ended] += 1
        self._look(batch, t)
        batch.returns, batch.finished = np.concatenate(returns), np.concatenate(finished)
        batch.by_agent = np.concatenate(by_agent)
        # A number that is not finite would reach every weight in the next update.
        for what, values in (("rewards", batch.reward), ("observations", batch.seen)):
            require_finite(world, what, values)
        return batch

    def _empty(self, t: int) -> Batch:
        world, view = self.world, self.view
        e, a, seen = world.copies, len(world.agents), view.seen.shape[-1]
        most, numbers = most_choices(world.actions), most_numbers(world.actions)
        components = len(world.components)

        def entries(*shape: int, dtype: Any = np.float64) -> NDArray[Any]:
            return np.empty((a, t, e, *shape), dtype)

        return Batch(
            seen=np.empty((a, t + 1, e, seen), np.float32),
            state=np.empty((t + 1, e, world.state_size), np.float32),
            active=np.empty((a, t + 1, e), bool),
            legal=None if view.legal is None else entries(view.legal.shape[-1], dtype=bool),
            action=entries(numbers, dtype=np.float32) if numbers else entries(dtype=int),
            log_prob=entries(dtype=np.float32),
            probs=entries(most, dtype=np.float32) if self.probs else None,
            reward=entries(),
            own=entries(),
            components=None if components == 1 else entries(components),
            terminated=entries(dtype=bool),
            ended=np.empty((t, e), bool),
            starts=np.empty((t + 1, e), bool),
            last={},
            hidden=self.hidden.copy(),
            episode=np.empty((t, e), np.int64),
            clock=np.empty((t, e), np.int64),
            returns=np.zeros(0),
            by_agent=np.zeros((0, a)),
            finished=np.zeros(0, np.int64),
        )

    def _look(self, batch: Batch, i: int) -> None:
        view = self.view
        batch.seen[:, i] = view.seen.swapaxes(0, 1)
        batch.state[i] = view.state
        batch.active[:, i] = view.active.T
        batch.starts[i] = self.first
        if i < len(batch.ended):
            batch.episode[i], batch.clock[i] = self.episode, self.clock
            if batch.legal is None and view.legal is not None:  # so far, all always were
                batch.legal = np.ones((*batch.reward.shape, view.legal.shape[-1]), dtype=bool)
            if batch.legal is not None and view.legal is not None:
                batch.legal[:, i] = view.legal.swapaxes(0, 1)

    def _act(self, team: TeamNetworks, batch: Batch, i: int) -> NDArray[Any]:
        """Returns the actions [E, A] or [E, A, U] as the world takes them."""
        self._draw(batch)
        keep, device = torch.from_numpy(~self.first).float().to(team.device), team.device
        with torch.inference_mode():
            for policy, group in zip(team.actors, team.sets, strict=True):
                m = group.rows
                seen = torch.from_numpy(batch.seen[m, i, :, None]).to(device)
                legal = None
                if batch.legal is not None:
                    legal = torch.from_numpy(batch.legal[m, i, :, None]).to(device)
                hidden = memory_of(self.hidden, group, device)
                out, remembered = policy.respond(
                    policy.inputs(seen), hidden, keep.expand(len(seen), -1)[..., None], legal
                )
                if remembered is not None:
                    self.hidden[m] = remembered[:, :, 0].cpu().numpy()
                log_std = policy.log_std[:, None] if policy.continuous else None
                outputs = Outputs(out[:, :, 0], log_std, policy.own[:, None])
                self.take(batch, i, m, outputs, greedy=self.greedy)
        return self.as_world_takes(batch, i)

    def _draw(self, batch: Batch) -> None:
        """Draws the chance of all actions of a step, whoever will take them."""
        a, _, e, *numbers = batch.action.shape
        self.normals: Singles = np.zeros(a, dtype=np.float32)
        self.uniforms = self.normals
        if not self.greedy:
            if numbers:
                self.normals = self.rng.standard_normal((a, e, *numbers), dtype=np.float32)
            if self.chooses:
                self.uniforms = self.rng.random((a, e), dtype=np.float32)

    def take(self, batch: Batch, i: int, where: Any, outputs: Outputs, *, greedy: bool) -> None:
        """Writes the actions of some agents at step `i`, with their log-probabilities if they are
        drawn.

        Args:
            batch: gets them.
            i: the step.
            where: the index of these agents and copies among [A, E].
            outputs: what the network gave for them.
            greedy: whether they take the most probable action, or the mean.
        """
        # where others give numbers, a choice stands in the place of them all
        wide = batch.action.ndim > 3 and outputs.log_std is None
        if greedy:
            best = outputs.out if outputs.log_std is not None else outputs.out.argmax(dim=-1)
            action = best.cpu().numpy()
            batch.action[:, i][where] = action[..., None] if wide else action
            return
        chance = self.uniforms if outputs.log_std is None else self.normals
        drawn = drawn_actions(outputs, chance[where], probs=self.probs)
        batch.action[:, i][where] = drawn.action[..., None] if wide else drawn.action
        batch.log_prob[:, i][where] = drawn.log_prob
        if batch.probs is not None and drawn.probs is not None:
            batch.probs[:, i][where] = drawn.probs

    def as_world_takes(self, batch: Batch, i: int) -> NDArray[Any]:
        """Returns the actions of step `i`, [E, A] or [E, A, U] within bounds."""
        if batch.action.ndim == 3:
            return batch.action[:, i].T
        return within_bounds(self.world, batch.action[:, i].swapaxes(0, 1))

    def after_update(self, updates: int) -> None:
        """Is called after the team has made its update of this number."""

    def capture(self) -> tuple[NamedArrays, CollectorFacts]:
        """Returns everything that decides what is played next, the world included."""
        arrays, facts = self.world.capture()
        mine = {
            "first": self.first, "running": self.running, "by_agent": self.by_agent,
            "episode": self.episode, "clock": self.clock, "hidden": self.hidden,
        }  # fmt: skip
        captured = {f"world.{name}": array for name, array in arrays.items()}
        captured |= {f"player.{name}": array.copy() for name, array in mine.items()}
        return captured, {"world": facts, "actions": generator_state(self.rng)}

    def restore(self, arrays: NamedArrays, facts: CollectorFacts) -> None:
        """Resumes where `capture` was called."""
        for name, array in below("player", arrays).items():
            setattr(self, name, array.copy())
        self.view = self.world.restore(below("world", arrays), facts["world"])
        self.rng.bit_generator.state = facts["actions"]


def require_finite(world: StepWorld, what: str, values: NDArray[Any]) -> None:
    """Raises WorldError, with the agent's name, unless all values [A, ...] are finite."""
    finite = np.isfinite(values)
    if not finite.all():
        agent = world.agents[int(np.argwhere(~finite)[0][0])]
        raise WorldError(
            f"got {what} of {agent} that are not finite from world '{world.name}'; "
            "wanted numbers to learn from: look for a division by zero in the world"
        )


class Outputs(NamedTuple):
    """What a network gives for some agents, [...] their axes."""

    out: Tensor
    """[..., M] logits, or [..., U] means."""
    log_std: Tensor | None
    """[..., U] log-deviations, which may have axes of length 1; None where agents choose."""
    own: Tensor
    """[..., U] the dimensions that an agent has; read only where agents give numbers."""


class DrawnActions(NamedTuple):
    """Actions that were drawn, [...] as the axes of `Outputs`."""

    action: NDArray[Any]
    """[...], or [..., U] before they are put within bounds."""
    log_prob: Singles
    """[...] log-probability, or density."""
    probs: Singles | None
    """[..., M] probabilities of all actions, if they are asked for."""


def drawn_actions(outputs: Outputs, chance: NDArray[Any], *, probs: bool) -> DrawnActions:
    """Draws actions.

    Args:
        outputs: of the network; they are overwritten.
        chance: uniforms [...], or standard normals [..., U] if actions are continuous.
        probs: whether the probabilities of all actions are asked for; they must be discrete.
    """
    out, log_std, own = outputs
    if log_std is not None:
        action = out + log_std.exp() * torch.from_numpy(chance).to(out.device)
        density = log_density(out, action, log_std, own)
        return DrawnActions(action.cpu().numpy(), density.cpu().numpy(), None)
    # Inverse-CDF sampling on unnormalized weights saves a softmax; it overwrites the logits.
    weights: Singles = out.cpu().numpy()
    weights -= weights.max(axis=-1, keepdims=True)
    np.exp(weights, out=weights)
    total = weights.cumsum(axis=-1)
    choice = (total[..., :-1] <= chance[..., None] * total[..., -1:]).sum(axis=-1)
    taken = np.take_along_axis(weights, choice[..., None], axis=-1)[..., 0]
    log_prob = np.log(taken / total[..., -1])
    return DrawnActions(choice, log_prob, weights / total[..., -1:] if probs else None)


def within_bounds(world: StepWorld, raw: NDArray[Any]) -> Floats:
    """Returns actions [E, A, U] within each agent's bounds, which raw actions from -1 to 1 fill;
    choices stay as they are."""
    out = np.zeros(raw.shape)
    for k, kind in enumerate(world.actions):
        if not kind.continuous:
            out[:, k, 0] = raw[:, k, 0]
            continue
        low, high = np.array(kind.low), np.array(kind.high)
        part = np.clip(raw[:, k, : kind.size], -1.0, 1.0)
        out[:, k, : kind.size] = low + (part + 1.0) / 2.0 * (high - low)
    return out


def below(prefix: str, arrays: NamedArrays) -> dict[str, NDArray[Any]]:
    """Returns the arrays with the names `PREFIX.NAME`, by NAME."""
    return {n.partition(".")[2]: x for n, x in arrays.items() if n.startswith(f"{prefix}.")}
