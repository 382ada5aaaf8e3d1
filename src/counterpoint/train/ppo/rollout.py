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
from counterpoint.train.ppo.networks import Actor, TeamNetworks, memory_of
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
        a, _, e, *numbers = batch.action.shape
        normals: Singles = np.zeros(a, dtype=np.float32)
        uniforms = normals
        if not self.greedy:
            if numbers:
                normals = self.rng.standard_normal((a, e, *numbers), dtype=np.float32)
            if self.chooses:
                uniforms = self.rng.random((a, e), dtype=np.float32)
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
                out = out[:, :, 0]
                if not self.greedy:
                    chance = normals if policy.continuous else uniforms
                    drawn = drawn_actions(policy, out, chance[m], probs=self.probs)
                    batch.action[m, i] = in_full(batch, drawn.action, policy)
                    batch.log_prob[m, i] = drawn.log_prob
                    if batch.probs is not None and drawn.probs is not None:
                        batch.probs[m, i] = drawn.probs
                elif policy.continuous:
                    batch.action[m, i] = out.cpu().numpy()
                else:
                    batch.action[m, i] = in_full(batch, out.argmax(dim=-1).cpu().numpy(), policy)
        return self.as_world_takes(batch, i)

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


class DrawnActions(NamedTuple):
    """The actions of one set's agents at one step."""

    action: NDArray[Any]
    """[A, E], or [A, E, U] before they are put within bounds."""
    log_prob: Singles
    """[A, E] log-probability, or density."""
    probs: Singles | None
    """[A, E, M] probabilities of all actions, if they are asked for."""


def drawn_actions(policy: Actor, out: Tensor, chance: NDArray[Any], *, probs: bool) -> DrawnActions:
    """Draws the actions of one set's agents from its network's outputs [A, E, M].

    Args:
        policy: the network.
        out: its outputs, which are overwritten.
        chance: uniforms [A, E], or standard normals [A, E, U] if actions are continuous.
        probs: whether the probabilities of all actions are asked for; they must be discrete.
    """
    if policy.continuous:
        action = out + policy.log_std.exp()[:, None] * torch.from_numpy(chance).to(out.device)
        density, _ = policy.log_density(out[:, :, None], action[:, :, None])
        return DrawnActions(action.cpu().numpy(), density[:, :, 0].cpu().numpy(), None)
    # Inverse-CDF sampling on unnormalized weights saves a softmax; it overwrites the logits.
    weights: Singles = out.cpu().numpy()
    weights -= weights.max(axis=-1, keepdims=True)
    np.exp(weights, out=weights)
    total = weights.cumsum(axis=-1)
    choice = (total[..., :-1] <= chance[..., None] * total[..., -1:]).sum(axis=-1)
    agent, copy = np.ogrid[: choice.shape[0], : choice.shape[1]]
    log_prob = np.log(weights[agent, copy, choice] / total[..., -1])
    return DrawnActions(choice, log_prob, weights / total[..., -1:] if probs else None)


def in_full(batch: Batch, action: NDArray[Any], policy: Actor) -> NDArray[Any]:
    """Returns the actions of a network's agents in the form of `Batch.action`: where others give
    numbers, a choice stands in the place of them all."""
    return action if policy.continuous or batch.action.ndim == 3 else action[..., None]


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
