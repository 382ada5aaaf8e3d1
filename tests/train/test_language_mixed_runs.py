"""Runs of a team with several base models: plans, resuming, and what other tools get of them."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_models import made_model
from test_language_export import ANSWERS, CONVERSATIONS, own_log_probs, stock_log_probs
from transformers import AutoConfig, AutoModelForCausalLM

from counterpoint.cli.main import main
from counterpoint.errors import ModelError, SettingError
from counterpoint.lm.models import load_model
from counterpoint.lm.tiny import tiny_model
from counterpoint.report.next_steps import next_steps
from counterpoint.runs.directory import RunDirectory
from counterpoint.train.loop import train_to_end
from counterpoint.train.lora.chat import TrainedTeam
from counterpoint.train.lora.export import export_run
from counterpoint.train.lora.plan import LanguagePlan, trained_team
from counterpoint.train.lora.writers import open_team_models
from counterpoint.train.result import training_result
from counterpoint.train.session import plan_from_config, plan_of

FAST = {
    "prompts": 2,
    "rollouts": 4,
    "lr": 0.1,
    "most_tokens": 5,
    "adapter": "plain",
    "diagnose_every": 0,
}
WORDS = [f"{name}={value}" for name, value in FAST.items()]

pytestmark = pytest.mark.filterwarnings(  # peft asks transformers for it
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a space in its name, with small models in it."""
    folder = tmp_path_factory.mktemp("mixed") / "my models"
    for name, family in (("small qwen", "qwen3"), ("llama", "llama-untied")):
        model, tokenizer = made_model(family)
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return folder


