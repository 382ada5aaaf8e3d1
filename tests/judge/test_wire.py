"""The judge's wire format: exactly what was asked for, or an error; nothing is guessed."""

from __future__ import annotations

import json
import os
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.errors import CounterpointError
from counterpoint.judge import parse_ranking, parse_score

IDS = ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"ranking": [["a"], ["b"], ["c"]]}', [["a"], ["b"], ["c"]]),
        ('{"ranking": [["c", "a"], ["b"]]}', [["c", "a"], ["b"]]),
        (' \n{"ranking":[["b","a","c"]]}\t', [["b", "a", "c"]]),
        (r'{"ranking": [["\u0061"], ["b", "c"]]}', [["a"], ["b", "c"]]),
    ],
)
def test_reads_what_was_asked_for(text, wanted):
    assert parse_ranking(text, IDS) == wanted


@pytest.mark.parametrize("odd", ["run[1]", '"', "}", "\\", "é", "[[[[", "\u202e", " "])
def test_ids_may_be_any_text(odd):
    text = json.dumps({"ranking": [[odd], ["b"]]})
    assert parse_ranking(text, ["b", odd]) == [[odd], ["b"]]


@pytest.mark.fault("R13")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '[["a"], ["b"], ["c"]]',
        '{"ranking": null}',
        '{"ranking": "a, b, c"}',
        '{"ranking": []}',
        '{"ranking": [[]]}',
        '{"ranking": ["a", "b", "c"]}',
        '{"ranking": [["a"], ["b"]]}',  # one is missing
        '{"ranking": [["a"], ["b"], ["c"], ["d"]]}',  # one too many
        '{"ranking": [["a"], ["b"], ["c"], ["a"]]}',  # one twice
        '{"ranking": [["a", "a"], ["b"], ["c"]]}',
        '{"ranking": [["a"], ["b"], [1]]}',
        '{"ranking": [["a"], ["b"], [["c"]]]}',
        '{"ranking": [["A"], ["b"], ["c"]]}',
        '{"ranking": [[" a"], ["b"], ["c"]]}',
        '{"Ranking": [["a"], ["b"], ["c"]]}',
        '{"ranking": [["a"], ["b"], ["c"]], "score": 1}',
        '{"ranking": [["c"], ["b"], ["a"]], "ranking": [["a"], ["b"], ["c"]]}',
        '{"ranking": [["a"], ["b"], ["c"]]} and that is final',
        'Sure! {"ranking": [["a"], ["b"], ["c"]]}',
        '```json\n{"ranking": [["a"], ["b"], ["c"]]}\n```',
        '{"ranking": [["a"], ["b"], ["c"]]',
        '{"ranking": [["a"], ["b"], ["c"]]}{"ranking": [["c"], ["b"], ["a"]]}',
        '{"ranking": [["a"], ["b"], ["c",]]}',
        "{'ranking': [['a'], ['b'], ['c']]}",
        '\ufeff{"ranking": [["a"], ["b"], ["c"]]}',
        '{"ranking": NaN}',
        '{"ranking": [["a"], ["b"], [NaN]]}',
        '{"ranking": [["a\u200b"], ["b"], ["c"]]}',
        '{"ranking": {"a": 1, "b": 2, "c": 3}}',
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(CounterpointError):
        parse_ranking(text, IDS)


@pytest.mark.fault("R13")
@pytest.mark.parametrize("text", ["[" * 200_000, '{"ranking": ' + "[" * 50_000, '"' * 99_999,
                                  '{"ranking": [["' + "a" * 3_000_000 + '"]]}'])  # fmt: skip
def test_bombs_are_refused_at_once(text):
    start = time.process_time()
    with pytest.raises(CounterpointError):
        parse_ranking(text, IDS)
    assert time.process_time() - start < 0.5


def test_nobody_and_somebody_twice_cannot_be_ranked():
    for ids in ([], ["a", "a"]):
        with pytest.raises(CounterpointError):
            parse_ranking('{"ranking": [["a"]]}', ids)


def test_errors_repeat_nothing_that_the_judge_was_talked_into():
    with pytest.raises(CounterpointError) as met:
        parse_ranking('{"ranking": [["<script>"], ["a"], ["b"], ["c"]]}', IDS)
    assert "script" not in str(met.value)


VALUES = st.recursive(
    st.sampled_from(["a", "b", "c", "d", "", None, 0, 1, True, float("nan"), float("inf")]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["ranking", "score", "a", ""]), inner, max_size=3)
    ),
    max_leaves=12,
)
TEXTS = (
    VALUES.map(json.dumps)
    | st.lists(st.lists(st.sampled_from([*IDS, "d"]), min_size=1, max_size=4), max_size=4).map(
        lambda ranking: json.dumps({"ranking": ranking})
    )
    | st.text(alphabet='{}[]",:abc ranking\\\n', max_size=40)
)


@pytest.mark.fault("R13")
@settings(max_examples=int(os.environ.get("COUNTERPOINT_EXAMPLES", "200")) * 2, deadline=None)
@given(TEXTS, st.integers(0, 60), st.booleans())
def test_malformed_replies_are_a_ranking_of_all_or_an_error(text, cut, whole):
    text = text if whole else text[:cut]
    try:
        found = parse_ranking(text, IDS)
    except CounterpointError:
        return
    assert sorted(each for tied in found for each in tied) == IDS
    assert all(found)
    assert json.loads(text) == {"ranking": found}


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(max_size=8), unique=True, min_size=1, max_size=6), st.randoms())
def test_what_is_written_is_read(ids, random):
    shuffled = random.sample(ids, len(ids))
    tied = [shuffled[i : i + 2] for i in range(0, len(ids), 2)]
    assert parse_ranking(json.dumps({"ranking": tied}), ids) == tied


def test_a_score_is_one_number_from_0_to_1():
    assert parse_score('{"score": 0.25}') == 0.25
    assert parse_score('{"score": 1}') == 1.0
    for text in ("0.5", '{"score": true}', '{"score": "1"}', '{"score": 1.01}', '{"score": -0.1}',
                 '{"score": 1e999}',
                 '{"score": NaN}', '{"score": 1, "score": 0}', '{"score": null}',
                 '{"score": ' + "9" * 5000 + "}"):  # fmt: skip
        with pytest.raises(CounterpointError):
            parse_score(text)
