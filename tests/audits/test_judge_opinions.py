"""What a judge says, beside labels, our ranking and itself: worked by hand."""

from __future__ import annotations

import pytest

from counterpoint.audits import audit
from counterpoint.audits.judged import _at_least, group_of, labelled_modes
from counterpoint.judge.mistake_sheet import MODES, Mistake
from counterpoint.judge.mistakes import Judgement, Judging, MistakeSettings
from counterpoint.readers import episode
from counterpoint.records import CANNOT_TELL, FOUND, NOT_FOUND
from counterpoint.stats import wilson_interval

WHO = ("Ada", "Bo", "Cy", "Bo")


def team(name, **labels):
    fields = [{"agent": who, "kind": "message", "text": f"{who} at {t}"}
              for t, who in enumerate(WHO)]  # fmt: skip
    return episode(name, fields, "test", success=0.0, labels=labels)


def judgement(*replies):
    return Judgement(replies=tuple(Mistake(*each) for each in replies), calls=len(replies),
                     tokens=10, cost_dollars=0.25, events=len(WHO))  # fmt: skip


def report(pairs):
    """Returns the report on episodes with these labels and these judgements."""
    episodes = [team(f"e{i}", **labels) for i, (labels, _) in enumerate(pairs)]
    judgements = {f"e{i}": each for i, (_, each) in enumerate(pairs)}
    judging = Judging({"judge": "test"}, MistakeSettings(), judgements)
    return audit(episodes, judging=judging).judge


def row(result, reference, what):
    (one,) = [a for a in result.agreements if (a.reference, a.what) == (reference, what)]
    return one


def test_member_and_event_beside_what_needs_no_reading():
    label = {"mistake_agent": "Cy", "mistake_step": "2"}
    right, wrong = ("Cy", 2, None), ("Bo", 3, None)
    result = report([(label, judgement(right, right))] * 3 + [(label, judgement(wrong, wrong))])
    member = row(result, "labels", "member")
    assert (member.judged, member.n, member.agree, member.share) == (4, 4, 3, 0.75)
    assert (member.low, member.high) == pytest.approx(
        (wilson_interval(3, 4).low, wilson_interval(3, 4).high)
    )
    # three members act, first Ada, last and busiest Bo
    assert member.baselines["random"] == pytest.approx(1 / 3)
    assert [member.baselines[name] for name in ("first", "last", "busiest")] == [0, 0, 0]
    assert set(member.baselines) == {"random", "first", "last", "busiest", "ranking"}
    event = row(result, "labels", "event")
    assert (event.agree, event.baselines["random"]) == (3, 0.25)
    assert set(row(result, "ranking", "member").baselines) == {
        "random", "first", "last", "busiest"
    }  # fmt: skip
    same = row(result, "itself", "member")
    assert (same.agree, same.n, set(same.baselines)) == (4, 4, {"random"})


def test_the_verdict_is_about_the_best_guess():
    label = {"mistake_agent": "Bo"}
    bo, ada = judgement(("Bo", None, None)), judgement(("Ada", None, None))
    good = row(report([(label, bo)] * 30), "labels", "member")
    assert good.share == 1
    assert good.baselines["last"] == 1  # whoever names the last is as good
    assert good.verdict == NOT_FOUND
    bad = row(report([(label, ada)] * 30), "labels", "member")
    assert (bad.share, bad.verdict) == (0, NOT_FOUND)
    cy, label = judgement(("Cy", None, None)), {"mistake_agent": "Cy"}
    better = row(report([(label, cy)] * 30), "labels", "member")
    assert better.verdict == FOUND
    few = row(report([(label, cy), (label, ada)]), "labels", "member")
    assert few.verdict == CANNOT_TELL


def test_few_episodes_are_not_better_although_their_interval_is_above():
    """One of 1 has the interval [0.21, 1], and 3 of 5 at a guess of 1 in 4: p is 0.10."""
    cy, label = judgement((None, 2, None)), {"mistake_step": 2}
    for pairs in ([(label, cy)], [(label, cy)] * 4):
        event = row(report(pairs), "labels", "event")
        assert event.share == 1
        assert event.verdict == CANNOT_TELL
    assert row(report([(label, cy)] * 30), "labels", "event").low > 0.8
    assert _at_least(3, 5, 0.25) == pytest.approx(106 / 1024)


