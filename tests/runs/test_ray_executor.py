"""Ray gives the results of the serial executor, also while its workers and nodes die (R19, R25)."""

import multiprocessing
import os
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest
from working_tasks import DiesFirst, Refuses, Walks

from counterpoint.errors import MissingPackageError, SettingError, WorkerError
from counterpoint.runs.executor import run_tasks

WALKS = [Walks(seed) for seed in range(6)]


def test_without_ray_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackageError, match=r"pip install .*\[ray\]"):
        run_tasks(WALKS, executor="ray")


pytestmark = pytest.mark.filterwarnings("default")  # of Ray's own making


@pytest.fixture(scope="module")
def ray():
    if find_spec("ray") is None:
        pytest.skip("ray is not installed")
    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    patch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    )
    import ray

    yield ray
    patch.undo()


@pytest.fixture
def cluster(ray):
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.fault("R19", "R25")
@pytest.mark.slow
def test_a_cluster_gives_the_results_of_one_process(cluster, tmp_path):
    straight = run_tasks(WALKS, executor="serial")
    seen, told = [], {}
    results = run_tasks(
        [DiesFirst(walk, tmp_path) if walk.seed in (1, 4) else walk for walk in WALKS],
        executor="ray",
        on_progress=seen.append,
        on_message=lambda index, message: told.setdefault(index, []).append(message["step"]),
    )
    assert results == straight
    assert len(list(tmp_path.iterdir())) == 2
    assert seen == sorted(seen)
    assert seen[-1] == 6 * 40
    assert sorted(told) == list(range(6))
    assert all(steps[-4:] == [10, 20, 30, 40] for steps in told.values())


@pytest.mark.fault("R19")
@pytest.mark.slow
def test_errors_and_deaths_on_a_cluster_are_those_of_processes(cluster, tmp_path):
    with pytest.raises(SettingError, match="mine"):
        run_tasks([Walks(0), Refuses(SettingError("mine"))], executor="ray")
    with pytest.raises(WorkerError, match=r"task 1 lost its worker 4 times.*Ray's WorkerCrashed"):
        run_tasks([Walks(0), DiesFirst(Walks(1), tmp_path, times=9)], executor="ray")
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.fault("R43")
@pytest.mark.slow
def test_a_node_that_is_lost_takes_no_result_with_it(cluster):
    straight = run_tasks(WALKS, executor="serial")
    node = cluster.add_node(num_cpus=2)
    lost = threading.Event()

    def lose(units):
        if units > 40 and not lost.is_set():
            lost.set()
            cluster.remove_node(node, allow_graceful=False)

    tasks = [Walks(seed, pause=0.02) for seed in range(6)]
    assert run_tasks(tasks, executor="ray", on_progress=lose) == straight
    assert lost.is_set()


@pytest.mark.fault("R25")
@pytest.mark.slow
def test_a_cluster_of_this_machine_is_started_and_ended(ray):
    assert run_tasks(WALKS, workers=2, executor="ray") == run_tasks(WALKS, executor="serial")
    assert not ray.is_initialized()
    assert multiprocessing.active_children() == []
