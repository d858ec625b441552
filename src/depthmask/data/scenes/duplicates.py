"""Pictures that are nearly the same, so that no split holds what another has already shown.

A perceptual hash (Zauner 2010, "Implementation and benchmarking of perceptual image hash
functions") finds candidates. Among many pairs some hashes agree by chance: the correlation of the
colours, which other light leaves alone, confirms. On 250 rooms and 250 people of the tests
strangers with at most 16 differing bits correlate by up to 0.52; copies in other light, mirrored,
cropped by 2 %, halved or as JPEG of quality 30 differ by up to 16 bits and correlate by 0.98.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

MOST_DIFFERENT_BITS = 16
LEAST_CORRELATION = 0.8

_SIDE = 32


class NearPair(NamedTuple):
    """Two pictures that are nearly the same: their indices, how many of 64 bits differ, and
    whether one is the other's mirror image."""

    first: int
    second: int
    bits: int
    mirrored: bool


def near_pairs(
    images: Sequence[np.ndarray], sides: Sequence[Hashable] | None = None
) -> list[NearPair]:
    """Find the pairs that are nearly the same, mirror images included; the first index is lower.

    Args:
        images: uint8, H x W x 3, or H x W x 4 with alpha: people, wherever on the canvas.
        sides: a label each; pairs with equal labels are passed over.
    """
    if not len(images):
        return []
    plain = [_thumbnail(image) for image in images]
    mirrored = [thumbnail[:, ::-1] for thumbnail in plain]
    signs = _hash_signs(plain)
    differ = np.stack([(64 - _hash_signs(kind) @ signs.T) // 2 for kind in (plain, mirrored)])
    allowed = np.triu(np.ones(differ.shape[1:], bool), 1)
    if sides is not None:
        labels = np.unique(np.asarray(sides), return_inverse=True)[1]
        allowed &= labels[:, None] != labels
    found = []
    for first, second in np.argwhere(allowed & (differ.min(0) <= MOST_DIFFERENT_BITS)).tolist():
        if np.array_equal(images[first], images[second]):  # of one colour, perhaps
            found.append(NearPair(first, second, 0, False))
            continue
        bits, flip = min((int(differ[kind, first, second]), kind) for kind in (0, 1))
        one = (mirrored if flip else plain)[first]
        if _correlation(one, plain[second]) >= LEAST_CORRELATION:
            found.append(NearPair(first, second, bits, bool(flip)))
    return found


def group(images: Sequence[np.ndarray]) -> np.ndarray:
    """Number the groups of nearly equal pictures, int64 [N]: each has its first member's index."""
    groups = np.arange(len(images))
    for pair in near_pairs(images):
        lower, upper = sorted((groups[pair.first], groups[pair.second]))
        groups[groups == upper] = lower
    return groups


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """uint8, 32 x 32 x 3; of a person the box around them, on their own mean colour."""
    picture = Image.fromarray(np.ascontiguousarray(image[..., :3]))
    if image.shape[2] == 4:
        alpha = Image.fromarray(np.ascontiguousarray(image[..., 3]))
        shares = image[..., 3:] / max(float(image[..., 3].sum()), 1.0)
        red, green, blue = np.rint((image[..., :3] * shares).sum((0, 1))).astype(int).tolist()
        around = Image.new("RGB", picture.size, (red, green, blue))
        person = Image.composite(picture, around, alpha)
        picture = person.crop(alpha.point(lambda value: value > 127 and 255).getbbox())
    return np.asarray(picture.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS))


def _hash_signs(thumbnails: Sequence[np.ndarray]) -> np.ndarray:
    """Perceptual hashes, int16 [N, 64] of -1 and 1."""
    import imagehash  # not above: a GPU machine that evaluates rendered rooms can do without

    hashes = [imagehash.phash(Image.fromarray(thumbnail)).hash for thumbnail in thumbnails]
    return 2 * np.stack(hashes).reshape(len(hashes), -1).astype(np.int16) - 1


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's of the colours with a gain and an offset for each; 0 where nothing varies."""
    one, other = (image.reshape(-1, 3) - image.mean((0, 1)) for image in (one, other))
    most = float((np.linalg.norm(one, axis=0) * np.linalg.norm(other, axis=0)).sum())
    return float((one * other).sum()) / most if most > 0 else 0.0
