"""Lamps of a room and their housings."""

import numpy as np

from depthmask.data.sources.museum.loading import Lamp
from depthmask.data.sources.museum.materials import mix, noise, plain
from depthmask.data.sources.museum.shapes import Part, box, tube

TEMPERATURES = np.array(
    [  # linear light at 2700, 3000, 3500, 4200, 5500 and 6800 K, about
        (1.0, 0.70, 0.42),
        (1.0, 0.76, 0.52),
        (1.0, 0.84, 0.65),
        (1.0, 0.92, 0.81),
        (1.0, 0.99, 0.97),
        (0.9, 0.95, 1.05),
    ]
)


def light_room(
    rng: np.random.Generator,
    walls,
    width: float,
    depth: float,
    height: float,
    away_from: tuple[int | None, ...],
) -> tuple[list[Part], list[Lamp]]:
    """Draw a main light, sometimes spots and windows; windows shun the walls `away_from`."""
    main = rng.choice(["panels", "skylight", "globes", "strip"], p=[0.4, 0.2, 0.2, 0.2])
    tone = TEMPERATURES[rng.integers(len(TEMPERATURES))]
    make = {"panels": _panels, "skylight": _skylight, "globes": _globes, "strip": _strips}[
        str(main)
    ]
    parts, lamps = make(rng, width, depth, height, tone)
    if rng.random() < 0.45:
        more, spots = _spots(rng, walls, width, depth, height)
        parts, lamps = parts + more, lamps + spots
    if rng.random() < 0.35:
        free = [n for n in range(4) if n not in away_from]
        more, windows = _windows(rng, walls[free[rng.integers(len(free))]])
        parts, lamps = parts + more, lamps + windows
    return parts, lamps


def _down(center, half_x: float, half_y: float, color, share: float = 1.0) -> Lamp:
    return Lamp(
        "panel",
        np.asarray(center, float),
        np.asarray(color),
        along=np.array([half_x, 0, 0]),
        up=np.array([0, -half_y, 0]),
        share=share,
    )


def _panels(rng, width, depth, height, tone):
    """One to four luminous panels, in frames."""
    columns, rows = (2, 1) if width > depth else (1, 2)
    if rng.random() < 0.4:
        columns = rows = 2 if rng.random() < 0.6 else 1
    half = rng.uniform(0.3, 0.6), rng.uniform(0.3, 0.9)
    frame = plain((0.85, 0.85, 0.84))
    parts, lamps = [], []
    for i in range(columns):
        for j in range(rows):
            x = ((i + 0.5) / columns - 0.5) * width
            y = ((j + 0.5) / rows - 0.5) * depth
            parts.append(
                box((x, y, height - 0.09), (2 * half[0] + 0.1, 2 * half[1] + 0.1, 0.18), frame)
            )
            lamps.append(_down((x, y, height - 0.185), *half, tone * 6))
    return parts, lamps


def _skylight(rng, width, depth, height, tone):
    """Daylight through a lattice."""
    half = rng.uniform(0.2, 0.36) * width, rng.uniform(0.2, 0.36) * depth
    frame = plain((0.8, 0.8, 0.78) if rng.random() < 0.7 else (0.2, 0.2, 0.2))
    parts = []
    for k in range(5):
        t = k / 2 - 1
        parts.append(box((t * half[0], 0, height - 0.17), (0.06, 2 * half[1] + 0.06, 0.1), frame))
        parts.append(box((0, t * half[1], height - 0.17), (2 * half[0] + 0.06, 0.06, 0.1), frame))
    sky = np.array([0.85, 0.95, 1.1]) if rng.random() < 0.6 else np.array([1.05, 1.0, 0.95])
    return parts, [_down((0, 0, height - 0.16), *half, sky * 1.5)]


def _globes(rng, width, depth, height, tone):
    """Pendant spheres in a row."""
    number, radius = int(rng.integers(1, 4)), rng.uniform(0.14, 0.26)
    drop, cord = rng.uniform(0.7, 1.1), plain((0.1, 0.1, 0.1))
    parts, lamps = [], []
    for k in range(number):
        t = (k + 0.5) / number - 0.5
        x, y = (t * width, 0.0) if width > depth else (0.0, t * depth)
        parts.append(
            tube(
                [(x, y, height), (x, y, height - drop + radius + 0.02)],
                [0.012, 0.012],
                cord,
                segments=5,
            )
        )
        lamps.append(Lamp("globe", np.array([x, y, height - drop]), tone * 9, radius=radius))
    return parts, lamps


