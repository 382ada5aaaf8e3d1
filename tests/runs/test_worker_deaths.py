"""Workers that die (R19): results are those of a run without faults, and nobody is left over."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from working_tasks import DiesFirst, Refuses, RefusesUnportably, Returns, Walks

from counterpoint.errors import WorkerError
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.executor import run_tasks
from counterpoint.runs.task import ending

WALKS = [Walks(seed) for seed in range(6)]


@pytest.mark.fault("R19", cases=2)
def test_a_killed_worker_is_replaced_and_its_task_run_again(tmp_path):
    straight = run_tasks(WALKS, executor="serial")
    tasks = [DiesFirst(walk, tmp_path) if walk.seed in (1, 4) else walk for walk in WALKS]
    seen, told = [], {}
    results = run_tasks(
        tasks,
        workers=2,
        on_progress=seen.append,
        on_message=lambda index, message: told.setdefault(index, []).append(message["step"]),
    )
    assert results == straight
    assert len(list(tmp_path.iterdir())) == 2
    assert seen == sorted(seen)
    assert seen[-1] == 6 * 40
    assert told[0] == [10, 20, 30, 40]
    assert told[1][-4:] == [10, 20, 30, 40]
    assert multiprocessing.active_children() == []


@pytest.mark.fault("R19")
@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("how", "told"), [(signal.SIGKILL, "signal SIGKILL"), (0, "exit status 3")]
)
def test_a_task_whose_workers_die_again_and_again_is_named(tmp_path, how, told):
    tasks = [Walks(0), DiesFirst(Walks(1), tmp_path, times=9, how=how)]
    with pytest.raises(WorkerError, match=f"task 1 lost its worker 4 times.*{told}") as error:
        run_tasks(tasks, workers=2)
    assert "\n" not in str(error.value)
    assert len(list(tmp_path.iterdir())) == 4
    assert multiprocessing.active_children() == []


def test_errors_that_look_like_the_end_of_a_pipe_are_errors_of_the_task():
    for error in (EOFError("mine"), ConnectionResetError("mine"), BrokenPipeError("mine")):
        with pytest.raises(type(error), match="mine"):
            run_tasks([Walks(0), Refuses(error)], workers=2)


def test_what_cannot_be_sent_is_an_error_and_not_a_death():
    with pytest.raises(WorkerError, match="Unportable: one and two"):
        run_tasks([Walks(0), RefusesUnportably()], workers=2)
    with pytest.raises((AttributeError, TypeError, WorkerError), match=r"(?i)pickle|local"):
        run_tasks([Walks(0), Returns()], workers=2)
    with pytest.raises((AttributeError, TypeError), match=r"(?i)pickle|local"):
        run_tasks([Walks(0), lambda advance: None], workers=2)
    assert multiprocessing.active_children() == []


def test_an_error_says_where_in_the_worker_it_was_raised():
    with pytest.raises(ValueError) as error:
        run_tasks([Walks(0), Refuses(ValueError("mine"))], workers=2)
    assert "working_tasks.py" in error.value.__notes__[0]


def kills(tasks, workers, count, seed):
    """The results of tasks while a random worker is killed now and then."""
    rng, over, killed = random.Random(seed), threading.Event(), []

    def kill():
        while len(killed) < count and not over.wait(rng.uniform(0.02, 0.4)):
            workers = [child.pid for child in multiprocessing.active_children()]
            if workers:
                killed.append(rng.choice(workers))
                os.kill(killed[-1], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        return run_tasks(tasks, workers=workers), len(killed)
    finally:
        over.set()
        killer.join()


@pytest.mark.fault("R19", cases=3)
def test_under_a_kill_loop_the_results_are_the_same():
    tasks = [Walks(seed, pause=0.005) for seed in range(8)]
    results, killed = kills(tasks, 2, 3, seed=1)  # 3 kills can hit one task, and it still ends
    assert killed == 3
    assert results == run_tasks([*WALKS, Walks(6), Walks(7)], executor="serial")


@pytest.mark.fault("R19", cases=50)
@pytest.mark.slow
def test_under_many_kill_loops_the_results_are_the_same():
    tasks = [Walks(seed, pause=0.005) for seed in range(8)]
    straight = run_tasks([Walks(seed) for seed in range(8)], executor="serial")
    done = [kills(tasks, 2, 3, seed) for seed in range(20)]
    assert all(results == straight for results, _ in done)
    assert sum(killed for _, killed in done) >= 50


def start(folder, body):
    """A main process of its own, which can import the tasks."""
    script = folder / "program.py"
    script.write_text(f"""
import signal, sys
from pathlib import Path
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.executor import run_tasks
from working_tasks import *
if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    folder = Path({str(folder)!r})
    {body}
""")
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    return subprocess.Popen([sys.executable, script], env={**os.environ, "PYTHONPATH": paths})


@pytest.mark.fault("R19")
def test_workers_end_when_the_main_process_is_killed(tmp_path):
    with start(tmp_path, "run_tasks([Marks(folder)] * 2, workers=2)") as main:
        workers = wait_for(lambda: [p.name for p in tmp_path.glob("[0-9]*")], 2)
        main.kill()
    assert wait_for(lambda: [w for w in workers if not Path(f"/proc/{w}").exists()], 2) == workers


@pytest.mark.timed
@pytest.mark.fault("R20")
def test_tasks_that_are_told_to_stop_have_time_for_a_checkpoint(tmp_path):
    body = "run_tasks([TrainsUntilAsked(folder / name) for name in 'ab'], workers=2)"
    with start(tmp_path, body) as main:
        series = [tmp_path / name / "metrics.jsonl" for name in "ab"]
        wait_for(lambda: [str(file) for file in series if file.exists()], 2)
        time.sleep(0.2)
        asked = time.monotonic()
        main.terminate()
        main.wait(timeout=20)
    assert time.monotonic() - asked < 5
    assert main.returncode == 143
    for file in series:
        with RunDirectory.open(file.parent) as run:
            assert run.resumed.step == len(file.read_text().splitlines()) > 1


def wait_for(found, count, seconds=20):
    deadline = time.monotonic() + seconds
    while len(found()) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return sorted(found())


def test_how_a_process_ended_in_words():
    assert ending(-9) == "signal SIGKILL"
    assert ending(-250) == "signal 250"
    assert ending(3) == "exit status 3"