@pytest.fixture(scope="module")
def run(folder):
    """A finished run: the planner has a made model, the answerer the tiny one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COUNTERPOINT_HOME", str(folder / "home"))
        patch.chdir(folder)
        words = ["train", "relay", "--budget", "3", "--out", "my run", "--set", *WORDS]
        assert main([*words, "models=planner:small qwen"]) == 0
    return folder / "my run"


def planned(folder, text, world="relay", model=None, **given):
    settings = {**(FAST if world == "relay" else {}), **given, "models": text}
    return plan_of(world, "mappo_pooled", budget=2, given=settings, model=model)


def test_a_plan_names_the_model_of_each_agent(folder, monkeypatch):
    monkeypatch.chdir(folder)
    whole = str(folder / "llama")
    plan = planned(folder, "judge:tiny, first:llama", "debate", "small qwen")
    world = plan.make_world()
    assert plan.language.models == f"judge:tiny,first:{whole}"
    others = {name: str(folder / "small qwen") for name in world.agents}
    assert plan.models(world) == others | {"judge": "tiny", "first": whole}
    assert plan_from_config(json.loads(json.dumps(plan.config()))) == plan
    # an agent's own goes before that of its role
    plan = planned(folder, "debater:llama,first:tiny,judge:tiny", "debate")
    named = plan.models(world)
    assert (named["first"], named["judge"], plan.model) == ("tiny", "tiny", "tiny")
    assert {named[name] for name in named if name not in ("first", "judge")} == {whole}
    assert plan.differences(planned(folder, "debater:llama,judge:tiny", "debate", "llama")) == {
        "model": ("tiny", whole),
        "models": (f"debater:{whole},first:tiny,judge:tiny", f"debater:{whole},judge:tiny"),
    }


def test_models_of_all_agents_need_no_policy(folder, monkeypatch):
    monkeypatch.chdir(folder)
    plan = planned(folder, "planner:llama,answerer:small qwen")
    assert plan.model == str(folder / "small qwen")  # of the first agent by name
    assert (plan.language.layers, plan.language.targets) == (10, "attention")  # as all are alike
    assert planned(folder, "planner:llama,answerer:tiny").language.layers == 0  # each has its own
    free = {"budget": None, "given": {**FAST, "models": "planner:llama"}, "model": "tiny"}
    assert plan_of("relay", "mappo_pooled", **free).budget == 100


@pytest.mark.parametrize(
    ("text", "more", "error", "message"),
    [
        ("plannr:tiny", {}, SettingError, r"got models 'plannr'.*planner"),
        ("planner", {}, SettingError, r"got models 'planner'; wanted agent:model"),
        ("planner:tiny,planner:llama", {}, SettingError, r"'planner' with two values in models"),
        ("planner:tiny, planner:tiny", {}, SettingError, r"with 'planner' twice; wanted each name"),
        ("planner:nowhere/model", {}, ModelError, r"nowhere/model': there is no such folder"),
        ("planner:./nowhere", {}, ModelError, r"got model './nowhere'; wanted a folder"),
        (
            "planner:llama,answerer:llama", {"model": "tiny"}, SettingError,
            r"got --policy tiny, which no agent has: .* wanted an agent less in it, or no --policy",
        ),
        ("planner:llama", {"parameters": "shared"}, SettingError, r"got parameters=shared and"),
        (
            "planner:llama", {"server": "http://127.0.0.1:9/v1", "handover": "none"},
            SettingError, r"got server=http://127.0.0.1:9/v1 and agents with different models",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line_before_a_model_is_opened(
    text, more, error, message, folder, monkeypatch
):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(error, match=message) as raised:
        planned(folder, text, **more)
    assert "\n" not in str(raised.value)


def test_a_comma_in_the_path_of_a_folder_is_refused(folder, monkeypatch):
    other = folder / "a, b"
    shutil.copytree(folder / "llama", other)
    monkeypatch.chdir(other)
    with pytest.raises(SettingError, match=r"wanted a path without a comma") as raised:
        planned(folder, "planner:.")
    assert "\n" not in str(raised.value)


def test_what_needs_one_model_is_free_to_one_that_is_named_twice(folder, monkeypatch):
    monkeypatch.chdir(folder)
    whole = str(folder / "llama")
    for text, policy in (("planner:tiny", "tiny"), ("planner:./llama,answerer:llama", None)):
        plan = planned(folder, text, model=policy, parameters="shared")
        models = plan.models(plan.make_world())
        assert set(models.values()) == {"tiny" if policy else whole}
        settings = replace(plan.language, template="loud:true")
        opened = open_team_models(models, settings)
        assert opened["planner"] is opened["answerer"]
        assert opened["planner"].template.arguments == {"loud": True}


def finished(folder, plan, stop_after=None):
    """What a training leaves: its series without the clock, and its adapters."""
    rows = []
    with RunDirectory.create(folder, plan.config()) as run:
        stop = (lambda: len(rows) >= stop_after) if stop_after else (lambda: False)
        train_to_end(plan, run=run, on_row=rows.append, should_stop=stop)
    if stop_after:
        again = plan_from_config(json.loads((folder / "run.json").read_text())["config"])
        with RunDirectory.open(folder) as run:
            train_to_end(again, run=run)
    return left_by(folder)


def left_by(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    series = [{name: x for name, x in line.items() if name != "seconds"} for line in lines]
    files = {
        path.relative_to(folder): path.read_bytes()
        for path in sorted((folder / "adapters").rglob("*.*"))
    }
    return series, files


def test_the_same_model_named_twice_is_a_team_with_one_model_bit_for_bit(tmp_path):
    for world in ("relay", "lewis"):
        agents = ("planner", "answerer") if world == "relay" else ("speaker", "listener")
        one = planned(None, "", world)
        twice = planned(None, ",".join(f"{name}:tiny" for name in agents), world)
        assert twice.models(twice.make_world()) == dict.fromkeys(sorted(agents), "tiny")
        plans = [replace(plan, episodes=8) for plan in (one, twice)]
        left = [finished(tmp_path / f"{world}-{i}", plan) for i, plan in enumerate(plans)]
        assert left[0] == left[1]


def test_a_run_that_was_stopped_goes_on_the_same(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    plan = replace(planned(folder, "planner:llama"), budget=3, episodes=8)
    straight = finished(tmp_path / "straight", plan)
    assert finished(tmp_path / "stopped", plan, stop_after=1) == straight
    bases = {
        name: json.loads(straight[1][path])["base_model_name_or_path"]
        for path in straight[1]
        for name in ("planner", "answerer")
        if path.name == "adapter_config.json" and name in path.parts
    }
    assert bases == {"planner": str(folder / "llama"), "answerer": "tiny"}


def test_another_model_in_the_folder_of_one_is_one_line(folder, tmp_path, monkeypatch):
    """The planner's folder holds a smaller model now; the answerer's model is the same."""
    monkeypatch.chdir(folder)
    shutil.copytree(folder / "llama", tmp_path / "base")
    plan = replace(planned(folder, f"planner:{tmp_path / 'base'}"), budget=1, episodes=8)
    plan = replace(plan, model_files=None)  # as runs are that began before they had hashes
    finished(tmp_path / "run", plan)
    config = AutoConfig.from_pretrained(tmp_path / "base")
    config.num_hidden_layers = 2
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "base")
    place = re.escape(str(tmp_path / "base"))
    with pytest.raises(
        ModelError, match=rf"got adapter planner .* that {place} has room"
    ) as raised:
        trained_team(tmp_path / "run")
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_two_processes_give_the_same_bits(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    given = {"together": 3, "rows": 3, "adapter": "activated", "diagnose_every": 1}
    plans = [
        replace(planned(folder, "planner:small qwen", **given, processes=n), episodes=8)
        for n in (1, 2)
    ]
    one, two = (finished(tmp_path / f"{i}", plan) for i, plan in enumerate(plans))
    assert one == two


# what other tools, and people, get of it


def test_each_adapter_loads_in_stock_peft_with_its_own_base(run, folder, tmp_path):
    peft = pytest.importorskip("peft")
    _, learner, _ = trained_team(run)
    made = str(folder / "small qwen")
    exported = {one.agents[0]: one for one in export_run(run, tmp_path)}
    assert {name: one.model for name, one in exported.items()} == {
        "answerer": "tiny", "planner": made,
    }  # fmt: skip
    for name, one in exported.items():
        stock, tokenizer = (
            tiny_model() if one.model == "tiny" else load_model(made, dtype="float32")
        )
        bare = stock_log_probs(stock.eval(), tokenizer, CONVERSATIONS[0], [5, 6, 7])
        loaded = peft.PeftModel.from_pretrained(stock, one.folder).eval()
        for messages in CONVERSATIONS:
            for text in ANSWERS:
                answer = tokenizer.encode(text, add_special_tokens=False)
                wanted = own_log_probs(learner, name, messages, answer)
                found = stock_log_probs(loaded, tokenizer, messages, answer)
                np.testing.assert_allclose(found, wanted, atol=1e-4, rtol=0)
        other = stock_log_probs(loaded, tokenizer, CONVERSATIONS[0], [5, 6, 7])
        assert np.abs(other - bare).max() > 0.01
        card = (tmp_path / name / "adapter" / "README.md").read_text()
        assert f"| base model | {one.model} |" in card


def test_each_merged_model_is_of_its_own_base(run, folder, tmp_path):
    exported = export_run(run, tmp_path, merge=True, dtype="float32")
    sizes = {}
    for one in exported:
        model, tokenizer = load_model(one.folder)
        sizes[one.agents[0]] = (type(model).__name__, model.get_input_embeddings().num_embeddings)
        _, learner, _ = trained_team(run)
        (name,) = one.agents
        answer = tokenizer.encode("Blue", add_special_tokens=False)
        with torch.no_grad():
            wanted = own_log_probs(learner, name, CONVERSATIONS[0], answer)
            found = stock_log_probs(model, tokenizer, CONVERSATIONS[0], answer)
        np.testing.assert_allclose(found, wanted, atol=1e-4, rtol=0)
    assert sizes["answerer"][0] == "LlamaForCausalLM"
    assert sizes["planner"][0] == "Qwen3ForCausalLM"
    assert sizes["answerer"][1] != sizes["planner"][1]


def test_the_export_of_a_command_names_each_base(run, folder, tmp_path, capsys):
    assert main(["model", "export", str(run), "--out", str(tmp_path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {one["agents"][0]: one["model"] for one in document["exported"]} == {
        "answerer": "tiny", "planner": str(folder / "small qwen"),
    }  # fmt: skip


def test_chat_names_the_model_of_each_agent_and_both_answer(run, folder, capsys):
    words = ["chat", str(run), "--episodes", "1", "--ask", "planner: What?", "--ask"]
    assert main([*words, "answerer: What?"]) == 0
    out, err = capsys.readouterr()
    assert f"relay: answerer on tiny; planner on {folder / 'small qwen'}, trained by 3 upd" in err
    spoken = [line.partition(": ")[0].strip() for line in out.splitlines() if ": " in line]
    assert [*spoken[:3], *spoken[-3:]] == [
        "planner", "answerer", "task", "planner to answerer", "answerer", "success",
    ]  # fmt: skip


def test_a_word_has_the_chances_in_chat_that_the_agent_was_trained_to(
    folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(folder)
    plan = planned(folder, "listener:llama", "lewis", prompts=4, rollouts=8, lr=0.05)
    finished(tmp_path / "run", replace(plan, episodes=8))
    team = TrainedTeam(tmp_path / "run")
    words = team.learner.words
    assert team.learner.models["listener"].name == str(folder / "llama")
    for agent, ask in team._asks.items():
        with torch.no_grad():
            (row,) = words.rows_of([ask])
        shown = team.ask(agent, ask.user).words
        assert tuple(shown) == ask.words
        np.testing.assert_allclose(list(shown.values()), words.probs[row], atol=1e-5)
    assert sorted(team._asks) == ["listener", "speaker"]


def test_the_page_names_the_model_of_each_agent(run, folder):
    assert main(["report", str(run)]) == 0
    page = (run / "report.html").read_text()
    assert f"planner:{folder / 'small qwen'}" in page
    result = training_result(run)
    named = f"planner:{folder / 'small qwen'}"
    assert (result.config["model"], result.config["language"]["models"]) == ("tiny", named)
    # the comparison that it suggests is of the same models
    (step,) = next_steps(result)
    words = shlex.split(step.line)
    assert f"models={named}" in words
    assert words[words.index("--policy") + 1] == "tiny"


def test_an_estimate_counts_each_model_once(folder, monkeypatch):
    monkeypatch.chdir(folder)
    given = {"prompts": 2, "rollouts": 2}
    alone = {
        name: planned(folder, "", "debate", name, **given).estimate()
        for name in ("tiny", "small qwen")
    }
    both = planned(folder, "debater:small qwen", "debate", "tiny", **given).estimate()
    assert both.parameters == sum(one.parameters for one in alone.values())
    assert both.most_tokens == min(one.most_tokens for one in alone.values())
    assert both.prompts == alone["tiny"].prompts
    parts = both.reading_seconds, both.writing_seconds, both.learning_seconds
    assert both.seconds == pytest.approx(sum(parts), abs=0.01)
    written = planned(folder, "planner:small qwen", **given).estimate()
    assert min(written.reading_seconds, written.writing_seconds, written.learning_seconds) > 0


def test_plans_of_before_have_one_model():
    plan = planned(None, "")
    config = json.loads(json.dumps(plan.config()))
    del config["language"]["models"]
    assert LanguagePlan.from_config(config) == plan
