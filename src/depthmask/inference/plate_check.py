"""Whether a frame's room is the plate's; a wrong plate gives an answer like any other."""

from typing import NamedTuple

import cv2
import numpy as np

# Measured under the exported network's masks, on 80 in-scene frames and 208 of two real sequences:
# the right plate (of 40 frames also a stop away, under noise, JPEG or blur), others, mirrored ones.
_MATCH = 0.3  # of whole pictures: the right plate has 0.4 and more, others stay below
_ROOM_MATCH = 0.5  # without the person: the right plate has 0.8 and more
_MOVED = 0.01  # of the longer side; with the right plate the estimate stays below 0.6 %
_TOO_FAR = 0.04  # training draws shifts of 3 %, which the network registers
_UNLIKE = 0.15  # of full scale; noise, and light half a stop away, stay below it
# a person who fills the frame hides the edges; the room around then still looks like the plate
_UNLIKE_WITHOUT_MATCH = 0.05
_SAME_ROOM = "is this the plate of the same room?"
_BARE = 10.0  # standard deviation of the edges: noise has 4, a room 70


class Verdict(NamedTuple):
    """What is wrong with a plate, in a line with the remedy, and whether an answer is of no use."""

    text: str
    is_refused: bool = False


def check_plate(bg: np.ndarray, bg_fg: np.ndarray, mask: np.ndarray) -> Verdict | None:
    """Whether the camera moved, the light changed or the room around the person is not the plate's;
    None if it is. Of uint8, H x W x 3, and a mask H x W, 0 to 1."""
    step = max(1, max(mask.shape) // 128)  # of a larger picture every n-th pixel is enough
    thin = np.s_[::step, ::step]
    room = mask[thin] < 0.5
    share = 1 - room.mean()
    apart = cv2.absdiff(bg[thin], bg_fg[thin]).mean(axis=2)[room] / 255
    apart = float(np.median(apart)) if apart.size else 0.0
    scale = min(1.0, 128 / max(mask.shape))  # there is less noise than at full size
    size = [max(8, round(side * scale)) for side in reversed(mask.shape)]
    maps = [_edges(cv2.resize(each, size, interpolation=cv2.INTER_AREA)) for each in (bg, bg_fg)]
    if max(edges.std() for edges in maps) >= _BARE:  # bare walls: nothing tells one from another
        # saturated, so that a person in strong colours does not outweigh the room
        maps = [edges / (edges + edges.mean() + 1e-3) for edges in maps]
        shift, match = _align(maps)
        around = cv2.erode(cv2.resize(room.astype(np.uint8), size), np.ones((5, 5), np.uint8)) > 0
        if around.any():
            maps = [np.where(around, edges - edges[around].mean(), np.float32(0)) for edges in maps]
        room_shift, room_match = _align(maps)
        if apart > _UNLIKE_WITHOUT_MATCH and match < _MATCH:
            return Verdict(f"the frame's edges are not the plate's: {_SAME_ROOM}", True)
        if match > _MATCH and shift > _MOVED or room_match > _ROOM_MATCH and room_shift > _MOVED:
            moved = max(shift, room_shift) if match > _MATCH else room_shift
            text = f"the camera has moved by about {moved:.0%} of the frame: take a new plate"
            return Verdict(text, moved > _TOO_FAR)
    if share > 0.4:
        return Verdict(f"{share:.0%} of the frame is taken for a person: {_SAME_ROOM}")
    if apart > _UNLIKE:
        remedy = "take a new plate if the camera or the light has changed"
        return Verdict(
            f"half of the room differs from the plate by more than {apart:.0%}: {remedy}"
        )
    return None


def _edges(image: np.ndarray) -> np.ndarray:
    """The gradient's magnitude, float32 H x W, of an image of any size."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    smooth = cv2.GaussianBlur(grey, (0, 0), 1)
    return np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))


def _align(maps: list[np.ndarray]) -> tuple[float, float]:
    """By what share of the longer side two edge maps are apart, and how well they then match: the
    phase correlation, 1 for the same edges and about 0 for others."""
    bg, bg_fg = maps
    window = cv2.createHanningWindow(bg.shape[::-1], cv2.CV_32F)
    (x, y), match = cv2.phaseCorrelate(bg, bg_fg, window)
    return float(np.hypot(x, y)) / max(bg.shape), match
