"""The comparisons of neural teams behind docs/discussion/training-results.md.

    python bench/policies.py --out counterpoint-out/bench/policies [--only NAME]

Each is a `counterpoint compare` with its document and page; `table` writes them as Markdown.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

from counterpoint.comparison import Plan, compare
from counterpoint.report import write_report
from counterpoint.results import encode
from counterpoint.results.comparison import ComparisonResult, PairedDifference
from counterpoint.results.parts import SeedMean

FOUR = ("mappo_pooled", "mappo_per_agent", "group_reward_decoupled", "none")
FIVE = (*FOUR, "counterfactual")
STAKES = {"stakes": "agent_0:100"}
SEPARATE = {"parameters": "separate"}

PLANS = {
    "stakes, separate networks": Plan("spread", FIVE, 8, {**STAKES, **SEPARATE}, budget=150_000),
    "equal stakes, separate networks (control)": Plan("spread", FIVE, 8, SEPARATE, budget=150_000),
    "equal stakes, more seeds": Plan("spread", FOUR[:2], 64, SEPARATE, budget=150_000),
    "stakes, one network": Plan("spread", FIVE, 8, STAKES, budget=150_000),
    "speaker and listener": Plan("mpe2:simple_speaker_listener_v4", FOUR, 5, budget=60_000),
    "foraging, common reward": Plan(
        "lbforaging:Foraging-8x8-2p-3f-v3", FOUR, 5, {"reward": "common"}, budget=200_000
    ),
}
AS_PUBLISHED = {"gamma": 0.95, "observations": "raw"}
"""Settings whose defaults were others when the tables were made."""


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("counterpoint-out/bench/policies"))
    parser.add_argument("--only", choices=tuple(PLANS), default=None)
    options = parser.parse_args()
    for name in [options.only] if options.only else PLANS:
        folder, start = options.out / name.replace(" ", "-").replace(",", ""), time.monotonic()
        plan = replace(PLANS[name], settings={**AS_PUBLISHED, **PLANS[name].settings})
        result = compare(plan, folder=folder)
        write_report(result, folder)
        (folder / "results.json").write_bytes(encode(result) + b"\n")
        print(f"### {name}\n\n{table(result)}\n{time.monotonic() - start:.0f} s\n", flush=True)


def table(result: ComparisonResult) -> str:
    """Returns returns, scores, differences and causes as Markdown, and the verdict."""
    lines = [
        "| scheme | return | normalized | difference | causes (expected early) | credit |",
        "|---" * 6 + "|",
    ]
    for name, scheme in result.schemes.items():
        difference = result.differences.get(name)
        causes = ", ".join(
            f"{agent}: {one.cause} ({one.expected})"
            for agent, one in scheme.agents.items()
            if one.cause or one.expected
        )
        cells = (
            name,
            shown(scheme.returns, ".2f"),
            shown(scheme.normalized, ".3f"),
            shown(difference, "+.2f"),
            causes,
            shown(scheme.credit_correlation, ".2f"),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", result.verdict.why, ""])


def shown(mean: SeedMean | PairedDifference | None, form: str) -> str:
    """Returns a value with its interval."""
    if mean is None:
        return ""
    ends = "" if mean.low is None else f" [{mean.low:{form}}, {mean.high:{form}}]"
    return f"{mean.iqm:{form}}{ends}"


if __name__ == "__main__":
    main()
