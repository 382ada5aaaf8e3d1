"""Scores that people, models and code give to traces: beside the traces, inside them, and alone."""

import json

import pytest
from test_span_formats import KITCHEN, agent, span

from counterpoint.errors import LogError
from counterpoint.readers.logs import read_logs


def observation(id, kind, name, second, parent=None, **more):
    return {"id": id, "type": kind, "name": name, "traceId": "t1", "parentObservationId": parent,
            "startTime": f"2031-07-04T05:00:{second:02d}Z", **more}  # fmt: skip


LANGFUSE = [
    observation("o1", "AGENT", "ann", 0, output="I dig."),
    observation("o2", "AGENT", "bob", 1, output="I carry."),
]
LANGFUSE_SCORES = {"data": [
    {"id": "s1", "traceId": "t1", "observationId": None, "name": "success", "value": 1,
     "dataType": "BOOLEAN", "stringValue": "True", "source": "API", "comment": None},
    {"id": "s2", "traceId": "t1", "observationId": "o1", "name": "tone", "value": 0.5,
     "dataType": "NUMERIC", "comment": "curt"},
    {"id": "s3", "traceId": "t1", "observationId": "o2", "name": "tone", "value": 1.0,
     "dataType": "NUMERIC", "comment": None},
    {"id": "s4", "traceId": "t1", "name": "topic", "value": 0, "stringValue": "earth",
     "dataType": "CATEGORICAL", "source": "ANNOTATION"},
    {"id": "s5", "traceId": "other", "name": "tone", "value": 0.1, "dataType": "NUMERIC"},
], "meta": {"page": 1, "totalItems": 5}}  # fmt: skip
PHOENIX = {"data": [
    {"id": "a1", "trace_id": "0xfe", "name": "success", "annotator_kind": "HUMAN",
     "result": {"label": "right", "score": 1.0, "explanation": "hot"}},
    {"id": "a2", "span_id": "e", "name": "taste", "annotator_kind": "LLM",
     "result": {"label": None, "score": 0.25, "explanation": None}},
    {"id": "a3", "span_id": "nobody", "name": "taste", "annotator_kind": "LLM",
     "result": {"score": 0.5}},
], "next_cursor": None}  # fmt: skip


def assessment(id, name, **more):
    return {"assessment_id": id, "assessment_name": name, "trace_id": "tr-7", "valid": True,
            "source": {"source_type": "HUMAN", "source_id": "ann"}, **more}  # fmt: skip


ASSESSMENTS = [
    assessment("m1", "correct", feedback={"value": True}, rationale="it is"),
    assessment("m2", "wanted", expectation={"value": 42}),
    assessment("m3", "tone", feedback={"value": "kind"}),
    assessment("m4", "tone", feedback={"value": "rude"}, valid=False),
    assessment("m5", "judge", feedback={"error": {"error_code": "TIMEOUT"}}),
]


def read(folder, **files):
    """The episodes and the notes of a folder with files of lines."""
    for name, values in files.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in values))
    notes = []
    return list(read_logs(folder, note=notes.append)), notes


def test_scores_of_langfuse_beside_observations(tmp_path):
    (episode,), notes = read(tmp_path, observations=LANGFUSE, scores=[LANGFUSE_SCORES])
    assert (episode.success, episode.agents) == (1.0, ("ann", "bob"))
    assert episode.scores == {"tone": 0.75}  # the mean of .5 and 1
    assert episode.labels == {"tone": {"value": 0.5, "comment": "curt"}, "topic": "earth"}
    assert notes == [f"{tmp_path}: left out: scores whose trace is in no episode (1)"]


def test_annotations_of_phoenix_beside_spans(tmp_path):
    (episode,), notes = read(tmp_path, spans=KITCHEN, notes=[PHOENIX])
    assert (episode.success, dict(episode.scores)) == (1.0, {"taste": 0.25})
    assert episode.labels == {"success": {"value": "right", "comment": "hot"}}
    assert notes == [f"{tmp_path}: left out: scores whose trace is in no episode (1)"]


def test_assessments_of_mlflow_inside_a_trace_and_in_rows_count_once(tmp_path):
    spans = [{**each, "context": {**each["context"], "trace_id": "q83v"}} for each in KITCHEN]
    for each in spans:
        each["attributes"] = {**each["attributes"], "mlflow.traceRequestId": '"tr-7"'}
    trace = {"info": {"trace_id": "tr-7", "assessments": ASSESSMENTS}, "data": {"spans": spans}}
    wanted = {
        "correct": {"value": True, "comment": "it is"}, "wanted": 42, "tone": "kind",
        "judge": {"error_code": "TIMEOUT"},
    }  # fmt: skip
    for files in (
        {"traces": [trace]},
        {"traces": [{"data": {"spans": spans}}], "assessments": ASSESSMENTS},
        {"traces": [trace], "assessments": ASSESSMENTS},
    ):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        (episode,), notes = read(folder, **files)
        assert (episode.id, dict(episode.scores), notes) == ("tr-7", {"correct": 1.0}, [])
        assert episode.labels == wanted


@pytest.mark.parametrize("rows", [[LANGFUSE_SCORES], [PHOENIX], ASSESSMENTS])
def test_scores_without_traces_are_refused_with_the_reason(tmp_path, rows):
    path = tmp_path / "scores.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    with pytest.raises(LogError, match="and no trace; wanted the traces in the same folder"):
        list(read_logs(path))


def test_traces_without_a_member_are_counted(tmp_path):
    idle = [{**span(f"i{n}", None, n, n + 1), "context": {"trace_id": f"0x{n}", "span_id": "i"}}
            for n in range(3)]  # fmt: skip
    (episode,), notes = read(tmp_path, spans=[*idle, agent("a", None, 0, 3, "maître")])
    assert episode.agents == ("maître",)
    wanted = "traces in which no span is of an agent, a model or a tool (3)"
    assert notes == [f"{tmp_path / 'spans.jsonl'}: left out: {wanted}"]
