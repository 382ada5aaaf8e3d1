"""`to_parallel_env`: our sequential environments as PettingZoo environments.

The way back is in the folder `foreign`. This file alone imports pettingzoo and gymnasium.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.errors import SettingError
from counterpoint.optional import needs, pip_line
from counterpoint.worlds.sequential.actions import Actions, most_numbers
from counterpoint.worlds.sequential.world import Singles, StepWorld, View

Masks = NDArray[np.int8]

if TYPE_CHECKING:
    from pettingzoo import ParallelEnv


def to_parallel_env(world: StepWorld) -> ParallelEnv[str, Any, Any]:
    """Returns a PettingZoo `ParallelEnv` that plays `world`, bit for bit.

    Rewards are `Step.reward`, as `settings.reward` says. Masks of legal actions are in the infos of
    agents that choose, as `action_mask`. Each agent has a space of its own, so that some may choose
    (Discrete) while others give numbers (Box). The environment owns the world from then on.

    Raises:
        MissingPackageError: pettingzoo is not installed.
        SettingError: more than one copy, or a world in which not all agents act in each step.
    """
    with needs("a world for PettingZoo", pip_line("worlds")):
        from gymnasium import spaces
        from pettingzoo import ParallelEnv
    if world.copies != 1:
        raise SettingError(f"got a world with {world.copies} copies; wanted copies=1")

    def choice(can: Actions) -> Any:
        if not can.continuous:
            return spaces.Discrete(can.size)
        low, high = (np.array(bound, dtype=np.float32) for bound in (can.low, can.high))
        return spaces.Box(low, high)

    class Played(ParallelEnv[str, Any, Any]):  # type: ignore[misc]  # untyped base
        metadata = {"name": world.name, "render_modes": [], "is_parallelizable": True}  # noqa: RUF012
        render_mode = None

        def __init__(self) -> None:
            self.possible_agents = list(world.agents)
            self.agents: list[str] = []
            self.observation_spaces = {
                name: spaces.Box(-np.inf, np.inf, (size,), np.float32)
                for name, size in zip(world.agents, world.seen_sizes, strict=True)
            }
            self.action_spaces = {
                name: choice(can) for name, can in zip(world.agents, world.actions, strict=True)
            }
            self.state_space = spaces.Box(-np.inf, np.inf, (world.state_size,), np.float32)

        def observation_space(self, agent: str) -> Any:
            return self.observation_spaces[agent]

        def action_space(self, agent: str) -> Any:
            return self.action_spaces[agent]

        def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
            self.agents = list(world.agents)
            return self._show(world.reset(seed))

        def step(self, actions: Any) -> tuple[Any, Any, Any, Any, Any]:
            if not self.agents:
                raise SettingError("got a step after the end of the episode; wanted a reset first")
            step = world.step(_stacked([actions[name] for name in self.agents], world))
            seen, infos = self._show(step.last)
            ended = bool(step.ended[0])
            over = {name: bool(o) for name, o in zip(self.agents, step.terminated[0], strict=True)}
            cut = {name: ended and not o for name, o in over.items()}
            rewards = dict(zip(self.agents, step.reward[0].tolist(), strict=True))
            if ended:
                self.agents = []
            return seen, rewards, over, cut, infos

        def state(self) -> Any:
            return self._state

        def close(self) -> None:
            world.close()

        def _show(self, view: View) -> tuple[dict[str, Singles], dict[str, dict[str, Masks]]]:
            if not (view.active.all() or not view.active.any()):
                raise SettingError(
                    f"got '{world.name}', where agents take turns or leave early; "
                    "wanted a world in which all act in each step"
                )
            self._state = view.state[0]
            seen: dict[str, Singles] = {}
            infos: dict[str, dict[str, Masks]] = {}
            for k, (name, size) in enumerate(zip(world.agents, world.seen_sizes, strict=True)):
                seen[name], infos[name] = view.seen[0, k, :size], {}
                if view.legal is not None and not world.actions[k].continuous:
                    mask = view.legal[0, k, : world.actions[k].size]
                    infos[name] = {"action_mask": mask.astype(np.int8)}
            return seen, infos

    return Played()


def _stacked(actions: list[Any], world: StepWorld) -> Any:
    """Returns the actions of all agents, [1, A] or [1, A, U]."""
    size = most_numbers(world.actions)
    if not size:
        return np.array([actions], dtype=np.int64)
    given = np.zeros((1, len(actions), size))
    for k, (can, action) in enumerate(zip(world.actions, actions, strict=True)):
        given[0, k, : can.size if can.continuous else 1] = action
    return given
