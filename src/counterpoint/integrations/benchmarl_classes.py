"""Classes that need BenchMARL when they are imported; `benchmarl.py` loads them.

`CreditCallback`, `IppoCredit` and `MappoCredit` put our advantages into an experiment. `WorldTask`
is a sequential environment as a task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from benchmarl.algorithms import Ippo, IppoConfig, Mappo, MappoConfig
from benchmarl.algorithms.common import AlgorithmConfig
from benchmarl.environments.common import TaskClass
from benchmarl.experiment import Callback
from tensordict import TensorDictBase
from torchrl.data import Composite

from counterpoint.credit import AnyScheme
from counterpoint.errors import SettingError
from counterpoint.integrations.guards import refuse_second_normalization
from counterpoint.integrations.team_credit import SavedCredit
from counterpoint.integrations.torchrl_classes import (
    NormalizeAdvantage,
    NormalizeOnExtend,
    WorldEnv,
)
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world
from counterpoint.worlds.sequential.actions import most_choices, most_numbers
from counterpoint.worlds.sequential.world import endless

KEPT = "counterpoint"
"""The key in a checkpoint; its value is group to saved `TeamCredit`."""


class CreditCallback(Callback):  # type: ignore[misc]
    """Appends a `NormalizeOnExtend` to each group's buffer. `credit_callback` makes it.

    It holds plain values until the experiment is set up, since BenchMARL pickles it before that.
    """

    def __init__(
        self,
        scheme: str | AnyScheme,
        record: str | Path | None = None,
        check_every: int = 50,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        self.scheme, self.check_every, self.warn = scheme, check_every, warn
        self.record = None if record is None else Path(record)
        self.modules: dict[str, NormalizeAdvantage] = {}
        """The module of each group; empty until the experiment is set up."""
        NormalizeAdvantage(scheme, check_every=check_every)  # a wrong setting is refused now

    def on_setup(self) -> None:
        """Adds a module to the buffer of each group.

        Raises SettingError if the algorithm is off-policy or its loss normalizes too, and
        OutputError as `TeamCredit`.
        """
        if not self.experiment.on_policy:
            name = self.experiment.algorithm_name
            raise SettingError(f"got the off-policy algorithm {name}; wanted ippo or mappo")
        self.modules, groups = {}, self.experiment.group_map
        for group, agents in groups.items():
            refuse_second_normalization(self.experiment.losses[group])
            record = self.record
            if record is not None and len(groups) > 1:
                record = record.with_name(f"{record.stem}-{group}{record.suffix or '.jsonl'}")
            self.modules[group] = NormalizeAdvantage(
                self.scheme,
                (group, "advantage"),
                names=agents,
                record=record,
                check_every=self.check_every,
                warn=self.warn,
            )
            self.modules[group].credit.trainer = "BenchMARL"
            transform = NormalizeOnExtend(self.modules[group])
            self.experiment.replay_buffers[group].append_transform(transform)
            self.modules[group].watch(*self.experiment.optimizers[group].values())

    def on_train_end(self, training_td: TensorDictBase, group: str) -> None:
        """Writes the metrics of the iteration to the experiment's logger."""
        metrics = {
            name.replace("counterpoint/", f"counterpoint/{group}/", 1): value
            for name, value in self.modules[group].credit.metrics.items()
        }
        self.experiment.logger.log(metrics, step=self.experiment.n_iters_performed)

    def on_state_dict(self, state_dict: dict[str, dict[str, SavedCredit]]) -> None:
        """Adds running statistics to a checkpoint."""
        state_dict[KEPT] = {
            group: module.credit.state_dict() for group, module in self.modules.items()
        }

    def on_load_state_dict(self, state_dict: Mapping[str, dict[str, SavedCredit]]) -> None:
        """Restores running statistics, if the checkpoint has some; raises StateError as `load`."""
        for group, saved in (state_dict.get(KEPT) or {}).items():
            if group in self.modules:
                self.modules[group].credit.load_state_dict(saved)


class CreditIppo(Ippo):  # type: ignore[misc]
    """BenchMARL's IPPO; a class of its own, so that results of both have different names."""


class CreditMappo(Mappo):  # type: ignore[misc]
    """BenchMARL's MAPPO; a class of its own, so that results of both have different names."""


@dataclass
class _Credited(AlgorithmConfig):  # type: ignore[misc]
    """The fields that both configurations add to those of BenchMARL."""

    scheme: str = "mappo_per_agent"
    """Name of the scheme."""
    record: str | None = None
    """File for raw advantages."""
    check_every: int = 50
    """Iterations between two diagnoses."""

    stock: ClassVar[type[AlgorithmConfig]]
    """BenchMARL's own configuration."""
    algorithm: ClassVar[type[Ippo] | type[Mappo]]
    """The class of the algorithm."""

    @classmethod
    def associated_class(cls) -> Any:
        """Returns the class of the algorithm."""
        return cls.algorithm

    @classmethod
    def get_from_yaml(cls, path: str | None = None) -> Any:
        """Returns BenchMARL's defaults, or the values of a file."""
        return super().get_from_yaml(path) if path else cls(**vars(cls.stock.get_from_yaml()))

    def get_algorithm(self, experiment: Any) -> Any:
        """Returns the algorithm, and adds the callback to the experiment unless it has one."""
        stock_fields = dict(vars(self))
        own = [stock_fields.pop(field.name) for field in fields(_Credited)]
        if not any(isinstance(one, CreditCallback) for one in experiment.callbacks):
            callback = CreditCallback(*own)
            callback.experiment = experiment
            experiment.callbacks = [*experiment.callbacks, callback]
        return self.associated_class()(**stock_fields, experiment=experiment)


