"""`ServedTeam`: agents whose free text a server of the user's writes. Start with
`ServedTeam.write`.

The server gets the tokens of a prompt and returns an answer; its tokens are those that the server
says or, if it says none, those that the text has here. Their log-probabilities are computed here
under the present adapters, in one pass without a gradient: the ratio of the loss starts from them.
So a server that serves other weights, or the same in other numbers, is not seen in the ratio: the
batch is then a little off-policy. Where the server says its own log-probabilities, `server_gap` is
how far they are from ours.

Source: Yao et al. 2025, "Your efficient RL framework secretly brings you off-policy training", for
the gap between the server that writes and the model that learns.
"""

from __future__ import annotations

import contextlib
import shlex
import shutil
import subprocess
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from counterpoint.arrays import Floats
from counterpoint.errors import ModelError, ServerError, SettingError
from counterpoint.lm.adapters import Adapter, save_adapter
from counterpoint.lm.generate import Text, decode_answer, log_probs
from counterpoint.lm.gguf_file import write_adapter
from counterpoint.lm.memory import Prefix
from counterpoint.runs.files import folder_names, make_folder, remove, safe_name
from counterpoint.speakers.answers import Fault
from counterpoint.speakers.token_server import Continuation, Continued, TokenServer
from counterpoint.train.lora.episodes import PlayedBatch
from counterpoint.train.lora.seats import Models, demand_one_model
from counterpoint.train.lora.settings import LanguageSettings, server_settings
from counterpoint.train.lora.words import WritingTeam
from counterpoint.worlds.text.world import Prompt

HANDOVER = "handover"
"""The folder in a run for the adapters that the server has loaded."""
LOG = "handover.log"
"""The file beside it for what the user's command prints."""
LISTED_EVERY = 0.25
"""Seconds between two looks at whether a llama.cpp server has come back."""


@dataclass(frozen=True)
class ServedText(Text):
    """An answer that a server wrote."""

    gaps: Floats = field(default_factory=lambda: np.zeros(0))
    """The server's log-probabilities of tokens minus ours, in nats, at temperature 1; empty if it
    does not say any."""
    respelled: bool = False
    """Whether the server did not say the tokens, so that they are those of the text here."""
    reworded: bool = False
    """Whether these tokens give another text than the server's."""


