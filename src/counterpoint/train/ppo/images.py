"""`ImageLayers`: convolutions over the picture that is a part of what an agent sees.

`image_of` says which picture that is. A convolution is a linear layer on the 3 x 3 patches of its
input, so that `probe.py` measures it as every other layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from counterpoint.worlds.sequential.pictures import channels_first, layout
from counterpoint.worlds.sequential.world import SeenPart, StepWorld

LinearMaker = Callable[[int, int], nn.Linear]
Activation = Callable[[Tensor], Tensor]

SMALLEST = 8
"""Pictures with a shorter side are taken as plain numbers."""
FEW = 16
"""Up to this side the first layer keeps the size of the picture."""
LAST = 4
"""Layers halve the picture until no side is longer."""
CHANNELS = (16, 32)
"""Channels of the first layer, and of all others."""


def image_of(world: StepWorld, members: Sequence[int], images: str) -> SeenPart | None:
    """Returns the one picture that all these agents see in the same place of their observations;
    None if there is none, or if `images` is `flat`: then it is taken as plain numbers."""
    if images == "flat" or not world.seen_parts:
        return None
    seen = {tuple(part for part in world.seen_parts[k] if part.image) for k in members}
    if len(seen) != 1 or len(pictures := seen.pop()) != 1:
        return None
    return pictures[0] if min(layout(pictures[0])[:2]) >= SMALLEST else None


def sizes_of(image: SeenPart) -> list[tuple[int, int, int, int]]:
    """Returns channels in, channels out, height out and width out of each layer."""
    height, width, channels = layout(image)
    stride = 1 if max(height, width) <= FEW else 2
    sizes: list[tuple[int, int, int, int]] = []
    while not sizes or max(height, width) > LAST:
        height, width = -(-height // stride), -(-width // stride)
        out = CHANNELS[bool(sizes)]
        sizes.append((channels, out, height, width))
        channels, stride = out, 2
    return sizes


class ImageLayers(nn.Module):
    """Convolutions of 3 x 3 with tanh or relu, each halving the picture.

    Args:
        image: which of the numbers are the picture.
        linear: makes a linear layer of so many inputs and outputs.
        activate: the activation.
    """

    def __init__(self, image: SeenPart, linear: LinearMaker, activate: Activation) -> None:
        super().__init__()
        self.image, self.activate = image, activate
        self.sizes = sizes_of(image)
        self.layers = nn.ModuleList(linear(9 * before, after) for before, after, *_ in self.sizes)
        height, width, channels = layout(image)
        self.numbers = height * width * channels
        _, out, height, width = self.sizes[-1]
        self.more = out * height * width - self.numbers
        """How many more numbers come out than came in; negative if fewer."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns [A, N, L, D + more] of `x` [A, N, L, D]: other numbers, then the picture's."""
        start, end = self.image.start, self.image.start + self.numbers
        height, width, channels = layout(self.image)
        z = x[..., start:end]
        if channels_first(self.image):
            z = z.reshape(-1, channels, height, width)
        else:
            z = z.reshape(-1, height, width, channels).permute(0, 3, 1, 2)
        for layer, (_, out, rows, columns) in zip(self.layers, self.sizes, strict=True):
            stride = 1 if (rows, columns) == (height, width) else 2
            patches = functional.unfold(z, 3, padding=1, stride=stride).mT
            # [A, N, L, P, 9 C]: a row a patch, agents first, as `probe.py` divides them
            patches = patches.reshape(*x.shape[:-1], rows * columns, -1)
            z = self.activate(layer(patches)).flatten(0, 2).mT
            height, width = rows, columns
            z = z.reshape(-1, out, height, width)
        return torch.cat([x[..., :start], x[..., end:], z.reshape(*x.shape[:-1], -1)], dim=-1)
