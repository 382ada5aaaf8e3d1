"""A sound adapter passes `check_adapter`; every planted defect is found."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest

from counterpoint.errors import SettingError
from counterpoint.integrations import TeamCredit
from counterpoint.testing import ConformanceError, check_adapter
from counterpoint.testing.adapters import check_import
from counterpoint.testing.situations import FEATURES, TeamBatch, situations

ALL = frozenset(FEATURES)


def sound(batch, credit):
    return credit(batch.rewards, batch.labels())


def pooled(batch, credit):
    """It forgets who acted."""
    labels = batch.labels()
    return credit(batch.rewards, {**labels, "agent": ["policy"] * len(batch)})


def by_name(batch, credit):
    """It takes a prompt that was drawn twice for one prompt."""
    rollouts = [f"{g}/{r}" for g, r in zip(batch.group, batch.rollout, strict=True)]
    return credit(batch.rewards, {**batch.labels(), "prompt": batch.prompt, "rollout": rollouts})


def by_sample(batch, credit):
    """It counts each sample of a rollout that was split as a rollout."""
    labels = {name: column for name, column in batch.labels().items() if name != "turn"}
    return credit(batch.rewards, {**labels, "rollout": list(range(len(batch)))})


def rolled(column):
    """A column whose values stand one row too late."""
    return None if column is None else [column[-1], *column[:-1]]


def without(column):
    """An adapter that does not read a column of the batch, and one that reads it wrongly."""
    label = {"group": "prompt"}.get(column, column)

    def drops(batch, credit):
        if column == "rewards":
            return [0.0] * len(credit(batch.rewards, batch.labels()))
        labels = {name: given for name, given in batch.labels().items() if name != label}
        return credit(batch.rewards, labels)

    def scrambles(batch, credit):
        if column == "prompt":  # nothing else can be wrong with it: draws are the groups
            return by_name(batch, credit)
        moved = replace(batch, **{column: rolled(getattr(batch, column))})
        return credit(moved.rewards, moved.labels())

    return [scrambles] if column == "prompt" else [drops, scrambles]


def roles_of_one_agent(batch, credit):
    """It knows the lead, and takes each coder for a role of its own."""
    if batch.role is None or batch.agent is None:
        return sound(batch, credit)
    roles = [r if r == "lead" else a for r, a in zip(batch.role, batch.agent, strict=True)]
    return credit(batch.rewards, {**batch.labels(), "role": roles})


def turns_by_place(batch, credit):
    """It takes the rows of an agent in a rollout for its turns, in the order of the rows."""
    return without("turn")[0](batch, credit)


def zero_for_none(batch, credit):
    """It takes a missing reward for 0."""

    def filled(one):
        if isinstance(one, list):
            return [0.0 if part is None else part for part in one]
        return 0.0 if one is None else one

    return credit([filled(one) for one in batch.rewards], batch.labels())


def centered_again(batch, credit):
    """Its trainer subtracts the mean of the step from what it is given."""
    values = np.asarray(credit(batch.rewards, batch.labels()))
    return values - values.mean()


def divided_again(batch, credit):
    values = np.asarray(credit(batch.rewards, batch.labels()))
    return values / 4.0


def as_losses(batch, credit):
    return -np.asarray(credit(batch.rewards, batch.labels()))


def mixes_rows_up(batch, credit):
    """It gives the results back in its own order."""
    order = np.argsort(batch.agent or [""] * len(batch), kind="stable")
    part = batch.taken(order)
    return credit(part.rewards, part.labels())


def nothing(batch, credit):
    return [0.0] * len(credit(batch.rewards, batch.labels()))


def first_row_pays(batch, credit):
    """It gives all rows of a rollout the reward of the first."""
    paid = list(batch.rewards)
    for rows in batch.rows_by("group", "rollout", "agent").values():
        for i in rows:
            paid[i] = batch.rewards[rows[0]]
    return credit(paid, batch.labels())


def overflows(batch, credit):
    values = np.array(credit(batch.rewards, batch.labels()))
    values[-1] = np.inf
    return values


def clamped(batch, credit):
    """Its trainer cuts what it takes for a reward."""
    return np.minimum(np.asarray(credit(batch.rewards, batch.labels())), 1.0)


def half(batch, credit):
    return np.asarray(credit(batch.rewards, batch.labels())).astype(np.float16)


def with_epsilon(batch, credit):
    """Equal rewards leave the rounding of a mean."""
    return np.asarray(credit(batch.rewards, batch.labels())) + 1e-9


def twice(batch, credit):
    """It computes once for a metric and once for the training."""
    credit(batch.rewards, batch.labels())
    return credit(batch.rewards, batch.labels())


def one_prompt_at_a_time(batch, credit):
    whole = np.zeros(len(batch))
    for rows in batch.rows_by("group").values():
        part = batch.taken(np.array(rows))
        whole[rows] = credit(part.rewards, part.labels())
    return whole


def drops_infinity(batch, credit):
    flat = [r if isinstance(r, list) or r is None or math.isfinite(r) else None
            for r in batch.rewards]  # fmt: skip
    return credit(flat, batch.labels())


def invents_agents(batch, credit):
    named = replace(batch, agent=batch.agent or ["policy"] * len(batch))
    return credit(batch.rewards, named.labels())


def forgets_its_state(batch, credit):
    return TeamCredit(credit.scheme, check_every=0)(batch.rewards, batch.labels())


def one_too_few(batch, credit):
    return credit(batch.rewards, batch.labels())[:-1]


def falls(batch, credit):
    raise KeyError("agent")


def test_a_sound_adapter_passes():
    check_adapter(sound, module="counterpoint.integrations.trl", peers=["trl", "torch"])
    check_adapter(sound, cannot=dict.fromkeys(("prompts", "turns", "roles"), "not there"))
    check_adapter(turns_by_place, cannot={"numbered": "turns are the order of rows"})


@pytest.mark.parametrize(
    ("adapter", "found"),
    [
        (pooled, "an even team' under agent_wise"),
        (by_name, "a prompt that was drawn twice"),
        (by_sample, "an even team' under grpo"),
        (turns_by_place, "turns from the last to the first' under at_grpo"),
        (roles_of_one_agent, "an even team' under .*center_by=prompt[+]role"),
        (zero_for_none, "a missing reward here and there"),
        (centered_again, "the kernel's: all differ by .*as if a mean were subtracted again$"),
        (divided_again, "the kernel's: all are 0.25 times as large, as if they were divided again"),
        (as_losses, "the kernel's: all are -1 times as large, as if they were taken for losses"),
        (mixes_rows_up, "the kernel's: the same numbers in another order"),
        (nothing, "the kernel's: all advantages are 0"),
        (overflows, "the kernel's: some are NaN or infinite"),
        (clamped, "the kernel's$"),
        (half, "the kernel's$"),
        (with_epsilon, "exactly 0"),
        (first_row_pays, "pay in the last row of a rollout"),
        (twice, "counted rows"),
        (one_prompt_at_a_time, "under mappo_per_agent"),
        (drops_infinity, "an infinite reward; wanted a refusal"),
        (invents_agents, "rows without an agent"),
        (forgets_its_state, "step 1 under group_reward_decoupled.*those of a first step, as if"),
        (one_too_few, "one for each row"),
        (falls, "KeyError"),
    ],
)
def test_planted_defects_are_found(adapter, found):
    with pytest.raises(ConformanceError, match=found):
        check_adapter(adapter)


@pytest.mark.parametrize("column", [field.name for field in fields(TeamBatch)])
def test_an_adapter_that_drops_or_scrambles_a_column_is_found(column):
    without_it = {
        "prompt": ("prompts", "twice"), "group": ("prompts",), "role": ("roles",),
        "turn": ("turns", "numbered"),
    }.get(column, ())  # fmt: skip
    for adapter in without(column):
        with pytest.raises(ConformanceError):
            check_adapter(adapter)
        for lacking in set(FEATURES) - set(without_it):
            with pytest.raises(ConformanceError):
                check_adapter(adapter, cannot={lacking: "not there"})


def test_what_an_adapter_says_about_itself_is_checked():
    with pytest.raises(ConformanceError, match="the scheme grpo; wanted a refusal"):
        check_adapter(sound, refuses=["grpo"])
    with pytest.raises(SettingError, match="did you mean prompts"):
        check_adapter(sound, cannot={"prompt": "no"})
    with pytest.raises(SettingError, match="did you mean grpo"):
        check_adapter(sound, refuses=["grp"])
    with pytest.raises(ConformanceError, match="No module named 'numpy'"):
        check_import("counterpoint.integrations.trl", ["numpy"])


def test_situations_have_what_they_are_named_for():
    made = {name: one for case in situations(ALL) for name, one in case.batches.items()}
    assert len(made) >= 12
    split = made["rollouts that were split into samples"]
    assert len(split) > len(split.rows_by("group", "rollout", "agent"))
    assert set(made["a prompt that was drawn twice"].prompt) == {"again"}
    assert not any(made["nobody has a reward"].rewards[i] for i in range(10))
    ends = made["rewards at the ends of float16"].rewards
    assert {float(np.float16(max(ends))), float(np.float16(min(ends)))} == {65504.0, -65504.0}
    assert sum(made["one reward above 0 in the whole step"].rewards) == 1
    late = made["pay in the last row of a rollout"]
    for rows in late.rows_by("group", "rollout", "agent").values():
        assert not any(late.rewards[i] for i in rows[:-1])
    apart = made["components of some agents each"].rewards
    assert all(sum(part is None for part in row) == 1 for row in apart)
    exact = [r for one in made.values() for r in one.rewards if isinstance(r, float)]
    assert all(float(np.float32(r)) == r for r in exact)
    without = [one for case in situations(frozenset()) for one in case.batches.values()]
    assert all(len(one.rows_by("group")) == 1 for one in without)
    even = made["an even team"]
    for order in even.orders().values():
        assert sorted(order) == list(range(len(even)))
