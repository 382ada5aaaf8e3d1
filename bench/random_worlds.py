"""Random exact worlds, each drawn from one number: evidence on worlds that no scheme was made for.

    python bench/random_worlds.py 0 30

prints a line about each of the worlds 0 to 29. Start with `Traits.drawn`, which says what can
differ between worlds, then read `RandomWorld`. The bounds of every draw are there, and were chosen
before any scheme was trained in these worlds.

A team has Q posts. Every rollout happens in one region; a post acts in the rollouts of its region,
in all of them or at a rate of its own. Halfway through the training some posts get a new agent, so
there can be more agents than posts. With D the drift of the scale, F the product of the region's
scale and the largest `loud` of the part-time agents that act, and e ~ N(0, 1), agent k receives

    D F ((1 - own) T + own s_k right_k + noise + difficulty of the prompt) + offsets,

where T is the share of acting agents that are right, the sum of the stakes of those that are, or 1
if all of them are right; the noise is (1 - own) e + own e_k times its deviation.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, Ints, NamedArrays
from counterpoint.worlds.exact.targets import TargetWorld, accuracies
from counterpoint.worlds.exact.world import Evaluation, Play, Settings, chosen

TRAITS = 7
"""The stream of a number that its traits come from."""

Reward = Literal["share", "stakes", "all hands"]
Drift = Literal["none", "linear", "jump"]


@dataclass(frozen=True)
class Traits:
    """What is random about a world; Q posts, R regions."""

    number: int
    """The number that it was drawn from."""
    region: Ints
    """[Q] the region of each post; every region has one."""
    region_rate: Floats
    """[R] share of the prompts or rollouts that are in the region."""
    regions_by: Literal["prompt", "rollout"]
    """Whether the rollouts of a prompt share a region, or each draws its own."""
    rate: Floats
    """[Q] share of its region's rollouts in which the post acts; 1 for the first of a region."""
    by_prompt: Bools
    """[Q] whether a part-time post acts in all rollouts of a prompt or in none."""
    replaced: Ints
    """Posts that get a new agent halfway."""
    reward: Reward
    """What the team is paid for."""
    own: float
    """Share of an agent's reward that is for its own answer: 0 one shared reward, 1 own rewards."""
    stake: Floats
    """[Q] what a right answer pays: of the stakes, and of own rewards."""
    scale: Floats
    """[R] factor on the rewards of a region."""
    loud: Floats
    """[Q] factor on the rewards of a rollout that a part-time post joins."""
    offset: Floats
    """[R] a constant reward of the region, in its scales."""
    joined: Floats
    """[Q] a constant reward of a rollout that a part-time post joins, in its region's scales."""
    own_offset: Floats
    """[Q] a constant reward of the post's agent alone, in its region's scales."""
    noise: float
    """Deviation of the noise, in deviations of the reward under the uniform policy."""
    difficulty: float
    """Deviation of the prompts' offsets, in the same unit."""
    drift: Drift
    """When the rewards move: never, evenly, or halfway at once."""
    drift_scale: float
    """The factor on all rewards at the end."""
    drift_offset: float
    """The constant added to all rewards at the end, in scales of the region."""
    contexts: int
    """Number of contexts."""
    own_contexts: bool
    """Whether each agent sees a context of its own in each rollout, or all see that of the
    prompt."""
    actions: int
    """Number of actions."""
    prompts: int
    """Prompts in a batch."""
    rollouts: int
    """Rollouts of a prompt."""
    settings: Settings
    """Policy, optimizer and budget."""

    @classmethod
    def drawn(cls, number: int) -> Traits:
        """Returns the traits of the world with this number."""
        rng = np.random.default_rng([number, TRAITS])
        posts = int(rng.integers(2, 11))
        regions = min(int(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15])), posts)
        others = rng.integers(regions, size=posts - regions)
        region = np.sort(np.concatenate([np.arange(regions), others]))
        part_time = rng.random(posts) < rng.choice([0.0, 0.3, 0.7])
        part_time[np.unique(region, return_index=True)[1]] = False
        effect = rng.choice(["none", "offset", "scale"])
        reward: Reward = rng.choice(get_args(Reward), p=[0.45, 0.35, 0.2])
        stake = _log_uniform(rng, 1, 100, posts)
        actions = 2 if reward == "all hands" else int(rng.integers(2, 5))
        contexts = int(rng.integers(2, 13))
        drift: Drift = rng.choice(get_args(Drift), p=[0.5, 0.25, 0.25])
        drifts = str(rng.choice(["scale", "offset"]))
        optimizer: Any = rng.choice(["adam", "sgd"], p=[0.8, 0.2])
        # The gradient of a table's row is about 1 / rows, so the rate of SGD grows with their
        # number.
        lr = _log_uniform(rng, 0.1, 0.4) if optimizer == "adam" else _log_uniform(rng, 1, 4)
        return cls(
            number=number,
            region=region,
            region_rate=(rng.dirichlet(np.full(regions, 3.0)) + 0.1) / (1 + 0.1 * regions),
            regions_by=rng.choice(["prompt", "rollout"]),
            rate=np.where(part_time, _log_uniform(rng, 0.01, 0.8, posts), 1.0),
            by_prompt=rng.random(posts) < rng.choice([0.0, 0.5, 1.0]),
            replaced=np.flatnonzero(rng.random(posts) < rng.choice([0.0, 0.3], p=[0.7, 0.3])),
            reward=reward,
            own=float(rng.choice([0.0, 1.0, rng.uniform(0.2, 0.8)], p=[0.6, 0.2, 0.2])),
            stake=stake / stake.max(),
            scale=_log_uniform(rng, 1, 100, regions),
            loud=np.where(part_time & (effect == "scale"), _log_uniform(rng, 1, 100, posts), 1.0),
            offset=rng.uniform(0, 10, regions) * rng.integers(2),
            joined=part_time * rng.uniform(0, 10, posts) * (effect == "offset"),
            own_offset=rng.uniform(0, 10, posts) * rng.integers(2),
            noise=float(rng.choice([0.0, 0.3, rng.uniform(0, 3)])),
            difficulty=float(rng.choice([0.0, _log_uniform(rng, 0.3, 10)])),
            drift=drift,
            drift_scale=_log_uniform(rng, 0.1, 10) ** (drift != "none" and drifts == "scale"),
            drift_offset=rng.uniform(-10, 10) * (drift != "none" and drifts == "offset"),
            contexts=contexts,
            own_contexts=bool(rng.integers(2)),
            actions=actions,
            prompts=int(rng.integers(4, 17)),
            rollouts=int(rng.choice([4, 8, 16])),
            settings=Settings(
                parameters=rng.choice(["shared", "separate"]),
                updates=int(rng.integers(100, 301)),
                optimizer=optimizer,
                lr=lr if optimizer == "adam" else lr * posts * contexts,
            ),
        )


