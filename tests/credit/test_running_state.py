"""Running statistics: debiased, explicit, and the same bits after they were saved and restored."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from examples import EXAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st
from random_teams import rewards, scheme, uneven

from counterpoint.credit import PerRole, RunningState, Scheme, advantages, catalogue
from counterpoint.errors import StateError

SEEDS = st.integers(0, 2**32 - 1)
OWN = catalogue()["group_reward_decoupled"]
RUNNING = ["group_reward_decoupled", "spiral_rae", "marshal_style"]


def one_agent(*calls: list[float], scheme: Scheme = OWN) -> RunningState:
    state = None
    for call in calls:
        state = advantages(call, {"agent": ["a"] * len(call)}, scheme, state=state).state
    assert state is not None
    return state


def saved(state: RunningState | None) -> RunningState | None:
    return (
        None if state is None else RunningState.from_dict(json.loads(json.dumps(state.to_dict())))
    )


class TestByHand:
    def test_ema_is_debiased(self) -> None:
        # Decay d = .98. After calls with means 1 and 4: ((1-d) d 1 + (1-d) 4) / (1 - d^2)
        # = (d + 4) / (1 + d). The second moments are 2 and 17, debiased in the same way.
        moments = one_agent([0.0, 2.0], [3.0, 5.0]).center[0]
        mean = (0.98 + 4) / 1.98
        np.testing.assert_allclose(moments.mean, [mean], rtol=1e-15)
        np.testing.assert_allclose(moments.var, [(0.98 * 2 + 17) / 1.98 - mean**2], rtol=1e-14)
        np.testing.assert_array_equal(moments.count, [2])

    def test_welford_is_the_mean_and_variance_of_everything_seen(self) -> None:
        calls = [[0.0, 2.0], [3.0, 5.0, 11.0], [1.0]]
        moments = one_agent(*calls, scheme=catalogue()["marshal_style"]).center[0]
        everything = np.concatenate(calls)
        np.testing.assert_allclose(moments.mean, [everything.mean()], rtol=1e-15)
        np.testing.assert_allclose(moments.var, [everything.var()], rtol=1e-15)
        np.testing.assert_array_equal(moments.count, [6])

    def test_used_before_or_after_the_update(self) -> None:
        late = dataclasses.replace(OWN, scale="none")
        early = dataclasses.replace(late, update="before")
        state, labels = one_agent([0.0, 2.0], scheme=late), {"agent": ["a"]}
        assert advantages([4.0], labels, late, state=state).values[0] == 3.0  # 4 - 1
        mean = (0.98 * 1 + 4) / 1.98
        got = advantages([4.0], labels, early, state=state).values
        np.testing.assert_allclose(got, [4.0 - mean], rtol=1e-14)

    def test_advances_once_a_call_and_group_however_many_rows(self) -> None:
        few, many = one_agent([0.0, 2.0], [3.0]), one_agent([0.0, 2.0] * 50, [3.0] * 9)
        np.testing.assert_allclose(few.center[0].mean, many.center[0].mean, rtol=1e-15)

    def test_a_call_without_samples_changes_nothing(self) -> None:
        before = one_agent([0.0, 2.0])
        after = advantages([np.nan], {"agent": ["a"]}, OWN, state=before).state
        assert after is not None
        assert after.to_dict() == before.to_dict()

    def test_the_old_state_is_still_the_old_state(self) -> None:
        state = one_agent([0.0, 2.0])
        told = copy.deepcopy(state.to_dict())
        advantages([9.0, 11.0], {"agent": ["a", "b"]}, OWN, state=state)
        assert state.to_dict() == told


class TestWhatIsNotKnownYet:
    """A group is counted as cold once a call for its mean, and once more for its deviation."""

    def colds(self, scheme: Scheme, *calls: list[float]) -> list[int]:
        counts, state = [], None
        for call in calls:
            done = advantages(call, {"agent": ["a", "a", "b", "b"]}, scheme, state=state)
            counts.append(done.tally.cold)
            state = done.state
        return counts

    def test_one_grouping_counts_a_new_group_once(self) -> None:
        """Agent b is constant at first: its deviation becomes known in call 2, and is used in 3."""
        got = self.colds(OWN, [0.0, 2.0, 1.0, 1.0], [0.0, 2.0, 0.0, 2.0], [0.0, 2.0, 0.0, 2.0])
        assert got == [2, 1, 0]

    def test_two_groupings_count_theirs(self) -> None:
        apart = dataclasses.replace(OWN, scale_by=(), scale_of="raw")
        assert self.colds(apart, [0.0, 2.0, 1.0, 1.0], [0.0, 2.0, 0.0, 2.0]) == [3, 0]

    def test_a_mean_of_the_call_has_no_memory(self) -> None:
        own = dataclasses.replace(OWN, center="mean")
        assert self.colds(own, [0.0, 2.0, 0.0, 4.0], [0.0, 2.0, 1.0, 1.0]) == [2, 0]

    def test_a_constant_group_uses_what_it_knows(self) -> None:
        """Deviation 1 of call 1; in call 2 agent a is constant at 4, mean 1: (4 - 1) / 1."""
        labels = {"agent": ["a", "a"]}
        first = advantages([0.0, 2.0], labels, OWN)
        then = advantages([4.0, 4.0], labels, OWN, state=first.state)
        np.testing.assert_allclose(then.values, [3.0, 3.0])
        assert then.tally.constants == 0

    def test_a_constant_group_of_unknown_deviation_is_counted(self) -> None:
        labels = {"agent": ["a", "a"]}
        first = advantages([1.0, 1.0], labels, OWN)
        then = advantages([4.0, 4.0], labels, OWN, state=first.state)
        np.testing.assert_array_equal(then.values, [0.0, 0.0])
        assert (first.tally.constants, then.tally.constants) == (1, 1)

    def test_a_state_that_an_older_version_wrote_is_read(self) -> None:
        """Before the variance had a count of its own: as often as the mean where it is known."""
        written = one_agent([0.0, 2.0], [3.0, 5.0]).to_dict()
        for moments in written["center"] + written["scale"]:
            del moments["known"]
        back = RunningState.from_dict(written)
        np.testing.assert_array_equal(back.center[0].known, back.center[0].count)
        written["center"][0]["var"] = [0.0]
        np.testing.assert_array_equal(RunningState.from_dict(written).center[0].known, [1.0])


class TestSavedAndRestored:
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
    @given(SEEDS, SEEDS, SEEDS, st.sampled_from(["ema", "welford"]), st.integers(0, 3))
    def test_continues_bit_for_bit(
        self, structure: int, values: int, point: int, memory: str, stop: int
    ) -> None:
        any_scheme = scheme(point, memory=memory, center="running_mean")
        straight = resumed = None
        for call in range(4):
            team = uneven(structure + call)  # groups come and go
            r = rewards(values + call, len(team))
            one = advantages(r, team.labels, any_scheme, state=straight)
            other = advantages(r, team.labels, any_scheme, state=resumed)
            np.testing.assert_array_equal(one.values, other.values)
            assert one.tally == other.tally
            straight, resumed = one.state, other.state
            if call == stop:
                resumed = saved(resumed)
        assert straight is not None
        assert resumed is not None
        assert straight.to_dict() == resumed.to_dict()

    @pytest.mark.parametrize("names", [["a", "b"], [1, 2], [1.5, 2.5], [True, False]])
    @pytest.mark.parametrize("kind", [list, np.array, lambda v: np.array(v, dtype=object)])
    def test_any_plain_label(self, names: list[Any], kind: Any) -> None:
        labels = {"agent": kind(names * 2)}
        state = advantages([0.0, 1.0, 4.0, 5.0], labels, OWN).state
        again = advantages([1.0, 2.0, 3.0, 4.0], labels, OWN, state=saved(state))
        assert again.tally.cold == 0
        direct = advantages([1.0, 2.0, 3.0, 4.0], labels, OWN, state=state)
        np.testing.assert_array_equal(again.values, direct.values)

    @pytest.mark.parametrize("name", RUNNING)
    def test_every_running_scheme_of_the_catalogue(self, name: str) -> None:
        team, state = uneven(8), None
        for call in range(3):
            r = rewards(call, len(team), (0,))
            got = advantages(r, team.labels, catalogue()[name], state=state)
            restored = advantages(r, team.labels, catalogue()[name], state=saved(state))
            np.testing.assert_array_equal(got.values, restored.values)
            state = got.state


class TestRefused:
    @pytest.mark.parametrize(
        "other",
        [
            catalogue()["spiral_rae"],
            catalogue()["marshal_style"],
            catalogue()["grpo"],
            dataclasses.replace(OWN, center_by=("role",), scale_by=("role",)),
        ],
    )
    def test_of_another_scheme(self, other: Scheme) -> None:
        labels = {"agent": ["a"], "prompt": [0], "rollout": [0]}
        with pytest.raises(StateError, match="wanted"):
            advantages([1.0], labels, other, state=one_agent([0.0, 2.0]))

    def test_of_another_number_of_components(self) -> None:
        each = dataclasses.replace(OWN, components="normalize_first")
        state = advantages([[0.0, 1.0]], {"agent": ["a"]}, each).state
        with pytest.raises(StateError, match="wanted"):
            advantages([[0.0, 1.0, 2.0]], {"agent": ["a"]}, each, state=state)

    @pytest.mark.parametrize(
        "damage",
        [
            lambda d: d.clear(),
            lambda d: d.update(schema="counterpoint.running_state/2"),
            lambda d: d.pop("scale"),
            lambda d: d.update(center=None),
            lambda d: d.update(center_by=3),
            lambda d: d.update(scale=d["scale"] * 2),
            lambda d: d["center"][0].pop("var"),
            lambda d: d["center"][0].update(mean=[float("nan")]),
            lambda d: d["center"][0].update(mean=[float("inf")]),
            lambda d: d["center"][0].update(mean=["x"]),
            lambda d: d["center"][0].update(mean=[0.0, 1.0]),
            lambda d: d["center"][0].update(keys=[["a"], ["a"]]),
            lambda d: d["center"][0].update(keys=[[["a"]]]),
            lambda d: d["center"][0].update(keys=7),
            lambda d: d["center"][0].update(var=[-1.0]),
            lambda d: d["center"][0].update(count=[-1.0]),
            lambda d: d["center"][0].update(count=[0.0]),
            lambda d: d["scale"][0].update(known=[-1.0]),
        ],
    )
    def test_damaged(self, damage: Any) -> None:
        told = one_agent([0.0, 2.0]).to_dict()
        damage(told)
        with pytest.raises(StateError):
            RunningState.from_dict(told)

    @pytest.mark.parametrize(
        ("damage", "said"),
        [
            (
                lambda d: d.update(schema="x/1"),
                "got running state 'x/1'; wanted 'counterpoint.running_state/1'",
            ),
            (
                lambda d: d.pop("memory"),
                "got running state that cannot be read (KeyError('memory'))",
            ),
            (lambda d: d["scale"].clear(), "got running state of 1 centers, 0 scales"),
            (
                lambda d: d["center"][0].update(mean=[]),
                "got running state with values that are not one finite number a group",
            ),
            (
                lambda d: d["center"][0].update(var=[-1.0]),
                "got running state with a group twice, without samples, or with a variance or a "
                "count below 0",
            ),
        ],
    )
    def test_what_is_damaged_is_said(self, damage: Any, said: str) -> None:
        written = one_agent([0.0, 2.0]).to_dict()
        damage(written)
        with pytest.raises(StateError) as refused:
            RunningState.from_dict(written)
        assert str(refused.value) == said

    def test_whose_state_was_wanted_is_said(self) -> None:
        with pytest.raises(StateError) as refused:
            advantages([1.0], {"agent": ["a"]}, catalogue()["spiral_rae"], state=one_agent([0.0]))
        assert str(refused.value) == (
            "got running state of (memory, center_by, scale_by, columns) = "
            "('ema', ('agent',), ('agent',), 1); wanted "
            "('ema', ('role', 'context'), ('role', 'context'), 1): pass the state that this scheme "
            "returned, or None to start anew"
        )

    @pytest.mark.parametrize("what", [None, [], 7, "state"])
    def test_not_a_dict(self, what: Any) -> None:
        with pytest.raises(StateError):
            RunningState.from_dict(what)


def test_a_call_without_rows_keeps_the_state_of_every_role():
    """No row has a role, so that no scheme is called; the next call goes on where the last was."""
    per = PerRole({"a": catalogue()["group_reward_decoupled"]}, default=Scheme())
    labels = {"agent": ["a", "b", "a", "b"]}
    state = advantages([1.0, 2.0, 3.0, 4.0], labels, per).state
    nothing = advantages([], {"agent": []}, per, state=state)
    assert len(nothing.values) == 0
    first = advantages([2.0, 2.0, 4.0, 4.0], labels, per, state=nothing.state)
    assert (first.values == advantages([2.0, 2.0, 4.0, 4.0], labels, per, state=state).values).all()
    assert advantages([], {"agent": []}, per).state is None
