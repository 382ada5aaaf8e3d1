"""miles: our advantages as a reward post-process, named on its command line.

    --custom-reward-post-process-path counterpoint.integrations.miles.reward_post_process

miles grew out of slime and calls the same function with the same samples, so this is slime's
adapter with the checks that miles' options need. This file does not import miles. Source:
radixark/miles at 31f1ca96 (2026-08-21), `miles/ray/rollout/train_data_conversion.py`,
`miles/backends/training_utils/loss_hub/advantages.py`; read, not run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from counterpoint.errors import SettingError
from counterpoint.integrations import slime

ESTIMATORS = ("grpo", "gspo")
"""Values of `--advantage-estimator` under which a returned value is the advantage of each token."""


def reward_post_process(args: Any, samples: Sequence[Any]) -> tuple[list[float], list[float]]:
    """Returns rewards [N] and advantages [N] of a rollout batch, as slime's adapter does.

    Args:
        args: miles' arguments; besides those of slime's adapter, `advantage_estimator` and
            `normalize_advantages` are checked.
        samples: [N] miles' samples of all prompts. Samples of one rollout share `rollout_id`.

    Raises:
        SettingError: an option would change the advantages afterwards.
        LabelError, RewardError, UnknownNameError, OutputError: as slime's adapter.
    """
    estimator = getattr(args, "advantage_estimator", ESTIMATORS[0])
    if estimator not in ESTIMATORS:
        raise SettingError(
            f"got --advantage-estimator {estimator}, which would change our advantages; "
            f"wanted {' or '.join(ESTIMATORS)}"
        )
    if getattr(args, "normalize_advantages", False):
        raise SettingError(
            "got --normalize-advantages, which normalizes the tokens of all agents together; "
            "wanted it off"
        )
    return slime.reward_post_process(args, samples, "miles")
