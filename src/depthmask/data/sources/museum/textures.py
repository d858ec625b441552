"""Textures and paintings drawn from random generators: no file is read. Colours: sRGB in 0..1."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np

from depthmask.data.sources.museum.shapes import Material, Vector


def hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """An sRGB colour from hue (0..1, wraps), saturation and value."""
    k = (np.array([5.0, 3.0, 1.0]) + hue % 1 * 6) % 6
    return value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1)


def choose(rng: np.random.Generator, options: Sequence[Any]) -> Any:
    """One of a sequence."""
    return options[int(rng.integers(len(options)))]


def noise(
    rng: np.random.Generator, shape: tuple[int, int], octaves: int = 4, slope: float = 1.4
) -> np.ndarray:
    """Noise that tiles, float [h, w], mean about 0, range about -1..1.

    Its amplitudes fall as the frequency to the power of `slope`, its phases are random.
    """
    height, width = shape
    radius = np.hypot(np.fft.fftfreq(height)[:, None] * height, np.fft.rfftfreq(width) * width)
    inside = (radius >= 1) & (radius < 2**octaves)
    spectrum = np.where(inside, np.maximum(radius, 1) ** -slope, 0)
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(shape)) * spectrum, s=shape)
    return field / (2.5 * field.std() + 1e-9)


def grid(height: int, width: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """x to the right and y to the bottom, both 0..1."""
    y, x = np.mgrid[0:height, 0 : width or height]
    return (x + 0.5) / (width or height), (y + 0.5) / height


def mix(a: Vector, b: Vector, share: np.ndarray) -> np.ndarray:
    """Blend two colours by a map [h, w] of 0..1 (or of truth) into a texture."""
    share = np.clip(np.asarray(share, float), 0, 1)[..., None]
    return np.asarray(a) * (1 - share) + np.asarray(b) * share


def shaded(color: Vector, shade: np.ndarray) -> np.ndarray:
    """A texture of one colour times a map [h, w]."""
    return np.asarray(color) * shade[..., None]


def mottled(rng: np.random.Generator, color: Vector, contrast: float) -> np.ndarray:
    """A colour with the spectrum of photographs, [128, 128, 3]: amplitudes 1/f^0.8 to 1/f^1.4.

    Torralba and Oliva 2003, "Statistics of natural image categories"; the channels go together.
    """
    slope, tint = rng.uniform(0.8, 1.4), rng.normal(0, 0.4, 3)
    light, chroma = (noise(rng, (128, 128), 7, slope)[..., None] for _ in range(2))
    return np.asarray(color) * np.exp(contrast * (light + (tint - tint.mean()) * chroma))


def leaves(
    rng: np.random.Generator, shape: tuple[int, int], count: int = 90, largest: float = 0.35
) -> np.ndarray:
    """Discs and boxes over one another, [h, w, 3], that tile; radii up to `largest` heights.

    Sizes that fall as 1/r^3 give the edges and the spectrum of photographs (Lee, Mumford and
    Huang 2001, "Occlusion models for natural images").
    """
    hue, spread = rng.random(), rng.choice([0.03, 0.12, 0.5])
    tones = rng.uniform([0, 0.15], [0.8, 0.95], (6, 2))
    palette = [hsv(hue + rng.normal(0, spread), *tone) for tone in tones]
    image, extent = np.full((*shape, 3), palette[0]), np.array(shape[::-1])
    radii = np.minimum(0.025 * (1 - rng.random(count)) ** -0.5, largest) * shape[0]
    angles, places = 360 * rng.random(count), rng.random((count, 2))
    tiles = np.indices((3, 3)).reshape(2, 9).T - 1
    for radius, angle, at in zip(radii, angles, places, strict=True):
        color, sides = choose(rng, palette) * rng.uniform(0.8, 1.2), radius * rng.uniform(0.5, 1, 2)
        centers = (at + tiles) * extent
        # no shape reaches farther from its centre
        reached = (np.abs(centers - extent / 2) <= extent / 2 + 3 * radius).all(1)
        for center in centers[reached]:
            corners = cv2.boxPoints((center, 1.8 * sides, angle)).round().astype(np.int32)
            if angle < 120:
                cv2.ellipse(image, (center, 2 * sides, 3 * angle), color, -1)
            else:
                cv2.fillConvexPoly(image, corners, color)
    return image


def wood(rng: np.random.Generator, color: Vector) -> Material:
    """Straight grain along the texture's height, varnished."""
    grain = np.tile(noise(rng, (64, 64), 5)[:4].mean(0), (64, 1)) + 0.3 * noise(rng, (64, 64), 3)
    return Material(shaded(color, 1 + 0.16 * grain), (0.5, 1.0), 0.25)


