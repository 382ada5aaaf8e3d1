"""The line that `encode` writes of an episode: its keys, their order, and what is left out."""

from __future__ import annotations

from counterpoint.readers.episodes import encode
from counterpoint.records import Episode, Event

EMPTY = '"run":"","task":"","agents":["ann"],"tools":[],"success":null,"meta":{}'


def line(*events, **more):
    return encode(Episode("e", events, ("ann",), **more)).decode()


def test_fields_without_a_value_are_left_out():
    written = line(Event(0, "ann", "message"), Event(1, "ann", "action", "x", tool="sh", call="c"))
    events = (
        '[{"agent":"ann","kind":"message"},'
        '{"agent":"ann","kind":"action","text":"x","tool":"sh","call":"c"}]'
    )
    assert written == f'{{"schema":1,"id":"e",{EMPTY},"events":{events}}}\n'


def test_a_number_and_an_answer_are_kept_if_they_are_nothing_but_known():
    event = Event(0, "ann", "answer", "", (), "", {}, 0.0, 0, {}, seconds=0.0, duration=0.0,
                  tokens_in=0, cost=0.0)  # fmt: skip
    assert (
        '[{"agent":"ann","kind":"answer","answer":"","work":0.0,"seconds":0.0,"duration":0.0,'
        '"cost":0.0,"tokens":0,"tokens_in":0}]' in line(event)
    )


def test_half_of_a_surrogate_pair_leaves_out_the_same_fields():
    events = '[{"agent":"ann","kind":"message","text":"?"}]'
    assert f'"events":{events}' in line(Event(0, "ann", "message", "\ud800"))
