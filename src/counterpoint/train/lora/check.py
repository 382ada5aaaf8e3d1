"""Checks of a team before it is trained: what a model cannot read of the world's prompts.

`placed` adds the line of the world to the error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from counterpoint.errors import SettingError
from counterpoint.lm.model import LanguageModel
from counterpoint.lm.reader import Kind
from counterpoint.worlds.text.calls import WorldCalls
from counterpoint.worlds.text.world import Prompt, TextWorld

MEASURED = 64
"""Prompts whose tokens are counted at the start: those of the most characters, and those with the
most room for an answer."""


@contextmanager
def placed(world: TextWorld, method: str) -> Iterator[None]:
    """Adds the place of a world's method to a SettingError about what the method returned."""
    try:
        yield
    except SettingError as error:
        calls = WorldCalls(world)
        place = f"{method} of world '{calls.name}' ({calls.place(method)})"
        raise SettingError(f"{error}; see {place}") from error


def demand_readable(model: LanguageModel, asks: Sequence[Prompt]) -> None:
    """Raises an error unless the model can tell the words of prompts apart, and can read the
    longest of them with the longest answers to them.

    Raises:
        SettingError: it cannot; the message says what is too long.
    """
    for words in dict.fromkeys(ask.words for ask in asks if ask.words):
        model.first_tokens(words)
    by_length = sorted(asks, key=lambda ask: -sum(len(text) for _, text in ask.messages))
    roomy = sorted(asks, key=lambda ask: -ask.most_tokens)
    for ask in dict.fromkeys([*by_length[:MEASURED], *roomy[:MEASURED]]):
        try:
            model.demand_room(len(model.prompt(ask.messages)), ask.most_tokens or 1)
        except SettingError as error:
            raise SettingError(f"{ask.agent}: {error}") from None


def demand_opened(model: LanguageModel, kind: Kind, asks: Sequence[Prompt]) -> None:
    """Raises an error unless prompts end with the tokens by which other tools find the place from
    which on adapters act.

    Args:
        model: the model that reads them.
        kind: where adapters act.
        asks: prompts; those of the fewest and of the most characters are read.

    Raises:
        SettingError: one ends in another way, as some do with a template that opens an answer
            differently after a tool's message, or whose opening is one token with what it follows.
    """
    wanted, decode = model.invocation(kind), model.tokenizer.decode
    by_length = sorted(asks, key=lambda ask: sum(len(text) for _, text in ask.messages))
    for ask in dict.fromkeys([*by_length[:MEASURED], *by_length[-MEASURED:]]) if wanted else ():
        end = model.prompt(ask.messages)[-len(wanted) :]
        if end != wanted:
            raise SettingError(
                f"{ask.agent}: got a prompt that ends with {decode(end)!r} ({end}); with "
                f"adapter={kind} other tools let an adapter act from {decode(wanted)!r} ({wanted}) "
                "on; wanted a template that opens every answer alike, or adapter=plain"
            )
