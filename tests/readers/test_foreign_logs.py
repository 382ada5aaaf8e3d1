"""Reward logs as trainers write them, with the lines that say how they were understood."""

import io
import json
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.errors import LogError
from counterpoint.readers import LogNotice, read_decisions


def read(*records, columns=None, end="\n"):
    """Decisions of JSON lines, and everything that was said of them."""
    lines = [r if isinstance(r, str) else json.dumps(r, ensure_ascii=False) for r in records]
    return read_text("\n".join(lines) + end, columns)


def read_text(text, columns=None):
    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always")
        found = read_decisions(io.BytesIO(text.encode()), columns)
    assert all(w.category is LogNotice for w in met)
    guesses = tuple(str(w.message) for w in met)
    assert found.notices[: len(guesses)] == guesses
    return found, "\n".join(found.notices)


def labels(found, *names):
    return [found.labels[name].tolist() for name in names]


# --- TRL: completions, one column a reward function ---------------------------------------------


def trl(prompt, advantage=0.5, **rewards):
    return {"step": 1, "prompt": prompt, "completion": "c", **rewards, "advantage": advantage}


def test_trl_completions():
    found, said = read(
        trl("2+2?", accuracy_reward=1.0, format_reward=None),
        trl("2+2?", accuracy_reward=0.0, format_reward=1.0),
        trl("3+3?", accuracy_reward=None, format_reward=0.5),
    )
    assert found.components == ("accuracy_reward", "format_reward")
    np.testing.assert_array_equal(found.rewards, [[1, np.nan], [0, 1], [np.nan, 0.5]])
    assert labels(found, "prompt", "rollout", "agent") == [
        ["2+2?", "2+2?", "3+3?"], [0, 1, 0], ["agent"] * 3,
    ]  # fmt: skip
    assert found.step.tolist() == [1, 1, 1]
    assert "components of the reward: accuracy_reward, format_reward" in said
    assert "no column 'agent': all rows belong to one agent" in said
    assert "no column 'rollout': the rows of each prompt are numbered" in said
    assert "columns that are not read: completion, advantage" in said
    assert "'step'" not in said


def test_a_reward_function_may_be_called_accuracy_and_one_can_be_left_out():
    rows = [trl("p", accuracy=1, format=0, entropy=2.5), trl("p", accuracy=0, format=1, entropy=1)]
    assert read(*rows)[0].components == ("accuracy", "format")
    assert read(*rows, columns={"format": "ignore"})[0].components == ("accuracy",)
    one, said = read(*rows, columns={"format": "reward"})
    assert one.components == ("reward",)
    assert one.rewards.tolist() == [[0], [1]]
    assert "columns are read as: reward = 'format'" in said
    assert "not read: completion, accuracy, entropy, advantage" in said


def test_a_completion_that_is_a_number_is_a_text_and_no_reward():
    rows = [{**trl("40+2?", accuracy_reward=a), "completion": c} for a, c in ((1, "42"), (0, "41"))]
    found, said = read(*rows)
    assert found.components == ("accuracy_reward",)
    assert "not read: completion, advantage" in said
    dump, _ = read(*({"input": "p", "output": "42", "score": s, "step": 1} for s in (0.0, 1.0)))
    assert dump.rewards.tolist() == [[0], [1]]


def test_prompts_that_are_conversations_are_told_apart_by_their_text():
    ask = [{"role": "user", "content": "两个数之和？"}]
    other = [{"role": "user", "content": "差？"}]
    rows = [trl(ask, score_fn=1.0), trl(other, score_fn=0.0), trl(ask, score_fn=0.0)]
    found, _ = read(*rows, json.dumps(trl(ask, score_fn=float("nan")), indent=None))
    prompts = found.labels["prompt"].tolist()
    assert prompts[0] == prompts[2] == prompts[3] != prompts[1]  # the last by the lenient parser
    assert "两个数之和" in prompts[0]
    assert found.labels["rollout"].tolist() == [0, 0, 1, 2]
    assert np.isnan(found.rewards[3, 0])


