"""Every audit keeps its promises; every planted defect is found."""

import itertools
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from counterpoint.audits import AUDITS, Audit, Look
from counterpoint.audits.base import case_of, share, unknown
from counterpoint.records import CANNOT_TELL, FOUND, NOT_FOUND, Case, Episode, Event, Finding
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
    loud = [case_of(episode, [e.t], 1.0) for e in episode.events if e.text.isupper()]
    return Look({"loud": bool(loud)}, {"capitals": loud}) if episode.events else None


def conclude(rows, outcomes):
    if not rows:
        return [unknown("loud", "capitals", "no episode has an event")]
    hits = sum(row["loud"] for row in rows)
    return [share("loud", "capitals", hits, len(rows), 0.05, "capitals")]


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


BARE = Case("e0", None, None, None, 1.0)
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
    "a look that is a number": (replace(SOUND, look=lambda e: 7), "a look 7; wanted a counter"),
    "a row that is a number": (replace(SOUND, look=lambda e: Look(7)), "a row 7; wanted a map"),
    "numbers for cases": (replace(SOUND, look=lambda e: Look({}, {"x": [1]})), "a Case each"),
    "cases of no finding": (
        replace(SOUND, look=lambda e: Look({"loud": False}, {"x": [BARE]})),
        "cases of x; wanted a finding",
    ),
    "the first event of none": (
        replace(SOUND, look=lambda e: Look({}, {"x": [case_of(e, [0], 1.0)]})),
        "got IndexError: .* from look at the episode 'nothing'",
    ),
    "a mean of nothing": (
        replace(SOUND, conclude=lambda rows, _: [Finding("loud", "x", 1 / len(rows), 1)]),
        "got ZeroDivisionError: .* from conclude from no episodes",
    ),
    "0 where it cannot know": (
        replace(SOUND, conclude=says_zero),
        "capitals cannot tell, value 0.0",
    ),
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
    "not found without a null": (
        altered(lambda f: replace(f, null=None, verdict=NOT_FOUND)),
        "not found without a null; wanted cannot tell",
    ),
    "a weight that is none": (
        altered(lambda f: replace(f, cases=(replace(BARE, weight=math.inf),))),
        "weight inf; wanted a finite one",
    ),
    "a long quotation": (
        altered(lambda f: replace(f, cases=(replace(BARE, quote="x" * 500),))),
        "a quotation of 500 characters",
    ),
    "a case from elsewhere": (
        altered(lambda f: replace(f, cases=(replace(BARE, episode="e99"),))),
        "in episode 'e99'; wanted an episode of the log",
    ),
    "counts its calls": (replace(SOUND, conclude=counts_its_calls), "the same findings always"),
    "empties the rows": (replace(SOUND, conclude=empties_the_rows), "rows that conclude changed"),
    "changes an episode": (replace(SOUND, look=marks), "an episode 'e0' that look changed"),
    "two of one name": (replace(SOUND, conclude=two_of_one_name), "two findings called capitals"),
    "names by verdict": (
        replace(
            SOUND,
            look=lambda e: Look(look(e).row) if e.events else None,
            conclude=a_name_for_each_verdict,
        ),
        "the same names always",
    ),
    "blind": (
        altered(lambda f: replace(f, verdict=CANNOT_TELL)),
        "nothing found where the failure",
    ),
    "blames everybody": (altered(lambda f: replace(f, verdict=FOUND)), "found in the clean log"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_found(defect):
    audit, complaint = DEFECTS[defect]
    with pytest.raises(ConformanceError, match=complaint):
        check_audit(audit, LOUD, QUIET)
