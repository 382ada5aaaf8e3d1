"""`counterpoint claims`: settled, kept, listed, drawn; the same numbers twice and in parallel."""

import json
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from counterpoint.claims import CLAIMS, ClaimPlan, catalogue, kept_claim, settle
from counterpoint.cli import claims as command
from counterpoint.cli.main import main
from counterpoint.errors import UnknownNameError
from counterpoint.report import render
from counterpoint.results import document_of, encode, read_result
from counterpoint.results.claims import ClaimsResult

PUBLISHED = Path(__file__).parents[2] / "bench" / "data" / "claims.json"
FEW = ClaimPlan(5, 40)


def same(result):
    return [replace(one, seconds=0.0) for one in result.claims]


@pytest.mark.parametrize(
    "names", [["judging"], pytest.param(["judging", "hacking"], marks=pytest.mark.slow)]
)
def test_the_same_numbers_twice_and_on_two_workers(names):
    once = settle(names, FEW, workers=1)
    assert same(settle(names, FEW, workers=2)) == same(once)
    assert [one.seeds for one in once.claims] == [[40, 41, 42, 43, 44]] * len(names)


def test_what_is_settled_is_not_measured_again(tmp_path):
    first = settle(["judging"], FEW, folder=tmp_path)
    file = tmp_path / "judging" / "results.json"
    document = json.loads(file.read_text())
    (tmp_path / "judging" / "seal.json").unlink()  # as it is where an earlier version wrote it
    file.write_text(json.dumps({**document, "holds_when": "it was read."}))
    again = settle(["judging"], FEW, folder=tmp_path)
    assert again.claims[0].holds_when == "it was read."
    assert kept_claim("judging", FEW, tmp_path) == again.claims[0]
    assert kept_claim("judging", ClaimPlan(6, 40), tmp_path) is None  # other seeds
    file.write_text(json.dumps({**document, "version": "0.0.1"}))
    assert kept_claim("judging", FEW, tmp_path) is None
    file.write_text('{"schema": "counterpoint.')
    assert same(settle(["judging"], FEW, folder=tmp_path)) == same(first)


def test_each_claim_is_kept_as_soon_as_it_is_settled(tmp_path, monkeypatch):
    def fails(name, plan, progress):
        raise KeyboardInterrupt

    good = catalogue.settled
    monkeypatch.setattr(
        catalogue,
        "settled",
        lambda claim, *more: (good if claim.name == "judging" else fails)(claim, *more),
    )
    with pytest.raises(KeyboardInterrupt):
        settle(["judging", "hacking"], FEW, workers=1, folder=tmp_path)
    assert kept_claim("judging", FEW, tmp_path) is not None
    assert kept_claim("hacking", FEW, tmp_path) is None
    file = tmp_path / "judging" / "results.json"
    written = file.read_bytes()
    file.write_bytes(
        written.replace(b"conditional", b"reproduced")
    )  # seen, though all has not ended
    assert kept_claim("judging", FEW, tmp_path) is None
    file.write_bytes(written)
    kept = kept_claim("judging", FEW, tmp_path)
    hacking = replace(kept, name="hacking")
    monkeypatch.setattr(catalogue, "settled", lambda *_: hacking)  # judging is not measured again
    again = settle(["judging", "hacking"], FEW, workers=1, folder=tmp_path)
    assert again.claims == [kept, hacking]


def test_an_interrupted_list_names_what_is_kept_and_how_to_go_on(tmp_path, monkeypatch, capsys):
    def interrupted(*names, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "settle", interrupted)
    out = tmp_path / "my claims"
    assert main(["claims", "--all", "--seeds", "7", "--out", str(out)]) == 130
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"go on with: counterpoint claims --all --seeds 7 --out '{out}'")


def test_a_claim_that_was_edited_is_measured_again(tmp_path, capsys):
    out = tmp_path / "judging"
    assert main(["claims", "judging", "--seeds", "5", "--out", str(out)]) == 0
    assert kept_claim("judging", ClaimPlan(5), tmp_path) is not None
    file = out / "results.json"
    file.write_text(file.read_text().replace("conditional", "reproduced"))
    assert kept_claim("judging", ClaimPlan(5), tmp_path) is None


@pytest.mark.fault("R9")
@pytest.mark.parametrize("content", ["null", "[]", "3", "[" * 1_000_000, "\ud800", "pipe"])
def test_what_is_no_claim_is_not_settled_yet(content, tmp_path, capsys):
    file = tmp_path / "credit" / "results.json"
    file.parent.mkdir()
    if content == "pipe":
        os.mkfifo(file)
    else:
        file.write_text(content, errors="surrogatepass")
    assert main(["claims", "--out", str(tmp_path), "--json"]) == 0
    rows = {row["name"]: row["verdict"] for row in json.loads(capsys.readouterr().out)}
    assert set(rows.values()) == {None}


def test_the_command_writes_a_page_and_lists_verdicts(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = "my claims/judging"
    assert main(["claims", "judging", "--seeds", "5", "--out", out, "--workers", "1"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("The claim “judging” holds here under a condition.")
    assert "tosses a coin" in printed
    assert "counterpoint claims judging" in Path(out, "results.json").read_text()
    assert main(["claims", "--out", "my claims", "--json"]) == 0
    rows = {row["name"]: row["verdict"] for row in json.loads(capsys.readouterr().out)}
    assert rows["judging"] == "conditional"
    assert rows["credit"] is None
    assert list(rows) == list(CLAIMS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nonsense"], "got claim 'nonsense'"),
        (["credit", "--all"], "got claim 'credit' and --all"),
        (["credit", "--seeds", "3"], "wanted a number from 5 to 10000"),
        (["credit", "--seeds", "1000000000"], "wanted a number from 5 to 10000"),
        (["credit", "--first=-1"], "wanted a number from 0 to"),
        (["--seeds", "12"], "got options and no claim"),
        (["--large", "--json"], "got options and no claim"),
    ],
)
def test_slips_are_one_line(words, said, capsys):
    assert main(["claims", *words]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("plan", "options"),
    [
        (ClaimPlan.of(None, 0, False), ""),
        (ClaimPlan.of(None, 10, True), " --large --first 10"),
        (ClaimPlan.of(10, 0, True), " --large --seeds 10"),
        (ClaimPlan.of(30, 0, False), " --seeds 30"),
    ],
)
def test_the_command_of_a_result_makes_it_again(plan, options):
    assert plan.options == options
    assert len(plan.seeds) == plan.count == (10 if plan.count == 10 else 30)


def test_an_unknown_claim_is_named_before_anything_is_measured():
    with pytest.raises(UnknownNameError, match="nonsense"):
        settle(["judging", "nonsense"], FEW)


def test_published_claims_are_read_and_drawn():
    document = json.loads(PUBLISHED.read_text("utf-8"))
    result = read_result(document)
    assert isinstance(result, ClaimsResult)
    assert [one.name for one in result.claims] == list(CLAIMS)
    assert all(one.effect.n >= 10 and one.control.n >= 10 for one in result.claims)
    assert json.loads(encode(result)) == document_of(result)
    page = render(result)
    for one in result.claims:
        assert f'id="claim-of-{one.name}"' in page
        assert f"{one.name}: a claim about teams" in render(one)
