"""Free text over processes: results are those of one process, and who died is named."""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from language_teams import make_short, small_learner, small_plan, trained

from counterpoint.errors import CounterpointError, SettingError, WorkerError
from counterpoint.lm.generate import Text
from counterpoint.lm.memory import Prefix
from counterpoint.runs.remote import Here, InProcess
from counterpoint.train.lora.courier import Courier
from counterpoint.train.lora.estimate import estimate
from counterpoint.train.lora.words import Pass
from counterpoint.train.lora.writers import ShareMaker
from counterpoint.worlds.text.world import Prompt

CASES = {
    "activated": {"adapter": "activated"},
    "several passes": {"adapter": "activated", "epochs": 2, "kl": 0.1, "parameters": "shared"},
    "plain": {"adapter": "plain", "kl": 0.1},
    "last token": {"adapter": "last_token", "loss_normalization": "token"},
}


def team(processes=1, *, inside=False, **changes):
    """A learner whose work is done in several processes, or by copies of its own process's model.

    Parts of 5 answers and passes of 3 do not fit into each other.
    """
    given = {"together": 5, "rows": 3, "rollouts": 4, "executor": "processes", **changes}
    learner = small_learner(make_short("relay"), processes=processes, **given)
    if inside:  # everything is sent as between processes, but no process takes time to start
        writers = learner.writers
        others = [ShareMaker.of(writers.team)() for _ in range(1, processes)]
        writers._hosts = [Here(writers.here), *map(Here, others)]
    return learner


@pytest.mark.few(2)
@pytest.mark.parametrize("case", CASES)
def test_the_work_in_parts_gives_the_same_bits(case):
    alone = trained(team(**CASES[case]), 2)
    split = team(3, inside=True, **CASES[case])
    assert trained(split, 2) == alone
    prompts = [len(courier.prefixes) for courier in split.writers._couriers]
    assert any(prompts) == (CASES[case]["adapter"] != "plain")
    assert trained(team(together=4, **CASES[case]), 2) != alone  # chance is drawn by parts


@pytest.mark.slow
@pytest.mark.parametrize("case", ["activated", "plain"])
def test_processes_give_the_same_bits(case):
    alone = trained(team(**CASES[case]), 3)
    for processes in (2, 3):
        split = team(processes, **CASES[case])
        assert trained(split, 3) == alone
        assert len(multiprocessing.active_children()) == processes - 1
        split.writers.close()
        assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_a_process_that_is_killed_is_named_and_the_training_goes_on_from_before():
    straight = trained(team(), 2)[1]
    learner = team(2)
    trained(learner, 1)
    saved = learner.capture()
    host = learner.writers._hosts[1]
    assert isinstance(host, InProcess)
    os.kill(host._process.pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match=r"process 2 of 2 that write.*SIGKILL.*resume") as error:
        learner.update()
    assert "\n" not in str(error.value)
    assert multiprocessing.active_children() == []
    learner.restore(saved)
    assert trained(learner, 1)[1] == straight
    learner.writers.close()


@pytest.mark.slow
def test_a_ray_cluster_gives_the_same_bits():
    ray = pytest.importorskip("ray")
    split = team(2, executor="ray")
    try:
        assert trained(split, 2)[1] == trained(team(), 2)[1]
        split.writers.close()
    finally:
        ray.shutdown()


def test_an_error_leaves_no_answer_to_be_taken_for_the_next():
    learner = team(2, inside=True)
    long = "a word and " * 5000
    asks = learner.play(learner.rng).asks[:6]
    with pytest.raises(SettingError, match="got a prompt of"):
        learner.writers.write([*asks[:5], replace(asks[5], user=long)], learner.rng)
    assert learner.writers._hosts == []


# which process does what


def text(process):
    prefix = Prefix({}, {}, (1,), torch.zeros(0, 2), 4)
    return Text(prefix, (5,), np.zeros(1), None, process)


def passes(*wrote):
    none = np.zeros(0)
    return [Pass([], [text(process) for process in some], none, none, 1) for some in wrote]


