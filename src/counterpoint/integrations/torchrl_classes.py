"""Classes that need TorchRL when they are imported: `counterpoint.integrations.torchrl` loads them.

`NormalizeAdvantage` is a module that runs after a value estimator. `NormalizeOnExtend` is a
transform that runs it on the whole batch when a replay buffer is extended, before minibatches are
drawn. `WorldEnv` is a sequential environment for TorchRL; axis letters are those of
`worlds/sequential/world.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from tensordict import NestedKey, TensorDict, TensorDictBase
from tensordict.nn import TensorDictModuleBase
from torchrl.data import Binary, Bounded, Categorical, Composite, Unbounded
from torchrl.envs import EnvBase
from torchrl.envs.transforms import Transform

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.errors import SettingError, WorldError
from counterpoint.integrations.guards import refuse_second_normalization
from counterpoint.integrations.hook_check import HookCheck
from counterpoint.integrations.team_credit import (
    CreditOptions,
    SavedCredit,
    SchemeSource,
    TeamCredit,
    credit_of,
)
from counterpoint.integrations.torchrl import AgentAdvantages
from counterpoint.worlds.sequential.actions import most_numbers
from counterpoint.worlds.sequential.world import StepWorld, View

ENDS = ("done", "terminated", "truncated")


class NormalizeAdvantage(TensorDictModuleBase):  # type: ignore[misc]
    """Replaces an advantage [..., A, 1] by the advantage of a scheme.

    It computes on the batch that it is given: give it the whole batch, not minibatches. In `eval()`
    mode it changes no running statistics. Its `state_dict` has plain values, so that `torch.load`
    reads it with `weights_only=True`.

    Args:
        scheme: a `TeamCredit`, a `Scheme`, or the name of one.
        key: the key of the advantage.
        mask: the key of booleans [..., A], true where an agent was present; by default `mask` in
            the group of the advantage. If the batch has no such key, no agent was absent.
        names: [A] names of the agents; without names they are 0, 1, ...
        options: other arguments of `TeamCredit`: `record`, `check_every`, `warn`.

    Raises:
        SchemeError: the scheme counts a rollout once.
        UnknownNameError, SettingError, OutputError: as `TeamCredit`.
    """

    def __init__(
        self,
        scheme: SchemeSource = "mappo_per_agent",
        key: NestedKey = ("agents", "advantage"),
        *,
        mask: NestedKey | None = None,
        names: Sequence[str] = (),
        **options: Unpack[CreditOptions],
    ) -> None:
        super().__init__()
        if isinstance(scheme, TeamCredit) and options:
            raise SettingError(f"got {', '.join(options)} beside a TeamCredit; give them to that")
        credit = credit_of(scheme, "TorchRL", **options)
        self.in_keys = self.out_keys = [key]
        self.key = key
        self.mask = mask or ("mask" if isinstance(key, str) else (*key[:-1], "mask"))
        self.rows = AgentAdvantages(credit, names)

    @classmethod
    def for_loss(
        cls, loss: Any, scheme: SchemeSource = "mappo_per_agent", **options: Unpack[CreditOptions]
    ) -> NormalizeAdvantage:
        """Returns the module for the advantage key of a loss.

        Raises SettingError if the loss normalizes too, as `MAPPOLoss` and `IPPOLoss` do by default.
        """
        refuse_second_normalization(loss)
        return cls(scheme, loss.tensor_keys.advantage, **options)

    def watch(self, *optimizers: torch.optim.Optimizer) -> NormalizeAdvantage:
        """Makes the first step of the optimizers an error if no batch was normalized before it.

        Returns the module. The step then raises HookError.
        """
        check = HookCheck(
            self.credit,
            "NormalizeAdvantage",
            "call it on the batch after the value estimator, or append NormalizeOnExtend to the "
            "buffer that minibatches come from",
        )
        for optimizer in optimizers:
            check.watch(optimizer)
        return self

    @property
    def credit(self) -> TeamCredit:
        """Returns the `TeamCredit` with its `metrics`, `tally` and `updates`."""
        return self.rows.credit

    def forward(self, tensordict: TensorDictBase) -> TensorDictBase:
        """Normalizes in place; raises KeyError without an advantage, else as `AgentAdvantages`."""
        return self.normalize(tensordict, learning=self.training)

    def normalize(self, tensordict: TensorDictBase, *, learning: bool = True) -> TensorDictBase:
        """Normalizes in place, in every mode; raises the errors of `forward`."""
        given, present = tensordict.get(self.key), tensordict.get(self.mask, None)
        if given is None:  # newer versions of tensordict give None for a key that is not there
            raise KeyError(f"got a batch without {self.key}; run the value estimator first")
        tensordict.set(self.key, self.rows(given, present, learning=learning))
        return tensordict

    def get_extra_state(self) -> SavedCredit:
        """Returns running statistics as plain values."""
        return self.credit.state_dict()

    def set_extra_state(self, state: SavedCredit) -> None:
        """Restores running statistics; raises StateError as `TeamCredit.load_state_dict`."""
        self.credit.load_state_dict(state)


class NormalizeOnExtend(Transform):  # type: ignore[misc]
    """Normalizes batches that enter a buffer, for `buffer.append_transform`.

    The module is not a child of the buffer, so the buffer's checkpoints do not hold its state: save
    `module.state_dict()` yourself. A buffer puts its transforms into `eval()` mode, but this
    transform still updates running statistics.

    Args:
        module: the module that normalizes.
    """

    def __init__(self, module: NormalizeAdvantage) -> None:
        super().__init__()
        self._normalize = module.normalize

    def forward(self, tensordict: TensorDictBase) -> TensorDictBase:
        """Returns a minibatch unchanged."""
        return tensordict

    def _inv_call(self, tensordict: TensorDictBase) -> TensorDictBase:
        return self._normalize(tensordict)


class WorldEnv(EnvBase):  # type: ignore[misc]
    """E copies of a sequential environment, side by side: batch size [E].

    Keys of a group: `observation` [E, A, D], `action` [E, A] or [E, A, U], `mask` [E, A] (whether
    the agent decides now), `reward` [E, A, 1] as the world's settings say, `own_reward` [E, A, 1]
    in the world's own unit under `info`, `action_mask` [E, A, M] where legality changes, and
    `done`, `terminated`, `truncated` [E, A, 1]. At the root: `state` [E, Z] and the episode's
    `done`, `terminated`, `truncated` [E, 1]. An episode that ran out of time is truncated, so that
    a value estimator bootstraps from the last observation.

    A copy restarts by itself when its episode ends, and cannot be reset before.

    Args:
        world: the sequential environment; nobody else may use it from then on.
        device: the device of the tensors.

    Raises:
        WorldError: agents of one role have different actions.
    """

    batch_locked = True

    def __init__(self, world: StepWorld, device: Any = "cpu") -> None:
        super().__init__(device=device, batch_size=torch.Size([world.copies]))
        self.world = world
        self.group_map: dict[str, list[str]] = {}
        several = len(set(world.roles)) > 1
        for agent, role in zip(world.agents, world.roles, strict=True):
            self.group_map.setdefault(role if several else "agents", []).append(agent)
        self._at = {
            group: np.array([world.agents.index(name) for name in names])
            for group, names in self.group_map.items()
        }
        for group, at in self._at.items():
            if len({world.actions[k] for k in at}) > 1:
                raise WorldError(f"got agents of role '{group}' that can do different things")
        self._begin(world.reset())
        self._make_specs()

    def _begin(self, view: View) -> None:
        """Starts all copies: no step was played, and no episode has ended."""
        self._view, self._new = view, True
        self._ended = np.zeros(self.world.copies, dtype=bool)

    def _make_specs(self) -> None:
        e, world = self.world.copies, self.world
        observation, action, reward, done = (Composite(shape=(e,)) for _ in range(4))
        for group, at in self._at.items():
            a, can = len(at), world.actions[at[0]]
            shown = {
                "observation": Unbounded(shape=(e, a, self._width(at)), dtype=torch.float32),
                "mask": _flag(e, a),
                "info": Composite({"own_reward": Unbounded(shape=(e, a, 1))}, shape=(e, a)),
            }
            if self._view.legal is not None and not can.continuous:
                shown["action_mask"] = Binary(can.size, shape=(e, a, can.size), dtype=torch.bool)
            observation[group] = Composite(shown, shape=(e, a))
            action[group] = Composite({"action": _action_spec(e, a, can)}, shape=(e, a))
            reward[group] = Composite({"reward": Unbounded(shape=(e, a, 1))}, shape=(e, a))
            done[group] = Composite({key: _flag(e, a, 1) for key in ENDS}, shape=(e, a))
        observation["state"] = Unbounded(shape=(e, world.state_size), dtype=torch.float32)
        for key in ENDS:
            done[key] = _flag(e, 1)
        self.observation_spec = observation.to(self.device)
        self.action_spec = action.to(self.device)
        self.reward_spec, self.done_spec = reward.to(self.device), done.to(self.device)

    def _reset(self, tensordict: TensorDictBase | None = None, **options: Any) -> TensorDictBase:
        """Returns the first observation of the copies that restarted; all do without a mask."""
        which = None if tensordict is None else tensordict.get("_reset", None)
        if which is None or self._new:  # a partial reset of copies that never played is a whole one
            self._begin(self.world.reset())
        else:
            to_reset = which.reshape(self.world.copies, -1).any(dim=-1).cpu().numpy()
            if (to_reset & ~self._ended).any():
                raise WorldError("got a copy to reset whose episode goes on; wanted ended ones")
            self._ended = self._ended & ~to_reset
        shape = (self.world.copies, len(self.world.agents))
        ended, terminated = np.zeros(shape[0], dtype=bool), np.zeros(shape, dtype=bool)
        return self._with_ends(self._shown(self._view, np.zeros(shape)), ended, terminated)

    def _step(self, tensordict: TensorDictBase) -> TensorDictBase:
        world, numbers = self.world, most_numbers(self.world.actions)
        width, kind = ((numbers,), np.float32) if numbers else ((), np.int64)
        chosen: NDArray[Any] = np.zeros((world.copies, len(world.agents), *width), dtype=kind)
        for group, at in self._at.items():
            given = tensordict.get((group, "action")).detach().cpu().numpy()
            if world.actions[at[0]].continuous:
                chosen[:, at, : given.shape[-1]] = given
            elif numbers:  # other groups give numbers: a choice is the first of its row
                chosen[:, at, 0] = given
            else:
                chosen[:, at] = given
        step = world.step(chosen)
        self._view, self._ended, self._new = step.view, step.ended, False
        out = self._shown(step.last, step.own)
        for group, at in self._at.items():
            out[group, "reward"] = self._tensor(step.reward[:, at, None].astype(np.float32))
        return self._with_ends(out, step.ended, step.terminated)

    def _shown(self, view: View, own: Floats) -> TensorDict:
        """Returns the observation of a view, with rewards [E, A] as information."""
        copies, device = self.world.copies, self.device
        out = TensorDict({"state": self._tensor(view.state)}, (copies,), device)
        for group, at in self._at.items():
            rows = (copies, len(at))
            paid = {"own_reward": self._tensor(own[:, at, None].astype(np.float32))}
            shown = {
                "observation": self._tensor(view.seen[:, at, : self._width(at)]),
                "mask": self._tensor(view.active[:, at]),
                "info": TensorDict(paid, rows, device),
            }
            if view.legal is not None and not self.world.actions[at[0]].continuous:
                size = self.world.actions[at[0]].size
                shown["action_mask"] = self._tensor(view.legal[:, at, :size])
            out[group] = TensorDict(shown, rows, device)
        return out

    def _with_ends(self, out: TensorDict, ended: Bools, terminated: Bools) -> TensorDict:
        """Adds the ends: all agents of a copy end together, each by termination or truncation."""
        whole = terminated.all(axis=1) & ended
        for key, value in zip(ENDS, (ended, whole, ended & ~whole), strict=True):
            out[key] = self._tensor(value[:, None])
        for group, at in self._at.items():
            gone = terminated[:, at] & ended[:, None]
            cut = np.repeat(ended[:, None], len(at), axis=1)
            for key, value in zip(ENDS, (cut, gone, cut & ~gone), strict=True):
                out[group, key] = self._tensor(value[..., None])
        return out

    def _set_seed(self, seed: int | None) -> None:
        if seed is not None:
            self._begin(self.world.reset(int(seed) % 2**63))

    def _width(self, at: Ints) -> int:
        return max(self.world.seen_sizes[int(k)] for k in at)

    def _tensor(self, array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)

    def close(self, **options: Any) -> None:
        """Closes the windows and files of the environment."""
        super().close(**options)
        self.world.close()


def _flag(*shape: int) -> Categorical:
    return Categorical(n=2, shape=shape, dtype=torch.bool)


def _action_spec(copies: int, agents: int, can: Any) -> Any:
    """Returns the spec of actions: numbers [E, A], not one-hot rows, or continuous [E, A, U]."""
    if not can.continuous:
        return Categorical(n=can.size, shape=(copies, agents), dtype=torch.int64)
    shape = (copies, agents, can.size)
    low, high = (torch.tensor(bound).expand(shape).clone() for bound in (can.low, can.high))
    return Bounded(low=low, high=high, shape=shape, dtype=torch.float32)
