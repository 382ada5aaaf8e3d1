"""`compare`, `train`, `resume`, `report` and `runs` for teams of language models."""

import json
import shlex
from dataclasses import fields

import pytest

from unsealed import forget_seal

pytest.importorskip("transformers")

from counterpoint.cli import compare as compare_command
from counterpoint.cli.compare import Compare
from counterpoint.cli.main import main
from counterpoint.cli.progress import TrainingDisplay, pace
from counterpoint.report.pages.comparison.page import command
from counterpoint.runs.metrics import read_rows
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.train.series import row_from_line

SMALL = ["prompts=4", "rollouts=4", "layers=1", "targets=attention"]
SCHEMES = "mappo_pooled,mappo_per_agent"


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    """An index and models of its own; nothing of this machine's."""
    monkeypatch.setenv("COUNTERPOINT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COUNTERPOINT_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("COLUMNS", "200")


def compare(*words, schemes=SCHEMES):
    given = ["compare", "lewis", "--policy", "tiny", "--schemes", schemes, "--seeds", "2"]
    return main([*given, "--budget", "12", "--workers", "1", "--set", *SMALL, *words])


def train(*words, world="lewis"):
    return main(["train", world, "--budget", "12", "--set", *SMALL, *words])


def test_compare_speaks_of_updates_and_its_json_is_json_alone(capsys):
    assert compare("--set", "speaker_offset=5", "--set", "speaker_scale=10", "--json") == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert (told["kind"], told["axis"], told["world"]) == ("text", "update", "lewis")
    assert told["config"]["policy"] == "tiny"
    assert told["config"]["settings"]["speaker_offset"] == 5.0
    assert told["config"]["settings"]["speaker_scale"] == 10.0
    assert told["config"]["budget"] == 12
    assert list(told["schemes"]) == SCHEMES.split(",")
    assert told["verdict"]["decoupling"] == "matters"
    for scheme in told["schemes"].values():
        assert scheme["curves"]["update"] == list(range(1, 13))
    assert "comparing on lewis: 100% of all updates" in err
    assert "step" not in err


def test_the_table_and_the_page_have_what_a_text_world_has(tmp_path, capsys):
    assert compare("--out", str(tmp_path / "out")) == 0
    told = capsys.readouterr().out
    assert "random words" in told
    assert "Score" in told
    assert "Worst" not in told
    assert "not what agents are paid" in " ".join(told.split())
    page = (tmp_path / "out" / "report.html").read_text()
    assert "over updates" in page
    assert "steps played" not in page
    assert "Worst agent" not in page
    assert "--policy tiny" in page


def test_the_same_command_again_goes_on_and_trains_nothing_twice(tmp_path, capsys):
    out = ["--json", "--out", str(tmp_path / "out")]
    assert compare(*out) == 0
    first = capsys.readouterr().out
    runs = sorted(path.name for path in (tmp_path / "out" / "runs").iterdir())
    assert runs == [f"{scheme}-{seed}" for scheme in sorted(SCHEMES.split(",")) for seed in (0, 1)]
    assert compare(*out) == 0
    told = capsys.readouterr()
    assert told.out == first
    assert "of all updates" not in told.err
    assert compare(*out, "lr=0.1") == 2
    assert "another plan" in capsys.readouterr().err


def test_a_config_file_may_name_the_model_and_flags_override_it(tmp_path, monkeypatch):
    file = tmp_path / "plan.toml"
    file.write_text(
        'world = "lewis"\nschemes = ["grpo"]\nseeds = 1\nbudget = 3\npolicy = "tiny"\n'
        "[set]\nspeaker_scale = 10\nentropy = 0.1\n"
    )
    plans = []
    with monkeypatch.context() as patch:
        patch.setattr(Compare, "run", lambda self: plans.append(self.plan()) or 0)
        assert main(["compare", "--config", str(file)]) == 0
        assert main(["compare", "--config", str(file), "--budget", "5", "entropy=.5"]) == 0
    assert [(plan.model, plan.budget) for plan in plans] == [("tiny", 3), ("tiny", 5)]
    assert plans[1].settings == {"speaker_scale": 10, "entropy": ".5"}
    file.write_text('world = "lewis"\npolicy = 3\n')
    assert main(["compare", "--config", str(file)]) == 2


def test_the_command_on_the_page_asks_for_the_same_comparison(monkeypatch, capsys):
    assert compare("--json", "lr_of=speaker:.01", "entropy=.5") == 0
    config = json.loads(capsys.readouterr().out)["config"]
    assert config["settings"]["entropy"] == 0.5
    words = shlex.split(command(config).replace("\\\n", ""))
    told = []
    monkeypatch.setattr(Compare, "run", lambda self: told.append(self.plan()) or 0)
    assert main(words[1:]) == 0
    again = compare_command.backend_of(told[0])
    assert (again.settings, again.model, again.budget) == (
        config["settings"],
        config["policy"],
        config["budget"],
    )
    assert (list(told[0].schemes), told[0].seeds) == (config["schemes"], config["seeds"])


def test_help_names_what_agents_can_be_told(capsys):
    for words in (["compare", "--help"], ["train", "--help"]):
        assert main(words) == 0
        told = capsys.readouterr().out
        assert all(spec.name in told for spec in fields(LanguageSettings))


def test_worlds_of_words_are_listed_and_shown(capsys):
    assert main(["worlds"]) == 0
    told = capsys.readouterr().out
    assert "Text environments" in told
    assert "planner, answerer" in told
    assert "free text; success: share of the words passed on" in told
    assert main(["worlds", "--json"]) == 0
    known = json.loads(capsys.readouterr().out)
    assert {"schelling", "lewis", "solver_verifier", "relay", "spread", "regions"} <= set(known)
    lewis = known["lewis"]
    assert lewis["agents"] == ["speaker", "listener"]
    assert lewis["components"] == ["reward"]
    assert (lewis["random"], lewis["reference"]) == (0.25, 1.0)
    assert lewis["settings"]["objects"]["default"] == 4
    assert lewis["language"]["rank"]["default"] == 8
    for name in ("schelling", "lewis", "solver_verifier", "relay", "extract", "debate", "revise"):
        assert 0 <= known[name]["random"] < known[name]["reference"]
        for which in ("settings", "language"):
            assert all(facts["about"] for facts in known[name][which].values())
    assert main(["worlds", "relay"]) == 0
    told = capsys.readouterr().out
    assert "Price of each word of the answer" in told
    assert "Rank of an adapter's changes" in told
    assert main(["worlds", "relai"]) == 2
    assert "did you mean relay?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compare", "lewsi"], "did you mean lewis"),
        (["train", "lewsi"], "did you mean lewis"),
        (["compare", "lewis", "--schemes", "grpu"], "grpo"),
        (["train", "lewis", "--scheme", "grpu"], "grpo"),
        (["compare", "lewis", "speaker_offst=5"], "did you mean speaker_offset"),
        (["train", "lewis", "rnak=5"], "did you mean rank"),
        (["compare", "lewis", "rank=0"], "rank=0"),
        (["train", "lewis", "entropy=much"], "entropy='much'"),
        (["train", "lewis", "objects=9"], "objects=9"),
        (["train", "lewis", "lr_of=nobody:.1"], "wanted one of listener, speaker"),
        (["train", "lewis", "targets=some"], "attention"),
        (["train", "lewis", "--budget", "0"], "budget=0"),
        (["compare", "lewis", "--budget", "0"], "budget=0"),
        (["train", "lewis", "--seconds", "0"], "seconds=0"),
        (["train", "lewis", "--seed", "-1"], "seed=-1"),
        (["compare", "lewis", "--policy", "smollm2"], "do counterpoint model fetch smollm2"),
        (["train", "lewis", "--policy", "smollm2"], "do counterpoint model fetch smollm2"),
        (["compare", "lewis", "--policy", "./nowhere"], "a folder with config.json"),
        (["train", "lewis", "--policy", "./nowhere"], "a folder with config.json"),
        (["compare", "regions", "--policy", "tiny"], "whose agents do not speak"),
        (["compare", "spread", "--policy", "tiny"], "whose agents do not speak"),
        (["train", "spread", "--policy", "tiny"], "whose agents do not speak"),
        (["compare", "lewis", "--schemes", "grpo,counterfactual"], "which cannot answer it"),
        (["train", "lewis", "--scheme", "counterfactual"], "which cannot answer it"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(words, said, tmp_path, monkeypatch, capsys):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert main([*words, "--out", "out"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    assert said in told.err
    assert list(here.iterdir()) == []


def test_a_folder_that_is_no_model_is_one_line_and_train_leaves_nothing(tmp_path, capsys):
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    assert train("--policy", str(model), "--out", str(tmp_path / "out")) == 2
    told = capsys.readouterr()
    assert len(told.err.splitlines()) == 1
    assert "could not load the model" in told.err
    assert not (tmp_path / "out").exists()


@pytest.fixture
def trained(tmp_path, capsys):
    """A finished run, and what its training said."""
    out = tmp_path / "run"
    assert train("--out", str(out)) == 0
    return out, capsys.readouterr()


def test_train_speaks_of_updates(trained):
    out, told = trained
    assert "update 12 of 12" in told.err
    assert "updates/s" in told.err
    assert "step" not in told.err
    assert "step" not in told.out
    assert "12 in " in next(line for line in told.out.splitlines() if line.startswith("updates"))
    assert sorted(path.name for path in (out / "adapters").iterdir()) == ["listener", "speaker"]
    assert [row["step"] for row in read_rows(out / "episodes.jsonl")[0]] == list(range(1, 13))


def test_its_summary_as_json(tmp_path, capsys):
    assert train("--json", "entropy=.5", "--out", str(tmp_path / "run")) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["status"], told["axis"], told["updates"], told["step"]) == (
        *("finished", "update", 12, 12),
    )
    assert list(told["agents"]) == ["listener", "speaker"]
    assert 0 <= told["return"] <= 1
    config = json.loads((tmp_path / "run" / "run.json").read_text())["config"]
    assert config["language"]["entropy"] == 0.5
    assert config["model"] == "tiny"


def test_free_text_is_trained_too(tmp_path, capsys):
    out = str(tmp_path / "run")
    assert train("--out", out, "most_tokens=3", world="relay") == 0
    assert main(["report", out]) == 0
    assert "agents write freely" in (tmp_path / "run" / "report.html").read_text()
    capsys.readouterr()


def test_a_finished_run_is_left_as_it_is(trained, capsys):
    out, _ = trained
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file() and p.name != "lock"}
    assert main(["resume", str(out)]) == 0
    assert "is finished, at update 12" in capsys.readouterr().err
    assert all(path.read_bytes() == content for path, content in before.items())
    assert train("--out", str(out)) == 2
    assert f"counterpoint resume {out}" in capsys.readouterr().err


@pytest.mark.usefixtures("trained")
def test_runs_lists_it_in_updates(capsys):
    assert main(["runs", "--world", "lewis"]) == 0
    assert "12 of 12 updates" in capsys.readouterr().out
    assert main(["runs", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["axis"], told["step"], told["budget"]) == ("update", 12, 12)


def test_its_page_shows_what_was_said_and_the_words_at_the_end(trained, capsys):
    out, _ = trained
    assert main(["report", str(out), "--json"]) == 0
    page = (out / "report.html").read_text()
    for text in ("Messages", "speaker to listener: ", "Words at the last update",
                 "You hear ", "after 12 updates", "Gradient of speaker"):  # fmt: skip
        assert text in page
    capsys.readouterr()


PLANTED = "<script>alert(1)</script>\x1b[2J[/b]"


def test_what_agents_wrote_stays_text_on_the_page(trained, capsys):
    out, _ = trained
    forget_seal(out)
    file = out / "episodes.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for episode in lines[-1]["episodes"]:
        episode["task"] = [PLANTED]
        for event in episode["events"]:
            event["text"] = PLANTED
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["report", str(out)]) == 0
    page = (out / "report.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "\x1b" not in page
    capsys.readouterr()


@pytest.mark.parametrize(
    "content",
    ["", "no json\n", '{"step": 1}\n', '{"step": 1, "episodes": [3, {"task": "x"}]}\n',
     '{"step": 1, "episodes": [{"task": [], "count": 1, "success": 1, "events": []}]}\n'],
)  # fmt: skip
def test_a_damaged_record_of_episodes_costs_its_tables_and_nothing_else(content, trained, capsys):
    out, _ = trained
    forget_seal(out)
    (out / "episodes.jsonl").write_text(content)
    assert main(["report", str(out)]) == 0
    assert "There is no table of words" in (out / "report.html").read_text()
    capsys.readouterr()


def test_settings_of_another_type_cost_the_world_alone(trained, capsys):
    out, _ = trained
    forget_seal(out)
    document = json.loads((out / "run.json").read_bytes())
    document["config"]["world_settings"] = 0.5
    (out / "run.json").write_text(json.dumps(document))
    assert main(["report", str(out)]) == 0
    capsys.readouterr()


def test_how_fast_it_goes():
    assert pace(0.0, "update") == ""
    assert pace(0.4, "update") == "2.5 s an update"
    assert pace(0.5, "step") == "2.0 s a step"
    assert pace(1200.0, "step") == "1,200 steps/s"
    assert pace(1.3, "update") == "1 update/s"
    shown = TrainingDisplay("pooled on lewis", 60, "update")
    shown.add(row_from_line({"step": 36, "return": 0.5, "normalized": None}))
    assert shown.parts(shown.row)[0] == "update 36 of 60"
