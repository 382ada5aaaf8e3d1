"""`TokenServer`: a server that goes on after tokens, rather than after messages.

Whoever trains a model must know the very tokens of a prompt and of its answer. `POST /completions`
takes tokens, so that no chat template stands in between; vLLM and llama.cpp say the tokens of the
answer and their log-probabilities as well. `TokenServer.call` reaches other paths of the server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from counterpoint.speakers.answers import Completion, Fault, read_object
from counterpoint.speakers.pending import Post
from counterpoint.speakers.server import Connection, Server
from counterpoint.speakers.speaker import Message, Request

PLAIN_SAMPLING: Mapping[str, object] = {
    "top_p": 1.0,
    "top_k": -1,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "logprobs": 1,
    "return_token_ids": True,
}
"""Fields of a request by which a server draws from the model's own distribution, whatever its
defaults are, and says tokens and log-probabilities."""
_UNUSED = (Message("user", "tokens"),)


@dataclass(frozen=True)
class Continuation:
    """Tokens that a server is to continue."""

    model: str
    """The name by which the server knows the model, or the adapter in it."""
    prompt: tuple[int, ...]
    most_tokens: int
    """The most tokens of the answer."""
    temperature: float
    seed: int
    more: Mapping[str, object] = field(default_factory=dict)
    """Further fields of the request."""


@dataclass(frozen=True)
class Continued:
    """What a server wrote."""

    text: str
    tokens: tuple[int, ...] | None = None
    """The tokens of the answer; None if the server does not say all of them."""
    log_probs: tuple[float | None, ...] = ()
    """Of each of these tokens, in nats, as the server has them; empty if it does not say."""
    ended: bool = True
    """Whether the model ended the answer; false where it was cut off."""
    count: int | None = None
    """How many tokens the server counted."""
    error: str | None = None
    """Why there is no text."""


class TokenServer(Server):
    """Has tokens continued, many requests at once, with the retries and deadlines of `Server`."""

    def continued(self, asked: Sequence[Continuation]) -> list[Continued]:
        """Returns what follows each, in their order; a failed request has an `error`.

        Raises:
            MissingPackageError: openai is not installed.
            SettingError: the key is no longer in the environment.
        """
        made: dict[int, Continued] = {}

        def post_of(connection: Connection, place: int) -> Post:
            one = asked[place]

            async def post(request: Request, messages: Sequence[Message]) -> Completion:
                told = {
                    **PLAIN_SAMPLING,
                    **one.more,
                    "max_tokens": one.most_tokens,
                    "temperature": one.temperature,
                    "seed": one.seed,
                }
                answer = await connection.post_tokens(one.model, one.prompt, told)
                made[place], completion = read_continued(*answer)
                return completion

            return post

        replies = self.replies([Request(_UNUSED)] * len(asked), post_of)
        return [
            Continued("", error=reply.error) if reply.error is not None else made[place]
            for place, reply in enumerate(replies)
        ]

    def call(self, path: str, body: Mapping[str, object] | None = None) -> str:
        """Returns the answer to one request to another path: see `Connection.call`.

        Raises:
            Fault: there was no answer, or a refusal.
            MissingPackageError: openai is not installed.
            SettingError: the key is no longer in the environment.
        """
        return self.connected(lambda connection: connection.call(path, body))


def read_continued(kind: str, body: bytes) -> tuple[Continued, Completion]:
    """Returns the first choice of an answer to `POST /completions`.

    vLLM has tokens in `token_ids` and log-probabilities in `logprobs.token_logprobs`; llama.cpp has
    both in `logprobs.content`, but leaves out tokens that are a part of a character: its tokens
    count if they are as many as it says to have written.

    Args:
        kind: the content type.
        body: the whole answer.

    Raises:
        Fault: the body is not JSON, is an error, or has another schema.
    """
    answer, used = read_object(kind, body)
    try:
        choice = answer["choices"][0]
        text = choice["text"]
    except (LookupError, TypeError):
        choice, text = {}, None
    if not isinstance(text, str):
        why = "the server sent JSON of another schema: no choices[0].text"
        raise Fault(why, again=True, tokens=used)
    logged = choice.get("logprobs") if isinstance(choice.get("logprobs"), dict) else {}
    tokens, nats = _tokens(choice.get("token_ids")), _numbers(logged.get("token_logprobs"))
    content = logged.get("content")
    if tokens is None and isinstance(content, list):
        rows = [one for one in content if isinstance(one, dict)]
        if len(rows) == used[1]:
            tokens = _tokens([one.get("id") for one in rows])
            nats = _numbers([one.get("logprob") for one in rows])
    if tokens is None or len(nats) != len(tokens):
        nats = ()
    ended = choice.get("finish_reason") != "length"
    return Continued(text, tokens, nats, ended, used[1]), Completion(text, used)


def _tokens(values: Any) -> tuple[int, ...] | None:
    """Returns tokens; None if they are not."""
    if isinstance(values, list) and all(type(x) is int and x >= 0 for x in values):
        return tuple(values)
    return None


def _numbers(values: Any) -> tuple[float | None, ...]:
    """Returns numbers, None for each that is not one."""
    if not isinstance(values, list):
        return ()
    return tuple(float(x) if isinstance(x, int | float) else None for x in values)
