"""`Server`: any OpenAI-compatible chat-completions server, such as vLLM, llama.cpp or Ollama.

This is the one file that imports openai. Its own retries are off: those of `PendingRequest` keep
one deadline for each request, and count every attempt with its tokens. How an attempt is made is an
argument of it, so it does not depend on HTTP. answers.py reads what the server sends. A model that
writes text also answers with one word here: `ask_for_a_word`, `legal_word`.
"""

from __future__ import annotations

import asyncio
import json
import os
import string
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from counterpoint.errors import SettingError
from counterpoint.optional import needs, pip_line
from counterpoint.speakers.answers import (
    NONE,
    UNKNOWN,
    Completion,
    Fault,
    Tokens,
    one_line,
    read_completion,
    read_refusal,
)
from counterpoint.speakers.server_settings import ServerSettings
from counterpoint.speakers.speaker import Message, Reply, Request, sum_known

if TYPE_CHECKING:
    import numpy as np

Result = TypeVar("Result")
NO_KEY = "none"
"""Sent to a server on this machine if no key is set."""

_SHORTEST_KEY = 8
_LONGEST_ERROR = 300
_MOST_REFUSAL_BYTES = 10_000
Post = Callable[[Request, Sequence[Message]], Awaitable[Completion]]
"""Makes one attempt: takes the request and the messages to send; it may raise a `Fault`."""

_MOST_DOUBLINGS = 30

AROUND = string.punctuation + string.whitespace + "\u00a0\u2018\u2019\u201c\u201d\u00ab\u00bb\u3002"
"""The characters that may surround a word: white space, ASCII punctuation, quotation marks."""


