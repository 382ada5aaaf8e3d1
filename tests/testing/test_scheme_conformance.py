"""Every entry of the catalogue keeps its promises; every planted defect is found."""

from dataclasses import dataclass, replace

import pytest

from counterpoint.credit import Entry, Mix, PerRole, Scheme, entries
from counterpoint.testing import ConformanceError, check_scheme

SOUND = Entry("house", Scheme(center_by=("prompt",), floor=0.05), "a title", "a source")


@pytest.mark.parametrize("name", list(entries()))
def test_every_entry_keeps_its_promises(name):
    check_scheme(entries()[name])


def test_a_scheme_for_roles_is_tried_with_its_own_roles():
    planner, coder = Scheme(scale="none", clip=0.5), Scheme(clip=0.5)
    entry = replace(SOUND, scheme=PerRole({"planner": planner, "coder": coder}))
    check_scheme(entry, roles=("planner", "coder"))
    with pytest.raises(ConformanceError, match="got SchemeError: got role 'tester'"):
        check_scheme(entry)


@dataclass(frozen=True)
class Subclass(Scheme):
    """Would compute something, but the kernel never calls it."""


DEFECTS = {
    "the scheme alone": (SOUND.scheme, "wanted a counterpoint.credit.Entry"),
    "a comma": (replace(SOUND, name="house,rules"), "one word without a comma"),
    "an equals sign": (replace(SOUND, name="floor=0.05"), "one word without a comma"),
    "no name": (replace(SOUND, name=""), "one word"),
    "an alias": (replace(SOUND, name="ms_swift"), "which stands for trl; wanted a name that is"),
    "custom": (replace(SOUND, name="custom"), "a name that is free"),
    "a name that is taken": (replace(SOUND, name="grpo"), "'grpo', which has another scheme"),
    "a twin": (replace(SOUND, scheme=entries()["grpo"].scheme), "with the scheme of 'grpo'"),
    "no title": (replace(SOUND, title=""), "the title ''; wanted one line"),
    "a long citation": (replace(SOUND, citation="a\nb"), "the citation"),
    "a class": (replace(SOUND, scheme=Scheme), "of type type; wanted a Scheme"),
    "code of its own": (replace(SOUND, scheme=Subclass()), "of type Subclass; wanted a Scheme"),
    "the wrong way": (
        replace(SOUND, scheme=Scheme(weights=(-1.0,))),
        "covariance with the rewards is -",
    ),
    "the wrong way in a mix": (
        replace(SOUND, scheme=Mix(((-1.0, Scheme()),))),
        "covariance with the rewards is -",
    ),
    "no signal": (
        replace(SOUND, scheme=Mix(((0.0, Scheme()),))),
        "advantages that are all 0",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_found(defect):
    entry, complaint = DEFECTS[defect]
    with pytest.raises(ConformanceError, match=complaint):
        check_scheme(entry)
