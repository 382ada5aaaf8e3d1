"""How much memory a training needs, estimated before anything is allocated.

Start with `fitted`. `memory_need` counts the arrays of `Batch`, `SetBatch` and the networks. What
an environment of another package holds itself is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import pairwise
from math import prod

from counterpoint.errors import SettingError
from counterpoint.machine.memory import available_memory
from counterpoint.results.parts import Settings
from counterpoint.train.ppo.images import image_of, sizes_of
from counterpoint.train.ppo.learner import Crediting
from counterpoint.train.ppo.networks import sets_of
from counterpoint.train.ppo.probe import MICRO_BATCHES
from counterpoint.train.ppo.settings import PolicySettings
from counterpoint.worlds.sequential.sides import NONE
from counterpoint.worlds.sequential.world import StepWorld

SHARE = 0.8
"""Share of the available memory that a training may need."""
SINGLE, DOUBLE = 4, 8
"""Bytes of a number."""


@dataclass(frozen=True)
class MemoryNeed:
    """The bytes that the parts of a training need at once."""

    batch: int
    """The rollout, its estimates, and the minibatches made of it: grows with copies and steps."""
    networks: int
    """Weights, gradients and the optimizer: grows with `hidden`."""
    measurements: int
    """What gradients of every agent in micro-batches need beyond that; 0 with diagnose_every=0."""

    @property
    def total(self) -> int:
        """The sum."""
        return self.batch + self.networks + self.measurements


def memory_need(world: StepWorld, settings: PolicySettings, crediting: Crediting) -> MemoryNeed:
    """Returns the bytes that a training needs, the largest arrays of each moment counted.

    Args:
        world: agents, observations and actions; its copies are not asked for.
        settings: with the defaults filled in.
        crediting: what critics predict.
    """
    a, t, e, k = len(world.agents), settings.steps, settings.copies, crediting.outputs(world)
    d, z = max(world.seen_sizes), world.state_size
    m, rows = max(kind.size for kind in world.actions), a * (t + 1) * e
    sets = len(sets_of(world, settings))
    inputs = d + (a if settings.identity and sets < a else 0)
    critic = (z + inputs - d) if settings.critic == "central" else inputs
    # Views of ended episodes are kept whole, at each step at which one ends.
    endings = min(t, -(-e * t // world.horizon)) if world.horizon else t
    played = SINGLE * (rows * d + (t + 1) * e * z + (endings + 2) * e * (a * d + z))
    played += rows * (DOUBLE * (6 + 6 * k) + 3 * SINGLE * m)
    learned = SINGLE * rows * (inputs + (critic if settings.critic == "central" else 0))
    if settings.observations != "raw":
        learned += SINGLE * rows * d + 6 * DOUBLE * a * e * d
    if crediting.counterfactual:
        learned += 3 * SINGLE * rows * (z + a * m)
    wide = (settings.layers + (7 if settings.memory == "gru" else 1)) * settings.hidden
    patches = 0
    if image := image_of(world, range(a), settings.images):
        layers = sizes_of(image)
        patches = sum((9 * before + 2 * after) * h * v for before, after, h, v in layers)
        _, out, height, width = layers[-1]
        more = out * height * width - prod(image.shape)
        inputs, critic = inputs + more, critic + (0 if settings.critic == "central" else more)
    # The critics value all steps at once; a minibatch keeps activations for two networks.
    valued = SINGLE * rows * (critic + 2 * settings.hidden + patches)
    part = SINGLE * rows * (inputs + critic + 6 * wide + 3 * patches) // settings.minibatches
    sizes = [settings.hidden] * settings.layers
    actor, valuer = (
        sum((x + 1) * y for x, y in pairwise([first, *sizes, last]))
        + (6 * settings.hidden**2 if settings.memory == "gru" else 0)
        for first, last in ((inputs, m), (critic, k))
    )
    measurements = 0
    if settings.diagnose_every:
        # [2, M, A, D] of all sets together, and of one set while it is taken.
        gradients = 2 * MICRO_BATCHES * a * actor
        gradients = gradients * sets * DOUBLE + gradients // sets * (DOUBLE + SINGLE)
        kept = SINGLE * rows * (3 * inputs + 5 * wide + 3 * patches)
        # They are taken before the first minibatch, which then has their memory.
        measurements = max(0, gradients + kept - max(valued, part))
    batch = played + learned + max(valued, part)
    networks = 8 * SINGLE * sets * (actor + valuer)
    if settings.sides != NONE:
        networks += SINGLE * sets * actor * settings.pool_size
    return MemoryNeed(batch, networks, measurements)


def fitted(
    world: StepWorld, settings: PolicySettings, crediting: Crediting, given: Settings
) -> tuple[PolicySettings, tuple[str, ...]]:
    """Returns settings with which a training fits into the available memory, and sentences about
    what was changed.

    Only `copies` and `diagnose_every` are changed, and only where they are not `given`.

    Raises:
        SettingError: it cannot fit.
    """
    room = available_memory()
    if room is None or memory_need(world, settings, crediting).total <= SHARE * room:
        return settings, ()
    wanted, need = settings, memory_need(world, settings, crediting)
    if need.measurements > SHARE * room / 2 and "diagnose_every" not in given:
        settings = replace(settings, diagnose_every=0)
    while (
        "copies" not in given
        and settings.copies > 1
        and memory_need(world, settings, crediting).total > SHARE * room
    ):
        fewer = replace(settings, copies=settings.copies // 2)
        settings = replace(fewer, minibatches=min(fewer.minibatches, fewer.sequences))
    require_memory(world, settings, crediting, room)
    changed = [
        f"{spec.name}={getattr(settings, spec.name)}"
        for spec in fields(settings)
        if getattr(settings, spec.name) != getattr(wanted, spec.name)
    ]
    return settings, (
        f"a training with the default settings needs about {size(need.total)}, and {size(room)} "
        f"are available; so it takes {' and '.join(changed)}",
    )


def require_memory(
    world: StepWorld, settings: PolicySettings, crediting: Crediting, room: int | None
) -> None:
    """Raises SettingError if a training needs more than its share of the `room`; None: not known.

    The error names the setting that changes the largest part.
    """
    need = memory_need(world, settings, crediting)
    if room is None or need.total <= SHARE * room:
        return
    advice = {
        need.batch: f"fewer copies (now {settings.copies}) or steps (now {settings.steps})",
        need.networks: f"a smaller hidden (now {settings.hidden}), or smaller observations",
        need.measurements: "diagnose_every=0, or smaller observations",
    }[max(need.batch, need.networks, need.measurements)]
    raise SettingError(
        f"got a training in '{world.name}' that needs about {size(need.total)} ({size(need.batch)} "
        f"for a batch, {size(need.networks)} for networks, {size(need.measurements)} for "
        f"measurements); wanted at most {SHARE:.0%} of the {size(room)} available: set {advice}"
    )


def size(count: int) -> str:
    """Returns a number of bytes in text."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
