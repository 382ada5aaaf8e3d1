"""`Tag`: three pursuers against a prey that does not learn, as EPyMARL plays predator and prey.

The prey is the one that EPyMARL's benchmark trained beforehand: `prey_params.pt` of its repository,
github.com/uoe-agents/epymarl, src/envs/pretrained. No file of theirs is in this project.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mpe2 import simple_tag_v3
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

PREY = "agent_0"
EPSILON = 1e-5
"""What batch normalization adds to variances."""
MIRRORED = (0, 2, 1, 4, 3)
"""Action of mpe2 for each of the prey's: where the prey learned, 1 and 3 pushed to the right and
up. Without this it runs into its pursuers: random ones touch it 9 times as often as one that stands
still."""


class Prey:
    """A prey whose network was trained in the older particle environments; it takes the action of
    the largest output.

    Args:
        path: a file of torch with the weights of each agent of predator and prey, the prey last:
            batch normalization of 14 inputs, two hidden layers and five outputs.
    """

    def __init__(self, path: str) -> None:
        saved = torch.load(Path(path), weights_only=True, map_location="cpu")
        policy = saved["agent_params"][-1]["policy"]
        self.weights = {name: value.double().numpy() for name, value in policy.items()}

    def __call__(self, seen: NDArray[Any]) -> int:
        """Returns the action after an observation [14]."""
        w = self.weights
        spread = np.sqrt(w["in_fn.running_var"] + EPSILON)
        out = (seen - w["in_fn.running_mean"]) / spread * w["in_fn.weight"] + w["in_fn.bias"]
        for layer in ("fc1", "fc2"):
            out = np.maximum(w[f"{layer}.weight"] @ out + w[f"{layer}.bias"], 0.0)
        return MIRRORED[int((w["fc3.weight"] @ out + w["fc3.bias"]).argmax())]


class Tag(ParallelEnv[str, NDArray[Any], int]):
    """mpe2's `simple_tag_v3` for its three pursuers alone.

    Args:
        prey: path of the prey's weights, `still` for one that never accelerates, or `random`.
    """

    def __init__(self, prey: str = "still") -> None:
        self.inner = simple_tag_v3.parallel_env(max_cycles=25)
        self.possible_agents = [a for a in self.inner.possible_agents if a != PREY]
        self.agents = list(self.possible_agents)
        self.metadata = {"name": "tag_with_prey"}
        self.rng = np.random.default_rng()
        self.prey = {
            "still": lambda _: 0,
            "random": lambda _: int(self.rng.integers(5)),
        }.get(prey) or Prey(prey)
        self.seen: NDArray[Any] = np.zeros(14)

    def observation_space(self, agent: str) -> Any:
        return self.inner.observation_space(agent)

    def action_space(self, agent: str) -> Any:
        return self.inner.action_space(agent)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        seen, info = self.inner.reset(seed=seed, options=options)
        self.agents = list(self.possible_agents)
        return self._of_pursuers(seen), self._without_prey(info)

    def step(self, actions: dict[str, int]) -> Any:
        seen, *rest = self.inner.step({**actions, PREY: self.prey(self.seen)})
        seen, rest = self._of_pursuers(seen), [self._without_prey(part) for part in rest]
        self.agents = [a for a in self.inner.agents if a != PREY]
        return seen, *rest

    def _of_pursuers(self, seen: dict[str, Any]) -> dict[str, Any]:
        self.seen = seen.get(PREY, self.seen)
        return self._without_prey(seen)

    def _without_prey(self, part: dict[str, Any]) -> dict[str, Any]:
        return {agent: value for agent, value in part.items() if agent != PREY}

    def close(self) -> None:
        self.inner.close()
