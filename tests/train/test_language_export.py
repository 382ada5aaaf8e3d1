"""A trained team in other tools: stock peft, transformers after merging, and llama.cpp's server."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from llama_cpp import llama_server
from made_models import made_model
from test_language_gguf import CONVERSATIONS, assert_same, prompt_of

from counterpoint.cli.main import main
from counterpoint.errors import ModelError, OutputError, RunError, SettingError, UnknownNameError
from counterpoint.lm.adapters import lowest_layer
from counterpoint.lm.gguf_file import write_model
from counterpoint.lm.memory import Memory
from counterpoint.lm.models import load_model, model_problem
from counterpoint.lm.reader import Reader
from counterpoint.runs.directory import RunDirectory
from counterpoint.speakers import Message, Request, Server, ServerSettings
from counterpoint.speakers.local import LocalSpeaker
from counterpoint.train.loop import train_to_end
from counterpoint.train.lora.export import export_run
from counterpoint.train.lora.learner import sample_asks
from counterpoint.train.lora.plan import LanguagePlan, trained_team
from counterpoint.train.lora.settings import LanguageSettings

ANSWERS = ("Blue.\n\nAnd red\n", "grün, 日本!<|im_end|>")
"""Several lines, in which the last token of the opening occurs; and other scripts than Latin."""
FAST = {"prompts": 2, "rollouts": 4, "lr": 0.1, "diagnose_every": 0}
"""A training that changes the adapters much in few updates."""

pytestmark = pytest.mark.filterwarnings(  # peft asks transformers for it
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A folder with a small Llama, as a user has one."""
    folder = tmp_path_factory.mktemp("base")
    model, tokenizer = made_model()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def trained(folder, world, model, budget=4, **settings):
    """A finished run."""
    plan = LanguagePlan(
        world,
        "mappo_pooled",
        model=str(model),
        budget=budget,
        episodes=8,
        world_settings={"most_tokens": 6} if world == "relay" else {},
        language=LanguageSettings(**FAST | settings),
    )
    with RunDirectory.create(folder, plan.config()) as run:
        train_to_end(plan, run=run)
    return folder


@pytest.fixture(scope="module")
def runs(base, tmp_path_factory):
    """Runs by the kind of their adapters, made on demand."""
    root = tmp_path_factory.mktemp("runs")

    def run(kind):
        folder = root / kind
        return folder if folder.exists() else trained(folder, "relay", base, adapter=kind)

    return run


def own_log_probs(learner, agent, messages, answer):
    """[n] of the tokens of an answer, by the forward pass of the training."""
    adapter, model = learner.adapters[agent], learner.models[agent]
    reader = Reader(model, learner.settings.kind, lowest_layer([adapter]))
    pairs = tuple((message["role"], message["content"]) for message in messages)
    with torch.no_grad():
        (prefix,) = reader.prefixes([pairs], [len(answer)], [adapter])
        x = model.embed(torch.tensor([[*prefix.tail, *answer]]))
        with model.adapted([adapter]):
            hidden = model.extend(x, Memory([prefix]))[0, len(prefix.tail) - 1 : -1]
        logits = hidden @ model.unembedding.T
    return logits.log_softmax(dim=1)[range(len(answer)), answer].numpy()


def stock_log_probs(model, tokenizer, messages, answer):
    """[n] of the tokens of an answer, by a model of other people's."""
    prompt = prompt_of(tokenizer, messages)
    tokens = torch.tensor([[*prompt, *answer]])
    with torch.no_grad():
        out = model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits
    logits = out[0, len(prompt) - 1 : -1].float()
    return logits.log_softmax(dim=1)[range(len(answer)), answer].numpy()


def assert_alike(run, agent, stock, base, atol=1e-4):
    """A model of other people's gives the trained log-probabilities, and the base does not."""
    _, learner, _ = trained_team(run)
    bare, tokenizer = load_model(base, dtype="float32")
    for messages in CONVERSATIONS:
        for text in ANSWERS:
            answer = tokenizer.encode(text, add_special_tokens=False)
            wanted = own_log_probs(learner, agent, messages, answer)
            found = stock_log_probs(stock, tokenizer, messages, answer)
            np.testing.assert_allclose(found, wanted, atol=atol, rtol=0)
            other = stock_log_probs(bare, tokenizer, messages, answer)
            assert np.abs(other - wanted).max() > 0.1


@pytest.mark.parametrize("kind", ["plain", "activated"])
def test_stock_peft_loads_an_adapter(kind, runs, base, tmp_path):
    peft = pytest.importorskip("peft")
    exported = export_run(runs(kind), tmp_path)
    assert [(one.agents, one.form, one.adapter) for one in exported] == [
        (["answerer"], "adapter", kind),
        (["planner"], "adapter", kind),
    ]
    for one in exported:
        stock = peft.PeftModel.from_pretrained(load_model(base, dtype="float32")[0], one.folder)
        assert_alike(runs(kind), one.agents[0], stock.eval(), base)


