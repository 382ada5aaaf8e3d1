"""`JudgedRewards`: a judge's ranking in place of the world's reward.

The episodes of one task are a group. The judge ranks those that differ, and every decision of an
episode gets the reward of its episode's rank. Success stays what it is, and no agent learns from
it.
"""

from __future__ import annotations

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.errors import SettingError
from counterpoint.judge import Candidate, Group, rank_groups
from counterpoint.judge.catalogue import judge_and_settings
from counterpoint.records import Episode, Event
from counterpoint.settings import split_list, split_pairs
from counterpoint.train.lora.episodes import PlayedBatch
from counterpoint.worlds.text.world import Statement


class JudgedRewards:
    """A judge that ranks the episodes of each task of a batch.

    Args:
        name: of the judge.
        options: its settings and those of what it is asked, `accuracy:.8,orders:2`.
        goal: what the team is to do, for judges that read.
        seed: of orders, ids and the judge's own chance.

    Raises:
        UnknownNameError, SettingError: a judge, a setting or a value that is none.
    """

    def __init__(self, name: str, options: str, goal: str, seed: int) -> None:
        given = split_pairs(split_list(options), "judge_set", "key:value", ":")
        if "seed" in given:
            raise SettingError(
                f"got judge_set={options!r}; wanted no seed: the training's own is taken"
            )
        self.judge, self.settings = judge_and_settings(name, {**given, "seed": seed % 2**31})
        self.goal = goal

    def rewards(self, played: PlayedBatch, update: int) -> tuple[Floats, dict[str, float]]:
        """Returns the reward [N] of each decision (NaN if its group is void), and the judge's
        metrics.

        Args:
            played: a batch.
            update: that it was played in: no two updates have the same chance.
        """
        prompt = np.zeros(len(played.tasks), dtype=int)
        prompt[played.episode] = played.columns["prompt"]
        groups, ways = [], list[dict[tuple[Statement, ...], list[int]]]()
        for p in np.unique(prompt):
            alike: dict[tuple[Statement, ...], list[int]] = {}
            for e in np.flatnonzero(prompt == p).tolist():
                alike.setdefault(played.messages[e], []).append(e)
            ways.append(alike)
            task = f"{self.goal}\n{' '.join(map(str, played.tasks[next(iter(alike.values()))[0]]))}"
            groups.append((f"{update}-{p}", task, alike))
        ranked = [
            Group(name, task, tuple(
                Candidate(str(i), _episode(messages), float(played.success[at].mean()))
                for i, (messages, at) in enumerate(alike.items())))
            for name, task, alike in groups if len(alike) > 1
        ]  # fmt: skip
        verdicts = {v.group: v for v in rank_groups(ranked, self.judge, self.settings)}
        by_episode = np.zeros(len(played.tasks))
        for name, _, alike in groups:
            if name in verdicts:
                for i, at in enumerate(alike.values()):
                    by_episode[at] = verdicts[name].rewards.get(str(i), np.nan)
        void = [bool(v.void) for v in verdicts.values()]
        trust = [v.reliability for v in verdicts.values() if v.reliability is not None]
        return by_episode[played.episode], {
            "judge.groups": float(len(void)),
            "judge.void": float(np.mean(void)) if void else 0.0,
            "judge.reliability": float(np.mean(trust)) if trust else 0.0,
            "judge.calls": float(sum(v.calls for v in verdicts.values())),
        }


def _episode(messages: tuple[Statement, ...]) -> Episode:
    events = tuple(
        Event(t, one.agent, "message", one.text, (one.to,) if one.to else ())
        for t, one in enumerate(messages)
    )
    return Episode("", events, tuple(dict.fromkeys(one.agent for one in messages)))