def parquet(rng: np.random.Generator, color: Vector) -> Material:
    """Planks or a mitred herringbone."""
    x, y = grid(192)
    column, across = np.floor(x * 6), x * 6 % 1
    lath = (y + rng.random(6)[column.astype(int)]) * 2
    if rng.random() < 0.6:
        lath = y * 12 + 2 * np.where(column % 2 == 0, across, 1 - across)
    shade = 1 + 0.13 * rng.standard_normal(72)[(column * 12 + np.floor(lath) % 12).astype(int)]
    shade *= 1 + 0.05 * noise(rng, (192, 192), 6)
    shade *= np.where((lath % 1 < 0.05) | (across < 0.05), 0.72, 1)
    return Material(shaded(color, shade), 1.6, rng.uniform(0.12, 0.3))


def bricks(rng: np.random.Generator, color: Vector) -> Material:
    """Courses of bricks or of long tiles, each half a brick on from the one below."""
    x, y = grid(192)
    rows = int(rng.choice([6, 8, 12]))
    row = np.floor(y * rows)
    across = (x * rows / 2 + 0.5 * (row % 2)) % (rows / 2)
    shade = 1 + rng.uniform(0.03, 0.2) * rng.standard_normal((rows, rows))
    texture = mottled(rng, color, 0.3)[:96, :96].repeat(2, 0).repeat(2, 1)
    texture *= shade[row.astype(int), np.floor(across).astype(int)][..., None]
    joint = (y * rows % 1 < 0.12) | (across % 1 < 0.06)
    mortar = hsv(0.1, 0.1, rng.uniform(0.2, 0.9))
    return Material(mix(texture, mortar, joint), rows * rng.uniform(0.08, 0.2))


def tiles(rng: np.random.Generator, first: Vector, second: Vector) -> Material:
    """A chequerboard with joints."""
    x, y = grid(192)
    count = int(rng.choice([2, 4]))
    columns, rows = np.floor(x * count).astype(int), np.floor(y * count).astype(int)
    shade = 1 + 0.05 * rng.standard_normal((count, count))[rows, columns]
    shade += rng.choice([0, 0.12]) * noise(rng, (192, 192), 5)
    joint = np.maximum(np.abs(x * count % 1 - 0.5), np.abs(y * count % 1 - 0.5)) > 0.475
    texture = mix(first, second, (columns + rows) % 2) * (shade - 0.3 * joint)[..., None]
    return Material(texture, rng.uniform(0.35, 0.8) * count, choose(rng, (None, 0.1, 0.2)))


def carpet(rng: np.random.Generator, color: Vector) -> Material:
    """Speckled wool, sometimes with a motif, small or bold."""
    x, y = grid(128)
    texture = shaded(color, 1 + 0.12 * rng.standard_normal((128, 128)))
    motif = np.sin(4 * np.pi * (x + y)) * np.sin(4 * np.pi * (x - y)) > 0.55
    second = texture * 0.6 + 0.3 * hsv(rng.random(), rng.random(), 0.9)
    kind = rng.random()
    if kind < 0.2:
        second, motif = leaves(rng, (128, 128), 60), 0.7 * np.ones_like(x)
    return Material(mix(texture, second, motif * (kind < 0.5)), rng.uniform(0.7, 2))


def patterned(rng: np.random.Generator, color: Vector, second: Vector) -> np.ndarray:
    """Stripes, checks, damask, a trellis, dots, blots, or a print of more colours, [96, 96, 3]."""
    x, y = grid(96)
    if rng.random() < 0.25:
        return leaves(rng, (96, 96), 60, 0.25)
    stripes, bars = (
        np.sin(2 * np.pi * rng.integers(2, 4) * along) > rng.uniform(-0.5, 0.7) for along in (x, y)
    )
    bloom = np.abs(np.cos(2 * np.pi * x) * np.cos(2 * np.pi * y)) > 0.4
    trellis = np.minimum(np.abs((x + y) * 2 % 1 - 0.5), np.abs((x - y) * 2 % 1 - 0.5)) < 0.06
    dots = np.hypot(x * 4 % 1 - 0.5, (y * 4 + 0.5 * (np.floor(x * 4) % 2)) % 1 - 0.5) < 0.27
    blots = noise(rng, (96, 96), int(rng.integers(3, 5))) * 7 - 0.5
    checks = 0.5 * stripes + 0.5 * bars
    return mix(color, second, choose(rng, (stripes, bars, checks, bloom, trellis, dots, blots)))


