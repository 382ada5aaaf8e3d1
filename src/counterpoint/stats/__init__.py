"""Statistics for few expensive runs: NumPy arrays in, estimates with intervals out.

Start with `bootstrap_interval` (a score of one scheme over seeds) and `paired_difference` (two
schemes on the same seeds). Chance is an argument: the same generator gives the same interval.
"""

from counterpoint.stats.bootstrap import (
    Statistic,
    bootstrap_band,
    bootstrap_interval,
    paired_difference,
)
from counterpoint.stats.decision import Contrast, Decision, decide
from counterpoint.stats.estimate import (
    Band,
    Estimate,
    interquartile_mean,
    interquartile_means,
    means,
)
from counterpoint.stats.paired import (
    PairedDecision,
    bounded_difference,
    more_tasks,
    paired_decision,
)
from counterpoint.stats.rates import (
    TimeToThreshold,
    performance_profile,
    probability_of_improvement,
    time_to_threshold,
    wilson_interval,
)
from counterpoint.stats.significance import (
    Permutation,
    benjamini_hochberg,
    paired_t_test,
    permutation_test,
    sign_flip_test,
)
from counterpoint.stats.variance import Share, variance_shares

__all__ = [
    "Band",
    "Contrast",
    "Decision",
    "Estimate",
    "PairedDecision",
    "Permutation",
    "Share",
    "Statistic",
    "TimeToThreshold",
    "benjamini_hochberg",
    "bootstrap_band",
    "bootstrap_interval",
    "bounded_difference",
    "decide",
    "interquartile_mean",
    "interquartile_means",
    "means",
    "more_tasks",
    "paired_decision",
    "paired_difference",
    "paired_t_test",
    "performance_profile",
    "permutation_test",
    "probability_of_improvement",
    "sign_flip_test",
    "time_to_threshold",
    "variance_shares",
    "wilson_interval",
]
