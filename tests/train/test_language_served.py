"""Free text of a training that a server writes: tokens, log-probabilities, handover, faults.

vLLM does not run here: `lora_server` speaks its paths.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("openai")

from language_teams import settings, small_learner, small_plan, trained
from lora_server import NATS, lora_server

from counterpoint.cli.main import main
from counterpoint.errors import ModelError, SettingError
from counterpoint.lm.adapters import PREFIX
from counterpoint.lm.generate import log_probs
from counterpoint.lm.memory import Reading
from counterpoint.lm.model import open_model
from counterpoint.results.training import server_sentence
from counterpoint.runs import provenance
from counterpoint.runs.directory import RunDirectory
from counterpoint.speakers.answers import Fault
from counterpoint.speakers.token_server import read_continued
from counterpoint.train.loop import train_to_end
from counterpoint.train.lora.learner import LanguageLearner
from counterpoint.train.lora.plan import trained_team
from counterpoint.train.lora.served import ServedText
from counterpoint.train.session import begin_run
from counterpoint.worlds import find_world
from counterpoint.worlds.text.world import Prompt

ASK = Prompt("answerer", "You are brief.", "Which word is number 0?", most_tokens=4)


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    monkeypatch.setenv("COUNTERPOINT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(provenance, "git_revision", lambda: None)  # would only take time


def decode(tokens):
    return open_model("tiny").tokenizer.decode(tokens, skip_special_tokens=True)


def vllm(server, **more):
    """Settings of a small training with this server."""
    told = {"server": server.url, "handover": "vllm", "rollouts": 4, "server_seconds": 20}
    return {**told, "diagnose_every": 0, **more}


def served_plan(server, *, budget=3, **more):
    return small_plan("relay", budget=budget, episodes=4, language=vllm(server, **more))


# What a server sends.


def read(used=2, **choice):
    usage = {"completion_tokens": used, "prompt_tokens": 5}
    body = json.dumps({"choices": [{"finish_reason": "stop", **choice}], "usage": usage})
    return read_continued("application/json", body.encode())[0]


def test_tokens_are_read_as_vllm_and_as_llama_cpp_say_them():
    logged = {"tokens": ["a", "b"], "token_logprobs": [-0.5, None]}
    found = read(text="ab", token_ids=[7, 8], logprobs=logged, finish_reason="length")
    assert (found.tokens, found.log_probs, found.ended, found.count) == ((7, 8), (-0.5, None), 0, 2)
    rows = [{"id": 7, "logprob": -0.5}, {"id": 8, "logprob": -1}]
    found = read(text="ab", logprobs={"content": rows})
    assert (found.text, found.tokens, found.log_probs) == ("ab", (7, 8), (-0.5, -1.0))
    # llama.cpp leaves out a token that is a part of a character: none of them counts then.
    found = read(text="ab", logprobs={"content": rows[:1]})
    assert (found.text, found.tokens, found.log_probs) == ("ab", None, ())
    # Tokens without as many numbers: the tokens count, the numbers do not.
    found = read(text="ab", token_ids=[7, 8], logprobs={"token_logprobs": [-1.0]})
    assert (found.tokens, found.log_probs) == ((7, 8), ())
    assert read(text="ab", token_ids=[7, -8]).tokens is None
    assert read(text="ab", logprobs=None).tokens is None
    with pytest.raises(Fault):
        read(message={"content": "ab"})


# Settings.


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"server": "http://127.0.0.1:1/v1"}, "without handover; wanted handover=vllm"),
        ({"handover": "vllm"}, "without server=ADDRESS"),
        ({"server_model": "m"}, "without server=ADDRESS"),
        ({"server": "http://127.0.0.1:1/v1", "handover": "llamacpp"}, "handover_command=''"),
        (
            {"server": "http://127.0.0.1:1/v1", "handover": "vllm", "handover_command": "x"},
            "wanted a command with llamacpp",
        ),
        (
            {"server": "http://127.0.0.1:1/v1", "handover": "vllm", "adapter": "activated"},
            "wanted adapter=plain",
        ),
        ({"server": "http://10.0.0.1:1/v1", "handover": "none"}, "over which a key could be read"),
        ({"server": "https://me:secret@h/v1", "handover": "none"}, "with a user, a password"),
    ],
)
def test_settings_that_do_not_fit_are_refused_without_a_secret(given, message):
    with pytest.raises(SettingError) as error:
        settings(find_world("relay").make({}), **given)
    assert message in str(error.value)
    assert "secret" not in str(error.value)


def test_a_world_of_choices_and_a_template_of_one_token_are_refused(monkeypatch):
    served = {"server": "http://127.0.0.1:1/v1", "handover": "none"}
    with pytest.raises(SettingError, match="choose among words"):
        small_plan("lewis", language=served)
    world = find_world("relay").make({})
    told = settings(
        world, **{**served, "handover": "llamacpp"}, handover_command="x", adapter="activated"
    )
    model = open_model("tiny")
    monkeypatch.setattr(model, "opening", model.opening[-1:])
    with pytest.raises(SettingError, match="one token before an answer"):
        LanguageLearner(model, world, "grpo", told, 0, 10)


def test_adapters_of_a_served_team_are_plain_by_default():
    served = {"server": "http://127.0.0.1:1/v1", "handover": "none"}
    world = find_world("relay").make({})
    assert settings(world, **served).adapter == "plain"
    assert settings(world).adapter == "auto"


# What is sent to vLLM, and what is made of its answers. vLLM itself does not run here.


def test_each_update_is_sent_to_vllm_before_anything_is_written_under_it(tmp_path):
    with lora_server(decode) as server:
        plan = served_plan(server)
        run = RunDirectory.create(tmp_path / "run", plan.config())
        with run:
            team = plan.trainer()
            trained_run = train_to_end(plan, run=run, team=team)
    names = ["run.answerer", "run.planner"]
    paths = [path.removeprefix("/v1/") for path, _, _ in server.asked]
    handovers = 4  # before each of three updates, and before the evaluation
    assert paths[:4] == ["unload_lora_adapter", "load_lora_adapter"] * 2
    assert paths.count("load_lora_adapter") == paths.count("unload_lora_adapter") == 2 * handovers
    assert [name for name, _ in server.loaded] == names * handovers
    # What it had loaded at the end is what was saved; the first adapters were the untrained ones.
    for name, last in server.loaded[-2:]:
        own = team.learner.own[name.removeprefix("run.")].to_peft()
        assert own.keys() == last.keys()
        assert all(np.array_equal(own[key], last[key]) for key in own)
    assert all(not x.any() for key, x in server.loaded[0][1].items() if "lora_B" in key)
    assert any(x.any() for key, x in server.loaded[2][1].items() if "lora_B" in key)
    assert [path.name for path in (run.path / "handover").iterdir()] == ["update-3"]
    # An answer is asked for by the tokens of its prompt, under the name of the agent's adapter.
    model = open_model("tiny")
    asked = [body for path, body, _ in server.asked if path == "/v1/completions"]
    first, prompts = asked[:8], {}
    world = plan.make_world()
    for task in world.tasks(np.random.default_rng([1, 0]), 2):
        (ask,) = world.prompts(task, ())
        prompts[model.prompt(ask.messages)] = ask
    assert {tuple(body["prompt"]) for body in first} == set(prompts)
    assert {body["model"] for body in first} == {"run.planner"}
    assert {body["model"] for body in asked} == set(names)
    assert len({body["seed"] for body in asked}) == len(asked) == 4 * 16
    wanted = {
        "temperature": 1.0, "max_tokens": 3, "top_p": 1.0, "top_k": -1, "min_p": 0.0,
        "repetition_penalty": 1.0, "logprobs": 1, "return_token_ids": True,
        "stop_token_ids": sorted(model.end_tokens),
    }  # fmt: skip
    given = {name: first[0][name] for name in first[0] if name not in ("model", "prompt", "seed")}
    assert given == wanted
    # Its numbers are compared with ours, and ours are those of the ratio.
    for row in trained_run.rows:
        for agent in ("answerer", "planner"):
            assert row.metrics[f"server_gap.{agent}"] > 0.1
            assert row.metrics[f"respelled.{agent}"] == row.metrics[f"reworded.{agent}"] == 0
    assert 0 < trained_run.rows[0].metrics["cut_off.planner"] < 1
    curves = {"server_gap.planner": [row.metrics["server_gap.planner"] for row in trained_run.rows]}
    assert "nats a token for planner" in server_sentence(curves)


def test_log_probabilities_are_those_of_the_present_adapters(tmp_path):
    """The gap is the mean of |-2 - log p| by an independent forward pass, at temperature 1."""
    with lora_server(decode) as server:
        learner = small_learner("relay", **vllm(server, temperature=0.7))
        with torch.no_grad():
            for adapter in learner.own.values():
                for up in adapter.up.values():
                    up.normal_(0, 0.3)
        learner.served.folder = tmp_path
        played, metrics = learner.update()
    model = learner.writing.model
    for name, sent in server.loaded:  # the adapters have moved since
        learner.own[name.removeprefix(f"{tmp_path.name}.")].load_state_dict(from_peft(sent))
    for agent in learner.agents:
        gaps = []
        for ask, answer in zip(played.asks, played.answers, strict=True):
            if ask.agent != agent:
                continue
            text, prompt = answer.handle, model.prompt(ask.messages)
            assert isinstance(text, ServedText)
            tokens = torch.tensor(text.tokens)
            with torch.no_grad():
                with model.adapted([learner.own[agent]]):
                    x = model.embed(torch.tensor([[*prompt, *text.tokens[:-1]]]))
                    hidden = whole(model, x)[0, len(prompt) - 1 :]
                for temperature, found in ((0.7, text.log_probs), (1.0, None)):
                    nats = log_probs(hidden, model.unembedding, tokens, temperature).numpy()
                    if found is None:
                        np.testing.assert_allclose(text.gaps, NATS - nats, atol=1e-5)
                        gaps += np.abs(NATS - nats).tolist()
                    else:
                        np.testing.assert_allclose(found, nats, atol=1e-5)
        assert metrics[f"server_gap.{agent}"] == pytest.approx(np.mean(gaps), abs=1e-5)


def from_peft(weights):
    """The state of an adapter, of its weights by peft's names."""
    state = {}
    for key, x in weights.items():
        place, part, _ = key.removeprefix(PREFIX).rsplit(".", 2)
        end = {"lora_A": "down", "lora_B": "up"}[part]
        state[f"{place.replace('.', '_')}_{end}"] = torch.from_numpy(x)
    return state


