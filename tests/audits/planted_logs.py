"""Logs of teams with a failure of a dialled strength, and their clean twins, in four formats."""

from __future__ import annotations

import json

import numpy as np

FIRST = ("ba", "ke", "lo", "mu", "ni", "pa", "re", "so", "ti", "vu", "xo", "za")
LAST = ("ban", "der", "fil", "gor", "hem", "jun", "kal", "lim", "mon", "nar")
WORDS = [f"{a}{b}" for a in FIRST for b in LAST]
IDLE = ("ok", "Sure, thanks!", "I'm waiting for you.", "Let me know when it is done.")
REST = "Let's take a break, I think."


def sentence(rng, length=18):
    return " ".join(rng.choice(WORDS, length))


def diff(gone, new):
    changes = [*(f"-{line}" for line in gone), *(f"+{line}" for line in new)]
    return "\n".join(["--- a/sum.py", "+++ b/sum.py", "@@ -1,3 +1,3 @@", *changes, " end"])


def turns(rng, failure="", strength=1.0, length=24, agents=("ann", "bob")):
    """A conversation: (speaker, kind, text). What is clean differs in nothing else."""
    found, since, loop, written = [], None, sentence(rng), []
    start = int(length * (1 - 0.5 * strength))
    for t in range(length):
        who = agents[t % len(agents)]
        text, kind = sentence(rng), "message"
        if rng.random() < 0.06:
            text = str(rng.choice(IDLE))  # a sound team is idle now and then
        lazy = failure == "idle" and who == agents[-1] and t >= start
        if lazy:
            text = str(rng.choice(IDLE))
        if failure == "contagion":
            if who == agents[0] and rng.random() < 0.25:
                text, since = REST, t
            elif who != agents[0] and since is not None and t - since <= 3:
                text = str(rng.choice(IDLE)) if rng.random() < strength else text
        if failure == "rest without contagion" and who == agents[0] and rng.random() < 0.25:
            text = REST
        if failure == "echo" and t > 2 and rng.random() < strength:
            words = found[-1][2].split()
            keep = int(len(words) * 0.7)
            text = " ".join([*words[:keep], *rng.choice(WORDS, 6)])
        if failure == "drift" and t > length / 2 and rng.random() < strength:
            words = found[-1][2].split()[:6]
            text = " ".join(rng.permutation([*words, *rng.choice(WORDS, 10)]))
        if failure == "follow" and who != agents[0] and found and found[-1][2] in IDLE:
            text = str(rng.choice(IDLE)) if rng.random() < strength else text
        if failure == "follow" and who == agents[0] and rng.random() < 0.3:
            text = str(rng.choice(IDLE))
        if failure == "loop" and t >= length - 8 and who == agents[0] and strength > 0:
            text = loop
        if t % 6 == 5 and not lazy:
            kind = "action"
            text = f"run step {rng.integers(1000)}"
            if failure == "calls" and t > length / 4:
                text = "run step 7"
            if failure == "checks" and t > length / 2 and rng.random() < strength:
                text = "sed -i s/1/2/ tests/test_sum.py"
            if failure in ("churn", "sound edits"):
                lines = [sentence(rng, 4) for _ in range(3)]
                back = written if failure == "churn" and rng.random() < strength else []
                text = diff(back, lines)
                written = lines
        found.append((who, kind, text))
    return found


def as_openai(conversation):
    messages = [{"role": "user", "content": "do it"}]
    for i, (who, kind, text) in enumerate(conversation):
        if kind == "action":
            call = {"id": f"c{i}", "function": {"name": "shell", "arguments": text}}
            messages.append(
                {"role": "assistant", "name": who, "content": None, "tool_calls": [call]}
            )
        else:
            messages.append({"role": "assistant", "name": who, "content": text})
    return {"messages": messages}


def as_autogen(conversation):
    found = [{"source": "user", "content": "do it", "type": "TextMessage"}]
    for i, (who, kind, text) in enumerate(conversation):
        content = (
            [{"id": f"c{i}", "name": "shell", "arguments": text}] if kind == "action" else text
        )
        found.append({"source": who, "content": content, "type": kind})
    return {"messages": found, "stop_reason": "done"}


def as_langgraph(conversation):
    found = [{"type": "human", "content": "do it"}]
    for i, (who, kind, text) in enumerate(conversation):
        calls = [{"id": f"c{i}", "name": "shell", "args": text}] if kind == "action" else []
        found.append(
            {"type": "ai", "name": who, "content": "" if calls else text, "tool_calls": calls}
        )
    return {"messages": found}


def as_ours(conversation):
    events = [{"agent": who, "kind": kind, "text": text,
               **({"meta": {"name": "shell"}} if kind == "action" else {})}
              for who, kind, text in conversation]  # fmt: skip
    return {"schema": 1, "id": "e", "agents": ["ann", "bob"], "events": events}


FORMATS = {"openai": as_openai, "autogen": as_autogen, "langgraph": as_langgraph, "ours": as_ours}


def write(path, kind, seed, failure="", strength=1.0, episodes=12):
    rng = np.random.default_rng(seed)
    lines = [FORMATS[kind](turns(rng, failure, strength)) for _ in range(episodes)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path
