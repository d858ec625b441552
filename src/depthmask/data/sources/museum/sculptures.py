"""Sculptures and vessels, and what they are made of.

Each piece stands on z = 0 around the origin, facing -y.
"""

import numpy as np

from depthmask.data.sources.museum.heads import bust_head
from depthmask.data.sources.museum.materials import Material, hsv, marble, noise, plain, textured
from depthmask.data.sources.museum.shapes import (
    Part,
    box,
    ellipsoid,
    lathe,
    loft,
    rotation,
    tube,
    turned,
)


def stone(rng: np.random.Generator) -> Material:
    """White marble, grey or sandy stone, bronze, dark basalt."""
    kind = rng.integers(6)
    if kind < 2:
        return textured(marble(rng, (0.88, 0.86, 0.82), (0.7, 0.69, 0.68)), (1.0, 1.0))
    if kind == 2:
        return textured(marble(rng, (0.62, 0.6, 0.57), (0.45, 0.44, 0.43)), (0.8, 0.8))
    if kind == 3:
        return textured(marble(rng, (0.76, 0.64, 0.48), (0.6, 0.47, 0.33)), (0.8, 0.8))
    if kind == 4:
        return plain((0.36, 0.24, 0.14), 0.25)
    return plain((0.17, 0.19, 0.19), 0.3)


def ceramic(rng: np.random.Generator) -> Material:
    """Glazes: plain, banded or figured."""
    base = hsv(
        rng.choice([0.05, 0.08, 0.56, 0.6, 0.45, 0.12]),
        rng.uniform(0.15, 0.8),
        rng.uniform(0.3, 0.9),
    )
    kind = rng.integers(3)
    if kind == 0:
        return plain(base, 0.12)
    size = 48
    y, x = np.mgrid[0:size, 0:size] / size
    other = rng.choice([0.08, 0.9]) * np.ones(3)
    if kind == 1:
        share = (np.sin(2 * np.pi * 3 * y) > 0.5) * 1.0
    else:
        share = np.clip(noise(rng, (size, size), 4) * 6, 0, 1) * (np.abs(y - 0.5) < 0.35)
    texture = base * (1 - share[..., None]) + other * share[..., None]
    return textured(texture, (0.5, 0.4), 0.12)


def vase(rng: np.random.Generator, height: float) -> list[Part]:
    """A vessel on its foot, sometimes with handles."""
    r = height * rng.uniform(0.22, 0.36)
    neck, lip = r * rng.uniform(0.25, 0.6), r * rng.uniform(0.4, 0.85)
    belly = rng.uniform(0.4, 0.7)
    profile = [
        (0.01, 0),
        (0.5 * r, 0.0),
        (0.42 * r, 0.05),
        (0.8 * r, 0.6 * belly),
        (r, belly),
        (0.75 * r, 0.5 * belly + 0.42),
        (neck, 0.88),
        (lip, 1.0),
        (0.8 * lip, 0.995),
    ]
    glaze = ceramic(rng)
    parts = [lathe(turned([(a, b * height) for a, b in profile], 4), glaze)]
    if rng.random() < 0.35:
        for side in (-1, 1):
            points = np.array(
                [[neck, 0, 0.93], [1.3 * r, 0, 0.9], [1.35 * r, 0, 0.75], [0.9 * r, 0, 0.62]]
            )
            points *= [side, 1, height]
            parts.append(tube(points, [0.025 * height] * 4, glaze, segments=6))
    return parts


def bust(rng: np.random.Generator, height: float) -> list[Part]:
    """A head and shoulders on a socle."""
    material = stone(rng)
    head = 0.44 * height
    parts = [
        lathe(
            [
                (0.01, 0),
                (0.19 * height, 0),
                (0.17 * height, 0.03 * height),
                (0.1 * height, 0.08 * height),
                (0.12 * height, 0.16 * height),
            ],
            material,
        ),
    ]
    z = np.array([0.14, 0.2, 0.3, 0.4, 0.46, 0.52, 0.6]) * height
    widths = np.array([0.16, 0.3, 0.37, 0.36, 0.25, 0.11, 0.1]) * height
    depths = np.array([0.12, 0.18, 0.2, 0.17, 0.13, 0.1, 0.1]) * height
    centers = np.stack([0 * z, 0.02 * height + 0 * z, z], 1)
    parts.append(loft(centers, (1, 0, 0), (0, 1, 0), widths, depths, material, squareness=0.2))
    turn = rotation("z", float(rng.normal(180, 15)))
    for part in bust_head(material, rng):
        scaled = Part(part.vertices * head, part.faces, part.uv, material, part.normals)
        parts.append(scaled.moved((0, -0.02 * height, 0.55 * height), turn))
    return [part.moved() for part in parts]


def abstract_sculpture(rng: np.random.Generator, height: float) -> list[Part]:
    """Spheres, rings, twisted bars or a flame of stone or metal."""
    material = (
        stone(rng)
        if rng.random() < 0.6
        else plain(hsv(rng.random(), rng.uniform(0.0, 0.9), rng.uniform(0.4, 0.9)), 0.2)
    )
    kind = rng.integers(5)
    if kind == 0:
        r = 0.3 * height
        return [
            ellipsoid((0, 0, r), (r, r, r), material),
            ellipsoid((0.1 * r, 0, 2.4 * r), (0.6 * r, 0.6 * r, 0.75 * r), material),
        ]
    if kind == 1:
        t = np.linspace(0, 2 * np.pi, 20)
        ring = (
            np.stack([0.36 * np.cos(t), 0.12 * np.sin(2 * t), 0.55 + 0.4 * np.sin(t)], 1) * height
        )
        return [
            tube(ring, [0.09 * height] * 20, material),
            box((0, 0, 0.06 * height), (0.3 * height, 0.3 * height, 0.12 * height), material),
        ]
    if kind == 2:
        side = 0.3 * height
        return [
            box(
                (0, 0, side * (k + 0.5)),
                np.array([side * 1.2, side * 1.2, side]) * (1 - 0.12 * k),
                material,
                rotation("z", 27.0 * k),
            )
            for k in range(3)
        ]
    z = np.linspace(0, 1, 12)
    if kind == 3:
        centers = np.stack([0.12 * np.sin(5 * z), 0.08 * np.cos(4 * z), z], 1) * height
        radii = (0.12 + 0.14 * np.sin(np.pi * z) ** 1.5) * height * np.where(z > 0.98, 0.1, 1)
        return [loft(centers, (1, 0, 0), (0, 1, 0), radii, 0.6 * radii, material)]
    arm = [(-0.25, 0, 0.0), (-0.05, 0, 0.6), (0.22, 0, 0.75), (0.05, 0, 0.98)]
    return [tube(np.array(arm) * height, np.array([0.1, 0.07, 0.08, 0.05]) * height, material)]
