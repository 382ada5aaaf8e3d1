"""What a text world of a user returns: each fault is one line with the line to change.

The worlds are put together from functions at run time, as people do in notebooks.
"""

from __future__ import annotations

import functools
import re
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from counterpoint.errors import WorldError
from counterpoint.worlds import Ending, Kind, Prompt, References, Statement, TextWorld, worlds
from counterpoint.worlds.foreign.names import place_of
from counterpoint.worlds.kind import cycled
from counterpoint.worlds.text.calls import WorldCalls
from counterpoint.worlds.text.world import shared

HERE = rf"{re.escape(__file__)}:\d+"
RNG = np.random.default_rng
TASK, ONE = ("red",), (Statement("ann", "blue"),)
NAMES = {"name": "made", "summary": "made", "references": References(0.0, 1.0, "share")}
PEOPLE = {"agents": ("ann", "bob"), "roles": ("ann", "bob"), "speaker": "ann"}


def tasks(self, rng, count):
    return cycled(rng, [("red",), ("blue",)], count)


def prompts(self, task, history):
    turn = len(history)
    return tuple(Prompt(w, "s", f"u {turn}", ("red", "blue")) for w in self.agents[turn:][:1])


def ending(self, task, history):
    won = float(history[-1].text == task[0])
    return Ending(won, shared(won, history))


def made(**methods):
    """A world with other methods; a value stands for a method that returns it."""
    given = {
        name: value if callable(value) or name in ("components", "longest") else give(value)
        for name, value in methods.items()
    }
    body = {**NAMES, **PEOPLE, "tasks": tasks, "prompts": prompts, "ending": ending, **given}
    return WorldCalls(type("Made", (TextWorld,), {**body, "__module__": __name__})())


def give(value):
    def method(self, *_):
        return value

    return method


def ask(**changes):
    """The prompts of one agent, changed."""
    given = {"agent": "ann", "system": "s", "user": "u", "words": ("red", "blue"), **changes}
    return (Prompt(**given),)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (None, "got None from prompts"),
        (ask()[0], "wanted a tuple of Prompt"),
        ((one for one in ask()), "got <generator"),
        ((), "no prompt at the start of task ('red',)"),
        (("ann",), "got 'ann' from prompts"),
        (ask(agent="zoe"), "a prompt for 'zoe'"),
        (ask(agent=None), "a prompt for None"),
        (ask(agent=["ann"]), "a prompt for ['ann']"),
        (ask(user=7), "with ('s', 7)"),
        (ask(system=None), "text as its system"),
        (ask(words="red"), "words 'red' for 'ann'"),
        (ask(words=["red", "blue"]), "wanted a tuple of text"),
        (ask(words=("1", 2)), "words ('1', 2)"),
        (ask(words=("", "blue")), "the word '' for 'ann'"),
        (ask(words=("blue", " \t")), r"the word ' \t' for 'ann'"),
        (ask(words=("red", "blue", "red")), "wanted each of them once"),
        (ask(words=()), "no words and most_tokens=0"),
        (ask(words=(), most_tokens=-3), "most_tokens=-3"),
        (ask(words=(), most_tokens=8.0), "most_tokens=8.0"),
        (ask(words=(), most_tokens=True), "most_tokens=True"),
    ],
)
def test_prompts_that_nobody_can_answer(returned, said):
    with pytest.raises(WorldError) as caught:
        made(prompts=returned).prompts(TASK, ())
    line = str(caught.value)
    assert said in line
    assert re.search(rf"of world 'test_text_calls:Made' \({HERE}\); wanted ", line)
    assert "\n" not in line


@pytest.mark.parametrize(
    "returned",
    [
        ask(),
        list(ask()),
        ask(words=("only",)),
        ask(words=(), most_tokens=1),
        ask(user="", words=("黄", "красный", "🤖")),
        ask() + ask(agent="bob", words=(), most_tokens=64),
    ],
)
def test_prompts_that_can_be_answered_stay_as_they_are(returned):
    assert made(prompts=returned).prompts(TASK, ()) == tuple(returned)


def test_text_that_numpy_drew_becomes_plain_text():
    words = tuple(RNG(0).choice(["red", "blue"], 2, replace=False))
    assert {type(word) for word in words} == {np.str_}
    (prompt,) = made(prompts=ask(words=words)).prompts(TASK, ())
    assert {type(word) for word in prompt.words} == {str}
    drawn = made(tasks=[(RNG(1).choice(["red", "blue"]),)]).tasks(RNG(0), 1)
    assert [type(part) for part in drawn[0]] == [str]
    heard = made(statement=lambda s, t, h, p, text: Statement(p.agent, np.str_(text)))
    assert type(heard.statement(TASK, (), prompt, "red").text) is str


