"""Finds which agent's gradient collapses, why, and whether decoupling credit by agent matters.

Start at `diagnose` with a log; or, inside a trainer, at `signal_kept` (what a scheme
leaves of a gradient), `collapsed_updates`, and `three_numbers` with `name_causes` (why, from
rewards). Arrays only: no I/O, no clock, no chance of its own.
"""

from counterpoint.credit import scheme_name
from counterpoint.diagnose.causes import CAUSES, REMEDIES, drowning, name_causes
from counterpoint.diagnose.diagnosis import diagnose
from counterpoint.diagnose.faults import FEWEST as FEWEST_ROLLOUTS
from counterpoint.diagnose.gradients import GradientStatistics, gradient_statistics
from counterpoint.diagnose.inflation import ThreeNumbers, three_numbers
from counterpoint.diagnose.kept import collapsed_updates, kept_in_windows, signal_kept, task_noise
from counterpoint.diagnose.updates import credit_correlations
from counterpoint.results.diagnosis import DiagnosisResult, LogFault

__all__ = [
    "CAUSES",
    "FEWEST_ROLLOUTS",
    "REMEDIES",
    "DiagnosisResult",
    "GradientStatistics",
    "LogFault",
    "ThreeNumbers",
    "collapsed_updates",
    "credit_correlations",
    "diagnose",
    "drowning",
    "gradient_statistics",
    "kept_in_windows",
    "name_causes",
    "scheme_name",
    "signal_kept",
    "task_noise",
    "three_numbers",
]
