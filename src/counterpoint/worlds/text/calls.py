"""`WorldCalls`: the methods of a text world, with what they return checked.

Whoever plays a world calls it through this class. A world of a user may fail or return anything, at
any time: each fault becomes a WorldError of one line, with the file and the line to change.
"""

from __future__ import annotations

import inspect
import textwrap
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np

from counterpoint.errors import WorldError
from counterpoint.worlds.foreign.names import NOT_ITS_FAULT, foreign_failure
from counterpoint.worlds.text.world import KEEPS, Ending, Prompt, Statement, Task, TextWorld

LARGEST = 1e100
"""The largest reward or success: sums of squares of larger ones leave the range of floats."""
FREE = "most_tokens=64 for free text, or words to choose from"
"""What a prompt without words lacks."""


class WorldCalls:
    """Calls a text world, and checks what it returns.

    Args:
        world: of ours or of a user.
    """

    def __init__(self, world: TextWorld) -> None:
        self.world, cls = world, type(world)
        ours = cls.__module__.startswith("counterpoint.")
        self.name = world.name if ours else f"{cls.__module__}:{cls.__qualname__}"
        self.longest = world.longest
        self._agents, self._components = frozenset(world.agents), len(world.components)

    def tasks(self, rng: np.random.Generator, count: int, *, held_out: bool = False) -> list[Task]:
        """Returns `count` tasks: of training, or of those that are held out of it.

        Raises:
            WorldError: the world fails, or returns another number, or other things than tasks.
        """
        method = "held_out_tasks" if held_out else "tasks"
        tasks = self._call(method, rng, count)
        if not isinstance(tasks, list | tuple):
            self.refuse(method, shown(tasks), "a list of tasks")
        if len(tasks) != count:
            self.refuse(
                method, f"{len(tasks)} tasks for a batch of {count}",
                "as many as asked for: counterpoint.worlds.kind.cycled(rng, pool, count) repeats "
                "those of a pool",
            )  # fmt: skip
        for task in tasks:
            if not isinstance(task, tuple) or not all(isinstance(part, str) for part in task):
                self.refuse(method, f"task {shown(task)}", "a tuple of text, such as ('red', '3')")
            self._demand_characters(method, *task)
        # What NumPy draws is text of another type, as in `_checked`.
        return [tuple(map(str, task)) for task in tasks]

    def prompts(self, task: Task, history: tuple[Statement, ...]) -> tuple[Prompt, ...]:
        """Returns the prompts of the agents who speak next.

        Raises:
            WorldError: the world fails, or returns other things than prompts that its agents can
                answer.
        """
        prompts = self._call("prompts", task, history)
        if not isinstance(prompts, tuple | list):
            wanted = "a tuple of Prompt: (Prompt(...),) for one agent, () at the end"
            self.refuse("prompts", shown(prompts), wanted)
        if not prompts and not history:
            self.refuse("prompts", f"no prompt at the start of task {shown(task)}", "one at least")
        return tuple(self._checked(prompt) for prompt in prompts)

    def statement(
        self, task: Task, history: tuple[Statement, ...], prompt: Prompt, text: str
    ) -> Statement:
        """Returns an answer as the history keeps it.

        Raises:
            WorldError: the world fails, or returns no statement of the agent that answered.
        """
        made = self._call("statement", task, history, prompt, text)
        if not isinstance(made, Statement):
            wanted = "Statement(prompt.agent, text, to=...)"
            self.refuse("statement", shown(made), wanted)
        if made.agent != prompt.agent:
            got = f"a statement of {made.agent!r} for the answer of {prompt.agent!r}"
            self.refuse("statement", got, "the agent that answered: prompt.agent")
        if not isinstance(made.text, str) or not isinstance(made.to, str):
            self.refuse("statement", shown(made), "text, and the name of an agent or '' as `to`")
        self._demand_characters("statement", made.text, made.to)
        if {type(made.agent), type(made.text), type(made.to)} == {str}:
            return made
        return replace(made, agent=str(made.agent), text=str(made.text), to=str(made.to))

    def ending(self, task: Task, history: tuple[Statement, ...]) -> Ending:
        """Returns the success and the rewards of an episode.

        Raises:
            WorldError: the world fails, or returns no finite success, or not one row of finite
                rewards for each decision.
        """
        ending = self._call("ending", task, history)
        if not isinstance(ending, Ending):
            self.refuse("ending", shown(ending), "Ending(success, rewards)")
        if not _is_number(ending.success):
            got = f"success {shown(ending.success)} of task {shown(task)}"
            self.refuse("ending", got, "a finite number, also for an episode without a result")
        wanted = (len(history), self._components)
        try:
            rewards = np.asarray(ending.rewards)
        except ValueError:  # its rows have different lengths
            rewards = np.zeros(0)
        if rewards.shape != wanted:
            self.refuse(
                "ending", f"rewards {shown(ending.rewards)} for {wanted[0]} decisions",
                f"{wanted[0]} rows of {wanted[1]}, one row for each decision and one number for "
                "each of components: shared(reward, history) gives all decisions the same",
            )  # fmt: skip
        numbers = rewards.dtype.kind in "biuf"
        # In 64 bits: numbers of 16 or 32 cannot be compared with the largest one.
        if not numbers or not (abs(rewards.astype(np.float64)) <= LARGEST).all():
            got = f"rewards {shown(ending.rewards)} of task {shown(task)}"
            self.refuse("ending", got, f"finite numbers of at most {LARGEST:g}")
        return Ending(float(ending.success), tuple(map(tuple, rewards.tolist())))

    def refuse_endless(self) -> NoReturn:
        """Raises a WorldError about an episode that goes on after the world's own limit."""
        got = f"more than {self.longest} decisions in an episode"
        self.refuse("prompts", got, "() by then, or a larger `longest` in the class")

    def refuse(self, method: str, got: str, wanted: str) -> NoReturn:
        """Raises a WorldError about what a method returned, with the place of the method."""
        raise WorldError(
            f"got {got} from {method} of world '{self.name}' ({self.place(method)}); "
            f"wanted {wanted}"
        )

    def place(self, method: str) -> str:
        """Returns the file and the line where a method is defined."""
        made = inspect.unwrap(getattr(type(self.world), method))
        code = getattr(made, "__code__", None)
        return f"{code.co_filename}:{code.co_firstlineno}" if code else "no file"

    def _demand_characters(self, method: str, *texts: str) -> None:
        """Refuses half of a surrogate pair, which neither a file nor a tokenizer takes."""
        for text in texts:
            try:
                text.encode()
            except UnicodeEncodeError as error:
                half = f"{text[error.start]!r}, half of a character, in the text {shown(text)}"
                self.refuse(method, half, "whole characters")

    def _call(self, method: str, *given: Any) -> Any:
        try:
            return getattr(self.world, method)(*given)
        except NOT_ITS_FAULT:
            raise
        except BaseException as error:
            where = method
            if not method.endswith("tasks"):
                texts = [one.text for one in given[1]]
                after = f" after {shown(texts)}" if texts else ""
                where = f"{method} of task {shown(given[0])}{after}"
            raise foreign_failure(error, self.name, where, KEEPS) from error

    def _checked(self, prompt: Any) -> Prompt:
        """Returns a prompt that the agent can answer."""
        if not isinstance(prompt, Prompt):
            self.refuse("prompts", shown(prompt), "a tuple of Prompt(agent, system, user, ...)")
        agent, words = prompt.agent, prompt.words
        if not isinstance(agent, str) or agent not in self._agents:
            known = ", ".join(sorted(self._agents))
            self.refuse("prompts", f"a prompt for {agent!r}", f"one of the agents {known}")
        shows: tuple[object, ...] = (prompt.system, prompt.user)
        if not all(isinstance(text, str) for text in shows):
            got = f"a prompt for {agent!r} with {shown(shows)}"
            self.refuse("prompts", got, "text as its system and its user message")
        if not isinstance(words, tuple) or not all(isinstance(word, str) for word in words):
            got = f"words {shown(words)} for {agent!r}"
            self.refuse("prompts", got, "a tuple of text, such as ('red', 'blue')")
        if not all(word.strip() for word in words):
            got = f"the word {min(words, key=lambda word: len(word.strip()))!r} for {agent!r}"
            self.refuse("prompts", got, "words with letters or digits")
        earlier = (text for _, text in prompt.earlier)
        self._demand_characters("prompts", prompt.system, prompt.user, *words, *earlier)
        if len(set(words)) < len(words):
            self.refuse("prompts", f"words {shown(words)} for {agent!r}", "each of them once")
        if not words:
            most = prompt.most_tokens
            if isinstance(most, bool) or not isinstance(most, int | np.integer) or most < 1:
                got = f"no words and most_tokens={most!r} for {agent!r}"
                self.refuse("prompts", got, FREE)
        texts = (agent, prompt.system, prompt.user, *words)
        if {type(prompt.most_tokens), *map(type, texts)} == {int, str}:
            return prompt
        # What NumPy makes is text, and whole numbers, of other types, which JSON does not take.
        return replace(
            prompt,
            agent=str(agent),
            system=str(prompt.system),
            user=str(prompt.user),
            words=tuple(map(str, words)),
            most_tokens=prompt.most_tokens if words else int(prompt.most_tokens),
        )


def _is_number(value: Any) -> bool:
    """Returns whether a value is one finite number."""
    if isinstance(value, str | bytes) or not hasattr(value, "__float__"):
        return False
    try:
        return bool(abs(float(value)) <= LARGEST)
    except (TypeError, ValueError):
        return False


def shown(value: Any) -> str:
    """Returns how Python shows a value, cut to what a line has room for."""
    return textwrap.shorten(repr(value), 120, placeholder="...")
