"""Paintings for the walls: landscapes, seascapes, portraits, still lifes, abstracts, prints."""

import numpy as np

from depthmask.data.sources.museum.materials import hsv, mix, noise

_SIZE = 72


def _axes(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """x to the right and y to the bottom, both 0..1."""
    height, width = shape
    y, x = np.mgrid[0:height, 0:width]
    return (x + 0.5) / width, (y + 0.5) / height


def _landscape(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    x, y = _axes(shape)
    sky = hsv(rng.choice([0.55, 0.6, 0.08, 0.03]), rng.uniform(0.2, 0.6), rng.uniform(0.6, 0.9))
    horizon = rng.uniform(0.35, 0.6)
    image = mix(sky, [0.95, 0.88, 0.72], y / horizon)
    image = mix(image, [0.95, 0.94, 0.9], np.clip(noise(rng, shape, 4) * 1.5, 0, 0.7))
    hue = rng.choice([0.25, 0.3, 0.12, 0.08])
    for layer in range(4):
        height = horizon + 0.13 * layer + 0.13 * noise(rng, (1, shape[1]), 3)
        color = hsv(hue + 0.03 * layer, 0.25 + 0.12 * layer, 0.6 - 0.1 * layer)
        image = mix(image, color, (y > height) * 1.0)
    if rng.random() < 0.6:
        cx, r = rng.uniform(0.15, 0.85), rng.uniform(0.1, 0.2)
        crown = np.hypot(x - cx, (y - horizon) * 1.1) < r * (1 + 0.5 * noise(rng, shape, 4))
        trunk = (np.abs(x - cx) < 0.02) & (y > horizon) & (y < horizon + 0.3)
        image = mix(image, hsv(hue, 0.6, 0.22), (crown | trunk) * 1.0)
    return image


def _seascape(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    x, y = _axes(shape)
    dusk = rng.random() < 0.5
    image = mix([0.9, 0.6, 0.35] if dusk else [0.62, 0.74, 0.85], [0.95, 0.9, 0.8], y * 1.5)
    image = mix(image, [0.45, 0.45, 0.5], np.clip(noise(rng, shape, 3), 0, 0.6))
    waves = 0.5 + 0.5 * noise(rng, shape, 5)
    sea = mix([0.1, 0.25, 0.35], [0.5, 0.62, 0.62], waves)
    image = np.where((y > 0.55)[..., None], sea, image)
    cx, width = rng.uniform(0.3, 0.7), rng.uniform(0.08, 0.16)
    hull = (np.abs(x - cx) < width) & (np.abs(y - 0.6) < 0.035)
    sail = (np.abs(x - cx) < width * (y - 0.2) / 0.36) & (y > 0.2) & (y < 0.56)
    image = mix(image, [0.92, 0.88, 0.78], sail * 1.0)
    return mix(image, [0.25, 0.15, 0.1], hull * 1.0)


def _portrait(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    x, y = _axes(shape)
    aspect = shape[1] / shape[0]
    x = (x - 0.5) * aspect + 0.04 * rng.standard_normal()
    back = hsv(rng.random(), rng.uniform(0.1, 0.5), rng.uniform(0.12, 0.4))
    image = mix(back, back * 1.6, np.clip(1 - np.hypot(x, y - 0.4) * 1.4, 0, 1))
    image = mix(image, image * 0.8, 0.5 + 0.5 * noise(rng, shape, 4))
    skin = np.array([0.85, 0.64, 0.5]) * rng.uniform(0.45, 1.05)
    hair = hsv(0.07, rng.uniform(0.1, 0.6), rng.uniform(0.08, 0.6))
    body = np.hypot(x / 0.34, (y - 1.05) / 0.42) < 1
    dress = hsv(rng.random(), rng.uniform(0.1, 0.8), rng.uniform(0.15, 0.7))
    image = mix(image, hair, (np.hypot(x / 0.17, (y - 0.38) / 0.21) < 1) * 1.0)
    image = mix(image, dress, body * 1.0)
    image = mix(image, [0.9, 0.88, 0.82], (np.hypot(x / 0.1, (y - 0.68) / 0.08) < 1) * 1.0)
    image = mix(image, skin, (np.hypot(x / 0.055, (y - 0.58) / 0.12) < 1) * 1.0)
    face = np.hypot(x / 0.115, (y - 0.42) / 0.16) < 1
    image = mix(image, mix(skin, skin * 0.7, (x > 0.02) * 0.8), face * 1.0)
    for side in (-0.045, 0.045):
        eye = np.hypot((x - side) / 0.02, (y - 0.4) / 0.012) < 1
        image = mix(image, [0.1, 0.07, 0.05], eye * 0.9)
    mouth = np.hypot(x / 0.035, (y - 0.5) / 0.012) < 1
    return mix(image, [0.6, 0.25, 0.22], mouth * 0.8)


def _still_life(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    x, y = _axes(shape)
    x = x * shape[1] / shape[0]
    wall, table = hsv(rng.random(), 0.3, 0.3), hsv(0.07, 0.5, rng.uniform(0.3, 0.7))
    image = mix(mix(wall, wall * 1.5, x), table, (y > 0.65) * 1.0)
    for _ in range(rng.integers(4, 9)):
        cx, cy = rng.uniform(0.1, x.max() - 0.1), rng.uniform(0.55, 0.75)
        r = rng.uniform(0.06, 0.15)
        disc = np.hypot(x - cx, y - cy)
        light = np.clip(1.15 - np.hypot(x - cx + r / 3, y - cy + r / 3) / r, 0.25, 1.2)
        color = hsv(rng.choice([0.0, 0.05, 0.1, 0.15, 0.3, 0.8]), 0.8, 0.8)
        image = np.where((disc < r)[..., None], color * light[..., None], image)
    return image


def _abstract(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    x, y = _axes(shape)
    hues = rng.random() + np.array([0, 0.08, 0.5, 0.58]) * rng.uniform(0.5, 1.5)
    colors = [hsv(h, rng.uniform(0.4, 0.95), rng.uniform(0.3, 0.95)) for h in hues]
    image = np.broadcast_to(rng.choice([0.92, 0.85, 0.12]) * np.ones(3), (*shape, 3)).copy()
    kind = rng.integers(4)
    if kind == 0:  # fields of colour
        for top in np.sort(rng.uniform(0.05, 0.85, 3)):
            soft = np.clip((np.minimum(y - top, 0.95 - y) + 0.02 * noise(rng, shape, 3)) * 25, 0, 1)
            soft = soft * np.clip(np.minimum(x - 0.06, 0.94 - x) * 25, 0, 1)
            image = mix(image, colors[rng.integers(4)], soft)
    elif kind == 1:  # a grid with primaries
        lines_x, lines_y = rng.uniform(0.1, 0.9, 4), rng.uniform(0.1, 0.9, 4)
        cells = np.searchsorted(np.sort(lines_x), x) * 5 + np.searchsorted(np.sort(lines_y), y)
        palette = np.array(
            [[0.9, 0.89, 0.85]] * 5 + [[0.8, 0.1, 0.1], [0.1, 0.2, 0.6], [0.95, 0.8, 0.1]]
        )
        image = palette[rng.integers(0, 8, 30)][cells]
        near = np.min([abs(x - v) for v in lines_x] + [abs(y - v) for v in lines_y], axis=0)
        image = mix(image, [0.06, 0.06, 0.06], (near < 0.012) * 1.0)
    elif kind == 2:  # circles
        for _ in range(9):
            r = rng.uniform(0.05, 0.3)
            disc = np.hypot((x - rng.random()) * shape[1] / shape[0], y - rng.random()) < r
            image = mix(image, colors[rng.integers(4)], disc * rng.uniform(0.6, 1))
    else:  # strokes
        for _ in range(4):
            field = noise(rng, shape, 4)
            image = mix(image, colors[rng.integers(4)], np.clip(1 - 7 * np.abs(field), 0, 1))
    return image


def _print(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    x, y = _axes(shape)
    paper = np.array([0.9, 0.87, 0.78]) * rng.uniform(0.85, 1.05)
    ink = np.clip(noise(rng, shape, 5) + 0.6 - 2 * np.hypot(x - 0.5, y - 0.5), 0, 1)
    hatch = (np.sin(60 * (x + y)) * 0.5 + 0.5) * ink
    inside = (np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y)) > 0.14) * 1.0
    return mix(paper, [0.15, 0.12, 0.1], (0.6 * ink + 0.6 * hatch) * inside)


_KINDS = (
    _landscape,
    _landscape,
    _seascape,
    _portrait,
    _portrait,
    _still_life,
    _abstract,
    _abstract,
    _print,
)


def painting(rng: np.random.Generator, aspect: float) -> np.ndarray:
    """A painting as sRGB [h, w, 3] in 0..1, `aspect` being width over height."""
    width = int(np.clip(_SIZE * aspect**0.5, 24, 160))
    height = int(np.clip(_SIZE / aspect**0.5, 24, 160))
    image = _KINDS[rng.integers(len(_KINDS))](rng, (height, width))
    return np.clip(image * (1 + 0.05 * noise(rng, (height, width), 6)[..., None]), 0.02, 0.95)
