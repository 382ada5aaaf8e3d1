"""Plays side by side: the model gets one batch a step, and each play its own replies."""

from __future__ import annotations

import time

import numpy as np
import pytest

from counterpoint.speakers.speaker import Message, Reply, Request
from counterpoint.topology.design import TopologyPlan, compare_topologies
from counterpoint.topology.duration import expected_duration
from counterpoint.topology.together import MOST, play_together


class Echo:
    """Repeats what it is asked, and remembers its batches."""

    def __init__(self, fails_at=None):
        self.batches, self.fails_at = [], fails_at

    def answer(self, requests):
        self.batches.append([request.messages[0].content for request in requests])
        if len(self.batches) == self.fails_at:
            raise RuntimeError("the model is gone")
        return [Reply(request.messages[0].content.upper(), 1, 1) for request in requests]


def ask(*texts):
    return [Request((Message("user", text),)) for text in texts]


def talk(name, steps, wait=0.0):
    def play(speaker):
        heard = []
        for step in range(steps):
            time.sleep(wait)
            heard += [reply.text for reply in speaker.answer(ask(*[f"{name}{step}"] * (step + 1)))]
        return heard

    return play


@pytest.mark.parametrize("wait", [0.0, 0.02])
def test_batches_hold_what_all_ask_in_the_order_of_the_plays(wait):
    model, ends = Echo(), []
    played = play_together(
        model, [talk("a", 2, wait), talk("b", 0), talk("c", 3), talk("d", 1, wait)],
        lambda: ends.append(len(model.batches)),
    )  # fmt: skip
    assert played == [["A0", "A1", "A1"], [], ["C0", "C1", "C1", "C2", "C2", "C2"], ["D0"]]
    assert model.batches == [["a0", "c0", "d0"], ["a1", "a1", "c1", "c1"], ["c2", "c2", "c2"]]
    assert ends == [0, 1, 2, 3]


def test_more_plays_than_go_on_at_once():
    model = Echo()
    played = play_together(model, [talk(f"p{i}.", 1) for i in range(MOST + 3)])
    assert played == [[f"P{i}.0"] for i in range(MOST + 3)]
    assert [len(batch) for batch in model.batches] == [MOST, 3]


def test_the_error_of_the_model_ends_all_plays():
    with pytest.raises(RuntimeError, match="gone"):
        play_together(Echo(fails_at=2), [talk("a", 5), talk("b", 5)])


def test_the_error_of_a_play_is_raised_and_ends_the_others():
    def fails(speaker):
        speaker.answer(ask("x"))
        raise ValueError("mistaken")

    model = Echo()
    with pytest.raises(ValueError, match="mistaken"):
        play_together(model, [talk("a", 50), fails])
    assert len(model.batches) < 5


def test_a_signal_ends_the_plays():
    class Interrupted(Echo):
        def answer(self, requests):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play_together(Interrupted(), [talk("a", 5), talk("b", 5)])


def test_the_number_of_requests_is_known_before(monkeypatch):
    plan = TopologyPlan("hidden_profile", ("solo", "chain", "complete"), ("facts", "naive"),
                        seeds=2, items=3, orders=2, model="echo")  # fmt: skip
    model = Echo()
    monkeypatch.setattr("counterpoint.topology.design.open_speaker", lambda *names: model)
    duration = expected_duration(plan)
    assert duration.seconds is not None
    tried = sum(map(len, model.batches))
    compare_topologies(plan)
    assert sum(map(len, model.batches)) - tried == duration.requests
    few = expected_duration(TopologyPlan("hidden_profile", ("solo",), ("facts",), seeds=2, items=1,
                                         orders=1, model="echo"))  # fmt: skip
    assert few.seconds is None
    # each of 4 members alone, 4 answers of one with everything, and one of the only member
    assert few.requests == 2 * (4 + 4 + 1)
    assert np.isfinite(duration.seconds)
