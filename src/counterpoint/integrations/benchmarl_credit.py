"""`CreditCallback`, `IppoCredit`, `MappoCredit`: what `benchmarl.py` hands out. Needs BenchMARL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from benchmarl.algorithms import Ippo, IppoConfig, Mappo, MappoConfig
from benchmarl.algorithms.common import AlgorithmConfig
from benchmarl.experiment import Callback
from tensordict import TensorDictBase

from counterpoint.credit import AnyScheme
from counterpoint.errors import SettingError
from counterpoint.integrations.torchrl_modules import NormalizeAdvantage, NormalizeOnExtend

KEPT = "counterpoint"
"""The key in a checkpoint: group to what `TeamCredit.state_dict` gave."""


class CreditCallback(Callback):  # type: ignore[misc]
    """Appends a `NormalizeOnExtend` to each group's buffer. Make it with `credit_callback`.

    It holds plain values until the experiment is set up, since BenchMARL pickles it before.
    """

    def __init__(
        self,
        scheme: str | AnyScheme,
        record: str | Path | None = None,
        check_every: int = 50,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        NormalizeAdvantage(scheme, check_every=check_every)  # what is wrong is told now
        self.scheme, self.check_every, self.warn = scheme, check_every, warn
        self.record = None if record is None else Path(record)
        self.modules: dict[str, NormalizeAdvantage] = {}
        """What works for each group; empty until the experiment is set up."""

    def on_setup(self) -> None:
        """Find the groups and their buffers.

        Raises:
            SettingError: the algorithm is off-policy.
            OutputError: the log cannot be written.
        """
        if not self.experiment.on_policy:
            name = self.experiment.algorithm_name
            raise SettingError(f"got the off-policy algorithm {name}; wanted ippo or mappo")
        self.modules = {
            group: NormalizeAdvantage(
                self.scheme,
                (group, "advantage"),
                names=agents,
                record=self._record_of(group),
                check_every=self.check_every,
                warn=self.warn,
            )
            for group, agents in self.experiment.group_map.items()
        }
        for group, module in self.modules.items():
            self.experiment.replay_buffers[group].append_transform(NormalizeOnExtend(module))

    def on_train_end(self, training_td: TensorDictBase, group: str) -> None:
        """Say in the experiment's logger what the iteration was like."""
        told = {
            name.replace("counterpoint/", f"counterpoint/{group}/", 1): value
            for name, value in self.modules[group].credit.metrics.items()
        }
        self.experiment.logger.log(told, step=self.experiment.n_iters_performed)

    def on_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Put running statistics into a checkpoint."""
        state_dict[KEPT] = {
            group: module.credit.state_dict() for group, module in self.modules.items()
        }

    def on_load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take them out again; a checkpoint of a run without us begins them anew.

        Raises:
            StateError: those of another scheme, or damaged ones.
        """
        for group, told in (state_dict.get(KEPT) or {}).items():
            if group in self.modules:
                self.modules[group].credit.load_state_dict(told)

    def _record_of(self, group: str) -> Path | None:
        if self.record is None or len(self.experiment.group_map) == 1:
            return self.record
        return self.record.with_name(f"{self.record.stem}-{group}{self.record.suffix or '.jsonl'}")


class CreditIppo(Ippo):  # type: ignore[misc]
    """BenchMARL's IPPO; a class of its own, so that results of both have different names."""


class CreditMappo(Mappo):  # type: ignore[misc]
    """BenchMARL's MAPPO; a class of its own, so that results of both have different names."""


@dataclass
class _Credited(AlgorithmConfig):  # type: ignore[misc]
    """What both configurations add to those of BenchMARL."""

    scheme: str = "happo_per_agent"
    """Name of the scheme."""
    record: str | None = None
    """File for raw advantages."""
    check_every: int = 50
    """Iterations between looks for trouble."""

    stock: ClassVar[type[AlgorithmConfig]]
    """BenchMARL's own configuration."""

    @classmethod
    def get_from_yaml(cls, path: str | None = None) -> Any:
        """BenchMARL's defaults, or a file's values."""
        return super().get_from_yaml(path) if path else cls(**vars(cls.stock.get_from_yaml()))

    def get_algorithm(self, experiment: Any) -> Any:
        """The algorithm; the experiment gets the callback, unless it has one."""
        told = dict(vars(self))
        own = [told.pop(field.name) for field in fields(_Credited)]
        if not any(isinstance(one, CreditCallback) for one in experiment.callbacks):
            callback = CreditCallback(*own)
            callback.experiment = experiment
            experiment.callbacks = [*experiment.callbacks, callback]
        return self.associated_class()(**told, experiment=experiment)


@dataclass
class IppoCredit(_Credited, IppoConfig):  # type: ignore[misc]
    """IPPO with our advantages: `IppoCredit.get_from_yaml()`, then set `scheme`.

    It has the fields of `IppoConfig`, and the plain ones of `credit_callback`.
    """

    stock = IppoConfig

    @staticmethod
    def associated_class() -> type[CreditIppo]:
        """The algorithm's class."""
        return CreditIppo


@dataclass
class MappoCredit(_Credited, MappoConfig):  # type: ignore[misc]
    """MAPPO with our advantages: `MappoCredit.get_from_yaml()`, then set `scheme`.

    It has the fields of `MappoConfig`, and the plain ones of `credit_callback`.
    """

    stock = MappoConfig

    @staticmethod
    def associated_class() -> type[CreditMappo]:
        """The algorithm's class."""
        return CreditMappo
