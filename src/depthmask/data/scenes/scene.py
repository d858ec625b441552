"""The vocabulary: what a plate, a cutout, a placement and a scene are.

Camera coordinates everywhere: x right, y down, z forward, in metres, origin at the camera.
Pixels: u right, v down; a pixel's centre lies at its index + 0.5. Images are square, S x S.
Depth is planar (the z coordinate, not the distance along the ray).
Nothing here imports torch: a Scene holds NumPy arrays or tensors alike.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import numpy as np

Array = TypeVar("Array")

SPLITS = ("train", "val", "test")
"""Splits are by plate and by cutout, never by composite."""

SET_SPLITS = {
    "val": ("val", "val"),
    "seen_seen": ("train", "train"),
    "seen_unseen": ("train", "test"),
    "unseen_seen": ("test", "train"),
    "unseen_unseen": ("test", "test"),
}
"""The splits of the plates and the cutouts of a composed set, in the order of its name."""

COMPOSED_SETS = tuple(SET_SPLITS)


class Words(NamedTuple):
    """A set in words."""

    label: str
    text: str  # what it is
    place: str  # where a figure was reached, after a count


SETS = {
    "in_scene": Words(
        "In-scene",
        "people and rooms never seen; rendered together, with true shadows and bounced light",
        "frames of people and rooms never seen",
    ),
    "unseen_unseen": Words(
        "Unseen room, unseen person",
        "composites; neither was in the training",
        "composites of people and rooms never seen",
    ),
    "unseen_seen": Words(
        "Unseen room, seen person", "composites", "composites of rooms never seen"
    ),
    "seen_unseen": Words(
        "Seen room, unseen person", "composites", "composites of people never seen"
    ),
    "seen_seen": Words(
        "Seen room, seen person",
        "composites of what it was trained on: what a random split measures",
        "composites of rooms and people of the training",
    ),
    "val": Words(
        "Validation",
        "composites of rooms and people of their own; the best is chosen here",
        "composites of the validation",
    ),
}
"""Hardest first. Only the museum can render people inside its rooms, hence has `in_scene`."""

TEST_SETS = tuple(name for name in SETS if name != "val")

UNITS = ("metre", "relative")
"""Of depth; relative depth grows with distance, but its scale and shift are unknown."""

Alignment = Literal["depth", "disparity"]
"""In what relative depth is aligned with the truth: in its values, or in their inverse."""


REFERENCE_FOCAL = 0.9
"""Focal length, in heights of the frame, of the lens that a network takes every frame to be from: a
picture alone does not tell a near wide lens from a far long one, and metres are proportional."""


class Camera(NamedTuple):
    """A pinhole camera without roll, its principal point in the middle of the image."""

    focal: float  # focal length / the image's height, so that it holds for every size
    up: tuple[float, float, float]  # the world's up, a unit vector; (0, -1, 0) if level
    height_m: float  # above the floor

    def project(self, points: np.ndarray, size: int) -> np.ndarray:
        """Project camera-space points (..., 3) to pixels (..., 2) of an image `size` high."""
        return size * (self.focal * points[..., :2] / points[..., 2:] + 0.5)


def spread(total: int, count: int) -> list[int]:
    """Up to `count` of the numbers below `total`, evenly, the first and the last among them."""
    return np.linspace(0, total - 1, min(count, total)).round().astype(int).tolist()


@dataclass(frozen=True)
class Plate:
    """A room with nobody in it, by a name unique within the source, such as `room-0007`."""

    name: str
    image: np.ndarray  # uint8, S x S x 3, RGB
    depth: np.ndarray  # float32, S x S, metres
    camera: Camera
    stands: np.ndarray  # float32, K x 3, points of the floor where a person has room to stand


@dataclass(frozen=True)
class Cutout:
    """A person without a room, seen level from the front of the canvas; a name as a plate's."""

    name: str
    rgba: np.ndarray  # uint8, h x w x 4, RGB and straight (not premultiplied) alpha
    relief: np.ndarray  # float32, h x w, metres: depth less that of the foot; 0 where alpha is 0
    metres_per_px: float
    foot: tuple[float, float]  # (u, v) pixel that stands on the floor
    height_m: float  # hair and hat included


class Scene(NamedTuple, Generic[Array]):
    """A sample, or a batch of samples with a leading axis.

    As NumPy: bg and bg_fg uint8 H x W x 3, mask float32 H x W in 0..1, depth float32 H x W, m.
    As a batch of tensors: bg and bg_fg float N x 3 x H x W in 0..1, mask and depth N x 1 x H x W,
    focal N x 1 x 1 x 1, the lens's focal length in heights of the frame; None: `REFERENCE_FOCAL`.
    """

    bg: Array
    bg_fg: Array
    mask: Array
    depth: Array
    focal: Array | None = None

    def take(self, rows: Any) -> "Scene[Array]":
        """Some of a batch's scenes."""
        return self._each(lambda field: field[rows])

    def to(self, device: Any) -> "Scene[Array]":
        """A batch of tensors on another device."""
        return self._each(lambda field: field.to(device))

    def _each(self, change: Callable[[Any], Array]) -> "Scene[Array]":
        return Scene(*(field if field is None else change(field) for field in self))  # type: ignore[arg-type]
