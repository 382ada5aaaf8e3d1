"""Our ranking beside RULER's code path, on one noisy, position-biased judge behind a local server.

    python bench/ruler.py --out counterpoint-out/bench/ruler.json

openpipe-art is installed into an environment of its own, `.venv/peers-services`; if that fails,
the script prints why and measures nothing. The judge reads a quality mark in each run, adds noise
and a taste for what stands first, and answers in the format of each prompt. Both get the
same groups.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from common import PROJECT, mean_estimate, peer_python, with_interval, write_json
from counterpoint.judge import Candidate, Group, RankSettings, rank_groups
from counterpoint.judge.aggregate import kendall_tau_b, tied_sets
from counterpoint.judge.model import SpeakerJudge
from counterpoint.readers.messages import events_of, parse_messages
from counterpoint.records import Episode
from counterpoint.speakers.server import Server
from counterpoint.speakers.server_settings import ServerSettings

PEERS = "peers-services"
RUNS, GROUPS = 6, 120
FAULTS = ("none", "best first", "one id missing", "one id too many", "one id twice", "half JSON",
          "text around the JSON")  # fmt: skip
BLOCKS = {
    "ours": re.compile(r"^==\w+== id (\w+)\n(.*?)\n==\w+== end of", re.M | re.S),
    "ruler": re.compile(r'<trajectory id="(\d+)">\n(.*?)\n</trajectory>', re.S),
}


class Judge(ThreadingHTTPServer):
    """The judge behind both."""

    daemon_threads = True

    def __init__(self, noise: float, bias: float, fault: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.noise, self.bias, self.fault = noise, bias, fault
        self.rng, self.lock = np.random.default_rng(0), threading.Lock()
        self.calls = self.characters = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def reply(self, prompt: str) -> str:
        """Returns the judge's text, in the format of the package that asks."""
        who = "ruler" if "<trajectory id=" in prompt else "ours"
        shown = BLOCKS[who].findall(prompt)
        with self.lock:
            self.calls += 1
            self.characters += len(prompt)
            noise = self.rng.standard_normal(len(shown))
        scores = []
        for place, (_, text) in enumerate(shown):
            mark = re.search(r"quality=([\d.]+)", text)
            true = float(mark.group(1)) if mark else -1.0
            taste = self.bias * (1 - place / max(len(shown) - 1, 1))
            scores.append(true + taste + self.noise * float(noise[place]))
        pairs = [(label, score) for (label, _), score in zip(shown, scores, strict=True)]
        best = sorted(pairs, key=lambda pair: -pair[1])
        if who == "ours":
            ids = spoiled([label for label, _ in best], self.fault, "nobody")
            reply = json.dumps({"ranking": [[label] for label in ids]})
        else:
            listed = pairs if self.fault != "best first" else best
            rows = [{"trajectory_id": label, "explanation": "", "score": min(max(s / 2, 0), 1)}
                    for label, s in listed]  # fmt: skip
            kept = spoiled(rows, self.fault, {**rows[0], "trajectory_id": "99"})
            reply = json.dumps({"scores": kept})
        if self.fault == "half JSON":
            reply = reply[: len(reply) // 2]
        return f"Here: {reply}" if self.fault == "text around the JSON" else reply


def spoiled(items: list[Any], fault: str, stranger: Any) -> list[Any]:
    """Returns the items with a fault in them."""
    return {
        "one id missing": items[:-1],
        "one id too many": [*items, stranger],
        "one id twice": [items[0], *items[:-1]],
    }.get(fault, items)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Judge

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = self.server.reply("\n".join(m["content"] for m in request["messages"]))
        message = {"role": "assistant", "content": text}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        body = json.dumps({"id": "c", "object": "chat.completion", "model": "local", "created": 1,
                           "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                           "usage": usage}).encode()  # fmt: skip
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Prints nothing."""


@contextmanager
def judge(noise: float, bias: float, fault: str) -> Iterator[Judge]:
    """Runs a server that judges inside the `with` block."""
    server = Judge(noise, bias, fault)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def groups(count: int, listed: str) -> list[list[tuple[list[dict[str, str]], float]]]:
    """Returns runs and their truth; `worst first` is the order of a list sorted by time."""
    rng, made = np.random.default_rng(1), []
    for _ in range(count):
        truths = rng.random(RUNS)
        truths = np.sort(truths) if listed == "worst first" else truths
        made.append([([{"role": "user", "content": "Do it."},
                        {"role": "assistant", "content": f"quality={t:.6f}"}], float(t))
                      for t in truths])  # fmt: skip
    return made


Arm = Callable[[Any, Judge, int], list[list[float] | None]]


def ruler(made: Any, server: Judge, times: int) -> list[list[float] | None]:
    """Returns [groups][runs] mean scores over `times` calls; None if RULER raised each time."""
    request = {"url": server.url, "times": times, "groups": [[m for m, _ in g] for g in made]}
    done = subprocess.run(
        [peer_python(PEERS), PROJECT / "bench" / "peers" / "ruler_score.py"],
        input=json.dumps(request), capture_output=True, text=True, check=False,
    )  # fmt: skip
    line = next((x for x in done.stdout.splitlines() if x.startswith("RESULT ")), None)
    if line is None:
        raise SystemExit(f"RULER did not run:\n{done.stderr[-2000:]}")
    scores = [[each for each in row if isinstance(each, list)] for row in json.loads(line[7:])]
    return [np.mean(row, axis=0).tolist() if row else None for row in scores]


def ours(made: Any, server: Judge, times: int, canaries: str = "none") -> list[list[float] | None]:
    """Returns [groups][runs] rewards from `times` orders; None if the group is void."""
    # one call after the other, so that the judge's noise falls on the same groups in every run
    server_speaker = Server(ServerSettings("local", server.url, concurrency=1))
    who = SpeakerJudge(server_speaker, server_speaker.facts, at_once=1)
    settings = RankSettings(orders=times, canaries=canaries, calls=times)  # type: ignore[arg-type]
    given = [
        Group(str(k), "Do it.", tuple(
            Candidate(str(i), Episode(str(i), events_of(parse_messages(m, "")), ("assistant",)), t)
            for i, (m, t) in enumerate(g)))
        for k, g in enumerate(made)
    ]  # fmt: skip
    return [
        None if v.void else [v.rewards[str(i)] for i in range(RUNS)]
        for v in rank_groups(given, who, settings)
    ]


def taus(made: Any, rewards: list[list[float] | None]) -> np.ndarray:
    """Returns [groups] Kendall's tau-b with the truth; NaN if there are no rewards."""
    correlations = []
    for group, each in zip(made, rewards, strict=True):
        true = tied_sets(np.array([truth for _, truth in group]))
        correlations.append(
            np.nan if each is None else kendall_tau_b(tied_sets(np.array(each)), true)
        )
    return np.array(correlations)


def cell(values: np.ndarray) -> str:
    """Returns a mean and its interval, over groups that have rewards."""
    there = values[~np.isnan(values)]
    return with_interval(mean_estimate(there)) if len(there) else "no rewards"


def quality() -> dict[str, Any]:
    """Measures rank correlation with the truth at equal calls; a void group may also count as tau
    0.
    """
    out: dict[str, Any] = {}
    print(
        "| judge | calls | RULER | ours | ours void | ours - RULER, both have rewards | void as 0 |"
    )
    print("|---" * 7 + "|")
    for listed, noise, bias in (("as drawn", 0.15, 0.0), ("as drawn", 0.15, 0.5),
                                ("worst first", 0.15, 0.5), ("as drawn", 0.4, 0.0)):  # fmt: skip
        made = groups(GROUPS, listed)
        for times in (1, 2):
            row, read = {}, {}
            for name, arm in (("ruler", ruler), ("ours", ours)):
                with judge(noise, bias, "none") as server:
                    row[name] = taus(made, arm(made, server, times))
                    read[name] = server.characters / server.calls
            gap = row["ours"] - row["ruler"]
            void = np.isnan(row["ours"])
            name = f"noise {noise:g}, taste for the first {bias:g}, listed {listed}"
            print(f"| {name} | {times} | {cell(row['ruler'])} | {cell(row['ours'])} | "
                  f"{void.mean():.0%} | {cell(gap)} | "
                  f"{cell(np.where(void, -row['ruler'], gap))} |", flush=True)  # fmt: skip
            out[f"{name}, {times}"] = {k: v.tolist() for k, v in row.items()} | {"read": read}
    return out


def faults() -> dict[str, Any]:
    """Measures what becomes of a group if the judge answers in another way than was asked."""
    out: dict[str, Any] = {}
    made = groups(20, "as drawn")
    print(
        "\n| the judge's answer | RULER: tau, groups lost | ours: tau, groups void |\n|---|---|---|"
    )
    for fault in FAULTS:
        row = []
        for arm in (ruler, ours):
            with judge(0.0, 0.0, fault) as server:
                row.append(taus(made, arm(made, server, 2)))
        out[fault] = [each.tolist() for each in row]
        cells = " | ".join(f"{cell(each)}, {np.isnan(each).mean():.0%}" for each in row)
        print(f"| {fault} | {cells} |", flush=True)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("counterpoint-out/bench/ruler.json"))
    options = parser.parse_args()
    if peer_python(PEERS) is None:
        sys.exit(1)
    document = {part.__name__: part() for part in (quality, faults)}
    write_json(options.out, document)


if __name__ == "__main__":
    main()
