"""Which agent's gradient collapses, why, and whether decoupling credit by agent matters.

Start at `diagnose` with somebody else's log; or, inside a trainer, at `gradient_statistics` (can
the gradient be told from zero?), `collapsed`, and `three_numbers` with `name_causes` (why, from
rewards). Arrays only: no I/O, no clock, no chance of its own.
"""

from counterpoint.diagnose.causes import CAUSES, REMEDIES, drowning, name_causes
from counterpoint.diagnose.collapse import collapsed, flat_together
from counterpoint.diagnose.credit import credit_correlations
from counterpoint.diagnose.diagnosis import Diagnosis, diagnose
from counterpoint.diagnose.faults import FEWEST as FEWEST_ROLLOUTS
from counterpoint.diagnose.gradients import GradientStatistics, gradient_statistics
from counterpoint.diagnose.inflation import ThreeNumbers, three_numbers
from counterpoint.diagnose.log import LogFault
from counterpoint.diagnose.recommend import scheme_name

__all__ = [
    "CAUSES",
    "FEWEST_ROLLOUTS",
    "REMEDIES",
    "Diagnosis",
    "GradientStatistics",
    "LogFault",
    "ThreeNumbers",
    "collapsed",
    "credit_correlations",
    "diagnose",
    "drowning",
    "flat_together",
    "gradient_statistics",
    "name_causes",
    "scheme_name",
    "three_numbers",
]
