"""TorchRL: advantages normalized by a scheme, after the value estimator; our worlds as its own.

Start with `AgentAdvantages`, which needs no TorchRL and does the work. `NormalizeAdvantage` (a
module), `NormalizeOnExtend` (a transform of a replay buffer) and `WorldEnv` (an environment) are
brought in when they are first asked for; they are in the files beside this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from counterpoint.integrations.entry import bring
from counterpoint.integrations.torchrl_rows import AgentAdvantages

if TYPE_CHECKING:
    from counterpoint.integrations.torchrl_modules import NormalizeAdvantage, NormalizeOnExtend
    from counterpoint.integrations.torchrl_world import WorldEnv

__all__ = ["AgentAdvantages", "NormalizeAdvantage", "NormalizeOnExtend", "WorldEnv"]

INSTALL = "pip install torchrl"
_LATE = {
    "NormalizeAdvantage": "torchrl_modules",
    "NormalizeOnExtend": "torchrl_modules",
    "WorldEnv": "torchrl_world",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return bring(name, _LATE[name], INSTALL)
