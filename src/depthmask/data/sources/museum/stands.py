"""Where a person has room to stand and would be seen."""

import mitsuba as mi
import numpy as np

from depthmask.data.sources.museum.loading import World
from depthmask.data.sources.museum.optics import View
from depthmask.data.sources.museum.rooms import Room

NUM_STANDS = 64
ADULT_M = 1.7
HEIGHT_RANGE = (0.25, 0.9)
"""Shares of the frame's height that an adult takes up."""

_STREAM = 3
_CLEAR_M = 0.32
_NEAREST_M = 1.4
_LEAST_VISIBLE = 0.45
_HIDDEN = 0.87
_MOST_CANDIDATES = 900


def floor_point(view: View, u: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Floor points [n, 3] in camera coordinates, from u (0..1 across the frame) and depth z."""
    up = view_up(view)
    x = (u - 0.5) * z / view.focal
    y = (-view.origin[2] - up[2] * z) / up[1]
    return np.stack([x, y, z], -1)


def view_up(view: View) -> np.ndarray:
    """The world's up in camera coordinates."""
    return np.array([view.right[2], view.down[2], view.forward[2]])


def candidates(room: Room, seed: int, count: int = 4000) -> np.ndarray:
    """Floor points that are free and in view, furniture in front not yet considered.

    The adult's height in the frame is drawn uniformly, then the place across.
    """
    rng = np.random.default_rng([_STREAM, seed])
    view, up = room.view, view_up(room.view)
    share = rng.uniform(*HEIGHT_RANGE, count)
    z = view.focal * ADULT_M / share
    feet = floor_point(view, rng.uniform(0.06, 0.94, count), z)
    heads = feet + ADULT_M * up
    with np.errstate(divide="ignore", invalid="ignore"):
        foot_v = view.focal * feet[:, 1] / feet[:, 2] + 0.5
        head_v = view.focal * heads[:, 1] / heads[:, 2] + 0.5
    good = (feet[:, 2] > _NEAREST_M) & (heads[:, 2] > 0.8) & (head_v > 0.015) & (foot_v < 1.03)
    good &= (foot_v - head_v > HEIGHT_RANGE[0]) & (foot_v - head_v < HEIGHT_RANGE[1])
    world = view.to_world(feet)
    good &= np.abs(world[:, 0]) < room.width / 2 - _CLEAR_M - 0.1
    good &= np.abs(world[:, 1]) < room.depth / 2 - _CLEAR_M - 0.1
    for x, y, half_x, half_y in room.footprints:
        gap_x = np.maximum(np.abs(world[:, 0] - x) - half_x, 0)
        gap_y = np.maximum(np.abs(world[:, 1] - y) - half_y, 0)
        good &= np.hypot(gap_x, gap_y) > _CLEAR_M
    return feet[good].astype(np.float32)


def visible_share(world: World, view: View, foot: np.ndarray) -> float:
    """Share of 21 points of a standing adult that nothing in the room hides."""
    up, seen = view_up(view), 0
    heights, sides = (0.06, 0.3, 0.6, 0.9, 1.2, 1.45, 1.65), (-0.16, 0.0, 0.16)
    origin = mi.ScalarPoint3f(view.origin.tolist())
    for height in heights:
        for side in sides:
            point = view.to_world(foot + height * up + np.array([side, 0, 0]))
            ray = mi.Ray3f(origin, mi.ScalarVector3f((point - view.origin).tolist()))
            ray.maxt = 0.995
            seen += not world.scene.ray_test(ray)
    return seen / (len(heights) * len(sides))


def draw_stands(world: World, room: Room, seed: int) -> np.ndarray:
    """Up to NUM_STANDS places, float32 [n, 3], camera coordinates, near and far ones alike.

    A uniform draw over the floor would favour the distance; these are picked so that the adult's
    height in the frame spreads evenly over HEIGHT_RANGE, as far as the room and camera allow.
    """
    view, up = room.view, view_up(room.view)
    feet = candidates(room, seed)[:_MOST_CANDIDATES]
    seen = np.array([visible_share(world, view, foot.astype(np.float64)) for foot in feet])
    feet, seen = feet[seen >= _LEAST_VISIBLE], seen[seen >= _LEAST_VISIBLE]
    heads = feet + ADULT_M * up
    shares = view.focal * (feet[:, 1] / feet[:, 2] - heads[:, 1] / heads[:, 2])
    free, hidden = np.ones(len(feet), bool), seen < _HIDDEN
    picked: list[int] = []
    # leaning to the large, who are fewer: rooms and frames end
    spread = np.linspace(0, 1, min(NUM_STANDS, len(feet))) ** 0.65
    for number, target in enumerate(HEIGHT_RANGE[0] + spread * np.ptp(HEIGHT_RANGE)):
        # every fourth stands behind something, where there are such places
        wanted = free & hidden if number % 4 == 0 and (free & hidden).any() else free
        nearest = int(np.argmin(np.where(wanted, np.abs(shares - target), np.inf)))
        free[nearest] = False
        picked.append(nearest)
    order = np.random.default_rng([_STREAM, seed, 1]).permutation(len(picked))
    return feet[np.array(picked, int)[order]]
