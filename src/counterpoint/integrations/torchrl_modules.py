"""`NormalizeAdvantage` and `NormalizeOnExtend`: where TorchRL calls us. Needs TorchRL.

The first is a module that runs after a value estimator. The second hands the batch to it when a
replay buffer is extended: once, whole, before minibatches are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tensordict import NestedKey, TensorDictBase
from tensordict.nn import TensorDictModuleBase
from torchrl.envs.transforms import Transform

from counterpoint.credit import AnyScheme
from counterpoint.errors import SettingError
from counterpoint.integrations.team_credit import TeamCredit
from counterpoint.integrations.torchrl_rows import AgentAdvantages


class NormalizeAdvantage(TensorDictModuleBase):  # type: ignore[misc]
    """Replaces an advantage [..., A, 1] by what a scheme makes of it.

    It computes on the batch that it is given: give it the whole batch, not minibatches. In `eval()`
    mode it moves no running statistics. Its `state_dict` has plain values, so that `torch.load`
    reads it with `weights_only=True`.

    Args:
        scheme: a `TeamCredit`, a `Scheme`, or the name of one.
        key: where the advantage is.
        mask: where the booleans [..., A] are that tell which agents were there; where the batch
            has no such key, all were. None: beside the advantage, `mask` in its group.
        names: [A] what the agents are called; empty calls them 0, 1, ...
        more: what `TeamCredit` takes besides: `record`, `check_every`, `warn`.

    Raises:
        SchemeError: a scheme that counts a rollout once.
        UnknownNameError, SettingError, OutputError: as `TeamCredit`.
    """

    def __init__(
        self,
        scheme: str | AnyScheme | TeamCredit = "happo_per_agent",
        key: NestedKey = ("agents", "advantage"),
        *,
        mask: NestedKey | None = None,
        names: Sequence[str] = (),
        **more: Any,
    ) -> None:
        super().__init__()
        if isinstance(scheme, TeamCredit) and more:
            raise SettingError(f"got {', '.join(more)} beside a TeamCredit; give them to that")
        credit = scheme if isinstance(scheme, TeamCredit) else TeamCredit(scheme, **more)
        self.in_keys = self.out_keys = [key]
        self.key = key
        self.mask = mask or ("mask" if isinstance(key, str) else (*key[:-1], "mask"))
        self.rows = AgentAdvantages(credit, names)

    @classmethod
    def for_loss(
        cls, loss: Any, scheme: str | AnyScheme | TeamCredit = "happo_per_agent", **more: Any
    ) -> NormalizeAdvantage:
        """The module for the advantage key of a loss.

        Raises:
            SettingError: the loss normalizes too; `MAPPOLoss` and `IPPOLoss` do so by default.
        """
        norm = getattr(loss, "advantage_norm", None)
        if getattr(loss, "normalize_advantage", False) or norm is not None:
            raise SettingError(
                f"got a {type(loss).__name__} that normalizes advantages itself, by the minibatch; "
                "wanted normalize_advantage=False and no advantage_norm"
            )
        return cls(scheme, loss.tensor_keys.advantage, **more)

    @property
    def credit(self) -> TeamCredit:
        """The scheme at work: `metrics`, `tally`, `updates`."""
        return self.rows.credit

    def forward(self, tensordict: TensorDictBase) -> TensorDictBase:
        """Normalize in place.

        Raises:
            KeyError: the batch has no such advantage; run the value estimator first.
            RewardError, LabelError, OutputError: as `AgentAdvantages`.
        """
        return self.normalize(tensordict, learning=self.training)

    def normalize(self, tensordict: TensorDictBase, *, learning: bool = True) -> TensorDictBase:
        """As `forward`, whatever the mode."""
        given, present = tensordict.get(self.key), tensordict.get(self.mask, None)
        if given is None:  # newer versions of tensordict give None for a key that is not there
            raise KeyError(f"got a batch without {self.key}; run the value estimator first")
        tensordict.set(self.key, self.rows(given, present, learning=learning))
        return tensordict

    def get_extra_state(self) -> dict[str, Any]:
        """Running statistics, as plain values."""
        return self.credit.state_dict()

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Go on from them.

        Raises:
            StateError: those of something else, or of another scheme.
        """
        self.credit.load_state_dict(state)


class NormalizeOnExtend(Transform):  # type: ignore[misc]
    """For `buffer.append_transform`: normalizes what goes in, and leaves alone what comes out.

    The module is not a child of the buffer, whose checkpoints stay as they were: keep
    `module.state_dict()` yourself. A buffer puts its transforms into `eval()` mode; this one is
    learning all the same.

    Args:
        module: what normalizes.
    """

    def __init__(self, module: NormalizeAdvantage) -> None:
        super().__init__()
        self._normalize = module.normalize

    def forward(self, tensordict: TensorDictBase) -> TensorDictBase:
        """A minibatch as it is."""
        return tensordict

    def _inv_call(self, tensordict: TensorDictBase) -> TensorDictBase:
        return self._normalize(tensordict)
