"""The floor in a plate's depth, the camera that sees it so, and where people stand on it.

A point p = Z * ray of pixel (u, v), with ray = ((u - 1/2) / f, (v - 1/2) / f, 1) and u, v, f in
shares of the image, lies on the floor if up . p = -height. So on a floor 1 / Z is an affine
function of the pixel, a (u - 1/2) + b (v - 1/2) + c, and from a fit in 1/m follow

    n = (a f, b f, c),  height = 1 / |n|,  up = -n / |n|.

A teacher's inverse depth is affine there too: scale and shift put it under a nominal camera.
"""

from pathlib import Path

import cv2
import numpy as np

from depthmask.config import PhotosParams
from depthmask.data.scenes.scene import Camera
from depthmask.data.sources.photos.folder import warn

NUM_STANDS = 64  # as the museum has

_FARTHEST_M = 20.0  # a plate's farthest point is put there or nearer
_TOLERANCE = 0.015  # of the range of inverse depth: 3 % of the depth at the far end of a room
_FEWEST = 0.06  # share of the image that a floor fills at least
_LEAST_SLOPE = 0.2  # change of inverse depth over the image's height, in shares of its range
_SIZES = (0.25, 0.9), (0.05, 1.0)  # of a person, likely and possible, in shares of the frame
_WIDTH = 0.44  # of the frame, to both sides of its middle: nearer the edge a person is cut


