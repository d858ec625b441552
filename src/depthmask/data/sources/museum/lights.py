"""A room's lamps on the ceiling, its windows, spotlights and the sun."""

from typing import Any

import numpy as np

from depthmask.data.sources.museum import textures
from depthmask.data.sources.museum.interiors import TEMPERATURES, Wall
from depthmask.data.sources.museum.optics import beam, globe, panel
from depthmask.data.sources.museum.shapes import Material, Part, box, moved
from depthmask.data.sources.museum.textures import choose, mix, noise, shaded


def ceiling_lights(
    rng: np.random.Generator, size: np.ndarray, height: float
) -> tuple[list[Part], list[Any]]:
    """Luminous panels, two bands, pendant globes, or a skylight behind a lattice."""
    tone = TEMPERATURES[rng.integers(len(TEMPERATURES))] * 6
    kind = rng.choice(["panels", "bands", "globes", "skylight"], p=[0.4, 0.2, 0.2, 0.2])
    frame = Material((0.85, 0.85, 0.84) if rng.random() < 0.8 else (0.2, 0.2, 0.2))
    longer, half = size == size.max(), rng.uniform([0.3, 0.3], [0.6, 0.9])
    counts = np.maximum(1 + longer, rng.integers(1, 3))
    if kind == "globes":
        counts = np.where(longer, rng.integers(1, 4), 1)
    elif kind == "bands":
        half, counts = np.where(longer, 0.4 * size, 0.08), 2 - longer
    elif kind == "skylight":
        half, counts = rng.uniform(0.2, 0.36, 2) * size, np.array([1, 1])
        tone = np.ones(3) * rng.choice([1.3, 1.6])
    parts, lamps = [], []
    drop, radius = rng.uniform(0.7, 1.1), rng.uniform(0.14, 0.26)
    for cell in np.ndindex(*counts):
        x, y = ((np.array(cell) + 0.5) / counts - 0.5) * size
        if kind == "globes":
            parts.append(box((x, y, height - drop / 2), (0.02, 0.02, drop), frame))
            lamps.append(globe((x, y, height - drop), radius, tone * 1.5))
            continue
        for t in np.linspace(-1, 1, 5 if kind == "skylight" else 2):
            for axis in np.eye(2):
                center, extent = (x, y) + t * half * axis, np.where(axis, 0.06, 2 * half)
                parts.append(box((*center, height - 0.1), (*extent, 0.2), frame))
        low = height - (0.15 if kind == "skylight" else 0.21)
        lamps.append(panel((x, y, low), (half[0], 0, 0), (0, -half[1], 0), tone))
    return parts, lamps


def windows(rng: np.random.Generator, wall: Wall) -> tuple[list[Part], list[Any]]:
    width, height, parts, lamps = rng.uniform(0.9, 1.6), rng.uniform(1.2, 1.7), [], []
    frame = Material((0.88, 0.87, 0.85) if rng.random() < 0.7 else (0.25, 0.16, 0.1))
    _, v = textures.grid(32)
    trees = (v - 0.65 + 0.25 * noise(rng, (32, 32), 4)) * 9
    outside = mix(mix([0.55, 0.75, 1.1], [0.95, 1.0, 1.05], v), [0.1, 0.16, 0.07], trees)
    number, z = 1 + int(wall.length > 6), 0.8 + height / 2
    for x in (np.arange(number) + 0.5) / number * wall.length:
        if not wall.take(x - width / 2 - 0.2, x + width / 2 + 0.2):
            continue
        for t in (-0.5, 0, 0.5):
            parts.append(box((x + t * width, -0.03, z), (0.07, 0.07, height + 0.07), frame))
            parts.append(box((x, -0.03, z + t * height), (width, 0.07, 0.07), frame))
        along, up = wall.turn @ [width / 2, 0, 0], (0, 0, height / 2)
        lamps.append(panel(wall.point(x, -0.012, z), along, up, outside * 3.5))
    return moved(parts, wall.offset, wall.turn), lamps


def beams(rng: np.random.Generator, walls: list[Wall]) -> list[Any]:
    """Spotlights or the sun through panes, from high on one wall towards another."""
    x, y = textures.grid(64)
    disc = 6 * (0.45 - np.hypot(x - 0.5, y - 0.5))
    panes = (abs(x * 2 % 1 - 0.5) < 0.44) & (abs(y * 2 % 1 - 0.5) < 0.44)
    shape, lamps = np.clip(choose(rng, (disc, panes)), 0, 1), []
    for _ in range(int(rng.integers(1, 4))):
        first, second = (walls[number] for number in rng.permutation(4)[:2])
        start = first.point(rng.uniform(0.1, 0.9) * first.length, -0.2, first.height - 0.4)
        place = rng.uniform([0.1, -2, 0], [0.9, 0, 1.8]) * [second.length, 1, 1]
        light = shaded(TEMPERATURES[rng.integers(5)] * rng.uniform(6, 24), shape)
        lamps.append(beam(start, second.point(*place), float(rng.uniform(20, 50)), light))
    return lamps