def test_names_messages_and_numbers_of_numpy_become_plain_ones():
    text = np.str_
    given = {"agent": text("ann"), "system": text("s"), "user": text("u"), "words": ()}
    more = {"most_tokens": np.int64(3), "earlier": ((text("user"), text("hello")),)}
    (prompt,) = made(prompts=ask(**given, **more)).prompts(TASK, ())
    assert prompt == Prompt("ann", "s", "u", most_tokens=3, earlier=(("user", "hello"),))
    made_of = prompt.agent, prompt.system, prompt.user, *prompt.earlier[0]
    assert {type(part) for part in made_of} == {str}
    assert type(prompt.most_tokens) is int
    heard = made(statement=lambda s, t, h, p, x: Statement(text("ann"), x, to=text("bob")))
    statement = heard.statement(TASK, (), prompt, "red")
    assert (type(statement.agent), type(statement.to)) == (str, str)


def test_a_prompt_of_a_users_own_type_stays_one():
    @dataclass(frozen=True)
    class Marked(Prompt):
        mark: int = 0

    (prompt,) = made(prompts=(Marked(np.str_("ann"), "s", "u", ("a", "b"), mark=7),)).prompts(
        TASK, ()
    )
    assert (type(prompt), prompt.mark, type(prompt.agent)) == (Marked, 7, str)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ([("red",)], "1 tasks for a batch of 2"),
        ([("red",)] * 3, "3 tasks for a batch of 2"),
        (None, "got None from tasks"),
        (["red", "blue"], "task 'red'"),
        ([("red",), ["blue"]], "task ['blue']"),
        ([("red", 3)] * 2, "task ('red', 3)"),
        ([({"colour": "red"},)] * 2, "a tuple of text"),
    ],
)
def test_tasks_that_are_none(returned, said):
    with pytest.raises(WorldError, match=HERE) as caught:
        made(tasks=returned).tasks(RNG(0), 2)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (None, "got None from ending"),
        ((1.0, ((1.0,),)), "wanted Ending(success, rewards)"),
        (Ending(float("nan"), ((1.0,),)), "success nan"),
        (Ending(None, ((1.0,),)), "success None"),
        (Ending("1", ((1.0,),)), "success '1'"),
        (Ending(float("-inf"), ((1.0,),)), "success -inf"),
        (Ending(1.0, (1.0,)), "rewards (1.0,) for 1 decisions"),
        (Ending(1.0, ()), "wanted 1 rows of 1"),
        (Ending(1.0, ((1.0,), (1.0,))), "for 1 decisions"),
        (Ending(1.0, ((1.0, 0.5),)), "one number for each of components"),
        (Ending(1.0, ((1.0,), (1.0, 2.0))), "for 1 decisions"),
        (Ending(1.0, ((float("nan"),),)), "rewards ((nan,),)"),
        (Ending(1.0, ((None,),)), "rewards ((None,),)"),
        (Ending(1.0, (("1",),)), "rewards (('1',),)"),
        (Ending(1.0, ((float("inf"),),)), "finite numbers"),
        (Ending(1.0, ((np.float32("inf"),),)), "finite numbers"),
        (Ending(1.0, ((1e200,),)), "at most 1e+100"),
    ],
)
def test_endings_without_a_value(returned, said):
    with pytest.raises(WorldError, match=HERE) as caught:
        made(ending=returned).ending(TASK, ONE)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("success", "rewards"),
    [
        (True, ((2,),)),
        (np.float32(1), [[2.0]]),
        (1, np.array([[2.0]])),
        (np.float16(1), [[np.float16(2.0)]]),
        (np.bool_(1), np.full((1, 1), np.float32(2.0))),
    ],
)
def test_any_numbers_are_numbers(success, rewards):
    assert made(ending=Ending(success, rewards)).ending(TASK, ONE) == Ending(1.0, ((2.0,),))


def test_components_are_columns():
    paid = Ending(0.5, ((1.0, -1.0),))
    assert made(ending=paid, components=("right", "price")).ending(TASK, ONE) == paid


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (None, "got None from statement"),
        ("red", "wanted Statement("),
        (Statement("bob", "red"), "a statement of 'bob' for the answer of 'ann'"),
        (Statement("ann", None), "wanted text"),
        (Statement("ann", "red", to=None), "the name of an agent"),
    ],
)
def test_statements_of_somebody_else(returned, said):
    with pytest.raises(WorldError) as caught:
        made(statement=returned).statement(TASK, (), ask()[0], "red")
    assert said in str(caught.value)


