"""`center="shrunk"`: by hand, against loops over rows, its laws, and what it is for."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from array_kinds import KINDS, credit_of
from examples import EXAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st
from random_teams import NEAR_ZERO, everybody, rewards, uneven, with_gaps

from counterpoint.credit import RunningState, Scheme, advantages, catalogue
from counterpoint.errors import LabelError, SchemeError

SEEDS = st.integers(0, 2**32 - 1)
LAW = settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
ADAPTIVE: Scheme = catalogue()["adaptive"]  # type: ignore[assignment]
FORGETS = replace(ADAPTIVE, memory="batch")


def test_one_agent_by_hand() -> None:
    """0, 1, 5 minus the mean of the two others: -3, -1.5, 4.5, whose mean square is 10.5.

    The logarithm of a mean of three squares is about 1/3 too small.
    """
    labels = {"prompt": [0, 0, 0], "rollout": [0, 1, 2], "agent": ["a", "a", "a"]}
    got = advantages([0.0, 1.0, 5.0], labels, ADAPTIVE)
    wanted = np.array([-3, -1.5, 4.5]) / np.sqrt(10.5 * np.exp(1 / 3))
    np.testing.assert_allclose(got.values, wanted, rtol=1e-14)
    assert (got.tally.groups, got.tally.constants, got.tally.cold) == (2, 0, 2)


def test_two_agents_far_apart_by_hand() -> None:
    """a is paid 0 and 2, b 100 and 102. Others' mean of 0 is 68, of its agent's other 2: -66.

    rest x effect over the rows is 68 x 66, 66 x 202/3 ... : their mean by agent, and both again, is
    tau^2 = 4444; the variance between two rollouts is 2, known to 2 / 1. So f = 4444 / 4446.
    """
    x, labels = [0.0, 2.0, 100.0, 102.0], {"rollout": [0, 1, 2, 3], "agent": list("aabb")}
    others = np.array([204, 202, 104, 102]) / 3
    rest, effect = np.array(x) - others, np.array([2, 0, 102, 100]) - others
    tau = (rest * effect).mean()
    left = rest - tau / (tau + 2) * effect
    got = advantages(x, labels, replace(FORGETS, center_by=("agent",)))
    np.testing.assert_allclose(left, [-2, 2, -2, 2], atol=0.1)  # pooled: -68, -65, 65, 68
    # Both agents have one deviation, up to that tenth. A mean of four squares is 1/4 too small.
    wanted = left / np.sqrt((left**2).mean() * np.exp(1 / 4))
    np.testing.assert_allclose(got.values, wanted, rtol=2e-2)
    np.testing.assert_allclose(tau, 4444, rtol=1e-2)


NOTHING = (0.0, 0.0, 0.0, 0.0, 0.0)
"""Count, mean, variance, what the variance is worth, drift."""


@dataclass
class Loops:
    """The same formulas, one row and one group at a time."""

    scheme: Scheme
    means: dict[Hashable, tuple[float, ...]] = field(default_factory=dict)
    logs: dict[Hashable, tuple[float, ...]] = field(default_factory=dict)

    def __call__(self, x: Sequence[float], labels: dict[str, Any]) -> np.ndarray:
        s, n = self.scheme, len(x)
        lasting = [name for name in s.center_by if name != "prompt"]
        rollout = [(p, g) for p, g in zip(labels["prompt"], labels["rollout"], strict=True)]

        def groups(names: Sequence[str]) -> list[tuple[Hashable, ...]]:
            return [tuple(labels[name][i] for name in names) for i in range(n)]

        def rows(ids: list[Any], of: Any, without: Any = None) -> list[int]:
            return [i for i in range(n) if ids[i] == of and rollout[i] != without]

        def mean(values: Any, at: list[int]) -> float:
            return sum(values[i] for i in at) / len(at) if at else 0.0

        def spread(values: Any, ids: list[Any], of: Any) -> tuple[float, int]:
            at = rows(ids, of)
            runs = {rollout[i] for i in at}
            center, total = mean(values, at), 0.0
            for run in runs:
                inside = [i for i in at if rollout[i] == run]
                total += len(inside) * (mean(values, inside) - center) ** 2
            count = len(runs)
            return (total / len(at) * count / (count - 1) if count > 1 else 0.0), count

        def worth(past: tuple[float, ...], drift: float, variance: float) -> float:
            if past[0] * max(drift, 0.0) <= 0:
                return past[0]
            return past[0] * variance / (variance + past[0] * drift) if variance else 0.0

        def after(past: tuple[float, ...], now: float, var: float, count: float) -> Any:
            if count <= 0:
                return past
            if past[0] <= 0:
                return count, now, var, max(count - 1, 0.0), past[4]
            if count == 1:
                kept = worth(past, past[4], var)
                behind = past[3] * kept / past[0]
                alone = (now - past[1]) ** 2 * past[0] / (past[0] + 1)
                var = (behind * past[2] + alone) / (behind + 1)
                return kept + 1, (kept * past[1] + now) / (kept + 1), var, behind + 1, past[4]
            seen = (now - past[1]) ** 2 - var * (1 / count + 1 / past[0])
            drift = 0.9 * past[4] + 0.1 * seen
            kept = worth(past, max(drift, seen), var)
            behind = past[3] * kept / past[0] + count - 1
            return kept + count, (kept * past[1] + count * now) / (kept + count), var, behind, drift

        def known(ids: list[Any]) -> tuple[list[float], list[float], dict[Any, float]]:
            pasts = {k: self.means.get(k, NOTHING) for k in set(ids)}
            found = {k: spread(x, ids, k) for k in set(ids)}
            samples = {k: pasts[k][3] + found[k][1] - 1 for k in set(ids)}
            total = {k: pasts[k][3] * pasts[k][2] + (v[1] - 1) * v[0] for k, v in found.items()}
            every = sum(total.values()) / sum(samples.values()) if any(samples.values()) else 0.0
            variances = {k: total[k] / n if n else every for k, n in samples.items()}
            value, error = [], []
            for i in range(n):
                past, var, others = pasts[ids[i]], variances[ids[i]], found[ids[i]][1] - 1
                now, seen = mean(x, rows(ids, ids[i], rollout[i])), 0.0
                if others and past[0]:
                    seen = (now - past[1]) ** 2 - var * (1 / others + 1 / past[0])
                kept = worth(past, max(past[4], seen), var)
                both = kept + others
                value.append((kept * past[1] + others * now) / both if both else 0.0)
                error.append(var / both if both else np.inf)
            return value, error, variances

        def reliability(truly: float, error: float) -> float:
            return truly / (truly + error) if truly > 0 else 0.0

        team, own = groups([]), groups(lasting)
        levels = [known(team), known(own)]
        rest = [x[i] - levels[0][0][i] if levels[0][1][i] < np.inf else 0.0 for i in range(n)]
        effect = [
            levels[1][0][i] - levels[0][0][i] if levels[1][1][i] < np.inf else 0.0 for i in range(n)
        ]
        product = [a * b for a, b in zip(rest, effect, strict=True)]
        truly = float(np.mean([mean(product, rows(own, k)) for k in set(own)]))
        rest = [rest[i] - reliability(truly, levels[1][1][i]) * effect[i] for i in range(n)]
        if "prompt" in s.center_by:
            square = [a * a for a in rest]
            unit = {k: np.sqrt(mean(square, rows(own, k))) or 1.0 for k in own}
            rest = [rest[i] / unit[own[i]] for i in range(n)]
            prompt = groups(["prompt"])
            for ids in (prompt, groups(s.center_by)) if lasting else (prompt,):
                effect, others = [], []
                for i in range(n):
                    at, all_of = rows(ids, ids[i], rollout[i]), rows(prompt, prompt[i], rollout[i])
                    shared = 0.0 if ids is prompt else mean(rest, all_of)
                    effect.append(mean(rest, at) - shared if at else 0.0)
                    others.append(spread(rest, ids, ids[i])[1] - 1)
                within = [(spread(rest, ids, k), 1) for k in set(ids)]
                degrees = sum(v[1] - 1 for v, _ in within)
                pooled = sum(v[0] * (v[1] - 1) for v, _ in within) / degrees if degrees else 0.0
                truly = float(np.mean([a * b for a, b in zip(rest, effect, strict=True)]))
                rest = [
                    rest[i] - reliability(truly, pooled / others[i]) * effect[i]
                    if others[i] else rest[i] for i in range(n)
                ]  # fmt: skip
            rest = [rest[i] * unit[own[i]] for i in range(n)]
            same = {
                k: np.ptp([x[i] for i in rows(prompt, k)]) == 0 and spread(x, prompt, k)[1] > 1
                for k in prompt
            }
            rest = [0.0 if same[prompt[i]] else rest[i] for i in range(n)]
        logs = {}
        for ids in (team, own):
            for k in set(ids):
                square, count = mean([a * a for a in rest], rows(ids, k)), spread(x, ids, k)[1]
                past = self.logs.get(k, NOTHING)
                log = float(np.log(square)) + 1 / count if square else 0.0
                logs[k] = after(past, log, 2.0, count if square else 0)
        apart = {k: logs[k][1] - logs[()][1] if logs[k][0] else 0.0 for k in set(own)}
        there = [k for k in set(own) if logs[k][0]]
        truly = float(np.mean([apart[k] ** 2 - 2 / logs[k][0] for k in there])) if there else 0.0
        divisor = {
            k: np.exp(0.5 * (logs[()][1] + s.own_scale * apart[k] * (
                reliability(truly, 2 / logs[k][0]) if logs[k][0] else 0.0))) for k in set(own)
        }  # fmt: skip
        if s.keeps_state:
            new = {}
            for ids, (_, _, variances) in zip((team, own), levels, strict=True):
                for k in set(ids):
                    past, count = self.means.get(k, NOTHING), spread(x, ids, k)[1]
                    new[k] = after(past, mean(x, rows(ids, k)), variances[k], count)
            self.means |= new
            self.logs |= logs
        return np.array([rest[i] / divisor[own[i]] for i in range(n)])


@pytest.mark.parametrize(
    "point",
    [
        ADAPTIVE,
        FORGETS,
        replace(ADAPTIVE, own_scale=1.0),
        ADAPTIVE.coupled(),
        replace(ADAPTIVE, center_by=("agent",)),
        replace(ADAPTIVE, center_by=("prompt", "role", "turn"), scale_by=("role", "turn")),
    ],
)
@settings(max_examples=max(EXAMPLES // 5, 8), deadline=None, derandomize=True)
@given(SEEDS, SEEDS)
def test_loops_over_rows_find_the_same(point: Scheme, structure: int, values: int) -> None:
    team = uneven(structure)
    some = np.random.default_rng(values).permutation(len(team))[:60]
    team, loops, state = team.take(np.sort(some)), Loops(point), None
    columns = {name: np.asarray(column).tolist() for name, column in team.labels.items()}
    for call in range(3):
        x = np.random.default_rng([values, call]).normal(size=len(team)) + team.labels["agent"]
        credit = advantages(x, team.labels, point, state=state)
        state = credit.state
        np.testing.assert_allclose(credit.values, loops(x, columns), rtol=1e-8, atol=1e-9)


class TestLaws:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("point", [ADAPTIVE, FORGETS, replace(ADAPTIVE, own_scale=1.0)])
    @LAW
    @given(SEEDS, SEEDS, st.integers(2, 8))
    def test_p0_with_everybody_present_and_one_reward_the_agent_changes_nothing(
        self, kind: str, point: Scheme, structure: int, values: int, agents: int
    ) -> None:
        if kind == "jax":
            structure %= 3
        team = everybody(structure, agents)
        states: tuple[RunningState | None, RunningState | None] = (None, None)
        for call in range(3):
            r = rewards(values + call, 1 + team.moments.max(), NEAR_ZERO)[team.moments]
            one = credit_of(kind, r, team.labels, point.coupled(), states[0])
            own = credit_of(kind, r, team.labels, point, states[1])
            top = max(1.0, float(abs(own.values).max(initial=0.0)))
            np.testing.assert_allclose(one.values, own.values, rtol=0, atol=1e-9 * top)
            states = (one.state, own.state)

    @LAW
    @given(SEEDS, SEEDS)
    def test_the_order_of_rows_and_the_names_of_agents_do_not_matter(
        self, structure: int, values: int
    ) -> None:
        team = uneven(structure)
        x = rewards(values, len(team), NEAR_ZERO)
        order = np.random.default_rng(values).permutation(len(team))
        other = team.take(order)
        renamed = {**other.labels, "agent": np.array([f"n{7 - a}" for a in other.labels["agent"]])}
        one = advantages(x, team.labels, ADAPTIVE).values[order]
        np.testing.assert_allclose(advantages(x[order], renamed, ADAPTIVE).values, one, atol=1e-9)

    @LAW
    @given(SEEDS, SEEDS, st.floats(0.001, 1000), st.floats(-100, 100))
    def test_neither_the_unit_nor_the_zero_of_rewards_matters(
        self, structure: int, values: int, unit: float, zero: float
    ) -> None:
        team = uneven(structure)
        states: tuple[RunningState | None, RunningState | None] = (None, None)
        for call in range(3):
            x = np.random.default_rng([values, call]).normal(size=len(team))
            one = advantages(x, team.labels, ADAPTIVE, state=states[0])
            other = advantages(unit * x + zero, team.labels, ADAPTIVE, state=states[1])
            np.testing.assert_allclose(other.values, one.values, rtol=1e-6, atol=1e-6)
            states = (one.state, other.state)

    @LAW
    @given(SEEDS, SEEDS)
    def test_values_are_continuous_in_the_rewards(self, structure: int, values: int) -> None:
        team, rng = uneven(structure), np.random.default_rng(values)
        x, nudge = rng.normal(size=(2, len(team)))
        one = advantages(x, team.labels, ADAPTIVE).values
        near = advantages(x + 1e-9 * nudge, team.labels, ADAPTIVE).values
        np.testing.assert_allclose(near, one, atol=1e-5)

    @LAW
    @given(SEEDS, SEEDS)
    def test_restored_state_goes_on_bit_for_bit(self, structure: int, values: int) -> None:
        team = uneven(structure)
        r = [rewards(values + call, len(team), NEAR_ZERO) for call in range(3)]
        state = advantages(r[0], team.labels, ADAPTIVE).state
        assert state is not None
        state = advantages(r[1], team.labels, ADAPTIVE, state=state).state
        assert state is not None
        read = RunningState.from_dict(json.loads(json.dumps(state.to_dict())))
        one, other = (advantages(r[2], team.labels, ADAPTIVE, state=s) for s in (state, read))
        np.testing.assert_array_equal(one.values, other.values)
        assert one.state is not None
        assert other.state is not None
        assert one.state.to_dict() == other.state.to_dict()

    @pytest.mark.parametrize("kind", KINDS)
    def test_missing_rewards_are_as_if_their_rows_were_not_there(self, kind: str) -> None:
        team = uneven(3)
        x = with_gaps(1, np.random.default_rng(0).normal(size=len(team)), 0.2)
        there = ~np.isnan(x)
        got = credit_of(kind, x, team.labels, ADAPTIVE)
        left = team.take(np.flatnonzero(there))
        np.testing.assert_allclose(
            got.values[there], advantages(x[there], left.labels, ADAPTIVE).values, atol=1e-9
        )
        assert (got.values[~there] == 0).all()
        assert got.tally.missing == got.tally.left_out == (~there).sum()


@LAW
@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=20), st.floats(0, 1))
def test_the_price_that_loud_agents_pay_is_bounded(deviations: list[float], power: float) -> None:
    """First-order gain of the weighted return, per length of the step, beside the steepest's."""
    s = np.array(deviations)
    steps = s ** (1 - power)  # of a signal in proportion to the deviation, divided by s^own_scale
    share = (s * steps).sum() / np.sqrt((s**2).sum() * (steps**2).sum())
    q = (s.max() / s.min()) ** power
    assert share >= 2 * np.sqrt(q) / (1 + q) - 1e-12


def rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean()))


def team_of_two(seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """16 prompts x 16 rollouts, in each of which one of two agents acts; rewards are noise."""
    rng, rollout = np.random.default_rng(seed), np.tile(np.arange(16), 16)
    labels = {"prompt": np.repeat(np.arange(16), 16), "rollout": rollout}
    return rng.normal(size=256), {**labels, "agent": rng.integers(0, 2, 256)}


class TestWhatItIsFor:
    def test_labels_that_predict_nothing_cost_nothing(self) -> None:
        """Noise: its advantages are those of the batch's mean, up to the statistics' own noise."""
        differ, cells = [], []
        for seed in range(20):
            x, labels = team_of_two(seed)
            pooled = advantages(x, labels, catalogue()["mappo_pooled"]).values
            differ.append(rms(advantages(x, labels, FORGETS).values - pooled))
            cells.append(rms(advantages(x, labels, catalogue()["agent_wise"]).values - pooled))
        assert np.mean(differ) < 0.12
        assert np.mean(cells) > 0.3  # the twin, which takes groups of eight at their word

    @pytest.mark.parametrize(("own_scale", "wanted"), [(0.0, 100.0), (0.5, 10.0), (1.0, 1.0)])
    def test_own_scale_bounds_how_far_a_quiet_agent_is_raised(
        self, own_scale: float, wanted: float
    ) -> None:
        x, labels = team_of_two(0)
        x = x * np.where(labels["agent"] == 1, 100.0, 1.0)
        values = advantages(x, labels, replace(FORGETS, own_scale=own_scale)).values
        loud, quiet = (rms(values[labels["agent"] == k]) for k in (1, 0))
        assert loud / quiet == pytest.approx(wanted, rel=0.25)

    def test_a_rare_agent_is_compared_with_its_own_past(self) -> None:
        """Called once a batch and paid 5 more: without memory, all of that is its advantage."""
        rng, state = np.random.default_rng(0), None
        agent = np.where(np.arange(64) == 17, "rare", "usual")
        labels = {"prompt": np.arange(64) // 8, "rollout": np.arange(64) % 8, "agent": agent}
        offsets, noise = [], []
        for _ in range(60):
            x = rng.normal(size=64) + 5 * (agent == "rare")
            credit = advantages(x, labels, ADAPTIVE, state=state)
            state = credit.state
            offsets.append(float(credit.values[17]))
            noise.append(float(advantages(x, labels, FORGETS).values[17]))
        assert abs(np.mean(offsets[20:])) < 0.3
        assert np.mean(noise) > 1.5

    def test_memory_follows_a_jump_at_once(self) -> None:
        """The offset of everybody moves by 30: a running mean is wrong for many calls."""
        rng, state, running = np.random.default_rng(0), None, None
        labels = {"prompt": np.arange(64) // 8, "rollout": np.arange(64) % 8, "agent": [0, 1] * 32}
        for call in range(31):
            x = rng.normal(size=64) + 30 * (call == 30)
            ours = advantages(x, labels, ADAPTIVE, state=state)
            theirs = advantages(x, labels, catalogue()["group_reward_decoupled"], state=running)
            state, running = ours.state, theirs.state
        assert abs(ours.values).max() < 4
        assert theirs.values.mean() > 10

    def test_a_single_rollout_has_nothing_to_be_compared_with_until_there_is_a_past(self) -> None:
        labels = {"rollout": [0, 0], "agent": [0, 1]}
        first = advantages([3.0, 1.0], labels, ADAPTIVE)
        np.testing.assert_array_equal(first.values, 0.0)
        assert first.tally.singletons == 1
        second = advantages([7.0, 5.0], labels, ADAPTIVE, state=first.state)
        assert (second.values > 0).all()
        assert second.tally.singletons == 0

    def test_a_prompt_that_pays_everybody_the_same_teaches_nothing(self) -> None:
        labels = {"prompt": [0, 0, 0, 1, 1, 1], "rollout": [0, 1, 2] * 2, "agent": [0] * 6}
        got = advantages([1.0, 1.0, 1.0, 0.0, 1.0, 0.0], labels, ADAPTIVE)
        np.testing.assert_array_equal(got.values[:3], 0.0)
        assert (got.values[3:] != 0).all()
        assert got.tally.constants == 1

    def test_prompts_of_one_rollout_are_compared_with_each_other(self) -> None:
        labels = {"prompt": [0, 1, 2], "rollout": [0, 0, 0], "agent": [0, 0, 0]}
        values = advantages([0.0, 1.0, 5.0], labels, ADAPTIVE).values
        np.testing.assert_allclose(values / values[2], [-2 / 3, -1 / 3, 1], rtol=1e-12)


class TestRefusals:
    def test_rollouts_are_needed_since_each_is_left_out(self) -> None:
        with pytest.raises(LabelError, match="'rollout'"):
            advantages([0.0, 1.0], {"agent": [0, 1]}, ADAPTIVE)

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"scale": "std"}, "go together"),
            ({"memory": "ema"}, "memory='precision'"),
            ({"scale_by": ("prompt", "agent")}, "center_by without prompt"),
            ({"floor": 0.1}, "reads none of"),
            ({"own_scale": 1.5}, "from 0 to 1"),
        ],
    )
    def test_fields_that_would_do_nothing(self, fields: dict[str, Any], message: str) -> None:
        with pytest.raises(SchemeError, match=message):
            replace(ADAPTIVE, **fields)

    @pytest.mark.parametrize("fields", [{"memory": "precision"}, {"own_scale": 0.2}])
    def test_its_fields_without_it(self, fields: dict[str, Any]) -> None:
        with pytest.raises(SchemeError, match="is read"):
            Scheme(**fields)