def test_who_cannot_tell_is_counted_apart():
    label = {"mistake_agent": "Bo"}
    torn = judgement(("Bo", 1, "FM-1.1"), ("Cy", 2, "FM-1.1"))
    void = Judgement(void="no reply: busy", calls=1, tokens=None, events=4)
    result = report([(label, torn), (label, void), (label, judgement((None, None, None)))])
    member = row(result, "labels", "member")
    assert (member.judged, member.n, member.share) == (2, 0, None)
    assert member.verdict == CANNOT_TELL
    assert (row(result, "itself", "member").agree, row(result, "itself", "mode").agree) == (0, 1)
    first, second, _ = result.episodes
    assert (first.agent, first.event, first.mode, first.quote) == (None, None, "FM-1.1", "")
    assert (second.void, result.void, result.tokens) == ("no reply: busy", 1, None)


def test_labels_of_mast_are_read_by_their_code():
    assert labelled_modes({"1.3": 1, "2.2": 0, "3.1 Premature": [True, True, False], "4.1": 1,
                           "mistake_agent": "Ada"}) == {"FM-1.3", "FM-3.1"}  # fmt: skip
    assert {group_of(mode) for mode in MODES} == {
        "specification", "misalignment between agents", "verification"
    }  # fmt: skip


def test_kappa_of_modes_by_hand():
    """The judge says 1.1, 1.1, 3.1, 3.1; the labels hold 1.1, {1.2, 3.1}, 3.1, 3.1."""
    replies = [judgement((None, None, f"FM-{mode}")) for mode in ("1.1", "1.1", "3.1", "3.1")]
    labels = [{"1.1": 1}, {"1.2": 1, "3.1": 1}, {"3.1": 1, "1.1": 0}, {"3.1": 1}]
    result = report(list(zip(labels, replies, strict=True)))
    mode, group = row(result, "labels", "mode"), row(result, "labels", "group")
    assert (mode.agree, mode.n) == (3, 4)
    # chance: 2/4 of the answers are 1.1, which 1/4 of the labels hold; 2/4 are 3.1, 3/4 hold that
    chance = 0.5 * 0.25 + 0.5 * 0.75
    assert mode.kappa == pytest.approx((0.75 - chance) / (1 - chance))
    assert mode.baselines == pytest.approx({"random": 5 / 4 / 14, "commonest": 0.75})
    assert group.agree == 4
    assert group.baselines == pytest.approx({"random": 5 / 4 / 3, "commonest": 0.75})
    shares = {each.mode: each.episodes for each in result.modes}
    assert len(result.modes) == 14
    assert {mode: n for mode, n in shares.items() if n} == {"FM-1.1": 2, "FM-3.1": 2}


def test_one_mode_for_all_agrees_with_itself_no_more_than_chance():
    always = judgement((None, None, "FM-1.1"), (None, None, "FM-1.1"))
    mode = row(report([({}, always)] * 40), "itself", "mode")
    assert (mode.share, mode.baselines["commonest"], mode.kappa) == (1, 1, None)
    assert mode.verdict == NOT_FOUND


def test_a_log_that_has_grown_is_no_judgement():
    longer = Judgement(replies=(Mistake("Bo", 7, None),), calls=1, events=9)
    result = report([({}, longer)])
    assert result.episodes[0].void == "the episode has changed since"
    assert result.episodes[0].event is None


def test_an_opinion_is_no_finding_but_stands_on_the_page_of_its_episode():
    judging = Judging({}, MistakeSettings(), {"e": judgement(("Cy", 2, "FM-3.1"))})
    pages = []
    result = audit([team("e")], judging=judging, on_transcript=pages.append)
    plain = audit([team("e")], on_transcript=pages.append)
    assert result.findings == plain.findings
    assert result.episode_rows == plain.episode_rows
    assert plain.judge is None
    opinion = pages[0].sights[-1]
    assert (opinion.finding, opinion.event, opinion.agent) == ("judge.mistake", 2, "Cy")
    assert opinion.what == "a judge says: the decisive mistake, FM-3.1 stops too early"
    assert len(pages[0].sights) == len(pages[1].sights) + 1
