"""Ids of labels at the edges: where they are made dense, empty columns, unknown values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from counterpoint.credit import labels
from counterpoint.credit.labels import Labels, factorize
from counterpoint.credit.segments import NUMPY
from counterpoint.errors import LabelError


@pytest.mark.parametrize(
    ("prompt", "context", "ids", "n"),
    [
        # 257 x 4 = 1028 = 2 rows x 2 + 1024 combinations at most: ids are 4 x prompt + context
        ([0, 256], [3, 0], [3, 1024], 1028),
        # 343 x 3 = 1029 are too many: 3 x prompt + context is 2 and 1026, which start from 0 again
        ([0, 342], [2, 0], [0, 1024], 1025),
    ],
)
def test_combinations_are_made_dense_where_there_are_many(
    prompt: list, context: list, ids: list, n: int
) -> None:
    found = Labels({"prompt": prompt, "context": context}, 2, NUMPY).ids(("prompt", "context"))
    assert (found.ids.tolist(), found.n) == (ids, n)


@pytest.mark.parametrize("kind", [list, tuple])
def test_texts_that_differ_in_a_last_nul_are_two_labels(kind: type) -> None:
    found = Labels({"agent": kind(["a", "a\0", "a", "a\0"])}, 4, NUMPY).groups(("agent",))
    assert (found.ids.tolist(), found.n) == ([0, 1, 0, 1], 2)


def test_no_label_is_one_group() -> None:
    found = Labels({}, 3, NUMPY).ids(())
    assert (found.ids.tolist(), found.n) == ([0, 0, 0], 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64, object, "U3", "M8[D]", bool])
def test_ids_of_no_rows_are_whole_numbers_too(dtype: Any) -> None:
    ids, n = factorize(np.array([], dtype=dtype))
    assert (ids.dtype, ids.shape, n) == (np.int64, (0,), 0)


def test_the_first_number_beyond_a_whole_one() -> None:
    ids, n = factorize(np.full(2, 2**63, dtype=np.uint64))
    assert (ids.tolist(), n) == ([0, 0], 1)


@pytest.mark.parametrize("column", [3, np.array(3), "a"])
def test_one_value_is_no_column(column: Any) -> None:
    with pytest.raises(LabelError) as refused:
        Labels({"agent": column}, 1, NUMPY)
    assert str(refused.value) == (
        "got label 'agent' of shape () for 1 rows of rewards; wanted shape (1,)"
    )


def test_ids_go_where_the_rewards_are() -> None:
    there = replace(NUMPY, beside=lambda array: ("beside the rewards", array.tolist()))
    found = Labels({"agent": ["b", "a", "b"]}, 3, there).groups(("agent",))
    assert (found.ids, found.n) == (("beside the rewards", [1, 0, 1]), 2)


class Unknown(np.ndarray):
    """A column whose values may not be looked at while groups are made."""


class TestUnknownValues:
    """What `jax.jit` leads to, with NumPy in the place of the three steps that JAX does."""

    ROWS = 4

    @pytest.fixture(autouse=True)
    def steps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def ids(column: Any, rows: int) -> Any:
            assert (type(column), rows) == (Unknown, self.ROWS)
            return np.unique(np.asarray(column), return_inverse=True)[1]

        def pairs(one: Any, other: Any, rows: int) -> Any:
            assert rows == self.ROWS
            return ids((np.asarray(one) * 100 + np.asarray(other)).view(Unknown), rows)

        def places(speaker: Any, n: int, rows: int) -> Any:
            assert (n, rows) == (self.ROWS, self.ROWS)
            return np.array([sum(speaker[:i] == speaker[i]) for i in range(rows)])

        monkeypatch.setattr(labels, "is_traced", lambda array: type(array) is Unknown)
        monkeypatch.setattr(labels, "traced_ids", ids)
        monkeypatch.setattr(labels, "traced_pairs", pairs)
        monkeypatch.setattr(labels, "traced_places", places)

    def table(self, **known: list) -> Labels:
        agent = np.array([7, 5, 7, 5]).view(Unknown)
        nowhere = replace(NUMPY, beside=lambda array: pytest.fail("ids are there already"))
        return Labels({"agent": agent, **known}, self.ROWS, nowhere)

    def test_one_label(self) -> None:
        found = self.table().groups(("agent",))
        assert (found.ids.tolist(), found.n) == ([1, 0, 1, 0], 4)  # as many ids as rows

    def test_two_labels_of_which_one_is_known(self) -> None:
        found = self.table(prompt=[3, 3, 4, 3]).groups(("prompt", "agent"))
        assert (found.ids.tolist(), found.n) == ([1, 0, 2, 0], 4)

    def test_the_default_turn(self) -> None:
        found = self.table(rollout=[0, 0, 0, 1]).groups(("turn",))
        assert found.ids.tolist() == [0, 0, 1, 0]

    def test_known_labels_alone_are_told_from_unknown_ones(self) -> None:
        assert self.table().traced
        assert not Labels({"agent": [7, 5, 7, 5]}, self.ROWS, NUMPY).traced