def whole(model, x):
    """All layers over whole rows, without a memory."""
    return model.inner.norm(model._ahead(x, Reading(), 0, model.depth, ()))


def test_the_ratio_starts_from_our_log_probabilities():
    """With several passes the first has the gradient of a single one: its ratios are 1."""
    with lora_server(decode) as server:
        several, single = (
            small_learner("relay", **vllm(server, epochs=epochs)) for epochs in (2, 1)
        )
        first, second = several.update()[1], single.update()[1]
    for agent in several.agents:
        name = f"gradient.{agent}"
        assert first[name] == pytest.approx(second[name], rel=1e-5)
        assert first[name] > 0


def test_a_server_that_says_no_tokens_is_counted_and_its_text_is_spelled_here():
    with lora_server(decode, says_tokens=False) as server:
        learner = small_learner("relay", **vllm(server))
        played, metrics = learner.update()
    for ask, answer in zip(played.asks, played.answers, strict=True):
        text = answer.handle
        assert text.respelled
        assert not len(text.gaps)
        assert answer.text == decode(
            [t for t in text.tokens if t not in learner.writing.model.end_tokens]
        )
        assert len(text.tokens) <= ask.most_tokens
    for agent in learner.agents:
        assert metrics[f"respelled.{agent}"] == 1
        assert f"server_gap.{agent}" not in metrics
    sentence = server_sentence({f"respelled.{a}": [1.0] for a in learner.agents})
    assert "100% of planner's answers" in sentence
    assert server_sentence({"respelled.planner": [0.0], "server_gap.planner": [0.01]}) == ""


