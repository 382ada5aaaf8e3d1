"""Random teams, rewards and schemes for the laws: a seed decides each of them.

`structure` decides who acts how often in which rollout, `values` the rewards. They are separate
because array libraries that compile for each shape want few structures and many values.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from counterpoint.credit import Scheme
from counterpoint.errors import SchemeError

REGIMES: tuple[Callable[[np.random.Generator, int], np.ndarray], ...] = (
    lambda rng, n: rng.normal(size=n),
    lambda rng, n: rng.integers(0, 2, n).astype(float),
    lambda rng, n: 1e8 + rng.integers(0, 2, n),
    lambda rng, n: -1e8 + rng.normal(size=n),
    lambda rng, n: np.full(n, rng.integers(0, 100) / 100),
    lambda rng, n: rng.standard_t(1, n) * 10.0 ** rng.integers(-9, 10),
    lambda rng, n: np.where(rng.random(n) < 0.05, 50.0, 0.01 * rng.normal(size=n)),
)
"""Kinds of reward: dense, bits, far from zero (twice), constant, heavy-tailed, rare spikes."""
NEAR_ZERO = (0, 1, 4, 6)
"""Regimes whose running mean is not far larger than their spread."""


@dataclass(frozen=True)
class Team:
    """The labels of one call; every column is [N]."""

    labels: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.labels["rollout"])

    @property
    def moments(self) -> np.ndarray:
        """[N] one id for each (prompt, rollout, turn): what everybody present at it shares."""
        columns = [self.labels[name] for name in ("prompt", "rollout", "turn")]
        return np.unique(np.stack(columns), axis=1, return_inverse=True)[1].ravel()

    @property
    def rollouts(self) -> np.ndarray:
        """[N] one id for each (prompt, rollout)."""
        columns = [self.labels[name] for name in ("prompt", "rollout")]
        return np.unique(np.stack(columns), axis=1, return_inverse=True)[1].ravel()

    @property
    def speakers(self) -> np.ndarray:
        """[N] one id for each (prompt, rollout, agent)."""
        columns = [self.labels[name] for name in ("prompt", "rollout", "agent")]
        return np.unique(np.stack(columns), axis=1, return_inverse=True)[1].ravel()

    def take(self, rows: np.ndarray) -> Team:
        return Team({name: column[rows] for name, column in self.labels.items()})

    def renamed(self, **columns: np.ndarray) -> Team:
        return Team({**self.labels, **columns})


def everybody(structure: int, agents: int) -> Team:
    """All agents act in every rollout equally often; groups and rollouts differ in size.

    Every turn happens in at least two rollouts: one rollout of n agents is n equal samples when
    they are pooled and a single one for each agent, which the policies for lonely samples and
    for constant groups rightly tell apart.
    """
    rng = np.random.default_rng([structure, 1])
    rows = [
        (prompt, rollout, agent, turn)
        for prompt in range(rng.integers(1, 4))
        for rollout in range(rng.integers(2, 6))
        for turn in range(2 if rollout < 2 else rng.integers(1, 3))
        for agent in range(agents)
    ]
    return _team(rows, rng)


def uneven(structure: int, agents: int | None = None) -> Team:
    """Agents act 0 to 4 times in a rollout; some never do, and groups may have a single row."""
    rng = np.random.default_rng([structure, 2])
    agents = agents or int(rng.integers(1, 6))
    rows = [
        (prompt, rollout, agent, turn)
        for prompt in range(rng.integers(1, 4))
        for rollout in range(rng.integers(1, 7))
        for agent in range(agents)
        for turn in range(max(0, rng.integers(-2, 5)))
    ]
    return _team(rows or [(0, 0, 0, 0)], rng)


def _team(rows: list[tuple[int, ...]], rng: np.random.Generator) -> Team:
    prompt, rollout, agent, turn = np.array(rows).T
    roles, games = rng.integers(0, 2, agent.max() + 1), rng.integers(0, 2, prompt.max() + 1)
    columns = {"role": roles[agent], "context": games[prompt]}
    return Team({"prompt": prompt, "rollout": rollout, "agent": agent, "turn": turn, **columns})


def rewards(values: int, n: int, regimes: tuple[int, ...] | None = None) -> np.ndarray:
    """[n] rewards of one regime that the seed picks out of `regimes` (all, unless said)."""
    rng = np.random.default_rng([values, 3])
    return REGIMES[rng.choice(regimes or range(len(REGIMES)))](rng, n)


def with_gaps(values: int, x: np.ndarray, share: float) -> np.ndarray:
    """`x` [...] with about `share` of its entries missing (NaN)."""
    rng = np.random.default_rng([values, 4])
    return np.where(rng.random(x.shape) < share, np.nan, x)


def scheme(seed: int, **fixed: Any) -> Scheme:
    """A random point of the algebra, with some fields fixed; contradictory ones are drawn again."""
    rng = np.random.default_rng([seed, 5])
    by = ("prompt", "agent", "role", "turn", "context")
    while True:
        memory = rng.choice(["batch", "batch", "ema", "welford"])
        running = memory != "batch"
        drawn = {
            "memory": memory,
            "center_by": tuple(name for name in by if rng.random() < 0.35),
            "scale_by": tuple(name for name in by if rng.random() < 0.35),
            "transform": rng.choice(["identity", "identity", "rank"]),
            "rollout_reward": rng.choice(["mean", "mean", "last", "sum"]),
            "center": rng.choice(["mean", "leave_one_out", "none", *["running_mean"] * running]),
            "scale": rng.choice(["std", "std", "none", *["running_std"] * running]),
            "scale_of": rng.choice(["centered", "centered", "raw"]),
            "components": rng.choice(["sum_first", "normalize_first"]),
            "update": "before" if running and rng.random() < 0.5 else "after",
            "weighting": rng.choice(["step", "trajectory"]),
            "floor": rng.choice([0.0, 0.0, 0.1037]),
            "shrink": rng.choice([0.0, 0.0, 2.0]),
            "min_count": int(rng.choice([0, 0, 3])),
            "singleton": rng.choice(["zero", "raw"]),
            "constant": rng.choice(["zero", "unscaled"]),
            "missing": rng.choice(["leave_out", "as_zero"]),
            "whiten": "batch" if not running and rng.random() < 0.3 else "none",
        }
        if rng.random() < 0.5:
            drawn["scale_by"] = drawn["center_by"]
        try:
            return Scheme(**{k: _plain(v) for k, v in drawn.items()} | fixed)
        except SchemeError:
            continue


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def for_all_agents(given: Scheme) -> Scheme:
    """`given` with all agents together in its center and its scale."""
    assert given.scale_by is not None
    center_by = tuple(name for name in given.center_by if name != "agent")
    scale_by = tuple(name for name in given.scale_by if name != "agent")
    return _grouped(given, center_by, scale_by)


def by_agent(given: Scheme, which: str = "both") -> Scheme:
    """`given` decoupled by agent: in its center, its scale, or both."""
    center = ("agent",) if which in ("center", "both") else ()
    scale = ("agent",) if which in ("scale", "both") else ()
    assert given.scale_by is not None
    return _grouped(given, given.center_by + center, given.scale_by + scale)


def _grouped(given: Scheme, center_by: tuple[str, ...], scale_by: tuple[str, ...]) -> Scheme:
    same = set(center_by) == set(scale_by)  # then there is but one deviation to speak of
    scale_of = "centered" if same else given.scale_of
    pooled = {name for by in (center_by, scale_by) if not by for name in ("whiten",)}
    changed = {"center_by": center_by, "scale_by": scale_by, "scale_of": scale_of}
    return dataclasses.replace(given, **changed, **dict.fromkeys(pooled, "none"))
