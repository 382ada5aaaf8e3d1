import io
import json

import numpy as np
import pytest

from counterpoint.errors import LogError
from counterpoint.readers import TornLogWarning, example_log, read_decisions
from counterpoint.readers import lines as lines_of

ROW = {"prompt": 1, "rollout": 0, "agent": "a", "reward": 1.5}


def jsonl(*rows, end="\n"):
    return io.BytesIO(
        "\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows).encode() + end.encode()
    )


def row(**changes):
    return {k: v for k, v in {**ROW, **changes}.items() if v != "absent"}


def test_rows_by_hand():
    found = read_decisions(
        jsonl(
            row(step=3, turn=0, role="r", context="c", answer="x"),
            row(step=4, turn=1, role="r", context="c", answer=None, agent="b", reward=None),
        )
    )
    assert found.components == ("reward",)
    assert found.rewards[0, 0] == 1.5
    assert np.isnan(found.rewards[1, 0])
    assert found.labels["agent"].tolist() == ["a", "b"]
    assert found.labels["prompt"].tolist() == [1, 1]
    assert found.labels["turn"].tolist() == [0, 1]
    assert found.step.tolist() == [3, 4]
    assert found.action.tolist() == ["x", None]


def test_components_may_differ_by_row():
    found = read_decisions(
        jsonl(
            row(reward="absent", rewards={"x": 1}),
            row(reward="absent", rewards={"y": 2, "x": None}),
            row(reward="absent", rewards={}),
        )
    )
    assert found.components == ("x", "y")
    np.testing.assert_array_equal(found.rewards, [[1, np.nan], [np.nan, 2], [np.nan, np.nan]])


def test_groups_line_up_by_position():
    found = read_decisions(
        jsonl(
            {"prompt_id": "p", "agent": "a", "rewards": [1, 2, None]},
            {"prompt_id": "p", "agent": "b", "rewards": [3, 4]},
        )
    )
    assert found.labels["rollout"].tolist() == [0, 1, 2, 0, 1]
    assert found.labels["agent"].tolist() == ["a", "a", "a", "b", "b"]
    assert found.labels["prompt"].tolist() == ["p"] * 5
    np.testing.assert_array_equal(found.rewards[:, 0], [1, 2, np.nan, 3, 4])


def test_a_group_that_comes_back_is_a_group_of_its_own_and_another_turn_is_not():
    again = read_decisions(jsonl(*[{"prompt_id": 1, "agent": "a", "rewards": [1, 2]}] * 2))
    assert again.labels["prompt"].tolist() == [1, 1, "1 (group 2)", "1 (group 2)"]
    assert again.labels["rollout"].tolist() == [0, 1, 0, 1]
    turns = read_decisions(
        jsonl(*({"prompt_id": 1, "agent": "a", "turn": t, "rewards": [1, 2]} for t in (0, 1)))
    )
    assert turns.labels["rollout"].tolist() == [0, 1, 0, 1]
    assert turns.labels["prompt"].tolist() == [1, 1, 1, 1]


def test_groups_that_come_back_line_up_between_agents():
    both = [{"prompt_id": "p", "agent": a, "rewards": [1, 0]} for a in "ab"]
    found = read_decisions(jsonl(*both, *both))
    assert found.labels["prompt"].tolist() == ["p"] * 4 + ["p (group 2)"] * 4
    assert found.labels["agent"].tolist() == list("aabb") * 2


@pytest.mark.parametrize("token", ["NaN", "null"])
def test_nan_and_null_are_missing(token):
    text = json.dumps(row()).replace("1.5", token)
    assert np.isnan(read_decisions(jsonl(text)).rewards).all()


