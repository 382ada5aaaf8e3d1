"""What the messages of a trained team carry, in a sentence and in a table."""

from __future__ import annotations

from counterpoint.report.toolkit.charts import curves_figure, last
from counterpoint.report.toolkit.frame import Fact
from counterpoint.report.toolkit.numerals import ABSENT, fixed, interval, significant
from counterpoint.report.toolkit.tables import Cell, Column, Figure, Table, TableRow, text_columns
from counterpoint.results.training import Messages, TrainingResult
from counterpoint.runs.status import learns_values

BITS: dict[str, str] = {"said_bits": "seen and said", "heard_bits": "heard and done"}
"""Curves of a training that its loop measures every few updates, and their names."""


def messages_sentence(messages: Messages) -> str:
    """Returns whether the team talks, and the number that says so."""
    verdict, value = messages.verdict, messages.worth
    if value is None:
        return "Cannot tell whether this team talks: no two episodes could exchange messages."
    ends = interval(messages.worth_low, messages.worth_high, 2)
    if verdict.startswith("talks"):
        return (
            f"This team {verdict}: its messages are worth {fixed(value, 2)} {ends} of its return."
        )
    if verdict == "is misled":
        return f"Messages mislead this team: they are worth {fixed(value, 2)} {ends} of its return."
    return (
        f"This team does not talk yet: its messages are worth {fixed(value, 2)} {ends} of its "
        "return, indistinguishable from 0."
    )


def messages_fact(messages: Messages) -> Fact:
    """Returns the verdict beside the worth of the messages."""
    ends = interval(messages.worth_low, messages.worth_high, 2)
    return Fact("Messages", messages.verdict, f"worth {fixed(messages.worth, 2)} {ends}".strip())


def silent_sentence(run: TrainingResult) -> str:
    """Returns what a team gets that does not talk; an empty text if that is not known."""
    known = run.references
    if known.silent is None or known.random is None or known.reference is None:
        return ""
    score = (known.silent - known.random) / (known.reference - known.random)
    level = f"{fixed(known.silent, 2)} (normalized {fixed(score, 2)})"
    return f"A good team that does not talk gets {level}."


def talking(run: TrainingResult) -> str:
    """Returns all of that in sentences; an empty text where nobody speaks, or before the end."""
    if run.messages is None:
        return ""
    parts = (messages_sentence(run.messages), silent_sentence(run), messages_advice(run))
    return " ".join(part for part in parts if part)


def messages_advice(run: TrainingResult) -> str:
    """Returns the setting that may make a team talk; an empty text where it talks, or has it."""
    policy = run.config.get("policy")
    if run.messages is None or run.messages.verdict not in ("does not talk yet", "talks a little"):
        return ""
    if learns_values(run.config) or not isinstance(policy, dict) or policy.get("signalling"):
        return ""
    return "Set signalling=0.3, which rewards speakers for words that tell what they see."


def messages_rows(run: TrainingResult) -> list[tuple[str, str]]:
    """Returns the same numbers as lines of a terminal table: title and text."""
    rows, silent, messages = [], run.references.silent, run.messages
    if silent is not None:
        rows.append(("return of a good team without talk", fixed(silent, 3)))
    if messages is None:
        return rows
    rows.append(("messages", f"{messages_sentence(messages)} {messages_advice(run)}".strip()))
    for one in messages.said:
        bits = f"{fixed(one.bits, 2)} bits of {fixed(one.most, 2)}"
        rows.append((f"seen and said by {one.agent}", f"{bits} (by chance {fixed(one.chance, 2)})"))
    for pair in messages.heard:
        bits = f"{fixed(pair.bits, 2)} bits of {fixed(pair.most, 2)}"
        rows.append((f"heard and done by {pair.agent}", f"{bits}, from {pair.speaker}"))
    return rows


def messages_table(messages: Messages) -> Table:
    """Returns a row for each speaker, and for each listener of it."""
    columns = (
        *text_columns("Measure", "Speaker", "Listener"),
        Column("Bits"),
        Column("By chance"),
        Column("At most"),
    )
    rows = [
        TableRow((
            Cell("seen and said"),
            Cell(one.agent),
            Cell(ABSENT, (None,)),
            Cell(fixed(one.bits, 2), (one.bits,)),
            Cell(fixed(one.chance, 2), (one.chance,)),
            Cell(fixed(one.most, 2), (one.most,)),
        ))
        for one in messages.said
    ] + [
        TableRow((
            Cell("heard and done"),
            Cell(one.speaker),
            Cell(one.agent),
            Cell(ABSENT if one.bits is None else fixed(one.bits, 2), (one.bits,)),
            Cell(fixed(0.0, 0), (0.0,)),
            Cell(fixed(one.most, 2), (one.most,)),
        ))
        for one in messages.heard
    ]  # fmt: skip
    caption = (
        "Mutual information. Seen and said: of a speaker's words and what it sees; chance is the "
        "95th percentile if the words of whole episodes are permuted. Heard and done: of a "
        "message and the listener's action, all else that it sees held fixed; a listener that "
        "ignores messages has 0."
    )
    return Table("messages", caption, columns, rows)


def talk_figure(run: TrainingResult) -> Figure | None:
    """Returns the picture of what is said and heard while the team learns; None where nobody
    speaks."""
    steps, curves = run.curve["step"], {n: run.curve[n] for n in BITS if n in run.curve}
    at = [i for i in range(len(steps)) if any(values[i] is not None for values in curves.values())]
    if not at:
        return None
    measured = [steps[i] for i in at]
    lines = {BITS[name]: [values[i] for i in at] for name, values in curves.items()}
    return curves_figure(
        "talk",
        title="What messages carry over steps",
        description=" ".join(f"{n} ends at {significant(last(v))}." for n, v in lines.items()),
        y_title="mutual information (bits)",
        caption="Means over speakers, and over listeners, in one of a few batches. What chance "
        "gives is subtracted from what is seen and said.",
        steps=measured,
        curves=lines,
    )
