"""Rows of a training: what is written is read back, and what somebody edited counts as missing."""

from __future__ import annotations

import json

import msgspec
import numpy as np

from counterpoint.train.series import (
    AgentRow,
    CollapseVerdict,
    Row,
    TrainingProgress,
    row_from_line,
)

VERDICT = CollapseVerdict(0.25, 0.1, 0.5, None, collapsed=True, cause="DEAD", expected=None)
NUMBERS = {"snr": 1.5, "cosine": None, "kept.signal": [1.0, None]}
ROW = Row(
    step=40,
    update=2,
    episodes=3,
    returned=-2.5,
    metrics={"kl": 0.5, "gradient.a": None},
    normalized=0.75,
    agents={"a": AgentRow(NUMBERS, VERDICT)},
    team={"effective_rank": 1.0},
    seconds=1.25,
)


def test_a_row_is_read_back_as_it_was_written():
    line = ROW.to_line()
    assert list(line) == [
        *("step", "update", "episodes", "return", "kl", "gradient.a", "normalized"),
        *("agents", "team", "seconds"),
    ]
    assert list(line["agents"]["a"]) == [*NUMBERS, *CollapseVerdict._fields]
    assert row_from_line(json.loads(json.dumps(line))) == ROW
    bare = Row(step=20, update=1, episodes=0, returned=None, metrics={}, seconds=0.5)
    assert "agents" not in bare.to_line()
    assert row_from_line(bare.to_line()) == bare


def test_a_number_that_is_not_finite_keeps_its_place_in_a_list():
    """Null in the file, and None when it is read."""
    written = {"step": 1, "agents": {"a": {"kept.signal": [np.nan, 1.0]}}}
    row = row_from_line(msgspec.json.decode(msgspec.json.encode(written)))
    assert row.agents["a"].numbers == {"kept.signal": [None, 1.0]}


def test_values_of_another_type_count_as_missing():
    row = row_from_line({"step": 1, "return": "x", "seconds": True, "kl": [], "agents": {"a": 7}})
    assert (row.returned, row.seconds, row.metrics) == (None, None, {"kl": None})
    assert row.agents == {"a": AgentRow({}, CollapseVerdict(*[None] * 7))}
    assert row_from_line({"step": 1, "agents": 7}).agents is None


def test_progress_names_the_collapsed_agents_of_a_measured_update():
    assert ROW.progress == TrainingProgress(40, -2.5, ("a",))
    assert row_from_line({"step": 1, "return": 2.0}).progress == TrainingProgress(1, 2.0, None)
