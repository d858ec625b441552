"""What is nearly the same is found, and only that."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from depthmask.data.scenes.duplicates import (
    MOST_DIFFERENT_BITS,
    NearPair,
    group,
    joined,
    look_at,
    near_pairs,
)
from photo_files import person, texture


def plate(number: int) -> np.ndarray:
    return texture(number, (96, 96))


def cutout(number: int) -> np.ndarray:
    return person(number, height=96, margin=6)


def recoloured(change):
    """A change of the colours that leaves alpha alone."""

    def changed(image: np.ndarray) -> np.ndarray:
        return np.dstack([change(image[..., :3]), image[..., 3:]]).astype(np.uint8)

    return changed


def other_light(rgb: np.ndarray) -> np.ndarray:
    """A stop darker, warmer, and the blacks lifted."""
    linear = (rgb / 255.0) ** 1.2 * np.array([0.6, 0.5, 0.42]) + 0.03
    return np.rint(255 * linear.clip(0, 1))


def jpeg(rgb: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb)).save(file, "JPEG", quality=30)
    return np.asarray(Image.open(file))


def cropped(image: np.ndarray) -> np.ndarray:
    """Without the 2 % at the left and at the top, as large as before."""
    height, width = image.shape[:2]
    rest = np.ascontiguousarray(image[round(0.02 * height) :, max(1, round(0.02 * width)) :])
    return cv2.resize(rest, (width, height), interpolation=cv2.INTER_LINEAR)


def smaller(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def mirrored(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[:, ::-1])


COPIES = {
    "light": recoloured(other_light),
    "jpeg": recoloured(jpeg),
    "crop": cropped,
    "resize": smaller,
    "mirror": mirrored,
    "all": lambda image: smaller(
        recoloured(jpeg)(cropped(recoloured(other_light)(mirrored(image))))
    ),
}


@pytest.mark.parametrize("kind", [plate, cutout])
@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_found(kind, name):
    for number in range(20):
        (pair,) = near_pairs([look_at(kind(number)), look_at(COPIES[name](kind(number)))])
        assert (pair.first, pair.second, pair.equal) == (0, 1, False)
        assert pair.mirrored == (name in ("mirror", "all"))
        assert pair.bits <= MOST_DIFFERENT_BITS


@pytest.mark.parametrize("kind", [plate, cutout])
def test_strangers_are_told_apart_though_hashes_agree_by_chance(kind):
    looks = [look_at(kind(number)) for number in range(300)]
    hashes = np.array([look.bits for look in looks], np.uint64)
    bits = np.bitwise_count(hashes[:, None] ^ hashes)[np.triu_indices(len(hashes), 1)]
    assert (bits <= MOST_DIFFERENT_BITS).sum() >= 3
    assert near_pairs(looks) == []


def test_a_person_moved_on_the_canvas_is_the_same():
    canvas = np.zeros((140, 90, 4), np.uint8)
    canvas[30:126, 20:68] = cutout(0)
    (pair,) = near_pairs([look_at(cutout(0)), look_at(canvas)])
    assert pair.bits <= 2


def test_the_same_clothes_in_another_outline_are_somebody_else():
    one, other = cutout(0), cutout(0)
    one[60:, 18:30, 3] = 0  # between the legs
    other[24:60, 12:20, 3] = 0  # an arm
    assert near_pairs([look_at(one), look_at(other)]) == []


def test_equal_bytes_are_equal_even_of_an_empty_picture():
    flat, lighter = np.full((40, 40, 3), 90, np.uint8), np.full((40, 40, 3), 120, np.uint8)
    looks = [look_at(image) for image in (flat, lighter, flat, np.zeros((40, 30, 4), np.uint8))]
    assert near_pairs(looks[:3]) == [NearPair(0, 2, 0, False, True)]
    assert near_pairs([looks[3], looks[3]]) == [NearPair(0, 1, 0, False, True)]


def test_pairs_on_one_side_are_passed_over():
    looks = [look_at(plate(number)) for number in (0, 1, 0, 1, 0)]
    found = near_pairs(looks, ["train", "train", "train", "test", "val"])
    assert [(pair.first, pair.second) for pair in found] == [(1, 3), (0, 4), (2, 4)]


def test_groups_are_joined_by_their_neighbours():
    def pairs(*indices):
        return [NearPair(first, second, 4, False, False) for first, second in indices]

    assert joined(4, pairs((0, 1), (1, 2))).tolist() == [0, 0, 0, 3]
    assert joined(6, pairs((0, 2), (1, 3), (2, 3), (4, 5))).tolist() == [0, 0, 0, 0, 4, 4]
    looks = [look_at(image) for image in (plate(1), plate(0), mirrored(plate(1)), plate(2))]
    assert group(looks).tolist() == [0, 1, 0, 3]