class RandomWorld(TargetWorld):
    """The world with these traits; every agent has one right action in each context.

    Two numbers say how good a team is, that of the last updates, with the new agents at their
    posts. The return counts every decision alike, however often it is taken and whatever it pays:
    the mean accuracy of the posts, or (`all hands`) the mean over regions of the probability that
    all acting agents are right; under a mixture, both in proportion to `own`. The reward-weighted
    return is the expected reward that depends on the actions, as a share of the best: the mean
    over the acting agents of what they receive, offsets left out.

    Both are exact: who acts is independent of all choices, so all 2^m patterns of the m part-time
    posts of each region are summed.
    """

    name = "random"
    summary = "a world drawn from one number"
    optimal = 1.0

    def __init__(self, traits: Traits) -> None:
        super().__init__(traits.settings)
        self.traits = t = traits
        posts, new = len(t.region), len(t.replaced)
        self.post = np.concatenate([np.arange(posts), t.replaced])
        """[A] the post of each agent; new agents come last."""
        self.first = np.arange(posts)
        """[Q] the agent of each post before half of the updates."""
        self.last = self.first.copy()
        """[Q] the agent of each post from then on."""
        self.last[t.replaced] = posts + np.arange(new)
        self.agents = tuple(f"agent_{k}" for k in range(posts + new))
        self.slots = tuple((agent, 0) for agent in range(posts + new))
        self.contexts, self.actions = t.contexts, t.actions
        self.prompts, self.rollouts = t.prompts, t.rollouts
        self.acts, self.chance = _patterns(t)
        """[K, Q] which posts act, and [K] how often: all patterns of all regions."""
        self.signal = self._signal()
        """The deviation of a reward under the uniform policy, at scale 1: the unit of the noise."""
        uniform = self._value(np.full((1, posts, 1), 1 / self.actions))
        self.random = float(uniform[0])

    def draw(self, rng: np.random.Generator, update: int) -> NamedArrays:
        t, p, g, slots = self.traits, self.prompts, self.rollouts, len(self.slots)
        progress = update / max(self.settings.updates - 1, 1)
        late = update >= self.settings.updates // 2
        shape = {"prompt": (p, 1), "rollout": (p, g)}
        place = rng.choice(len(t.region_rate), p=t.region_rate, size=shape[t.regions_by])
        place = np.broadcast_to(place, (p, g))
        of_prompt, of_rollout = rng.random((p, 1, len(t.rate))), rng.random((p, g, len(t.rate)))
        luck = np.where(t.by_prompt, of_prompt, of_rollout)
        seen = (p, g, slots) if t.own_contexts else (p, 1, 1)
        return {
            "late": np.array(late),
            "drift": np.array({"none": 0.0, "linear": progress, "jump": float(late)}[t.drift]),
            "region": place,
            "acts": (luck < t.rate) & (t.region == place[..., None]),
            "context": np.broadcast_to(rng.integers(self.contexts, size=seen), (p, g, slots)),
            "noise": rng.standard_normal((p, g)),
            "own_noise": rng.standard_normal((p, g, slots)),
            "difficulty": rng.standard_normal((p, 1)),
            "uniforms": rng.random((p, g, slots)),
        }

    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        t, acts, region = self.traits, chance["acts"], chance["region"]
        answers = self.answers(tasks, chance, probs)
        late, drift = (chance[name][:, None, None] for name in ("late", "drift"))
        # An agent is there in its own half of the training; the other one of its post is not.
        there = np.where(late[..., None], self._there(self.last), self._there(self.first))
        active = acts[..., self.post] & there
        right = answers.right
        now = np.where(late[..., None], right[..., self.last], right[..., self.first])
        noise = t.noise * self.signal
        team = (1 - t.own) * (self._team(acts, now) + noise * chance["noise"])
        own = t.own * (t.stake[self.post] * right + noise * chance["own_noise"])
        both = team[..., None] + own + t.difficulty * self.signal * chance["difficulty"][..., None]
        scale = t.scale[region]
        offset = t.offset[region] + (acts * t.joined).sum(axis=-1) + drift * t.drift_offset
        loud = scale * _loudest(acts, t.loud) * t.drift_scale**drift
        constant = scale[..., None] * (offset[..., None] + t.own_offset[self.post] * (t.own > 0))
        outcome = self._outcome(acts, region, right[..., self.last])
        reward = loud[..., None] * both + constant
        return Play(chance["context"], answers.action, active, reward, outcome)

    def evaluate(self, tasks: NamedArrays, probs: Floats) -> Evaluation:
        right = chosen(probs, tasks["target"])[:, self.last]  # [S, Q, C]
        returns, posts = self._value(right), len(self.last)
        regret = np.zeros((len(right), len(self.agents)))
        for post in range(posts):
            perfect = right.copy()
            perfect[:, post] = 1.0
            regret[:, self.last[post]] = self._value(perfect) - returns
        paid = self._paid(right) / self._paid(np.ones((1, posts, 1)))
        return Evaluation(returns, paid, accuracies(tasks, probs), regret)

    def describe(self) -> str:
        """Returns the world in one line."""
        t, s = self.traits, self.settings
        paid = {0.0: t.reward, 1.0: "own rewards"}.get(t.own, f"{t.reward} + {t.own:.0%} own")
        parts = [f"{t.number}: {len(t.region)} posts, {paid}"]
        if len(t.region_rate) > 1:
            shares = "/".join(f"{rate:.0%}" for rate in t.region_rate)
            parts.append(f"regions {shares} by {t.regions_by} x{_short(t.scale)}")
        if t.own > 0 or t.reward == "stakes":
            parts.append(f"stakes {_short(t.stake)}")
        if np.any(t.rate < 1):
            some = t.rate < 1
            how = ["prompt" if one else "rollout" for one in t.by_prompt[some]]
            parts.append("part-time " + ", ".join(
                f"{rate:.0%} a {by}" for rate, by in zip(t.rate[some], how, strict=True)
            ))  # fmt: skip
            parts.append(f"who join x{_short(t.loud[some])}" if np.any(t.loud > 1) else "")
            parts.append(f"who add {_short(t.joined[some])}" if np.any(t.joined) else "")
        parts.append(f"offsets {_short(t.offset)}" if np.any(t.offset) else "")
        if t.own > 0 and np.any(t.own_offset):
            parts.append(f"own offsets {_short(t.own_offset)}")
        parts.append(f"{len(t.replaced)} replaced" if len(t.replaced) else "")
        parts.append(f"noise {t.noise:.2g}" if t.noise else "no noise")
        parts.append(f"difficulty {t.difficulty:.2g}" if t.difficulty else "")
        if t.drift != "none":
            moved = f"x{t.drift_scale:.2g}" if t.drift_offset == 0 else f"{t.drift_offset:+.2g}"
            parts.append(f"{t.drift} drift {moved}")
        seen = "own" if t.own_contexts else "shared"
        parts.append(f"{self.contexts} {seen} contexts x {self.actions} actions")
        parts.append(f"{self.prompts} x {self.rollouts} rollouts")
        parts.append(f"{s.parameters}, {s.optimizer} {s.lr:.2g}, {s.updates} updates")
        return "; ".join(part for part in parts if part)

    def _there(self, agents: Ints) -> Bools:
        """Returns [A] whether an agent is one of `agents` [Q]."""
        return np.isin(np.arange(len(self.agents)), agents)

    def _team(self, acts: Bools, right: NDArray[Any]) -> Floats:
        """Returns T [...] of posts that act and are right, both [..., Q]; `right` may be the
        probabilities of independent answers, and T is then its expectation."""
        t = self.traits
        if t.reward == "all hands":
            return np.asarray(np.where(acts, right, 1.0).prod(axis=-1))
        count = np.maximum(acts.sum(axis=-1), 1)  # a pattern without any post is never played
        if t.reward == "share":
            return np.asarray((acts * right).sum(axis=-1) / count)
        return np.asarray((acts * t.stake * right).sum(axis=-1) / t.stake.sum())

    def _own(self, acts: Bools, right: Floats) -> Floats:
        """Returns [...] the mean of the acting agents' own rewards."""
        paid = (acts * self.traits.stake * right).sum(axis=-1)
        return np.asarray(paid / np.maximum(acts.sum(axis=-1), 1))

    def _outcome(self, acts: Bools, region: Ints, right: Bools) -> Floats:
        """Returns [S, P, G] an unbiased sample of the return, from `right` [S, P, G, Q]."""
        t, everyone = self.traits, right.mean(axis=-1)
        if t.reward != "all hands":
            return np.asarray(everyone)
        weight = 1 / (len(t.region_rate) * t.region_rate[region])
        return np.asarray((1 - t.own) * weight * self._team(acts, right) + t.own * everyone)

    def _value(self, right: Floats) -> Floats:
        """Returns [S] the return, from the probabilities of right answers [S, Q, C]."""
        t, everyone = self.traits, right.mean(axis=(1, 2))
        if t.reward != "all hands":
            return np.asarray(everyone)
        region = t.region[self.acts.argmax(axis=1)]
        weight = self.chance / (len(t.region_rate) * t.region_rate[region])
        return np.asarray((1 - t.own) * self._expected(right, weight) + t.own * everyone)

    def _paid(self, right: Floats) -> Floats:
        """Returns [S] the expected reward that depends on the actions."""
        t = self.traits
        region = t.region[self.acts.argmax(axis=1)]
        weight = self.chance * t.scale[region] * _loudest(self.acts, t.loud)
        own = self._own(self.acts, right.mean(axis=-1)[:, None]) @ weight
        return np.asarray((1 - t.own) * self._expected(right, weight) + t.own * own)

    def _expected(self, right: Floats, weight: Floats) -> Floats:
        """Returns [S] the sum over patterns of `weight` [K] times the expected T."""
        if self.traits.own_contexts or self.traits.reward != "all hands":
            right = right.mean(axis=-1, keepdims=True)  # then answers are independent, or add up
        by_context = np.swapaxes(right, 1, 2)[:, :, None]  # [S, C, 1, Q]
        team = self._team(self.acts, by_context)  # [S, C, K]
        return np.asarray((team @ weight).mean(axis=-1))

    def _signal(self) -> float:
        """Returns the root mean square over rollouts of a reward's deviation."""
        t, p = self.traits, 1 / self.actions
        count = self.acts.sum(axis=-1)
        if t.reward == "all hands":
            success = p**count
            team = success * (1 - success)
        elif t.reward == "share":
            team = p * (1 - p) / count
        else:
            team = p * (1 - p) * (self.acts * t.stake**2).sum(axis=-1) / t.stake.sum() ** 2
        own = p * (1 - p) * (self.acts * t.stake**2).sum(axis=-1) / count
        return float(np.sqrt(self.chance @ ((1 - t.own) ** 2 * team + t.own**2 * own)))


