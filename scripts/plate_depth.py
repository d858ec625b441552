"""What a plate's depth is worth: `python scripts/plate_depth.py`.

Gives the exported model, on a test set, the room's true depth, the depth that it makes of the plate
itself, and that fitted to so many true distances, at random pixels of the lower two thirds or, of
in-scene frames, where people may stand; prints the person's δ1 and distance error, the frame's δ1.
"""

import argparse
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from depthmask.config import Composition
from depthmask.config.reading import read_params
from depthmask.data.scenes.scene import REFERENCE_FOCAL
from depthmask.data.sources import read_source
from depthmask.errors import exit_on_error
from depthmask.inference.calibration import Point, calibrate, from_network
from depthmask.inference.predictor import Predictor, fov_of
from depthmask.metrics import SceneMetrics
from depthmask.stages import BEST, PARAMS, PREPARED

FIGURES = ("person_delta1", "person_distance_error", "depth_delta1")
POINTS = (1, 2, 3, 4, 6)


def fitted(
    made: np.ndarray, true: np.ndarray, count: int, rng: np.random.Generator, places: np.ndarray
) -> np.ndarray:
    """What was made of a plate, fitted to the truth at some of the places, pixels N x 2."""
    inside = places[((places >= 0) & (places < len(made))).all(1)]
    chosen = rng.choice(inside, min(count, len(inside)), replace=False)
    points = [Point(x, y, float(true[y, x])) for x, y in chosen]
    return calibrate(made, points).apply(made)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", default="in_scene", dest="name")
    name = parser.parse_args().name
    params, predictor = read_params(PARAMS), Predictor(BEST / "model.onnx")
    composition = Composition(params.placement, params.compositor)
    sets = read_source(PREPARED).open_sets(PREPARED, composition, "cpu")
    rng, metrics = np.random.default_rng(0), {}

    def score(way: str, scene, depth_of: Callable) -> None:
        for row in range(len(scene.mask)):
            bg, bg_fg = (
                (image[row] * 255).round().byte().permute(1, 2, 0).numpy()
                for image in (scene.bg, scene.bg_fg)
            )
            focal = REFERENCE_FOCAL if scene.focal is None else scene.focal[row].item()
            fov = fov_of(focal, bg.shape) if predictor.depth_unit == "metre" else None
            plate_depth = depth_of(row, bg, fov)
            answer = predictor.predict(bg, bg_fg, plate_depth=plate_depth, fov_degrees=fov)
            planes = (torch.from_numpy(plane)[None, None] for plane in answer)
            truth = scene.mask[row : row + 1], scene.depth[row : row + 1]
            metrics.setdefault(way, SceneMetrics(names=FIGURES)).update(*planes, *truth)

    rows, columns = np.indices((sets.size, sets.size)).reshape(2, -1)
    lower = np.stack([columns, rows], 1)[rows >= sets.size // 3]
    first, is_rendered = 0, name == "in_scene"
    for scene, plate_depths in zip(sets.scenes(name), sets.plate_depths(name), strict=True):
        true = plate_depths[:, 0].numpy()
        score("no plate depth", scene, lambda *_: None)
        score("true", scene, lambda row, *_, true=true: true[row])
        score("made of the plate", scene, lambda row, bg, fov: from_network(predictor, bg, fov))
        pixels = {"anywhere": [lower] * len(true)}
        if is_rendered:
            plates = sets.frames[name].table["plate"].to_numpy()[first : first + len(true)]
            stands = ((sets.library.camera(p), sets.library.stands[p]) for p in plates)
            pixels["on the floor"] = [
                camera.project(np.asarray(feet, float), sets.size).astype(int)
                for camera, feet in stands
            ]
        first += len(true)
        for where, places in pixels.items():
            for count in POINTS:
                score(
                    f"fitted to {count} {where}",
                    scene,
                    lambda row, bg, fov, true=true, count=count, places=places: fitted(
                        from_network(predictor, bg, fov), true[row], count, rng, places[row]
                    ),
                )
    table = pd.DataFrame({way: each.compute() for way, each in metrics.items()}).T
    print(f"{predictor.metadata['experiment']} on {name}\n{table.round(3).to_string()}")


if __name__ == "__main__":
    with exit_on_error():
        main()