def test_transformers_loads_a_merged_model(runs, base, tmp_path):
    """In 32 bits it is the trained model; in 16 bits it is rounded, and the README says so."""
    (one,) = export_run(runs("plain"), tmp_path, agent="planner", merge=True)
    model, tokenizer = load_model(one.folder)
    assert model.dtype == torch.float32
    assert tokenizer.chat_template == load_model(base)[1].chat_template
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert_alike(runs("plain"), "planner", model, base)
    half = tmp_path / "half"
    (one,) = export_run(runs("plain"), half, agent="planner", merge=True, dtype="float16")
    rounded = load_model(one.folder)[0]
    for name, weight in model.state_dict().items():
        assert torch.equal(rounded.state_dict()[name], weight.half()), name
    readme = (half / "planner" / "merged" / "README.md").read_text()
    assert "merged, float16" in readme


def test_llama_cpp_serves_what_was_exported(runs, base, tmp_path):
    """The merged model, and the adapters beside the base, write what the trained team writes."""
    pytest.importorskip("xllamacpp")
    _, learner, _ = trained_team(runs("plain"))
    model, tokenizer = load_model(base, dtype="float32")
    write_model(model, tokenizer, tmp_path / "base.gguf")
    (merged,) = export_run(runs("plain"), tmp_path, agent="planner", merge=True, gguf=True)
    (alone,) = export_run(runs("plain"), tmp_path, agent="planner", gguf=True)
    (activated,) = export_run(runs("activated"), tmp_path / "a", agent="planner", gguf=True)
    assert (merged.form, alone.form) == ("merged-gguf", "adapter-gguf")
    adapter = learner.adapters["planner"]
    for files in (
        [tmp_path / "planner" / "merged-gguf" / "planner.gguf"],
        [tmp_path / "base.gguf", tmp_path / "planner" / "adapter-gguf" / "planner.gguf"],
    ):
        with llama_server(*files) as server:
            for messages in CONVERSATIONS:
                assert_same(server, model, tokenizer, messages, adapter)
    _, learner, _ = trained_team(runs("activated"))
    adapter, length = learner.adapters["planner"], len(learner.models["planner"].opening)
    with llama_server(tmp_path / "base.gguf", f"{activated.folder}/planner.gguf") as server:
        for messages in CONVERSATIONS:
            start = len(prompt_of(tokenizer, messages)) - length
            assert_same(server, model, tokenizer, messages, adapter, start)


def test_an_agent_is_exported_as_it_is_at_the_newest_checkpoint(runs, tmp_path):
    _, learner, updates = trained_team(runs("plain"))
    export_run(runs("plain"), tmp_path)
    from safetensors.numpy import load_file

    for agent in learner.agents:
        found = load_file(tmp_path / agent / "adapter" / "adapter_model.safetensors")
        for name, wanted in learner.adapters[agent].to_peft().items():
            np.testing.assert_array_equal(found[name], wanted)
        readme = (tmp_path / agent / "adapter" / "README.md").read_text()
        for fact in (f"{updates} of 4", "relay", "mappo_pooled", "plain: acts on every token"):
            assert fact in readme
        met, _ = sample_asks(learner.world, learner.settings, 0)
        prompts = {ask.system for ask in met}
        mine = {ask.system for ask in met if ask.agent == agent}
        assert {text for text in prompts if f"\n    {text}" in readme} == mine


def test_a_readme_names_the_priors_that_are_not_in_the_files(tmp_path):
    trained(tmp_path / "run", "lewis", "tiny", 1, parameters="shared")
    (one,) = export_run(tmp_path / "run")
    assert one.agents == ["listener", "speaker"]
    assert one.folder == str(tmp_path / "run" / "exported" / "shared" / "adapter")
    readme = (tmp_path / "run" / "exported" / "shared" / "adapter" / "README.md").read_text()
    assert "**The priors are not in the files**" in readme
    _, learner, _ = trained_team(tmp_path / "run")
    for (agent, texts), priors in learner.words.priors.items():
        for word, prior in zip(texts, priors.tolist(), strict=True):
            assert f"| {agent} | {word} | {prior:.4f} |" in readme
    assert "last_token: acts from the last token of the prompt on" in readme
    assert "license" not in readme.split("# ")[0]


