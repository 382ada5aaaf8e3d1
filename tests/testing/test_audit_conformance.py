"""Every audit keeps its promises; every planted defect is found."""

import itertools
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from counterpoint.audits import AUDITS, Audit
from counterpoint.audits.base import place_of, share, unknown
from counterpoint.records import CLEAR, FOUND, Episode, Event, Finding, Place
from counterpoint.testing import ConformanceError, check_audit

sys.path.insert(0, str(Path(__file__).parents[1] / "audits"))
from planted_episodes import PLANTED, make
from planted_logs import write

from counterpoint.readers import read_logs


@pytest.mark.parametrize(
    ("audit", "failure"), [(audit, name) for audit, names in PLANTED.items() for name in names]
)
def test_every_audit_keeps_its_promises(audit, failure):
    (planted, outcomes), (clean, others) = make(failure, 1.0, 0), make(failure, 0.0, 0)
    check_audit(AUDITS[audit], planted, clean, planted_outcomes=outcomes, clean_outcomes=others)


def test_stuck_keeps_its_promises(tmp_path):
    logs = [list(read_logs(write(tmp_path / "log.jsonl", "ours", 1, f))) for f in ("loop", "")]
    check_audit(AUDITS["stuck"], *logs)


def team(text, n=20):
    return [
        Episode(
            f"e{i}",
            (Event(0, "ann", "message", text), Event(1, "bob", "message", "yes")),
            ("ann", "bob"),
        )
        for i in range(n)
    ]


LOUD, QUIET = team("DO IT NOW"), team("would you?")


def look(episode):
    loud = [place_of(episode, e.t) for e in episode.events if e.text.isupper()]
    return {"loud": loud} if episode.events else None


def conclude(rows, outcomes):
    if not rows:
        return [unknown("loud", "capitals", "no episode has an event")]
    places = [place for row in rows for place in row["loud"]]
    hits = sum(bool(row["loud"]) for row in rows)
    return [share("loud", "capitals", hits, len(rows), 0.05, "capitals", places)]


SOUND = Audit("loud", "messages in capitals", look, conclude)


def test_a_sound_audit_passes():
    check_audit(SOUND, LOUD, QUIET)


def altered(change):
    """The sound audit whose findings are changed, if there is something to find them in."""

    def concluding(rows, outcomes):
        return [change(f) if f.value is not None else f for f in conclude(rows, outcomes)]

    return replace(SOUND, conclude=concluding)


def says_zero(rows, outcomes):
    return (
        conclude(rows, outcomes) if rows else [Finding("loud", "capitals", 0.0, 0, reason="none")]
    )


COUNT = itertools.count()


def counts_its_calls(rows, outcomes):
    return [replace(finding, n=next(COUNT)) for finding in conclude(rows, outcomes)]


def empties_the_rows(rows, outcomes):
    findings = conclude(rows, outcomes)
    rows.clear()
    return findings


def two_of_one_name(rows, outcomes):
    return conclude(rows, outcomes) * 2


def a_name_for_each_verdict(rows, outcomes):
    return [replace(f, name=f"capitals {f.verdict}") for f in conclude(rows, outcomes)]


def marks(episode):
    for event in episode.events:
        event.meta["seen"] = True
    return look(episode)


DEFECTS = {
    "no audit": (look, "wanted a counterpoint.audits.Audit"),
    "a period in its name": (replace(SOUND, name="loud.er"), "one word without a period"),
    "two lines": (replace(SOUND, summary="a\nb"), "one line of text"),
    "a row that is a number": (replace(SOUND, look=lambda e: 7), "a row 7; wanted a mapping"),
    "a list of numbers": (replace(SOUND, look=lambda e: {"x": [1]}), "a list of places alone"),
    "the first event of none": (
        replace(SOUND, look=lambda e: {"loud": [place_of(e, 0)]}),
        "got IndexError: .* from look at the episode 'nothing'",
    ),
    "a mean of nothing": (
        replace(SOUND, conclude=lambda rows, _: [Finding("loud", "x", 1 / len(rows), 1)]),
        "got ZeroDivisionError: .* from conclude from no episodes",
    ),
    "0 where it cannot know": (replace(SOUND, conclude=says_zero), "capitals clear, value 0.0"),
    "no finding": (replace(SOUND, conclude=lambda rows, _: []), "no finding for no episodes"),
    "a tuple": (replace(SOUND, conclude=lambda r, o: tuple(conclude(r, o))), "got tuple"),
    "another audit's name": (altered(lambda f: replace(f, audit="idle")), "of audit 'idle'"),
    "another verdict": (altered(lambda f: replace(f, verdict="maybe")), "verdict 'maybe'"),
    "no reason": (altered(lambda f: replace(f, reason="")), "a reason in words"),
    "not a number": (altered(lambda f: replace(f, value=math.nan)), "value nan"),
    "half an interval": (altered(lambda f: replace(f, high=None)), "both ends or neither"),
    "an interval elsewhere": (
        altered(lambda f: replace(f, low=f.value + 1, high=f.value + 2)),
        "the value between its ends",
    ),
    "p of 2": (altered(lambda f: replace(f, p=2.0)), "p 2.0"),
    "n of -1": (altered(lambda f: replace(f, n=-1)), "n -1"),
    "a hundred places": (
        altered(lambda f: replace(f, evidence=(Place("e0"),) * 100)),
        "100 places; wanted at most 5",
    ),
    "a place that is none": (
        altered(lambda f: replace(f, evidence=({"t": 1},))),
        "evidence of type dict; wanted a Place",
    ),
    "a long quotation": (
        altered(lambda f: replace(f, evidence=(Place("e0", quote="x" * 500),))),
        "a quotation of 500 characters",
    ),
    "evidence from elsewhere": (
        altered(lambda f: replace(f, evidence=(Place("e99"),))),
        "in episode 'e99'; wanted an episode of the log",
    ),
    "counts its calls": (replace(SOUND, conclude=counts_its_calls), "the same findings always"),
    "empties the rows": (replace(SOUND, conclude=empties_the_rows), "rows that conclude changed"),
    "changes an episode": (replace(SOUND, look=marks), "an episode 'e0' that look changed"),
    "two of one name": (replace(SOUND, conclude=two_of_one_name), "two findings called capitals"),
    "names by verdict": (replace(SOUND, conclude=a_name_for_each_verdict), "the same names always"),
    "blind": (altered(lambda f: replace(f, verdict=CLEAR)), "nothing found where the failure"),
    "blames everybody": (altered(lambda f: replace(f, verdict=FOUND)), "found in the clean log"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_found(defect):
    audit, complaint = DEFECTS[defect]
    with pytest.raises(ConformanceError, match=complaint):
        check_audit(audit, LOUD, QUIET)
