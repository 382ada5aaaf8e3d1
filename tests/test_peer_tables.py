"""What the scripts of peers note of their runs: ends of trainings, and what ran of adapters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench_modules import bench_module

trainers, integrations = bench_module("trainers"), bench_module("integrations")


def training(scheme: str, seed: int, teller: float, hook: float = 0.0) -> dict:
    """Eight updates, the last two of which are the end; a step takes 0.1 s."""
    shares = [{"teller": 0.0, "writer": 0.5}] * 6
    shares += [{"teller": teller - 0.1, "writer": 1.0}, {"teller": teller + 0.1, "writer": 1.0}]
    return {"trainer": "TRL", "packages": {"trl": "1.0"}, "date": f"2026-12-0{seed + 1}",
            "scheme": scheme, "seed": seed, "shares": shares, "seconds": 0.7, "updates": 8,
            "hook_seconds": hook, "diagnosis_seconds": [0.02]}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed in (0, 1):
        tellers = {"pooled": 0.2, "per agent": 0.8 + 0.1 * seed, "adaptive": 0.7, "own": 0.5}
        for scheme, teller in tellers.items():
            hook = 0.0 if scheme == "own" else 0.007
            file = trainers.cell(tmp_path / "trl", scheme, seed)
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps(training(scheme, seed, teller, hook)))
    (tmp_path / "trl" / "resume.json").write_text('{"restored": true}')
    return tmp_path


def test_the_summary_of_a_trainer(folder: Path) -> None:
    one = trainers.summary(["trl", "comlrl"], folder)["trainers"]["trl"]
    assert one["ends"]["per agent"]["teller"]["value"] == pytest.approx(0.85)  # of .8 and .9
    assert one["ends"]["adaptive"]["teller"]["value"] == pytest.approx(0.7)
    assert one["ends"]["own"]["writer"]["value"] == pytest.approx(1.0)
    assert one["gained"]["value"] == pytest.approx(0.65)  # of .6 and .7
    assert one["gained"]["low"] <= 0.65 <= one["gained"]["high"]
    assert one["overhead"] == pytest.approx(0.01)  # .007 of .7 s, in hooked trainings only
    assert one["milliseconds"] == pytest.approx(100)  # 7 steps between 8 ends
    assert one["diagnosis_milliseconds"] == pytest.approx(20)
    assert (one["seeds"], one["date"], one["restored"]) == ([0, 1], "2026-12-02", True)


def test_only_seeds_of_every_scheme_count_and_two_are_needed(folder: Path) -> None:
    assert list(trainers.summary(["trl", "comlrl"], folder)["trainers"]) == ["trl"]
    spare = trainers.cell(folder / "trl", "own", 2)
    spare.write_text(json.dumps(training("own", 2, 0.5)))
    assert trainers.summary(["trl"], folder)["trainers"]["trl"]["seeds"] == [0, 1]
    trainers.cell(folder / "trl", "own", 1).unlink()
    assert trainers.summary(["trl"], folder)["trainers"] == {}


def test_the_table_has_both_agents_of_each_trainer(folder: Path) -> None:
    lines = trainers.table(trainers.summary(["trl"], folder)).splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("| TRL, teller | 0.200 [0.200, 0.200] | 0.850 ")
    assert lines[3].startswith("| TRL, writer | 1.000 ")


def test_published_rows_of_trainers_without_cells_are_kept_and_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = trainers.summary(["trl"], folder)
    kept = {"title": "CoMLRL", "date": "2026-01-01"}
    before = {"trainers": {"comlrl": kept, "trl": {"title": "TRL", "date": "2026-01-01"}}}
    both = trainers.with_published(new, before)["trainers"]
    assert list(both) == ["trl", "comlrl"]
    assert both["trl"] == new["trainers"]["trl"]
    assert both["comlrl"] == kept
    told = capsys.readouterr().err
    assert "CoMLRL has no cells here: its row of 2026-01-01 is kept" in told
    assert "TRL has" not in told


BEFORE = {"packages": {"trl": "0.9"}, "date": "2026-01-01"}
ADAPTER = integrations.Adapter(
    "TRL", "`a line`", ("trl",), "no-such-environment", ("a test",), "trl"
)


@pytest.mark.parametrize(
    ("result", "kept"), [(True, {"packages": {}}), (None, BEFORE), (False, {})]
)
def test_a_row_says_what_ran_last(result: bool | None, kept: dict) -> None:
    row = integrations.noted(ADAPTER, BEFORE, result)
    dates = {} if result is not True else {"date": row["date"]}
    assert row == {"title": "TRL", "line": "`a line`", "trained": "trl", **kept, **dates}
    assert row.get("date") != "2026-01-01" or result is None


def test_a_row_of_an_interface_has_no_date() -> None:
    adapter = integrations.Adapter("slime", "`a path`", interface="published interface")
    row = integrations.noted(adapter, BEFORE, None)
    assert row == {"title": "slime", "line": "`a path`", "interface": "published interface"}


def test_every_row_of_the_index_is_tested_or_says_that_it_is_not() -> None:
    peers = bench_module("peer_environments").ENVIRONMENTS
    for adapter in integrations.ADAPTERS.values():
        assert bool(adapter.interface) != bool(adapter.tests and adapter.environment in peers)
        assert not adapter.trained or adapter.trained in trainers.TRAINERS
        for test in adapter.tests:
            file, _, name = test.partition("::")
            text = (integrations.PROJECT / file).read_text("utf-8")
            assert not name or f"def {name.partition('[')[0]}(" in text