class ServedTeam(WritingTeam):
    """Agents that write by a server, and learn here.

    Args:
        models: the frozen models, which must be one.
        adapters: of each agent.
        settings: which server, how it gets adapters, and all that `WritingTeam` needs.

    Raises:
        SettingError: agents have different models, or adapters that the server could not be told
            where to act.
    """

    def __init__(
        self, models: Models, adapters: Mapping[str, Adapter], settings: LanguageSettings
    ) -> None:
        super().__init__(models, adapters, settings)
        demand_one_model(settings, self.readers.values())
        (self.reader,) = set(self.readers.values())
        self.model = model = self.reader.model
        asked = server_settings(settings, model.name)
        self.server, self.model_name = TokenServer(asked), asked.model
        self.folder: Path | None = None
        """The run directory; without one, adapters go to a temporary folder."""
        self.handed: int | None = None
        """The update whose adapters the server has; None if it is not known."""
        self._fields: dict[str, Mapping[str, object]] = {}
        """Further fields of requests, by the name of the adapter."""
        self._names: dict[str, str] = {}
        """Name of each adapter on the server, by its name here."""
        opening = model.invocation(settings.kind)
        if settings.handover == "llamacpp" and len(opening) == 1:
            raise SettingError(
                f"got adapter={settings.kind} and a template of {model.name} that puts one token "
                "before an answer, which llama.cpp cannot be told; wanted adapter=plain"
            )
        self._temporary: Path | None = None

    def write(self, asks: Sequence[Prompt], rng: np.random.Generator) -> list[Text]:
        """Returns an answer of the server to each prompt; those of an agent stand one after the
        other.

        Raises:
            ServerError: the server did not answer one of them.
            ModelError: it wrote what the model here cannot read.
            SettingError: a prompt and the answer to it are longer than the model can read.
        """
        if not asks:
            return []
        model, tokens = self.model, dict[tuple[Any, ...], tuple[int, ...]]()
        for ask in asks:
            if ask.messages not in tokens:
                tokens[ask.messages] = model.prompt(ask.messages)
            model.demand_room(len(tokens[ask.messages]), ask.most_tokens)
        seeds = rng.integers(1 << 31, size=len(asks)).tolist()
        answers = self.server.continued(
            [
                Continuation(
                    self._names.get(self.adapter_of(ask.agent), self.model_name),
                    tokens[ask.messages],
                    ask.most_tokens,
                    self.settings.temperature,
                    seed,
                    {
                        "stop_token_ids": sorted(model.end_tokens),
                        **self._fields.get(self.adapter_of(ask.agent), {}),
                    },
                )
                for ask, seed in zip(asks, seeds, strict=True)
            ]
        )
        texts = [
            self._text(ask, tokens[ask.messages], answer)
            for ask, answer in zip(asks, answers, strict=True)
        ]
        with torch.no_grad():
            for part in self.passes(asks, texts):
                texts[part] = self._with_log_probs(asks[part], texts[part], answers[part])
        return list(texts)

    def adapter_of(self, agent: str) -> str:
        """Returns the name of the adapter of an agent."""
        return "shared" if self.settings.parameters == "shared" else agent

    def _text(self, ask: Prompt, prompt: tuple[int, ...], answer: Continued) -> ServedText:
        """Returns an answer whose log-probabilities are not known yet."""
        model, most = self.model, ask.most_tokens
        if answer.error is not None:
            raise ServerError(
                f"got no answer for {ask.agent} from {self.settings.server} ({answer.error}); "
                "wanted a server that answers: start it again"
            )
        rows = len(model.unembedding)
        if answer.tokens is not None and max(answer.tokens, default=0) >= rows:
            raise ModelError(
                f"got token {max(answer.tokens)} from {self.settings.server} and a model with "
                f"{rows} tokens; wanted a server of {model.name}"
            )
        if not answer.ended and answer.count is not None and answer.count < most:
            raise ModelError(
                f"got an answer for {ask.agent} from {self.settings.server} that was cut off after "
                f"{answer.count} of {most} tokens; wanted a server with a longer context"
            )
        said = answer.tokens is not None
        spelled = list(model.spelled(answer.text) if answer.tokens is None else answer.tokens)
        spelled = spelled[:most]
        for n, token in enumerate(spelled):
            if token in model.end_tokens:
                spelled = spelled[: n + 1]
                break
        else:
            if not spelled or (answer.ended and len(spelled) < most):
                spelled.append(self._end)
        if self.settings.kind == "plain":
            empty = torch.zeros(0, device=model.device)
            prefix = Prefix({}, {}, prompt[-1:], empty, len(prompt) - 1)  # it is read in each pass
        else:
            (prefix,) = self.reader.prefixes([ask.messages], [len(spelled)])
        text = ServedText(prefix, tuple(spelled), np.zeros(len(spelled)), respelled=not said)
        return replace(text, reworded=decode_answer(model, text) != answer.text)

    @property
    def _end(self) -> int:
        """The token that ends an answer if the server does not say which did."""
        turn = self.model.template.end_of_turn()
        ends = self.model.end_tokens
        if not ends:
            return int(self.model.tokenizer.eos_token_id or 0)
        return turn if turn in ends else min(ends)

    def _with_log_probs(
        self, asks: Sequence[Prompt], texts: Sequence[ServedText], answers: Sequence[Continued]
    ) -> list[ServedText]:
        """Returns the same answers with their log-probabilities under the present adapters."""
        written = torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(text.tokens) for text in texts], batch_first=True
        ).to(self.model.device)
        hidden, there = self.states(asks, texts, written)
        sizes = [len(text.tokens) for text in texts]

        def at(temperature: float) -> list[Floats]:
            nats = log_probs(hidden, self.model.unembedding, written[there], temperature)
            return [x.double().cpu().numpy() for x in nats.split(sizes)]

        ours = at(self.settings.temperature)
        plain = ours if self.settings.temperature == 1 else at(1.0)
        done = []
        for text, mine, here, answer in zip(texts, ours, plain, answers, strict=True):
            theirs = np.array([np.nan if x is None else x for x in answer.log_probs[: len(here)]])
            gaps = theirs - here[: len(theirs)]
            done.append(replace(text, log_probs=mine, gaps=gaps[np.isfinite(gaps)]))
        return done

    def hand_over(
        self,
        own: Mapping[str, Adapter],
        update: int,
        doing: Callable[[str], object] = lambda text: None,
    ) -> None:
        """Brings the present adapters to the server, unless it has them.

        Args:
            own: adapters by name.
            update: updates that were made with them.
            doing: told what is done.

        Raises:
            ServerError: the server did not load them.
            ModelError: the user's command failed.
        """
        how = self.settings.handover
        if self.handed == update or how == "none":
            return
        doing(f"update {update + 1}: the server loads the adapters")
        root = self._root()
        folder = root / HANDOVER / f"update-{update}"
        remove(folder)
        make_folder(folder)
        names = folder_names(own)
        if how == "vllm":
            for name, adapter in own.items():
                save_adapter(adapter, folder / names[name], self.model.name, ())
                self._load(safe_name(f"{root.name}.{names[name]}"), folder / names[name])
                self._names[name] = safe_name(f"{root.name}.{names[name]}")
        else:
            files = {name: folder / f"{names[name]}-{update}.gguf" for name in own}
            opening = self.model.invocation(self.settings.kind)[1:]
            for name, adapter in own.items():
                write_adapter(adapter, self.model.model.config, files[name], opening)
            self._start(folder, root / LOG)
            places = self._listed({file.name for file in files.values()})
            for name, file in files.items():
                # An activated adapter must not meet what it made of earlier answers.
                self._fields[name] = {
                    "lora": [{"id": places[file.name], "scale": 1.0}],
                    "cache_prompt": not opening,
                }
        for older in folder.parent.iterdir():
            if older != folder:
                remove(older)
        self.handed = update

    def _root(self) -> Path:
        if self.folder is not None:
            return self.folder.resolve()
        if self._temporary is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="counterpoint-"))
            weakref.finalize(self, shutil.rmtree, self._temporary, ignore_errors=True)
        return self._temporary

    def _load(self, name: str, folder: Path) -> None:
        """Lets vLLM load an adapter under a name, in place of an earlier one."""
        with contextlib.suppress(Fault):  # it has none of this name
            self.server.call("unload_lora_adapter", {"lora_name": name})
        try:
            self.server.call("load_lora_adapter", {"lora_name": name, "lora_path": str(folder)})
        except Fault as fault:
            raise ServerError(
                f"could not have {self.settings.server} load {folder} ({fault.why}); wanted vLLM "
                "with --enable-lora, --max-lora-rank of at least "
                f"{self.settings.rank}, VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 in its environment, and "
                "this folder in its file system"
            ) from None

    def _start(self, folder: Path, log: Path) -> None:
        """Runs the user's command, which starts the server with the adapters in a folder."""
        command = [*shlex.split(self.settings.handover_command), str(folder)]
        try:
            with log.open("ab") as output:
                done = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,  # no pipe: a server that it leaves behind would hold it open
                    stderr=output,
                    timeout=self.settings.server_seconds,
                    check=False,
                )
            why = f"status {done.returncode}" if done.returncode else ""
        except subprocess.TimeoutExpired:
            why = f"no end within {self.settings.server_seconds:g} seconds"
        except OSError as error:
            why = error.strerror or str(error)
        if why:
            raise ModelError(
                f"could not start the server with {shlex.join(command)} ({why}; {log} has what it "
                "printed); wanted a command that starts it in the background and ends"
            )

    def _listed(self, files: set[str]) -> dict[str, int]:
        """Returns the number of each adapter's file on a llama.cpp server, once it serves all."""
        until, why = time.monotonic() + self.settings.server_seconds, ""
        while True:
            try:
                rows = msgspec.json.decode(self.server.call("/lora-adapters"))
                found = {Path(row["path"]).name: int(row["id"]) for row in rows}
                if files <= set(found):
                    return {name: found[name] for name in files}
                why = f"it serves {', '.join(sorted(found)) or 'no adapter'}"
            except Fault as fault:
                why = fault.why
            except (msgspec.MsgspecError, LookupError, TypeError, ValueError):
                why = "its list of adapters is in another format"
            if time.monotonic() >= until:
                raise ServerError(
                    f"waited {self.settings.server_seconds:g} seconds for {self.settings.server} "
                    f"to serve {', '.join(sorted(files))} ({why}); wanted a handover_command that "
                    "starts llama-server with --lora for each file of the folder"
                )
            time.sleep(LISTED_EVERY)


def served_metrics(played: PlayedBatch, agents: Sequence[str]) -> dict[str, float]:
    """Returns how the answers of a server fit the model here, by `MEASURE.AGENT`.

    `server_gap` is the mean distance of the server's log-probabilities from ours at temperature 1,
    in nats a token, where the server says its own; `respelled` is the share of answers of which it
    did not say the tokens, and `reworded` the share whose tokens here give another text.

    Args:
        played: a batch.
        agents: [A] names, in the order of the column `agent`.
    """
    metrics: dict[str, float] = {}
    for k, name in enumerate(agents):
        mine = [
            answer.handle
            for answer, agent in zip(played.answers, played.columns["agent"], strict=True)
            if agent == k and isinstance(answer.handle, ServedText)
        ]
        if not mine:
            continue
        gaps = np.concatenate([text.gaps for text in mine])
        if len(gaps):
            metrics[f"server_gap.{name}"] = float(np.abs(gaps).mean())
        metrics[f"respelled.{name}"] = float(np.mean([text.respelled for text in mine]))
        metrics[f"reworded.{name}"] = float(np.mean([text.reworded for text in mine]))
    return metrics
