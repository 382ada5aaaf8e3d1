"""`Server`: any OpenAI-compatible chat-completions server, such as vLLM, llama.cpp or Ollama.

This is the one file that imports openai. Its own retries are off: those of `PendingRequest` keep
one deadline for each request, and count every attempt with its tokens. pace.py says how many
requests are under way at once, and answers.py reads what the server sends.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from typing import Any, TypeVar

from counterpoint.errors import SettingError
from counterpoint.optional import needs, pip_line
from counterpoint.runs.stop import run_tasks_to_end
from counterpoint.speakers.answers import (
    NONE,
    UNKNOWN,
    Completion,
    Fault,
    one_line,
    read_completion,
    read_refusal,
)
from counterpoint.speakers.pace import Line, Pace
from counterpoint.speakers.pending import PendingRequest, Post
from counterpoint.speakers.scheme import other_scheme
from counterpoint.speakers.server_settings import ServerSettings
from counterpoint.speakers.speaker import Message, Reply, Request

Result = TypeVar("Result")
NO_KEY = "none"
"""Sent to a server on this machine if no key is set."""

CONNECT_SECONDS = 5.0
"""Seconds for a connection and its encryption."""
_SHORTEST_KEY = 8
_LONGEST_ERROR = 300
_MOST_REFUSAL_BYTES = 10_000


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
        self._pace = Pace(settings)
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
            return run_tasks_to_end(made())
        with ThreadPoolExecutor(1) as aside:  # in a notebook, whose loop is busy with this call
            return aside.submit(asyncio.run, made()).result()

    async def _answer_all(
        self,
        connection: Connection,
        requests: Sequence[Request],
        post_of: Callable[[Connection, int], Post],
    ) -> list[Reply]:
        import numpy as np  # on use: a process that asks no server starts without it

        settings, line = self.settings, Line(self._pace)

        async def reply_to(place: int, request: Request) -> Reply:
            rng = np.random.default_rng([settings.pause_seed, place])
            post = post_of(connection, place)
            return await PendingRequest(request, post, settings, rng, line).reply()

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
        self._has_looked = False  # whether the port speaks the scheme of the address
        self._client = openai.AsyncOpenAI(
            api_key=key,
            base_url=settings.base_url,
            max_retries=0,
            timeout=openai.Timeout(None, connect=CONNECT_SECONDS),  # `Clock` has the deadline
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
            async with asyncio.timeout(self._settings.deadline_seconds):
                if body is None:
                    answer: str = await self._client.get(url, cast_to=str, options=options)
                else:
                    answer = await self._client.post(url, cast_to=str, body=body, options=options)
        except Exception as error:
            fault = await self._fault(error)
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
            raise await self._fault(error) from None

    async def _fault(self, error: Exception) -> Fault:
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
        unverified = any(type(link).__name__ == "SSLCertVerificationError" for link in links)
        if not self._has_looked and not unverified:
            self._has_looked = True
            if why := await other_scheme(self._settings.base_url):
                return Fault(why, again=False, refused=True, tokens=NONE, status=None)
        return Fault(
            f"the connection failed ({type(links[-1]).__name__}: {one_line(detail)})",
            again=of_http or isinstance(error, self._openai.APIError | OSError),
            tokens=NONE if unsent else UNKNOWN,
            status=None,
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
