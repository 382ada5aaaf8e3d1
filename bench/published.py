"""Published tables of teams, computed again: what follows from their counts, and what does not.

python bench/published.py --out counterpoint-out/bench/published.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from common import write_json
from counterpoint.stats import wilson_interval

WHY_NOT = """
AUC over difficulty is not computable from these counts: they are not given by difficulty. An
interval of a retention is not, either: it takes pairs of outcomes."""
DATA = Path(__file__).parent / "data"


def synergy() -> list[dict[str, Any]]:
    """Returns what a team loses, against the best answer of each task and against its best fixed
    member.
    """
    table = json.loads((DATA / "synergy_table.json").read_text("utf-8"))
    print(f"{table['source']}\n")
    print(
        "| benchmark | team | below the oracle | as quoted | below the best member | expert known |"
    )
    print("|---|---|---|---|---|---|")
    out = []
    for row in table["rows"]:
        numbers = {
            "benchmark": row["benchmark"],
            "oracle": (row["oracle"] - row["team"]) / row["oracle"],
            "best": (row["best_member"] - row["team"]) / row["best_member"],
            "expert": (row["team_expert_revealed"] - row["best_member"]) / row["best_member"],
            "quoted": row["quoted_gap"],
        }
        out.append(numbers)
        gaps = [numbers["oracle"], numbers["quoted"], numbers["best"]]
        cells = " | ".join(f"{gap:.1%}" for gap in gaps)
        print(f"| {numbers['benchmark']} | {row['team']} | {cells} | {numbers['expert']:+.1%} |")
    return out


def retention() -> list[dict[str, Any]]:
    """Returns success alone and as a team, from counts; the area over difficulty needs more of
    them.
    """
    table = json.loads((DATA / "cooperbench_table.json").read_text("utf-8"))
    tasks = 652
    print(f"\n{table['source']}\n")
    print("| model | solo | coop | coop / solo | AUC retention, quoted | from its own AUCs |")
    print("|---|---|---|---|---|---|")
    out = []
    for row in table["solo_vs_coop"]:
        n = tasks * (5 if row["model"] == "pooled" else 1)
        solo, coop = wilson_interval(row["solo"], n), wilson_interval(row["coop"], n)
        numbers = {
            "model": row["model"],
            "solo": [solo.value, solo.low, solo.high],
            "coop": [coop.value, coop.low, coop.high],
            "counts": row["coop"] / row["solo"],
            "auc": row["auc_coop"] / row["auc_solo"],
            "quoted": row["retention"],
        }
        out.append(numbers)
        print(f"| {row['model']} | {solo.value:.3f} [{solo.low:.3f}, {solo.high:.3f}] | "
              f"{coop.value:.3f} [{coop.low:.3f}, {coop.high:.3f}] | {numbers['counts']:.2f} | "
              f"{numbers['quoted']:.2f} | {numbers['auc']:.2f} |")  # fmt: skip
    print(WHY_NOT)
    print("\n| agents | success on 46 tasks |\n|---|---|")
    for agents, rate in table["success_by_agents_46_tasks"].items():
        interval = wilson_interval(rate * 46, 46)
        print(f"| {agents} | {rate:.3f} [{interval.low:.3f}, {interval.high:.3f}] |")
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("counterpoint-out/bench/published.json"))
    options = parser.parse_args()
    document = {"synergy": synergy(), "retention": retention()}
    write_json(options.out, document)


if __name__ == "__main__":
    main()
