"""Materials and their textures, drawn from random generators: no file is read.

Colours here are sRGB in 0..1, as a painter would name them; the renderer makes them linear.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Color = Sequence[float] | np.ndarray


@dataclass(frozen=True, eq=False)
class Material:
    """What a surface is made of.

    Attributes:
        color: [3], or a texture [h, w, 3] that repeats (its first row is the top).
        tile_m: width and height that the texture covers, metres.
        roughness: of a glossy coat in 0..1; None is matt.
    """

    color: np.ndarray
    tile_m: tuple[float, float] = (1.0, 1.0)
    roughness: float | None = None


def plain(color: Color, roughness: float | None = None) -> Material:
    """A material of one colour."""
    return Material(np.clip(np.asarray(color, float), 0.02, 0.95), roughness=roughness)


def textured(
    texture: np.ndarray, tile_m: tuple[float, float] = (1.0, 1.0), roughness: float | None = None
) -> Material:
    """A material with a texture [h, w, 3]."""
    return Material(np.clip(texture, 0.02, 0.95), tile_m, roughness)


def hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """An sRGB colour from hue (0..1, wraps), saturation and value."""
    k = (np.array([5.0, 3.0, 1.0]) + hue % 1 * 6) % 6
    return value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1)


def noise(rng: np.random.Generator, shape: tuple[int, int], octaves: int = 4) -> np.ndarray:
    """Smooth noise that tiles, float [h, w], mean about 0, range about -1..1."""
    height, width = shape
    fy = np.fft.fftfreq(height)[:, None] * height
    fx = np.fft.rfftfreq(width)[None] * width
    radius = np.hypot(fy, fx)
    spectrum = np.where((radius >= 1) & (radius < 2**octaves), 1 / np.maximum(radius, 1) ** 1.4, 0)
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(shape)) * spectrum, s=shape)
    return field / (2.5 * field.std() + 1e-9)


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[0:size, 0:size] / size
    return x, y


def mix(a: Color, b: Color, share: np.ndarray) -> np.ndarray:
    """Blend two colours by a map [h, w] of 0..1 into a texture."""
    share = np.clip(share, 0, 1)[..., None]
    return np.asarray(a) * (1 - share) + np.asarray(b) * share


def wood(rng: np.random.Generator, color: Color, size: int = 64) -> np.ndarray:
    """Straight grain along the texture's height, [size, size, 3]."""
    grain = noise(rng, (size, size), 5)
    grain = np.repeat(grain[:4].mean(0)[None], size, 0) + 0.3 * noise(rng, (size, size), 3)
    return np.asarray(color) * (1 + 0.16 * grain[..., None])


def parquet(rng: np.random.Generator, color: Color) -> Material:
    """Planks, a basket weave or a herringbone."""
    size, kind = 192, rng.integers(3)
    x, y = _grid(size)
    if kind == 0:  # planks
        row = np.floor(x * 6).astype(int)
        offset = rng.random(6)[row]
        column = np.floor((y + offset) * 2).astype(int) % 2
        index, edge = row * 2 + column, np.minimum((x * 6) % 1, ((y + offset) * 2) % 1 * 5)
    elif kind == 1:  # basket weave
        cell_x, cell_y = np.floor(x * 4), np.floor(y * 4)
        turn = (cell_x + cell_y) % 2 == 0
        lath = np.floor(np.where(turn, x, y) * 16) % 4
        index = (cell_x * 16 + cell_y * 4 + lath).astype(int)
        edge = np.minimum((np.where(turn, x, y) * 16) % 1, (np.where(turn, y, x) * 4) % 1 * 4)
    else:  # zigzag, mitred like a herringbone
        column = np.floor(x * 6)
        skew = np.where(column % 2 == 0, x * 6 % 1, 1 - x * 6 % 1)
        lath = y * 12 + skew * 2
        index = (column * 12 + np.floor(lath) % 12).astype(int)
        edge = np.minimum(lath % 1, (x * 6) % 1 * 2)
    shade = 1 + 0.13 * rng.standard_normal(index.max() + 1)[index]
    shade *= 1 + 0.05 * noise(rng, (size, size), 6)
    shade *= np.where(edge < 0.07, 0.72, 1)
    return textured(np.asarray(color) * shade[..., None], (1.6, 1.6), rng.choice([0.12, 0.22, 0.3]))


