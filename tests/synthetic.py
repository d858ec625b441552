"""Sources with known geometry: a level camera, a floor, a back wall, flat people."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from depthmask.config import Composition
from depthmask.config.reading import with_profile
from depthmask.data.composition.compositor import Compositor
from depthmask.data.scenes import placement
from depthmask.data.scenes.library import Frames, Library
from depthmask.data.scenes.placement import NUM_UNIFORMS, Placer, Recipes, visible_shares
from depthmask.data.scenes.scene import Camera, Cutout, Plate
from depthmask.stages.augment import augment
from depthmask.stages.prepare import draw_library

WALL_M = 6.0
CAMERA_M = 1.6
FOCAL = 0.8
SIZE = 64

# the shipped parameters with the profile `tiny`
_, TINY = with_profile(Path(__file__).parents[1] / "params.yaml", "tiny")
COMPOSITION = Composition(TINY.placement, TINY.compositor)


def make_plate(number: int, size: int = SIZE, num_stands: int = 8) -> Plate:
    """A room seen level: floor below the horizon up to a wall 6 m away; random colours, patchy.

    The patches tell one room from another: by their two colours all would be near-duplicates.
    """
    random = np.random.default_rng(number)
    rows = (np.arange(size) + 0.5) / size - 0.5
    floor_m = np.where(rows > 0, CAMERA_M * FOCAL / np.maximum(rows, 1e-6), np.inf)
    depth = np.repeat(np.minimum(floor_m, WALL_M)[:, None], size, axis=1)
    image = np.where(depth[..., None] < WALL_M, *random.uniform(60, 200, (2, 3)))
    patches = random.normal(0, 30, (6, 6)).astype(np.float32)
    image = image + cv2.resize(patches, (size, size), interpolation=cv2.INTER_CUBIC)[..., None]
    image = image + random.normal(0, 8, (size, size, 3))
    distance = np.linspace(3.2, 5.0, num_stands)
    across = random.uniform(-0.3, 0.3, num_stands) * distance
    stands = np.stack([across, np.full(num_stands, CAMERA_M), distance], axis=1)
    return Plate(
        name=f"room-{number:05d}",
        image=np.clip(image, 0, 255).astype(np.uint8),
        depth=depth.astype(np.float32),
        camera=Camera(FOCAL, (0.0, -1.0, 0.0), CAMERA_M),
        stands=stands.astype(np.float32),
    )


def make_cutout(number: int, size: int = SIZE) -> Cutout:
    """A flat person 1.6 m tall and 0.5 m wide: a rectangle of one colour, without relief."""
    random = np.random.default_rng(1000 + number)
    height, width, scale = size, 3 * size // 4, 2.2 / size
    foot = (width / 2, height - 2.0)
    rgba = np.zeros((height, width, 4), np.uint8)
    top = round(foot[1] - 1.6 / scale)
    left, right = round(foot[0] - 0.25 / scale), round(foot[0] + 0.25 / scale)
    rgba[..., :3] = random.uniform(0, 255, 3)
    rgba[top : round(foot[1]), left:right, 3] = 255
    relief = np.zeros((height, width), np.float32)
    return Cutout(f"person-{number:05d}", rgba, relief, scale, foot, (foot[1] - top) * scale)


def make_library(num_train: int = 4, num_val: int = 2, num_test: int = 2) -> Library:
    splits = ["train"] * num_train + ["val"] * num_val + ["test"] * num_test
    numbers = range(len(splits))
    plates, cutouts = map(make_plate, numbers), map(make_cutout, numbers)
    return Library.pack(list(plates), splits, list(cutouts), splits)


def make_placer(library: Library, **settings: Any) -> Placer:
    """A placer of the training split, which hides up to 0.6 of a person."""
    params = TINY.placement.model_copy(update={"occluded": 0.6})
    return Placer(library, visible_shares(library), params, **settings)


def make_frames(library: Library, count: int, split: str = "test") -> Frames:
    """In-scene frames: people of a split pasted into rooms of that split."""
    rooms, people = library.plates_of(split), library.cutouts_of(split)
    plate, cutout = rooms[np.arange(count) % len(rooms)], people[np.arange(count) % len(people)]
    stand = np.arange(count) % library.stands.shape[1]
    original, no = np.zeros(count, int), np.zeros(count, bool)
    still = np.full((count, NUM_UNIFORMS), 0.99)  # above most probabilities: nothing varies
    recipes = Recipes(plate, cutout, original, original, stand, no, no, original - 1, still)
    scene = Compositor(library, TINY.compositor)(recipes, library.size)
    distance = library.stands[plate, stand, 2]
    table = {"plate": plate, "cutout": cutout, "stand": stand, "distance_m": distance}
    return Frames(
        table=pd.DataFrame(table),
        bg_fg=(scene.bg_fg * 255).round().byte().permute(0, 2, 3, 1).numpy(),
        mask=(scene.mask[:, 0] * 255).round().byte().numpy(),
        depth=scene.depth[:, 0].numpy(),
    )


def make_empty_frames(library: Library, count: int) -> Frames:
    """Frames of empty rooms of the test split: the plate with other noise."""
    rooms = library.plates_of("test")
    plate = rooms[np.arange(count) % len(rooms)]
    noise = np.random.default_rng(7).normal(0, 2, (count, library.size, library.size, 3))
    bg_fg = np.clip(library.images[plate] + noise, 0, 255).round().astype(np.uint8)
    return Frames.of_nobody(plate, bg_fg, library.depths)


def write_synthetic(root: Path) -> None:
    """`data/prepared` and `data/augmented` under `root`, of synthetic sources at SIZE px."""
    library, prepare = make_library(), TINY.prepare.model_copy(update={"size": SIZE})
    rendered = {
        "rendered": make_frames(library, prepare.museum.rendered, "train"),
        "in_scene": make_frames(library, prepare.num_scenes.in_scene),
        "nobody": make_empty_frames(library, prepare.num_scenes.nobody),
    }
    prepared = root / "data/prepared"
    prepared.mkdir(parents=True)
    visible = visible_shares(library)
    placement.write_prepared(prepared, library, visible, prepare, TINY.placement, frames=rendered)
    draw_library(prepared)
    augment(prepared, root / "data/augmented", TINY.augment, COMPOSITION)
