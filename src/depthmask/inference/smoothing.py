"""Answers to a video's frames without flicker: what does not move is averaged over time."""

from collections import deque

import cv2
import numpy as np

from depthmask.data.scenes.person import Person

_HOLD = 0.8  # of the answer before, where a pixel has not changed at all
_SIGMA = 6.0  # of 255: a change of the picture that sensors' noise seldom makes
_WEIGHTS = (_HOLD * np.exp(-((np.arange(256) / _SIGMA) ** 2))).astype(np.float32)


class Smoother:
    """A moving average in each pixel, as slow as the picture there is still: a person who moves is
    answered from the frame alone, so no mask lags behind. A distance is the median of the last
    `num_distances`."""

    def __init__(self, num_distances: int = 5) -> None:
        self._flicker: deque[list[float]] = deque(maxlen=10_000)
        self._before: tuple[np.ndarray, ...] | None = None
        self._depths: deque[float] = deque(maxlen=num_distances)

    def steady(self, person: Person | None) -> Person | None:
        """The person at the median distance of the last frames; two people who meet are one
        region, so that a distance may jump and come back."""
        if person is None:
            self._depths.clear()
            return None
        self._depths.append(person.depth)
        return person._replace(depth=float(np.median(self._depths)))

    def mean_flicker(self) -> list[float] | None:
        """By how much, of 1, the mask of a pixel changes from frame to frame where the picture does
        not: of the answers given and of the smoothed ones, over the last 10,000 frames; None where
        no pixel stood still."""
        return np.mean(self._flicker, axis=0).tolist() if self._flicker else None

    def __call__(
        self, image: np.ndarray, mask: np.ndarray, depth: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The next frame's mask and depth, smoothed; uint8 H x W x 3 and float32 H x W, all of one
        size in a video."""
        # half the size takes noise away, and three quarters of the work
        size = [(side + 1) // 2 for side in reversed(mask.shape)]
        picture = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        given = mask
        if self._before is not None:
            picture_before, given_before, mask_before, depth_before = self._before
            red, green, blue = cv2.split(cv2.absdiff(picture, picture_before))
            change = cv2.max(cv2.max(red, green), blue)
            weight = cv2.resize(
                cv2.LUT(change, _WEIGHTS), mask.shape[::-1], interpolation=cv2.INTER_NEAREST
            )
            mask = mask + weight * (mask_before - mask)
            depth = depth + weight * (depth_before - depth)
            still = (change < _SIGMA).astype(np.uint8)
            thin = np.s_[::2, ::2]
            pairs = (given, given_before), (mask, mask_before)
            if still.any():
                changes = [cv2.absdiff(*(each[thin] for each in pair)) for pair in pairs]
                self._flicker.append([cv2.mean(each, still)[0] for each in changes])
        self._before = picture, given, mask, depth
        return mask, depth