def marble(rng: np.random.Generator, color: Color, vein: Color, size: int = 128) -> np.ndarray:
    """Clouds and veins, a texture that tiles."""
    field, warp = noise(rng, (size, size), 5), noise(rng, (size, size), 4)
    veins = np.clip(1 - 6 * np.abs(field + 0.3 * warp), 0, 1) ** 2
    return mix(color, vein, 0.6 * veins + 0.15 * (warp + 0.5))


def tiles(rng: np.random.Generator, first: Color, second: Color) -> Material:
    """Squares in one or two colours, marbled or plain, with joints; sometimes a diamond inlay."""
    size, count = 192, int(rng.choice([2, 2, 4]))
    x, y = _grid(size)
    check = (np.floor(x * count) + np.floor(y * count)) % 2
    texture = mix(first, second, check)
    shade = 1 + 0.05 * rng.standard_normal((count, count))
    rows, columns = np.floor(y * count).astype(int), np.floor(x * count).astype(int)
    texture = texture * shade[rows, columns][..., None]
    if rng.random() < 0.6:
        texture = texture * (1 + 0.12 * noise(rng, (size, size), 5)[..., None])
    fx, fy = np.abs(x * count % 1 - 0.5), np.abs(y * count % 1 - 0.5)
    if rng.random() < 0.3:
        corner = (0.5 - fx) + (0.5 - fy) < 0.2
        texture = np.where(corner[..., None], np.asarray(second) * 0.7, texture)
    texture = np.where((np.maximum(fx, fy) > 0.475)[..., None], texture * 0.7, texture)
    side = float(rng.uniform(0.35, 0.8)) * count
    return textured(texture, (side, side), rng.choice([None, 0.1, 0.2]))


def carpet(rng: np.random.Generator, color: Color) -> Material:
    """Speckled wool, sometimes with a small motif."""
    size = 128
    x, y = _grid(size)
    texture = np.asarray(color) * (1 + 0.12 * rng.standard_normal((size, size))[..., None])
    if rng.random() < 0.4:
        motif = np.sin(2 * np.pi * 2 * (x + y)) * np.sin(2 * np.pi * 2 * (x - y)) > 0.55
        texture = np.where(
            motif[..., None], texture * 0.6 + 0.3 * hsv(*rng.random(2), 0.9), texture
        )
    return textured(texture, (1.0, 1.0))


def wallpaper(rng: np.random.Generator, color: Color) -> Material:
    """Stripes, damask or trellis in two tones of a colour."""
    size, kind = 96, rng.integers(3)
    x, y = _grid(size)
    second = np.clip(np.asarray(color) * rng.choice([0.78, 0.86, 1.14, 1.22]), 0, 0.95)
    if kind == 0:
        share = (np.sin(2 * np.pi * 2 * x) > rng.uniform(-0.4, 0.4)).astype(float)
    elif kind == 1:
        bloom = np.cos(2 * np.pi * x) * np.cos(2 * np.pi * y)
        share = (np.abs(bloom + 0.35 * np.cos(6 * np.pi * x) * np.cos(4 * np.pi * y)) > 0.45) * 1.0
    else:
        lines = np.minimum(np.abs((x + y) * 2 % 1 - 0.5), np.abs((x - y) * 2 % 1 - 0.5))
        share = (lines < 0.06) * 1.0
    return textured(mix(color, second, share), (float(rng.uniform(0.4, 0.9)),) * 2)


def masonry(rng: np.random.Generator, color: Color) -> Material:
    """Brick or large stone blocks."""
    size = 128
    x, y = _grid(size)
    rows, columns = 8, 4
    row = np.floor(y * rows).astype(int)
    shifted = (x * columns + 0.5 * (row % 2)) % columns
    shade = 1 + 0.12 * rng.standard_normal((rows, columns))[row, shifted.astype(int)]
    shade = shade * (1 + 0.06 * noise(rng, (size, size), 6))
    joint = (y * rows % 1 < 0.1) | (shifted % 1 < 0.05)
    texture = np.asarray(color) * shade[..., None]
    texture = np.where(joint[..., None], texture * 0.5 + 0.3, texture)
    scale = float(rng.choice([1.0, 2.6]))
    return textured(texture, (scale, scale * 0.75))


def plaster(rng: np.random.Generator, color: Color) -> Material:
    """Paint with a hint of unevenness."""
    return textured(
        np.asarray(color) * (1 + 0.035 * noise(rng, (64, 64), 5)[..., None]), (3.0, 3.0)
    )
