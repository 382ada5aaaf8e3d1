"""State to bytes and back: bit for bit, the same bytes each time, no memory shared."""

import hashlib
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from counterpoint.errors import CheckpointError, MissingPackageError
from counterpoint.runs.checkpoint import (
    DTYPES,
    arrays_from_bytes,
    arrays_to_bytes,
    facts_from_bytes,
    facts_to_bytes,
)

VALUES = {
    "nan": np.array([np.nan, -np.nan, np.inf, -np.inf, -0.0, 5e-324]),
    "payload": np.array([0x7FF8000000000001], dtype=np.uint64).view(np.float64),
    "scalar": np.array(3.5, dtype=np.float32),
    "empty": np.zeros((0, 3), dtype=np.int64),
    "flags": np.array([[True], [False]]),
    "largest": np.array([2**64 - 1], dtype=np.uint64),
    "a/../b ü": np.arange(6, dtype=np.int8).reshape(1, 2, 3),
    "": np.arange(3, dtype=np.uint16),
}


def same(one, other):
    return (
        one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    )


def test_values_come_back_bit_for_bit():
    back = arrays_from_bytes(arrays_to_bytes(VALUES))
    assert back.keys() == VALUES.keys()
    assert all(same(back[name], array) for name, array in VALUES.items())


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=8).filter(lambda name: name.isprintable()),
        st.sampled_from(DTYPES).flatmap(
            lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=4))
        ),
        max_size=4,
    )
)
def test_any_arrays_come_back_and_their_bytes_are_stable(arrays):
    data = arrays_to_bytes(arrays)
    assert data == arrays_to_bytes(dict(reversed(arrays.items())))
    back = arrays_from_bytes(data)
    assert back.keys() == arrays.keys()
    assert all(same(back[name], array) for name, array in arrays.items())


def test_views_are_written_as_they_read():
    grid = np.arange(24.0).reshape(4, 6)
    views = {"t": grid.T, "step": grid[::2, ::-1], "f": np.asfortranarray(grid)}
    views["big"] = grid.astype(">f8")
    back = arrays_from_bytes(arrays_to_bytes(views))
    assert all(np.array_equal(back[name], view) for name, view in views.items())
    assert back["big"].dtype == np.float64


def test_nothing_is_shared_with_the_bytes_or_between_arrays():
    data = arrays_to_bytes({"a": np.zeros(3), "b": np.zeros(3)})
    before = hashlib.sha256(data).digest()
    back = arrays_from_bytes(data)
    assert not np.shares_memory(back["a"], back["b"])
    back["a"][:] = 7
    assert back["b"].tolist() == [0, 0, 0]
    assert hashlib.sha256(data).digest() == before


@pytest.mark.parametrize(
    "array",
    [
        np.array(["text"]),
        np.array([object()]),
        np.array([1j]),
        np.array(["2026-01-01"], dtype="M8[D]"),
        np.zeros(2, dtype=[("a", "f8")]),
        np.zeros(2, dtype=np.longdouble),
        [1.0, 2.0],
    ],
    ids=lambda array: str(getattr(array, "dtype", "list")),
)
def test_other_types_are_refused_by_name(array):
    with pytest.raises(CheckpointError, match="'weights'"):
        arrays_to_bytes({"weights": array})


def test_a_name_that_the_format_keeps_for_itself_is_refused():
    with pytest.raises(CheckpointError, match="__metadata__"):
        arrays_to_bytes({"__metadata__": np.zeros(1)})
    with pytest.raises(CheckpointError, match="named 3"):
        arrays_to_bytes({3: np.zeros(1)})


def test_states_of_generators_come_back_and_go_on():
    rng = np.random.default_rng(7)
    rng.random(5)
    back = facts_from_bytes(facts_to_bytes({"rng": rng.bit_generator.state}))
    other = np.random.default_rng()
    other.bit_generator.state = back["rng"]
    assert rng.random(100).tolist() == other.random(100).tolist()


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.text(),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.text()
            | st.floats(allow_nan=False, allow_infinity=False),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=8,
        ),
    )
)
def test_facts_come_back_as_they_were(facts):
    assert facts_from_bytes(facts_to_bytes(facts)) == facts


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (float("nan"), "facts.x.y"),
        (float("inf"), "facts.x.y"),
        ({1: 2}, "text keys"),
        (np.zeros(2), "arrays"),
        (object(), "object"),
        (10**5000, "4300"),
    ],
    ids=["nan", "inf", "keys", "array", "object", "digits"],
)
def test_facts_that_json_would_change_are_refused(value, told):
    with pytest.raises(CheckpointError, match=told):
        facts_to_bytes({"x": {"y": value}})


def test_numpy_numbers_are_taken_as_numbers():
    facts = {"n": np.int64(3), "x": np.float32(0.1), "b": np.bool_(True), "t": (1, 2)}
    back = facts_from_bytes(facts_to_bytes(facts))
    assert back == {"n": 3, "x": float(np.float32(0.1)), "b": True, "t": [1, 2]}


@pytest.mark.parametrize("data", [b"", b"[1]", b"\xff", b"{", b"[" * 100_000])
def test_other_bytes_are_our_error(data):
    with pytest.raises(CheckpointError):
        facts_from_bytes(data)
    with pytest.raises(CheckpointError):
        arrays_from_bytes(data)


def test_without_safetensors_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(MissingPackageError, match="pip install"):
        arrays_to_bytes({})
