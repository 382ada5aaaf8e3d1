"""Free text of a training that a real llama.cpp server writes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("openai")

from language_teams import settings, weights
from llama_cpp import llama_server, restarted_server
from made_models import made_model

from counterpoint.errors import ModelError
from counterpoint.lm.gguf_file import write_model
from counterpoint.lm.model import LanguageModel
from counterpoint.runs.directory import RunDirectory
from counterpoint.train.loop import train_to_end
from counterpoint.train.lora.learner import LanguageLearner
from counterpoint.train.lora.plan import LanguagePlan
from counterpoint.train.lora.words import WritingTeam
from counterpoint.worlds import find_world
from counterpoint.worlds.text.world import Prompt

ASKS = [
    Prompt(agent, "You are brief.", f"Which word is number {n}?", most_tokens=4)
    for agent in ("answerer", "planner")
    for n in range(12)
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small model of random numbers: its folder, and its GGUF file."""
    folder = tmp_path_factory.mktemp("made")
    model, tokenizer = made_model()
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    write_model(model, tokenizer, folder / "base.gguf")
    return folder / "model", folder / "base.gguf"


def llama_learner(address, command, **more):
    """A learner of a small model whose adapters are as after some training."""
    world = find_world("relay").make({"most_tokens": 4})
    told = settings(
        world,
        **{
            "server": address, "handover": "llamacpp", "handover_command": command,
            "server_seconds": 60, "server_together": 1, "layers": 2, **more,
        },
    )  # fmt: skip
    learner = LanguageLearner(LanguageModel(*made_model(), "made"), world, "grpo", told, 0, 10)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name in sorted(learner.own):
            for up in learner.own[name].up.values():
                up.normal_(0, 0.2, generator=generator)
    return learner


@pytest.mark.few(1)
@pytest.mark.parametrize("kind", ["plain", "activated"])
def test_llama_cpp_writes_what_we_write_with_our_log_probabilities(kind, made, tmp_path):
    """At temperature 0.001 its text is ours, agent by agent, and its numbers are within 1e-3.

    Answers with a token that is a part of a character are left out: llama.cpp does not say it.
    """
    pytest.importorskip("xllamacpp")
    with restarted_server(made[1], tmp_path) as (address, command):
        learner = llama_learner(address, command, temperature=0.001, adapter=kind)
        team = learner.served
        team.folder = tmp_path
        local = WritingTeam(learner.models, learner.adapters, learner.settings)
        ours = local.write(ASKS, np.random.default_rng(0))
        team.hand_over(learner.own, 0)
        theirs = team.write(ASKS, np.random.default_rng(0))
        # Without the adapters, or with the other agent's, it writes something else.
        team._fields = dict.fromkeys(team._fields, team._fields["planner"])
        crossed = team.write(ASKS, np.random.default_rng(0))
    known = [i for i, text in enumerate(theirs) if not text.respelled]
    assert {ASKS[i].agent for i in known} == {"answerer", "planner"}
    for i in known:
        assert theirs[i].tokens == ours[i].tokens
        assert len(theirs[i].gaps) == len(theirs[i].tokens)
        assert np.abs(theirs[i].gaps).max() < 1e-3
        np.testing.assert_allclose(theirs[i].log_probs, ours[i].log_probs, atol=1e-3)
    wrong = [text for ask, text in zip(ASKS, crossed, strict=True) if ask.agent == "answerer"]
    gaps = np.concatenate([text.gaps for text in wrong])
    assert np.abs(gaps).mean() > 0.02  # the planted fault is seen where the agents differ


def test_stale_adapters_are_seen_in_the_gap(made, tmp_path):
    """A bare server and adapters that have moved: the metric says so, and does not without."""
    pytest.importorskip("xllamacpp")
    with llama_server(made[1]) as server:
        told = {"handover": "none", "handover_command": "", "prompts": 2, "rollouts": 4}
        learner = llama_learner(f"{server.address}/v1", "", **told, temperature=1.0)
        _, stale = learner.update()
        for adapter in learner.own.values():
            with torch.no_grad():
                for up in adapter.up.values():
                    up.zero_()
        _, fresh = learner.update()
    for agent in learner.agents:
        assert fresh[f"server_gap.{agent}"] < 1e-3 < 0.02 < stale[f"server_gap.{agent}"]


@pytest.mark.slow
def test_a_training_by_llama_cpp_moves_with_a_gap_of_zero(made, tmp_path):
    pytest.importorskip("xllamacpp")
    with restarted_server(made[1], tmp_path) as (address, command):
        plan = LanguagePlan(
            "relay", "mappo_per_agent", model=str(made[0]), seed=1, budget=3, episodes=4,
            world_settings={"most_tokens": 4},
            language=settings(
                find_world("relay").make({}), server=address, handover="llamacpp",
                handover_command=command, rollouts=4, lr=0.02, layers=2, server_seconds=60,
                server_together=1,
            ),
        )  # fmt: skip
        run = RunDirectory.create(tmp_path / "run", plan.config())
        with run:
            team = plan.trainer()
            before = weights(team.learner)
            done = train_to_end(plan, run=run, team=team)
    after = weights(team.learner)
    assert all(before[name] != after[name] for name in before)
    for row in done.rows:
        gaps = [x for name, x in row.metrics.items() if name.startswith("server_gap.")]
        assert len(gaps) == 2
        assert max(gaps) < 1e-3
    assert sorted(path.name for path in (run.path / "handover" / "update-3").iterdir()) == [
        "answerer-3.gguf",
        "planner-3.gguf",
    ]
    assert done.finished


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("false", "status 1"),
        ("/no/such/program", "No such file"),
        ("sh -c 'sleep 30'", "no end within 0.5 seconds"),
        ("true", "to serve answerer-0.gguf, planner-0.gguf"),
    ],
)
def test_a_command_that_brings_no_server_is_one_line(command, message, tmp_path):
    learner = llama_learner("http://127.0.0.1:9/v1", command, server_seconds=0.5)
    learner.served.folder = tmp_path
    with pytest.raises(ModelError) as error:
        learner.served.hand_over(learner.own, 0)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
