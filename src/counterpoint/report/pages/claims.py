"""The page of one claim, and the overview of several: what was measured, and whether it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from markupsafe import Markup

from counterpoint.report.toolkit.charts import Dot, interval_panel
from counterpoint.report.toolkit.frame import Definition, Fact, Headline, Page
from counterpoint.report.toolkit.numerals import counted, fixed, significant
from counterpoint.report.toolkit.tables import (
    Cell,
    Column,
    Figure,
    Table,
    TableRow,
    ends_cell,
    text_columns,
)
from counterpoint.results.claims import (
    Boundary,
    ClaimResult,
    ClaimsResult,
    Detection,
    Measure,
    Outcome,
)

WORDS = {
    "reproduced": "holds here, at every setting that was tried.",
    "conditional": "holds here under a condition.",
    "not reproduced": "does not hold here.",
    "cannot tell": "is undecided.",
}
"""What a verdict says of a claim."""


GROUPS = (
    ("Reproduced", ("reproduced",), "at every setting that was tried"),
    ("Conditional", ("conditional",), "they turn false at some setting"),
    ("Others", ("not reproduced", "cannot tell"), "no effect, or undecided"),
)
"""Title, verdicts and meaning of the counts beside the overview."""


def claim_page(claim: ClaimResult) -> Page:
    """Returns the page of one claim."""
    return Page(
        template="claim.html",
        title=f"{claim.name}: a claim about teams",
        kind="Claim",
        subject=claim.name,
        details=[counted(len(claim.seeds), "seed"), f"{claim.seconds:.0f} CPU-seconds"],
        verdict=Headline(claim_headline(claim), claim.why, _facts(claim)),
        definitions=DEFINITIONS,
        settings=[("seeds", f"{claim.seeds[0]} to {claim.seeds[-1]}")],
        picture="figure",
        contents={
            "figure": Figure(
                key="measures",
                caption="Interquartile means over seeds with 95% intervals.",
                header=("measure", "value", "low", "high"),
                rows=[(one.what, one.value, one.low, one.high) for one in _measures(claim)],
                panels=[picture_of(claim)],
            ),
            "claim": _story(claim),
            "measures": measure_table(claim),
            "outcomes": outcome_table(claim.outcomes, claim.outcome_is) if claim.outcomes else None,
            "beside": outcome_table(claim.beside, claim.beside_is, "beside")
            if claim.beside
            else None,
        },
    )


def claims_page(claims: ClaimsResult) -> Page:
    """Returns the overview of claims."""
    seeds, counts = {tuple(one.seeds) for one in claims.claims}, _counts(claims)
    return Page(
        template="claims.html",
        title="Claims about teams of agents",
        kind="Claims",
        subject="teams of agents",
        details=[counted(len(claims.claims), "claim"), f"{claims.seconds:.0f} CPU-seconds"],
        verdict=Headline(
            claims_headline(claims),
            "Each claim is measured in the smallest world in which its failure grows from "
            "learning, beside a control in which nothing should happen.",
            tuple(Fact(title, str(sum(counts[name] for name in names)), below)
                  for title, names, below in GROUPS),
        ),
        definitions=DEFINITIONS,
        settings=[("seeds", ", ".join(f"{one[0]} to {one[-1]}" for one in sorted(seeds)))],
        picture="",
        contents={
            "overview": overview_table(claims),
            "cards": [card(one) for one in claims.claims],
        },
    )  # fmt: skip


def claim_headline(claim: ClaimResult) -> str:
    """Returns `The claim of credit holds here under a condition.`"""
    return f"The claim “{claim.name}” {WORDS[claim.verdict]}"


def claims_headline(claims: ClaimsResult) -> str:
    """Returns how many of the claims hold, in a sentence."""
    counts = _counts(claims)
    parts = [f"{counts[name]} {one if counts[name] == 1 else several}"
             for name, one, several in (
        ("conditional", "holds under a condition", "hold under a condition"),
        ("reproduced", "at every setting", "at every setting"),
        ("not reproduced", "does not hold", "do not hold"),
        ("cannot tell", "is undecided", "are undecided"),
    ) if counts.get(name)]  # fmt: skip
    return f"Of {counted(len(claims.claims), 'claim')} in small worlds, {', '.join(parts)}."


def _counts(claims: ClaimsResult) -> Counter[str]:
    return Counter(one.verdict for one in claims.claims)


def _facts(claim: ClaimResult) -> tuple[Fact, ...]:
    return (
        _fact("Effect", claim.effect),
        _fact("Control", claim.control),
        Fact("Border", *border_words(claim.boundary)),
    )


def _fact(title: str, one: Measure) -> Fact:
    below = f"95% interval [{_of(one.low, one)}, {_of(one.high, one)}]"
    return Fact(title, _of(one.value, one), below, f"{one.what}.")


def border_words(border: Boundary) -> tuple[str, str]:
    """Returns where a claim turns false, and what that is."""
    tried = f"tried from {significant(border.least)} to {significant(border.most)}"
    if border.value is None:
        return "none", f"{border.setting} {tried}: it holds {border.holds}"
    value = significant(border.value)
    ends = f"[{significant(border.low)}, {significant(border.high)}]"
    return value, f"{ends}: it holds with {border.setting} {border.holds} that ({tried})"


def audit_sentence(detection: Detection | None) -> str:
    """Returns how often an audit sees the failure that grew, and blames teams without it; or that
    no audit can."""
    if detection is None:
        return "none: the claim is about a choice before there is a log"
    finding = f" ({detection.finding})" if detection.finding else ""
    return (
        f"{detection.audit}{finding} finds it in {detection.found} of {detection.failed} teams in "
        f"which it grew, and blames {detection.blamed} of {detection.healthy} in which it did not"
    )


def _measures(claim: ClaimResult) -> tuple[Measure, ...]:
    return claim.effect, claim.control


def picture_of(claim: ClaimResult) -> Markup:
    """Returns a panel of effect and control."""
    dots = [
        Dot(name, one.value, one.low, one.high, style, fixed(one.value, 2), strong, 0.0)
        for name, one, style, strong in (("effect", claim.effect, "s0", True),
                                         ("control", claim.control, "s1", False))
    ]  # fmt: skip
    return interval_panel(f"claim-{claim.name}", claim.name, "effect", dots)


def _story(claim: ClaimResult) -> tuple[tuple[str, str], ...]:
    """Returns heads and texts."""
    return (
        ("The claim", claim.claim),
        ("Its source", claim.source),
        ("Against it", claim.against),
        ("How it is measured", claim.story),
        ("It holds when", claim.holds_when),
        ("It fails when", claim.fails_when),
        ("What helps", claim.remedy_is),
        ("The audit", f"{audit_sentence(claim.detection)}."),
    )


def measure_table(claim: ClaimResult) -> Table:
    """Returns one row for each measure."""
    columns = (*text_columns("Part", "What it is"), Column("Value", ("value", "low", "high")),
               Column("Seeds", ("n",)))  # fmt: skip
    rows = [
        TableRow((Cell(part), Cell(one.what), ends_cell(one.value, one.low, one.high),
                  Cell(str(one.n), (one.n,))))
        for part, one in (("effect", claim.effect), ("control", claim.control),
                          ("remedy", claim.remedy), ("price", claim.price))
    ]  # fmt: skip
    return Table("measured", "Interquartile means with 95% intervals.", columns, rows)


def outcome_table(outcomes: Sequence[Outcome], unit: str, name: str = "ways") -> Table:
    """Returns one row for each way of learning."""
    columns = (*text_columns("Way"), Column("Outcome", ("value", "low", "high")),
               Column("Seeds", ("n",)))  # fmt: skip
    rows = [
        TableRow((Cell(one.way), ends_cell(one.value, one.low, one.high),
                  Cell(str(one.n), (one.n,))))
        for one in outcomes
    ]  # fmt: skip
    return Table(name, f"{unit[:1].upper()}{unit[1:]}.", columns, rows)


def overview_table(claims: ClaimsResult) -> Table:
    """Returns one row for each claim."""
    columns = (
        *text_columns("Claim", "Verdict", "It holds when"),
        Column("Effect", ("effect", "low", "high")),
        Column("Control", ("control", "control_low", "control_high")),
    )
    rows = [
        TableRow((
            Cell(one.name, link=f"claim-of-{one.name}"),
            Cell(one.verdict),
            Cell(one.holds_when),
            ends_cell(one.effect.value, one.effect.low, one.effect.high),
            ends_cell(one.control.value, one.control.low, one.control.high),
        ))
        for one in claims.claims
    ]  # fmt: skip
    return Table("claims", "Interquartile means over seeds with 95% intervals.", columns, rows)


def card(claim: ClaimResult) -> tuple[str, ...]:
    """Returns name, verdict, claim and picture of one claim, then heads and texts by turns."""
    value, where = border_words(claim.boundary)
    counts = f" (it counts above {significant(claim.least)})" if claim.least else ""
    lines = (
        ("World", claim.story),
        ("Effect", f"{stated(claim.effect)} {claim.effect.what}{counts}"),
        ("Control", f"{stated(claim.control)} {claim.control.what}"),
        ("Holds when", claim.holds_when),
        ("Fails when", claim.fails_when),
        ("Border", f"{value} {where}" if claim.boundary.value is not None else where),
        _helps(claim),
        ("Price", _price(claim)),
        ("Audit", audit_sentence(claim.detection)),
        ("Against the claim", claim.against),
        ("Source", claim.source),
        ("Command", f"{claim.command} ({claim.seconds:.0f} CPU-seconds)"),
    )
    return (claim.name, claim.verdict, claim.claim, picture_of(claim),
            *(text for line in lines for text in line))  # fmt: skip


def stated(one: Measure) -> str:
    """Returns `0.25 [0.20, 0.31]`, all three with as many decimals as the largest needs."""
    return f"{_of(one.value, one)} [{_of(one.low, one)}, {_of(one.high, one)}]"


def _of(value: float, one: Measure) -> str:
    largest = max(abs(end) for end in (one.value, one.low, one.high))
    return fixed(value, 3 if largest < 1 else 2 if largest < 10 else 1)


def _helps(claim: ClaimResult) -> tuple[str, str]:
    """Returns head and text of the remedy: one whose interval holds 0 is not shown to help."""
    is_shown = claim.remedy.low > 0
    head = "What helps" if is_shown else "May help"
    doubt = "" if is_shown else " (not shown: the interval holds 0)"
    return head, f"{claim.remedy_is} {stated(claim.remedy)} {claim.remedy.what}{doubt}"


def _price(claim: ClaimResult) -> str:
    none = "none was found: " if claim.price.low <= 0 else ""
    return f"{none}{stated(claim.price)} {claim.price.what}"


DEFINITIONS = (
    Definition("effect", "Effect",
        "What the claim says that happens, as a number; it is above 0 if it does.", own=True),
    Definition("control", "Control",
        "The same number in a world in which the claim predicts no effect: it should not be above "
        "the least effect that counts.", own=True),
    Definition("price", "Price",
        "What else changes with the remedy, or what it cannot mend.", own=True),
    Definition("border", "Border",
        "The setting at which the claim turns false, found by bisection.", own=True),
    Definition("verdict", "Verdict",
        "Reproduced: the whole interval of the effect is above the least that counts, that of the "
        "control reaches below it, and no setting that was tried turns the claim false. "
        "Conditional: the same, but one does. Not reproduced: no effect. Cannot tell: the interval "
        "holds both, or the control shows an effect too.", own=True),
    Definition("prompt", "Prompt",
        "What members are told to say: facts, opinions, or what they think is best.", own=True),
)  # fmt: skip
