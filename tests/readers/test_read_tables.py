import io
import struct
import zipfile

import numpy as np
import pytest

from counterpoint.errors import LogError
from counterpoint.readers import TornLogWarning, read_decisions

HEAD = "prompt,rollout,agent,reward\n"


def table(text):
    return read_decisions(io.BytesIO(text.encode()))


def test_csv_by_hand():
    found = table("step,prompt,rollout,agent,reward,answer\n1,7,0,a,1.5,x\n2,7,1,b,,\n")
    assert found.labels["prompt"].tolist() == [7, 7]
    assert found.labels["agent"].tolist() == ["a", "b"]
    assert found.step.tolist() == [1, 2]
    assert found.action.tolist() == ["x", None]
    np.testing.assert_array_equal(found.rewards, [[1.5], [np.nan]])


@pytest.mark.parametrize("word", ["", "nan", "NaN", "null", "None", "NA"])
def test_how_csv_says_missing(word):
    assert np.isnan(table(HEAD + f"1,0,a,{word}\n").rewards).all()


@pytest.mark.parametrize("prefix", ["reward", "rewards"])
def test_csv_components_and_other_delimiters(prefix):
    found = table(f"prompt;rollout;agent;{prefix}.x;{prefix}.y\n1;0;a;1;2\n")
    assert found.components == ("x", "y")
    assert found.rewards.tolist() == [[1, 2]]
    assert table("prompt\trollout\tagent\treward\n1\t0\ta\t3\n").rewards.tolist() == [[3]]


def test_csv_quotes_and_labels_that_only_look_like_numbers():
    found = table('prompt_id,rollout,agent,reward\n007,0,"a,\nb",1\n7,0,c,1\n')
    assert found.labels["prompt"].tolist() == ["007", "7"]
    assert found.labels["agent"].tolist() == ["a,\nb", "c"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prompt,rollout,agent\n1,0,a\n", "line 1: got no column 'reward'"),
        ("prompt,rollout,reward\n1,0,1\n", "line 1: got no column 'agent'"),
        ("prompt,rollout,agent,reward,reward\n", "line 1: got column 'reward' twice"),
        ("prompt,rollout,agent,reward,reward.x\n", "line 1: got both"),
        (HEAD, "empty log"),
        (HEAD + "1,0,a,high\n", "line 2, column 'reward': got 'high'; wanted a number"),
        (HEAD + "1,0,a,1_0\n", "line 2, column 'reward'"),
        (HEAD + "1,0,a,inf\n", "line 2, column 'reward': got an infinite"),
        (HEAD + "1,0,a,1\n\n1,,a,1\n", "line 4, column 'rollout': got an empty cell"),
        (HEAD + "1,0,a,1\n1,0,a\n1,0,a,1\n", "line 3: got 3 cells"),
        (HEAD + '1,0,"a,1\n', "line 2"),
        ("step," + HEAD + "x,1,0,a,1\n", "line 2, column 'step': got 'x'"),
        ("hello\n", "line 1: got no column 'reward'"),
    ],
)
def test_a_bad_cell_is_named(text, words):
    with pytest.raises(LogError, match=words):
        table(text)


def test_line_numbers_go_on_across_blocks(monkeypatch):
    monkeypatch.setattr("counterpoint.readers.lines.READ_BYTES", 64)
    rows = "".join(f"1,{i},a,1\n" for i in range(100))
    with pytest.raises(LogError, match="line 102, column 'reward'"):
        table(HEAD + rows + "1,0,a,x\n")
    assert len(table(HEAD + rows)) == 100


@pytest.mark.parametrize(("last", "rows"), [("1,1", 1), ('1,1,"b', 1), ("1,1,b,2", 2)])
def test_a_csv_without_last_line_end_warns(last, rows):
    with pytest.warns(TornLogWarning, match="line 3"):
        assert len(table(HEAD + "1,0,a,1\n" + last)) == rows


def archive(**columns):
    stream = io.BytesIO()
    np.savez_compressed(stream, **{**COLUMNS, **columns})
    return io.BytesIO(stream.getvalue())


COLUMNS = {
    "prompt": np.array([1, 1]),
    "rollout": np.array([0, 1]),
    "agent": np.array(["a", "b"]),
    "reward": np.array([1.0, np.nan]),
}


def test_npz_by_hand():
    found = read_decisions(archive(step=np.array([3, 4]), answer=np.array(["x", "y"])))
    assert found.labels["agent"].tolist() == ["a", "b"]
    assert found.step.tolist() == [3, 4]
    assert found.action.tolist() == ["x", "y"]
    np.testing.assert_array_equal(found.rewards, [[1], [np.nan]])


