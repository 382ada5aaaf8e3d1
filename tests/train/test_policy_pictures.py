"""Pictures that are grey, and pictures of several steps."""

from __future__ import annotations

import numpy as np
import pytest
from bit_worlds import NamesTheShape

from counterpoint.errors import SettingError
from counterpoint.testing import check_step_world
from counterpoint.worlds import find_world
from counterpoint.worlds.sequential.pictures import LUMA, PreparedPictures, blocks_of
from counterpoint.worlds.sequential.world import Extent, SeenPart


def test_grey_pictures_are_weighted_sums_and_other_numbers_stay():
    plain, world = NamesTheShape(copies=3, seed=1), NamesTheShape(copies=3, seed=1)
    plain.held["bit"][...] = world.held["bit"]
    grey = PreparedPictures(world, True, 1)
    assert grey.seen_parts[0] == (
        SeenPart("camera", (8, 8, 1), 0, image=True),
        SeenPart("nothing", (1,), 64),
    )
    assert grey.seen_sizes == (65, 65)
    found, given = grey.reset(5).seen, plain.reset(5).seen
    pictures = given[..., :-1].reshape(3, 2, 8, 8, 3)
    np.testing.assert_allclose(found[..., :-1].reshape(3, 2, 8, 8), pictures @ LUMA)
    np.testing.assert_array_equal(found[..., -1], given[..., -1])


def test_the_pictures_of_an_episode_are_seen_together():
    plain, stacked = NamesTheShape(copies=2), PreparedPictures(NamesTheShape(copies=2), False, 3)
    shown, view = [plain.reset(7).seen], stacked.reset(7)
    assert stacked.seen_parts[0][0].shape == (8, 8, 9)

    def wanted(*steps):
        each = [shown[i][..., :192].reshape(2, 2, 8, 8, 3) for i in steps]
        return np.concatenate(each, axis=-1)

    np.testing.assert_array_equal(view.seen[..., :576].reshape(2, 2, 8, 8, 9), wanted(0, 0, 0))
    for i in range(1, 7):  # an episode has 5 steps
        actions = np.zeros((2, 2), dtype=int)
        one, other = plain.step(actions), stacked.step(actions)
        shown.append(one.view.seen)
        now = other.view.seen[..., :576].reshape(2, 2, 8, 8, 9)
        steps = [max(j, 0 if i < 5 else 5) for j in (i - 2, i - 1, i)]
        np.testing.assert_array_equal(now, wanted(*steps))
        if i == 5:
            assert one.ended.all()
            shown[5] = one.last.seen
            last = other.last.seen[..., :576].reshape(2, 2, 8, 8, 9)
            np.testing.assert_array_equal(last, wanted(3, 4, 5))
            shown[5] = one.view.seen
        if i == 3:
            captured = stacked.capture()
            copy = PreparedPictures(NamesTheShape(copies=2), False, 3)
            again = copy.restore(*captured)
            np.testing.assert_array_equal(again.seen, other.view.seen)
    for world in (stacked, copy):
        world.restore(*captured)
    np.testing.assert_array_equal(stacked.step(actions).view.seen, copy.step(actions).view.seen)


def test_channels_may_come_first_and_extents_follow():
    world = NamesTheShape(copies=1)
    world.seen_parts = (
        (SeenPart("camera", (3, 8, 8), 0, image=True), SeenPart("", (1,), 192)),
    ) * 2
    world.extents = np.full((2, 193), Extent.NARROW, dtype=np.int8)
    world.extents[:, 192] = Extent.WIDE
    grey = PreparedPictures(world, True, 2)
    assert grey.seen_parts[0][0].shape == (8, 8, 2)
    assert (grey.extents[:, :128] == Extent.NARROW).all()
    assert (grey.extents[:, 128] == Extent.WIDE).all()
    seen, given = grey.reset(0).seen[0, 0], world.view().seen[0, 0]
    picture = np.tensordot(LUMA, given[:192].reshape(3, 8, 8), axes=1)
    np.testing.assert_allclose(seen[:128].reshape(8, 8, 2)[..., 1], picture)


def test_it_is_a_world_like_every_other():
    check_step_world(
        lambda copies, seed: PreparedPictures(NamesTheShape(copies=copies, seed=seed), True, 2)
    )


def test_without_a_picture_it_is_refused():
    with pytest.raises(SettingError, match="see no picture"):
        PreparedPictures(find_world("spread").make(), False, 2)


def test_large_pictures_become_the_means_of_blocks():
    world = NamesTheShape(copies=2, seed=1)
    small = PreparedPictures(NamesTheShape(copies=2, seed=1), False, 1, resize=3)
    assert small.seen_parts[0][0].shape == (3, 3, 3)  # blocks of 3: 8 pixels and the edge again
    assert small.seen_sizes == (28, 28)
    given, found = world.reset(5).seen, small.reset(5).seen
    picture = given[..., :-1].reshape(2, 2, 8, 8, 3)
    means = found[..., :-1].reshape(2, 2, 3, 3, 3)
    np.testing.assert_allclose(means[:, :, 1, 1], picture[:, :, 3:6, 3:6].mean((2, 3)), rtol=1e-6)
    edge = (2 * picture[:, :, 7, 7] + picture[:, :, 6, 7]) / 3
    column = (2 * picture[:, :, 7, 6] + picture[:, :, 6, 6]) / 3
    np.testing.assert_allclose(means[:, :, 2, 2], (2 * edge + column) / 3, rtol=1e-6)
    np.testing.assert_array_equal(found[..., -1], given[..., -1])


def test_a_picture_that_is_small_enough_is_not_touched():
    assert blocks_of(SeenPart("camera", (84, 84, 3), 0, image=True), 84) == 1
    assert blocks_of(SeenPart("camera", (3, 85, 40), 0, image=True), 84) == 2
    assert blocks_of(SeenPart("camera", (280, 480, 3), 0, image=True), 0) == 1
