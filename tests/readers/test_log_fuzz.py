"""Whatever the bytes, a reader returns decisions or raises our error."""

import io
import json
import os
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.errors import CounterpointError
from counterpoint.readers import LogWarning, read_decisions
from counterpoint.records import Decisions

pytestmark = pytest.mark.fault("R9")

EXAMPLES = int(os.environ.get("COUNTERPOINT_EXAMPLES", "50"))

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.sampled_from([10**400, "NaN", "Infinity", "\ud800", "0"]),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=3), v, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(
    ("prompt", "prompt_id", "rollout", "agent", "reward", "rewards", "step", "turn", "role",
     "context", "action", "answer", "other", "uid", "score", "completion", "advantage", "accuracy",
     "trajectories", "traces", "episode_id", "task", 'a "name"')
)  # fmt: skip
good = st.fixed_dictionaries(
    {"prompt": st.integers(0, 2), "rollout": st.integers(0, 2), "agent": st.sampled_from("ab"),
     "reward": st.floats(-5, 5)},
    optional={"step": st.integers(0, 2), "turn": st.integers(0, 2)},
)  # fmt: skip
foreign = st.dictionaries(names, st.one_of(values, st.lists(st.dictionaries(names, scalars))))
records = st.one_of(good, foreign, st.builds(dict.__or__, good, st.dictionaries(names, values)))
texts = st.one_of(records.map(json.dumps), st.text(max_size=20), values.map(json.dumps))
cells = st.one_of(st.text(max_size=6), st.integers().map(str), st.sampled_from(["", "nan", '"']))
headers = st.lists(names | st.sampled_from(["reward.x", "rewards.y", ""]), max_size=6)


def outcome(data, columns=None):
    """Decisions, or our error in one line; anything else is a failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LogWarning)
        try:
            found = read_decisions(io.BytesIO(data), columns)
        except CounterpointError as error:
            found = error
    if isinstance(found, CounterpointError):
        assert "\n" not in str(found)
    else:
        assert isinstance(found, Decisions)
        assert len(found) > 0


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(texts, max_size=5), st.sampled_from(["\n", "\r\n", ""]), st.integers(0, 60))
def test_lines_of_json(lines, end, cut):
    data = "\n".join(lines).encode(errors="surrogatepass") + end.encode()
    outcome(data[: len(data) - cut % (len(data) + 1)] if cut % 3 == 0 else data)


@settings(max_examples=EXAMPLES, deadline=None)
@given(headers, st.lists(st.lists(cells, max_size=6), max_size=5), st.sampled_from(",;\t"))
def test_tables(header, rows, comma):
    text = "\n".join(comma.join(row) for row in [header, *rows]) + "\n"
    outcome(text.encode(errors="replace"))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", b"PK\x03\x04", b"{", b"prompt,"]))
def test_bytes(data, head):
    outcome(head + data)


mappings = st.dictionaries(
    names, st.sampled_from(("prompt", "agent", "reward", "rewards.x", "step", "ignore", "what"))
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(records.map(json.dumps), max_size=4), mappings)
def test_lines_under_a_mapping(lines, mapping):
    outcome("\n".join(lines).encode(), mapping)
