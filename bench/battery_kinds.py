"""Every kind of log in the battery and how many there are of it; `cases` draws them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

import battery_faults as faults
import battery_healthy as healthy
import battery_planted as planted
from battery_case import Case, Causes, Rng, Truth

PLAN: tuple[tuple[Callable[[Rng], Case], int], ...] = (
    (planted.dead_solved_or_failed, 20),
    (planted.dead_all_hands, 10),
    (planted.dead_own_constant, 20),
    (planted.dead_agent_constant, 8),
    (planted.dead_singletons, 10),
    (planted.dead_constant_sum, 10),
    (planted.dead_seldom, 10),
    (planted.drowned, 20),
    (planted.drowned_uncentered, 10),
    (planted.drowned_regions, 10),
    (planted.drowned_in_the_mean, 8),
    (planted.offset, 20),
    (planted.spiky, 15),
    (planted.spiky_alone, 10),
    (planted.spiky_first_signal, 10),
    (planted.diluted, 10),
    (planted.diluted_by_noise, 10),
    (planted.lazy, 15),
    (planted.lazy_own, 10),
    (planted.drowned_and_lazy, 6),
    (planted.drowned_and_offset, 6),
    (planted.dead_and_lazy, 6),
    (planted.spiky_and_drowned, 6),
    (planted.dead_one_healthy_rest, 6),
    (healthy.healthy_single_binary, 15),
    (healthy.healthy_shared, 15),
    (healthy.healthy_reward_model, 15),
    (healthy.healthy_components, 15),
    (healthy.healthy_own, 15),
    (healthy.healthy_uneven, 15),
    (healthy.healthy_turns, 15),
    (healthy.healthy_off_task, 15),
    (healthy.healthy_duel, 10),
    (healthy.healthy_nearly_solved, 10),
    (healthy.healthy_logged_actions, 10),
    (healthy.sparse_terminal, 15),
    (healthy.curriculum, 12),
    (healthy.heavy_tails, 12),
    (healthy.clean_twins, 12),
    (healthy.mild_twins, 12),
    (healthy.jump_twins, 10),
    (healthy.healthy_seldom, 12),
    (healthy.healthy_units, 12),
    (healthy.many_hands_unlogged, 6),
    (healthy.healthy_by_prompt_level, 10),
    (healthy.healthy_free_text, 8),
    (healthy.healthy_rare_success, 10),
    (healthy.healthy_learned, 10),
    (healthy.healthy_mild_jump, 10),
    (healthy.healthy_timeouts, 10),
    (faults.twenty_rows, 20),
    (faults.fifty_healthy, 6),
    (faults.fifty_planted, 8),
    (faults.fault_two_runs, 6),
    (faults.fault_rows_twice, 6),
    (faults.fault_same_prompt_twice, 6),
    (faults.fault_constant, 6),
    (faults.fault_missing, 6),
    (faults.fault_agent_missing, 6),
    (faults.fault_last_row, 6),
    (faults.fault_one_component, 6),
)
"""How each kind is drawn, and how many logs of it there are: above 400 together."""


BARE = (healthy.healthy_turns, healthy.sparse_terminal, healthy.healthy_own)
"""Kinds whose logs may lack the prompt, as those of games do."""


def cases(share: float = 1.0, seed: int = 0) -> Iterator[Case]:
    """Returns every log of the battery: a `share` of each kind, and at least one."""
    for number, (make, count) in enumerate(PLAN):
        for i in range(max(1, round(count * share))):
            rng = np.random.default_rng([seed, number, i])
            case = make(rng)
            stepless = case.world.fresh and rng.random() < 0.25 and not _running(case.scheme)
            pooled = case.scheme in ("mappo_pooled", "mappo_per_agent")
            bare = make in BARE and pooled and rng.random() < 0.5
            yield replace(
                case,
                seed=int(rng.integers(10**9)),
                stepless=bool(stepless and not bare),
                promptless=bool(bare),
            )


OTHER = (
    "mappo_pooled", "mappo_per_agent", "agent_mean", "agent_wise", "at_grpo", "grpo", "grpo_rows",
    "dr_grpo", "rloo", "gdpo", "lite_ppo", "rank", "reinforce_plus_plus", "center",
    "group_reward_decoupled", "marshal_style", "spiral_rae",
)  # fmt: skip
"""Schemes that any log may be judged under."""


ADVICE_ONLY = "any log under another scheme"
"""The kind of logs without a truth."""


def under_other_schemes(drawn: Iterable[Case]) -> Iterator[Case]:
    """Returns each unbroken log under a scheme for which nothing was planted. Any cause may be
    named there, and only the advice is followed.
    """
    anything: Causes = (None, "DEAD", "DROWNED", "OFFSET", "SPIKY", "DILUTED", "LAZY")
    for case in drawn:
        others = [name for name in OTHER if name != case.scheme]
        name = others[case.seed % len(others)]
        if case.spoil is None and not (case.stepless and _running(name)):
            yield replace(case, kind=ADVICE_ONLY, scheme=name, truth=Truth({}, anything))


def _running(scheme: str) -> bool:
    return scheme in ("group_reward_decoupled", "marshal_style", "spiral_rae")
