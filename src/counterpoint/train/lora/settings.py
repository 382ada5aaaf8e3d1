"""`LanguageSettings`: how a team of language-model agents is built and trained.

Learning rate and entropy were swept for each model: bench/language_results.py prints the tables.
Settings of the world stand in the world's own class.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

from counterpoint.errors import SettingError, choices
from counterpoint.results.parts import Settings
from counterpoint.settings import number_from, require, require_choices, split_list, split_pairs
from counterpoint.speakers.server_settings import ServerSettings

SERVER_RETRIES, SERVER_BYTES = 8, 1 << 26
"""Failed attempts of a request that are repeated, with pauses of about two minutes in all; and the
longest answer: token by token it takes much more than its text."""
TINY_LAYERS = 2
"""Number of layers of the tiny model that have adapters: the output of the first layer for a prompt
is cached."""


@dataclass(frozen=True, kw_only=True)
class LanguageSettings:
    """Settings of a training of language-model agents.

    Raises:
        SettingError: a value out of its range.
    """

    models: str = ""
    """Models of single agents or roles, `judge:tiny,planner:smollm2`, each as `--policy` takes it;
    that of `--policy` for the others. An agent's own goes before that of its role. Where the
    default of a setting depends on the model, each has its own."""
    parameters: Literal["separate", "shared"] = "separate"
    """An adapter for each agent, or one for all."""
    rank: int = 8
    """Rank of an adapter's changes."""
    alpha: float = 16.0
    """Scale of an adapter's changes: alpha / rank is their factor."""
    targets: Literal["default", "attention", "all"] = "default"
    """The linear maps of a layer that have adapters: queries and values, or every linear map. By
    default all of the tiny model's, and the attention of any other."""
    adapter: Literal["auto", "plain", "activated", "last_token"] = "auto"
    """Where adapters act: on every token (`plain`), which can be merged into the model; from the
    opening of the answer on (`activated`), where the prompt is read once for all updates; or from
    the last token of the prompt on (`last_token`), the cheapest, which suffices for an answer of
    one word. By default `last_token` where agents choose words; where they write, `plain` if that
    takes at most half as long again, by a rule of thumb on the world's prompts."""
    layers: int = 0
    """Number of layers, counted from the last, that have adapters; 0 takes 2 of the tiny model's 3,
    and 10 of any other's."""
    prompts: int = 8
    """Number of tasks in a batch."""
    rollouts: int = 0
    """Number of episodes of each task in a batch; 0 takes 32, or 8 where agents write freely."""
    lr: float = 0.0
    """Learning rate of Adam; 0 takes 0.003 for the tiny model, and 0.005 for any other."""
    lr_of: str = ""
    """Learning rates of single agents or roles, `speaker:0.003,listener:0.001`; `lr` for the
    others."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """The course of the learning rates after the warm-up: constant, or down to `lr_end` at the end
    of the budget, in a straight line or along half a cosine (Loshchilov & Hutter 2017, eq. 5)."""
    lr_end: float = 0.1
    """The share of each learning rate at which a falling schedule ends."""
    warm_up: float = 0.0
    """Updates in which learning rates rise linearly at the start; a number below 1 is a share of
    the budget."""
    weight_decay: float = 0.0
    """Share of each parameter, times the learning rate, that every step of Adam takes off (AdamW,
    Loshchilov & Hutter 2019)."""
    optimizer_steps: Literal["decided", "always"] = "decided"
    """Which adapters Adam moves in a pass: those with a decision to learn from in it, or all.
    Runs that began before there was this setting go on with `always`."""
    entropy: float = 0.2
    """Weight of the entropy bonus on choices among words, in nats."""
    entropy_end: float | None = 0.02
    """Weight of the entropy bonus at the end of the budget, which it reaches linearly; none keeps
    it constant."""
    max_norm: float = 1.0
    """Largest norm of each adapter's gradient."""
    calibrate: bool = True
    """Whether the prior of each word (its mean log-probability over the world's prompts) is
    subtracted."""
    temperature: float = 0.7
    """Sampling temperature of free text."""
    epochs: int = 1
    """Number of passes over each batch of free text; choices among words always have one."""
    clip: float = 0.2
    """Clip range of the ratio of a token's probabilities (PPO)."""
    kl: float = 0.0
    """Weight of the divergence from the bare model, in nats a token, on free text."""
    answer_end: Literal["turn", "config"] = "turn"
    """What ends an answer: a token of the model's generation config, or also the one with which its
    chat template ends a turn."""
    loss_normalization: Literal["constant", "answer", "token"] = "constant"
    """The number by which the sum over the tokens of an answer in free text is divided: the most
    tokens that it may have (`constant`: Dr. GRPO, Liu et al. 2025), its number of tokens
    (`answer`: GRPO, Shao et al. 2024), or the mean number of tokens of all answers that train the
    same adapter, so that all their tokens count equally (`token`: DAPO, Yu et al. 2025)."""
    rows: int = 16
    """Number of free texts in one pass; gradients add up over passes."""
    tokens: int = 8192
    """The most tokens of free texts in one pass, as many as the longest has for each (and its
    prompt, of plain adapters); a single text may have more."""
    checkpointing: bool = False
    """Whether what a layer computes is computed again for the gradient rather than kept: less
    memory, about a third more time."""
    together: int = 32
    """Number of free texts that are written side by side."""
    processes: int = 1
    """Number of processes that write free texts and learn from them, each with a copy of the model;
    results are the same for any number. A part of the work is `together` texts, or a pass."""
    executor: Literal["processes", "ray"] = "processes"
    """Whether they are processes of this machine, or of a Ray cluster."""
    cache_mb: int = 256
    """The most memory, in MB, of prompts that are kept as the frozen model reads them; the oldest
    go first, and are read again when they come back. What waits for the gradient within an update
    takes at most as much again; prompts beyond it are read again for the gradient."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "cpu"
    """Where the model is; `auto` takes a GPU if there is one."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Type of the frozen model's numbers; adapters have 32-bit floats."""
    diagnose_every: int = 1
    """Updates between measurements of each agent's gradient; 0 never measures."""
    server: str = ""
    """Address of an OpenAI-compatible server that writes free text in training and evaluation,
    `http://127.0.0.1:8000/v1`; without one it is written here. Choices among words are made here in
    any case."""
    server_model: str = ""
    """Name by which the server knows the model; by default that of the model here."""
    server_key: str = "OPENAI_API_KEY"
    """The environment variable that holds the key of the server; one on this machine needs none."""
    server_together: int = 64
    """Requests to the server under way at once."""
    server_seconds: float = 600.0
    """Seconds that an answer may take with all its attempts, or the server to load adapters."""
    handover: Literal["", "vllm", "llamacpp", "none"] = ""
    """The way adapters get to the server before the first update and after each: loaded by its API
    (`vllm`), as GGUF files with which `handover_command` starts it again (`llamacpp`), or not at
    all (`none`), so that it goes on with what it serves."""
    handover_command: str = ""
    """Command that starts a llama.cpp server with the adapters of a folder, which is its last
    argument."""
    template: str = ""
    """Arguments of the model's chat template, `enable_thinking:false`."""
    judge: str = ""
    """The judge that ranks the episodes of each task; the ranks replace the world's reward."""
    judge_set: str = ""
    """Settings of the judge and of its questions, `accuracy:.8,canaries:none`."""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("rank", 1, 1024), ("alpha", 0.0, 1e6), ("layers", 0, 1024), ("prompts", 1, 65536),
            ("rollouts", 0, 65536), ("lr", 0.0, 1e3), ("entropy", 0.0, 1e6), ("clip", 0.0, 1e6),
            ("temperature", 1e-3, 1e3), ("epochs", 1, 1000), ("kl", 0.0, 1e6), ("rows", 1, 65536),
            ("diagnose_every", 0, 1_000_000), ("tokens", 1, 1 << 30), ("cache_mb", 0, 1 << 20),
            ("lr_end", 0.0, 1.0), ("warm_up", 0.0, 1e6), ("weight_decay", 0.0, 1e6),
            ("together", 1, 65536), ("processes", 1, 1024),
        ):  # fmt: skip
            require(name, getattr(self, name), low, high)
        if not 0 < self.max_norm <= 1e9:
            raise SettingError(f"got max_norm={self.max_norm}; wanted a number above 0, up to 1e9")
        if self.entropy_end is not None:
            require("entropy_end", self.entropy_end, 0.0, 1e6)
        if self.warm_up > 1 and self.warm_up != int(self.warm_up):
            raise SettingError(
                f"got warm_up={self.warm_up}; wanted a whole number of updates, or a share below 1"
            )
        require_choices(self)
        require("server_together", self.server_together, 1, 65536)
        require("server_seconds", self.server_seconds, 0.001, 1e6)
        self._require_handover()

    def _require_handover(self) -> None:
        """Raises SettingError if server and handover do not fit each other."""
        for name in ("handover", "handover_command", "server_model"):
            if getattr(self, name) and not self.server:
                raise SettingError(f"got {name}={getattr(self, name)} without server=ADDRESS")
        if not self.server:
            return
        server_settings(self, "")  # raises where no key may be sent to the address
        if self.processes > 1:
            raise SettingError(
                f"got processes={self.processes} and server={self.server}, which writes in their "
                "place; wanted processes=1"
            )
        if not self.handover:
            raise SettingError(
                f"got server={self.server} without handover; wanted handover=vllm, "
                "handover=llamacpp with a handover_command, or handover=none if the server keeps "
                "what it serves"
            )
        if (self.handover == "llamacpp") != bool(self.handover_command):
            raise SettingError(
                f"got handover={self.handover} and handover_command={self.handover_command!r}; "
                "wanted a command with llamacpp, which cannot load an adapter while it serves, "
                "and with nothing else"
            )
        wrong = {"vllm": ("activated", "last_token"), "llamacpp": ("last_token",)}
        if self.adapter in wrong.get(self.handover, ()):
            raise SettingError(
                f"got handover={self.handover} and adapter={self.adapter}, which this server would "
                "apply to other tokens; wanted adapter=plain"
            )

    def filled(self, *, tiny: bool | None, free: bool) -> LanguageSettings:
        """Returns the settings with every value that stands for a default replaced by it.

        Args:
            tiny: whether the model is the tiny one; None where one of several is: what depends on
                the model is left to `on`.
            free: whether agents write freely in the world.
        """
        default: Literal["auto", "plain", "last_token"] = "auto" if free else "last_token"
        if self.server:
            default = "plain"  # which every server can load
        found = replace(
            self,
            adapter=default if self.adapter == "auto" else self.adapter,
            rollouts=self.rollouts or (8 if free else 32),
        )
        return found if tiny is None else found.on(tiny=tiny)

    def on(self, *, tiny: bool) -> LanguageSettings:
        """Returns the settings for a model, with the defaults that depend on it."""
        targets: Literal["attention", "all"] = "all" if tiny else "attention"
        return replace(
            self,
            targets=targets if self.targets == "default" else self.targets,
            layers=self.layers or (TINY_LAYERS if tiny else 10),
            lr=self.lr or (0.003 if tiny else 0.005),
        )

    def warm_up_updates(self, budget: int) -> int:
        """Returns the number of updates of the warm-up.

        Raises:
            SettingError: they are all updates of the budget, or more.
        """
        updates = int(self.warm_up) if self.warm_up >= 1 else round(self.warm_up * budget)
        if updates >= budget and updates:
            raise SettingError(
                f"got warm_up={self.warm_up:g}, which is {updates} updates, of a budget of "
                f"{budget}; wanted fewer"
            )
        return updates

    def rate_share(self, updates: int, budget: int) -> float:
        """Returns the factor of every learning rate in the update after `updates` others.

            (u + 1) / (w + 1)                            in the w updates of the warm-up
            1                                            after it, if the schedule is constant
            1 - (1 - e) x                                linear
            e + (1 - e) (1 + cos(pi x)) / 2              cosine

        where e is `lr_end`, and x goes from 0 in the first update after the warm-up to 1 in the
        last one of the budget.

        Args:
            updates: u, updates made before.
            budget: updates of the training.
        """
        warm = self.warm_up_updates(budget)
        if updates < warm:
            return (updates + 1) / (warm + 1)
        if self.schedule == "constant":
            return 1.0
        done = min(1.0, (updates - warm) / max(1, budget - 1 - warm))
        left = 1 - done if self.schedule == "linear" else (1 + math.cos(math.pi * done)) / 2
        return self.lr_end + (1 - self.lr_end) * left

    @property
    def kind(self) -> Literal["plain", "activated", "last_token"]:
        """Where adapters act; activated where the default has not been replaced."""
        return "activated" if self.adapter == "auto" else self.adapter

    @property
    def cache_bytes(self) -> int:
        """The most bytes of prompts that are kept."""
        return self.cache_mb * 1_000_000

    def rates(self, roles: Mapping[str, str], tiny: Collection[str] = ()) -> Mapping[str, float]:
        """Returns the learning rate of each agent.

        Args:
            roles: maps each agent to its role.
            tiny: the agents whose model is the tiny one, for the default.

        Raises:
            SettingError: `lr_of` names no agent, or no number, or all agents share parameters.
        """
        if self.lr_of and self.parameters == "shared":
            raise SettingError(
                f"got lr_of={self.lr_of!r} and parameters='shared', where all learn at one rate; "
                "wanted parameters=separate, or lr"
            )
        rates = {name: self.on(tiny=name in tiny).lr for name in roles}
        for name, text in by_agent("lr_of", self.lr_of, "rate", roles).items():
            rates[name] = number_from(f"lr_of {name}", text, float)
            require(f"lr_of {name}", rates[name], 0, 1000)
        return rates


