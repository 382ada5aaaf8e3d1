"""Judges by name: `judge_and_settings` makes one, with the settings of its questions.

`Human`, a person at a terminal, is here too. To add a judge, add a `JudgeEntry` to `JUDGES`, or to
a package of your own under the entry-point group `counterpoint.judges`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, NamedTuple, TypeVar

from counterpoint.errors import JudgeError, SettingError, UnknownNameError, choices
from counterpoint.judge.judges import Judge, Opinion
from counterpoint.judge.mistakes import MistakeSettings
from counterpoint.judge.model import Likelihood, LikelihoodSettings, SpeakerJudge
from counterpoint.judge.present import Sheet
from counterpoint.judge.programmatic import Programmatic, ProgrammaticSettings
from counterpoint.judge.rules import CommandJudge, CommandSettings, PatternJudge, PatternSettings
from counterpoint.judge.verdict import RankSettings
from counterpoint.machine.keys import one_key
from counterpoint.plugins import Registry
from counterpoint.settings import settings_from
from counterpoint.speakers.server import Server
from counterpoint.speakers.server_settings import ServerSettings

S = TypeVar("S")


class JudgeEntry(NamedTuple):
    """A judge in the catalogue."""

    make: Callable[[Any], Judge]
    """Makes the judge from its settings."""
    settings: type
    """The dataclass of its settings: `--set key=value` fills them."""


@dataclass(frozen=True)
class ServerJudgeSettings:
    """Settings of an OpenAI-compatible server that judges, and of the requests to it.

    Raises:
        SettingError: the address or the model is missing.
    """

    base_url: str = ""
    """`https://...`, or `http://` on this machine."""
    model: str = ""
    """The name by which the server knows the model."""
    key_variable: str = "OPENAI_API_KEY"
    """The environment variable that holds the key."""
    deadline_seconds: float = 120.0
    """Wall clock for a request, with all its attempts."""
    retries: int = 4
    """Failed attempts of a request that may be repeated."""
    concurrency: int = 8
    """Requests under way at once."""
    schema: bool = True
    """Whether the request has the JSON schema of the reply; not every server supports schemas."""
    most_tokens: int = 1024
    """The most tokens of a reply."""
    prompt_price: float | None = None
    """Dollars for a million prompt tokens."""
    completion_price: float | None = None
    """Dollars for a million tokens of a reply."""

    def __post_init__(self) -> None:
        if not self.base_url or not self.model:
            raise SettingError("got judge openai without --base-url or --model; wanted both")


@dataclass(frozen=True)
class HumanSettings:
    """The settings of a person who judges at the terminal."""

    name: str = ""
    """Two names are two judges: the answers of one are not kept for the other."""


KEYS = "1 or 2: that one is better   =: as good as each other   q: stop, and go on another time"


class Human:
    """Shows two texts and waits for a key.

    Args:
        name: the name of the person: two people are two judges.
        key: reads one key; by default from the terminal.
        show: writes a line; by default to standard error.
    """

    at_once = 1

    def __init__(
        self,
        name: str = "",
        key: Callable[[], str] | None = None,
        show: Callable[[str], object] | None = None,
    ) -> None:
        self.name = name
        self._key, self._show = key or one_key, show or _line

    @property
    def facts(self) -> Mapping[str, str]:
        """Returns the name of the person."""
        return {"judge": "human", "name": self.name}

    def judge(self, sheets: Sequence[Sheet]) -> list[Opinion]:
        """Returns one opinion for each sheet of two.

        Raises:
            JudgeError: a sheet shows more than two texts; a person is asked about pairs.
            KeyboardInterrupt: the person stops.
        """
        return [self._opinion(sheet) for sheet in sheets]

    def _opinion(self, sheet: Sheet) -> Opinion:
        if len(sheet.shown) != 2:
            raise JudgeError(
                f"got {len(sheet.shown)} texts for a person at once; wanted two: --mode swiss, "
                "adaptive or pairwise"
            )
        first, second = sheet.labels
        parts = [f"Task: {sheet.task}", f"All begin with: {sheet.common}" if sheet.common else ""]
        parts += [f"--- {i}\n{each.text}" for i, each in enumerate(sheet.shown, 1)]
        self._show("\n".join(part for part in [*parts, KEYS] if part))
        rankings = {"1": [[first], [second]], "2": [[second], [first]], "=": [[first, second]]}
        while (key := self._key()) not in rankings:
            if key in ("q", "\x03", "\x04", ""):
                raise KeyboardInterrupt
            self._show(KEYS)
        return Opinion(json.dumps({"ranking": rankings[key]}))


def _line(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _server(settings: ServerJudgeSettings) -> Judge:
    prices = (settings.prompt_price, settings.completion_price)
    server = Server(
        ServerSettings(
            settings.model,
            settings.base_url,
            key_variable=settings.key_variable,
            deadline_seconds=settings.deadline_seconds,
            retries=settings.retries,
            concurrency=settings.concurrency,
            dollars_per_million=None if None in prices else prices,  # type: ignore[arg-type]
        )
    )
    return SpeakerJudge(
        server,
        server.facts,
        most_tokens=settings.most_tokens,
        schema=settings.schema,
        at_once=settings.concurrency,
    )


JUDGES = Registry[JudgeEntry](
    "counterpoint.judges",
    {
        "programmatic": JudgeEntry(Programmatic, ProgrammaticSettings),
        "regex": JudgeEntry(PatternJudge, PatternSettings),
        "tests": JudgeEntry(CommandJudge, CommandSettings),
        "likelihood": JudgeEntry(Likelihood, LikelihoodSettings),
        "openai": JudgeEntry(_server, ServerJudgeSettings),
        "human": JudgeEntry(lambda settings: Human(settings.name), HumanSettings),
    },
    "a counterpoint.judge.JudgeEntry, whose settings are a dataclass",
    lambda name, part: (
        isinstance(part, JudgeEntry)
        and isinstance(part.settings, type)
        and is_dataclass(part.settings)
    ),
)
"""The judges by name."""
PEOPLE = {"mode": "swiss", "canaries": "none"}
"""Settings for a person, unless they are set otherwise."""


def setting_names(name: str) -> tuple[str, ...]:
    """Returns the names of a judge's settings."""
    return tuple(field.name for field in fields(JUDGES[name].settings))