def test_trl_as_csv_with_text_for_missing_values():
    head = "step,prompt,completion,correct,length_penalty,advantage\n"
    found, said = read_text(head + "1,p,c,True,-0.5,1\n1,p,c,False,,0\n1,q,c,nan,0,0\n")
    assert found.components == ("correct", "length_penalty")
    np.testing.assert_array_equal(found.rewards, [[1, -0.5], [0, np.nan], [np.nan, 0]])
    assert labels(found, "rollout") == [[0, 1, 0]]
    assert "not read: completion, advantage" in said


def test_a_parquet_file_is_refused_with_the_line_that_converts_it():
    with pytest.raises(LogError, match=r"pandas.read_parquet\(FILE\).to_json"):
        read_decisions(io.BytesIO(b"PAR1\x15\x04"))


RUN = {"reward": 1.0, "metadata": {}, "name": "a"}


@pytest.mark.parametrize(
    ("writer", "row"),
    [
        ("TRL", trl("p", accuracy_reward=1.0)),
        ("ms-swift", {"step": ["4"], "prompt": ["p"], "completion": ["c"], "Format": [1],
                      "advantages": [0.0]}),
        ("AReaL", {"prompt": "p", "head_version": 1, "tail_version": 2, "reward": 1.0}),
        ("verl", {"input": "p", "output": "4", "gts": "4", "score": 1.0, "step": 3}),
        ("verifiers", {"example_id": 0, "prompt": "p", "completion": "c", "reward": 1.0}),
        ("verifiers", {"id": "e", "task": {"key": "k"},
                       "traces": [{"agent": {"name": "a"}, "rewards": {"r": 1.0}}]}),
        ("ART", {"trajectories": [RUN]}),
        ("rLLM", {"episode_id": "t:0", "task_hash": "ab", "trajectories": [RUN]}),
        ("", {"prompt": 0, "rollout": 0, "agent": "a", "reward": 1.0}),
        ("", {"uid": "x", "request_id": "y", "agent_name": "a", "score": 1.0}),
    ],
)  # fmt: skip
def test_the_trainer_that_wrote_a_log_is_known_by_its_columns(writer, row):
    assert read(row)[0].writer == writer


def test_a_column_of_trainers_that_names_none_of_ours_is_not_read():
    row = {"prompt": 0, "rollout": 0, "agent": "a", "reward": 1.0}
    named = read({**row, "trainer": "slime"})[0]
    assert (named.writer, named.notices) == ("slime", read(row)[0].notices)
    foreign = read({**row, "trainer": "Ms Smith"})[0]
    assert foreign.writer == ""
    assert "columns that are not read: trainer" in foreign.notices


def test_the_trainer_that_wrote_a_table_is_known_too():
    assert read_text("step,prompt,completion,correct,advantage\n1,p,c,1,0\n")[0].writer == "TRL"


# --- verl: rollout dumps, and rows of a batch ---------------------------------------------------


def test_verl_rollout_dump():
    row = {"input": "user\n2+2?", "output": "4", "gts": "4", "step": 3}
    found, said = read(
        {**row, "score": 1.0, "acc": True, "pred": "4"},
        {**row, "score": "0.0", "acc": False, "pred": "5"},  # a NumPy number by default=str
        {**row, "input": "3+3?", "score": 1.0, "acc": True, "pred": "6"},
    )
    assert found.components == ("reward",)
    assert found.rewards[:, 0].tolist() == [1, 0, 1]
    assert labels(found, "prompt", "rollout") == [
        ["user\n2+2?", "user\n2+2?", "3+3?"], [0, 1, 0],
    ]  # fmt: skip
    assert "columns are read as: prompt = 'input', reward = 'score'" in said
    assert "score, acc could each be the reward: 'score' is used" in said
    assert "--columns acc=reward selects another" in said
    assert "columns that are not read: output, gts, acc, pred" in said


