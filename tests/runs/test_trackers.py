"""Experiment trackers with their real packages: what they keep is read back from their stores."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import pytest

from counterpoint.runs.exporters import EXPORTERS
from counterpoint.runs.exporters.tracker import PROJECT, plain, summary_of
from counterpoint.runs.exporters.wandb import stored
from counterpoint.runs.metrics import read_rows
from counterpoint.testing import check_exporter
from counterpoint.testing.exporters import RUN_FILES

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
TRACKERS = ("wandb", "mlflow", "trackio")


@pytest.fixture(scope="module", autouse=True)
def stores(tmp_path_factory):
    """Every library keeps its store here, and reads no file of the home folder."""
    folder = tmp_path_factory.mktemp("stores")
    patch = pytest.MonkeyPatch()
    for name in ("WANDB_DIR", "TRACKIO_DIR", "HOME"):
        patch.setenv(name, str(folder))
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
    for name in ("WANDB_MODE", "WANDB_PROJECT", "MLFLOW_EXPERIMENT_NAME", "TRACKIO_SPACE_ID"):
        patch.delenv(name, raising=False)
    yield folder
    patch.undo()


def record_of(run, name):
    return json.loads((run / name / "tracker.json").read_text())


def wandb_files(run, folder):
    key = record_of(run, "wandb")["key"]
    return sorted(folder.glob(f"wandb/offline-run-*-{key}/run-{key}.wandb"))


def items(entries):
    """Returns name to value of the entries of a record of wandb."""
    return {one.key or "/".join(one.nested_key): json.loads(one.value_json) for one in entries}


def wandb_rows(run):
    files = wandb_files(run, Path(os.environ["WANDB_DIR"]))
    rows = [record.history for file in files for record in stored(file)]
    return [
        (row.step.num, {n: x for n, x in items(row.item).items() if not n.startswith("_")})
        for row in rows
        if row.item
    ]


def mlflow_client():
    from mlflow.tracking import MlflowClient

    return MlflowClient(os.environ["MLFLOW_TRACKING_URI"])


def mlflow_rows(run):
    client, number = mlflow_client(), record_of(run, "mlflow")["tracked"]
    rows = {}
    for name in client.get_run(number).data.metrics:
        for point in client.get_metric_history(number, name):
            rows.setdefault(point.step, []).append((name, point.value))
    assert all(len(dict(row)) == len(row) for row in rows.values()), "a number is there twice"
    return [
        (step, {name: x for name, x in row if name != "step"}) for step, row in sorted(rows.items())
    ]


def trackio_run(run):
    import trackio

    (mine,) = (one for one in trackio.Api().runs(PROJECT)
               if one.id == record_of(run, "trackio")["tracked"])  # fmt: skip
    return mine


def trackio_rows(run):
    from trackio.sqlite_storage import SQLiteStorage

    mine = trackio_run(run)
    logs = SQLiteStorage.get_logs(PROJECT, mine.name, run_id=mine.id)
    kept = ("step", "timestamp")
    return [(log["step"], {n: x for n, x in log.items() if n not in kept}) for log in logs]


READERS = {"wandb": wandb_rows, "mlflow": mlflow_rows, "trackio": trackio_rows}


@pytest.mark.parametrize("name", TRACKERS)
def test_a_tracker_keeps_the_promises_of_an_exporter(name, tmp_path):
    pytest.importorskip(name)
    check_exporter(EXPORTERS[name], tmp_path, READERS[name], appends=True)


@pytest.mark.parametrize("name", TRACKERS)
def test_settings_and_summary_are_there(name, tmp_path, stores):
    pytest.importorskip(name)
    for file, content in RUN_FILES.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(content)
    ended = {"status": "finished", "step": 8, "return": 0.75, "normalized": 0.5}
    (tmp_path / "status.json").write_text(json.dumps(ended))
    verdict = {"ann": {"collapsed": True, "cause": "DROWNED"}, "bob": {"collapsed": False}}
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 8, "agents": verdict}) + "\n")
    EXPORTERS[name](tmp_path).close()
    settings = {"world": "spread", "scheme": "none", "seed": 0, "policy/lr": 0.5}
    summary = {
        "status": "finished", "step": 8, "return": 0.75, "normalized": 0.5,
        "verdict/ann": "collapsed: DROWNED", "verdict/bob": "not collapsed",
    }  # fmt: skip
    assert summary_of(tmp_path) == summary
    if name == "mlflow":
        run = mlflow_client().get_run(record_of(tmp_path, name)["tracked"])
        assert run.data.params == {key: str(value) for key, value in settings.items()}
        tags = {k.removeprefix("final/"): v for k, v in run.data.tags.items() if "final/" in k}
        assert tags == {key: str(value) for key, value in summary.items()}
        assert run.info.status == "FINISHED"
    elif name == "trackio":
        run = trackio_run(tmp_path)
        assert {k: v for k, v in run.config.items() if not k.startswith("_")} == settings
        (alert,) = run.alerts()
        assert alert["title"] == "Training finished"
        lines = dict(line.split(": ", 1) for line in alert["text"].splitlines())
        assert lines == {key: str(value) for key, value in summary.items()}
    else:
        (file,) = wandb_files(tmp_path, stores)
        kept = list(stored(file))
        config = [items(r.run.config.update) for r in kept if r.WhichOneof("record_type") == "run"]
        assert {k: v for k, v in config[0].items() if k != "_wandb"} == settings
        last = [items(r.summary.update) for r in kept if r.WhichOneof("record_type") == "summary"]
        final = {k: v for one in last for k, v in one.items() if k.startswith("final/")}
        assert final == {f"final/{key}": value for key, value in summary.items()}


TRAINED = """
import os, signal, sys
from pathlib import Path
from counterpoint.train.session import begin_run, plan_of
names, run, kill = sys.argv[1].split(","), Path(sys.argv[2]), int(sys.argv[3])
plan = plan_of("spread", budget=96, given={"copies": 4, "steps": 4, "hidden": 8})
def on_row(row):
    if row.update == kill:
        os.kill(os.getpid(), signal.SIGKILL)
