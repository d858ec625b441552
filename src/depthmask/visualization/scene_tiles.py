"""Pictures of single scenes for the report: where the best model does well, as usual, and badly."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from depthmask.data.composition.eval_sets import EvalSets
from depthmask.data.scenes.files import replaced_folder
from depthmask.data.scenes.person import THRESHOLD
from depthmask.data.scenes.scene import Scene
from depthmask.metrics import METRICS, align_depth
from depthmask.models.store import StoredModel
from depthmask.visualization.depth_colors import DepthScale, error_rgb
from depthmask.visualization.tiles import mask_errors_rgb, mask_rgb

NUM_EACH = 3
MAX_SIDE_PX = 128
"""Of a picture: the page that holds them all is to stay a file that one can send."""


def draw_scene_tiles(
    folder: Path,
    stored: StoredModel,
    sets: EvalSets,
    scenes: pd.DataFrame,
    *,
    num_each: int = NUM_EACH,
) -> None:
    """Draw the best, median and worst scenes of the headline set, with an index of them.

    Writes SCENE_FIELD.png for the fields bg, bg_fg, true_mask, pred_mask (its errors coloured),
    true_depth, pred_depth and depth_error, and index.json: for each group of `chosen_scenes` its
    scenes with their figures (null where a figure does not count or is no number) and pictures,
    and the scale of all depth pictures, in `unit`.

    Args:
        folder: is replaced.
        stored: a network with depth.
        scenes: the rows of `reports/scenes.csv` of this network on the headline set, one a scene.
        num_each: scenes in a group.
    """
    groups = chosen_scenes(scenes, num_each)
    numbers = sorted({number for group in groups.values() for number in group})
    scene = _gathered(sets, numbers)
    mask, depth = stored.predict(scene)
    assert depth is not None
    if sets.alignment is not None:
        depth = align_depth(depth, scene.depth, sets.alignment)
    scale = DepthScale.spanning(_planes(scene.depth), unit=sets.unit)
    pictures = {
        "bg": _images(scene.bg),
        "bg_fg": _images(scene.bg_fg),
        "true_mask": mask_rgb(_planes(scene.mask)),
        "pred_mask": mask_errors_rgb(_planes(mask), _planes(scene.mask), THRESHOLD),
        "true_depth": scale.rgb(_planes(scene.depth)),
        "pred_depth": scale.rgb(_planes(depth)),
        "depth_error": error_rgb(_planes(depth), _planes(scene.depth)),
    }
    rows = scenes.set_index("scene")
    with replaced_folder(folder) as temporary:
        entries = {}
        for place, number in enumerate(numbers):
            names = {field: f"{number:04d}_{field}.png" for field in pictures}
            for field, name in names.items():
                _save(temporary / name, pictures[field][place])
            entries[number] = {"scene": number, **_described(rows.loc[number]), "tiles": names}
        index = {
            "experiment": stored.card["experiment"],
            "set": sets.headline,
            "unit": sets.unit,
            "scale": {"near": scale.near, "far": scale.far},
            "groups": {
                kind: [entries[number] for number in group] for kind, group in groups.items()
            },
        }
        text = json.dumps(index, indent=2, ensure_ascii=False, allow_nan=False)
        (temporary / "index.json").write_text(text + "\n", encoding="utf-8")


def chosen_scenes(scenes: pd.DataFrame, num_each: int = NUM_EACH) -> dict[str, list[int]]:
    """The best, the median and the worst scenes by mask IoU, and the worst by depth AbsRel.

    The first three groups share no scene: of fewer than `3 * num_each` each gets a third, and of
    fewer than three the median, then the worst gets none. Equal scenes go by their number.

    Args:
        scenes: a row a scene with `scene`, `mask_iou`, `depth_abs_rel`; AbsRel may be NaN.

    Returns:
        By group the scenes' numbers: the best first, the worst first; `median` by IoU, best first.
    """
    ordered = scenes.sort_values(["mask_iou", "scene"], ascending=[False, True])
    numbers = [int(number) for number in ordered["scene"]]
    count = min(num_each, math.ceil(len(numbers) / 3))
    rest = numbers[count : len(numbers) - count]
    first = max(0, (len(rest) - count) // 2)
    known = scenes.dropna(subset=["depth_abs_rel"])
    by_depth = known.sort_values(["depth_abs_rel", "scene"], ascending=[False, True])
    groups = {
        "best": numbers[:count],
        "median": rest[first : first + count],
        "worst": numbers[max(count, len(numbers) - count) :][::-1],
        "worst_depth": [int(number) for number in by_depth["scene"][:count]],
    }
    return {kind: group for kind, group in groups.items() if group}


def _gathered(sets: EvalSets, numbers: list[int]) -> Scene[Tensor]:
    """Scenes of the headline set by their ascending numbers, in one batch."""
    parts, start = [], 0
    for batch in sets.scenes(sets.headline):
        own = [number - start for number in numbers if 0 <= number - start < len(batch.mask)]
        parts.append(Scene(*(field[own] for field in batch)))
        start += len(batch.mask)
    return Scene(*(torch.cat(fields) for fields in zip(*parts, strict=True)))


def _described(row: pd.Series) -> dict[str, Any]:
    figures = {name: float(row[name]) for name in METRICS if name in row}
    return {
        "plate": str(row["plate"]),
        "cutout": str(row["cutout"]),
        "figures": {k: value if math.isfinite(value) else None for k, value in figures.items()},
    }


def _images(batch: Tensor) -> np.ndarray:
    return (batch * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def _planes(batch: Tensor) -> np.ndarray:
    return batch[:, 0].float().cpu().numpy()


def _save(path: Path, pixels: np.ndarray) -> None:
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), Image.Resampling.BOX)
    picture.save(path, optimize=True)