class Server:
    """Asks a server many requests at once, each with its own retries and its own deadline.

    Args:
        settings: which server, and how patiently it is asked.
        api_key: the key; None takes it from the environment at each call. A server with a key given
            here cannot be pickled, so that the key gets into no file.

    Raises:
        SettingError: the key of a server on another machine is missing, or the key cannot be sent.
    """

    def __init__(self, settings: ServerSettings, api_key: str | None = None) -> None:
        self.settings = settings
        self._given = api_key
        self._key()

    def __repr__(self) -> str:
        return f"Server({self.settings!r})"

    def __getstate__(self) -> dict[str, object]:
        if self._given is not None:
            raise SettingError(
                "got a server with its key as an argument; wanted one that takes it from the "
                f"environment, to go to another process: set {self.settings.key_variable}"
            )
        return self.__dict__

    @property
    def facts(self) -> Mapping[str, str]:
        """Returns the facts on which the answers depend, besides the requests."""
        return {"model": self.settings.model, "base_url": self.settings.base_url}

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Returns one reply for each request, in their order.

        Raises:
            MissingPackageError: openai is not installed.
            SettingError: the key is no longer in the environment.
        """
        return self.replies(requests, lambda connection, place: connection.post)

    def replies(
        self, requests: Sequence[Request], post_of: Callable[[Connection, int], Post]
    ) -> list[Reply]:
        """Returns one reply for each request, whose attempts are made by `post_of(connection,
        place)`; raises as `answer` does."""
        if not requests:
            return []
        return self.connected(lambda connection: self._answer_all(connection, requests, post_of))

    def connected(self, work: Callable[[Connection], Coroutine[Any, Any, Result]]) -> Result:
        """Returns what is made with a connection, which is closed afterwards.

        Raises:
            MissingPackageError: openai is not installed.
            SettingError: the key is no longer in the environment.
        """
        with needs("a language server", pip_line("llm")):
            import openai
        key = self._key()

        async def made() -> Result:
            async with aclosing(Connection(openai, key, self.settings)) as connection:
                return await work(connection)

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(made())
        with ThreadPoolExecutor(1) as aside:  # in a notebook, whose loop is busy with this call
            return aside.submit(asyncio.run, made()).result()

    async def _answer_all(
        self,
        connection: Connection,
        requests: Sequence[Request],
        post_of: Callable[[Connection, int], Post],
    ) -> list[Reply]:
        import numpy as np  # on use: a process that asks no server starts without it

        settings = self.settings
        gate = asyncio.Semaphore(settings.concurrency)

        async def reply_to(place: int, request: Request) -> Reply:
            async with gate:
                rng = np.random.default_rng([settings.pause_seed, place])
                post = post_of(connection, place)
                return await PendingRequest(request, post, settings, rng).reply()

        replies = await asyncio.gather(
            *(reply_to(i, request) for i, request in enumerate(requests))
        )
        key = self._key()
        return [self._with_cost(key, reply) for reply in replies]

    def _with_cost(self, key: str, reply: Reply) -> Reply:
        """Returns the reply with its cost, and with a short error without the key."""
        error, cost, prices = reply.error, None, self.settings.dollars_per_million
        if error is not None:
            error = _hide(key, error)  # before it is cut
            error = error if len(error) <= _LONGEST_ERROR else f"{error[:_LONGEST_ERROR]}..."
        prompt, completion = reply.prompt_tokens, reply.completion_tokens
        if prices is not None and prompt is not None and completion is not None:
            cost = (prompt * prices[0] + completion * prices[1]) / 1e6
        return replace(reply, cost_dollars=cost, error=error)

    def _key(self) -> str:
        name = self.settings.key_variable
        key = (os.environ.get(name, "") if self._given is None else self._given).strip()
        if not key and self.settings.encrypted:
            raise SettingError(f"got no key for {self.settings.base_url}; wanted one: set {name}")
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise SettingError("got a key with spaces or other than printable ASCII characters")
        return key or NO_KEY


class Connection:
    """The connections to a server while a batch is under way."""

    def __init__(self, openai: Any, key: str, settings: ServerSettings) -> None:
        self._openai, self._key, self._settings = openai, key, settings
        self._client = openai.AsyncOpenAI(
            api_key=key,
            base_url=settings.base_url,
            max_retries=0,
            timeout=settings.deadline_seconds,
            http_client=openai.DefaultAsyncHttpxClient(
                follow_redirects=False,
                trust_env=settings.encrypted,  # else a proxy would see the key
                event_hooks={"response": [_refuse]},
            ),
        )

    async def aclose(self) -> None:
        await self._client.close()

    async def post(self, request: Request, messages: Sequence[Message]) -> Completion:
        """Makes one attempt and returns its completion.

        Raises:
            Fault: the attempt brought no text.
        """
        extra: dict[str, object] = {} if request.seed is None else {"seed": request.seed}
        if request.json_schema is not None:
            schema = {"name": "reply", "strict": True, "schema": json.loads(request.json_schema)}
            extra["response_format"] = {"type": "json_schema", "json_schema": schema}
        pending = self._client.chat.completions.with_streaming_response.create(
            model=self._settings.model,
            messages=[{"role": message.role, "content": message.content} for message in messages],
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            extra_headers={"Accept-Encoding": "identity"},
            **extra,
        )
        completion = read_completion(*await self._body(pending))
        return replace(completion, text=_hide(self._key, completion.text))

    async def post_tokens(
        self, model: str, prompt: Sequence[int], more: Mapping[str, object]
    ) -> tuple[str, bytes]:
        """Makes one attempt to have tokens continued; returns content type and body.

        Args:
            model: the name by which the server knows the model.
            prompt: tokens.
            more: all other fields of `POST /completions`.

        Raises:
            Fault: the attempt brought no answer.
        """
        return await self._body(
            self._client.completions.with_streaming_response.create(
                model=model,
                prompt="",
                extra_headers={"Accept-Encoding": "identity"},
                # As the argument `prompt`, each token of it would be looked at.
                extra_body={**more, "prompt": list(prompt)},
            )
        )

    async def call(self, path: str, body: Mapping[str, object] | None = None) -> str:
        """Returns the answer to one request to another path of the server; it is a GET without a
        body.

        Args:
            path: behind the address of the server, or behind its root if it begins with `/`.
            body: sent as JSON.

        Raises:
            Fault: there was no answer, or one of another status than 200.
        """
        base = self._settings.base_url.rstrip("/")
        url = base.removesuffix("/v1") + path if path.startswith("/") else f"{base}/{path}"
        options = {"headers": {"Accept-Encoding": "identity"}}
        try:
            if body is None:
                answer: str = await self._client.get(url, cast_to=str, options=options)
            else:
                answer = await self._client.post(url, cast_to=str, body=body, options=options)
        except Exception as error:
            fault = self._fault(error)
            fault.why = _hide(self._key, fault.why)
            raise fault from None
        return answer

    async def _body(self, pending: Any) -> tuple[str, bytes]:
        """Returns content type and body of an answer that has begun."""
        try:
            async with pending as response:
                kind = response.headers.get("content-type", "")
                return kind, await _read(response.iter_bytes(), self._settings.most_bytes)
        except Exception as error:
            raise self._fault(error) from None

    def _fault(self, error: Exception) -> Fault:
        """Returns the error: the fault of `_refuse` or `_read`, or a failed connection."""
        links: list[BaseException] = [error]
        while (cause := links[-1].__cause__) is not None:
            links.append(cause)
        for link in links:
            if isinstance(link, Fault):
                return link
        unsent = any(type(link).__name__ in ("ConnectError", "ConnectTimeout") for link in links)
        detail = next((str(link) for link in reversed(links) if str(link)), "nothing more is known")
        of_http = type(error).__module__.startswith("httpx")
        return Fault(
            f"the connection failed ({type(links[-1]).__name__}: {one_line(detail)})",
            again=of_http or isinstance(error, self._openai.APIError | OSError),
            tokens=NONE if unsent else UNKNOWN,
        )


async def _refuse(response: Any) -> None:
    """Takes each response before its body is read, and raises a `Fault` if it is no answer."""
    if response.status_code != 200:
        body = bytearray()
        async for part in response.aiter_raw():
            body += part
            if len(body) >= _MOST_REFUSAL_BYTES:
                break
        after = response.headers.get("retry-after")
        raise read_refusal(response.status_code, after, bytes(body[:_MOST_REFUSAL_BYTES]))
    encoding = response.headers.get("content-encoding", "identity")
    if encoding != "identity":  # a small body could become a large one
        raise Fault(f"the answer is encoded ({one_line(encoding)}), unasked", again=False)


async def _read(parts: Any, most: int) -> bytes:
    body = bytearray()
    async for part in parts:
        body += part
        if len(body) > most:
            why = f"the answer is longer than {most} bytes; raise most_bytes if that can be right"
            raise Fault(why, again=False)
    return bytes(body)


def _hide(key: str, text: str) -> str:
    """Returns the text of a server without the key, in case the server repeats the key."""
    if len(key) < _SHORTEST_KEY:  # no secret, and maybe a word
        return text
    return text.replace(key, "[key]")


class PendingRequest:
    """A request until its reply is there.

    Args:
        request: what is asked.
        post: makes one attempt.
        bounds: the deadline, the retries, the repairs and the pauses.
        rng: draws the random part of the pauses.
    """

    def __init__(
        self, request: Request, post: Post, bounds: ServerSettings, rng: np.random.Generator
    ) -> None:
        self._request, self._post, self._bounds, self._rng = request, post, bounds, rng
        self._failed = 0
        self._used: list[Tokens] = []
        self._last = "nothing came back"

    async def reply(self) -> Reply:
        """Returns the reply in every case, without its cost. The time limit starts now."""
        begun, text, error = time.monotonic(), "", None
        refused = False
        limit = self._bounds.deadline_seconds
        self._ends = begun + limit
        try:
            async with asyncio.timeout(limit):
                text = await self._text()
        except TimeoutError:
            tries = len(self._used)
            error = f"no answer within {limit:g} seconds, {tries} tries; the last: {self._last}"
        except Fault as fault:
            error, refused = fault.why, fault.refused
        except Exception as unexpected:  # costs this request, not its siblings
            error = f"unexpected {type(unexpected).__name__}: {one_line(str(unexpected))}"
        seconds = time.monotonic() - begun
        prompt = sum_known(*(tokens[0] for tokens in self._used))
        completion = sum_known(*(tokens[1] for tokens in self._used))
        return Reply(text, prompt, completion, None, seconds, len(self._used), error=error,
                     refused=refused)  # fmt: skip

    async def _text(self) -> str:
        words, messages = self._request.words, self._request.messages
        if words is None:
            return (await self._completion(messages)).text
        first = prompt = ask_for_a_word(messages, words)
        for _ in range(1 + self._bounds.repairs):
            text = (await self._completion(prompt)).text
            word = legal_word(text, words)
            if word is not None:
                return word
            self._last = f'the answer "{one_line(text)}" is none of the words'
            prompt = ask_again(first, text, words)
        raise Fault(f"{self._last}, after {self._bounds.repairs} repairs", again=False)

    async def _completion(self, messages: Sequence[Message]) -> Completion:
        """Returns the first completion; `retries` counts over the whole request."""
        while True:
            tokens = UNKNOWN  # and so it stays where the deadline cuts the attempt short
            try:
                completion = await self._post(self._request, messages)
                tokens = completion.tokens
                return completion
            except Fault as fault:
                tokens, self._last = fault.tokens, fault.why
                self._failed += 1
                if not fault.again or self._failed > self._bounds.retries:
                    raise
                # the server's wish, and a random part that grows with each failure
                longest = self._bounds.pause_seconds * 2.0 ** min(self._failed - 1, _MOST_DOUBLINGS)
                pause = (fault.wait_seconds or 0.0) + longest * float(self._rng.uniform(0.5, 1.0))
            finally:
                self._used.append(tokens)
            if time.monotonic() + pause >= self._ends:
                raise TimeoutError  # now, instead of a wait that must end in it
            await asyncio.sleep(pause)


def ask_for_a_word(messages: Sequence[Message], words: Sequence[str]) -> tuple[Message, ...]:
    """Returns the conversation with a line at its end that says which answers are legal.

    The line goes into the user's last message, since not every chat template takes two messages in
    a row, or a system message.
    """
    *before, last = messages
    line = f"Answer with exactly one of these, and nothing else: {', '.join(words)}"
    if last.role == "user":
        return (*before, Message("user", f"{last.content}\n\n{line}"))
    return (*messages, Message("user", line))


def ask_again(prompt: Sequence[Message], refused: str, words: Sequence[str]) -> tuple[Message, ...]:
    """Returns the conversation after an answer that was none of the words."""
    if not refused.strip():
        return tuple(prompt)
    line = f"That is none of them. Write one of these, and nothing else: {', '.join(words)}"
    return (*prompt, Message("assistant", refused), Message("user", line))


def legal_word(text: str, words: Sequence[str]) -> str | None:
    """Returns the word that a text is, or None if it is none of the words.

    White space, case and punctuation at the ends do not count, unless two words differ in nothing
    else: with the words `C` and `C++` the text `C++` is the second, and `c.` is none.
    """
    if text.strip() in words:
        return text.strip()
    alike = [word for word in words if _bare(word) == _bare(text)]
    return alike[0] if len(alike) == 1 else None


def _bare(text: str) -> str:
    return (text.strip(AROUND) or text.strip()).casefold()
