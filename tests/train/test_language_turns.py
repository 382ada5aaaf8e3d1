"""Conversations of several turns: read as turns, learned from, resumed, recorded, talked to."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from language_teams import small_learner, weights
from plain_forward import plain_log_probs, plain_text_log_probs, stock, word_team

from counterpoint.cli.main import main
from counterpoint.lm.model import open_model
from counterpoint.runs import provenance
from counterpoint.runs.checkpoint import Snapshot
from counterpoint.runs.files import folder_names
from counterpoint.train.lora.chat import TrainedTeam, common_turns
from counterpoint.train.lora.plan import LanguagePlan
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.train.lora.words import WritingTeam
from counterpoint.train.result import training_result
from counterpoint.worlds import Ending, Prompt, References, Statement, TextWorld, conversation
from counterpoint.worlds.kind import cycled
from counterpoint.worlds.text.world import shared

WORDS = ("red", "blue")


class Rare(TextWorld):
    """`asker` goes on until it says blue, at most four times; `judge` is asked then, and `nobody`
    never."""

    name, summary = "rare", "turns that vary"
    agents = roles = ("asker", "judge", "nobody")
    speaker, longest = "asker", 5
    references = References(None, 1.0, "share right")

    def tasks(self, rng, count):
        return cycled(rng, [("red",), ("blue",)], count)

    def prompts(self, task, history):
        said = [one.text for one in history]
        if history and history[-1].agent == "judge":
            return ()
        if len(said) == 4 or "blue" in said:
            return (conversation("judge", "You judge.", "Which?", history, words=WORDS),)
        asked = f"It is {task[0]}."
        shown = [line for one in history for line in (one, Statement("checker", f"not {one.text}"))]
        return (conversation("asker", "You choose.", asked, shown, words=WORDS),)

    def ending(self, task, history):
        success = float(history[-1].text == task[0])
        return Ending(success, shared(success, history))


class Writers(TextWorld):
    """Two writers, each twice, in their own script."""

    name, summary, free = "writers", "two write, each twice", True
    agents = roles = ("агент", "机器🤖")
    speaker, longest = "агент", 4
    references = References(None, 1.0, "share of answers with a letter")

    def tasks(self, rng, count):
        return cycled(rng, [("größer",), ("да",), ("苹果 🍎",)], count)

    def prompts(self, task, history):
        if len(history) == 4:
            return ()
        agent = self.agents[len(history) % 2]
        return (conversation(agent, "Пиши.", f"{task[0]}?", history, most_tokens=5),)

    def ending(self, task, history):
        success = sum(any(map(str.isalpha, one.text)) for one in history) / 4
        return Ending(success, shared(success, history))


RARE, WRITERS = f"{__name__}:Rare", f"{__name__}:Writers"


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    monkeypatch.setenv("COUNTERPOINT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(provenance, "git_revision", lambda: None)  # would only take time


def turns():
    """The same last question after different turns of agents `a` and `b`."""
    texts = ("red", "two\nlines", "größer 🤖", "")
    said = [Statement(("a", "b")[i % 2], text) for i, text in enumerate(texts)]
    return [
        conversation(agent, "You choose.", "Which?", said[:n], words=WORDS, then="Now?")
        for agent in ("a", "b")
        for n in range(len(said) + 1)
    ]


def test_choices_after_earlier_turns_are_those_of_the_whole_conversation():
    team, plain, asks = word_team(open_model("tiny"), ("a", "b")), stock(), turns()
    assert len({ask.user for ask in asks}) < len(asks)
    for ask, row in zip(asks, team.rows_of(asks), strict=True):
        with torch.no_grad():
            wanted = plain_log_probs(plain, ask, team.adapters[ask.agent])
        np.testing.assert_allclose(np.log(team.probs[row]), wanted, atol=1e-5)


def test_answers_after_earlier_turns_have_the_log_probabilities_of_the_whole_conversation():
    model, plain = open_model("tiny"), stock()
    adapters = word_team(model, ("a", "b")).adapters
    settings = LanguageSettings(temperature=1.0).filled(tiny=True, free=True)
    asks = [Prompt(a.agent, a.system, a.user, (), 6, a.earlier) for a in turns()]
    team = WritingTeam(model, adapters, settings)
    for ask, text in zip(asks, team.write(asks, np.random.default_rng(0)), strict=True):
        with torch.no_grad():
            wanted = plain_text_log_probs(plain, ask, adapters[ask.agent], text.tokens)
        np.testing.assert_allclose(text.log_probs, wanted, atol=1e-4)


def test_agents_that_are_seldom_or_never_asked_do_not_disturb_the_others():
    learner = small_learner(Rare(), rollouts=16)
    before = weights(learner)
    lengths = set()
    for _ in range(3):
        played, metrics = learner.update()
        lengths |= {len(one) for one in played.messages}
        assert all(map(np.isfinite, metrics.values()))
        asked = {ask.agent for ask in played.asks}
        assert asked == {"asker", "judge"}
    assert len(lengths) > 1
    moved = {name for name, bits in weights(learner).items() if bits != before[name]}
    assert {"asker", "judge"} <= moved
    assert "nobody" not in moved
    second = [ask for ask in played.asks if len(ask.earlier) == 2 and ask.agent == "asker"]
    assert {ask.user for ask in second} == {"checker: not red"}


def test_a_checkpoint_has_the_earlier_messages_and_one_without_them_is_read():
    learner, other = small_learner(Rare()), small_learner(Rare())
    learner.update()
    saved = learner.capture()
    facts = json.loads(json.dumps(saved.facts))
    other.restore(Snapshot(saved.arrays, facts))
    assert other.expected == learner.expected
    assert any(ask.earlier for ask in other.expected)
    one, two = learner.update(), other.update()
    assert one[0].messages == two[0].messages
    assert weights(learner) == weights(other)
    for fields in facts["expected"]:
        del fields["earlier"]
    other.restore(Snapshot(saved.arrays, facts))  # as version 0.1.0 wrote it
    assert all(ask.earlier == () for ask in other.expected)


class Counts(Rare):
    """Every question is another one."""

    def tasks(self, rng, count):
        return [(f"{rng.integers(10**6)}",) for _ in range(count)]

    def prompts(self, task, history):
        return tuple(
            replace(one, system=f"Number {task[0]}.") for one in super().prompts(task, history)
        )


@pytest.mark.parametrize(("world", "recurring"), [(Rare, True), (Counts, False)])
def test_prompts_that_never_come_again_are_neither_expected_nor_kept(world, recurring):
    learner, other = (small_learner(world()) for _ in range(2))
    assert learner.recurring is other.recurring is recurring
    for _ in range(2):
        learner.update()
        assert bool(learner.expected) is recurring
        assert bool(learner.words.readers[learner.agents[0]].kept) is recurring
    saved = learner.capture()
    other.restore(Snapshot(saved.arrays, json.loads(json.dumps(saved.facts))))
    assert learner.update()[0].messages == other.update()[0].messages


@pytest.mark.few(1)
@pytest.mark.parametrize(("world", "free"), [(RARE, False), (WRITERS, True)])
def test_a_world_of_turns_is_trained_drawn_and_talked_to(world, free, tmp_path, capsys):
    out = tmp_path / "run"
    small = ["--budget", "2", "--set", "prompts=3", "rollouts=4"]
    assert main(["train", world, "--policy", "tiny", *small, "--out", str(out), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["status"] == "finished"
    assert main(["report", str(out)]) == 0
    page = (out / "report.html").read_text()
    talk = training_result(out).talk
    agents = {
        event.agent for moment in talk.moments for one in moment.shown for event in one.events
    }
    if free:
        assert agents == {"агент", "机器🤖"}
        assert "机器🤖" in page
        assert "größer" in page
        assert {p.name for p in (out / "adapters").iterdir()} == set(folder_names(agents).values())
    else:
        shown = {row.shown for row in talk.words if row.agent == "asker"}
        assert {"It is red.", "It is blue."} < shown
        assert any(
            text.startswith("user: It is red.\nassistant: red\nchecker: not") for text in shown
        )
    capsys.readouterr()
    agent = "机器🤖" if free else "asker"
    assert main(["chat", str(out), "--ask", f"{agent}: größer?", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)["asked"]
    assert answer["agent"] == agent
    assert free or answer["text"] in WORDS


def test_who_was_trained_with_its_earlier_answers_remembers_them_in_chat(tmp_path):
    out = tmp_path / "run"
    small = ["--budget", "1", "--set", "prompts=2", "rollouts=8"]
    assert main(["train", RARE, "--policy", "tiny", *small, "--out", str(out)]) == 0
    team = TrainedTeam(out)
    first, again = team.ask("asker", "It is red."), team.ask("asker", "It is red.")
    by_hand = Prompt("asker", "You choose.", "It is red.", WORDS, 0,
                     (("user", "It is red."), ("assistant", first.text)))  # fmt: skip
    row = team.learner.words.rows_of([by_hand])[0]
    wanted = team.learner.words.probs[row]
    np.testing.assert_allclose(list(again.words.values()), wanted, atol=1e-5)
    team.episode()
    assert team.ask("asker", "It is red.").words == first.words
    assert team.ask("judge", "Which?").words == team.ask("judge", "Which?").words  # asked once


@pytest.mark.slow
def test_a_conversation_that_no_longer_fits_begins_anew_and_says_so(tmp_path):
    out = tmp_path / "run"
    assert main(["train", WRITERS, "--policy", "tiny", "--budget", "1", "--set", "prompts=1",
                 "rollouts=1", "--out", str(out)]) == 0  # fmt: skip
    team = TrainedTeam(out)
    long = "red " * 1100
    assert "began anew" not in team.ask("агент", long).text
    assert team.ask("агент", long).text.endswith("(the conversation was too long and began anew)")
    assert "at most 2048" in team.ask("агент", long * 2).text


def test_the_turns_before_every_question():
    a, b, c = ("user", "a"), ("assistant", "b"), ("user", "c")
    assert common_turns([(a, b, c), (a, b), (a, b, a)]) == (a, b)
    assert common_turns([(a, b), ()]) == ()
    assert common_turns([(a, b, c)]) == (a, b, c)


def test_words_that_begin_with_equal_bytes_are_refused_by_name(tmp_path, capsys):
    class Bytes(Rare):
        def prompts(self, task, history):
            return () if history else (Prompt("asker", "s", "да?", ("да", "нет")),)

    globals()["Bytes"] = Bytes
    out = tmp_path / "run"
    assert main(["train", f"{__name__}:Bytes", "--policy", "tiny", "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert "'да' and 'нет'" in error
    assert "same token" in error
    assert not out.exists()


@pytest.mark.slow
def test_words_in_any_language_are_learned_by_a_model_that_spells_them_apart():
    class Languages(Rare):
        agents = roles = ("α-агент", "zwölf")
        speaker, longest = "α-агент", 2
        words = ("rot", "grün", "黄", "🤖", "нет")

        def prompts(self, task, history):
            if len(history) == 2:
                return ()
            agent = self.agents[len(history)]
            return (conversation(agent, "✨", f"Es ist {task[0]} 🤖", history, words=self.words),)

        def ending(self, task, history):
            success = float(history[-1].text == "黄")
            return Ending(success, shared(success, history))

    from counterpoint.train.lora.learner import LanguageLearner

    settings = LanguageSettings(prompts=2, rollouts=16, layers=2).filled(tiny=False, free=False)
    learner = LanguageLearner(open_model("smollm2"), Languages(), "mappo_per_agent", settings, 0, 9)
    returns = [float(learner.update()[0].success.mean()) for _ in range(9)]
    assert returns[0] < 0.5 < np.mean(returns[-2:])


def test_a_plan_of_a_world_of_turns_is_plain_data():
    plan = LanguagePlan.of(RARE, "mappo_pooled", 2, {"template": "thinking:false"}, "tiny")
    assert plan.language.template == "thinking:false"
    assert LanguagePlan.from_config(json.loads(json.dumps(plan.config()))) == plan
    (note,) = plan.notes
    assert note.startswith("template=thinking changes nothing: the chat template of tiny")
