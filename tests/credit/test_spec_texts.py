"""How values of fields are written, and where names of schemes are split."""

from __future__ import annotations

from typing import Any

import pytest

from counterpoint.credit.spec import _text, split_names


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (1e20, "1e20"),
        (0.05, "0.05"),
        (2, "2"),
        ("std", "std"),
        ((), ""),
        (("prompt", "agent"), "prompt+agent"),
        (((1, 0, 0.5), (2, 0, 1.0)), "1/0/0.5+2/0/1.0"),
    ],
)
def test_values_are_written_as_they_are_read(value: Any, text: str) -> None:
    assert _text(value) == text


def test_a_field_belongs_to_the_scheme_before_it() -> None:
    assert split_names("a,b,c,x=1") == ("a", "b", "c,x=1")
    assert split_names("a,x=1,y=2,b") == ("a,x=1,y=2", "b")
