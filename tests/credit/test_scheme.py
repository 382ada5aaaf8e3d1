"""What a scheme refuses, and what its twins are."""

from dataclasses import FrozenInstanceError, replace

import pytest
from points import ONE

from counterpoint.credit import Scheme, catalogue
from counterpoint.errors import CounterpointError, LabelError, SchemeError


def test_scale_by_is_center_by_unless_said():
    assert Scheme(center_by=("agent",)).scale_by == ("agent",)
    assert Scheme(center_by=("agent",), scale_by=()).scale_by == ()


def test_the_order_of_labels_does_not_matter():
    assert Scheme(center_by=("agent", "prompt")) == Scheme(center_by=("prompt", "agent"))


def test_a_scheme_is_frozen_and_hashable():
    with pytest.raises(FrozenInstanceError):
        Scheme().center = "none"
    assert len({Scheme(), Scheme(), Scheme(scale="none")}) == 2


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"center": "median"}, "center='median'"),
        ({"memory": "forever"}, "memory='forever'"),
        ({"floor": -1.0}, "floor=-1.0"),
        ({"shrink": float("nan")}, "shrink=nan"),
        ({"decay": 1.0, "memory": "ema", "center": "running_mean"}, "decay=1.0"),
        ({"weights": (1.0, float("inf"))}, "finite"),
        ({"center": "running_mean"}, "running statistic"),
        ({"memory": "ema"}, "read by nothing"),
        ({"memory": "welford", "center": "running_mean", "decay": 0.9}, "only with memory='ema'"),
        ({"update": "before"}, "only by running"),
        ({"scale": "none", "floor": 1.0}, "guard a scale"),
        ({"scale_of": "raw"}, "changes nothing"),
        ({"whiten": "batch"}, "cancels a center"),
        ({"whiten": "batch", "center": "none"}, "cancels a scale"),
        ({"components": "normalize_first", "center": "none", "scale": "none"}, "nothing"),
    ],
)
def test_fields_that_are_wrong_or_cancelled_are_refused(fields, reason):
    with pytest.raises(SchemeError, match=reason):
        Scheme(**fields)


def test_a_shift_invariant_last_step_cancels_every_center():
    """The four estimators that are one: whitening the batch undoes whatever was subtracted."""
    for center in ("mean", "leave_one_out"):
        with pytest.raises(SchemeError, match="cancels a center"):
            Scheme(center=center, scale="none", whiten="batch")


def test_labels_that_no_scheme_groups_by_are_refused():
    with pytest.raises(LabelError, match="rollout"):
        Scheme(center_by=("rollout",))
    with pytest.raises(CounterpointError, match="tuple of labels"):
        Scheme(center_by="agent")


def test_twins():
    known = catalogue()
    assert known["mappo_pooled"].decoupled() == known["mappo_per_agent"]
    assert known["mappo_per_agent"].coupled() == known["mappo_pooled"]
    assert known["mappo_per_agent"].decoupled() == known["mappo_per_agent"]
    assert known["grpo"].coupled() == known["grpo"]
    assert known["spiral_rae"].coupled().center_by == ("context",)


@pytest.mark.parametrize("name", list(ONE))
def test_every_scheme_has_twins_that_are_schemes(name):
    scheme = ONE[name]
    assert not scheme.coupled().groups_by_agent
    assert scheme.decoupled().groups_by_agent
    assert replace(scheme.decoupled().coupled(), scale_of="centered") == replace(
        scheme.coupled(), scale_of="centered"
    )


GDPO = catalogue()["gdpo"]
RAW = Scheme(center_by=("prompt",), scale_by=(), scale_of="raw")