def test_verl_batch_of_several_agents():
    found, said = read(
        *(
            {"uid": u, "request_id": f"{u}{i}", "agent_name": a, "data_source": "gsm", "score": i}
            for u in "xy" for i in (0, 1) for a in ("solver", "checker")
        )
    )  # fmt: skip
    assert labels(found, "prompt") == [list("xxxxyyyy")]
    assert labels(found, "rollout")[0][:4] == ["x0", "x0", "x1", "x1"]
    assert labels(found, "agent")[0][:2] == ["solver", "checker"]
    assert labels(found, "context") == [["gsm"] * 8]
    assert "context = 'data_source'" in said
    assert "no column 'step': all rows belong to one training update" in said
    assert "not read" not in said


def test_where_uid_and_prompt_are_both_there_ours_is_taken_and_the_other_can_be():
    rows = [
        {"uid": u, "prompt": "same text", "rollout": 0, "agent": "a", "reward": 1.0, "step": 0}
        for u in ("u1", "u2")
    ]
    found, said = read(*rows)
    assert labels(found, "prompt") == [["same text"] * 2]
    assert "prompt, uid could each be the prompt: 'prompt' is used; --columns uid=prompt" in said
    found, said = read(*rows, columns={"uid": "prompt"})
    assert labels(found, "prompt") == [["u1", "u2"]]
    assert "could each be" not in said
    assert "columns that are not read: prompt" in said


def test_a_label_that_some_rows_lack_is_not_guessed_and_uneven_agents_are_numbered_apart():
    rows = [{"uid": "x", "agent_id": a, "score": 1, "request_id": 7} for a in "aaab"]
    del rows[1]["request_id"]
    found, said = read(*rows)
    assert labels(found, "rollout") == [[0, 1, 2, 0]]
    assert "no column 'rollout': row g of an agent in a prompt is rollout g" in said
    assert "columns that are not read: request_id" in said


# --- ms-swift, AReaL, verifiers, ART, rLLM ------------------------------------------------------


def test_ms_swift_writes_a_table_a_line():
    table = {
        "step": ["4", "4", "4"], "prompt": ["p", "p", "q"], "completion": ["a", "b", "c"],
        "Accuracy": [1.0, 0.0, None], "Format": [1, 1, 0], "advantages": [0.7, -0.7, 0.0],
    }  # fmt: skip
    found, said = read(table, {**table, "step": ["5", "5", "5"]})
    assert found.components == ("Accuracy", "Format")
    np.testing.assert_array_equal(found.rewards[:3], [[1, 1], [0, 1], [np.nan, 0]])
    assert found.step.tolist() == [4, 4, 4, 5, 5, 5]
    assert labels(found, "prompt", "rollout") == [list("ppqppq"), [0, 1, 0, 0, 1, 0]]
    assert "lines that are tables: 2" in said
    with pytest.raises(LogError, match="line 2: got lists of different lengths"):
        read(table, {**table, "Format": [1, 1]})
    with pytest.raises(LogError, match="line 2, row 1, column 'Accuracy': got \"good\""):
        read(table, {**table, "Accuracy": [1.0, "good", None]})


def test_areal_trajectory_dump():
    row = {"task_id": 7, "seqlen": 9, "prompt_len": 4, "head_version": 1, "tail_version": 2}
    text = {"prompt": "p", "completion": "c"}
    found, said = read(*({**row, "sample_idx": i, "reward": float(i), **text} for i in (0, 1)))
    assert labels(found, "prompt", "rollout") == [["p", "p"], [0, 1]]
    assert found.step.tolist() == [2, 2]
    assert "step = 'tail_version'" in said
    assert "not read: task_id, seqlen, prompt_len, head_version, completion" in said


