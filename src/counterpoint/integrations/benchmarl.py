"""BenchMARL: any on-policy algorithm with our advantages, by a callback; our worlds as its tasks.

Start with `credit_callback`. `IppoCredit` and `MappoCredit` are the same as configurations of an
algorithm, for places that take no callbacks, such as `Benchmark`. Importing this file needs no
BenchMARL; calling anything in it does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from counterpoint.credit import AnyScheme
from counterpoint.integrations.entry import bring

if TYPE_CHECKING:
    from counterpoint.integrations.benchmarl_credit import CreditCallback, IppoCredit, MappoCredit
    from counterpoint.integrations.benchmarl_world import WorldTask

__all__ = ["IppoCredit", "MappoCredit", "credit_callback", "world_task"]

INSTALL = "pip install benchmarl==1.5.2 torchrl==0.11.1 tensordict==0.11.0"
_LATE = {
    "IppoCredit": "benchmarl_credit",
    "MappoCredit": "benchmarl_credit",
    "CreditCallback": "benchmarl_credit",
    "WorldTask": "benchmarl_world",
}


def credit_callback(
    scheme: str | AnyScheme = "happo_per_agent",
    record: str | Path | None = None,
    *,
    check_every: int = 50,
    warn: Callable[[str], None] | None = None,
) -> CreditCallback:
    """A callback for `Experiment(callbacks=[...])` that normalizes advantages by a scheme.

    It is called once an iteration, with the whole batch of a group, before minibatches are drawn.
    Agents of different groups share no statistic. Running statistics are in the experiment's
    checkpoints, and metrics in its logger, as `counterpoint/GROUP/...`.

    Args:
        scheme: a `Scheme`, or the name of one; it must count steps, not rollouts.
        record: a file for the raw advantages of every iteration, in the format that `counterpoint
            diagnose` reads; with several groups one a group, `NAME-GROUP.jsonl`. None: no log.
        check_every: after so many iterations the latest ones are looked at for trouble; 0: never.
        warn: what hears of it; Python's logger `counterpoint` by default. BenchMARL pickles its
            callbacks, so no lambda.

    Raises:
        MissingPackageError: BenchMARL is not installed.
        UnknownNameError: no scheme of that name.
        SchemeError: a scheme that counts rollouts.
        SettingError: a negative number; or, when the experiment is made, an off-policy algorithm,
            which has no advantages.
    """
    made: CreditCallback = bring("CreditCallback", "benchmarl_credit", INSTALL)(
        scheme, record, check_every, warn
    )
    return made


def world_task(name: str, settings: Mapping[str, Any] | None = None) -> WorldTask:
    """One of our worlds as a task: `Experiment(task=world_task("spread", {"horizon": 50}), ...)`.

    Args:
        name: a sequential environment: `spread`, `mpe2:simple_spread_v3`.
        settings: its settings, such as `stakes`.

    Raises:
        MissingPackageError: BenchMARL, or the package of a foreign world, is not installed.
        UnknownNameError: no world, or no setting of it, has that name.
        SettingError: a value of a wrong type or out of range, or a world whose episodes do not end.
        WorldError: what the name stands for cannot be played here.
    """
    made: WorldTask = bring("WorldTask", "benchmarl_world", INSTALL)(name, dict(settings or {}))
    return made


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return bring(name, _LATE[name], INSTALL)
