"""The line that a command ends with can be copied from where it stands."""

import json
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from counterpoint.cli.results import first_step
from counterpoint.readers.names import WRITERS
from counterpoint.records import TRAINERS
from counterpoint.report.next_steps import IN_TRAINERS, next_steps, with_scheme
from counterpoint.results import read_result
from counterpoint.worlds.registry import find_world

SAVED = Path(__file__).parents[1] / "data" / "saved"
KINDS = ("comparison", "comparison_steps", "comparison_text")


def read(name):
    return read_result(json.loads((SAVED / f"{name}.json").read_text("utf-8")))


def test_more_seeds_go_on_in_the_same_folder(monkeypatch):
    undecided = [one for one in map(read, KINDS) if one.decision.seeds_needed]
    assert undecided
    result = replace(undecided[0], world="mine:Tug")
    monkeypatch.setenv("PYTHONPATH", "my code")
    line = first_step(result, Path("my results"))
    assert line.startswith("PYTHONPATH='my code' counterpoint compare ")
    assert line.endswith("--out 'my results'")
    monkeypatch.delenv("PYTHONPATH")
    assert first_step(undecided[0]).startswith("counterpoint compare ")


def test_a_sequential_environment_is_not_sent_to_trl():
    in_steps, in_text = (with_scheme("happo_per_agent", flag)[0].line for flag in (True, False))
    assert "credit_callback('happo_per_agent')" in in_steps
    assert "with_credit(GRPOTrainer, 'happo_per_agent')" in in_text


@pytest.mark.parametrize("trainer", [*IN_TRAINERS, ""])
def test_a_diagnosis_goes_on_in_the_trainer_whose_log_it_is(trainer):
    result = read("diagnosis")
    assert result.recommended
    result = replace(result, config={**result.config, "trainer": trainer} if trainer else {})
    first, second = (step.line for step in next_steps(result))
    own = f"credit = advantages(rewards, labels, scheme_named({result.recommended!r}))"
    assert (second if trainer else first) == own
    if trainer:
        assert first == IN_TRAINERS[trainer].format(result.recommended)
        assert ("with_credit(GRPOTrainer" in first) == (trainer == "TRL")


def test_every_trainer_whose_log_is_known_has_a_line():
    assert {*TRAINERS} == {*IN_TRAINERS}
    assert {*WRITERS} < {*TRAINERS}


def test_a_comparison_of_language_models_goes_on_with_a_training_of_ours():
    result = read("comparison_text")
    better = {"low": 0.1, "high": 0.3, "iqm": 0.2, "mean": 0.2, "p": 1e-4}
    ((name, old),) = result.differences.items()
    change = {name: replace(old, **better)}
    config = {"policy": "my model", "budget": 30, "given": {"rollouts": "8", "title": "a b"}}
    result = replace(result, seeds=list(range(10)), differences=change, config=config)
    train, trl, _ = (step.line for step in next_steps(result))
    assert train == (
        f"counterpoint train {result.world} --scheme {name} --policy 'my model' "
        "--budget 30 --set rollouts=8 'title=a b'"
    )
    assert trl.startswith(f"trainer = with_credit(GRPOTrainer, {name!r})")


@pytest.mark.parametrize(("module", "line"), [("PIL", "pillow"), ("termcolor", "termcolor")])
def test_what_an_environment_needs_is_named_as_pip_names_it(tmp_path, monkeypatch, module, line):
    if module == "PIL":
        monkeypatch.setitem(sys.modules, "PIL", None)
    (tmp_path / "rooms.py").write_text(f"import {module}.parts\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Exception, match=f"do pip install {line}$"):
        find_world("rooms:Room").describe()
    sys.modules.pop("rooms", None)