def test_blank_lines_byte_order_mark_and_carriage_returns():
    text = "\ufeff\n" + json.dumps(ROW) + "\r\n\n" + json.dumps(ROW) + "\r\n"
    assert len(read_decisions(io.BytesIO(text.encode()))) == 2


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (row(agent="absent"), "line 2.*column 'agent'"),
        (row(prompt="absent"), "line 2.*column 'prompt'"),
        (row(rollout="absent"), "line 2.*column 'rollout'"),
        (row(reward="absent"), "line 2.*column 'reward'"),
        (row(reward="high"), "line 2, column 'reward': got \"high\"; wanted a number"),
        (row(reward="1_0"), "line 2, column 'reward': got \"1_0\""),
        (row(reward=[1]), "line 2, column 'reward': got \\[1\\]"),
        (row(agent=None), "line 2, column 'agent': got None"),
        (row(agent={"name": "a"}), "line 2, column 'agent': got"),
        (row(prompt=True), "line 2, column 'prompt': got true"),
        (row(step="one"), "line 2, column 'step': got \"one\"; wanted an integer"),
        (row(role="r"), "line 2, column 'role'.*same columns"),
        (row(rewards={"x": 1}), "line 2: got both"),
        (row(reward="absent", rewards={"x": "y"}), "line 2, column 'rewards', component 'x'"),
        (row(reward="absent", rewards=[1]), "line 2, column 'rollout'"),
        (row(reward="absent", rewards=3), "line 2, column 'rewards': got 3"),
        ("[1, 2]", "line 2: got \\[1, 2\\]; wanted a JSON object"),
        ("{'prompt': 1}", "line 2, column 2: got no JSON object"),
        ('{"reward": ' + "[" * 5000, "line 2"),
        (json.dumps(ROW).replace("1.5", "Infinity"), "line 2, column 'reward': got an infinite"),
        (json.dumps(ROW).replace("1.5", "-1e999"), "line 2, column 'reward': got an infinite"),
        (json.dumps(ROW).replace("1.5", "9" * 400), "line 2, column 'reward': got an infinite"),
        (json.dumps(ROW).replace('"a"', '"\\ud800"'), "line 2, column 'agent': got half"),
        (json.dumps(ROW).replace('"prompt": 1', '"prompt": 1e999'), "line 2, column 'prompt'"),
    ],
)
def test_a_bad_line_is_named(bad, words):
    with pytest.raises(LogError, match=words):
        read_decisions(jsonl(ROW, bad, ROW))


