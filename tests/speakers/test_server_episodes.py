"""Episodes that a language server plays: no fault loses one, and what fails says so."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("openai")

from faulty_server import serving
from test_server_faults import FAILS, RECOVERS, REFUSED, server_at

from counterpoint.speakers.speaker import Message, Request
from counterpoint.train.lora.episodes import Answer, play_episodes
from counterpoint.worlds.text.world import Ending, Prompt, TextSettings, TextWorld, shared


def respond_with(speaker):
    """Returns a responder that asks a speaker; a prompt that fails ends its episode."""

    def respond(asks, rng):
        requests = [
            Request(
                tuple(Message(role, content) for role, content in ask.messages),
                ask.agent,
                ask.words or None,
                max_tokens=ask.most_tokens or 8,
                seed=int(rng.integers(2**31)),
            )
            for ask in asks
        ]
        return [Answer(reply.text, reply, reply.error) for reply in speaker.answer(requests)]

    return respond


class Echo(TextWorld):
    """The first says its task, the second says hello; both are paid where both were said."""

    agents = roles = ("first", "second")
    speaker, name, summary, free = "first", "echo", "echo", True

    def __init__(self, tasks):
        super().__init__(TextSettings())
        self.pool = [(task,) for task in tasks]

    def tasks(self, rng, count):
        assert count == len(self.pool)
        return self.pool

    def prompts(self, task, said):
        words = (task[0], "hello")
        agents = self.agents[len(said) : len(said) + 1]
        return tuple(Prompt(who, "Echo.", words[len(said)], most_tokens=4) for who in agents)

    def ending(self, task, said):
        success = float([one.text for one in said] == [task[0], "hello"])
        return Ending(success, shared(success, said))


@pytest.mark.fault("R11")
def test_every_fault_leaves_every_episode_played_or_told():
    stays = [name for name in FAILS if name not in REFUSED]  # those end all that comes after them
    names = ["plain", *RECOVERS, *stays, "also_plain"]
    scripts = {name: told[0] for name, told in {**RECOVERS, **FAILS}.items()}
    with serving(**scripts) as playing:
        respond, rng = respond_with(server_at(playing.url)), np.random.default_rng(0)
        played = play_episodes(Echo(names), respond, rng, len(names), 1)
    failed = [name in FAILS for name in names]
    assert [error is not None for error in played.errors] == failed
    assert all(error.startswith("first: ") for error in played.errors if error)
    np.testing.assert_array_equal(np.isnan(played.success), failed)
    np.testing.assert_array_equal(played.success[~np.array(failed)], 1.0)
    assert [len(said) for said in played.messages] == [0 if no else 2 for no in failed]
    assert len(played.answers) == len(played.rewards) == 2 * (len(names) - len(stays))
    np.testing.assert_array_equal(np.unique(played.episode), np.flatnonzero(~np.array(failed)))
    # 10 tokens read at 1, 2 written at 100 dollars a million, where the server counted every try
    firsts = [RECOVERS[name][2] if name in RECOVERS else (10, 2) for name in names]
    counted = [tokens for tokens, no in zip(firsts, failed, strict=True) if not no]
    wanted = [None if t == (None, None) else (t[0] + 100 * t[1]) / 1e6 for t in counted]
    found = [answer.handle.cost_dollars for answer in played.answers]
    assert found[::2] == [None if cost is None else pytest.approx(cost) for cost in wanted]
    assert found[1::2] == [pytest.approx(210e-6)] * len(wanted)