@dataclass
class IppoCredit(_Credited, IppoConfig):  # type: ignore[misc]
    """IPPO with our advantages: `IppoCredit.get_from_yaml()`, then set `scheme`.

    It has the fields of `IppoConfig`, and the plain ones of `credit_callback`.
    """

    stock, algorithm = IppoConfig, CreditIppo


@dataclass
class MappoCredit(_Credited, MappoConfig):  # type: ignore[misc]
    """MAPPO with our advantages: `MappoCredit.get_from_yaml()`, then set `scheme`.

    It has the fields of `MappoConfig`, and the plain ones of `credit_callback`.
    """

    stock, algorithm = MappoConfig, CreditMappo


class WorldTask(TaskClass):  # type: ignore[misc]
    """A task that needs no enumeration and no yaml file; `world_task` makes it, with its errors."""

    def __init__(self, name: str, config: dict[str, object]) -> None:
        super().__init__(name, config)
        world = find_world(name, Kind.SEQUENTIAL).make(config)
        self.continuous, self.horizon = most_numbers(world.actions) > 0, world.horizon
        world.close()
        if self.continuous and most_choices(world.actions):
            raise SettingError(
                f"got world '{name}', where some agents choose and others give numbers; wanted all "
                "discrete or all continuous, as BenchMARL's algorithms do: train it here with PPO"
            )
        if self.horizon is None:
            raise SettingError(f"got world '{name}', whose episodes need not end: {endless(world)}")

    def get_env_fun(
        self, num_envs: int, continuous_actions: bool, seed: int | None, device: Any
    ) -> Callable[[], WorldEnv]:
        """Returns a function that makes an environment of `num_envs` copies."""
        name, settings = self.name, deepcopy(self.config)
        return lambda: WorldEnv(
            find_world(name, Kind.SEQUENTIAL).make(settings, num_envs, seed or 0), device
        )

    def supports_continuous_actions(self) -> bool:
        """Returns whether actions are numbers within bounds."""
        return self.continuous

    def supports_discrete_actions(self) -> bool:
        """Returns whether actions are choices."""
        return not self.continuous

    def max_steps(self, env: Any) -> int:
        """Returns the largest number of steps of an episode."""
        return int(self.horizon or 0)

    def has_render(self, env: Any) -> bool:
        """Returns false: there is no picture."""
        return False

    def group_map(self, env: Any) -> dict[str, list[str]]:
        """Returns role to the names of its agents; with one role its name is `agents`."""
        groups: dict[str, list[str]] = env.group_map
        return groups

    def observation_spec(self, env: Any) -> Composite:
        """Returns the spec of observations, without a batch axis."""
        return self._only(env, "observation")

    def info_spec(self, env: Any) -> Composite:
        """Returns the spec of rewards in the environment's own unit."""
        return self._only(env, "info")

    def state_spec(self, env: Any) -> Composite:
        """Returns the spec of the state for a centralized critic."""
        return Composite({"state": env.full_observation_spec_unbatched["state"].clone()})

    def action_spec(self, env: Any) -> Composite:
        """Returns the spec of actions."""
        return env.full_action_spec_unbatched

    def action_mask_spec(self, env: Any) -> Composite | None:
        """Returns the spec of legal actions, or None if all are always legal."""
        return self._only(env, "action_mask")

    def _only(self, env: Any, key: str) -> Any:
        """Returns the spec of one key of every group that has it, or None."""
        every, kept = env.full_observation_spec_unbatched, Composite()
        for group, agents in env.group_map.items():
            if key in every[group].keys():  # noqa: SIM118  (not a dict)
                kept[group] = Composite({key: every[group, key].clone()}, shape=(len(agents),))
        return None if kept.is_empty() else kept

    @staticmethod
    def env_name() -> str:
        """Returns the name of the environment in results."""
        return "counterpoint"

    @staticmethod
    def log_info(batch: TensorDictBase) -> dict[str, float]:
        """Returns the mean team return of the episodes that ended, in the environment's own unit.

        It is an estimate if the end of a batch cuts episodes: rewards divided by ended episodes.
        """
        ended = int(batch["next", "done"].sum())
        keys = [key for key in batch["next"].keys(True, True) if key[-1] == "own_reward"]
        total = sum(float(batch["next"][key].sum()) for key in keys)
        return {"counterpoint/team_return": total / ended} if ended else {}