def random_world(number: int) -> RandomWorld:
    """Returns the world with this number."""
    return RandomWorld(Traits.drawn(number))


def _loudest(acts: Bools, loud: Floats) -> Floats:
    """Returns [...] the largest factor `loud` [Q] of the posts that act [..., Q]; at least 1."""
    return np.asarray(np.where(acts, loud, 1.0).max(axis=-1))


def _patterns(t: Traits) -> tuple[Bools, Floats]:
    """Returns which posts act, [K, Q], and how often, [K], over all regions."""
    acts, chance = [], []
    for region, share in enumerate(t.region_rate):
        sure = (t.region == region) & (t.rate == 1)
        some = np.flatnonzero((t.region == region) & (t.rate < 1))
        on = (np.arange(2 ** len(some))[:, None] >> np.arange(len(some))) % 2 == 1
        pattern = np.repeat(sure[None], len(on), axis=0)
        pattern[:, some] = on
        acts.append(pattern)
        chance.append(share * np.where(on, t.rate[some], 1 - t.rate[some]).prod(axis=-1))
    return np.concatenate(acts), np.concatenate(chance)


def _log_uniform(rng: np.random.Generator, low: float, high: float, size: Any = None) -> Any:
    """Returns numbers whose logarithm is uniform."""
    return np.exp(rng.uniform(np.log(low), np.log(high), size))


def _short(values: Floats) -> str:
    """Returns different numbers as `1.2/30`."""
    return "/".join(f"{value:.2g}" for value in values)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("first", type=int, nargs="?", default=0)
    parser.add_argument("end", type=int, nargs="?", default=30)
    given = parser.parse_args()
    for number in range(given.first, given.end):
        print(random_world(number).describe())


if __name__ == "__main__":
    main()
