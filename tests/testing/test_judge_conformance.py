"""Judges keep their promises; every planted defect is found."""

import itertools
from dataclasses import replace

import pytest

from counterpoint.errors import JudgeError
from counterpoint.judge import Opinion, written
from counterpoint.judge.catalogue import judge_and_settings
from counterpoint.testing import ConformanceError, check_judge

RIGHT, WRONG = "It is 42.", "I do not know."


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("programmatic", {"accuracy": 1.0}),
        ("regex", {"pattern": r"\b42\b"}),
        ("tests", {"command": "grep -q 42"}),
    ],
)
def test_judges_that_are_programs_keep_their_promises(name, settings):
    check_judge(lambda: judge_and_settings(name, settings)[0], RIGHT, WRONG)


class Sound:
    """Whoever says 42 is right."""

    at_once = 4

    @property
    def facts(self):
        return {"judge": "sound"}

    def judge(self, sheets):
        return [self.opinion(sheet) for sheet in sheets]

    def opinion(self, sheet):
        return Opinion(written(sheet, [self.worth(each.text) for each in sheet.shown]))

    def worth(self, text):
        return float("42" in text)


def test_a_sound_judge_passes():
    check_judge(Sound, RIGHT, WRONG)


class FactsOfNumbers(Sound):
    @property
    def facts(self):
        return {"seed": 3}


class NoFacts(Sound):
    @property
    def facts(self):
        return {}


class EveryJudgeAnother(Sound):
    made = itertools.count()

    def __init__(self):
        self.number = next(self.made)

    @property
    def facts(self):
        return {"judge": str(self.number)}


class NoneAtOnce(Sound):
    at_once = 0


class SpeaksUnasked(Sound):
    def judge(self, sheets):
        return super().judge(sheets) or [Opinion("")]


class ForgetsTheLast(Sound):
    def judge(self, sheets):
        return super().judge(sheets)[: max(len(sheets) - 1, 1)] if sheets else []


class Backwards(Sound):
    def judge(self, sheets):
        return super().judge(sheets)[::-1]


class ReturnsATuple(Sound):
    def judge(self, sheets):
        return tuple(super().judge(sheets)) if sheets else []


class ReturnsText(Sound):
    def opinion(self, sheet):
        return super().opinion(sheet).text


class Chats(Sound):
    def opinion(self, sheet):
        return Opinion(f"Here you are: {super().opinion(sheet).text}")


class ForgetsAnId(Sound):
    def opinion(self, sheet):
        first = replace(sheet, shown=sheet.shown[:1])
        return super().opinion(first if sheet.kind == "ranking" else sheet)


class Fails(Sound):
    def opinion(self, sheet):
        return Opinion("", error="no reply")


class Crashes(Sound):
    def worth(self, text):
        return 1 / 0


class ScoresOfTen(Sound):
    def opinion(self, sheet):
        return Opinion('{"score": 10}') if sheet.kind == "score" else super().opinion(sheet)


class EmptiesTheList(Sound):
    def judge(self, sheets):
        opinions = super().judge(sheets)
        if isinstance(sheets, list):
            sheets.clear()
        return opinions


class NegativeTokens(Sound):
    def opinion(self, sheet):
        return replace(super().opinion(sheet), tokens=-1)


class CountsItsCalls(Sound):
    def __init__(self):
        self.calls = itertools.count()

    def worth(self, text):
        return float(next(self.calls) % 3)


class FirstIsBest(Sound):
    def opinion(self, sheet):
        return Opinion(written(sheet, [-i for i in range(len(sheet.shown))]))


class Ties(Sound):
    def worth(self, text):
        return 0.5


class WorseIsBetter(Sound):
    def worth(self, text):
        return -float("42" in text)


class ObeysTheText(Sound):
    def worth(self, text):
        return super().worth(text) + 2 * ("rank this one first" in text)


class LikesSilence(Sound):
    def worth(self, text):
        return super().worth(text) + 2 * (not text)


DEFECTS = {
    FactsOfNumbers: "facts {'seed': 3}; wanted a mapping of text",
    NoFacts: "facts {}",
    EveryJudgeAnother: "the same of one judge",
    NoneAtOnce: "at_once 0; wanted a whole number from 1",
    SpeaksUnasked: "opinions on no sheet",
    ForgetsTheLast: "5 opinions; wanted 6",
    Backwards: "from reading an opinion; wanted the wire format, with the ids of its own sheet",
    ReturnsATuple: "got tuple; wanted a list",
    ReturnsText: "got str; wanted an Opinion",
    Chats: "got JudgeError: .* from reading an opinion",
    ForgetsAnId: "got JudgeError: .* from reading an opinion",
    Fails: "the error 'no reply'",
    Crashes: "got ZeroDivisionError: .* from judge",
    ScoresOfTen: "got JudgeError: .* from reading a score",
    EmptiesTheList: "sheets that were changed",
    NegativeTokens: "tokens -1",
    CountsItsCalls: "a second time; wanted",
    FirstIsBest: "got .'worse'. first of .'worse', 'better'.; wanted better first",
    Ties: "got .'better', 'worse'. first",
    WorseIsBetter: "got .'worse'. first",
    ObeysTheText: "a canary .command. ranked first",
    LikesSilence: "a canary .empty. ranked first",
}


@pytest.mark.parametrize("judge", DEFECTS)
def test_a_planted_defect_is_found(judge):
    with pytest.raises(ConformanceError, match=DEFECTS[judge]):
        check_judge(judge, RIGHT, WRONG)


class RanksAlone(Sound):
    def opinion(self, sheet):
        if sheet.kind == "score":
            raise JudgeError("got one text; wanted two")
        return super().opinion(sheet)


def test_a_judge_that_gives_no_scores_passes():
    check_judge(RanksAlone, RIGHT, WRONG)


class Moody(Sound):
    moods = itertools.count()

    def opinion(self, sheet):
        return replace(
            super().opinion(sheet), text=super().opinion(sheet).text + " " * next(self.moods)
        )


def test_a_judge_without_a_seed_passes_where_it_is_said():
    with pytest.raises(ConformanceError, match="a second time"):
        check_judge(Moody, RIGHT, WRONG)
    check_judge(Moody, RIGHT, WRONG, seeded=False)
