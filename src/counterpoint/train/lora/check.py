"""What a model must be able to do in a world, checked before a team is trained."""

from __future__ import annotations

from collections.abc import Iterable

from counterpoint.errors import SettingError
from counterpoint.lm.model import LanguageModel
from counterpoint.worlds.text.calls import WorldCalls
from counterpoint.worlds.text.world import Prompt, TextWorld


def require_distinct_words(
    model: LanguageModel, world: TextWorld, prompts: Iterable[Prompt]
) -> None:
    """Refuses prompts whose words the model cannot tell apart by their first tokens.

    Raises:
        SettingError: two words of a prompt begin with the same token; with the line to change.
    """
    for words in dict.fromkeys(prompt.words for prompt in prompts if prompt.words):
        try:
            model.first_tokens(words)
        except SettingError as error:
            calls = WorldCalls(world)
            place = f"prompts of world '{calls.name}' ({calls.place('prompts')})"
            raise SettingError(f"{error}, in {place}") from error
