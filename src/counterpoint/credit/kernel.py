"""`advantages`: rewards and labels in, per-row advantages out, by any `Scheme`.

Read `advantages` top to bottom, then `_normalized` (one reward column), then `_moments` (one
set of groups). The same code runs on NumPy, torch and JAX through `segments.Arrays`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from counterpoint.credit.labels import Groups, Labels
from counterpoint.credit.memory import Moments, RunningState
from counterpoint.credit.ranks import midranks
from counterpoint.credit.result import Credit, Tally, register_with_jax
from counterpoint.credit.segments import Array, Arrays, arrays_of
from counterpoint.credit.scheme import Scheme
from counterpoint.errors import LabelError, RewardError, SchemeError

ROUNDING = 8
"""Rewards of a group that differ by fewer ulps of the largest count as equal."""
