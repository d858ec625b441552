"""Where people stand on a photograph's floor."""

import numpy as np

from depthmask.data.scenes.scene import Camera

NUM_STANDS = 64
"""As the museum has."""

HEIGHT_RANGE = (0.25, 0.9)
"""Shares of the frame's height that a person takes up, as in the museum: 5 % of a frame's area."""

WIDEST_RANGE = (0.05, 1.0)
"""Where the floor offers nothing in that range."""

_FEW = 20
_ROOM_M = 0.25
_WIDTH = 0.44  # of the frame, to both sides of its middle: nearer the edge a person is cut
_MOST_CANDIDATES = 4000
_GOLDEN = 0.6180339887498949


def draw_stands(
    depth: np.ndarray,
    floor: np.ndarray,
    camera: Camera,
    person_height_m: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Points where a person's feet have floor around them, spread over near and far.

    A stand is a pixel of the floor at the depth that the plate has there, so a person's depth is
    the plate's at the feet. Nobody stands behind furniture: a photograph does not tell what floor
    it hides.

    Args:
        depth: float32, S x S, metres or nominal metres.
        floor: bool, S x S, the pixels that may be stood on.
        person_height_m: of whom the sizes in the frame hold.
        rng: draws the candidates.

    Returns:
        float32, NUM_STANDS x 3, camera coordinates; repeated where there are fewer, and 0 x 3
        where there is none.
    """
    size = len(depth)
    rows, columns = np.nonzero(floor)
    if len(rows) == 0:
        return np.zeros((0, 3), np.float32)
    # as many from each row: a draw over the pixels would favour the bottom of the picture
    weights = 1 / np.bincount(rows, minlength=size)[rows]
    count = min(_MOST_CANDIDATES, len(rows))
    drawn = rng.choice(len(rows), count, replace=False, p=weights / weights.sum())
    rows, columns = rows[drawn], columns[drawn]
    z = depth[rows, columns].astype(np.float64)
    feet = np.stack(
        [
            ((columns + 0.5) / size - 0.5) * z / camera.focal,
            ((rows + 0.5) / size - 0.5) * z / camera.focal,
            z,
        ],
        1,
    )
    heads = feet + person_height_m * np.asarray(camera.up)
    feet, heads = feet[heads[:, 2] > 0.3], heads[heads[:, 2] > 0.3]
    foot_v, head_v = (camera.project(points, size)[:, 1] / size for points in (feet, heads))
    shares = foot_v - head_v
    roomy = _has_room(feet, floor, camera)
    whole = (head_v > 0.01) & (np.abs(feet[:, 0] / feet[:, 2]) * camera.focal < _WIDTH)
    # the first rule that leaves enough places
    for allowed in (
        roomy & whole & _within(shares, HEIGHT_RANGE),
        roomy & whole & _within(shares, WIDEST_RANGE),
        roomy & _within(shares, WIDEST_RANGE),
        _within(shares, WIDEST_RANGE),
    ):
        if allowed.sum() >= _FEW:
            break
    feet, shares = feet[allowed], shares[allowed]
    if len(feet) == 0:
        return np.zeros((0, 3), np.float32)
    picked = _spread(shares, feet[:, 0] / feet[:, 2])
    picked = picked[np.arange(NUM_STANDS) % len(picked)]
    return feet[rng.permutation(picked)].astype(np.float32)


def _within(shares: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    return (shares >= limits[0]) & (shares <= limits[1])


def _has_room(feet: np.ndarray, floor: np.ndarray, camera: Camera) -> np.ndarray:
    """Whether the floor goes on around the feet, as far as the frame shows."""
    size = len(floor)
    up = np.asarray(camera.up)
    away = np.array([0.0, 0.0, 1.0]) - up[2] * up
    away /= np.linalg.norm(away)
    good = np.ones(len(feet), bool)
    for angle in np.radians(np.arange(0, 360, 45)):
        step = _ROOM_M * (np.cos(angle) * np.array([1.0, 0, 0]) + np.sin(angle) * away)
        around = feet + step
        u, v = np.floor(camera.project(around, size)).astype(int).T
        outside = (u < 0) | (u >= size) | (v >= size)
        good &= outside | floor[v.clip(0, size - 1), u.clip(0, size - 1)]
    return good


def _spread(shares: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Indices of up to NUM_STANDS places, even in size (leaning to the large) and sideways."""
    low, high = shares.min(), shares.max()
    free = np.ones(len(shares), bool)
    picked = []
    count = min(NUM_STANDS, len(shares))
    for number, target in enumerate(low + (high - low) * np.linspace(0, 1, count) ** 0.65):
        distance = np.where(free, np.abs(shares - target), np.inf)
        near = np.flatnonzero(distance <= max(0.02, distance.min()))
        near = near[np.argsort(across[near], kind="stable")]
        chosen = near[int(number * _GOLDEN % 1 * len(near))]
        free[chosen] = False
        picked.append(chosen)
    return np.array(picked, int)
