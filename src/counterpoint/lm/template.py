"""`ChatTemplate`: a conversation as tokens, by the template that comes with a model.

Templates are small programs of the models' authors. Some refuse a system message, or two messages
of one role; some fail. What a template needs and how it ends a turn is found out once, when the
model is opened, from a few short conversations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Literal, NamedTuple, TypeVar

from counterpoint.errors import SettingError
from counterpoint.lm.models import load_small_files

Messages = Sequence[tuple[str, str]]
"""Role (`system`, `user`, `assistant`) and content of each message."""
AnswerEnd = Literal["turn", "config"]
"""What ends an answer: the tokens of the model's generation config alone (`config`), or also the
token with which the chat template ends a turn (`turn`)."""
R = TypeVar("R")

RULE, QUESTION, ANSWER = "Keep to seven rules.", "Name some fruit.", "Plum and pear."
RESULT = "Four kilos are left."
"""The contents of the conversations that are tried."""
APART = "\n\n"
"""What stands between two messages that become one."""
TOO_LONG = "sequence-length-is-longer-than-the-specified-maximum"
"""The name under which transformers keeps whether it has warned of a long text."""
OWN_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] | capitalize }}:\n{{ message['content'] }}"
    "\n\n{% endfor %}{% if add_generation_prompt %}Assistant:\n{% endif %}"
)
"""What stands for the template of a model that has none."""


class Ends(NamedTuple):
    """The tokens that end an answer."""

    tokens: frozenset[int]
    notes: tuple[str, ...] = ()
    """A sentence, if others are configured."""


class ChatTemplate:
    """The chat template of a tokenizer.

    Args:
        tokenizer: a tokenizer of Hugging Face's.
        name: the name by which the user knows the model.
        rows: number of tokens that the model has embeddings for.

    Raises:
        SettingError: the template fails, it leaves out what the user says, or the
            tokenizer has more tokens than the model.
    """

    def __init__(self, tokenizer: Any, name: str, rows: int) -> None:
        self.tokenizer, self.name, self.rows = tokenizer, name, rows
        self.notes: tuple[str, ...] = ()
        """Sentences about what is done otherwise than the user may expect."""
        # Whoever reads a prompt refuses one that is too long, so that no line has to warn of it.
        tokenizer.deprecation_warnings[TOO_LONG] = True
        if not getattr(tokenizer, "chat_template", None):
            begins = tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]
            first = "{{ bos_token }}" if begins else ""
            tokenizer.chat_template = first + OWN_TEMPLATE
            self.notes += (
                f"{name} has no chat template, so perhaps it was not trained to chat: prompts are "
                "written as 'System:', 'User:' and 'Assistant:', each on a line of its own, with "
                "the text below; tokenizer.chat_template = ... and "
                "tokenizer.save_pretrained(FOLDER) give it another one",
            )
        size = getattr(tokenizer, "vocab_size", 0)
        # A special token without a row, such as one for pictures, is refused where it is used.
        special = set(tokenizer.added_tokens_decoder) if size > rows else set()
        if size > rows and any(
            token >= rows and token not in special for token in tokenizer.get_vocab().values()
        ):
            raise SettingError(
                f"got model '{name}', whose tokenizer has {size} tokens and whose embeddings have "
                f"{rows} rows; wanted the tokenizer that it was trained with, or "
                "model.resize_token_embeddings(len(tokenizer)) and a training"
            )
        self.arguments: Mapping[str, object] = {}
        """What it reads beside the messages, such as `enable_thinking`."""
        self.joins_system = self.alternates = self.joins_tools = False
        # A user message alone first: what fails there fails for every conversation.
        if QUESTION not in self._rendered([("user", QUESTION)]):
            raise self._refusal("leaves out what the user says")
        both = (("system", RULE), ("user", QUESTION))
        if not self._shows(both):
            self.joins_system = True
            self.notes += (
                f"the chat template of {name} takes no system message: its text goes before that "
                "of the first user message",
            )
        self.alternates = not self._shows([("user", RULE), ("user", QUESTION)])
        turns = (("user", QUESTION), ("assistant", ANSWER), ("tool", RESULT), ("user", RULE))
        self.joins_tools = not self._shows(turns)
        if self.joins_tools:
            self.notes += (
                f"the chat template of {name} takes no messages of tools: what a tool returns is a "
                "message of the user",
            )
        if "strftime_now(" in str(tokenizer.chat_template):
            self.notes += (
                f"the chat template of {name} can write the date into prompts: a run that goes on "
                "on another day then reads other prompts, unless an argument of the template fixes "
                "the date (template=NAME:VALUE)",
            )

    def tokens(self, messages: Messages, *, opened: bool = True) -> tuple[int, ...]:
        """Returns the tokens of a conversation, up to the beginning of the answer.

        Args:
            messages: the conversation.
            opened: whether what the template puts before an answer stands at the end.

        Raises:
            SettingError: the template or the tokenizer fails on it, there is no token, or a token
                has no embedding.
        """

        def encode() -> Any:
            listed, options = self._listed(messages), {"tokenize": True, "return_dict": True}
            made = self.tokenizer.apply_chat_template
            given = options | dict(self.arguments)
            return made(listed, add_generation_prompt=opened, **given)["input_ids"]

        tokens: tuple[int, ...] = tuple(self._tried(encode))
        if not tokens:
            raise SettingError(
                f"got a prompt without a token of {self.name}, whose chat template adds nothing to "
                "empty messages; wanted a message that is not empty"
            )
        if tokens and max(tokens) >= self.rows:
            text = self.tokenizer.decode([max(tokens)])
            raise SettingError(
                f"got token {max(tokens)} ({text!r}) in a prompt; {self.name} has embeddings for "
                f"the first {self.rows}"
            )
        return tokens

    def end_of_turn(self) -> int | None:
        """Returns the token that ends an answer in a conversation; None if none is special."""
        turns = [("user", QUESTION), ("assistant", ANSWER)]
        try:
            after = self._rendered(turns, ask=False).rpartition(ANSWER)[2].strip()
        except SettingError:
            return None
        tokens = self.tokenizer.encode(after, add_special_tokens=False) if after else []
        special = {*self.tokenizer.all_special_ids, *self.tokenizer.added_tokens_decoder}
        return int(tokens[0]) if tokens and tokens[0] in special else None

    def ends(self, configured: int | Iterable[int] | None, by: AnswerEnd = "turn") -> Ends:
        """Returns the tokens that end an answer, and a sentence if others are configured, or none.

        Args:
            configured: `eos_token_id` of the model's generation config.
            by: see `AnswerEnd`.
        """
        given = frozenset([configured] if isinstance(configured, int) else configured or [])
        turn = self.end_of_turn() if by == "turn" else None
        end = self.tokenizer.eos_token_id if by == "turn" else None
        name, decode = self.name, self.tokenizer.decode
        if turn is not None and turn not in given:
            shown = f"{decode([turn])!r}, with which its chat template ends a turn"
            if given:
                others = " or ".join(repr(decode([token])) for token in sorted(given))
                note = f"the generation config of {name} ends an answer with {others}: {shown}, "
                return Ends(given | {turn}, (note + "ends it too",))
            note = f"the generation config of {name} names no token that ends an answer: {shown}, "
            return Ends(frozenset([turn]), (note + "is taken",))
        if given:
            return Ends(given)
        if end is not None:
            note = (
                f"neither the generation config nor the chat template of {name} names a token that "
                f"ends an answer: {decode([end])!r} of its tokenizer is taken"
            )
            return Ends(frozenset([int(end)]), (note,))
        note = (
            f"warning: {name} names no token that ends an answer: every answer in free text is as "
            "long as most_tokens; set eos_token_id in its generation_config.json"
        )
        return Ends(frozenset(), (note,))

    def _listed(self, messages: Messages) -> list[dict[str, str]]:
        """Returns messages as the template takes them."""
        taken = list(messages)
        if self.joins_tools:
            taken = [("user" if role == "tool" else role, text) for role, text in taken]
        if self.joins_system:
            rules = APART.join(text for role, text in taken if role == "system" and text)
            taken = [one for one in taken if one[0] != "system"]
            first = next((i for i, (role, _) in enumerate(taken) if role == "user"), None)
            if rules and first is not None:
                shown = taken[first][1]
                taken[first] = "user", f"{rules}{APART}{shown}" if shown else rules
            elif rules:
                taken.insert(0, ("user", rules))
        if self.alternates:
            taken = [
                (role, APART.join(text for _, text in some))
                for role, some in groupby(taken, key=lambda one: one[0])
            ]
        return [{"role": role, "content": content} for role, content in taken]

    def _shows(self, messages: Messages) -> bool:
        """Returns whether the template takes these messages, and shows all of them."""
        try:
            rendered = self._rendered(messages)
        except SettingError:
            return False
        return all(text in rendered for _, text in messages)

    def _rendered(self, messages: Messages, *, ask: bool = True) -> str:
        return self._tried(
            lambda: str(
                self.tokenizer.apply_chat_template(
                    self._listed(messages),
                    tokenize=False,
                    add_generation_prompt=ask,
                    **self.arguments,
                )
            )
        )

    def _tried(self, make: Callable[[], R]) -> R:
        """Returns what is made, unless the template or the tokenizer fails."""
        try:
            return make()
        except Exception as error:  # a template may raise anything
            line = getattr(error, "lineno", None)
            place = f", line {line}" if line else ""
            message = " ".join(str(error).split()) or "no message"
            raise self._refusal(f"fails ({type(error).__name__}: {message:.300}{place})") from error

    def _refusal(self, fault: str) -> SettingError:
        return SettingError(
            f"got model '{self.name}', whose chat template {fault}; wanted one that takes user and "
            "assistant messages: repair chat_template.jinja, or chat_template in "
            "tokenizer_config.json"
        )


def check_model(name: str, by: AnswerEnd = "turn") -> tuple[str, ...]:
    """Returns the notes about a model, from its small files alone: no weights are read.

    Args:
        name: what `counterpoint.lm.models.find_model` takes.
        by: see `AnswerEnd`.

    Raises:
        ModelError: the model is not there, or its configuration or tokenizer cannot be read.
        SettingError: its template cannot be used, or its tokenizer has too many tokens.
    """
    tokenizer, config, generation = load_small_files(name)
    template = ChatTemplate(tokenizer, name, config.vocab_size)
    return template.notes + template.ends(generation.eos_token_id, by).notes