def test_a_text_that_does_not_come_back_is_counted():
    """The world reads what the tokens say; a server that says another text is reported."""
    with lora_server(lambda tokens: decode(tokens) + "?") as server:
        learner = small_learner("relay", **vllm(server))
        played, metrics = learner.update()
    assert all(metrics[f"reworded.{agent}"] == 1 for agent in learner.agents)
    assert not any(answer.text.endswith("?") for answer in played.answers)


def test_tokens_end_at_the_first_end_and_foreign_ones_are_refused():
    with lora_server(decode) as server:
        learner = small_learner("relay", **vllm(server))
    team, ask = learner.served, ASK
    prompt, end = learner.writing.model.prompt(ask.messages), min(learner.writing.model.end_tokens)

    def made(**given):
        return team._text(ask, prompt, read(**given)).tokens

    assert made(text="", token_ids=[end]) == (end,)
    assert made(text="", token_ids=[9, end, 9]) == (9, end)
    assert made(text="", token_ids=[9] * 4, finish_reason="length", used=4) == (9, 9, 9, 9)
    assert made(text="", token_ids=[9, 9]) == (9, 9, team._end)
    assert made(text="", finish_reason="stop") == (team._end,)
    with pytest.raises(ModelError, match="wanted a server of tiny"):
        made(text="", token_ids=[9, 10**6])
    with pytest.raises(ModelError, match="cut off after 2 of 4 tokens"):
        made(text="", token_ids=[9, 9], finish_reason="length")


