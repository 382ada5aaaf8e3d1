"""AReaL: our advantages in its PPO actors, where AReaL normalizes rewards.

    FSDPPPOActor = with_credit(areal.engine.FSDPPPOActor, "agent_wise", module=__name__)
    areal.engine.FSDPPPOActor = FSDPPPOActor

AReaL's `NormConfig` cuts a batch into groups of equal size by position, and knows no agents. A
workflow names the agent of each row in the tensor `agent`, a number. Source: areal 1.0.4,
`areal/trainer/ppo/actor.py`, `areal/engine/fsdp_engine.py`, `areal/utils/data.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Unpack

import numpy as np

from counterpoint.arrays import Array
from counterpoint.credit import AnyScheme
from counterpoint.errors import HookError, LabelError, SettingError, StateError
from counterpoint.integrations.draws import names_by_number, with_turns
from counterpoint.integrations.recorder import on_host
from counterpoint.integrations.team_credit import CreditOptions, TeamCredit, credit_of, named_like

STATE = "counterpoint.json"
"""The file of our state in the folder of a checkpoint."""
LABELS = ("agent", "rollout", "role", "turn")
"""Tensors [n] of numbers that a workflow may put into its result, one value a row."""


def with_credit(
    base: Any,
    scheme: str | AnyScheme = "agent_wise",
    *,
    agents: Sequence[str] = (),
    roles: Sequence[str] = (),
    module: str = "",
    **options: Unpack[CreditOptions],
) -> Any:
    """Returns an actor class like `base`, with the same name, whose advantages are ours.

    Args:
        base: AReaL's `FSDPPPOActor`, `MegatronPPOActor` or `ArchonPPOActor`.
        scheme: a scheme or its name, see `counterpoint schemes`.
        agents: the names of the agents, by their number in the tensor `agent`.
        roles: the names of the roles, by their number in the tensor `role`.
        module: the module that holds the class, `__name__` there: AReaL's workers import it.
        options: arguments of `TeamCredit`: `record`, `components`, `check_every`, `warn`.

    Raises:
        SettingError: the class computes no advantages.
    """
    if not hasattr(base, "compute_advantages"):
        raise SettingError(
            f"got {getattr(base, '__name__', base)} without compute_advantages; wanted one of "
            "AReaL's PPO actors"
        )

    class Credited(CreditMixin, base):  # type: ignore[misc]  # the base is known at run time
        credit_scheme = scheme
        credit_names = tuple(agents), tuple(roles)
        credit_options = options

    Credited.__module__ = module or base.__module__
    return named_like(Credited, base)


class CreditMixin:
    """The base class that `with_credit` puts before an actor; it must be the first base class.

    AReaL shifts, scales and clips rewards; then ours are computed, over the rows of all data
    parallel processes; then AReaL places them at the last token and adds its KL penalty.
    """

    credit_scheme: str | AnyScheme = "agent_wise"
    credit_names: tuple[tuple[str, ...], tuple[str, ...]] = (), ()
    credit_options: ClassVar[CreditOptions] = {}

    def __init__(self, config: Any) -> None:
        super().__init__(config)  # type: ignore[call-arg]
        for name, wanted in (("reward_norm", None), ("adv_norm", None), ("discount", 1.0),
                             ("gae_lambda", 1.0)):  # fmt: skip
            if getattr(config, name) != wanted:
                raise SettingError(
                    f"got actor.{name}={getattr(config, name)}, which changes advantages; wanted "
                    f"{wanted}: our scheme is the normalization"
                )
        self.team_credit: TeamCredit | None = None

    def compute_advantages(self, data: list[dict[str, Any]], *args: Any, **kwargs: Any) -> Any:
        """Returns AReaL's batches with our advantages.

        Raises:
            LabelError: a row has no agent although the scheme needs it.
            RewardError: a reward is infinite.
            SettingError: the batch has values of a critic.
            HookError: this version of AReaL computes advantages elsewhere.
        """
        if any("values" in one for one in data):
            raise SettingError("got the values of a critic; wanted a training without one")
        actor: Any = self
        labels = batch_labels(data, *self.credit_names)
        given = [{k: v for k, v in one.items() if k not in LABELS} for one in data]
        calls: list[int] = []

        def normalized(scores: Any) -> Any:
            calls.append(len(scores))
            return scores.new_tensor(self._advantages(scores, labels))

        actor.actor.reward_norm = normalized
        try:
            result = super().compute_advantages(given, *args, **kwargs)  # type: ignore[misc]
        finally:
            actor.actor.reward_norm = None
        if calls != [len(labels["prompt"])]:
            raise HookError(
                f"got {calls} rows from AReaL's reward normalization; wanted one call with "
                f"{len(labels['prompt'])}: this version computes advantages elsewhere"
            )
        return result

    def save(self, meta: Any) -> None:
        """Saves a checkpoint with our state in it; the first process writes it."""
        super().save(meta)  # type: ignore[misc]
        if self.team_credit is not None and self._rank() == 0:
            self.team_credit.save(Path(meta.path) / STATE)

    def load(self, meta: Any) -> None:
        """Resumes from a checkpoint.

        Raises StateError if a checkpoint with an optimizer has no state of ours although the scheme
        has running statistics, or it belongs to another scheme.
        """
        super().load(meta)  # type: ignore[misc]
        file = Path(meta.path) / STATE
        if file.is_file():
            self._credit().load(file)
        elif meta.with_optim and self._credit().scheme.keeps_state:
            raise StateError(f"got a checkpoint without {file}, which running statistics need")

    def _credit(self) -> TeamCredit:
        """Returns the credit, made when the process knows its rank."""
        if self.team_credit is None:
            options = self.credit_options.copy()
            if self._rank():
                options.pop("record", None)
                options |= {"check_every": 0, "warn": lambda text: None}  # the first process warns
            self.team_credit = credit_of(self.credit_scheme, "AReaL", **options)
        return self.team_credit

    def _advantages(self, scores: Any, labels: Mapping[str, Sequence[Any]]) -> Array:
        """Returns advantages [n] of this process's rows, computed over those of all."""
        credit = self._credit()
        if credit.scheme.groups_by_agent and not {"agent", "role"} & set(labels):
            raise LabelError(
                "got rows without an agent; wanted a tensor 'agent' of numbers in the result of "
                "the workflow"
            )
        own = np.asarray(on_host(scores), dtype=np.float64)
        parts = self._gathered((own.tolist(), {n: list(c) for n, c in labels.items()}))
        rank, first = self._data_rank(), 0
        whole: dict[str, list[Any]] = {name: [] for name in labels}
        for i, (paid, columns) in enumerate(parts):
            first += len(paid) if i < rank else 0
            columns["prompt"] = [f"{i}/{prompt}" for prompt in columns["prompt"]]
            for name in whole:
                whole[name] += columns[name]
        rewards = [reward for paid, _ in parts for reward in paid]
        values = np.asarray(credit(rewards, with_turns(whole)))
        return values[first : first + len(own)]

    def _gathered(self, own: Any) -> list[Any]:
        """Returns the values of all data parallel processes, in the order of their ranks."""
        actor: Any = self
        if actor.data_parallel_world_size == 1:
            return [own]
        import torch.distributed as dist

        parts = [None] * actor.data_parallel_world_size
        dist.all_gather_object(parts, own, group=actor.data_parallel_group)
        return parts

    def _data_rank(self) -> int:
        actor: Any = self
        return 0 if actor.data_parallel_world_size == 1 else int(actor.data_parallel_rank)

    def _rank(self) -> int:
        import torch.distributed as dist

        return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def batch_labels(
    data: Sequence[Mapping[str, Any]], agents: Sequence[str] = (), roles: Sequence[str] = ()
) -> dict[str, list[Any]]:
    """Returns labels [N] of the rows of AReaL's batches; each batch is the group of a prompt.

    Args:
        data: batches with tensors [n, ...]; those in `LABELS` are labels.
        agents: the names of the agents, by their number.
        roles: the names of the roles, by their number.

    Raises:
        LabelError: only some batches have a label, or a number has no name.
    """
    sizes = [len(one["input_ids"]) for one in data]
    labels: dict[str, list[Any]] = {"prompt": [i for i, n in enumerate(sizes) for _ in range(n)]}
    for name in LABELS:
        has = sum(name in one for one in data)
        if 0 < has < len(data):
            raise LabelError(
                f"got {len(data) - has} of {len(data)} batches without '{name}'; wanted it in all"
            )
        if has:
            column = [int(v) for one in data for v in np.asarray(on_host(one[name])).reshape(-1)]
            if len(column) != sum(sizes):
                raise LabelError(
                    f"got {len(column)} values of '{name}' for {sum(sizes)} rows; wanted one each"
                )
            labels[name] = column
    for name, given in (("agent", agents), ("role", roles)):
        if name in labels:
            labels[name] = names_by_number(labels[name], given, name)
    return labels