def test_verifiers_results_do_not_take_the_right_answer_for_an_action():
    row = {"prompt": [{"role": "user", "content": "1+1"}], "completion": [], "answer": "2"}
    found, said = read(
        {"example_id": 0, **row, "reward": 1.0, "task": "add", "metrics": {"correct": 1.0}},
        {"example_id": 0, **row, "reward": 0.0, "task": "add", "metrics": {"correct": 0.0}},
    )
    assert found.action is None
    assert found.rewards.tolist() == [[1], [0]]
    assert labels(found, "rollout") == [[0, 1]]
    assert "--columns example_id=prompt selects another" in said


def test_verifiers_episodes():
    def episode(name, key, *worth):
        agents = ({"name": "proposer"}, {"name": "solver"}, {"name": "solver"})
        traces = [
            {"agent": agent, "rewards": {"own": reward}, "nodes": []}
            for agent, reward in zip(agents, worth, strict=True)
        ]
        return {"id": name, "task": {"key": key}, "traces": traces}

    found, said = read(
        episode("e1", "k", {"score": 2.0, "weight": 0.5}, {"value": 0.0, "weight": 9.0}, 3),
        episode("e2", "k", None, True, 0.25),
    )
    assert found.components == ("own",)
    np.testing.assert_array_equal(found.rewards[:, 0], [1, 0, 3, np.nan, 1, 0.25])
    assert labels(found, "prompt", "agent", "rollout") == [
        ["k"] * 6,
        ["proposer", "solver", "solver"] * 2,
        ["e1", "e1", "e1 (2)", "e2", "e2", "e2 (2)"],
    ]
    assert "rollout = 'id'" in said


def test_art_groups_are_groups_of_their_own():
    def group(*rewards):
        runs = [{"messages_and_choices": [], "reward": r, "metadata": {}} for r in rewards]
        return {"trajectories": runs, "metadata": {"task": "same"}}

    found, said = read(group(1.0, 0.0), group(0.5, float("nan"), True))
    np.testing.assert_array_equal(found.rewards[:, 0], [1, 0, 0.5, np.nan, 1])
    assert labels(found, "prompt", "rollout", "agent") == [
        [0, 0, 1, 1, 1], [0, 1, 0, 1, 2], ["agent"] * 5,
    ]  # fmt: skip
    assert "rollouts of one prompt: prompt = the number of the record" in said
    team = {"trajectories": [{"reward": 1, "metadata": {"agent": a}} for a in "abab"]}
    assert labels(read(team)[0], "agent", "rollout") == [list("abab"), [0, 0, 1, 1]]


def test_rllm_episodes():
    def episode(name, planner, worker):
        runs = [("planner", planner), ("worker", worker)]
        return {
            "training_step": 3, "episode_id": name, "task": {"question": "q"}, "task_hash": "ab12",
            "trajectories": [{"name": n, "reward": r, "steps": [{"reward": 9}]} for n, r in runs],
        }  # fmt: skip

    found, said = read(episode("t:0", 1.0, 0.0), episode("t:1", 0.0, None))
    np.testing.assert_array_equal(found.rewards[:, 0], [1, 0, 0, np.nan])
    assert labels(found, "prompt", "rollout", "agent") == [
        ["ab12"] * 4, ["t:0", "t:0", "t:1", "t:1"], ["planner", "worker"] * 2,
    ]  # fmt: skip
    assert found.step.tolist() == [3] * 4
    assert "agent = the trajectory's 'name'" in said
    bad = {**episode("t:2", 0, 0), "trajectories": [{"name": "planner", "reward": "good"}]}
    with pytest.raises(LogError, match="line 2, trajectory 0, column 'reward': got \"good\""):
        read(episode("t:0", 1.0, 0.0), bad)


# --- our own format: what is absent, and what may be written ------------------------------------

ROW = {"prompt": 1, "rollout": 0, "agent": "a", "reward": 1.5, "step": 0}


def without(name, **changes):
    return {key: value for key, value in {**ROW, **changes}.items() if key != name}


def test_our_own_log_is_read_without_a_word():
    found, said = read(ROW, {**ROW, "rollout": 1})
    assert said == ""
    assert len(found) == 2