@pytest.mark.parametrize("empty", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_an_empty_log_is_an_error(empty):
    with pytest.raises(LogError, match="empty log"):
        read_decisions(io.BytesIO(empty))


def test_a_log_of_no_rewards_is_an_error():
    with pytest.raises(LogError, match="no reward in any record"):
        read_decisions(jsonl(row(reward="absent", rewards={})))


def test_bytes_that_are_not_text_are_named_by_line_and_column():
    data = jsonl(ROW).read() + b'{"agent": "\xff"}\n'
    with pytest.raises(LogError, match="line 2, column 12: got bytes that are not UTF-8"):
        read_decisions(io.BytesIO(data))


@pytest.mark.fault("R10")
def test_a_torn_last_line_leaves_the_complete_records(record_property):
    whole = jsonl(ROW, row(rollout=1), row(rollout=2, agent="é")).read()
    second = len(jsonl(ROW, row(rollout=1)).read())
    record_property("cases", len(whole) - second - 2)
    for cut in range(second + 1, len(whole) - 1):
        with pytest.warns(TornLogWarning, match="line 3"):
            assert len(read_decisions(io.BytesIO(whole[:cut]))) == 2
    assert len(read_decisions(io.BytesIO(whole[:-1]))) == 3  # complete, only without line end
    assert len(read_decisions(io.BytesIO(whole[:second]))) == 2


@pytest.mark.fault("R10")
def test_a_log_that_is_one_torn_line_is_an_error():
    with pytest.raises(LogError, match="line 1"):
        read_decisions(io.BytesIO(b'{"prompt": 1, "roll'))


class Endless(io.RawIOBase):
    """A line that never ends, and counts how much of it was read."""

    def __init__(self):
        self.given = 0

    def readable(self):
        return True

    def read(self, size=-1):
        self.given += size
        return b"{" + b" " * (size - 1) if self.given == size else b" " * size


def test_a_line_without_end_is_refused_before_it_is_read_on():
    stream = Endless()
    with pytest.raises(LogError, match="line 1: got more than 64 MB"):
        read_decisions(stream)
    assert stream.given < lines_of.LONGEST_LINE_BYTES + 2 * lines_of.READ_BYTES + 100


def test_long_lists_in_one_line_are_refused():
    line = '{"prompt_id": 1, "agent": "a", "rewards": [' + "0," * 2**22 + "0]}"
    with pytest.raises(LogError, match="at most 8388608"):
        read_decisions(jsonl(line))


def test_long_prompts_are_kept_once():
    prompt = "x" * 10_000
    found = read_decisions(jsonl(*(row(prompt=prompt, rollout=i) for i in range(50))))
    assert found.labels["prompt"].dtype == object
    assert len({id(value) for value in found.labels["prompt"]}) == 1


def test_paths_standard_input_and_what_is_no_file(tmp_path, monkeypatch):
    path = tmp_path / "log.jsonl"
    path.write_bytes(jsonl(ROW).read())
    assert len(read_decisions(path)) == 1
    assert len(read_decisions(str(path))) == 1

    class Stdin:
        buffer = jsonl(ROW, ROW)

    monkeypatch.setattr("sys.stdin", Stdin)
    assert len(read_decisions("-")) == 2
    for nowhere in (tmp_path, tmp_path / "absent", "a\0b"):
        with pytest.raises(LogError, match="wanted a log file"):
            read_decisions(nowhere)


def test_the_example_log_reads():
    found = read_decisions(example_log())
    assert len(found) == 5120
    assert sorted(set(found.labels["agent"].tolist())) == ["listener", "speaker"]
    assert found.action is not None


def test_reward_and_rewards_in_one_log_are_refused(tmp_path):
    log = tmp_path / "mixed.jsonl"
    log.write_text(
        '{"prompt": 0, "rollout": 0, "agent": "a", "reward": 1}\n'
        '{"prompt": 0, "rollout": 0, "agent": "b", "rewards": {"team": 1}}\n'
    )
    with pytest.raises(LogError, match="line 2: got team where earlier records have reward"):
        read_decisions(log)


@pytest.mark.parametrize("before", ["\n", "\n\n  \n"])
def test_blank_lines_before_the_first_row_change_nothing(before):
    rows = [row(step=s, rollout=r, agent=a) for s in (1, 2) for r in (0, 1) for a in "ab"]
    found = read_decisions(io.BytesIO(before.encode() + jsonl(*rows).read()))
    plain = read_decisions(jsonl(*rows))
    assert found.notices == plain.notices
    assert found.labels.keys() == plain.labels.keys()


@pytest.mark.fault("R9")
@pytest.mark.parametrize("column", ["agent", "prompt", "rollout"])
def test_names_that_end_with_nul_are_names_of_their_own(column):
    """NumPy pads texts with NUL, and takes "x" and "x\\0" for one."""
    names = ("x", "x\0", "x\0\0")
    found = read_decisions(jsonl(*(row(**{column: name}) for name in names)))
    assert found.labels[column].tolist() == list(names)


@pytest.mark.parametrize("head", ["", "agent,rollout,reward\n"])
@pytest.mark.parametrize("blank", [0, 3, 4, 5, 70_000])
def test_lines_keep_their_numbers_after_blank_ones(head, blank):
    row = "a,0,1\n" if head else '{"agent": "a", "rollout": 0, "reward": 1}\n'
    content = "\n" * blank + head + row + "?\n"
    with pytest.raises(LogError, match=rf"line {blank + bool(head) + 2}\b"):
        read_decisions(io.BytesIO(content.encode()))