@pytest.mark.parametrize(
    ("wrote", "hands"),
    [
        (([0], [1], [0], [1]), [[0, 2], [1, 3]]),  # each learns from what it wrote
        (([1, 1, 0], [0, 0, 1]), [[1], [0]]),  # from most of it
        (([0], [0], [0], [0]), [[0, 1], [2, 3]]),  # but equally many passes
        (([1], [1], [1]), [[2], [0, 1]]),
        ((), [[], []]),
    ],
)
def test_passes_go_to_the_process_that_wrote_the_answers(wrote, hands):
    assert team(2).writers._dealt(passes(*wrote)) == hands


def test_the_gradient_of_a_pass_is_that_of_its_backward_pass():
    learner = team()
    played = learner.play(learner.rng)
    free = sorted(range(len(played.asks)), key=lambda i: played.asks[i].agent)
    values = np.linspace(-1, 1, len(played.asks))
    for one in learner._passes(played, free, values):
        for adam in learner.adams.values():
            adam.zero()
        found = learner.writing.gradient(one)
        assert set(found) == {ask.agent for ask in one.asks}
        learner.writing.loss(*one).backward()
        for name, adam in learner.adams.items():
            assert torch.equal(found.get(name, torch.zeros_like(adam.gradient)), adam.gradient)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_was_read_of_a_prompt_is_sent_once(dtype):
    rng = torch.Generator().manual_seed(0)
    one, two = (torch.rand(2, 4, 6, generator=rng).to(dtype).mT for _ in range(2))
    below = torch.rand(3, 4, generator=rng).to(dtype).T
    prefix = Prefix({1: one}, {1: two}, (3, 4), one[0], 4)
    texts = [
        Text(prefix, (5, 6, 7), np.array([-0.5, -1.0, -2.0]), below),
        Text(prefix, (8,), np.array([-3.0])),
    ]
    ask = Prompt("a", "be brief", "why?", ())
    like, models = torch.zeros(9, 3, dtype=dtype), {"a": "one model", "b": "another"}
    ours, theirs = (Courier(like, models, prompts=True) for _ in range(2))
    first, second = ours.sent([ask, ask], texts)
    assert (list(first.keys), list(second.keys), second.hidden) == ([1], [], None)
    found = theirs.received([ask, ask], [first, second], 2)
    assert found[0].prefix is found[1].prefix
    assert torch.equal(found[0].prefix.keys[1], one)
    assert torch.equal(found[0].prefix.values[1], two)
    assert torch.equal(found[0].prefix.hidden, one[0])
    assert torch.equal(found[0].hidden, below)
    assert found[1].hidden is None
    assert [text.tokens for text in found] == [(5, 6, 7), (8,)]
    assert found[0].log_probs.tolist() == [-0.5, -1.0, -2.0]
    assert (found[0].process, found[0].prefix.tail, found[0].prefix.length) == (2, (3, 4), 4)
    (back,) = theirs.sent([ask], found[:1])  # it came from there
    assert not back.keys
    assert torch.equal(ours.received([ask], [back], 0)[0].prefix.keys[1], one)
    assert ours.sent([replace(ask, agent="b")], texts[:1])[0].keys  # another model reads it too
    ours.forget()
    theirs.forget()
    assert ours.sent([ask], texts[:1])[0].keys
    plain = Courier(like, models, prompts=False)
    (light,) = plain.received([ask], plain.sent([ask], texts[:1]), 1)
    assert (light.prefix.keys, light.prefix.length) == ({}, 4)


# settings


def test_settings_of_processes_are_checked():
    with pytest.raises(SettingError, match="processes"):
        team(0)
    with pytest.raises(CounterpointError, match="raay"):
        team(2, executor="raay")
    with pytest.raises(SettingError, match="got processes=2 and device=mps; wanted device=cpu"):
        small_plan("relay", language={"processes": 2, "device": "mps"})


def test_the_estimate_has_the_memory_of_all_processes():
    """Peak memory hardly grows between both."""
    one, four = (estimate(team(n)).memory_gb for n in (1, 4))
    assert four == pytest.approx(4 * one, rel=0.15)
