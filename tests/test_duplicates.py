"""What is nearly the same is found, and only that."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from depthmask.data.scenes.duplicates import MOST_DIFFERENT_BITS, NearPair, group, near_pairs
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
    rest = np.ascontiguousarray(image[2:, 2:])
    return cv2.resize(rest, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


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
    "most": lambda image: smaller(recoloured(jpeg)(recoloured(other_light)(mirrored(image)))),
}


@pytest.mark.parametrize("kind", [plate, cutout])
@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_found(kind, name):
    for number in range(20):
        (pair,) = near_pairs([kind(number), COPIES[name](kind(number))])
        assert (pair.first, pair.second) == (0, 1)
        assert pair.mirrored == (name in ("mirror", "most"))
        assert pair.bits <= MOST_DIFFERENT_BITS


@pytest.mark.parametrize("kind", [plate, cutout])
def test_strangers_are_told_apart(kind):
    assert near_pairs([kind(number) for number in range(300)]) == []


def test_a_person_moved_on_the_canvas_is_the_same():
    canvas = np.zeros((140, 90, 4), np.uint8)
    canvas[30:126, 20:68] = cutout(0)
    (pair,) = near_pairs([cutout(0), canvas])
    assert pair.bits <= 2


def test_equal_pictures_are_equal_even_if_empty():
    flat, lighter = np.full((40, 40, 3), 90, np.uint8), np.full((40, 40, 3), 120, np.uint8)
    assert near_pairs([flat, lighter, flat]) == [NearPair(0, 2, 0, False)]
    empty = np.zeros((40, 30, 4), np.uint8)
    assert near_pairs([empty, empty]) == [NearPair(0, 1, 0, False)]


def test_pairs_on_one_side_are_passed_over():
    images = [plate(number) for number in (0, 1, 0, 1, 0)]
    found = near_pairs(images, ["train", "train", "train", "test", "val"])
    assert [(pair.first, pair.second) for pair in found] == [(0, 4), (1, 3), (2, 4)]


def test_groups_are_joined_by_their_neighbours():
    images = [plate(1), plate(0), mirrored(plate(1)), plate(2), cropped(plate(1))]
    assert group(images).tolist() == [0, 1, 0, 3, 0]