def test_a_log_without_step_or_prompt_says_what_that_means():
    assert read(without("step"))[1] == ("no column 'step': all rows belong to one training update")
    found, said = read(without("prompt"), without("prompt", rollout=1))
    assert said == "no column 'prompt': all rows are one prompt"
    assert labels(found, "prompt") == [[0, 0]]
    found, said = read_text("step,rollout,agent,reward\n0,0,a,1\n0,1,a,0\n")
    assert labels(found, "prompt") == [[0, 0]]
    assert said == "no column 'prompt': all rows are one prompt"


def test_groups_without_a_prompt_are_each_a_prompt():
    group = {"agent": "a", "step": 0, "rewards": [1, 0]}
    found, said = read(group, group, {**group, "agent": "b"})
    assert labels(found, "prompt") == [[0, 0, 1, 1, 0, 0]]
    assert said == "no column 'prompt': each record is a prompt of its own"


def test_a_prompt_that_comes_back_in_the_group_format_is_counted():
    group = {"prompt_id": "p", "agent": "a", "step": 0, "rewards": [1, 0]}
    found, said = read(group, group, {**group, "rewards": [0, 0, 1]})
    assert labels(found, "prompt") == [["p"] * 2 + ["p (group 2)"] * 2 + ["p (group 3)"] * 3]
    assert "records with a prompt that came back for the same agent: 2" in said
    assert read(group, {**group, "step": 1})[1] == ""


def test_true_and_false_are_rewards():
    found, said = read(*({**ROW, "rollout": i, "reward": i > 0} for i in (0, 1)))
    assert found.rewards[:, 0].tolist() == [0, 1]
    assert said == ""
    rows = ({**without("reward"), "rollout": i, "rewards": {"ok": i > 0}} for i in (0, 1))
    assert read(*rows)[0].rewards[:, 0].tolist() == [0, 1]
    group = {"prompt_id": "p", "agent": "a", "step": 0, "rewards": [True, 0.5, False, None]}
    np.testing.assert_array_equal(read(group)[0].rewards[:, 0], [1, 0.5, 0, np.nan])
    text = "step,prompt,rollout,agent,reward\n0,0,0,a,True\n0,0,1,a,FALSE\n0,0,2,a,0.25\n"
    assert read_text(text)[0].rewards[:, 0].tolist() == [1, 0, 0.25]


def test_numbers_and_missing_values_as_text():
    words = ("0.5", " 2 ", "NaN", "None", "", "true")
    found, _ = read(*({**ROW, "rollout": i, "reward": w} for i, w in enumerate(words)))
    np.testing.assert_array_equal(found.rewards[:, 0], [0.5, 2, np.nan, np.nan, np.nan, 1])


def test_booleans_in_an_archive():
    stream = io.BytesIO()
    np.savez(stream, uid=[1, 1, 2], score=[True, False, True], step=[0, 0, 0], junk=[1, 2, 3])
    stream.seek(0)
    with pytest.warns(LogNotice) as met:
        found = read_decisions(stream)
    assert found.rewards[:, 0].tolist() == [1, 0, 1]
    assert labels(found, "prompt", "rollout", "agent") == [[1, 1, 2], [0, 1, 0], ["agent"] * 3]
    assert any("prompt = 'uid', reward = 'score'" in str(w.message) for w in met)
    assert found.notices[-1] == "columns that are not read: junk"


def test_uneven_groups_unicode_and_very_long_prompts():
    long = "x" * 200_000
    prompts = ["é中🎲", "é中🎲", long, long, long, "é中🎲"]
    found, _ = read(*({"prompt": p, "response": "r", "reward": 1, "step": 0} for p in prompts))
    assert labels(found, "prompt") == [prompts]
    assert labels(found, "rollout") == [[0, 1, 0, 1, 2, 2]]
    assert len({id(p) for p in found.labels["prompt"]}) == 2