def test_an_error_is_placed_in_the_code_of_the_user_with_what_was_played():
    def counts(self, task, history):
        return np.ones(2) @ np.ones(3)  # numpy raises, in a file of its own

    fails = made(ending=counts)
    with pytest.raises(WorldError) as caught:
        fails.ending(TASK, ONE)
    line = str(caught.value)
    assert "failed in ending of task ('red',) after ['blue']: ValueError: matmul" in line
    assert f"({__file__}:{counts.__code__.co_firstlineno + 1})" in line


@pytest.mark.parametrize("method", ["tasks", "prompts", "statement", "ending"])
def test_every_method_may_raise(method):
    def boom(self, *_):
        raise KeyError("first line\nsecond line")

    calls = made(**{method: boom})
    given = {
        "tasks": (RNG(0), 1),
        "prompts": (TASK, ()),
        "statement": (TASK, (), ask()[0], "red"),
        "ending": (TASK, ONE),
    }
    with pytest.raises(WorldError) as caught:
        getattr(calls, method)(*given[method])
    assert f"failed in {method}" in str(caught.value)
    assert f"({__file__}:{boom.__code__.co_firstlineno + 1})" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_exit_is_an_error_of_the_world_unless_a_signal_asked_for_it():
    def leave(self, task, history):
        sys.exit(self.status)

    calls = made(ending=leave)
    calls.world.status = 3
    with pytest.raises(WorldError, match="SystemExit: 3"):
        calls.ending(TASK, ONE)
    calls.world.status = 128 + 15
    with pytest.raises(SystemExit, match="143"):
        calls.ending(TASK, ONE)


def test_a_decorated_method_is_found_where_it_stands():
    def kept(method):
        @functools.wraps(method)
        def wrapper(*given):
            return method(*given)

        return wrapper

    @kept
    def nothing(self, task, history):
        return None

    first = nothing.__wrapped__.__code__.co_firstlineno
    assert made(prompts=nothing).place("prompts") == f"{__file__}:{first}"
    assert made(prompts=functools.partial(max, 1)).place("prompts") == "no file"


def test_the_place_of_a_file_that_python_cannot_read_is_the_line_in_it():
    with pytest.raises(SyntaxError) as caught:
        compile("x = 1\ny = (\n", "some.py", "exec")
    assert place_of(caught.value) == "some.py:2"
    assert place_of(ValueError("never raised")) == "an unknown place"


@pytest.mark.parametrize("name", [entry.name for entry in worlds(Kind.TEXT)])
def test_our_worlds_pass_through_unchanged(name):
    world = SimpleNamespace(made={one.name: one for one in worlds(Kind.TEXT)}[name].make()).made
    calls, rng = WorldCalls(world), RNG(3)
    for task in calls.tasks(rng, 20):
        history = ()
        while said := calls.prompts(task, history):
            assert said == world.prompts(task, history)
            texts = [str(rng.choice(one.words or ("a note", ""))) for one in said]
            history += tuple(
                calls.statement(task, history, one, text)
                for one, text in zip(said, texts, strict=True)
            )
        assert calls.ending(task, history) == world.ending(task, history)


HALF = "half \ud83e"


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt("ann", HALF, "u", ("red",)),
        Prompt("ann", "s", HALF, most_tokens=3),
        Prompt("ann", "s", "u", ("red", HALF)),
        Prompt("ann", "s", "u", ("red",), earlier=(("tool", HALF), ("assistant", "red"))),
    ],
)
def test_half_of_a_character_is_refused_in_a_prompt(prompt):
    said = rf"got '\\ud83e', half of a character, .* from prompts of world .*{HERE}"
    with pytest.raises(WorldError, match=said):
        made(prompts=(prompt,)).prompts(TASK, ())


def test_half_of_a_character_is_refused_in_a_task_and_a_statement():
    with pytest.raises(WorldError, match="half of a character"):
        made(tasks=[("red", HALF)]).tasks(RNG(0), 1)
    with pytest.raises(WorldError, match="half of a character"):
        made(statement=Statement("ann", HALF)).statement(TASK, (), asked(), "red")
    whole = Prompt("ann", "Größer 🤖", "\U0001f917", ("é 你", "да"))
    assert made(prompts=(whole,)).prompts(TASK, ()) == (whole,)
    assert made(tasks=[("🤖",)]).tasks(RNG(0), 1) == [("🤖",)]


def asked():
    return Prompt("ann", "s", "u", ("red", "blue"))
