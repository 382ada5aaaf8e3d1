"""`counterpoint judge check`: how good a judge is, on groups whose truth is known."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import tyro

from counterpoint.cli.messages import say
from counterpoint.cli.rank import SETTABLE
from counterpoint.cli.results import finish
from counterpoint.errors import SettingError
from counterpoint.judge.catalogue import judge_and_settings
from counterpoint.judge.check import measure_judge
from counterpoint.readers.groups import read_groups
from counterpoint.readers.lines import TornLogWarning
from counterpoint.report.terminal.judge_check import judge_check_parts
from counterpoint.settings import split_pairs


@dataclass(frozen=True)
class JudgeCommand:
    """Measure a judge on groups whose truth is known, before you train on what it says.

    FILE has groups as `counterpoint rank` takes them, with a `score` in each run. Accuracy, a taste
    for the first place, for length or for its own runs, agreement with itself, cost; and how many
    orders of a group it takes to reach a reliability.

    Examples:
      counterpoint judge check labelled.jsonl --judge openai --base-url URL --model NAME
      counterpoint judge check labelled.jsonl --judge programmatic --set position_bias=.3
    """

    action: Annotated[Literal["check"], tyro.conf.Positional]
    """What to do: check."""
    file: Annotated[str, tyro.conf.Positional]
    """Groups in JSON lines; `-` reads standard input."""
    judge: str
    """Who is measured: `programmatic`, `regex`, `tests`, `likelihood`, `openai`, or a judge that an
    installed package adds."""
    base_url: str | None = None
    """Of an OpenAI-compatible server."""
    model: str | None = None
    """The name that the server knows the model by; or the local model that measures likelihood."""
    reliability: float = 0.8
    """What is to be reached, between 0 and 1."""
    own: str = ""
    """The `author` whose runs are the judge's own."""
    set: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(help=SETTABLE)] = ()
    json: bool = False
    """Print the measures as JSON alone."""

    def run(self) -> int:
        """Read, ask, measure, print."""
        if not 0 < self.reliability < 1:
            raise SettingError(f"got --reliability {self.reliability}; wanted between 0 and 1")
        if self.judge == "human":
            raise SettingError(
                "got --judge human; wanted a judge that can be asked hundreds of times"
            )
        given: dict[str, Any] = {**split_pairs(self.set, "--set")}
        given |= {k: v for k in ("model", "base_url") if (v := getattr(self, k)) is not None}
        judge, settings = judge_and_settings(self.judge, given)
        with warnings.catch_warnings(record=True) as met:
            warnings.simplefilter("always", TornLogWarning)
            result = measure_judge(
                (line.group for line in read_groups(self.file)),
                judge,
                wanted=self.reliability,
                own=self.own,
                criteria=settings.criteria,
                seed=settings.seed,
            )
        for warning in met:
            say(f"counterpoint: {warning.message}")
        finish(result, judge_check_parts, None, self.json)
        return 0
