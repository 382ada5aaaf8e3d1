"""`PreparedPictures`: a world whose pictures are smaller, grey, or shown with earlier ones.

Everything that is no picture stays as it is, and so does the state of centralized critics.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, NamedArrays
from counterpoint.errors import SettingError
from counterpoint.worlds.sequential.world import (
    Captured,
    CapturedFacts,
    SeenPart,
    Singles,
    Step,
    StepWorld,
    View,
)
from counterpoint.worlds.sequential.wrapped import WrappedStepWorld

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue in a grey picture. Source: ITU-R BT.601."""
COLOURS = (1, 3, 4)
"""Numbers of channels by which the axis of channels is known; the last axis, if both fit."""


def channels_first(image: SeenPart) -> bool:
    """Returns whether the first axis of a picture is that of its channels."""
    return image.shape[2] not in COLOURS and image.shape[0] in COLOURS


def blocks_of(image: SeenPart, resize: int) -> int:
    """Returns the side of the square blocks of which a shrunk picture has the means: the smallest
    with which no side is longer than `resize`; 1 where it is 0, or no side is longer."""
    height, width = layout(image)[:2]
    return -(-max(height, width) // resize) if resize else 1


def layout(image: SeenPart) -> tuple[int, int, int]:
    """Returns height, width and channels of a picture."""
    one, two, three = image.shape
    return (two, three, one) if channels_first(image) else (one, two, three)


def shrunk(picture: Singles, block: int) -> Singles:
    """Returns the means of square blocks of a picture of every copy, [E, H, W, C]; where a block
    reaches over the edge, the pixels of the edge stand for those that are missing."""
    if block == 1:
        return picture
    e, height, width, c = picture.shape
    more = [(0, 0), (0, -height % block), (0, -width % block), (0, 0)]
    if height % block or width % block:
        picture = np.pad(picture, more, mode="edge")
    rows, columns = -(-height // block), -(-width // block)
    means: Singles = picture.reshape(e, rows, block, columns, block, c).mean(axis=(2, 4))
    return means


class PreparedPictures(WrappedStepWorld):
    """`world` with its pictures shrunk, grey, and in the channels of each one those of the steps
    before.

    A picture is [height, width, channels] then, the newest channels last. At the start of an
    episode its first picture stands for the earlier ones.

    Args:
        world: what is played.
        grayscale: whether pictures in colour become grey; a fourth channel is left out.
        frames: number of pictures that are seen together.
        resize: longest side of a picture, see `blocks_of`; 0 leaves all as they are.

    Raises:
        SettingError: agents see no picture.
    """

    def __init__(self, world: StepWorld, grayscale: bool, frames: int, resize: int = 0) -> None:
        super().__init__(world)
        self.grayscale, self.frames, self.resize = grayscale, frames, resize
        if not any(part.image for parts in world.seen_parts for part in parts):
            raise SettingError(
                f"got frames={frames}, grayscale={grayscale} for world '{world.name}', whose "
                "agents see no picture; wanted frames=1 and grayscale=false"
            )
        self.seen_parts = tuple(self._parts(parts) for parts in world.seen_parts)
        self.seen_sizes = tuple(
            sum(prod(part.shape) for part in parts) for parts in self.seen_parts
        )
        self.past: dict[str, Singles] = {}
        """Agent and part to the pictures [E, frames, H, W, C] of the last steps."""
        if world.extents is not None:
            self.extents = np.zeros((len(self.agents), max(self.seen_sizes)), dtype=np.int8)
            for k, parts in enumerate(self.seen_parts):
                for old, new in zip(world.seen_parts[k], parts, strict=True):
                    size = prod(new.shape)
                    span = world.extents[k, old.start : old.start + prod(old.shape)]
                    of_part = np.full(size, span.max()) if new.image else span
                    self.extents[k, new.start : new.start + size] = of_part

    def reset(self, seed: int | None = None) -> View:
        return self._view(self.world.reset(seed), np.ones(self.copies, dtype=bool))

    def step(self, actions: NDArray[Any]) -> Step:
        step = self.world.step(actions)
        past = dict(self.past)
        last = view = self._view(step.last, np.zeros(self.copies, dtype=bool))
        if step.ended.any():
            self.past = past
            view = self._view(step.view, step.ended)
        return replace(step, view=view, last=last)

    def capture(self) -> Captured:
        arrays, facts = self.world.capture()
        past = {f"past.{name}": array.copy() for name, array in self.past.items()}
        return Captured({**arrays, **past}, facts)

    def restore(self, arrays: NamedArrays, facts: CapturedFacts) -> View:
        mine = {name: x for name, x in arrays.items() if name.startswith("past.")}
        view = self.world.restore({n: x for n, x in arrays.items() if n not in mine}, facts)
        self.past = {name.removeprefix("past."): x.copy() for name, x in mine.items()}
        return self._view(view, np.zeros(self.copies, dtype=bool), new=False)

    def _parts(self, parts: tuple[SeenPart, ...]) -> tuple[SeenPart, ...]:
        out, start = [], 0
        for part in parts:
            shape = part.shape
            if part.image:
                height, width, channels = layout(part)
                block = blocks_of(part, self.resize)
                channels = 1 if self.grayscale else channels
                shape = (-(-height // block), -(-width // block), channels * self.frames)
            out.append(SeenPart(part.name, shape, start, part.image))
            start += prod(shape)
        return tuple(out)

    def _view(self, view: View, first: Bools, *, new: bool = True) -> View:
        """Returns what is seen, and remembers it as the past of the next step.

        Args:
            view: what the world shows.
            first: [E] whether an episode begins there, which has no past.
            new: whether it is another step than the last one that was shown.
        """
        seen = np.zeros((self.copies, len(self.agents), max(self.seen_sizes)), dtype=np.float32)
        for k, parts in enumerate(self.seen_parts):
            for old, part in zip(self.world.seen_parts[k], parts, strict=True):
                given = view.seen[:, k, old.start : old.start + prod(old.shape)]
                if part.image:
                    given = self._with_past(
                        f"{k}.{old.start}", self._picture(given, old), first, new
                    )
                seen[:, k, part.start : part.start + prod(part.shape)] = given
        return replace(view, seen=seen)

    def _picture(self, given: Singles, part: SeenPart) -> Singles:
        """Returns one picture of every copy, [E, H, W, C]."""
        picture = given.reshape(len(given), *part.shape)
        if channels_first(part):
            picture = np.moveaxis(picture, 1, -1)
        picture = shrunk(picture, blocks_of(part, self.resize))
        if not self.grayscale:
            return picture
        grey: Singles = picture[..., :3] @ LUMA if picture.shape[-1] > 1 else picture[..., 0]
        return grey[..., None]

    def _with_past(self, name: str, picture: Singles, first: Bools, new: bool) -> Singles:
        """Returns the pictures of the last `frames` steps, [E, H W C frames]."""
        if self.frames == 1:
            return picture.reshape(len(picture), -1)
        shown = self.past.get(name)
        if shown is None:
            shown = np.repeat(picture[:, None], self.frames, axis=1)
        elif new:
            shown = np.concatenate([shown[:, 1:], picture[:, None]], axis=1)
            shown[first] = picture[first, None]
        self.past[name] = shown
        return np.moveaxis(shown, 1, -2).reshape(len(shown), -1)