def _strips(rng, width, depth, height, tone):
    """Two bands of light along the room."""
    frame = plain((0.85, 0.85, 0.84))
    parts, lamps = [], []
    for side in (-0.27, 0.27):
        half = (0.08, 0.4 * depth) if width > depth else (0.4 * width, 0.08)
        x, y = (side * width, 0.0) if width > depth else (0.0, side * depth)
        parts.append(
            box((x, y, height - 0.09), (2 * half[0] + 0.06, 2 * half[1] + 0.06, 0.18), frame)
        )
        lamps.append(_down((x, y, height - 0.185), *half, tone * 9))
    return parts, lamps


def _spots(rng, walls, width, depth, height):
    """Track lights at points of the walls and of the floor."""
    tone = TEMPERATURES[rng.integers(4)]
    fixture = plain((0.08, 0.08, 0.08) if rng.random() < 0.6 else (0.85, 0.85, 0.85))
    parts, lamps = [], []
    for _ in range(int(rng.integers(2, 5))):
        wall = walls[rng.integers(4)]
        along = rng.uniform(0.15, 0.85) * wall.length
        out = min(rng.uniform(1.2, 2.0), 0.4 * min(width, depth))
        source, target = wall.point(along, -out, height - 0.28), wall.point(along, 0, 1.5)
        aim = (target - source) / np.linalg.norm(target - source)
        parts.append(
            tube([source - 0.16 * aim, source - 0.02 * aim], [0.05, 0.06], fixture, segments=8)
        )
        parts.append(box(source + [0, 0, 0.25], (0.12, 0.12, 0.05), fixture))
        distance = np.linalg.norm(target - source)
        strength = rng.uniform(1.2, 3.0) * distance**2
        lamps.append(Lamp("spot", source, tone * strength, target=target))
    return parts, lamps


def _windows(rng, wall):
    """One or two windows on a bright outside, with mullions and a sill."""
    number = 1 if wall.length < 6 else 2
    width, height = rng.uniform(0.9, 1.6), rng.uniform(1.2, 1.9)
    sill = rng.uniform(0.7, 1.1)
    frame = plain((0.88, 0.87, 0.85) if rng.random() < 0.7 else (0.25, 0.16, 0.1))
    size = 32
    v = 1 - np.mgrid[0:size, 0:size][0] / size
    trees = np.clip((0.35 + 0.25 * noise(rng, (size, size), 4) - v) * 9, 0, 1)
    sky = (
        mix([0.95, 1.0, 1.05], [0.55, 0.75, 1.1], v)
        if rng.random() < 0.6
        else np.ones((size, size, 3))
    )
    outside = mix(np.zeros(3), np.ones(3), 1 - trees) * sky + trees[..., None] * [0.1, 0.16, 0.07]
    parts, lamps = [], []
    for k in range(number):
        x = (k + 0.5) / number * wall.length + rng.uniform(-0.1, 0.1)
        z = min(sill + height / 2, wall.height - height / 2 - 0.3)
        for t in (-1, 0, 1):
            parts.append(box((x + t * width / 2, -0.03, z), (0.07, 0.07, height + 0.07), frame))
        for t in (-1, 0.25, 1):
            parts.append(box((x, -0.03, z + t * height / 2), (width, 0.07, 0.07), frame))
        parts.append(box((x, -0.1, z - height / 2 - 0.05), (width + 0.3, 0.2, 0.05), frame))
        wall.taken.append((x - width / 2 - 0.2, x + width / 2 + 0.2))
        lamps.append(
            Lamp(
                "panel",
                wall.point(x, -0.012, z),
                outside * 3.5,
                along=wall.turn @ [width / 2, 0, 0],
                up=np.array([0, 0, height / 2]),
            )
        )
    return wall.place(parts), lamps
