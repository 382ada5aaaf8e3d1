"""`WorldTask`: a sequential environment as a BenchMARL task. Needs BenchMARL."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from benchmarl.environments.common import TaskClass
from tensordict import TensorDictBase
from torchrl.data import Composite

from counterpoint.errors import SettingError
from counterpoint.integrations.torchrl_world import WorldEnv, world_env
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world
from counterpoint.worlds.sequential.world import endless


class WorldTask(TaskClass):  # type: ignore[misc]
    """A task that needs no enumeration and no yaml. Make it with `world_task`.

    Raises:
        UnknownNameError, SettingError, MissingPackageError, WorldError: as `world_task`.
    """

    def __init__(self, name: str, config: dict[str, Any]) -> None:
        super().__init__(name, config)
        world = find_world(name, Kind.SEQUENTIAL).make(config)
        self.continuous, self.horizon = world.actions[0].continuous, world.horizon
        world.close()
        if self.horizon is None:
            raise SettingError(f"got world '{name}', whose episodes need not end: {endless(world)}")

    def get_env_fun(
        self, num_envs: int, continuous_actions: bool, seed: int | None, device: Any
    ) -> Callable[[], WorldEnv]:
        """A function that makes an environment of `num_envs` copies."""
        name, settings = self.name, deepcopy(self.config)
        return lambda: world_env(name, settings, num_envs, seed or 0, device)

    def supports_continuous_actions(self) -> bool:
        """Whether actions are numbers within bounds."""
        return self.continuous

    def supports_discrete_actions(self) -> bool:
        """Whether actions are choices."""
        return not self.continuous

    def max_steps(self, env: Any) -> int:
        """Most steps of an episode."""
        return int(self.horizon or 0)

    def has_render(self, env: Any) -> bool:
        """Never."""
        return False

    def group_map(self, env: Any) -> dict[str, list[str]]:
        """Role to the names of its agents; `agents` where there is one role."""
        found: dict[str, list[str]] = env.group_map
        return found

    def observation_spec(self, env: Any) -> Composite:
        """What agents see, without a batch axis."""
        return self._only(env, "observation")

    def info_spec(self, env: Any) -> Composite:
        """Rewards in the world's own unit."""
        return self._only(env, "info")

    def state_spec(self, env: Any) -> Composite:
        """What a centralized critic sees."""
        return Composite({"state": env.full_observation_spec_unbatched["state"].clone()})

    def action_spec(self, env: Any) -> Composite:
        """What agents can do."""
        return env.full_action_spec_unbatched

    def action_mask_spec(self, env: Any) -> Composite | None:
        """Which actions are legal; None where that never changes."""
        return self._only(env, "action_mask")

    def _only(self, env: Any, key: str) -> Any:
        """The groups with this key alone; None where none has it."""
        every, kept = env.full_observation_spec_unbatched, Composite()
        for group, agents in env.group_map.items():
            if key in every[group].keys():  # noqa: SIM118  (not a dict)
                told = {key: every[group, key].clone()}
                kept[group] = Composite(told, shape=(len(agents),))
        return None if kept.is_empty() else kept

    @staticmethod
    def env_name() -> str:
        """What results are filed under."""
        return "counterpoint"

    @staticmethod
    def log_info(batch: TensorDictBase) -> dict[str, float]:
        """The mean return of the episodes that ended, in the world's own unit, over all agents.

        It is an estimate where episodes are cut by the end of a batch: rewards per ended episode.
        """
        ended = int(batch["next", "done"].sum())
        keys = [key for key in batch["next"].keys(True, True) if key[-1] == "own_reward"]
        total = sum(float(batch["next"][key].sum()) for key in keys)
        return {"counterpoint/team_return": total / ended} if ended else {}