def test_equal_answers_train_the_same_bit_for_bit():
    with lora_server(decode) as server:
        rows, first = trained(small_learner("relay", **vllm(server)), 2)
        again, second = trained(small_learner("relay", **vllm(server)), 2)
    assert first == second
    assert [row.metrics for row in rows] == [row.metrics for row in again]


UPDATE = 4 + 2 * 4 * 2
"""Requests of an update of that team: its handover, and a note and an answer in each episode."""


@pytest.mark.slow
def test_a_server_that_dies_costs_one_line_and_the_run_goes_on_when_it_is_back(tmp_path, capsys):
    """The resumed run makes the same updates as one that was never interrupted."""
    straight, run = tmp_path / "straight" / "run", tmp_path / "run"
    with lora_server(decode) as server:
        begin_run(served_plan(server, server_seconds=1), straight)
        server.dies_after = len(server.asked) + 2 * UPDATE + 8  # in the third update
        with pytest.raises(ModelError) as error:
            begin_run(served_plan(server, server_seconds=1), run)
        assert "\n" not in str(error.value)
        assert f"from {server.url} (no answer within 1 seconds" in str(error.value)
        assert f"counterpoint resume {run}" in str(error.value)
        assert len((run / "metrics.jsonl").read_text().splitlines()) == 2
        assert main(["resume", str(run)]) == 3
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        assert len([line for line in err.splitlines() if server.url in line]) == 1
        server.dies_after = None
        assert main(["resume", str(run)]) == 0
    rows = [
        [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for folder in (straight, run)
    ]
    for row in (*rows[0], *rows[1]):
        del row["seconds"]
    assert rows[0] == rows[1]
    for agent in ("planner", "answerer"):
        path = f"adapters/{agent}/adapter_model.safetensors"
        assert (straight / path).read_bytes() == (run / path).read_bytes()


def test_vllm_without_loading_is_refused_with_what_to_set(tmp_path):
    with lora_server(decode, loads=False) as server, pytest.raises(ModelError) as error:
        begin_run(served_plan(server), tmp_path / "run")
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1" in str(error.value)
    assert "status 404" in str(error.value)


def test_the_key_is_sent_and_stands_in_no_file(tmp_path, monkeypatch, capsys):
    key, run = "sk-" + "Q7vX2mZ9" * 3, tmp_path / "run"
    monkeypatch.setenv("MY_SERVER", key)
    with lora_server(decode) as server:
        session = begin_run(served_plan(server, budget=1, server_key="MY_SERVER"), run)
    assert main(["report", str(run)]) == 0
    assert {sent for _, _, sent in server.asked} == {f"Bearer {key}"}
    assert key not in "".join(capsys.readouterr())
    files = [path for path in run.rglob("*") if path.is_file()]
    assert not any(key.encode() in path.read_bytes() for path in files)
    page = (run / "report.html").read_text()
    assert "From the server" in page
    assert any("nats a token for planner" in note for note in session.notes)
    assert json.loads((run / "run.json").read_text())["config"]["language"]["server"] == server.url
    # Whoever talks to the team asks no server: it has answered for the last time.
    assert trained_team(run)[1].served is None
