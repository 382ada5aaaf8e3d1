"""Saved trainings, and run directories whose files somebody edited, are read, encoded and drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from mutations import is_shown, mutations, saved, with_value, without

from counterpoint.errors import LogError
from counterpoint.report import render
from counterpoint.report.terminal.parts import training_parts
from counterpoint.results import TrainingResult, encode, read_result
from counterpoint.results.training import AgentSeries, References
from counterpoint.train.result import training_result

NAMES = ("training", "training_language", "training_begun", "training_sides")


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_training_is_read_and_encoded_again(name: str) -> None:
    result = read_result(saved(name))
    assert isinstance(result, TrainingResult)
    assert json.loads(encode(result)) == saved(name)
    assert "<html" in render(result)


@pytest.mark.few(1)
@pytest.mark.parametrize("name", NAMES)
def test_every_single_change_gives_a_page_or_one_line(name: str) -> None:
    assert {is_shown(document) for document in mutations(saved(name))} == {True, False}


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (("curve",), {"return": [1.0]}, r"a list `step` - at `\$.curve`"),
        (("curve", "return"), [1.0], r"one value for each of `step` - at `\$.curve.return`"),
        (("agents", "agent_0", "snr"), [1.0], r"one for each of `step` - at `\$.agents.agent_0"),
        (("agents", "agent_0", "step"), [1.0], r"one for each of `step` - at `\$.agents.agent_0"),
        (("axis",), "hour", r"at `\$.axis`"),
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(at: Any, value: Any, message: str) -> None:
    with pytest.raises(LogError, match=message):
        render(with_value(saved("training"), at, value))


def test_all_agents_are_measured_at_the_same_updates() -> None:
    document = with_value(saved("training_language"), ("agents", "speaker", "step"), [1.0])
    with pytest.raises(LogError, match=r"lists of one length - at `\$.agents`"):
        render(document)


def test_what_may_be_absent_is_drawn_as_nothing() -> None:
    document = saved("training_language")
    for key in document:
        if key not in ("schema", "curve"):
            assert "<html" in render(without(document, (key,)))
    assert "Messages" not in render(without(document, ("talk",)))


def run_of(folder: Path, *rows: object) -> Path:
    """A run directory with these rows of the series."""
    config = {"world": "spread", "scheme": "none", "seed": 3, "budget": 80}
    facts = {"kind": "train", "version": "0.1.0", "config": config}
    (folder / "run.json").write_text(json.dumps(facts), "utf-8")
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return folder


AGENT = {"snr": 0.5, "signal_kept": None, "collapsed": False, "cause": None, "expected": "SPIKY"}


def test_a_run_directory_is_read_as_far_as_it_has_come(tmp_path: Path) -> None:
    first = {"step": 40, "return": -3.5, "seconds": 1.25, "agents": {"a": AGENT}}
    result = training_result(run_of(tmp_path, first, {"step": 80, "return": None}, "torn"))
    assert (result.world, result.scheme, result.seed, result.budget) == ("spread", "none", 3, 80)
    assert (result.axis, result.status, result.step, result.seconds) == (
        "step",
        "stopped",
        80,
        None,
    )
    assert result.damaged_rows == 1
    assert result.curve["return"] == [-3.5, None]
    assert result.curve["kl"] == [None, None]
    assert result.references.reference is not None
    assert result.talk is None
    nothing = [None]
    assert result.agents["a"] == AgentSeries(
        step=[40], snr=[0.5], collapsed=[False], cause=nothing, expected=["SPIKY"],
        **{key: nothing for key in AgentSeries.__struct_fields__[1:14] if key != "snr"},
    )  # fmt: skip
    rows = training_parts(result)[0].rows
    assert [str(row[0]) for row in rows] == ["learning curve", "steps", "a", "collapsed"]
    assert str(rows[-1][1]) == "too few measurements for a verdict"
    assert str(rows[1][1]) == "80 in 0 s, stopped"


def test_values_that_somebody_edited_count_as_missing(tmp_path: Path) -> None:
    edited = {"step": 80, "return": "x", "seconds": True, "agents": {"a": {**AGENT, "snr": []}}}
    lost = {"step": 120, "agents": {"b": 7}}
    result = training_result(
        run_of(
            tmp_path, {"step": 40, "agents": {"a": AGENT}}, edited, lost, {"step": 1, "agents": 7}
        )
    )
    assert result.curve["return"] == [None] * 4
    assert result.seconds is None
    assert list(result.agents) == ["a"]
    assert result.agents["a"].snr == [0.5, None, None]
    assert result.agents["a"].collapsed == [False, False, None]
    assert "<html" in render(result)


def test_a_world_that_cannot_be_made_has_no_references(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    run.joinpath("run.json").write_text('{"kind": "train", "config": {"world": "gone"}}', "utf-8")
    result = training_result(run)
    assert result.references == References()
    assert (result.version, result.curve["step"], result.agents) == ("", [], {})
    assert "No update has been done yet" in render(result)


def test_a_collapsed_agent_is_named_with_its_cause() -> None:
    series = {"signal_kept": 0.25, "signal_kept_low": 0.125, "signal_kept_high": 0.5}
    agent, healthy = (
        AgentSeries(
            step=[40] * 10, collapsed=[state] * 10, cause=[cause] * 10,
            **{k: [v] * 10 for k, v in series.items()},
        )
        for state, cause in ((True, "DROWNED"), (False, None))
    )  # fmt: skip
    result = TrainingResult(
        status="finished", step=40, returned=-2.0, normalized=0.5, curve={"step": [40]},
        agents={"a": agent, "b": healthy}, references=References(random=-3.0),
    )  # fmt: skip
    cells = [str(row[1]) for row in training_parts(result)[0].rows]
    assert cells[0].endswith("no episode ended")
    assert cells[1:4] == ["−2.000", "−3.000", "0.500"]
    assert cells[-3:] == [
        "signal kept 0.25 [0.12, 0.50], collapsed (DROWNED)",
        "signal kept 0.25 [0.12, 0.50]",
        "1 of 2 agents: a (DROWNED)",
    ]
    well = replace(result, agents={"b": healthy}, references=References())
    cells = [str(row[1]) for row in training_parts(well)[0].rows]
    assert cells[-1] == "0 of 1 agents: none at the last measurement"
    assert cells[2] == "not known; counterpoint.worlds.random_return(world) measures it"


def test_the_verdict_about_sides_has_the_points_on_which_it_rests() -> None:
    """45 wins and 12 draws of 100 matches are 0.51 points; their Wilson interval holds 0.5."""
    result = read_result(saved("training_sides"))
    assert isinstance(result, TrainingResult)
    rows = {str(label): str(what) for label, what in training_parts(result)[0].rows}
    assert rows["verdict"] == (
        "The matches cannot tell whether the team beats random actions. The team is worse than its "
        "first self. The verdict is about sampled actions, whose points are 0.510 [0.413, 0.606] "
        "against random actions and 0.400 [0.309, 0.498] against its first self; even is 0.5."
    )
