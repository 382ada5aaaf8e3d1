"""Who says what to whom in a sequential environment: `find_channels` tries it out.

A world or its user names the speakers. What their actions say, and where others see it, is found by
playing one moment again and again with another action of the speaker each time. What then differs
in another agent's next observation is the message. So an action that moves and speaks at once says
as many words as others can tell apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Ints
from counterpoint.errors import SettingError
from counterpoint.settings import split_list
from counterpoint.worlds.sequential.actions import most_numbers
from counterpoint.worlds.sequential.world import (
    StepWorld,
    View,
    uniform_actions,
)
from counterpoint.worlds.sequential.wrapped import WrappedStepWorld

MOMENTS = 3
"""Decisions of each speaker that are played again with every action."""
MOST_STEPS = 50
"""Steps within which these decisions are looked for."""
COPIES = 2
"""Copies in which they are played."""


class Channel(NamedTuple):
    """The messages of one agent."""

    speaker: int
    """Its index among the agents."""
    words: Ints
    """[M] the word that each of its actions says, from 0 on."""
    heard: tuple[tuple[int, Ints], ...]
    """Each agent that hears it, and the places in its observation where the words show."""
    echo: Ints
    """The places in the speaker's own observation where they show."""

    @property
    def size(self) -> int:
        """The number of words."""
        return int(self.words.max()) + 1


def speakers_of(world: StepWorld) -> tuple[int, ...]:
    """Returns the indices of the agents whose actions are messages: those that the setting
    `speakers` names, or else those that the world declares.

    Raises:
        SettingError: a name that no agent or role has, or speakers are named and actions are no
            choices.
    """
    given = split_list(world.settings.speakers)
    names = set(given or world.speakers)
    if unknown := sorted(names - set(world.agents) - set(world.roles)):
        known = ", ".join(dict.fromkeys((*world.agents, *world.roles)))
        raise SettingError(f"got speakers {', '.join(unknown)}; wanted names out of {known}")
    if most_numbers(world.actions):
        if given:
            raise SettingError(
                f"got speakers={', '.join(given)} in a world with actions that are numbers; "
                "wanted discrete actions, since words are choices"
            )
        return ()
    pairs = enumerate(zip(world.agents, world.roles, strict=True))
    return tuple(k for k, both in pairs if names & set(both))


def find_channels(world: StepWorld) -> tuple[Channel, ...]:
    """Returns the channel of each speaker whom another agent hears; the world is played and closed.

    Args:
        world: a few copies, made for this: see `COPIES`.

    Raises:
        SettingError: as `speakers_of`, or nobody hears an agent that the setting names.
        WorldError: the world does not obey its seed.
    """
    speakers = speakers_of(world)
    shown = _trials(world, speakers) if speakers else {}
    world.close()
    channels = [_channel(k, shown[k], len(world.agents)) for k in speakers]
    deaf = [world.agents[one.speaker] for one in channels if not one.heard]
    if deaf and world.settings.speakers:
        raise SettingError(
            f"got speakers={world.settings.speakers}, but no other agent sees in its next "
            f"observation what {', '.join(deaf)} did; wanted agents whose actions are messages"
        )
    return tuple(one for one in channels if one.heard)


def _trials(world: StepWorld, speakers: Sequence[int]) -> dict[int, list[NDArray[np.float32]]]:
    """Returns, for each speaker, the next observations [M, A, D] in some moments and copies, by its
    action; NaN for actions that are not legal then."""
    rng, view = np.random.default_rng(0), world.reset(0)
    shown: dict[int, list[NDArray[np.float32]]] = {k: [] for k in speakers}
    for _ in range(MOST_STEPS):
        if all(len(trials) >= MOMENTS * world.copies for trials in shown.values()):
            break
        base, start = uniform_actions(world, view, rng), world.capture()
        for k in speakers:
            size, active = world.actions[k].size, view.active[:, k]
            if not active.any() or len(shown[k]) >= MOMENTS * world.copies:
                continue
            legal = np.ones((world.copies, size), bool)
            if view.legal is not None:
                legal = view.legal[:, k, :size]
            seen = np.full((size, *view.seen.shape), np.nan, dtype=np.float32)
            for action in range(size):
                may, tried = legal[:, action] & active, base.copy()
                tried[may, k] = action
                world.restore(*start)
                seen[action, may] = world.step(tried).last.seen[may]
            shown[k] += [seen[:, e] for e in np.flatnonzero(active)]
        world.restore(*start)
        view = world.step(base).view
    return shown


def _channel(speaker: int, shown: list[NDArray[np.float32]], agents: int) -> Channel:
    """Returns the channel of a speaker; two actions are one word if nobody ever saw a difference.

    Args:
        speaker: its index.
        shown: the next observations [M, A, D] in each trial; NaN for actions that were not tried.
        agents: A.
    """
    others = [k for k in range(agents) if k != speaker]
    if not shown:
        return Channel(speaker, np.zeros(1, dtype=np.int64), (), np.zeros(0, dtype=np.int64))
    seen = np.stack(shown)  # [trials, M, A, D]
    first = np.nanmax(seen, axis=1, keepdims=True, initial=-np.inf)
    differs: Bools = ((seen != first) & ~np.isnan(seen)).any(axis=(0, 1))  # [A, D]
    heard = tuple((k, np.flatnonzero(differs[k])) for k in others if differs[k].any())
    theirs = seen[:, :, others]
    one, two = theirs[:, :, None], theirs[:, None]
    same = ((one == two) | np.isnan(one) | np.isnan(two)).all(axis=(0, 3, 4))  # [M, M]
    words = np.unique(same.argmax(axis=1), return_inverse=True)[1]
    return Channel(speaker, words, heard, np.flatnonzero(differs[speaker]))


class ExchangedMessages(WrappedStepWorld):
    """`world` in which every listener hears what was said in the next copy at the same time.

    What a message then tells of its own episode is nothing; how often each word is heard, and all
    else, is as before.
    """

    def __init__(self, world: StepWorld, channels: Sequence[Channel]) -> None:
        super().__init__(world)
        self.heard = [pair for channel in channels for pair in channel.heard]

    def shown(self, view: View) -> View:
        seen = view.seen.copy()
        for listener, places in self.heard:
            seen[:, listener, places] = np.roll(view.seen[:, listener, places], 1, axis=0)
        return replace(view, seen=seen)