@pytest.mark.parametrize(
    ("scheme", "coupled", "decoupled"),
    [
        (Scheme(), Scheme(), Scheme(center_by=("agent",))),
        (
            Scheme(center_by=("role", "turn")),
            Scheme(center_by=("turn",)),
            Scheme(center_by=("role", "turn", "agent")),
        ),
        (
            Scheme(center_by=("agent",), scale_by=()),
            Scheme(),
            Scheme(center_by=("agent",)),
        ),
        # a scale of raw values means something only where the two by differ
        (RAW, RAW, Scheme(center_by=("prompt", "agent"), scale_by=("agent",), scale_of="raw")),
        (
            Scheme(center_by=("agent",), scale_by=(), scale_of="raw"),
            Scheme(),
            Scheme(center_by=("agent",)),
        ),
        # whitening means something only where nothing is shared by the whole batch
        (GDPO, GDPO, replace(GDPO, center_by=("prompt", "agent"), scale_by=("prompt", "agent"))),
        (
            Scheme(center_by=("agent",), whiten="batch"),
            Scheme(),
            Scheme(center_by=("agent",), whiten="batch"),
        ),
        (
            Scheme(center_by=("agent",), scale="none", whiten="batch"),
            Scheme(scale="none"),
            Scheme(center_by=("agent",), scale="none", whiten="batch"),
        ),
        (
            Scheme(center_by=("agent",), center="none", whiten="batch"),
            Scheme(center="none"),
            Scheme(center_by=("agent",), center="none", whiten="batch"),
        ),
        (
            Scheme(center="none", scale="none", whiten="batch"),
            Scheme(center="none", scale="none", whiten="batch"),
            Scheme(center_by=("agent",), center="none", scale="none", whiten="batch"),
        ),
    ],
)
def test_twins_by_hand(scheme, coupled, decoupled):
    assert scheme.coupled() == coupled
    assert scheme.decoupled() == decoupled


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"center_by": "agent"},
            "got center_by='agent'; wanted a tuple of labels, e.g. ('agent',)",
        ),
        ({"scale_by": 5}, "got scale_by=5; wanted a tuple of labels"),
        (
            {"scale_by": ("rollout",)},
            "got scale_by=['rollout']; wanted labels out of prompt, agent, role, turn, context",
        ),
        (
            {"scale": "sd"},
            "got scale='sd'; did you mean std? wanted one of std, running_std, shrunk, mean, none",
        ),
        ({"weights": 3}, "got weights=3; wanted a tuple of numbers"),
        ({"weights": (float("nan"),)}, "got weights=(nan,); wanted finite numbers"),
        ({"decay": 0.0}, "got decay=0.0; wanted a number between 0 and 1"),
        ({"floor": -2}, "got floor=-2; wanted a number >= 0"),
        ({"shrink": True}, "got shrink=True; wanted a number"),
        (
            {"scale": "running_std"},
            "this scheme contradicts itself: a running statistic needs memory='ema' or "
            "memory='welford'",
        ),
        (
            {"memory": "welford"},
            "this scheme contradicts itself: memory='welford' is read by nothing: center or scale "
            "must be running",
        ),
        (
            {"decay": 0.5},
            "this scheme contradicts itself: decay is read only with memory='ema', got "
            "memory='batch'",
        ),
        (
            {"update": "before"},
            "this scheme contradicts itself: update is read only by running statistics",
        ),
        (
            {"scale": "none", "min_count": 2},
            "this scheme contradicts itself: floor, shrink and min_count guard a scale, and scale "
            "is 'none'",
        ),
        (
            {"center_by": ("agent",), "scale_by": (), "scale": "none", "scale_of": "raw"},
            "this scheme contradicts itself: scale_of='raw' changes nothing unless there is a "
            "scale and the two by differ",
        ),
        (
            {"whiten": "batch", "scale_by": ("agent",)},
            "this scheme contradicts itself: whitening the batch cancels a center that is shared "
            "by the whole batch",
        ),
        (
            {"whiten": "batch", "center_by": ("agent",), "scale_by": ()},
            "this scheme contradicts itself: whitening the batch cancels a scale that is shared "
            "by the whole batch",
        ),
        (
            {"components": "normalize_first", "center": "none", "scale": "none"},
            "this scheme contradicts itself: normalize_first normalizes nothing: center and scale "
            "are both 'none'",
        ),
        ({"gamma": -0.5}, "got gamma=-0.5; wanted a number from 0 to 1"),
        ({"gamma": 1.5}, "got gamma=1.5; wanted a number from 0 to 1"),
        ({"gamma": "x"}, "got gamma='x'; wanted a number"),
        ({"agreement": 1.5}, "got agreement=1.5; wanted a number from 0 to 1"),
        ({"clip": float("inf")}, "got clip=inf; wanted a number >= 0"),
        ({"epsilon": -1e-9}, "got epsilon=-1e-09; wanted a number >= 0"),
        ({"group_strength": -1.0}, "got group_strength=-1.0; wanted a number >= 0"),
        ({"ddof": 2}, "got ddof=2; wanted 0 or 1"),
        ({"ddof": True}, "got ddof=True; wanted 0 or 1"),
        (
            {"baseline_floor": float("nan")},
            "got baseline_floor=nan; wanted a finite number, or None",
        ),
        ({"baseline_floor": True}, "got baseline_floor=True; wanted a finite number, or None"),
        ({"baseline_floor": "x"}, "got baseline_floor='x'; wanted a finite number, or None"),
        ({"whiten_weighting": "x"}, "got whiten_weighting='x'; wanted one of step, trajectory"),
        ({"weights": (0.0, 0.0)}, "got weights=(0.0, 0.0); wanted at least one that is not 0"),
        (
            {"conditions": ((1, 0),)},
            "got conditions=((1, 0),); wanted triples (component, the one it needs, at least)",
        ),
        *(
            (
                {"conditions": (one,)},
                f"got a condition {one}; wanted two different components, counted from 0, and a "
                "finite number",
            )
            for one in ((0, 0, 1.0), (-1, 0, 1.0), (0, -1, 1.0), (1, 0, float("inf")))
        ),
        *(
            (fields, f"this scheme contradicts itself: {reason}")
            for fields, reason in [
                (
                    {"scale": "none", "epsilon": 0.1},
                    "epsilon is added to a divisor, and scale is 'none'",
                ),
                (
                    {"scale": "none", "ddof": 1},
                    "ddof is read only with scale='std' or whiten='batch', got scale='none'",
                ),
                (
                    {"scale": "mean", "shrink": 1.0},
                    "shrink and min_count guard a deviation, and scale is 'mean'",
                ),
                (
                    {"scale": "mean", "min_count": 1},
                    "shrink and min_count guard a deviation, and scale is 'mean'",
                ),
                (
                    {"scale": "mean", "center_by": ("agent",), "scale_by": ()},
                    "the mean of centered values is 0: scale='mean' needs scale_of='raw' where "
                    "the two by differ",
                ),
                (
                    {"scale": "mean", "transform": "rank"},
                    "the mean of ranks is the same for every group of a size: scale='mean' divides "
                    "by nothing that was measured",
                ),
                (
                    {"center": "none", "baseline_floor": 0.5},
                    "baseline_floor limits a center, and center is 'none'",
                ),
                ({"gamma": 0.9}, "gamma is read only with rollout_reward='to_go'"),
                (
                    {"rollout_reward": "to_go", "weighting": "trajectory"},
                    "rollout_reward='to_go' gives each row a value of its own, and "
                    "weighting='trajectory' takes their mean",
                ),
                ({"group_strength": 2.0}, "group_strength is read only with a group_weight"),
                (
                    {"whiten_weighting": "step"},
                    "whiten_weighting is read only with whiten='batch'",
                ),
                (
                    {"weigh_by": "deviation"},
                    "weigh_by='deviation' weighs components one by one, and they are summed first",
                ),
                (
                    {"weigh_by": "deviation", "components": "normalize_first", "scale": "none"},
                    "weigh_by='deviation' weighs by what scale divides by, got scale='none'",
                ),
                (
                    {"weigh_by": "deviation", "components": "normalize_first", "scale": "mean"},
                    "weigh_by='deviation' weighs by what scale divides by, got scale='mean'",
                ),
                ({"agreement": 0.5}, "agreement compares components, and they are summed first"),
            ]
        ),
    ],
)
def test_refusals_say_what_was_got_and_what_was_wanted(fields, said):
    with pytest.raises(CounterpointError) as refused:
        Scheme(**fields)
    assert str(refused.value) == said