def ground_plate(
    path: Path, values: np.ndarray, unit: str, params: PhotosParams, seed: int
) -> tuple[np.ndarray, Camera, np.ndarray]:
    """Metres (nominal ones of inverse depth, `unit` relative), float32 S x S, the camera, and where
    people may stand, float32 K x 3; without a floor a level camera and the lower third."""
    rng = np.random.default_rng([seed, *path.stem.encode()])
    focal = 0.5 / float(np.tan(np.radians(params.fov_degrees) / 2))
    inverse = (values if unit == "relative" else 1 / values).astype(np.float64)
    found, floor = find_floor(inverse, rng)
    depth, plane = values, found
    if plane is None:
        warn(path, "shows no floor that its depth would tell: look at the contact sheet")
        floor[2 * len(values) // 3 :] = True
        farthest, nearest = np.percentile(inverse, (0.5, 99.5))
        plane = np.array([0, max(2 * (nearest - farthest), 1e-6), farthest])
    if unit == "relative":
        scale, shift = nominal_scale(inverse, plane, focal, params.camera_height_m)
        plane = plane * scale + (0, 0, shift)
        depth = (1 / (inverse * scale + shift).clip(0.04, 2)).astype(np.float32)
    camera = Camera(focal, (0.0, -1.0, 0.0), params.camera_height_m)
    if found is not None:
        if (roll := abs(np.degrees(np.arctan2(plane[0], plane[1])))) > 4:
            warn(path, f"leans by {roll:.0f} degrees: people will not")
        x, y, z = normal = plane * (focal, focal, 1)
        height_m = 1 / float(np.linalg.norm(normal))
        # the roll is taken out, the height kept
        up = 0.0, -float(np.hypot(x, y)) * height_m, -float(z) * height_m
        camera = Camera(focal, up, height_m)
        if not 0.3 < height_m < 6:
            warn(path, f"is seen from {height_m:.2f} m over its floor: is fov_degrees right?")
    return depth, camera, draw_stands(depth, floor, camera, sum(params.person_height_m) / 2, rng)


def find_floor(
    inverse: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray | None, np.ndarray]:
    """Fit the floor to inverse depth, S x S, by RANSAC (Fischler and Bolles 1981): (a, b, c),
    None if there is none to see, and where the plate shows it, bool, S x S."""
    span = float(np.ptp(np.percentile(inverse, (2, 98))))
    tolerance = _TOLERANCE * span
    v, u = (np.mgrid[: len(inverse), : len(inverse)] + 0.5) / len(inverse) - 0.5
    everywhere = np.stack([u, v, np.ones_like(u)], -1)
    step = max(1, len(inverse) // 160)
    lower = v[::step, ::step] > 0.45 - 0.5
    pixels, values = everywhere[::step, ::step][lower], inverse[::step, ::step][lower]

    triples = rng.integers(len(pixels), size=(600, 3))
    triples = triples[np.abs(np.linalg.det(pixels[triples])) > 1e-3]
    planes = np.linalg.solve(pixels[triples], values[triples][..., None])[..., 0]
    # nearer towards the bottom, by enough, and leaning by 15 degrees at most
    level = np.abs(planes[:, 0]) < np.tan(np.radians(15)) * planes[:, 1]
    planes = planes[level & (planes[:, 1] > _LEAST_SLOPE * span)]
    above = values[:, None] - pixels @ planes.T
    # what lies beneath a plane counts against it, so a table's top loses
    scores = (np.abs(above) < tolerance).sum(0) - 0.5 * (above < -2 * tolerance).sum(0)
    if len(planes) == 0 or scores.max() <= _FEWEST * lower.size:
        return None, np.zeros(inverse.shape, bool)
    plane = planes[scores.argmax()]
    for _ in range(4):
        inside = np.abs(pixels @ plane - values) < tolerance
        plane = np.linalg.lstsq(pixels[inside], values[inside], rcond=None)[0]
    return plane, np.abs(everywhere @ plane - inverse) < tolerance


def nominal_scale(
    inverse: np.ndarray, plane: np.ndarray, focal: float, height_m: float
) -> tuple[float, float]:
    """Scale and shift that make inverse depth 1/m under a camera `height_m` over the floor `plane`,
    which looks level, or down so far that all lies within 20 m."""
    slope, horizon = focal * np.hypot(plane[0], plane[1]), plane[2]
    # |n| = 1 / height with n = (scale * slope, 0) for a level camera
    scale = 1 / (height_m * slope)
    # a narrow lens high up has its nearest floor beyond 20 m
    least = 1 / max(_FARTHEST_M, 4 * height_m)
    below = float(np.percentile(inverse, 0.5)) - horizon
    if scale * below >= least:
        return scale, -scale * horizon
    # else n = (scale * slope, least - scale * below), of the same length
    squares = slope**2 + below**2, -2 * least * below, least**2 - 1 / height_m**2
    scale = float(np.roots(squares).max())
    return scale, least - scale * (below + horizon)


def draw_stands(
    depth: np.ndarray, floor: np.ndarray, camera: Camera, height_m: float, rng: np.random.Generator
) -> np.ndarray:
    """Points of the visible floor with room for a person of a height, spread over near and far:
    float32, NUM_STANDS x 3, camera coordinates, repeated where there are fewer; or 0 x 3."""
    size = len(depth)
    rows, columns = rng.permutation(np.argwhere(floor)).T
    z = depth[rows, columns].astype(np.float64)
    uv = (np.stack([columns, rows], 1) + 0.5) / size
    feet = np.column_stack([(uv - 0.5) * z[:, None] / camera.focal, z])
    heads = feet + height_m * np.asarray(camera.up)
    head_v = camera.project(heads, 1)[:, 1]
    shares = np.where(heads[:, 2] > 0.3, uv[:, 1] - head_v, np.inf)
    room_m = cv2.distanceTransform(floor.astype(np.uint8), cv2.DIST_L2, 5)[rows, columns] * z
    roomy = room_m / size / camera.focal > 0.25
    whole = (head_v > 0.01) & (np.abs(uv[:, 0] - 0.5) < _WIDTH)
    likely, possible = ((shares >= low) & (shares <= high) for low, high in _SIZES)
    # the first rule that leaves enough places
    for allowed in (roomy & whole & likely, roomy & whole & possible, possible):
        if allowed.sum() >= 20:
            break
    feet, shares = feet[allowed], shares[allowed]
    if len(feet) == 0:
        return np.zeros((0, 3), np.float32)
    # at even steps of their size: most of the floor's pixels lie at the bottom of the picture
    order = np.argsort(shares, kind="stable")
    even = np.linspace(shares.min(), shares.max(), NUM_STANDS)
    places = order[np.searchsorted(shares, even, sorter=order).clip(0, len(order) - 1)]
    return feet[rng.permutation(places)].astype(np.float32)