def judge_and_settings(name: str, given: Mapping[str, object]) -> tuple[Judge, RankSettings]:
    """Returns a judge, and the settings of its rankings, from one list of settings.

    Args:
        name: one of `JUDGES`.
        given: settings of the judge and of `RankSettings`, as text or as values.

    Raises:
        UnknownNameError: no judge, or no setting, has that name.
        PluginError: the judge is a plug-in that cannot be used.
        SettingError: a value has a wrong type or is out of range.
    """
    return _made(name, PEOPLE | dict(given) if name == "human" else given, RankSettings)


def reader_and_settings(
    name: str, given: Mapping[str, object]
) -> tuple[SpeakerJudge, MistakeSettings]:
    """Returns a judge that answers in words, and the settings of its questions about mistakes.

    Args:
        name: one of `JUDGES` that is a language model.
        given: settings of the judge and of `MistakeSettings`, as text or as values.

    Raises:
        UnknownNameError, PluginError, SettingError: as `judge_and_settings`; or the judge is no
            language model.
    """
    judge, settings = _made(name, given, MistakeSettings)
    if not isinstance(judge, SpeakerJudge):
        raise SettingError(
            f"got judge '{name}', which ranks runs; wanted a language model that answers in words, "
            "such as openai"
        )
    return judge, settings


def _made(name: str, given: Mapping[str, object], questions: type[S]) -> tuple[Judge, S]:
    make, kind = JUDGES.named(name)
    own = {key: value for key, value in given.items() if key in setting_names(name)}
    rest = {key: value for key, value in given.items() if key not in own}
    known = [*setting_names(name), *(f.name for f in fields(questions))]  # type: ignore[arg-type]
    for key in rest:
        if key not in known:
            raise UnknownNameError(f"got setting {key} for judge '{name}'{choices(key, known)}")
    settings = settings_from(rest, questions, name)
    return make(settings_from(own, kind, name)), settings
