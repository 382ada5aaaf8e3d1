"""What an update says of each agent's answers, and where a run shows it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from language_teams import often_ending, small_learner, small_plan
from plain_forward import plain_text_log_probs, stock

from counterpoint.cli.progress import TrainingDisplay
from counterpoint.lm.generate import Text
from counterpoint.lm.model import open_model
from counterpoint.report import render
from counterpoint.report.terminal.parts import training_parts
from counterpoint.results import encode
from counterpoint.results.training import cut_off_sentence, mostly_cut_off
from counterpoint.train.lora.answers import answer_metrics
from counterpoint.train.lora.episodes import Answer, PlayedBatch
from counterpoint.train.result import training_result, training_summary
from counterpoint.train.session import begin_run
from counterpoint.worlds.text.world import Prompt

END = 2


def batch_of(rows):
    """A batch of answers of the agents by number: tokens with their log-probabilities, or None for
    a choice."""
    answers = [
        Answer("x", (0, 0) if tokens is None else Text(None, tokens, np.array(nats)))
        for _, tokens, nats in rows
    ]
    return PlayedBatch(
        tasks=[], messages=[], success=np.zeros(0), rewards=np.zeros((len(rows), 1)),
        asks=[Prompt("abc"[k], "", "") for k, _, _ in rows], answers=answers,
        columns={"agent": np.array([k for k, _, _ in rows])}, episode=np.arange(len(rows)),
    )  # fmt: skip


def ends(agents):
    """The tokens that end the answers of each agent."""
    return dict.fromkeys(agents, frozenset([END]))


def test_the_numbers_of_answers_by_hand():
    """a writes 3 answers, of which one is cut off, and chooses once; b chooses; c does nothing."""
    played = batch_of([
        (0, (7, 8, END), [-1.0, -1.0, -1.0]),
        (0, (7, 8, 9, 9), [-2.0, -2.0, -2.0, -2.0]),
        (1, None, None),
        (0, (END,), [-0.5]),
        (0, None, None),
    ])  # fmt: skip
    bare = {0: np.array([-2.0, -1.0, 0.0]), 3: np.array([-0.5])}
    found = answer_metrics(played, ends("abc"), bare)
    # d = -1, 0, 1 in the first answer, and 0 in the last one: e^d - d - 1
    kl = (math.exp(-1) + (math.e - 2)) / 4
    assert found == {
        "decisions.a": 4.0,
        "answer_tokens.a": pytest.approx(8 / 3),
        "cut_off.a": pytest.approx(1 / 3),
        "bare_kl.a": pytest.approx(kl),
        "decisions.b": 1.0,
        "decisions.c": 0.0,
    }
    same = {0: np.array([-1.0, -1.0, -1.0]) + 1e-7, 3: np.array([-0.5])}  # 5e-15: rounding
    assert answer_metrics(played, ends("a"), same)["bare_kl.a"] == 0.0
    assert "bare_kl.a" not in answer_metrics(played, ends("abc"), {})
    other = {"a": frozenset([9]), "b": frozenset([END])}  # the model of a ends its answers with 9
    assert answer_metrics(played, other, {})["cut_off.a"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("kl", [0.0, 0.2])
def test_the_divergence_is_that_of_the_plain_forward_pass(kl):
    """Of all answers if the loss has it, else of one in two: 32 answers, 16 of them in a pass."""
    learner = small_learner("relay", kl=kl, temperature=0.8)
    for seed, adam in enumerate(learner.adams.values()):
        chance = torch.Generator().manual_seed(seed)
        adam.weights.add_(torch.randn(adam.weights.shape, generator=chance), alpha=0.03)
    played, metrics = learner.update()
    assert len(played.answers) == 32
    plain = stock()
    for name in learner.agents:
        mine = [i for i, ask in enumerate(played.asks) if ask.agent == name]
        total, count = 0.0, 0
        for i in mine if kl else mine[::2]:
            ask, text = played.asks[i], played.answers[i].handle
            with torch.no_grad():
                bare = plain_text_log_probs(plain, ask, None, text.tokens, 0.8)
            gaps = bare.numpy() - text.log_probs
            total, count = total + float((np.exp(gaps) - gaps - 1).sum()), count + len(gaps)
        assert total / count > 1e-3
        assert metrics[f"bare_kl.{name}"] == pytest.approx(total / count, rel=1e-3)


def test_an_answer_that_ends_at_the_limit_is_not_cut_off(monkeypatch):
    """The token that ends it may be the last one that there is room for."""
    often_ending(open_model("tiny"), monkeypatch)
    learner = small_learner("relay")
    played, metrics = learner.update()
    texts = [a.handle for a in played.answers if a.handle is not None]
    full = [text for text in texts if len(text.tokens) == 3]
    ended = [text for text in full if text.tokens[-1] in learner.models["planner"].end_tokens]
    assert 0 < len(ended) < len(full) < len(texts)
    cut = sum(metrics[f"cut_off.{name}"] for name in learner.agents) / 2
    assert cut == pytest.approx((len(full) - len(ended)) / len(texts))


# a team that is mostly cut off


def test_a_team_that_is_cut_off_is_told_what_to_change():
    """Of the last ten updates, above half: a planted failure beside its clean twin."""
    curve = {"cut_off.writer": [0.0] * 5 + [0.9] * 10, "cut_off.reader": [1.0] * 5 + [0.5] * 10}
    assert mostly_cut_off(curve) == {"writer": pytest.approx(0.9)}
    assert "90% of writer's" in cut_off_sentence(curve)
    assert "raise most_tokens" in cut_off_sentence(curve)
    assert cut_off_sentence({"cut_off.reader": [1.0] * 5 + [0.5] * 10}) == ""
    assert cut_off_sentence({"cut_off.reader": [None], "gradient.reader": [1.0]}) == ""
    assert mostly_cut_off({"cut_off.b.c": [None, 1.0]}) == {"b.c": 1.0}


@pytest.mark.parametrize("ends", [False, True])
def test_a_run_shows_its_answers_in_series_summary_terminal_and_page(tmp_path, monkeypatch, ends):
    monkeypatch.setenv("COUNTERPOINT_HOME", str(tmp_path / "home"))
    if ends:
        often_ending(open_model("tiny", "cpu", "float32"), monkeypatch)  # the one of the plan
    shown = TrainingDisplay("relay", 4)
    session = begin_run(small_plan("relay"), tmp_path / "run", shown.add)
    warned = [note for note in session.notes if "cut off at their limit" in note]
    last = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    summary = training_summary(tmp_path / "run")
    numbers = {
        name: last[f"{name}.planner"]
        for name in ("decisions", "answer_tokens", "cut_off", "bare_kl")
    }
    assert summary.answers["planner"] == numbers
    assert numbers["decisions"] == 16.0
    result = training_result(tmp_path / "run")
    document = json.loads(encode(result))
    for name, value in numbers.items():
        assert document["curve"][f"{name}.planner"][-1] == value
    page = render(result)
    rows = {str(row[0]): str(row[1]) for row in training_parts(result)[0].rows}
    assert f"{numbers['cut_off']:.0%} cut off, " in rows["answers of planner"]
    assert rows["answers of planner"].startswith("16 decisions, ")
    assert "Tokens of an answer" in page
    assert "Length of answers" in page
    state = shown.parts(shown.row)[-1]
    if ends:
        assert warned == []
        assert state == ""
        assert "raise most_tokens" not in page
    else:
        assert "of planner's" in warned[0]
        assert state.startswith("cut off: ")
        assert "raise most_tokens" in page


def test_a_team_that_only_chooses_has_its_decisions_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("COUNTERPOINT_HOME", str(tmp_path / "home"))
    begin_run(small_plan("lewis"), tmp_path / "run")
    summary = training_summary(tmp_path / "run")
    assert summary.answers == {"listener": {"decisions": 16.0}, "speaker": {"decisions": 16.0}}
    result = training_result(tmp_path / "run")
    assert result.curve["decisions.speaker"] == [16.0] * 4
    page = render(result)
    assert "Answers of each agent" in page
    assert "Length of answers" not in page
    assert "Tokens of an answer" not in page.partition('id="h-method"')[0]