def wallpaper(rng: np.random.Generator, color: Vector) -> Material:
    """A pattern in two tones of a colour or in two colours."""
    second = np.asarray(color) * rng.choice([0.6, 0.8, 1.2])
    if rng.random() < 0.3:
        second = hsv(rng.random(), *rng.uniform([0, 0.15], [0.8, 0.95]))
    return Material(patterned(rng, color, second), rng.uniform(0.3, 0.9))


def plaster(rng: np.random.Generator, color: Vector) -> Material:
    """Paint with a hint of unevenness, or stained."""
    contrast = rng.uniform(0.15, 0.6) if rng.random() < 0.4 else 0.05
    return Material(mottled(rng, color, contrast), rng.uniform(2, 4))


def terrazzo(rng: np.random.Generator, color: Vector) -> Material:
    """Chips of stone in cement."""
    chips = leaves(rng, (160, 160), 500, 0.035)
    return Material(mix(color, chips, rng.uniform(0.4, 0.8) * np.ones((160, 160))), 0.9, 0.2)


def books(rng: np.random.Generator, timber: Vector) -> Material:
    """Books on four to six boards, over a unit square."""
    image, deep = np.full((144, 96, 3), 0.06), int(rng.choice([24, 29, 36]))
    for bottom in range(deep - 3, 144, deep):
        edges = np.cumsum(rng.integers(2, 7, 40))
        for left, right in pairwise(edges[edges < 95]):
            tall = int(deep * rng.uniform(0.5, 0.88))
            back = hsv(rng.random(), *rng.uniform([0.1, 0.15], [0.8, 0.9]))
            image[bottom - tall : bottom, left:right] = back
        image[bottom : bottom + 3] = timber
    return Material(image)


def _landscape(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    _, y = grid(*shape)
    horizon, hue = rng.uniform(0.35, 0.6), rng.choice([0.08, 0.12, 0.27, 0.55])
    sky = hsv(rng.choice([0.55, 0.6, 0.05]), rng.uniform(0.2, 0.6), rng.uniform(0.6, 0.9))
    image = mix(sky, [0.95, 0.88, 0.72], y / horizon)
    image = mix(image, [0.95, 0.94, 0.9], np.clip(noise(rng, shape, 4) * 1.5, 0, 0.7))
    for layer in range(4):
        edge = horizon + 0.13 * layer + 0.13 * noise(rng, (1, shape[1]), 3)
        color = hsv(hue + 0.03 * layer, 0.25 + 0.12 * layer, 0.6 - 0.1 * layer)
        image = mix(image, color, y > edge)
    return image


def _photograph(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    light = 1 + 0.4 * noise(rng, shape, 6, 1.2)
    return leaves(rng, shape, 120, 0.5) * light[..., None]


def _poster(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Lines of letters, under a picture."""
    paper, ink = hsv(rng.random(), rng.uniform(0, 0.8), 0.93), hsv(rng.random(), 0.7, 0.15)
    lines = 2 * int(rng.integers(5, 14)) + 1
    letters = (rng.random((lines, 40)) > 0.3) * (np.arange(lines) % 2)[:, None]
    image = mix(paper, ink, cv2.resize(1.0 * letters, shape[::-1], interpolation=cv2.INTER_NEAREST))
    picture = slice(0, int(shape[0] * rng.uniform(0, 0.75)))
    image[picture] = _photograph(rng, shape)[picture]
    return image


def painting(rng: np.random.Generator, aspect: float) -> Material:
    """A picture, `aspect` being width over height; its texture covers a unit square."""
    shape = int(72 / aspect**0.5), int(72 * aspect**0.5)
    paint = choose(rng, (_landscape, _photograph, _poster))
    return Material(paint(rng, shape) * (1 + 0.05 * noise(rng, shape, 6))[..., None])
