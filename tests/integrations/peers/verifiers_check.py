"""Our advantages on the nodes of verifiers' own episodes: run by test_verifiers.py.

    python verifiers_check.py

Prints one JSON line.
"""

from __future__ import annotations

import json
import sys
import types

import verifiers
import verifiers.v1 as vf
from verifiers.v1.graph import MessageNode

from counterpoint.integrations import TeamCredit
from counterpoint.integrations.verifiers import assign


class Ask(vf.Task[vf.TaskData]):
    """A task with nothing in it."""


module = types.ModuleType("asked")
module.Ask, Ask.__module__ = Ask, "asked"
sys.modules["asked"] = module


def trace(agent, reward, *, ok=True, trainable=True, sampled=2):
    task = vf.TraceTask(type="Ask", data=vf.TaskData(idx=0, prompt="say"))
    info = vf.AgentInfo(config=vf.AgentConfig(), name=agent, trainable=trainable)
    made = vf.Trace(task=task, agent=info)
    made.ok = ok
    made.nodes = [
        MessageNode(message=vf.UserMessage(content="say"), token_ids=[1, 2], mask=[False] * 2),
        MessageNode(parent=0, message=vf.AssistantMessage(content="x"), sampled=True,
                    token_ids=[3] + [7] * sampled, mask=[False] + [True] * sampled,
                    logprobs=[-0.1] * sampled),
    ]  # fmt: skip
    if reward is not None:
        made.record_reward("own", reward)
    return made


def episode(*traces, group="0"):
    made = vf.Episode(task=traces[0].task, traces=list(traces))
    made.group = None if group is None else vf.GroupInfo(id=group)
    return made


def main():
    credit = TeamCredit("agent_wise")
    episodes = [
        episode(trace("speaker", 0.0), trace("listener", 100.0, sampled=3)),
        episode(trace("speaker", 1.0), trace("listener", 102.0), trace("listener", 104.0)),
        episode(trace("speaker", 50.0, ok=False), trace("listener", 9.0, trainable=False)),
    ]
    unscored = episode(trace("speaker", 5.0), trace("speaker", None))
    unscored.traces[0].rewards["late"] = None
    document = {
        "version": verifiers.__version__,
        "assigned": assign(episodes, credit),
        "nodes": [[t.nodes[1].advantages for t in one.traces] for one in episodes],
        "branch": episodes[0].traces[1].branches[0].advantages,
        "record": episodes[0].to_record()["traces"][0]["nodes"][1]["advantages"],
        "unscored": assign([unscored], credit),
        "without_group": assign(
            [episode(trace("a", r), group=None) for r in (0.0, 1.0)], credit),
    }  # fmt: skip
    print(json.dumps(document))


if __name__ == "__main__":
    main()
