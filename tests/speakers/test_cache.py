"""Answers that are remembered: which, by whom, and what becomes of them when things go wrong."""

from __future__ import annotations

import contextlib
import json
import pickle
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cache_worker import ASK, Signs

from counterpoint.speakers import Cached, Message, RandomWord, Reply, Request, Scripted
from counterpoint.speakers.cache import request_key
from counterpoint.testing import check_speaker

FLIPS = 60
FACTS = {"model": "m", "base_url": "http://localhost/v1"}


class Counts:
    """A new answer at each call, and what it was asked."""

    facts = FACTS

    def __init__(self):
        self.asked = []

    def answer(self, requests):
        self.asked += [request.seed for request in requests]
        start = len(self.asked) - len(requests)
        texts = [f"answer {start + i}" for i in range(len(requests))]
        return [Reply(text, 10, 2, 0.5, 0.1) for text in texts]


class StopsWorking(Counts):
    """Fails from the nth request on."""

    def __init__(self, after):
        super().__init__()
        self.after = after

    def answer(self, requests):
        replies = super().answer(requests)
        left = self.after - (len(self.asked) - len(requests))
        lost = Reply("", 0, 0, 0.0, error="gone")
        return [reply if i < left else lost for i, reply in enumerate(replies)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "cache.sqlite"


def ask(*seeds, **more):
    return [Request(ASK, seed=seed, **more) for seed in seeds]


def cached_at(path, speaker=None, warn=pytest.fail):
    return Cached(speaker or Counts(), path, warn=warn)


def test_what_was_said_is_said_again_without_asking(path):
    first = cached_at(path).answer(ask(1, 2))
    speaker = Counts()
    later = cached_at(path, speaker)
    again = later.answer(ask(2, 3, 1))
    assert [reply.text for reply in again] == ["answer 1", "answer 0", "answer 0"]
    assert speaker.asked == [3]
    assert [reply.cached for reply in again] == [True, False, True]
    assert again[2] == replace(first[0], cost_dollars=0.0, seconds=0.0, tries=0, cached=True)
    assert (later.hits, later.misses, later.passed) == (2, 1, 0)


def test_samples_without_a_seed_stay_samples(path):
    speaker = Counts()
    cached = cached_at(path, speaker)
    texts = [reply.text for _ in range(2) for reply in cached.answer(ask(None, None))]
    assert len(set(texts)) == 4
    assert (cached.hits, cached.misses, cached.passed) == (0, 0, 4)
    assert not path.exists()


def test_temperature_zero_needs_no_seed(path):
    cached = cached_at(path)
    texts = [cached.answer(ask(None, temperature=heat))[0].text for heat in (0.0, 0, -0.0)]
    assert texts == ["answer 0"] * 3


def test_what_is_asked_twice_in_a_batch_is_asked_and_paid_once(path):
    speaker = Counts()
    cached = cached_at(path, speaker)
    replies = cached.answer(ask(1, 2, 1, None, 1))
    assert speaker.asked == [1, 2, None]
    assert [reply.text[-1] for reply in replies] == list("01020")
    assert [reply.cost_dollars for reply in replies] == [0.5, 0.5, 0.0, 0.5, 0.0]
    assert (cached.hits, cached.misses, cached.passed) == (2, 2, 1)


def test_errors_are_not_remembered(path):
    broken = cached_at(path, StopsWorking(after=1))
    replies = broken.answer(ask(1, 2, 2))
    assert [reply.error for reply in replies] == [None, "gone", "gone"]
    assert [reply.cached for reply in replies] == [False] * 3
    speaker = Counts()
    assert cached_at(path, speaker).answer(ask(1, 2))[1].text == "answer 0"
    assert speaker.asked == [2]


def test_unknown_counts_stay_unknown(path):
    class Vague(Counts):
        def answer(self, requests):
            return [Reply("well", None, 3, None) for _ in requests]

    for cached in (False, True):
        (reply,) = cached_at(path, Vague()).answer(ask(1))
        assert (reply.cached, reply.prompt_tokens, reply.completion_tokens) == (cached, None, 3)


def test_everything_that_decides_the_text_is_in_the_key_and_nothing_else():
    base = Request(ASK, "a", ("x", "y"), 10, 0.5, 7)
    others = [
        replace(base, messages=(*ASK, *ASK)),
        replace(base, messages=(Message("system", "Choose."),)),
        replace(base, messages=(Message("user", "Choose"),)),
        replace(base, words=None),
        replace(base, words=("y", "x")),
        replace(base, max_tokens=11),
        replace(base, temperature=0.6),
        replace(base, seed=8),
        replace(base, seed=None),
    ]
    keys = {request_key(FACTS, request) for request in (base, *others)}
    keys |= {request_key(FACTS | {"model": "n"}, base), request_key(FACTS | {"base_url": ""}, base)}
    assert len(keys) == len(others) + 3
    assert request_key(FACTS, replace(base, agent="b")) == request_key(FACTS, base)
    assert all(len(key) == 64 for key in keys)


def test_it_keeps_what_a_speaker_promises(tmp_path):
    class Named(RandomWord):
        facts = FACTS

    files = iter(range(99))
    check_speaker(lambda: cached_at(tmp_path / f"{next(files)}", Named(3)))
    check_speaker(lambda: cached_at(tmp_path / "shared", Named(3)))


def test_it_can_go_to_another_process():
    assert pickle.dumps(Cached(Counts(), Path("cache.sqlite")))


def test_the_file_is_in_wal_mode(path):
    cached_at(path).answer(ask(1))
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


# --- many at once -------------------------------------------------------------------------------


def start(path, name, *arguments):
    worker = Path(__file__).with_name("cache_worker.py")
    command = [sys.executable, str(worker), str(path), name, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_many_processes_and_threads_share_one_file(path):
    running = [start(path, f"p{i}", 10 * i, 100) for i in range(4)]
    told = [json.loads(process.communicate(timeout=60)[0]) for process in running]
    assert [part["said"] for part in told] == [[]] * 4
    (reply,) = {len(part["got"]) for part in told}
    assert reply == 100
    speaker = Signs("nobody")
    kept = cached_at(path, speaker).answer(ask(*range(130)))
    assert all(reply.cached for reply in kept)
    for part in told:
        for seed, text in part["got"].items():
            assert text.split()[1] == seed
        assert sum(part["counts"]) == 100


@pytest.mark.parametrize("together", [False, True])
def test_a_damaged_file_is_set_aside_once_by_however_many(path, together):
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 1000)
    if together:
        running = [start(path, f"p{i}", 10 * i, 50) for i in range(3)]
        told = [json.loads(process.communicate(timeout=60)[0])["said"] for process in running]
    else:
        told = [[]]
        cached_at(path, Signs("p"), told[0].append).answer(ask(1))
    (said,) = [line for part in told for line in part]
    assert said == f"{path} was damaged; it is cache.sqlite.damaged-1 now, and begun anew"
    (aside,) = path.parent.glob("*damaged*")
    assert aside.read_bytes().startswith(b"no database at all")
    assert cached_at(path, Signs("nobody")).answer(ask(1))[0].cached


def test_nothing_that_was_acknowledged_is_lost_by_kills(path):
    kept = {}
    for i in range(5):
        process = start(path, f"p{i}", 0, 0, "forever")
        for _ in range(3 + 7 * i):
            for seed, text in json.loads(process.stdout.readline()).items():
                assert kept.setdefault(seed, text) == text
        process.kill()
        process.communicate()
    replies = cached_at(path, Signs("nobody")).answer(ask(*map(int, kept)))
    assert [reply.text for reply in replies] == list(kept.values())
    assert len({text.split()[0] for text in kept.values()}) == 5


# --- damage and trouble -------------------------------------------------------------------------


def test_a_flipped_bit_is_found_and_never_said(path, tmp_path):
    seeds = range(40)
    cached_at(path, Signs("original")).answer(ask(*seeds))
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    seen: Counter[str] = Counter()
    for i in range(FLIPS):
        data = bytearray(whole)
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        spoiled, said = tmp_path / f"spoiled-{i}", []
        spoiled.write_bytes(data)
        for reply, seed in zip(
            cached_at(spoiled, Signs("new"), said.append).answer(ask(*seeds)), seeds, strict=True
        ):
            seen[reply.text.removesuffix(f" {seed}")] += 1
        again = cached_at(spoiled, Signs("newer"), said.append).answer(ask(*seeds))
        assert all(reply.text.split()[0] in ("original", "new", "newer") for reply in again)
    assert set(seen) == {"original", "new"}


def test_an_answer_that_was_changed_is_asked_for_again(path):
    cached_at(path, Signs("old")).answer(ask(1, 2))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE replies SET said = replace(said, 'old 1', 'odd 1')")
    said = []
    replies = cached_at(path, Signs("new"), said.append).answer(ask(1, 2))
    assert [reply.text for reply in replies] == ["new 1", "old 2"]
    assert said == [f"1 damaged answers in {path} are asked for again"]
    assert cached_at(path, Signs("nobody")).answer(ask(1))[0].text == "new 1"


def no_folder(path):
    path.parent.write_text("a file where a folder is wanted")


def a_folder(path):
    path.mkdir(parents=True)


def from_later(path):
    cached_at(path).answer(ask(1))
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version=99")


def held(path):
    path.parent.mkdir()
    database = sqlite3.connect(path, check_same_thread=False)
    database.execute("BEGIN EXCLUSIVE")
    return database


@pytest.mark.parametrize("trouble", [no_folder, a_folder, from_later, held])
def test_a_file_that_cannot_be_used_is_said_once_and_everybody_is_asked(path, trouble, monkeypatch):
    monkeypatch.setattr("counterpoint.speakers.cache._WAIT_SECONDS", 0.1)
    holder, said = trouble(path), []
    cached = cached_at(path, warn=said.append)
    texts = [reply.text for _ in range(2) for reply in cached.answer(ask(1, 2))]
    assert texts == [f"answer {i}" for i in range(4)]
    (line,) = said
    assert line.startswith(f"answers are not remembered: {path} cannot be used (")
    assert list(path.parent.glob("*damaged*")) == []
    if holder:
        holder.close()


def test_a_full_disk_costs_the_memory_and_no_answer(path, monkeypatch):
    cached_at(path).answer(ask(1))
    before = sqlite3.connect

    def small(*arguments, **more):
        database = before(*arguments, **more)
        database.execute("PRAGMA max_page_count=3")
        return database

    monkeypatch.setattr(sqlite3, "connect", small)
    said = []
    cached = cached_at(path, Scripted(lambda request: "x" * 9000), warn=said.append)
    cached.speaker.facts = FACTS
    assert [reply.text for reply in cached.answer(ask(1, 2))] == ["answer 0", "x" * 9000]
    assert "full" in said[0]
    monkeypatch.undo()
    assert [reply.cached for reply in cached_at(path).answer(ask(1, 2))] == [True, False]


@pytest.mark.timed
def test_a_thousand_answers_take_no_time(path):
    requests = ask(*range(1000))
    cached_at(path).answer(requests)
    begun = time.monotonic()
    replies = cached_at(path).answer(requests)
    assert all(reply.cached for reply in replies)
    assert time.monotonic() - begun < 1


def test_a_file_of_another_kind_is_left_as_it_is(path):
    path = path.with_name("mine.jsonl")
    path.parent.mkdir(exist_ok=True)
    path.write_text('{"agent": "a"}\n')
    said = []
    assert cached_at(path, Signs("p"), said.append).answer(ask(1))[0].error is None
    assert path.read_text() == '{"agent": "a"}\n'
    assert said == [
        f"answers are not remembered: {path} cannot be used (it is no cache of answers; wanted "
        "another name)"
    ]


@pytest.mark.parametrize("version", [0, 1, 7])
def test_a_database_of_another_program_is_left_as_it_is(path, version):
    path.parent.mkdir(exist_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE users (name)")
        database.execute(f"PRAGMA user_version={version}")
    was, said = path.read_bytes(), []
    assert cached_at(path, Signs("p"), said.append).answer(ask(1))[0].error is None
    assert path.read_bytes() == was
    assert len(said) == 1
    assert said[0].startswith(f"answers are not remembered: {path} cannot be used (")