def test_what_cannot_be_exported_is_refused_in_one_line(runs, tmp_path):
    with pytest.raises(SettingError, match="train with --set adapter=plain") as error:
        export_run(runs("activated"), tmp_path, merge=True)
    assert "\n" not in str(error.value)
    with pytest.raises(SettingError, match="with --gguf alone for llama-server --lora"):
        export_run(runs("activated"), tmp_path, merge=True, gguf=True)
    with pytest.raises(
        SettingError, match=r"adapter=last_token.*; export without --gguf for peft, or"
    ):
        export_run(runs("last_token"), tmp_path, gguf=True)
    with pytest.raises(UnknownNameError, match="planer"):
        export_run(runs("plain"), tmp_path, agent="planer")
    with pytest.raises(SettingError, match="--dtype float16 without --merge"):
        export_run(runs("plain"), tmp_path, dtype="float16")
    with pytest.raises(SettingError, match="--dtype int4"):
        export_run(runs("plain"), tmp_path, merge=True, dtype="int4")
    with pytest.raises(RunError):
        export_run(tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_half_written_stays_and_nothing_is_replaced(runs, base, tmp_path):
    export_run(runs("plain"), tmp_path, agent="planner")
    before = (tmp_path / "planner" / "adapter" / "README.md").read_text()
    with pytest.raises(OutputError, match="which exists"):
        export_run(runs("plain"), tmp_path)
    assert (tmp_path / "planner" / "adapter" / "README.md").read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["planner"]
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="another folder with --out"):
        export_run(runs("plain"), tmp_path / "file")


def test_a_model_that_gguf_does_not_cover_leaves_nothing(tmp_path):
    trained(tmp_path / "run", "lewis", "tiny", 1, adapter="plain")
    with pytest.raises(ModelError, match="a tokenizer that llama"):
        export_run(tmp_path / "run", tmp_path / "out", merge=True, gguf=True)
    assert not list((tmp_path / "out").iterdir())


def test_the_command_writes_and_lists_what_it_wrote(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    run, out = runs("plain"), tmp_path / "out"
    words = ["model", "export", str(run), "--agent", "planner", "--out", str(out)]
    assert main([*words, "--merge", "--gguf", "--dtype", "float16", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["exported"]
    assert one["form"] == "merged-gguf"
    assert one["dtype"] == "float16"
    assert one["bytes"] == sum(
        path.stat().st_size for path in (out / "planner" / "merged-gguf").iterdir()
    )
    assert main(words) == 0
    shown, err = capsys.readouterr()
    assert str(out / "planner" / "adapter") in shown
    assert f"next: read {out / 'planner' / 'adapter' / 'README.md'}" in err
    assert main(["model", "export"]) == 2
    assert "wanted export RUN" in capsys.readouterr().err
    assert main(["model", "list", "--merge"]) == 2
    assert "got --merge with list; wanted it with export" in capsys.readouterr().err


def requests_to(agent):
    return [
        Request(tuple(Message(**one) for one in messages), agent, max_tokens=24, temperature=0.0)
        for messages in CONVERSATIONS
    ]


def asked(server, agent):
    """The greedy answers of a server, by the speaker that asks OpenAI's chat completions."""
    speaker = Server(ServerSettings("exported", server.address + "/v1"))
    replies = speaker.answer(requests_to(agent))
    assert [reply.error for reply in replies] == [None] * len(replies)
    return [reply.text for reply in replies]


def asked_here(learner, agent):
    """The greedy answers of the trained team."""
    speaker = LocalSpeaker(learner.models[agent], learner.adapters, kind=learner.settings.kind)
    return [reply.text for reply in speaker.answer(requests_to(agent))]


@pytest.mark.slow
def test_smollm2_travels(tmp_path):
    """Merged SmolLM2 in transformers (1e-4 in 32 bits) and in llama.cpp (the same greedy text).

    llama.cpp sums in another order: over 30 layers up to 0.0003 nats in 32 bits, 0.01 in 16.
    """
    pytest.importorskip("xllamacpp")
    if model_problem("smollm2"):
        pytest.skip("SmolLM2 is not on this machine")
    run = trained(tmp_path / "run", "lewis", "smollm2", 3, lr=0.02, adapter="plain")
    out = tmp_path / "out"
    (one,) = export_run(run, out, agent="speaker", merge=True, dtype="float32")
    assert_alike(run, "speaker", load_model(one.folder)[0], "smollm2")
    _, learner, _ = trained_team(run)
    model, tokenizer = load_model("smollm2", dtype="float32")
    for dtype, atol in (("float32", 1e-3), ("float16", 0.02)):
        (one,) = export_run(run, out / dtype, agent="speaker", merge=True, gguf=True, dtype=dtype)
        with llama_server(f"{one.folder}/speaker.gguf") as server:
            for messages in CONVERSATIONS:
                adapter = learner.adapters["speaker"]
                assert_same(server, model, tokenizer, messages, adapter, atol=atol)
            assert asked(server, "speaker") == asked_here(learner, "speaker")
