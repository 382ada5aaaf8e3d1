"""TRL's own trainer with reward functions that answer None: its advantages beside ours.

TRL documents two uses of None: a function that is asked about a task that is not its own, and a
judge that cannot answer. Each training has 60 steps of a tiny Qwen2, and every step compares the
advantages of TRL with those of a scheme that has TRL's epsilon and degrees of freedom.

    python bench/peers/trl_missing.py [--steps 60]

Runs in an environment that has TRL (`python bench/peer_environments.py peers-language`); prints a
table in Markdown.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import transformers
import trl
from datasets import Dataset
from small_qwen2 import messages, moved, small_model, small_tokenizer
from trl import GRPOConfig, GRPOTrainer

from counterpoint.credit import catalogue
from counterpoint.integrations.trl import with_credit

GENERATIONS, ROWS = 4, 8
EPSILON, DDOF = 1e-4, 1
"""What TRL adds to the deviation, and its degrees of freedom (`grpo_trainer.py`, `nanstd`)."""
DOWN = range(25, 35)
"""Steps in which the judge cannot answer."""


def count_of(letters: str) -> Callable[[str], float]:
    """Returns how many of some letters a text has, in sixteenths: exact in TRL's float32."""
    return lambda text: sum(c in letters for c in text) / 16


def texts(completions: Sequence[Any]) -> list[str]:
    return [one[0]["content"] for one in completions]


def math_reward(completions: Sequence[Any], kind: Sequence[str], **_: Any) -> list[float | None]:
    """Answers for mathematics only."""
    worth = count_of("abcdefghijklm")
    return [worth(text) if k == "math" else None
            for text, k in zip(texts(completions), kind, strict=True)]  # fmt: skip


def code_reward(completions: Sequence[Any], kind: Sequence[str], **_: Any) -> list[float | None]:
    """Answers for code only, on another scale."""
    worth = count_of("nopqrstuvwxyz")
    return [5 * worth(text) + 2 if k == "code" else None
            for text, k in zip(texts(completions), kind, strict=True)]  # fmt: skip


def length_reward(completions: Sequence[Any], **_: Any) -> list[float | None]:
    """Always answers."""
    return [len(text) / 16 for text in texts(completions)]


def judge_reward(completions: Sequence[Any], trainer_state: Any, **_: Any) -> list[float | None]:
    """Returns the reward of a judge that is down in the steps `DOWN`."""
    if trainer_state.global_step in DOWN:
        return [None] * len(completions)
    return [count_of("aeiou")(text) for text in texts(completions)]


CASES = {
    "two tasks": [math_reward, code_reward],
    "one of two is down": [length_reward, judge_reward],
    "the only one is down": [judge_reward],
}
"""Name of a training to its reward functions."""


@dataclass
class Measured:
    """One training."""

    case: str
    scheme: str
    steps: int
    """Steps that were trained."""
    difference: float
    """Largest difference of an advantage from TRL's own, over all rows of all steps."""
    largest: float
    """Largest advantage."""
    moved: float
    """Largest change of a parameter."""
    left_out: int
    """Rows without any reward, over all steps."""
    missing: int
    """Rows that lack a component, over all steps."""
    sentences: list[str]
    """What was warned of: the word before the first colon."""


class Noting(GRPOTrainer):
    """Keeps the advantages that TRL itself computed."""

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        out = super()._generate_and_score_completions(inputs)
        self.own_advantages = out["advantages"].clone()
        return out


def rows_of(scheme: str) -> list[dict[str, Any]]:
    """Returns rows of the dataset. Under `agent_wise` two agents share a task; TRL's group is a
    row.
    """
    rows = []
    for i in range(16):
        row = {"prompt": messages(i), "kind": ("math", "code")[i // 2 % 2], "agent": "ab"[i % 2]}
        rows.append(row | ({"task": i // 2} if scheme == "agent_wise" else {}))
    return rows


def measured(case: str, scheme: str, steps: int) -> Measured:
    """Trains once; raises whatever the training raises."""
    warned: list[str] = []
    matched = replace(catalogue()[scheme], epsilon=EPSILON, ddof=DDOF)
    base = with_credit(Noting, matched, warn=warned.append)
    differences, sizes = [], []

    class Comparing(base):  # type: ignore[misc,valid-type]
        def _generate_and_score_completions(self, inputs: Any) -> Any:
            out = super()._generate_and_score_completions(inputs)
            differences.append(float((out["advantages"] - self.own_advantages).abs().max()))
            sizes.append(float(out["advantages"].abs().max()))
            return out

    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Comparing(
            model=small_model(), reward_funcs=CASES[case], processing_class=small_tokenizer(),
            train_dataset=Dataset.from_list(rows_of(scheme)),
            args=GRPOConfig(
                output_dir=folder, per_device_train_batch_size=ROWS, num_generations=GENERATIONS,
                max_completion_length=16, max_steps=steps, learning_rate=1e-3, use_cpu=True,
                bf16=False, gradient_checkpointing=False, report_to="none", disable_tqdm=True,
                shuffle_dataset=False, save_strategy="no", logging_steps=10_000, seed=1,
            ),
        )  # fmt: skip
        trainer.remove_callback(transformers.PrinterCallback)
        trained = [x for x in trainer.model.parameters() if x.requires_grad]
        before = [x.detach().clone() for x in trained]
        trainer.train()
    total = trainer.team_credit.total
    return Measured(
        case, scheme, int(trainer.state.global_step), max(differences), max(sizes),
        moved(before, trained), total.left_out, total.missing,
        [line.partition(":")[0] for line in warned],
    )  # fmt: skip


def all_measured(steps: int) -> list[Measured]:
    """Measures every case under both schemes."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    for name in ("trl", "transformers"):  # TRL prints every row without a reward
        logging.getLogger(name).setLevel(logging.ERROR)
    return [measured(case, scheme, steps)
            for case in CASES for scheme in ("grpo_rows", "agent_wise")]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=60)
    results = all_measured(parser.parse_args().steps)
    print(f"TRL {trl.__version__}, transformers {transformers.__version__}\n")
    print("| " + " | ".join(asdict(results[0])) + " |")
    print("|" + "---|" * len(asdict(results[0])))
    for one in results:
        cells = [
            f"{x:.2g}" if isinstance(x, float) else ", ".join(x) if isinstance(x, list) else str(x)
            for x in asdict(one).values()
        ]
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    sys.exit(main())