def test_npz_components():
    two = read_decisions(archive(reward=np.ones((2, 2)), components=np.array(["x", "y"])))
    assert two.components == ("x", "y")
    columns = {k: v for k, v in COLUMNS.items() if k != "reward"}
    stream = io.BytesIO()
    np.savez(stream, **columns, **{"reward.x": [1, 2], "reward.y": [3.0, 4.0]})
    stream.seek(0)
    assert read_decisions(stream).rewards.tolist() == [[1, 3], [2, 4]]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"reward": np.array([1, "x"], dtype=object)}, "pickled objects"),
        ({"agent": np.array([None, "x"], dtype=object)}, "pickled objects"),
        ({"reward": np.array([1.0, np.inf])}, "row 1: got an infinite"),
        ({"reward": np.array(["1", "2"])}, "wanted numbers"),
        ({"reward": np.zeros((2, 0))}, "shape"),
        ({"prompt": np.array([1.0, np.nan])}, "row 1, column 'prompt'"),
        ({"agent": np.array(["a"])}, "column 'agent': got"),
        ({"step": np.array([0.5, 1])}, "column 'step'"),
        ({"reward": np.ones((2, 2)), "components": np.array(["x"])}, "wanted 2 names"),
    ],
)
def test_bad_columns_are_named(columns, words):
    with pytest.raises(LogError, match=words):
        read_decisions(archive(**columns))


def test_npz_without_a_column():
    stream = io.BytesIO()
    np.savez(stream, prompt=np.zeros(2), reward=np.zeros(2))
    stream.seek(0)
    with pytest.raises(LogError, match="got no column 'rollout'"):
        read_decisions(stream)


def test_a_zip_bomb_is_refused_by_what_it_declares():
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as zipped,
        zipped.open("reward.npy", "w") as member,
    ):
        for _ in range(80):
            member.write(bytes(2**20))
    stream.seek(0)
    with pytest.raises(LogError, match="zip bomb"):
        read_decisions(stream)


def test_a_header_that_promises_more_than_there_is_is_refused():
    stream = io.BytesIO()
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}"
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    with zipfile.ZipFile(stream, "w") as zipped:
        zipped.writestr("reward.npy", data)
    stream.seek(0)
    with pytest.raises(LogError, match="got a header of shape"):
        read_decisions(stream)


def test_every_truncation_and_many_bit_flips_of_an_archive_are_ours():
    whole = archive().getvalue()
    rng = np.random.default_rng(0)
    damaged = [whole[:cut] for cut in range(4, len(whole), 7)]
    for place in rng.integers(0, len(whole), 500):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(flipped))
    refused = 0
    for data in damaged:
        try:
            read_decisions(io.BytesIO(data))
        except LogError:
            refused += 1
    assert refused > len(damaged) / 2


def test_an_archive_through_a_pipe():
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    assert len(read_decisions(Pipe(archive().getvalue()))) == 2


def test_a_stray_quote_far_from_the_end_is_no_torn_line(tmp_path):
    rows = "0,0,a,1\n"
    text = "prompt,rollout,agent,reward\n" + rows * 5 + '0,0,"a,1\n' + rows * 50 + rows.strip()
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(LogError, match="line 7"):
        read_decisions(tmp_path / "log.csv")


def test_missing_rewards_are_counted():
    rows = "1,0,a,1\n1,0,b,\n1,1,a,nan\n"
    assert table(HEAD + rows).notices[-1] == "missing rewards of 3 rows: reward in 2"
    assert not any("missing" in line for line in table(HEAD + "1,0,a,1\n").notices)
    two = table("prompt,rollout,agent,reward.x,reward.y\n1,0,a,1,\n1,1,a,1,2\n")
    assert two.notices[-1] == "missing rewards of 2 rows: y in 1"


@pytest.mark.filterwarnings("ignore::counterpoint.readers.lines.LogNotice")
def test_a_role_name_is_the_agent_if_no_column_is():
    speakers = table("rollout,role_name,reward\n0,ann,1\n0,bo,0\n")
    assert speakers.labels["agent"].tolist() == ["ann", "bo"]
    roles = table("rollout,agent_id,role_name,reward\n0,a,coder,1\n0,b,coder,0\n")
    assert roles.labels["agent"].tolist() == ["a", "b"]
    assert roles.labels["role"].tolist() == ["coder", "coder"]


@pytest.mark.parametrize("order", "<>")
def test_text_that_no_text_can_be_is_refused(order, tmp_path):
    letters = np.array([[97], [98]], f"{order}u4")
    columns = {"prompt": [0, 0], "rollout": [0, 1], "reward": [1.0, 2.0]}
    np.savez(tmp_path / "log.npz", agent=letters.view(f"{order}U1")[:, 0], **columns)
    assert len(read_decisions(tmp_path / "log.npz")) == 2
    letters[1] = 0x110000
    np.savez(tmp_path / "log.npz", agent=letters.view(f"{order}U1")[:, 0], **columns)
    with pytest.raises(LogError, match="column 'agent': got damaged text"):
        read_decisions(tmp_path / "log.npz")


def test_a_head_that_is_no_python_is_refused(tmp_path):
    """Found by mutation: NumPy reads such a head with a tokenizer, whose error is of its own."""
    packed = io.BytesIO()
    np.savez(packed, prompt=[0], rollout=[0], reward=[1.0])
    with zipfile.ZipFile(packed) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["reward.npy"] = parts["reward.npy"].replace(b"(1,)", b"((1,")
    with zipfile.ZipFile(tmp_path / "log.npz", "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    with pytest.raises(LogError, match="damaged npz archive"):
        read_decisions(tmp_path / "log.npz")