def test_fields_that_mean_something_are_accepted():
    assert Scheme(center="none", scale="none", whiten="batch").whiten == "batch"
    assert Scheme(center_by=("agent",), scale_by=(), scale_of="raw").scale_of == "raw"
    assert Scheme(components="normalize_first", transform="rank", center="none", scale="none")
    assert Scheme(memory="ema", center="running_mean", decay=0.5).keeps_state
    assert Scheme(scale="none", center_by=("agent",), whiten="batch", epsilon=0.1, ddof=1).ddof == 1
    assert Scheme(scale="mean", center_by=("agent",), scale_by=(), scale_of="raw", floor=1.0).floor
    assert Scheme(rollout_reward="to_go", gamma=0.0).gamma == 0.0
    assert Scheme(components="normalize_first", agreement=1, weigh_by="deviation").agreement == 1
    assert Scheme(components="normalize_first", center="none").center == "none"
    assert Scheme(components="normalize_first", scale="none").scale == "none"
    assert Scheme(conditions=[["1", 0, 2]]).conditions == ((1, 0, 2.0),)
    assert Scheme(baseline_floor=0).baseline_floor == 0
    assert Scheme(group_weight="entropy", group_strength=0).group_strength == 0
    assert not Scheme().keeps_state
    assert Scheme(scale="running_std", memory="welford", update="before").update == "before"


def test_what_is_given_as_a_list_or_as_whole_numbers_is_kept_as_it_is_compared():
    assert Scheme(weights=[1, 2]) == Scheme(weights=(1.0, 2.0))
    assert all(isinstance(w, float) for w in Scheme(weights=[1, True]).weights)
    assert Scheme(center_by=["agent", "prompt", "agent"]).center_by == ("prompt", "agent")
    assert hash(Scheme(weights=[1], conditions=[[1, 0, 1]], center_by=["agent"]))


def test_twins_keep_how_the_last_pass_weighs_where_there_is_one():
    white = Scheme(center_by=("prompt",), whiten="batch", whiten_weighting="trajectory")
    assert white.decoupled().whiten_weighting == "trajectory"
    assert white.coupled() == white
    own = replace(white, center_by=("agent",), scale_by=None)
    assert (own.coupled().whiten, own.coupled().whiten_weighting) == ("none", None)
    assert own.decoupled() == own


def test_a_label_that_is_unknown_is_named_for_the_twin_that_has_it():
    with pytest.raises(LabelError, match=r"got center_by=\['rollout'\]"):
        Scheme(center_by=("rollout",), scale_by=())
    with pytest.raises(LabelError, match=r"got scale_by=\['batch', 'x'\]"):
        Scheme(center_by=(), scale_by=("batch", "agent", "x"))


@pytest.mark.parametrize(("by", "owned"), [(("agent",), True), (("role",), True), ((), False),
                                           (("prompt", "turn", "context"), False)])  # fmt: skip
def test_who_has_statistics_of_its_own(by, owned):
    assert Scheme(center_by=by, scale_by=()).groups_by_agent == owned
    assert Scheme(center_by=(), scale_by=by).groups_by_agent == owned
