"""BenchMARL: any on-policy algorithm with our advantages, by a callback; our worlds as its tasks.

Start with `credit_callback`. `IppoCredit` and `MappoCredit` do the same as configurations of an
algorithm, where callbacks are not possible, as in `Benchmark`. Only calls need BenchMARL, not the
import of this file: the classes are loaded from `benchmarl_classes.py` at their first use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from counterpoint.credit import AnyScheme
from counterpoint.optional import import_optional

__all__ = ["IppoCredit", "MappoCredit", "credit_callback", "world_task"]  # noqa: F822  (loaded late)

INSTALL = "pip install benchmarl==1.5.2 torchrl==0.11.1 tensordict==0.11.0"


def __getattr__(name: str) -> Any:
    if name not in ("IppoCredit", "MappoCredit", "CreditCallback", "WorldTask"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_optional(f"{__name__}_classes", INSTALL, name), name)


def credit_callback(
    scheme: str | AnyScheme = "mappo_per_agent",
    record: str | Path | None = None,
    *,
    check_every: int = 50,
    warn: Callable[[str], None] | None = None,
) -> Any:
    """Returns a callback for `Experiment(callbacks=[...])` that normalizes advantages by a scheme.

    It is called once an iteration, with the whole batch of a group, before minibatches are drawn.
    Agents of different groups share no statistic. Running statistics are in the experiment's
    checkpoints, and metrics in its logger, as `counterpoint/GROUP/...`.

    Args:
        scheme: a `Scheme`, or the name of one; it must count steps, not rollouts.
        record: a file for the raw advantages of every iteration, in the format that `counterpoint
            diagnose` reads; with several groups it is one file a group, `NAME-GROUP.jsonl`.
        check_every: the number of iterations between two diagnoses of the latest ones; 0 for none.
        warn: a function that is called with each warning; Python's logger `counterpoint` by
            default. It cannot be a lambda, since BenchMARL pickles its callbacks.

    Raises:
        MissingPackageError: BenchMARL is not installed.
        UnknownNameError: no scheme has that name.
        SchemeError: the scheme counts rollouts.
        SettingError: `check_every` is negative; or, when the experiment is made, the algorithm is
            off-policy and has no advantages.
    """
    return __getattr__("CreditCallback")(scheme, record, check_every, warn)


def world_task(name: str, settings: Mapping[str, object] | None = None) -> Any:
    """Returns one of our environments as a task for `Experiment`.

    Args:
        name: a sequential environment, such as `spread` or `mpe2:simple_spread_v3`.
        settings: its settings, such as `{"horizon": 50}`.

    Raises:
        MissingPackageError: BenchMARL, or the package of a foreign world, is not installed.
        UnknownNameError: no environment, or no setting of it, has that name.
        SettingError: a value has a wrong type or is out of range, or episodes never end.
        WorldError: the environment cannot be used here.
    """
    return __getattr__("WorldTask")(name, dict(settings or {}))
