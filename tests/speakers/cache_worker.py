"""A process that answers through a cache file, for tests of many at once.

    python cache_worker.py FILE NAME FIRST COUNT [forever]

It asks for the seeds from FIRST to FIRST + COUNT, from several threads, and prints what it got and
what was said on the way. Forever: it acknowledges every batch that it has, until it is killed.
"""

from __future__ import annotations

import itertools
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from counterpoint.speakers import Cached, Message, Request, Scripted

ASK = (Message("user", "Choose."),)


class Signs(Scripted):
    """Answers with its own name, so that one can tell who was asked."""

    facts = {"model": "signs"}  # noqa: RUF012

    def __init__(self, name):
        super().__init__(lambda request: f"{name} {request.seed}")


def main(file, name, first, count, forever=""):
    said = []
    cached = Cached(Signs(name), Path(file), warn=said.append)

    def batch(start, size):
        seeds = range(start, start + size)
        replies = cached.answer([Request(ASK, seed=seed) for seed in seeds])
        return {seed: reply.text for seed, reply in zip(seeds, replies, strict=True)}

    if forever:
        for start in itertools.count(int(first), 3):
            print(json.dumps(batch(start, 3)), flush=True)  # noqa: T201
    starts = range(int(first), int(first) + int(count), 5)
    with ThreadPoolExecutor(4) as threads:
        parts = list(threads.map(lambda start: batch(start, 5), starts))
    got = {seed: text for part in parts for seed, text in part.items()}
    counts = [cached.hits, cached.misses]
    print(json.dumps({"got": got, "said": said, "counts": counts}))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