def by_agent(setting: str, text: str, what: str, roles: Mapping[str, str]) -> dict[str, str]:
    """Returns what a setting such as `lr_of` gives to agents, by their names in order. What it
    gives to an agent goes before what it gives to the agent's role.

    Args:
        setting: its name.
        text: `speaker:0.003,listener:0.001`.
        what: the name of what stands behind the colon, for messages.
        roles: maps each agent to its role.

    Raises:
        SettingError: it names neither an agent nor a role, or is written in another way.
    """
    given = agent_pairs(setting, text, what)
    known = dict.fromkeys([*sorted(roles), *sorted(roles.values())])
    for name in given:
        if name not in known:
            raise SettingError(f"got {setting} {name!r}{choices(name, known)}")
    return {
        agent: given.get(agent, given.get(role, ""))
        for agent, role in sorted(roles.items())
        if agent in given or role in given
    }


def agent_pairs(setting: str, text: str, what: str) -> dict[str, str]:
    """Returns `speaker:0.003,listener:0.001` as a mapping.

    Args:
        setting: its name.
        text: its value.
        what: the name of what stands behind the colon, for messages.

    Raises:
        SettingError: a part is no pair, or a name is given twice.
    """
    parts = split_list(text)
    pairs = split_pairs(parts, setting, f"agent:{what}", ":")
    if len(pairs) < len(parts):
        names = [part.partition(":")[0].strip() for part in parts]
        twice = next(name for name in pairs if names.count(name) > 1)
        raise SettingError(f"got {setting}={text} with {twice!r} twice; wanted each name once")
    return pairs


def server_settings(settings: LanguageSettings, model: str) -> ServerSettings:
    """Returns how the server of a training is asked.

    Args:
        settings: with a `server`.
        model: the name of the model here.

    Raises:
        SettingError: an address to which no key may be sent, or a value out of range.
    """
    return ServerSettings(
        settings.server_model or model or "model",
        settings.server,
        key_variable=settings.server_key,
        deadline_seconds=settings.server_seconds,
        retries=SERVER_RETRIES,
        concurrency=settings.server_together,
        most_bytes=SERVER_BYTES,
    )


BEFORE: Settings = {
    "adapter": "last_token",
    "optimizer_steps": "always",
    "answer_end": "config",
}
"""The values of settings in runs that began before there was such a setting."""
LANGUAGE = tuple(spec.name for spec in fields(LanguageSettings))
"""Names of these settings."""
