"""What is nearly the same is found, and only that."""

import cv2
import numpy as np
import pytest

from depthmask.data.scenes.leakage_check import MOST_DIFFERENT_BITS, NearPair, group, near_pairs
from photo_files import person, texture


def plate(number: int) -> np.ndarray:
    return texture(number, (96, 96))


def cutout(number: int) -> np.ndarray:
    return person(number, height=96, margin=6)


def darker(image: np.ndarray) -> np.ndarray:
    """A stop darker, warmer, and the blacks lifted."""
    rgb = (image[..., :3] / 255.0) ** 1.2 * np.array([0.6, 0.5, 0.42]) + 0.03
    return np.dstack([np.rint(255 * rgb), image[..., 3:]]).astype(np.uint8)


def jpeg(image: np.ndarray) -> np.ndarray:
    _, content = cv2.imencode(".jpg", image[..., :3], [cv2.IMWRITE_JPEG_QUALITY, 30])
    return np.dstack([cv2.imdecode(content, cv2.IMREAD_COLOR), image[..., 3:]])


def cropped(image: np.ndarray) -> np.ndarray:
    """Without the 2 % at the left and at the top, as large as before."""
    return cv2.resize(np.ascontiguousarray(image[2:, 2:]), image.shape[1::-1])


def smaller(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def mirrored(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[:, ::-1])


@pytest.mark.parametrize("kind", [plate, cutout])
@pytest.mark.parametrize(
    "changes",
    [[darker], [jpeg], [cropped], [smaller], [mirrored], [mirrored, darker, jpeg, smaller]],
)
def test_a_copy_is_found(kind, changes):
    for number in range(20):
        copy = kind(number)
        for change in changes:
            copy = change(copy)
        (pair,) = near_pairs([kind(number), copy])
        assert (pair.first, pair.second, pair.mirrored) == (0, 1, mirrored in changes)
        assert pair.bits <= MOST_DIFFERENT_BITS


@pytest.mark.parametrize("kind", [plate, cutout])
def test_strangers_are_told_apart(kind):
    assert near_pairs([kind(number) for number in range(300)]) == []


def test_a_person_moved_on_the_canvas_is_the_same():
    canvas = np.zeros((140, 90, 4), np.uint8)
    canvas[30:126, 20:68] = cutout(0)
    assert len(near_pairs([cutout(0), canvas])) == 1


def test_equal_pictures_are_equal_even_if_empty():
    flat, empty = np.full((40, 40, 3), 90, np.uint8), np.zeros((40, 30, 4), np.uint8)
    assert near_pairs([flat, flat + 30, flat]) == [NearPair(0, 2, 0, False)]
    assert near_pairs([empty, empty]) == [NearPair(0, 1, 0, False)]


def test_sides_and_groups():
    images = [plate(1), plate(0), mirrored(plate(1)), plate(2), cropped(plate(1))]
    assert group(images).tolist() == [0, 1, 0, 3, 0]
    found = near_pairs(images, ["train", "val", "train", "val", "test"])
    assert [(pair.first, pair.second) for pair in found] == [(0, 4), (2, 4)]