begin_run(plan, run, on_row, export=names)
"""


def fresh():
    """Returns the environment of a process that does not share the service of wandb with others."""
    return {name: x for name, x in os.environ.items() if name != "WANDB_SERVICE"}


def test_a_killed_and_resumed_training_is_one_run_with_each_step_once(tmp_path):
    names = [name for name in TRACKERS if find_spec(name)]
    if not names:
        pytest.skip("no tracker is installed")
    pytest.importorskip("torch")
    run = tmp_path / "run"
    command = [sys.executable, "-c", TRAINED, ",".join(names), str(run), "4"]
    killed = subprocess.run(command, capture_output=True, check=False, env=fresh())
    assert killed.returncode == -9
    keys = [record_of(run, name)["key"] for name in names]
    resumed = subprocess.run(
        [sys.executable, "-m", "counterpoint", "resume", str(run), "--json"],
        capture_output=True, text=True, check=True, env=fresh(),
    )  # fmt: skip
    assert "--export" not in resumed.stderr
    assert json.loads(resumed.stdout)["status"] == "finished", "standard output is JSON alone"
    assert [record_of(run, name)["key"] for name in names] == keys
    series = read_rows(run / "metrics.jsonl")[0]
    for name in names:
        assert [step for step, _ in READERS[name](run)] == [row["step"] for row in series]


def test_no_library_calls_a_server_of_its_own(tmp_path):
    """A look-up of a name is seen by the kernel, whatever process of a library makes it."""
    strace, names = which("strace"), [name for name in TRACKERS if find_spec(name)]
    if not (strace and names):
        pytest.skip("strace, or every tracker, is not installed")
    calls, run = tmp_path / "calls.txt", tmp_path / "run"
    for file, content in RUN_FILES.items():
        (run / file).parent.mkdir(parents=True, exist_ok=True)
        (run / file).write_bytes(content)
    program = (
        "import sys; from pathlib import Path; from counterpoint.runs.exporters import exporter\n"
        "for name in sys.argv[2:]:\n"
        "    one = exporter(name, Path(sys.argv[1])); one.log({'step': 1, 'x': 1.0}); one.close()\n"
    )
    command = [strace, "-f", "-qq", "-e", "trace=connect", "-o", str(calls), sys.executable, "-c"]
    words = [*command, program, str(run), *names]
    subprocess.run(words, capture_output=True, check=True, env=fresh())
    lines = calls.read_text().splitlines()
    assert [line for line in lines if "AF_INET" in line] == []


def test_nested_settings_are_one_mapping():
    nested = {"a": 1, "policy": {"lr": 0.5, "memory": None, "sizes": [1, 2]}, "b": True}
    assert plain(nested) == {"a": 1, "policy/lr": 0.5, "policy/sizes": "[1, 2]", "b": True}
