"""Fabrics, skins, faces and hair colours."""

import numpy as np

from depthmask.data.sources.museum.materials import Material, hsv, mix, noise, plain, textured

SKINS = (
    (0.96, 0.80, 0.70),
    (0.93, 0.74, 0.62),
    (0.87, 0.66, 0.52),
    (0.78, 0.57, 0.42),
    (0.66, 0.46, 0.33),
    (0.52, 0.35, 0.25),
    (0.40, 0.27, 0.20),
    (0.30, 0.20, 0.16),
)

HAIRS = (
    (0.07, 0.06, 0.06),
    (0.14, 0.09, 0.07),
    (0.26, 0.16, 0.10),
    (0.42, 0.27, 0.15),
    (0.72, 0.55, 0.32),
    (0.85, 0.72, 0.48),
    (0.55, 0.22, 0.10),
    (0.62, 0.61, 0.60),
    (0.88, 0.87, 0.85),
)


def cloth_color(rng: np.random.Generator) -> np.ndarray:
    """Mostly neutrals, navy and earth; a third bright; some the white or grey of a wall."""
    kind = rng.random()
    if kind < 0.2:
        return np.ones(3) * rng.uniform(0.06, 0.22) * rng.uniform(0.9, 1.1, 3)
    if kind < 0.38:
        return np.ones(3) * rng.uniform(0.55, 0.93) * rng.uniform(0.93, 1.02, 3)
    if kind < 0.52:
        return hsv(
            0.6 + 0.03 * rng.standard_normal(), rng.uniform(0.4, 0.7), rng.uniform(0.2, 0.55)
        )
    if kind < 0.74:
        return hsv(rng.uniform(0.05, 0.14), rng.uniform(0.2, 0.55), rng.uniform(0.3, 0.8))
    return hsv(rng.random(), rng.uniform(0.3, 0.8), rng.uniform(0.3, 0.85))


def fabric(rng: np.random.Generator, color: np.ndarray, *, plainly: float = 0.45) -> Material:
    """A cloth: plain with probability `plainly`, else striped, checked, dotted or printed."""
    size = 64
    y, x = np.mgrid[0:size, 0:size] / size
    weave = 1 + 0.04 * noise(rng, (size, size), 6)
    second = cloth_color(rng)
    if np.abs(second - color).sum() < 0.35:
        second = np.clip(color + (0.5 if color.mean() < 0.5 else -0.4), 0, 0.95)
    if rng.random() < plainly:
        return textured(color * weave[..., None], (0.5, 0.5))
    kind = rng.integers(7)
    if kind == 0:  # stripes around
        share = (np.sin(2 * np.pi * 2 * y) > rng.uniform(-0.3, 0.6)) * 1.0
    elif kind == 1:  # stripes along
        share = (np.sin(2 * np.pi * 3 * x) > rng.uniform(0, 0.8)) * 1.0
    elif kind == 2:  # checks
        share = 0.5 * ((x * 2 % 1 < 0.5) * 1.0 + (y * 2 % 1 < 0.5))
    elif kind == 3:  # tartan
        share = 0.45 * ((x * 2 % 1 < 0.3) * 1.0 + (y * 2 % 1 < 0.3))
        share = share + 0.4 * ((np.abs(x * 2 % 1 - 0.6) < 0.04) | (np.abs(y * 2 % 1 - 0.6) < 0.04))
    elif kind == 4:  # dots
        u, v = (x * 3) % 1 - 0.5, (y * 3 + 0.5 * (np.floor(x * 3) % 2)) % 1 - 0.5
        share = (np.hypot(u, v) < rng.uniform(0.2, 0.33)) * 1.0
    elif kind == 5:  # flowers
        share = np.clip(noise(rng, (size, size), 4) * 6 - 1.5, 0, 1)
        third = np.clip(noise(rng, (size, size), 4) * 6 - 2, 0, 1)
        return textured(mix(mix(color, second, share), cloth_color(rng), third), (0.4, 0.4))
    else:  # camouflage-like blotches or marl
        share = np.clip(noise(rng, (size, size), 3) * 8, 0, 1)
    scale = float(rng.uniform(0.16, 0.4))
    return textured(mix(color, second, share) * weave[..., None], (scale, scale))


def face(rng: np.random.Generator, skin: np.ndarray, hair: np.ndarray, *, child: bool) -> Material:
    """The head's skin as a texture over (around, from chin to crown); the face is at u = 1/4.

    Eyes, brows, lips, cheeks, sometimes a beard or glasses.
    """
    size = 96
    y, x = np.mgrid[0:size, 0:size] / size
    v, u = 1 - y, (x - 0.25) * 2.4  # u about in head heights
    image = np.broadcast_to(skin, (size, size, 3)) * (
        1 + 0.02 * noise(rng, (size, size), 4)[..., None]
    )
    for side in (-1, 1):
        cheek = np.clip(1 - np.hypot((u - 0.24 * side) / 0.16, (v - 0.38) / 0.12), 0, 1)
        image = mix(image, skin * [1.05, 0.72, 0.68], 0.45 * cheek)
        white = np.hypot((u - 0.19 * side) / 0.09, (v - 0.52) / 0.035) < 1
        image = mix(image, [0.9, 0.88, 0.85], white * 1.0)
        iris = np.hypot((u - 0.19 * side) / 0.045, (v - 0.52) / 0.04) < 1
        image = mix(image, [0.1, 0.08, 0.06], iris * 1.0)
        brow = np.hypot((u - 0.19 * side) / 0.12, (v - 0.6) / 0.018) < 1
        image = mix(image, hair * 0.8, brow * 0.9)
    if not child and rng.random() < 0.22:
        jaw = (v < 0.36 + 0.1 * np.clip(np.abs(u) * 2 - 0.5, 0, 1)) & (np.abs(u) < 0.62)
        image = mix(image, hair, jaw * 0.85)
    lips = np.hypot(u / 0.12, (v - 0.27) / 0.025) < 1
    image = mix(image, skin * [0.85, 0.45, 0.42], lips * 0.9)
    if not child and rng.random() < 0.25:
        for side in (-1, 1):
            ring = np.abs(np.hypot((u - 0.2 * side) / 0.15, (v - 0.51) / 0.07) - 1) < 0.18
            image = mix(image, [0.08, 0.08, 0.08], ring * 1.0)
    return textured(image)


def leather(rng: np.random.Generator) -> Material:
    """For shoes, bags and belts."""
    colors = (
        (0.08, 0.07, 0.07),
        (0.2, 0.12, 0.08),
        (0.4, 0.25, 0.13),
        (0.85, 0.84, 0.82),
        (0.5, 0.1, 0.1),
        (0.15, 0.2, 0.35),
    )
    return plain(np.array(colors[rng.integers(len(colors))]) * rng.uniform(0.85, 1.1), 0.3)
