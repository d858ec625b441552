"""Where the person is and how far: one summary of a mask and a depth map."""

from typing import NamedTuple

import cv2
import numpy as np

THRESHOLD = 0.5


class Person(NamedTuple):
    """The largest connected region of a mask."""

    depth: float  # median over the region, in the map's unit: robust against its ragged edge
    box: tuple[int, int, int, int]  # x, y (right, down from the top left), width, height, px
    area_share: float  # the region's share of the frame's pixels, 0 to 1


def find_person(mask: np.ndarray, depth: np.ndarray, threshold: float = THRESHOLD) -> Person | None:
    """Summarise the largest region of a mask, H x W, 0 to 1, above the threshold; None without.

    Two people who touch are one region; of two who do not, the larger is told about.
    """
    region = largest_region(mask > threshold)
    if not region.any():
        return None
    x, y, width, height = cv2.boundingRect(region.astype(np.uint8))
    return Person(float(np.median(depth[region])), (x, y, width, height), float(region.mean()))


def largest_region(person: np.ndarray) -> np.ndarray:
    """The largest 8-connected region of a boolean H x W, all False if there is none."""
    _, labels, figures, _ = cv2.connectedComponentsWithStats(person.astype(np.uint8))
    figures[0] = 0  # the background
    return person & (labels == figures[:, cv2.CC_STAT_AREA].argmax())
