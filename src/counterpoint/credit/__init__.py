"""Credit: from a group reward to each agent's advantage. Arrays only: no I/O, no torch import.

Start with `advantages` and `catalogue()`; `Scheme` documents every field of the algebra. Beside it
are the methods that need more than a rearrangement of rewards: difference rewards, COMA's
counterfactual baseline, leave-one-out, Shapley values, own components.
"""

from counterpoint.credit.catalogue import Entry, catalogue, entries
from counterpoint.credit.counterfactual import (
    Baseline,
    Counterfactual,
    Shapley,
    baselines,
    coma,
    difference_rewards,
    leave_one_out,
    own_components,
    replayed_difference,
    shapley,
)
from counterpoint.credit.kernel import Credit, advantages
from counterpoint.credit.memory import RunningState
from counterpoint.credit.normalize import Tally
from counterpoint.credit.scheme import AnyScheme, Mix, PerRole, Scheme
from counterpoint.credit.spec import (
    as_plain_scheme,
    plain_scheme_named,
    scheme_name,
    scheme_named,
    split_names,
)

__all__ = [
    "AnyScheme",
    "Baseline",
    "Counterfactual",
    "Credit",
    "Entry",
    "Mix",
    "PerRole",
    "RunningState",
    "Scheme",
    "Shapley",
    "Tally",
    "advantages",
    "as_plain_scheme",
    "baselines",
    "catalogue",
    "coma",
    "difference_rewards",
    "entries",
    "leave_one_out",
    "own_components",
    "plain_scheme_named",
    "replayed_difference",
    "scheme_name",
    "scheme_named",
    "shapley",
    "split_names",
]
