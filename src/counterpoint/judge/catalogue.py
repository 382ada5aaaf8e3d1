"""Judges by name: `judge_and_settings` makes one, and says what it is asked.

To add one: a `JudgeEntry` in `JUDGES`, or in a package of your own, which the group
`counterpoint.judges` of its entry points names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, NamedTuple

from counterpoint.errors import SettingError, UnknownNameError
from counterpoint.judge.human import Human
from counterpoint.judge.judges import Judge
from counterpoint.judge.model import Likelihood, LikelihoodSettings, SpeakerJudge
from counterpoint.judge.programmatic import Programmatic, ProgrammaticSettings
from counterpoint.judge.rules import Command, CommandSettings, Pattern, PatternSettings
from counterpoint.judge.settings import RankSettings
from counterpoint.plugins import Registry
from counterpoint.settings import did_you_mean, settings_from


class JudgeEntry(NamedTuple):
    """A judge by name."""

    make: Callable[[Any], Judge]
    """Makes the judge of its settings."""
    settings: type
    """The dataclass of its settings: `--set key=value` fills them."""


@dataclass(frozen=True)
class ServerJudgeSettings:
    """Which OpenAI-compatible server judges, and how it is asked.

    Raises:
        SettingError: no address or no model.
    """

    base_url: str = ""
    """`https://...`, or `http://` on this machine."""
    model: str = ""
    """The name that the server knows the model by."""
    key_variable: str = "OPENAI_API_KEY"
    """The environment variable that holds the key."""
    deadline_seconds: float = 120.0
    """Of a request, with all its tries."""
    retries: int = 4
    """So many tries of a request may fail and be made again."""
    concurrency: int = 8
    """Requests under way at once."""
    schema: bool = True
    """Whether the server is told the reply's JSON schema; not every server knows them."""
    most_tokens: int = 1024
    """Of a reply."""
    prompt_price: float | None = None
    """Dollars for a million prompt tokens."""
    completion_price: float | None = None
    """Dollars for a million tokens of a reply."""

    def __post_init__(self) -> None:
        if not self.base_url or not self.model:
            raise SettingError("got judge openai without --base-url or --model; wanted both")


@dataclass(frozen=True)
class HumanSettings:
    """Who judges at the terminal."""

    name: str = ""
    """Two people are two judges: what one has answered is not kept for the other."""


def _server(told: ServerJudgeSettings) -> Judge:
    from counterpoint.speakers.server import Server
    from counterpoint.speakers.server_settings import ServerSettings

    prices = (told.prompt_price, told.completion_price)
    server = Server(
        ServerSettings(
            told.model,
            told.base_url,
            key_variable=told.key_variable,
            deadline_seconds=told.deadline_seconds,
            retries=told.retries,
            concurrency=told.concurrency,
            dollars_per_million=None if None in prices else prices,  # type: ignore[arg-type]
        )
    )
    return SpeakerJudge(
        server,
        server.facts,
        most_tokens=told.most_tokens,
        schema=told.schema,
        at_once=told.concurrency,
    )


JUDGES = Registry[JudgeEntry](
    "counterpoint.judges",
    {
        "programmatic": JudgeEntry(Programmatic, ProgrammaticSettings),
        "regex": JudgeEntry(Pattern, PatternSettings),
        "tests": JudgeEntry(Command, CommandSettings),
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
"""By name."""
PEOPLE = {"mode": "swiss", "canaries": "none"}
"""What a person is asked, if nothing else is said."""


def takes(name: str) -> tuple[str, ...]:
    """The settings that a judge has."""
    return tuple(field.name for field in fields(JUDGES[name].settings))


def judge_and_settings(name: str, given: Mapping[str, Any]) -> tuple[Judge, RankSettings]:
    """A judge, and what it is asked, from one list of settings.

    Args:
        name: one of `JUDGES`.
        given: settings of the judge and of `RankSettings`, as text or as values.

    Raises:
        UnknownNameError: there is no judge, or no setting, of that name.
        PluginError: the judge is a plug-in that cannot be used.
        SettingError: a value of a wrong type or out of range.
    """
    make, kind = JUDGES.named(name)
    own = {key: value for key, value in given.items() if key in takes(name)}
    rest = {key: value for key, value in given.items() if key not in own}
    known = [*takes(name), *(field.name for field in fields(RankSettings))]
    for key in rest:
        if key not in known:
            raise UnknownNameError(
                f"got setting {key} for judge '{name}'; wanted one of {', '.join(known)}"
                f"{did_you_mean(key, known)}"
            )
    if name == "human":
        rest = {**PEOPLE, **rest}
    try:
        settings = settings_from(rest, RankSettings, name)
        judge: Judge = make(settings_from(own, kind, name))
    except SettingError as error:
        raise SettingError(str(error).replace(" for world ", " for judge ")) from None
    return judge, settings
