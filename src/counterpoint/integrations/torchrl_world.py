"""`WorldEnv`: a world of many steps as a TorchRL environment. Needs TorchRL.

Axis letters as in `worlds/steps.py`. What agents of one role see and do is one group of tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tensordict import TensorDict, TensorDictBase
from torchrl.data import Binary, Bounded, Categorical, Composite, Unbounded
from torchrl.envs import EnvBase

from counterpoint.errors import WorldError
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world
from counterpoint.worlds.sequential.world import StepWorld, View

ENDS = ("done", "terminated", "truncated")


class WorldEnv(EnvBase):  # type: ignore[misc]
    """E copies of a world, side by side: batch size [E].

    Keys of a group: `observation` [E, A, D], `action` [E, A] or [E, A, U], `mask` [E, A] (whether
    the agent decides now), `reward` [E, A, 1] as the world's settings say, `own_reward` [E, A, 1]
    in the world's own unit under `info`, `action_mask` [E, A, M] where legality changes, and
    `done`, `terminated`, `truncated` [E, A, 1]. At the root: `state` [E, Z] and the episode's
    `done`, `terminated`, `truncated` [E, 1]. An episode that ran out of time is truncated, so that
    a value estimator goes on from what was seen last.

    A copy starts anew by itself when its episode ends, and cannot be reset before.

    Args:
        world: the world; it is the environment's from then on.
        device: where tensors go.

    Raises:
        WorldError: agents of one role that can do different things.
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
        """All copies begin: nothing was played yet, and no episode has ended."""
        self._view, self._new = view, True
        self._ended = np.zeros(self.world.copies, dtype=bool)

    def _make_specs(self) -> None:
        e, world = self.world.copies, self.world
        seen, action, reward, done = (Composite(shape=(e,)) for _ in range(4))
        for group, at in self._at.items():
            a, can = len(at), world.actions[at[0]]
            told = {
                "observation": Unbounded(shape=(e, a, self._width(at)), dtype=torch.float32),
                "mask": _flag(e, a),
                "info": Composite({"own_reward": Unbounded(shape=(e, a, 1))}, shape=(e, a)),
            }
            if self._view.legal is not None:
                told["action_mask"] = Binary(can.size, shape=(e, a, can.size), dtype=torch.bool)
            seen[group] = Composite(told, shape=(e, a))
            action[group] = Composite({"action": _action_spec(e, a, can)}, shape=(e, a))
            reward[group] = Composite({"reward": Unbounded(shape=(e, a, 1))}, shape=(e, a))
            done[group] = Composite({key: _flag(e, a, 1) for key in ENDS}, shape=(e, a))
        seen["state"] = Unbounded(shape=(e, world.state_size), dtype=torch.float32)
        for key in ENDS:
            done[key] = _flag(e, 1)
        self.observation_spec, self.action_spec = seen.to(self.device), action.to(self.device)
        self.reward_spec, self.done_spec = reward.to(self.device), done.to(self.device)

    def _reset(self, tensordict: TensorDictBase | None = None, **more: Any) -> TensorDictBase:
        """What copies see that have started anew. Without a mask all copies do so now."""
        which = None if tensordict is None else tensordict.get("_reset", None)
        if which is None or self._new:
            self._begin(self.world.reset())
        else:
            asked = which.reshape(self.world.copies, -1).any(dim=-1).cpu().numpy()
            if (asked & ~self._ended).any():
                raise WorldError("got a copy to reset whose episode goes on; wanted ended ones")
            self._ended = self._ended & ~asked
        shape = (self.world.copies, len(self.world.agents))
        ended, terminated = np.zeros(shape[0], dtype=bool), np.zeros(shape, dtype=bool)
        return self._with_ends(self._shown(self._view, np.zeros(shape)), ended, terminated)

    def _step(self, tensordict: TensorDictBase) -> TensorDictBase:
        world, actions = self.world, self.world.actions
        continuous = actions[0].continuous
        shape: tuple[int, ...] = (world.copies, len(actions))
        if continuous:
            shape = (*shape, max(can.size for can in actions))
        chosen: NDArray[Any] = np.zeros(shape, dtype=np.float32 if continuous else np.int64)
        for group, at in self._at.items():
            given = tensordict.get((group, "action")).detach().cpu().numpy()
            if continuous:
                chosen[:, at, : given.shape[-1]] = given
            else:
                chosen[:, at] = given
        step = world.step(chosen)
        self._view, self._ended, self._new = step.view, step.ended, False
        out = self._shown(step.last, step.own)
        for group, at in self._at.items():
            out[group, "reward"] = self._tensor(step.reward[:, at, None].astype(np.float32))
        return self._with_ends(out, step.ended, step.terminated)

    def _shown(self, view: View, own: NDArray[np.float64]) -> TensorDict:
        """Everything that is no reward and no end, for a view and rewards [E, A]."""
        copies, device = self.world.copies, self.device
        out = TensorDict({"state": self._tensor(view.state)}, (copies,), device)
        for group, at in self._at.items():
            rows = (copies, len(at))
            paid = {"own_reward": self._tensor(own[:, at, None].astype(np.float32))}
            told = {
                "observation": self._tensor(view.seen[:, at, : self._width(at)]),
                "mask": self._tensor(view.active[:, at]),
                "info": TensorDict(paid, rows, device),
            }
            if view.legal is not None:
                size = self.world.actions[at[0]].size
                told["action_mask"] = self._tensor(view.legal[:, at, :size])
            out[group] = TensorDict(told, rows, device)
        return out

    def _with_ends(
        self, out: TensorDict, ended: NDArray[np.bool_], terminated: NDArray[np.bool_]
    ) -> TensorDict:
        """Episodes are cut alike for all agents; each agent has its own reason."""
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

    def _width(self, at: NDArray[np.int64]) -> int:
        return max(self.world.seen_sizes[int(k)] for k in at)

    def _tensor(self, array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)

    def close(self, **more: Any) -> None:
        """Let go of the world's windows and files."""
        super().close(**more)
        self.world.close()


def world_env(
    name: str,
    settings: Mapping[str, Any] | None = None,
    copies: int = 1,
    seed: int = 0,
    device: Any = "cpu",
) -> WorldEnv:
    """Returns the sequential environment called `name` as one of TorchRL.

    Raises:
        UnknownNameError: no sequential environment has that name.
        SettingError, MissingPackageError, WorldError: as `SequentialEntry.make`.
    """
    return WorldEnv(find_world(name, Kind.SEQUENTIAL).make(settings, copies, seed), device)


def _flag(*shape: int) -> Categorical:
    return Categorical(n=2, shape=shape, dtype=torch.bool)


def _action_spec(copies: int, agents: int, can: Any) -> Any:
    """Discrete actions are numbers, not one-hot rows: [E, A]; continuous ones [E, A, U]."""
    if not can.continuous:
        return Categorical(n=can.size, shape=(copies, agents), dtype=torch.int64)
    shape = (copies, agents, can.size)
    low, high = (torch.tensor(bound).expand(shape).clone() for bound in (can.low, can.high))
    return Bounded(low=low, high=high, shape=shape, dtype=torch.float32)
