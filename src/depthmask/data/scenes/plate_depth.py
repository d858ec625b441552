"""A frame's depth where the empty room's is known: the room's own, and people on its floor.

The numbers below were chosen on the museum's validation set under a network's masks, and so was a
person without relief: the network's own made the depth worse.
"""

import cv2
import numpy as np

from depthmask.data.scenes.person import THRESHOLD

_EDGE = 0.3  # of the mask: what is above it, half covered pixels among it, takes the person's depth
_EMPTY = 0.2  # of the mask: below it a pixel is the room's alone
_SOLES = 0.05  # of a person's height: the lowest part, which stands on the floor
_FINEST_PX = 256  # the side at which distances are estimated; larger frames are thinned out


def depth_with_plate(
    mask: np.ndarray, depth: np.ndarray, plate_depth: np.ndarray, *, knows_lens: bool = True
) -> np.ndarray:
    """Depth in the plate's unit, float32 H x W, from a network's mask and depth and the empty
    room's depth, 0 or no number where that is unknown; all H x W.

    Where nobody stands it is the room's; unknown pixels take the network's, scaled to the others. A
    person is as far as two estimates say in the geometric mean, but never behind the room: the
    network's and the room's under the feet. The first stands alone where the frame's lower edge
    cuts the person off; it is scaled to the room unless it is the true lens's (`knows_lens`).
    """
    known = np.isfinite(plate_depth) & (plate_depth > 0)
    _, labels = cv2.connectedComponents((mask > _EDGE).astype(np.uint8))
    step = max(1, len(mask) // _FINEST_PX)
    thin = np.s_[::step, ::step]
    found = np.log(np.maximum(depth[thin], 1e-6))
    room = np.log(np.where(known, plate_depth, 1)[thin])
    empty = known[thin] & (mask[thin] < _EMPTY)
    compared = empty if empty.any() else known[thin]
    ratio = np.median((room - found)[compared]) if compared.any() else 0.0
    room = np.where(known[thin], room, found + ratio)
    found = found if knows_lens else found + ratio
    distances = np.full(labels.max() + 1, np.inf, np.float32)
    distances[1:] = [
        _distance(labels[thin] == label, mask[thin], found, room)
        for label in range(1, len(distances))
    ]
    answer = np.where(known, plate_depth, depth * np.exp(ratio))
    return np.minimum(answer, distances[labels]).astype(np.float32)


def _distance(region: np.ndarray, mask: np.ndarray, found: np.ndarray, room: np.ndarray) -> float:
    """How far a region's person is, infinite if it holds none; `found` by the network and `room`
    are logarithms."""
    person = region & (mask > THRESHOLD)
    if not person.any():
        return np.inf
    far = np.median(found[person])
    _, y, _, height = cv2.boundingRect(person.astype(np.uint8))
    last = y + height - 1
    if last < 0.99 * (len(mask) - 1):
        columns = person[max(0, last + 1 - max(3, round(_SOLES * height))) : last + 1].any(0)
        # soft pixels right below count as their share: the feet end between two rows
        foot = last + np.minimum.accumulate(mask[last + 1 :, columns]).mean(1).sum()
        floor = np.interp(foot, np.arange(len(mask)), np.median(room[:, columns], axis=1))
        far = (far + floor) / 2
    return float(np.exp(far))


def plate_at_feet(mask: np.ndarray, plate_depth: np.ndarray) -> np.ndarray:
    """The plate's depth, in which each region of the mask is as far as the plate under its lowest
    row; all H x W."""
    depth = plate_depth.copy()
    count, labels = cv2.connectedComponents((mask > THRESHOLD).astype(np.uint8))
    for label in range(1, count):
        rows, columns = np.nonzero(labels == label)
        depth[rows, columns] = np.median(plate_depth[rows.max(), columns[rows == rows.max()]])
    return depth
