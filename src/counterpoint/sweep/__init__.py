"""A search over settings of a training, and what its best settings are worth on fresh seeds.

Start with `sweep`; `space.py` reads what is searched, `study.py` is the search by Optuna.
"""

from counterpoint.sweep.run import SweepPlan, sweep
from counterpoint.sweep.space import read_over

__all__ = ["SweepPlan", "read_over", "sweep"]