def test_what_is_only_absent_or_not_read_is_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_decisions(io.BytesIO(json.dumps({**without("step"), "note": 1}).encode()))
    assert found.notices == (
        "no column 'step': all rows belong to one training update",
        "columns that are not read: note",
    )


# --- errors -------------------------------------------------------------------------------------


def test_errors_name_the_columns_that_were_there():
    with pytest.raises(LogError, match="line 1: got no column 'agent' among prompt, rollout, step"):
        read(without("agent", step=0))
    with pytest.raises(LogError, match="column 'reward' among prompt, rollout, agent, step, gain"):
        read({**without("reward"), "gain": 3})
    with pytest.raises(LogError, match="--columns NAME=reward reads a column of another name"):
        read({**without("reward"), "gain": 3})
    with pytest.raises(LogError, match="line 1: got no column 'reward' among prompt, gain"):
        read_text("prompt,gain\n1,2\n")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"gain": "reward"}, "got no column 'gain' among prompt, rollout"),
        ({"reward": "payoff"}, "got reward=payoff; wanted one of prompt, rollout"),
        ({"reward": "reward", "step": "reward"}, "got step=reward.*each meaning once"),
        ({"reward": "reward", "step": "rewards.x"}, "both reward and rewards.NAME"),
        ({"reward": "ignore"}, "line 1: got no column 'reward'"),
        ({"agent": "ignore", "rollout": "agent"}, None),
    ],
)
def test_a_mapping_of_ones_own(columns, words):
    if words is None:
        found, said = read(ROW, columns=columns)
        assert labels(found, "agent") == [[0]]
        assert "agent = 'rollout'" in said
        return
    with pytest.raises(LogError, match=words):
        read(ROW, columns=columns)


def test_names_that_no_parser_likes():
    row = {'a "name"': 2.0, "back\\slash": "p", "step": 0, "who": "a"}
    columns = {'a "name"': "reward", "back\\slash": "prompt", "who": "agent"}
    found, _ = read(row, row, columns=columns)
    assert found.rewards[:, 0].tolist() == [2, 2]
    assert labels(found, "prompt", "rollout") == [["p", "p"], [0, 1]]


numbers = st.floats(-5, 5) | st.none() | st.booleans()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("pq"), st.sampled_from("ab"), numbers), min_size=1))
def test_the_same_log_under_other_names_is_the_same(rows):
    """Renaming columns changes nothing: by known names, by --columns, as lines and as a table."""
    ours, theirs, mine = [], [], []
    for i, (prompt, agent, reward) in enumerate(rows):
        values = (0, prompt, i, agent, reward)
        ours.append(
            dict(zip(("step", "prompt", "rollout", "agent", "reward"), values, strict=True))
        )
        named = ("global_step", "uid", "request_id", "agent_name", "score")
        theirs.append(dict(zip(named, values, strict=True)))
        mine.append(dict(zip("vwxyz", values, strict=True)))
    if all(reward is None for _, _, reward in rows):
        return  # a column that is never a number is not taken for the reward
    mapping = dict(zip("vwxyz", ("step", "prompt", "rollout", "agent", "reward"), strict=True))
    first = read(*ours)[0]
    table = ",".join(theirs[0]) + "\n"
    table += "".join(
        ",".join("" if v is None else str(v) for v in r.values()) + "\n" for r in theirs
    )
    for other in (read(*theirs)[0], read(*mine, columns=mapping)[0], read_text(table)[0]):
        np.testing.assert_array_equal(first.rewards, other.rewards)
        assert first.step.tolist() == other.step.tolist()
        for name in first.labels:
            assert first.labels[name].tolist() == other.labels[name].tolist()


def test_a_line_of_many_keys_costs_bounded_memory():
    line = "{" + ",".join(f'"k{i}":1' for i in range(700_000)) + "}"
    tracemalloc.start()
    with pytest.raises(LogError, match="line 1: got no column 'agent'"):
        read(line)
    assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    tracemalloc.stop()
